//! How much work a film is, and how long one took.

use common::job::{Extent, JobMessage, Mode, Recipe, StageTime};
use serde::Deserialize;

use super::{Finish, Kind};

/// From so many samples a line on, a film counts as one of a large picture. 2160p is 3840 wide, 1080p is 1920.
const LARGE: u64 = 2560;

/// What a film asks for, apart from who does it.
#[derive(Debug, Clone, PartialEq)]
pub struct Amount {
    /// See [`recipe_name`].
    pub recipe: String,
    /// Whether the picture is larger than 1080p or so; none if that is not known.
    pub large: Option<bool>,
    /// Megapixels of an encode, megabytes of a copy; none if that is not known.
    pub units: Option<f64>,
    /// Bytes of the source.
    pub bytes: u64,
}

impl Amount {
    /// That of a queued film.
    pub fn of(job: &JobMessage) -> Self {
        Self::new(&job.recipe, job.size, job.extent)
    }

    fn new(recipe: &Recipe, bytes: u64, extent: Option<Extent>) -> Self {
        let extent = extent.filter(|e| e.width > 0 && e.height > 0 && e.frames > 0);
        let pixels = extent.map(|e| f64::from(e.width) * f64::from(e.height) * e.frames as f64);
        let units = match recipe.mode {
            Mode::Encode => pixels.map(|p| p / 1e6),
            Mode::Copy => Some(bytes.max(1) as f64 / 1e6),
        };
        let large = extent.map(|e| u64::from(e.width) > LARGE);
        Self { recipe: recipe_name(recipe), large, units, bytes }
    }
}

/// What a film's speed depends on in a recipe: `copy`, `x265 slow`, `nvenc medium`; further options of the encoder behind it.
/// The quality number matters too, but much less than the films differ among themselves.
pub fn recipe_name(recipe: &Recipe) -> String {
    if recipe.mode == Mode::Copy {
        return "copy".into();
    }
    let mut name = format!("{} {}", recipe.encoder.name(), recipe.preset);
    for more in recipe.x265_params.iter().chain(&recipe.encoder_args) {
        name.push(' ');
        name.push_str(more);
    }
    name
}

/// The part of a certificate that tells how a film went. Reading only that takes a third of the time.
#[derive(Debug, Clone, Deserialize)]
pub struct Finished {
    source: Sized,
    result: Sized,
    recipe: Option<Recipe>,
    frames: u64,
    #[serde(default)]
    checks: Vec<Check>,
    #[serde(default)]
    stages: Vec<StageTime>,
    worker: String,
    /// When it was proven.
    pub at: jiff::Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
struct Sized {
    size: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Check {
    #[serde(default)]
    figures: Figures,
}

/// Only the check of the profile has these.
#[derive(Debug, Clone, Default, Deserialize)]
struct Figures {
    #[serde(default)]
    width: Option<serde_json::Value>,
    #[serde(default)]
    height: Option<serde_json::Value>,
}

impl Finished {
    /// Bytes of the original.
    pub fn before(&self) -> u64 {
        self.source.size
    }

    /// Bytes of the result.
    pub fn after(&self) -> u64 {
        self.result.size
    }

    /// What is learned from it; none if it does not say how long it took or how much it was.
    pub fn finish(&self) -> Option<Finish> {
        let number = |v: &Option<serde_json::Value>| u32::try_from(v.as_ref()?.as_u64()?).ok();
        let mut sizes =
            self.checks.iter().filter_map(|c| number(&c.figures.width).zip(number(&c.figures.height)));
        let frames = self.frames;
        let extent = sizes.next_back().map(|(width, height)| Extent { width, height, frames });
        let amount = Amount::new(self.recipe.as_ref()?, self.source.size, extent);
        let seconds: f64 = self.stages.iter().map(|s| s.seconds).sum();
        let kind = Kind { recipe: amount.recipe, large: amount.large, worker: self.worker.clone() };
        let fine = |n: &f64| n.is_finite() && *n > 0.0;
        Some(Finish {
            kind,
            units: amount.units.filter(fine)?,
            bytes: self.source.size.max(1),
            seconds: Some(seconds).filter(fine)?,
            at: self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = r#"{"v":1,"job":null,"film":"films:a.mkv","source":{"path":"/a.mkv","size":5000000,"mtime_ns":3},
        "result":{"path":"/b.mkv","size":1000000,"mtime_ns":3},"verdict":"MEL","evidence":"","recipe":null,"frames":100,
        "wrong_frames":0,"checks":[{"name":"frames","ok":true,"found":""},{"name":"profile","ok":true,"found":"",
        "figures":{"width":3840,"height":2160,"matrix":[9]}}],"stages":[{"stage":"encode","seconds":80.0},
        {"stage":"verify","seconds":20.5}],"worker":"w","at":"2026-01-01T00:00:00Z"}"#;

    fn finished(recipe: &Recipe) -> Finished {
        let mut json: serde_json::Value = serde_json::from_str(CERTIFICATE).unwrap();
        json["recipe"] = serde_json::to_value(recipe).unwrap();
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_encode_is_pixels_and_a_copy_is_bytes() {
        let encode = finished(&Recipe::default()).finish().unwrap();
        assert_eq!((encode.units, encode.seconds), (829.44, 100.5));
        assert_eq!(encode.kind, Kind { recipe: "x265 slow".into(), large: Some(true), worker: "w".into() });
        let copy = finished(&Recipe { mode: Mode::Copy, ..Recipe::default() }).finish().unwrap();
        assert_eq!((copy.units, copy.kind.recipe.as_str()), (5.0, "copy"));
        let job = JobMessage::new("films:a.mkv".parse().unwrap(), 7, 9, Recipe::default(), "MEL".into());
        assert_eq!(Amount::of(&job).units, None);
        let extent = Some(Extent { width: 1000, height: 1000, frames: 24 });
        assert_eq!(Amount::of(&JobMessage { extent, ..job }).units, Some(24.0));
    }

    #[test]
    fn a_certificate_that_tells_nothing_teaches_nothing() {
        let none: Finished = serde_json::from_str(CERTIFICATE).unwrap();
        assert!(none.finish().is_none(), "no recipe");
        let mut timeless = finished(&Recipe::default());
        timeless.stages.clear();
        assert!(timeless.finish().is_none());
    }
}
