//! `convert`: the pipeline here and now, without broker and share.

use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use common::config::Config;
use common::job::{Certificate, FailureClass, FailureCode, FelPolicy, Mode};
use common::text::{bytes, safe_path, without_numbers};

use super::display::Display;
use super::{context, load_config, quiet_log, stop_on_signals};
use crate::cli::{ConvertArgs, Global, ModeArg, Policy};
use crate::exit::{Exit, Failure};
use crate::pipeline::{self, Alone, Context, FilmTask, Label, Publishing, StageError, Stop};
use crate::workspace::certificate_name;

pub(super) async fn run(global: &Global, args: ConvertArgs) -> Result<Exit, Failure> {
    let mut config = load_config(global, &[])?;
    quiet_log(&config, global);
    apply(&mut config, &args)?;
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let display = Arc::new(Display::new(args.json));
    let context = context(&config, display.clone(), &stop, None);
    let mut worst = Exit::Ok;
    for file in &args.files {
        display.restart();
        let begun = Instant::now();
        let result = match task(&config, &args, file) {
            Ok(task) => one(&context, task).await,
            Err(failure) => return Err(failure),
        };
        display.clear();
        match result {
            Ok((target, certificate)) if args.json => print_json(&serde_json::json!({
                "file": file, "result": target, "certificate": certificate,
            })),
            Ok((target, certificate)) => {
                print!("{}", summary(file, &target, &certificate, begun.elapsed().as_secs_f64()));
            }
            Err(e) => {
                worst = worst.max(Exit::of(e.code));
                if args.json {
                    print_json(&serde_json::json!({
                        "file": file, "code": e.code, "class": e.code.class(), "stage": e.stage.name(),
                        "summary": e.message, "hint": advice(&e), "causes": e.causes(), "tool": e.tool,
                    }));
                } else {
                    eprint!("{}", failed(file, &e, global.verbose));
                }
                // What this machine lacks for one film it lacks for the next.
                if !matches!(e.code.class(), FailureClass::Permanent | FailureClass::Transient) {
                    break;
                }
            }
        }
    }
    Ok(worst)
}

/// Options of the command line go before settings.
fn apply(config: &mut Config, args: &ConvertArgs) -> Result<(), Failure> {
    let policy = |p: Policy| match p {
        Policy::Allow => FelPolicy::Allow,
        Policy::Refuse => FelPolicy::Refuse,
    };
    let recipe = &mut config.recipe;
    if let Some(mode) = args.mode {
        recipe.mode = match mode {
            ModeArg::Encode => Mode::Encode,
            ModeArg::Copy => Mode::Copy,
        };
    }
    recipe.preset = args.preset.clone().unwrap_or_else(|| recipe.preset.clone());
    recipe.crf = args.crf.unwrap_or(recipe.crf);
    recipe.x265_params.extend(args.x265.iter().cloned());
    recipe.fel = args.fel.map_or(recipe.fel, policy);
    recipe.fel_expanding = args.fel_expanding.map_or(recipe.fel_expanding, policy);
    recipe.validate().map_err(|e| {
        Failure::usage(e).hint(
            "`dovi-consumer convert --help` has the options, docs/CONFIGURATION.md the settings of [recipe]",
        )
    })?;
    config.verify.decode = args.decode.map_or(config.verify.decode, Into::into);
    if let Some(dir) = &args.scratch {
        config.scratch.dir = absolute(dir)?;
    }
    let one_name = |o: &PathBuf| !o.is_dir() && (o.is_file() || o.extension().is_some_and(|e| e == "mkv"));
    if args.files.len() > 1 && args.output.as_ref().is_some_and(one_name) {
        return Err(Failure::usage("several films cannot go into one file").hint("name a folder after -o"));
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())).because(&e))
}

fn task(config: &Config, args: &ConvertArgs, file: &Path) -> Result<FilmTask, Failure> {
    let source = absolute(file)?;
    let target = match &args.output {
        None => named(&source, &config.output.suffix),
        Some(out) if is_folder(out, args.files.len()) => {
            absolute(out)?.join(named(&source, &config.output.suffix).file_name().unwrap_or_default())
        }
        Some(out) => absolute(out)?,
    };
    if target == source {
        return Err(Failure::usage("the result would have the film's own name")
            .hint("set output.suffix, or name another after -o"));
    }
    let label = Label { job: None, film: None, worker: config.worker.display_name() };
    Ok(FilmTask {
        source,
        expected: None,
        target,
        publishing: Publishing::by_hand(&config.output),
        scratch: config.scratch.path(),
        recipe: config.recipe.clone(),
        token: token(),
        dead: Vec::new(),
        label,
    })
}

