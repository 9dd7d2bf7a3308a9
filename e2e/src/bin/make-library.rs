//! `make-library DIR`: fills a folder with generated films.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use e2e::films::{FilmSet, LibraryOptions, Outcome, Studio};

/// Makes a library of true Dolby Vision profile 7 films (and others) with ffmpeg and mkvmerge.
#[derive(Parser)]
#[command(name = "make-library", version)]
struct Cli {
    /// Folder to fill; made when absent, films of the same names are overwritten.
    dir: PathBuf,
    /// Frames of each film (24000/1001 a second; at least 72).
    #[arg(long, default_value_t = 240)]
    frames: u64,
    /// Size of the base layers.
    #[arg(long, default_value = "640x360", value_parser = size)]
    size: (u32, u32),
    /// Which films.
    #[arg(long, value_enum, default_value_t = FilmSet::Demo)]
    set: FilmSet,
    /// Only the film of this name (may be given again).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print what would be made, and make nothing.
    #[arg(long)]
    list: bool,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("{text:?} is no size like 640x360 (up to 8192)");
    let (width, height) = text.split_once('x').ok_or_else(wrong)?;
    let side = |s: &str| s.parse().ok().filter(|n| (144..=8192).contains(n)).ok_or_else(wrong);
    Ok((side(width)?, side(height)?))
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let (width, height) = cli.size;
    let options = LibraryOptions { set: cli.set, frames: cli.frames, width, height, only: cli.only };
    let specs = options.specs()?;
    let started = Instant::now();
    let mut studio = Studio::open()?;
    for spec in &specs {
        if !cli.list {
            studio.make(&cli.dir.join(&spec.path), spec)?;
        }
        let outcome = match spec.expected.outcome {
            Outcome::Done => "converts".to_owned(),
            Outcome::Skipped => "nothing to do".to_owned(),
            Outcome::Fails(code) => format!("fails with {code}"),
        };
        let verdict = spec.expected.verdict.unwrap_or("-");
        println!("{:<16} {verdict:<14} {outcome:<34} {:?}", spec.name, spec.path);
    }
    if !cli.list {
        let dir = std::path::absolute(&cli.dir).context("the folder's absolute path")?;
        println!("{} films in {} ({:.1} s)", specs.len(), dir.display(), started.elapsed().as_secs_f32());
    }
    Ok(())
}
