//! V4 and the picture half of V5: the container says Profile 8.1, the stream is what that means, and levels are possible.

use common::job::Check;
use dovi::film::FilmIndex;
use dovi::matroska::Track;

use super::findings::Findings;
use super::pair::Pair;

/// `dvvC` as a number, the record of profiles 8 to 10 ("Dolby Vision streams within Matroska").
const DVVC: u64 = 0x6476_7643;
/// `dvcC`, the record of profiles up to 7.
const DVCC: u64 = 0x6476_6343;

/// Most luma samples per second of the Dolby Vision levels 1 to 13 (Dolby Vision Profiles and Levels, section 2.2).
const DOLBY_RATES: [u64; 13] = [
    1280 * 720 * 24,
    1280 * 720 * 30,
    1920 * 1080 * 24,
    1920 * 1080 * 30,
    1920 * 1080 * 60,
    3840 * 2160 * 24,
    3840 * 2160 * 30,
    3840 * 2160 * 48,
    3840 * 2160 * 60,
    3840 * 2160 * 120,
    3840 * 2160 * 120,
    7680 * 4320 * 60,
    7680 * 4320 * 120,
];

/// `general_level_idc`, most luma samples in a picture, most in a second (H.265 tables A.8 and A.9).
const HEVC_LEVELS: [(u8, u64, u64); 13] = [
    (30, 36_864, 552_960),
    (60, 122_880, 3_686_400),
    (63, 245_760, 7_372_800),
    (90, 552_960, 16_588_800),
    (93, 983_040, 33_177_600),
    (120, 2_228_224, 66_846_720),
    (123, 2_228_224, 133_693_440),
    (150, 8_912_896, 267_386_880),
    (153, 8_912_896, 534_773_760),
    (156, 8_912_896, 1_069_547_520),
    (180, 35_651_584, 1_069_547_520),
    (183, 35_651_584, 2_139_095_040),
    (186, 35_651_584, 4_278_190_080),
];

impl Pair<'_> {
    pub(super) fn profile(&self) -> Check {
        let mut f = Findings::new("profile");
        let (v, track) = (&self.result.video, film(self.result));
        let level = self.record(&mut f, track);
        let vui = v.vui.map(|v| (v.colour_primaries, v.transfer, v.matrix, v.full_range));
        match vui {
            Some((9, 16, 9, false)) => {}
            Some((primaries, transfer, matrix, full)) => f.wrong(format!(
                "the colour is {primaries}/{transfer}/{matrix} {} instead of 9/16/9 limited (BT.2020, PQ)",
                if full { "full range" } else { "limited" }
            )),
            None => f.wrong("the stream says nothing of its colour"),
        }
        f.equal("the bit depth", &10, &v.bit_depth);
        f.equal("the chroma format", &1, &v.chroma_format_idc);
        let size = |i: &FilmIndex| format!("{}x{}", i.video.width, i.video.height);
        f.equal("the picture size", &size(self.source), &size(self.result));
        let (hevc, source) = (Hevc::of(track), Hevc::of(film(self.source)));
        if let Some(h) = hevc {
            if h.profile != 2 {
                f.odd(format!("the HEVC profile is {} instead of 2 (Main 10)", h.profile), hevc == source);
            }
            if !h.holds(self.result) {
                f.odd(
                    format!("HEVC level {} is too low for {}", h.level(), size(self.result)),
                    hevc == source,
                );
            }
            f.figure("hevc_profile", h.profile);
            f.figure("hevc_level", h.level());
            f.figure("hevc_tier", h.tier());
        }
        f.figure("width", v.width);
        f.figure("height", v.height);
        f.figure("bit_depth", v.bit_depth);
        f.figure("colour_primaries", vui.map(|v| v.0));
        f.figure("transfer", vui.map(|v| v.1));
        f.figure("matrix", vui.map(|v| v.2));
        f.figure("full_range", vui.map(|v| v.3));
        let hevc =
            hevc.map(|h| format!(", Main 10 level {} {} tier", h.level(), h.tier())).unwrap_or_default();
        f.finish(format!("dvvC 8.1 level {level}, no el, BT.2020 PQ limited, {}{hevc}", size(self.result)))
    }

    /// The Dolby Vision record; gives its level.
    fn record(&self, f: &mut Findings, track: &Track) -> u8 {
        let Some(d) = track.dovi else {
            f.wrong("there is no Dolby Vision record (dvvC)");
            return 0;
        };
        if track.addition_types.contains(&DVCC) {
            f.wrong("the Dolby Vision record is a dvcC, which players take for profile 7 or below, instead of a dvvC");
        } else if !track.addition_types.contains(&DVVC) {
            f.wrong("the Dolby Vision record is of an unknown kind instead of a dvvC");
        }
        f.equal("the record's profile", &8, &d.profile);
        f.equal("the record's compatibility id", &1, &d.compat);
        let yes = |b: bool| if b { "yes" } else { "no" };
        f.equal("the record's \"rpu present\"", "yes", yes(d.rpu));
        f.equal("the record's \"base layer present\"", "yes", yes(d.bl));
        f.equal("the record's \"enhancement layer present\"", "no", yes(d.el));
        let most = usize::from(d.level).checked_sub(1).and_then(|i| DOLBY_RATES.get(i));
        match most {
            None => f.wrong(format!("the record's level {} does not exist", d.level)),
            // A rate measured from rounded times may be a little too high.
            Some(most) if samples_per_second(self.result) > *most as f64 * 1.02 => {
                f.wrong(format!("the record's level {} is too low for this picture and frame rate", d.level));
            }
            Some(_) => {}
        }
        f.figure("profile", d.profile);
        f.figure("compatibility", d.compat);
        f.figure("level", d.level);
        f.figure("rpu_present", d.rpu);
        f.figure("bl_present", d.bl);
        f.figure("el_present", d.el);
        d.level
    }
}

