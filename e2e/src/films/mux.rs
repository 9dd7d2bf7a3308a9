//! Puts streams and extras into one Matroska file, with mkvmerge, the way disc remuxes come.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::extras::Extras;
use super::interleave::Streams;
use super::spec::{Container, ExtraVideo, FilmRecipe, Light, Sound, Storage, Timing};
use crate::tool;

/// Title of every film: with the characters that trip naive quoting.
pub(super) const TITLE: &str = "The Keeper's \"Light\" & other – stories: 100 % {true}";

/// Writes the streams into `dir` and muxes everything to `target` (an absolute path with a tame name).
pub(super) fn mux(
    recipe: &FilmRecipe,
    streams: &Streams,
    extras: &Extras,
    dir: &Path,
    target: &Path,
) -> Result<()> {
    let main = dir.join("main.hevc");
    fs::write(&main, &streams.main)?;
    let mut args = Args::default();
    // The seed makes track UIDs and the file itself the same in every run.
    args.add(["--deterministic", "dovi", "--title", TITLE]).option("--output", target);
    args.option("--chapters", &extras.chapters).option("--global-tags", &extras.tags);
    args.add(["--attachment-name", "cover.png", "--attachment-mime-type", "image/png"]);
    args.add(["--attachment-description", "Front cover"]).option("--attach-file", &extras.cover);
    if recipe.container == Container::NoCues {
        args.add(["--no-cues"]);
    }
    let second = match &streams.second {
        Some(bytes) => {
            let path = dir.join("second.hevc");
            fs::write(&path, bytes)?;
            Some(path)
        }
        None => None,
    };
    if let Some(cover) = extras.video.as_ref().filter(|_| recipe.extra == ExtraVideo::CoverFirst) {
        args.add(["--language", "0:und", "--default-track-flag", "0:no"]).file(cover);
    }
    let el = |args: &mut Args| -> Result<()> {
        let Some(path) = &second else { return Ok(()) };
        clock(recipe, dir, args)?;
        args.add(["--language", "0:und", "--default-track-flag", "0:no"]).file(path);
        Ok(())
    };
    if recipe.storage == Storage::DualElFirst {
        el(&mut args)?;
    }
    clock(recipe, dir, &mut args)?;
    packing(recipe, &mut args);
    if recipe.light == Light::Container {
        // The values of the SEI messages, as decimals.
        args.add(["--max-content-light", "0:1000", "--max-frame-light", "0:400"]);
        args.add(["--max-luminance", "0:1000", "--min-luminance", "0:0.0001"]);
        args.add(["--chromaticity-coordinates", "0:0.68,0.32,0.265,0.69,0.15,0.06"]);
        args.add(["--white-colour-coordinates", "0:0.3127,0.329"]);
    }
    args.add(["--language", "0:en", "--track-name", "0:Feature"]).file(&main);
    if recipe.storage != Storage::DualElFirst {
        el(&mut args)?;
    }
    if let Some(video) = extras.video.as_ref().filter(|_| recipe.extra != ExtraVideo::CoverFirst) {
        args.add(["--language", "0:en", "--track-name", "0:Extra", "--default-track-flag", "0:no"]);
        args.file(video);
    }
    if recipe.sound == Sound::Delayed {
        args.add(["--sync", "0:120"]);
    }
    packing(recipe, &mut args);
    args.add(["--language", "0:en-US", "--track-name", "0:Surround 5.1", "--default-track-flag", "0:yes"]);
    args.add(["--original-flag", "0:yes"]).file(&extras.ac3);
    packing(recipe, &mut args);
    args.add([
        "--language",
        "0:fr",
        "--track-name",
        "0:Commentaire (réalisatrice)",
        "--default-track-flag",
        "0:no",
    ]);
    args.add(["--commentary-flag", "0:yes"]).file(&extras.flac);
    if let Some(truehd) = &extras.truehd {
        args.add(["--language", "0:ja", "--default-track-flag", "0:no"]).file(truehd);
    }
    args.add(["--language", "0:en", "--default-track-flag", "0:no", "--hearing-impaired-flag", "0:yes"]);
    args.add(["--track-name", "0:English SDH"]).file(&extras.english);
    args.add(["--language", "0:pt-BR", "--default-track-flag", "0:no", "--forced-display-flag", "0:yes"]);
    args.add(["--track-name", "0:Português, forçado"]).file(&extras.portuguese);
    let mut command = tool::command("mkvmerge");
    command.args(&args.0);
    // Exit code 1 stands for warnings: the damaged films earn some.
    tool::run_accepting(&mut command, &[0, 1])?;
    Ok(())
}

/// How the frames of the file that follows are packed.
fn packing(recipe: &FilmRecipe, args: &mut Args) {
    match recipe.container {
        Container::Zlib => args.add(["--compression", "0:zlib"]),
        _ => args.add([]),
    };
}

/// The options for the clock of the video file that follows.
fn clock(recipe: &FilmRecipe, dir: &Path, args: &mut Args) -> Result<()> {
    match recipe.timing {
        Timing::Constant | Timing::StepsBack(_) => {
            args.add(["--default-duration", "0:24000/1001p"]);
        }
        Timing::Rate(num, den) => {
            args.add(["--default-duration", &format!("0:{num}/{den}p")]);
        }
        Timing::StartsAt(ms) => {
            args.add(["--default-duration", "0:24000/1001p", "--sync", &format!("0:{ms}")]);
        }
        Timing::Rounded | Timing::Variable => {
            let path = dir.join("timestamps.txt");
            let text = if recipe.timing == Timing::Variable {
                timestamps(recipe.frames)
            } else {
                rounded(recipe.frames)
            };
            fs::write(&path, text)?;
            let mut value = OsString::from("0:");
            value.push(&path);
            args.0.extend(["--timestamps".into(), value]);
        }
    }
    Ok(())
}

/// Whole milliseconds nearest to 24000/1001 frames per second.
fn rounded(frames: u64) -> String {
    let times = (0..frames).map(|i| format!("{}\n", (i * 1001 * 2 + 24) / 48));
    std::iter::once("# timestamp format v2\n".to_owned()).chain(times).collect()
}

/// Display times in ms, mkvmerge's format v2: a second of film cadence, a second of video cadence, by turns.
fn timestamps(frames: u64) -> String {
    let mut text = String::from("# timestamp format v2\n");
    let mut us: u64 = 0;
    let mut in_second = 0;
    let mut video = false;
    for _ in 0..frames {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}.{:03}", us / 1000, us % 1000);
        us += if video { 33_367 } else { 41_708 };
        in_second += 1;
        if in_second == if video { 30 } else { 24 } {
            (video, in_second) = (!video, 0);
        }
    }
    text
}

/// Arguments as they gather.
#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    fn add<const N: usize>(&mut self, values: [&str; N]) -> &mut Self {
        self.0.extend(values.map(OsString::from));
        self
    }

    fn option(&mut self, name: &str, path: &Path) -> &mut Self {
        self.0.extend([OsString::from(name), path.as_os_str().to_owned()]);
        self
    }

    fn file(&mut self, path: &Path) -> &mut Self {
        self.0.push(path.as_os_str().to_owned());
        self
    }
}
