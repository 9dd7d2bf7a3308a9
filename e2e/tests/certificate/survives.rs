//! A film with everything a remux may hold keeps all of it.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::tool;

use super::{BOTH, Made, Pair, convert};
use e2e::films::breaker::Breaker;

const CHAPTERS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Chapters>
<EditionEntry><EditionUID>501</EditionUID><EditionFlagDefault>1</EditionFlagDefault>
<ChapterAtom><ChapterUID>511</ChapterUID><ChapterTimeStart>00:00:00.000000000</ChapterTimeStart><ChapterTimeEnd>00:00:01.000000000</ChapterTimeEnd>
<ChapterDisplay><ChapterString>Opening</ChapterString><ChapterLanguage>eng</ChapterLanguage></ChapterDisplay>
<ChapterDisplay><ChapterString>Anfang</ChapterString><ChapterLanguage>ger</ChapterLanguage></ChapterDisplay>
<ChapterAtom><ChapterUID>512</ChapterUID><ChapterTimeStart>00:00:00.500000001</ChapterTimeStart><ChapterFlagHidden>1</ChapterFlagHidden></ChapterAtom>
</ChapterAtom>
<ChapterAtom><ChapterUID>513</ChapterUID><ChapterTimeStart>00:00:01.500000000</ChapterTimeStart><ChapterFlagEnabled>0</ChapterFlagEnabled></ChapterAtom>
</EditionEntry>
<EditionEntry><EditionUID>502</EditionUID><EditionFlagOrdered>1</EditionFlagOrdered><EditionFlagHidden>1</EditionFlagHidden>
<ChapterAtom><ChapterUID>521</ChapterUID><ChapterTimeStart>00:00:00.000000000</ChapterTimeStart><ChapterTimeEnd>00:00:02.000000000</ChapterTimeEnd></ChapterAtom>
</EditionEntry>
</Chapters>
"#;

const GLOBAL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Tags>
<Tag><Targets><TargetTypeValue>50</TargetTypeValue></Targets><Simple><Name>ACTOR</Name><String>Ada</String><TagLanguage>ger</TagLanguage><Simple><Name>CHARACTER</Name><String>The Keeper</String></Simple></Simple>
<Simple><Name>ACTOR</Name><String>Bob</String></Simple></Tag>
<Tag><Targets><TargetTypeValue>70</TargetTypeValue><TargetType>COLLECTION</TargetType></Targets><Simple><Name>TITLE</Name><String>Stories</String></Simple></Tag>
<Tag><Targets><ChapterUID>513</ChapterUID></Targets><Simple><Name>NOTE</Name><String>the storm</String></Simple></Tag>
<Tag><Targets><EditionUID>502</EditionUID></Targets><Simple><Name>NOTE</Name><String>the short one</String></Simple></Tag>
</Tags>
"#;

const TRACK: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Tags><Tag><Simple><Name>SOURCE_ID</Name><String>001011</String></Simple>
<Simple><Name>GRADE</Name><String>4 &lt; 5 &amp; &quot;six&quot;&#13;
 end</String><TagLanguage>eng</TagLanguage></Simple>
<Simple><Name>KEY</Name><Binary format="hex">0001feff</Binary></Simple></Tag></Tags>
"#;

