//! Breaks in everything that is not the film's own track.

use super::{BOTH, Made, Mode};

/// mkvmerge ids of the film maker's tracks.
const AC3: u64 = 1;
const PORTUGUESE: u64 = 4;

#[test]
fn a_missing_subtitle() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let broken = pair.breaker.merge(&["--subtitle-tracks", &format!("!{PORTUGUESE}")]).unwrap();
        pair.fails(&broken, &[("tracks", &["subtitle track 5 \"Português, forçado\" is missing"])]);
    }
}

#[test]
fn one_bit_of_an_audio_packet() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let ac3 = pair.breaker.track(AC3).unwrap();
        // A packet that no lace or block header cuts through the middle of: AC-3 frames have a fixed size.
        let packet = &ac3[1536 * 20 + 100..1536 * 20 + 1400];
        let broken = pair.breaker.flip(packet).unwrap();
        let text =
            format!("audio track 2 \"Surround 5.1\" has other bytes, as many as before ({})", ac3.len());
        pair.fails(&broken, &[("tracks", &[&text])]);
    }
}

#[test]
fn one_bit_of_an_attachment() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let cover = pair.breaker.attachment(1).unwrap();
        let broken = pair.breaker.flip(&cover).unwrap();
        pair.fails(&broken, &[("attachments", &["attachment cover.png has other bytes"])]);
    }
}

#[test]
fn a_missing_attachment() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let broken = pair.breaker.edit(&["--delete-attachment", "1"]).unwrap();
        pair.fails(&broken, &[("attachments", &["attachment cover.png is missing"])]);
    }
}

#[test]
fn a_missing_chapter() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let cut = |xml: &str| {
            let mut parts: Vec<&str> = xml.split_inclusive("</ChapterAtom>").collect();
            assert_eq!(parts.len(), 4, "{xml}");
            parts.remove(1);
            parts.concat()
        };
        let broken = pair.breaker.chapters(cut).unwrap();
        pair.fails(&broken, &[("chapters", &["chapter 2 \"Fähre & Hafen\" at 0:00:01.500 is missing"])]);
    }
}

#[test]
fn a_chapter_at_another_time_and_with_another_name() {
    let pair = Made::plain().pair(Mode::Copy);
    let change = |xml: &str| xml.replace("00:00:02.75", "00:00:02.5").replace("Credits", "The End");
    let broken = pair.breaker.chapters(change).unwrap();
    let begins = "chapter 3 begins at 0:00:02.500 instead of 0:00:02.750";
    let called = "chapter 3 is called \"The End\" instead of \"Credits\"";
    pair.fails(&broken, &[("chapters", &[begins, called])]);
}

#[test]
fn all_chapters_missing() {
    let pair = Made::plain().pair(Mode::Copy);
    let broken = pair.breaker.edit(&["--chapters", ""]).unwrap();
    pair.fails(&broken, &[("chapters", &["all 3 chapters are missing"])]);
}

#[test]
fn a_lost_language() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let broken = pair.breaker.edit(&["--edit", "track:a2", "--set", "language=und"]).unwrap();
        let text = "the language of audio track 3 \"Commentaire (réalisatrice)\" is und instead of fr";
        pair.fails(&broken, &[("tracks", &[text])]);
    }
}

#[test]
fn flags_and_name_of_the_film_itself() {
    let pair = Made::plain().pair(Mode::Copy);
    let set = ["--edit", "track:v1", "--set", "flag-default=0", "--set", "name=Movie"];
    let broken = pair.breaker.edit(&set).unwrap();
    let name = "the name of the film is \"Movie\" instead of \"Feature\"";
    pair.fails(&broken, &[("tracks", &[name, "the film is no longer \"default\""])]);
}

#[test]
fn a_wrong_title() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let broken = pair.breaker.edit(&["--edit", "info", "--set", "title=Another film"]).unwrap();
        pair.fails(&broken, &[("tags", &["the title is \"Another film\" instead of \"The Keeper's…"])]);
    }
}

#[test]
fn lost_tags() {
    let pair = Made::plain().pair(Mode::Copy);
    let broken = pair.breaker.edit(&["--tags", "global:"]).unwrap();
    pair.fails(
        &broken,
        &[(
            "tags",
            &[
                "tag DATE_RELEASED is missing; it was \"2019\"",
                "tag DIRECTOR is missing; it was \"Ada Quill\"",
                "tag SYNOPSIS is missing; it was \"A ferry, …",
            ],
        )],
    );
}

/// One lost id is one finding: the track is still known by what it holds.
#[test]
fn another_track_uid() {
    let pair = Made::plain().pair(Mode::Copy);
    let broken = pair.breaker.edit(&["--edit", "track:a1", "--set", "track-uid=42"]).unwrap();
    pair.fails(&broken, &[("tracks", &["audio track 2 \"Surround 5.1\" has another id (UID)"])]);
    let set = ["--edit", "track:a2", "--set", "track-uid=43", "--edit", "track:s1", "--set", "track-uid=44"];
    let broken = pair.breaker.edit(&set).unwrap();
    pair.fails(&broken, &[("tracks", &["3 tracks have other ids (UIDs)"])]);
}

#[test]
fn another_order_of_tracks() {
    let pair = Made::plain().pair(Mode::Copy);
    let broken = pair.breaker.merge(&["--track-order", "0:0,0:2,0:1,0:3,0:4"]).unwrap();
    pair.fails(&broken, &[("tracks", &["the tracks are in another order: now at places 1, 3, 2, 4, 5"])]);
}
