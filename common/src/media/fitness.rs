//! Whether a film's picture and clock fit what is wanted of it, whatever its verdict.

use dovi::film::{Counts, Evidence};
use dovi::params::Vui;

use crate::job::{FailureCode, Mode, Recipe};

use super::refusal::{KEEP, Refusal};

/// BT.2020 primaries, PQ, BT.2020 non-constant luminance (H.273): what makes the compatibility id 1.
const COLOUR: (u8, u8, u8) = (9, 16, 9);
/// The code of H.273 for "unspecified", the same in all three tables.
const UNSPECIFIED: u8 = 2;

/// What the base layer's parameter sets say.
#[derive(Clone, Copy)]
pub(super) struct Picture {
    pub(super) bits: u8,
    pub(super) chroma: u8,
    pub(super) vui: Option<Vui>,
}

/// Pictures that Profile 8.1 cannot describe.
pub(super) fn unfit(evidence: &Evidence, picture: &Picture, recipe: &Recipe) -> Option<Refusal> {
    let unsupported = |what: String| Some(Refusal::new(FailureCode::SourceUnsupported, what).advice(KEEP));
    let foreign: Vec<String> = evidence
        .profiles
        .iter()
        .filter(|(p, _)| !matches!(p, 7 | 8))
        .map(|(p, n)| format!("{n} of profile {p}"))
        .collect();
    if !foreign.is_empty() {
        return unsupported(format!("among its RPUs are {}, which have no 8.1 form", foreign.join(", ")));
    }
    if (picture.bits, picture.chroma) != (10, 1) {
        let chroma =
            ["4:0:0", "4:2:0", "4:2:2", "4:4:4"].get(usize::from(picture.chroma)).unwrap_or(&"unknown");
        return unsupported(format!(
            "the base layer has {} bits and {chroma} colour, not 10 and 4:2:0",
            picture.bits
        ));
    }
    let unset = (UNSPECIFIED, UNSPECIFIED, UNSPECIFIED);
    let tags = picture.vui.map_or(unset, |v| (v.colour_primaries, v.transfer, v.matrix));
    let fits = |tag: u8, wanted: u8| tag == wanted || tag == UNSPECIFIED;
    let named = format!("{}/{}/{}", tags.0, tags.1, tags.2);
    if !(fits(tags.0, COLOUR.0) && fits(tags.1, COLOUR.1) && fits(tags.2, COLOUR.2)) {
        let kind = match tags.1 {
            18 => "HLG",
            1 | 6 | 14 | 15 => "SDR",
            _ => "another kind of picture",
        };
        return unsupported(format!(
            "the base layer is tagged as {kind} (primaries/transfer/matrix {named}), not as PQ and BT.2020: new tags \
             would not change what the picture is"
        ));
    }
    if picture.vui.is_some_and(|v| v.full_range) {
        return unsupported(
            "the base layer is tagged as full range, Profile 8.1 is limited range".to_owned(),
        );
    }
    if recipe.mode == Mode::Copy && tags != COLOUR {
        let what = format!(
            "the base layer is not tagged as PQ and BT.2020 (primaries/transfer/matrix {named}), and copy mode \
             cannot change that"
        );
        let refusal = Refusal::new(FailureCode::SourceUnsupported, what);
        return Some(refusal.unless("recipe.mode = \"encode\" writes the right tags"));
    }
    None
}

/// Frames that an encoder cannot take in at their times.
pub(super) fn unencodable(counts: &Counts, first_ns: Option<i64>, recipe: &Recipe) -> Option<Refusal> {
    let odd = counts.equal_pts + counts.backward_pts;
    let at = counts.irregular_pts_at?;
    if recipe.mode != Mode::Encode || odd == 0 {
        return None;
    }
    let what = format!(
        "frames shown no later than the frame before them: {odd} ({} at the same time, {} earlier; the first is \
         frame {at} at {:.3} s); an encoder drops or moves such frames",
        counts.equal_pts,
        counts.backward_pts,
        first_ns.unwrap_or(0) as f64 / 1e9
    );
    let refusal = Refusal::new(FailureCode::SourceTimestamps, what);
    Some(refusal.unless("recipe.mode = \"copy\" keeps every frame and its time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        Evidence { frames: 240, fel_rpus: 240, el_bytes: 9, ..Evidence::default() }
    }

    #[test]
    fn pictures_that_profile_8_cannot_describe() {
        let vui = |tags: (u8, u8, u8), full_range| Vui {
            colour_primaries: tags.0,
            transfer: tags.1,
            matrix: tags.2,
            full_range,
            chroma_loc: None,
            field_seq: false,
            timing: None,
        };
        let good = Picture { bits: 10, chroma: 1, vui: Some(vui(COLOUR, false)) };
        let tagged = |tags| Picture { vui: Some(vui(tags, false)), ..good };
        let (encode, copy) = (Recipe::default(), Recipe { mode: Mode::Copy, ..Recipe::default() });
        for (name, picture, [encoded, copied]) in [
            ("pq", good, [true, true]),
            ("untagged", tagged((2, 2, 2)), [true, false]),
            ("no vui", Picture { vui: None, ..good }, [true, false]),
            ("half tagged", tagged((9, 16, 2)), [true, false]),
            ("hlg", tagged((9, 18, 9)), [false, false]),
            ("bt.709", tagged((1, 1, 1)), [false, false]),
            ("constant luminance", tagged((9, 16, 10)), [false, false]),
            ("full range", Picture { vui: Some(vui(COLOUR, true)), ..good }, [false, false]),
            ("8 bit", Picture { bits: 8, ..good }, [false, false]),
            ("4:2:2", Picture { chroma: 2, ..good }, [false, false]),
        ] {
            for (recipe, fits) in [(&encode, encoded), (&copy, copied)] {
                let refusal = unfit(&evidence(), &picture, recipe);
                assert_eq!(refusal.is_none(), fits, "{name}: {refusal:?}");
                assert!(refusal.is_none_or(|r| r.code == FailureCode::SourceUnsupported), "{name}");
            }
        }
        let foreign = Evidence { profiles: [(7, 200), (5, 40)].into(), ..evidence() };
        let refusal = unfit(&foreign, &good, &encode).unwrap();
        assert!(refusal.what.contains("40 of profile 5"), "{refusal}");
    }

    #[test]
    fn odd_times_are_for_copy_mode() {
        let counts =
            Counts { equal_pts: 1, backward_pts: 2, irregular_pts_at: Some(24), ..Counts::default() };
        let refusal = unencodable(&counts, Some(1_001_000_000), &Recipe::default()).unwrap();
        assert_eq!(refusal.code, FailureCode::SourceTimestamps);
        assert!(
            refusal.to_string().contains("before them: 3 (")
                && refusal.to_string().contains("frame 24 at 1.001 s")
        );
        assert!(refusal.advice.contains("recipe.mode = \"copy\""));
        assert_eq!(unencodable(&counts, None, &Recipe { mode: Mode::Copy, ..Recipe::default() }), None);
        assert_eq!(unencodable(&Counts::default(), None, &Recipe::default()), None);
    }
}