/// The track of the film itself.
pub(super) fn film(index: &FilmIndex) -> &Track {
    &index.header.tracks[index.video.track_id]
}

fn samples_per_second(index: &FilmIndex) -> f64 {
    let span = match index.pts_ns.as_slice() {
        [first, .., last] => (last - first) as f64 / 1e9,
        _ => return 0.0,
    };
    let rate = if span > 0.0 { (index.frames - 1) as f64 / span } else { 0.0 };
    f64::from(index.video.width) * f64::from(index.video.height) * rate
}

/// Profile, tier and level of the configuration record (ISO/IEC 14496-15 section 8.3.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hevc {
    profile: u8,
    high: bool,
    level_idc: u8,
}

impl Hevc {
    fn of(track: &Track) -> Option<Self> {
        let (general, level_idc) = (track.codec_private.get(1)?, *track.codec_private.get(12)?);
        Some(Self { profile: general & 0x1F, high: general & 0x20 != 0, level_idc })
    }

    fn level(self) -> String {
        format!("{}.{}", self.level_idc / 30, self.level_idc % 30 / 3)
    }

    fn tier(self) -> &'static str {
        if self.high { "High" } else { "Main" }
    }

    /// Whether pictures of this size and number fit; an unknown level holds nothing.
    fn holds(self, index: &FilmIndex) -> bool {
        let picture = u64::from(index.video.width) * u64::from(index.video.height);
        HEVC_LEVELS.iter().find(|(idc, _, _)| *idc == self.level_idc).is_some_and(|(_, size, rate)| {
            picture <= *size && samples_per_second(index) <= *rate as f64 * 1.02
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_told_as_people_write_them() {
        let of = |level_idc| Hevc { profile: 2, high: true, level_idc };
        assert_eq!([30, 63, 153, 186].map(|l| of(l).level()), ["1.0", "2.1", "5.1", "6.2"]);
        assert!(DOLBY_RATES.is_sorted() && HEVC_LEVELS.is_sorted());
    }
}
