//! Edge cases of tracks, files and the machine around them.

use super::edges::{Edge, by_films};

pub(super) fn tracks() -> Vec<Edge> {
    vec![
        by_films(
            "the enhancement layer in a track of its own",
            "paired by time, its RPUs used, its track left out of the result",
            &["mel-dual-track", "mel-dual-el-first"],
        ),
        by_films(
            "the enhancement layer in BlockAdditions",
            "refused by name: a remux puts it where it can be read",
            &["el-in-additions"],
        ),
        by_films(
            "other video tracks (AVC or small HEVC extras, cover as a track)",
            "copied untouched; the film is told by codec and size",
            &["extra-avc", "extra-hevc", "extra-cover"],
        )
        .test("dovi/tests/film_scan.rs", "the_film_is_told_from_cover_art_extras_and_rivals"),
        by_films("two tracks could be the film", "refused", &["two-films"]),
        by_films("gaps in the sound at branch points", "copied as they are", &["truehd-gap"]),
        by_films(
            "laced sound whose frames have no duration in the container",
            "refused: mkvmerge gives all FLAC frames of a lace the time of their block (measured)",
            &["sound-no-duration"],
        ),
        by_films(
            "name, language, flags and display size of the video track, chapters, tags, attachments",
            "carried over (every film of the corpus has some)",
            &["mel-closed-gop"],
        )
        .test("e2e/tests/film_maker.rs", "track_comparison_sees_what_a_remux_changes"),
        by_films(
            "Colour element of the container",
            "written anew from the values that count",
            &["light-in-container"],
        ),
    ]
}

pub(super) fn files() -> Vec<Edge> {
    vec![
        by_films(
            "truncated or unfinished file",
            "refused before anything is encoded",
            &["truncated", "truncated-live", "empty", "not-matroska"],
        )
        .test("dovi/tests/film_matroska.rs", "every_cut_is_named"),
        by_films("damaged structure", "refused", &["flipped-structure", "hole-in-picture"])
            .test("dovi/tests/film_matroska.rs", "damaged_files_end")
            .not_covered(
                "flipped bits inside a slice's data: no decoder tells, and the source has no checksum",
            ),
        by_films(
            "damage in the sound",
            "found when the result's sound is compared with the source's; nothing is published",
            &["hole-in-sound"],
        ),
        by_films(
            "compressed or stripped tracks, laced sound",
            "undone while reading (all films have laced AC-3 and FLAC)",
            &["file-zlib", "file-stripped"],
        ),
        by_films(
            "no index, unknown sizes, Void elements anywhere",
            "read front to back all the same",
            &["file-no-cues", "file-live", "file-voids"],
        )
        .test("dovi/tests/film_matroska.rs", "unknown_sizes_and_other_muxers_give_the_same_payload"),
        by_films(
            "file names that look like options, protocols, patterns, or are not UTF-8",
            "bytes from end to end",
            &[
                "name-dash",
                "name-at",
                "name-plus",
                "name-spaces",
                "name-quotes",
                "name-newline",
                "name-umlaut",
                "name-bytes",
                "name-colon",
                "name-percent",
                "name-nested",
            ],
        ),
        by_films(
            "more than 100 GB",
            "64 bit offsets, one read in order; room is reserved before work begins",
            &[],
        )
        .test("consumer/src/workspace/space.rs", "copies_need_the_whole_video_and_encodes_half")
        .not_covered("no such file is made: it would take an hour and the disk"),
        by_films(
            "muxers move and repeat parameter sets",
            "only slices are compared, and the film is demuxed by our own reader",
            &[],
        )
        .test(
            "dovi/tests/film_copy.rs",
            "copied_film_is_profile_8_1_with_the_same_slices_and_every_rpu_in_place",
        )
        .test("dovi/tests/film_matroska.rs", "same_frames_as_another_reader"),
        by_films(
            "worker killed in the middle",
            "another begins anew; what the dead one left is removed",
            &[],
        )
        .test("e2e/tests/worker.rs", "workers_and_a_real_broker")
        .test("e2e/tests/convert.rs", "partial_results_of_dead_attempts_go_and_those_of_others_stay"),
    ]
}
