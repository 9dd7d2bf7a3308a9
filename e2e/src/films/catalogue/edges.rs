//! The edge cases: what the system does about each, and what shows that it does.

use super::edges_of_files;

/// What shows that a case is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The film of this name, with its own expectations.
    Film(&'static str),
    /// A test function in a file of the tree.
    Test(&'static str, &'static str),
    /// Nothing does, for this reason.
    NotCovered(&'static str),
}

/// One edge case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The case, in a few words.
    pub case: &'static str,
    /// What is done about it.
    pub rule: &'static str,
    /// What shows it; never empty.
    pub shown: Vec<Shown>,
}

/// A case shown by films.
pub(super) fn by_films(case: &'static str, rule: &'static str, films: &[&'static str]) -> Edge {
    Edge { case, rule, shown: films.iter().map(|name| Shown::Film(name)).collect() }
}

impl Edge {
    pub(super) fn test(mut self, file: &'static str, function: &'static str) -> Self {
        self.shown.push(Shown::Test(file, function));
        self
    }

    pub(super) fn not_covered(mut self, reason: &'static str) -> Self {
        self.shown.push(Shown::NotCovered(reason));
        self
    }
}

/// Every edge case, in the order of the documentation.
pub fn edges() -> Vec<Edge> {
    [kinds(), timing(), pictures(), rpus(), edges_of_files::tracks(), edges_of_files::files()].concat()
}

fn kinds() -> Vec<Edge> {
    vec![
        by_films(
            "minimal enhancement layer (MEL)",
            "converted; the mapping is kept, since it is the picture",
            &["mel-closed-gop", "mel-cmv29"],
        ),
        by_films(
            "full enhancement layer (FEL)",
            "converted with a notice that its detail is gone; `recipe.fel` may refuse it",
            &["fel", "fel-identity", "fel-cmv29"],
        )
        .test("e2e/tests/convert.rs", "policies_decide_and_say_which_setting_it_is"),
        by_films(
            "FEL that expands brightness",
            "refused unless `recipe.fel_expanding` allows it",
            &["fel-expanding"],
        )
        .test("e2e/tests/convert.rs", "policies_decide_and_say_which_setting_it_is"),
        by_films("MEL and FEL mixed in one film", "counts as FEL", &["mixed-layers"]),
        by_films(
            "profile 7 RPUs, but no enhancement layer (the film was encoded again)",
            "converted: only the metadata has to change",
            &["mel-without-el"],
        ),
        by_films(
            "the container says profile 7, but there are no RPUs",
            "no candidate: Dolby Vision was stripped already",
            &["record-only", "dual-without-rpus"],
        ),
        by_films("RPUs, but no record in the container", "the RPUs decide", &["no-record"]),
        by_films("already profile 8.1", "nothing to do", &["p81"]),
        by_films(
            "profile 5",
            "no candidate: its base layer is no HDR10 picture, new metadata would give wrong colours",
            &["p5"],
        ),
        by_films("profiles 4, 8.2 and 8.4", "no candidates, named as what they are", &["p4", "p82", "p84"])
            .not_covered("profiles 10 and 20 are no HEVC films of this kind (AV1, MV-HEVC)"),
        by_films("HDR10, HDR10+, HLG, SDR", "no candidates", &["hdr10", "hdr10plus", "hlg", "sdr"]),
        by_films(
            "profile 7 RPUs over a base layer that is not PQ (HLG, BT.709)",
            "refused: PQ tags over such a picture would be wrong",
            &["base-hlg", "base-bt709"],
        ),
        by_films("CM v2.9 and v4.0", "both kept as they are", &["mel-cmv29", "mel-closed-gop"])
            .not_covered("taking v4.0 out for old players is not offered"),
    ]
}

fn timing() -> Vec<Edge> {
    vec![
        by_films(
            "variable frame rate, mixed 23.976 and 29.97",
            "every frame keeps its own time, no frame is dropped or doubled",
            &["mel-vfr"],
        ),
        by_films(
            "23.976, 24, 25, 29.97",
            "the rate is found in the timestamps, to the fraction",
            &["mel-closed-gop", "mel-24", "mel-25", "mel-2997"],
        ),
        by_films("timestamps in whole milliseconds, no frame duration", "as above", &["mel-rounded"]),
        by_films(
            "the picture or the sound does not begin at zero",
            "both keep their times",
            &["mel-offset", "sound-delayed"],
        ),
        by_films(
            "the stream begins with a CRA and its leading pictures",
            "encode drops exactly the RPUs of the pictures no decoder shows, copy keeps all",
            &["mel-cra-start"],
        ),
        by_films(
            "end of sequence in mid-stream (seamless branching)",
            "as above; order of display restarts there",
            &["mel-eos"],
        )
        .test("dovi/tests/hevc_inject.rs", "end_of_sequence_stays_last_and_restarts_the_count"),
        by_films(
            "frames doubled at a joint: equal or backward timestamps",
            "never removed; encode is refused and points to copy, which keeps every frame",
            &["time-equal", "time-backwards"],
        ),
    ]
}

fn pictures() -> Vec<Edge> {
    vec![
        by_films(
            "closed GOP, open GOP, RADL pictures, slices, temporal layers",
            "RPUs are placed by picture order count, whatever the structure",
            &["mel-closed-gop", "mel-open-gop", "mel-radl", "mel-slices", "mel-temporal-layers"],
        )
        .test("dovi/tests/hevc_structures.rs", "every_rpu_meets_its_frame"),
        by_films("no access unit delimiters", "not needed", &["mel-no-aud"]),
        by_films(
            "parameter sets change in mid-stream",
            "each slice is read by the sets of its time; another picture format is refused",
            &["mel-new-parameters", "new-size"],
        ),
        by_films("interlaced, fields", "refused", &["fields"]),
        by_films("a cropped height", "the conformance window counts", &["mel-odd-height"]),
        by_films(
            "no colour tags in the base layer",
            "encode writes them; copy would have to leave them out and is refused",
            &["mel-untagged"],
        ),
        by_films(
            "HDR10 values in the container only, or none for content light",
            "SEI before container before level 6; what nobody says is not invented",
            &["light-in-container", "light-no-cll"],
        ),
        by_films(
            "level 6 contradicts the mastering display (RPUs of another source)",
            "the base layer's values count, with a notice",
            &["light-other-in-l6"],
        )
        .not_covered(
            "bars in the picture are not compared with level 5: nothing is decoded before the encode",
        ),
        by_films("HDR10+ besides Dolby Vision", "every message stays with its picture", &["mel-hdr10plus"])
            .test("dovi/tests/film_copy.rs", "hdr10plus_is_indexed_by_display_and_survives_the_copy"),
        by_films(
            "closed captions and other user data in SEI messages",
            "copy keeps them, encode loses them",
            &[],
        )
        .not_covered("the loss is ffmpeg's and x265's; there is no promise to test"),
        by_films(
            "black bars, constant or changing (IMAX scenes)",
            "never cropped: level 5 of every frame stays as it is",
            &["mel-letterbox", "mel-imax"],
        ),
        by_films("cropping, scaling", "not offered: level 5 would have to follow", &[])
            .not_covered("there is no such setting"),
        by_films(
            "an RPU that sits on the wrong picture of the result",
            "found, and nothing is published",
            &[],
        )
        .test("e2e/tests/film_maker.rs", "a_shifted_film_is_not_clean"),
    ]
}

fn rpus() -> Vec<Edge> {
    vec![
        by_films(
            "frames without RPU",
            "refused, however the gap lies, unless the recipe allows a share of them; then filled from the frame before",
            &["rpu-missing-start", "rpu-missing", "rpu-missing-one", "rpu-sparse"],
        )
        .test("e2e/tests/convert.rs", "a_small_gap_is_filled_only_if_the_recipe_allows_it"),
        by_films("one RPU short at the very end", "filled from the frame before, with a notice", &[
            "rpu-missing-last",
        ]),
        by_films("the same RPU twice in a frame", "one is kept, with a notice", &["rpu-twice"]),
        by_films("two different RPUs in a frame", "refused: players disagree which one counts", &["rpu-duplicate"]),
        by_films("RPU not last in its access unit", "put last", &["rpu-not-last"]),
        by_films("damaged or unknown RPU", "refused with the number of the frame", &["rpu-garbage"])
            .test("dovi/tests/film_rpu.rs", "forged_rpus_never_panic"),
        by_films("RPUs above 1023 bytes", "nothing special", &["rpu-large"]),
    ]
}
