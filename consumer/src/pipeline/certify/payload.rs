//! V6 and V7: every coded slice is, bit for bit, the source's (copy) or what the encoder wrote (encode).

use common::job::{Check, Mode};
use dovi::film::Resemblance;

use super::findings::Findings;
use super::pair::Pair;
use super::words::seconds;

impl Pair<'_> {
    /// `None` if nobody knows what the picture data should be: an encode of somebody else.
    pub(super) fn payload(&self) -> Option<Check> {
        let want = self.want.payload?;
        let mut f = Findings::new("payload");
        let copy = self.want.mode == Mode::Copy;
        let found = self.result.vcl;
        if want != found {
            f.wrong(if copy {
                format!(
                    "the picture data are not those of the source's base layer{}",
                    self.first_difference()
                )
            } else {
                format!("the picture data are not what the encoder wrote (hash {found} instead of {want})")
            });
        }
        f.figure("hash", found.to_string());
        f.figure("planned", want.to_string());
        f.figure("bytes", self.result.pictures.iter().map(|p| p.bytes).sum::<u64>());
        let what = if copy { "the source's base layer" } else { "the encoder's output" };
        let short: String = want.to_string().chars().take(16).collect();
        Some(f.finish(format!("all slices are bit-equal to {what} (BLAKE3 {short}…)")))
    }

    fn first_difference(&self) -> String {
        let first = Resemblance::of(&self.source.pictures, &self.result.pictures).first_difference;
        let place = |decode: u64| {
            let display = *self.source.display_of.get(usize::try_from(decode).ok()?)?;
            let pts = *self.source.pts_ns.get(display as usize)?;
            Some(format!("; the first that differs is frame {display} ({})", seconds(pts)))
        };
        match first {
            Some(decode) => place(decode).unwrap_or_default(),
            None => "; they are equal as far as both go".into(),
        }
    }
}
