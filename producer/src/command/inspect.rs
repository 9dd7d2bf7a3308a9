//! `inspect`: what a file is, with the evidence.

mod facts;
mod lines;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

use common::job::{FailureCode, Recipe};
use dovi::film::{self, ScanOptions};
use tokio_util::sync::CancellationToken;

use self::facts::Facts;
use super::Context;
use crate::cli::InspectArgs;
use crate::exit::{Exit, Failure};
use crate::render::{Output, Progress};

pub(super) async fn run(args: &InspectArgs, context: &Context) -> Result<Exit, Failure> {
    let mut out = Output::new(args.json);
    let mut exit = Exit::Ok;
    // Without any configuration file these are the defaults: what a scan does at first.
    let recipe = context.load()?.config.recipe;
    for (n, file) in args.files.iter().enumerate() {
        let (path, full, stop, recipe) = (file.clone(), args.full, context.stop.clone(), recipe.clone());
        let looking = tokio::task::spawn_blocking(move || inspect(&path, full, &recipe, &stop));
        let facts = tokio::select! {
            done = looking => done.map_err(|e| Failure::new(Exit::Bug, "reading the file failed").because(&e))?,
            () = context.stop.cancelled() => return Err(context.interrupted(&format!("{n} files were read"))),
        };
        if facts.code.is_some_and(is_trouble) {
            exit = Exit::Some;
        }
        out.object(&facts)?;
        if n > 0 {
            out.line("")?;
        }
        for line in lines::lines(&facts) {
            out.line(&line)?;
        }
    }
    Ok(exit)
}

/// A file that is whole and just no candidate is an answer, not a trouble.
fn is_trouble(code: FailureCode) -> bool {
    !matches!(code, FailureCode::NotProfile7 | FailureCode::FelRefused | FailureCode::FelExpanding)
}

fn inspect(path: &Path, full: bool, recipe: &Recipe, stop: &CancellationToken) -> Facts {
    let facts = Facts::new(path);
    let opened = path.metadata().and_then(|m| match m.is_file() {
        false if m.is_dir() => Err(std::io::Error::other("it is a folder")),
        // Opening a pipe would wait for ever.
        false => Err(std::io::Error::other("it is no regular file")),
        true => Ok((File::open(path)?, m.len())),
    });
    let (file, size) = match opened {
        Ok(opened) => opened,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return facts.unread(FailureCode::SourceMissing, "there is no such file");
        }
        Err(e) => return facts.unread(FailureCode::SourceUnreadable, &e.to_string()),
    };
    if !full {
        return match film::sample(file) {
            Ok(sample) => facts.sampled(&sample, recipe),
            Err(e) => facts.refused(&e),
        };
    }
    let progress = Progress::bytes("reading", size);
    let options = ScanOptions { hash_tracks: false, convert: false };
    let scanned = film::scan(file, &options, &mut |p| {
        progress.set(p.bytes);
        if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match scanned {
        Ok(index) => facts.scanned(&index, recipe),
        Err(e) => facts.refused(&e),
    }
}