fn file(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The plain film, muxed again with much more; `dir` keeps what it is made of.
fn rich(dir: &Path) -> PathBuf {
    let plain = dir.join("plain.mkv");
    fs::write(&plain, &Made::plain().source).unwrap();
    let rich = dir.join("rich.mkv");
    let (chapters, global, track) =
        (file(dir, "c.xml", CHAPTERS), file(dir, "g.xml", GLOBAL), file(dir, "t.xml", TRACK));
    let (font, ass) = (file(dir, "font.ttf", "not really a font"), dir.join("s.ass"));
    let srt = file(
        dir,
        "s.srt",
        "1\n00:00:00,100 --> 00:00:00,900\none\n\n2\n00:00:01,100 --> 00:00:02,500\ntwo\n",
    );
    tool::run(tool::ffmpeg().args(["-i", &srt]).arg(&ass)).unwrap();
    let mut command = tool::command("mkvmerge");
    command.arg("-o").arg(&rich);
    command.args(["--chapters", &chapters, "--global-tags", &global, "--title", "Rich"]);
    command.args([
        "--attachment-description",
        "a font",
        "--attachment-mime-type",
        "application/x-truetype-font",
    ]);
    command.args(["--attach-file", &font]);
    command.args(["--tags", &format!("0:{track}"), "--tags", &format!("1:{track}")]);
    command.args([
        "--cropping",
        "0:2,4,6,8",
        "--display-dimensions",
        "0:360x180",
        "--forced-display-flag",
        "0:yes",
    ]);
    command.args(["--language", "0:pt-BR", "--no-chapters", "--no-global-tags"]).arg(&plain);
    for (codec, name) in
        [("libopus", "a.opus"), ("aac", "a.m4a"), ("pcm_s24le", "a.wav"), ("truehd", "a.thd")]
    {
        let path = dir.join(name);
        let mut sound = tool::ffmpeg();
        sound.args([
            "-f",
            "lavfi",
            "-i",
            "sine=d=3:sample_rate=48000",
            "-ac",
            "2",
            "-strict",
            "-2",
            "-c:a",
            codec,
        ]);
        tool::run(sound.arg(&path)).unwrap();
        command.arg(&path);
    }
    tool::run_accepting(command.arg(&ass), &[0, 1]).unwrap();
    rich
}

/// XML as mkvextract writes it, without what every mux writes anew and without the ids of tracks.
fn extracted(film: &Path, what: &str) -> Vec<String> {
    let text =
        String::from_utf8(tool::run(tool::command("mkvextract").arg(film).arg(what)).unwrap()).unwrap();
    let parts = text.split("<Simple>");
    let keep = |p: &&str| {
        !["BPS", "DURATION", "NUMBER_OF", "_STATISTICS"].iter().any(|s| p.contains(&format!("<Name>{s}")))
    };
    let mut kept: Vec<String> =
        parts.filter(keep).map(|p| p.split("</Simple>").next().unwrap_or(p).to_owned()).collect();
    kept.sort();
    kept
}

#[test]
fn everything_in_a_rich_film() {
    let dir = tempfile::tempdir().unwrap();
    let source = rich(dir.path());
    for mode in BOTH {
        let result = dir.path().join(format!("{mode:?}.mkv"));
        let certificate = convert(&source, &result, mode, &[]).unwrap_or_else(|e| panic!("{e:#}"));
        assert!(certificate.holds());
        let check = |name: &str| certificate.checks.iter().find(|c| c.name == name).unwrap();
        // Six of the whole, three of the film, three and one of the sound (libopus names itself).
        assert_eq!(check("tags").figures["tags"], 13, "{:?}", check("tags"));
        assert_eq!(check("chapters").figures["editions"], 2);
        // By mkvmerge's own word: the chapters to the letter, and the tags of the film.
        assert_eq!(extracted(&source, "chapters"), extracted(&result, "chapters"));
        let tags = extracted(&result, "tags");
        for told in ["<Name>SOURCE_ID</Name>", "<Name>GRADE</Name>", "<Name>KEY</Name>"] {
            assert_eq!(
                tags.iter().filter(|t| t.contains(told)).count(),
                2,
                "{told} of film and sound: {tags:#?}"
            );
        }
        let breaker = Breaker::new(&result, &dir.path().join("work")).unwrap();
        let film = &breaker.identify().unwrap()["tracks"][0]["properties"];
        assert_eq!(film["cropping"], "2,4,6,8", "{film:#}");
        assert_eq!(film["display_dimensions"], "360x180");
        assert_eq!((&film["language_ietf"], &film["forced_track"]), (&"pt-BR".into(), &true.into()));
    }
    breaks(dir, source);
}

/// What the richer film may lose besides.
fn breaks(dir: tempfile::TempDir, source: PathBuf) {
    let good = dir.path().join("Copy.mkv");
    let breaker = Breaker::new(&good, &dir.path().join("broken")).unwrap();
    let pair = Pair { mode: super::Mode::Copy, source, good, breaker, _dir: dir };
    let again = || {
        let _ = fs::remove_file(pair.breaker.broken());
        &pair.breaker
    };
    let film = again().edit(&["--tags", "track:v1:"]).unwrap();
    pair.fails(
        &film,
        &[(
            "tags",
            &[
                "tag GRADE of the film is missing; it was \"4 < 5 & \"six\"\r\n end\"",
                "tag KEY of the film is missing; it was 4 bytes (0001feff)",
                "tag SOURCE_ID of the film is missing; it was \"001011\"",
            ],
        )],
    );
    let shape =
        again().edit(&["--edit", "track:v1", "--delete", "pixel-crop-top", "--set", "display-width=320"]);
    pair.fails(
        &shape.unwrap(),
        &[(
            "tracks",
            &[
                "the film's crop (left, top, right, bottom) is 2, 0, 6, 8 instead of 2, 4, 6, 8",
                "the film is shown 1.778 times as wide as high instead of 2.000",
            ],
        )],
    );
    let chapters =
        again().chapters(|xml| xml.replace("<EditionFlagOrdered>1", "<EditionFlagOrdered>0")).unwrap();
    pair.fails(&chapters, &[("chapters", &["edition 2 is no longer \"ordered\""])]);
}