/// Ends in a slash, is a folder, or has to be one.
fn is_folder(out: &Path, films: usize) -> bool {
    films > 1 || out.is_dir() || out.as_os_str().as_encoded_bytes().ends_with(b"/")
}

fn named(source: &Path, suffix: &str) -> PathBuf {
    let mut name = source.file_stem().unwrap_or(OsStr::new("film")).to_owned();
    name.push(suffix);
    name.push(".mkv");
    source.with_file_name(name)
}

/// 32 hex digits that no other run has.
fn token() -> String {
    // std's hash seeds are random, which is all the randomness that a name needs.
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

async fn one(context: &Context, task: FilmTask) -> Result<(PathBuf, Certificate), StageError> {
    let ledger = Arc::new(Alone { certificate: Some(certificate_name(&task.target)) });
    let finished = pipeline::run(context, task, ledger).await?;
    Ok((finished.target, finished.certificate))
}

fn summary(file: &Path, target: &Path, c: &Certificate, seconds: f64) -> String {
    let change = match (c.source.size, c.result.size) {
        (0, _) => String::new(),
        (before, after) => format!(" ({:+.0} %)", (after as f64 / before as f64 - 1.0) * 100.0),
    };
    format!(
        "done    {}\n        {}\n        {}, {} frames, {} wrong, {} -> {}{change}, {seconds:.1} s\n",
        safe_path(file),
        safe_path(target),
        c.verdict,
        c.frames,
        c.wrong_frames,
        bytes(c.source.size),
        bytes(c.result.size),
    )
}

fn advice(e: &StageError) -> &str {
    match e.code {
        FailureCode::ScratchSmall => "Name a folder on a larger disk with --scratch.",
        FailureCode::OutputExists => "Move that file away, or name another after -o.",
        FailureCode::FelExpanding => {
            "Keep the original, or use --fel-expanding allow to convert it all the same."
        }
        FailureCode::SourceMissing => {
            "Check the spelling; quote names with spaces. For a folder name its films: FOLDER/*.mkv"
        }
        FailureCode::MuxFailed | FailureCode::EncodeFailed | FailureCode::ToolFailed => {
            "Its own last words are below; -v shows more of them."
        }
        FailureCode::OutputName => "Name a shorter one after -o.",
        FailureCode::OutputDenied => "Name a folder that you may write to after -o.",
        _ => e.advice(),
    }
}

fn failed(file: &Path, e: &StageError, verbose: bool) -> String {
    // The sentence may begin with the whole path.
    let whole = absolute(file).map(|p| format!("{}: ", safe_path(p))).unwrap_or_default();
    let message = e.message.strip_prefix(&whole).unwrap_or(&e.message);
    let message = if verbose { message.to_owned() } else { without_numbers(message) };
    let mut text = format!("error: {}: {message} ({})\nhint: {}\n", safe_path(file), e.code, advice(e));
    if verbose {
        e.causes().iter().for_each(|c| text += &format!("cause: {c}\n"));
    }
    if let Some(tool) = &e.tool {
        let lines = if verbose { tool.tail.len() } else { 5 };
        let tail = &tool.tail[tool.tail.len().saturating_sub(lines)..];
        tail.iter().for_each(|l| text += &format!("  | {l}\n"));
    }
    text
}

fn print_json(value: &serde_json::Value) {
    println!("{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_their_films() {
        assert_eq!(named(Path::new("/f/A (2020).mkv"), " [DV8]"), Path::new("/f/A (2020) [DV8].mkv"));
        assert_eq!(named(Path::new("/f/.mkv"), "-8"), Path::new("/f/.mkv-8.mkv"));
        assert!(
            is_folder(Path::new("new/"), 1) && is_folder(Path::new("/"), 1) && is_folder(Path::new("x"), 2)
        );
        assert!(!is_folder(Path::new("out.mkv"), 1));
    }

    #[test]
    fn no_two_runs_share_a_token() {
        assert_ne!(token(), token());
        assert_eq!(token().len(), 32);
    }
}
