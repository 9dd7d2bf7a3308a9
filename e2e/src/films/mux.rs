//! Puts streams and extras into one Matroska file, with mkvmerge, the way disc remuxes come.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::extras::Extras;
use super::interleave::Streams;
use super::spec::{FilmRecipe, Timing};
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
    clock(recipe, dir, &mut args)?;
    args.add(["--language", "0:en", "--track-name", "0:Feature"]).file(&main);
    if let Some(second) = &streams.second {
        let path = dir.join("second.hevc");
        fs::write(&path, second)?;
        clock(recipe, dir, &mut args)?;
        args.add(["--language", "0:und", "--default-track-flag", "0:no"]).file(&path);
    }
    args.add(["--language", "0:en-US", "--track-name", "0:Surround 5.1", "--default-track-flag", "0:yes"]);
    args.add(["--original-flag", "0:yes"]).file(&extras.ac3);
    args.add([
        "--language",
        "0:fr",
        "--track-name",
        "0:Commentaire (réalisatrice)",
        "--default-track-flag",
        "0:no",
    ]);
    args.add(["--commentary-flag", "0:yes"]).file(&extras.flac);
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

/// The options for the clock of the video file that follows.
fn clock(recipe: &FilmRecipe, dir: &Path, args: &mut Args) -> Result<()> {
    match recipe.timing {
        Timing::Constant => {
            args.add(["--default-duration", "0:24000/1001p"]);
        }
        Timing::StartsAt(ms) => {
            args.add(["--default-duration", "0:24000/1001p", "--sync", &format!("0:{ms}")]);
        }
        Timing::Variable => {
            let path = dir.join("timestamps.txt");
            fs::write(&path, timestamps(recipe.frames))?;
            let mut value = OsString::from("0:");
            value.push(&path);
            args.0.extend(["--timestamps".into(), value]);
        }
    }
    Ok(())
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
