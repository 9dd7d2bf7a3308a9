//! `make demo`: the whole fleet on one machine, from a folder of films to proven results.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::config;
use common::share::ShareState;
use e2e::broker::PrivateBroker;
use e2e::demo::{Checked, Daemon, FilmState, Fleet, Line, Programs, Recipe, State, View, Workspace, summary};
use e2e::films::{FilmSet, FilmSpec, LibraryOptions, Outcome, make_library, truth};
use tokio_util::sync::CancellationToken;

/// The film whose disk goes bad between scan and work.
const ROTTING: &str = "Ember District (2014)/Ember District (2014) - 2160p.mkv";
const AFTER_HELP: &str = "\
The folder is emptied at the start of each run, if an earlier run made it. What was converted from your own films is
never removed: run it again with the same --library and it goes on with what is missing.";

const VHOST: &str = common::broker::topology::VHOST;
/// The node listens on 127.0.0.1 only and lives as long as the demo.
const USER: &str = "dovi";
const PASSWORD: &str = "demo";

/// Converts a library with two workers through a private RabbitMQ and shows what came of it.
#[derive(Debug, Parser)]
#[command(name = "demo", after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// Your own films; they are only read. Without it a few are made up
    #[arg(long, value_name = "FOLDER")]
    library: Option<PathBuf>,
    /// Where everything goes
    #[arg(long, value_name = "FOLDER", default_value = ".demo")]
    dir: PathBuf,
    /// How many workers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// encode, or copy (keeps every bit of the picture)
    #[arg(long, default_value = "encode", value_parser = ["encode", "copy"])]
    mode: String,
    /// x265 preset; the default is for speed, not for keeping
    #[arg(long, default_value = "ultrafast")]
    preset: String,
    /// x265 constant rate factor
    #[arg(long, default_value_t = 24.0)]
    crf: f32,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: this machine gives no threads: {e}");
            return ExitCode::FAILURE;
        }
    };
    let stop = CancellationToken::new();
    let result = runtime.block_on(async {
        tokio::spawn(watch_signals(stop.clone()));
        run(&cli, &stop).await
    });
    // The made-up library is written on a thread that cannot be interrupted; its tools are short.
    runtime.shutdown_background();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if stop.is_cancelled() => {
            eprintln!("stopped; nothing is left running");
            ExitCode::from(130)
        }
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C or SIGTERM stops everything in order. The children are in groups of their own and do not see the key.
async fn watch_signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term), Ok(mut hup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return;
    };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {}, _ = hup.recv() => {} }
    stop.cancel();
}

async fn run(cli: &Cli, stop: &CancellationToken) -> Result<bool> {
    let started = Instant::now();
    let workspace = Workspace::open(&cli.dir, cli.library.as_deref())?;
    let recipe = Recipe { mode: cli.mode.clone(), preset: cli.preset.clone(), crf: cli.crf };

    step("Starting a private RabbitMQ on free ports");
    let folder = workspace.broker();
    let broker = tokio::task::spawn_blocking(move || PrivateBroker::start(&folder)).await??;
    // From here on the broker is stopped whatever happens.
    let result = with_broker(cli, &workspace, &recipe, &broker, stop, started).await;
    let stopped = tokio::task::spawn_blocking(move || broker.stop()).await?;
    let good = result?;
    stopped.context("the private broker")?;
    Ok(good)
}

async fn with_broker(
    cli: &Cli,
    workspace: &Workspace,
    recipe: &Recipe,
    broker: &PrivateBroker,
    stop: &CancellationToken,
    started: Instant,
) -> Result<bool> {
    if stop.is_cancelled() {
        bail!("stopped");
    }
    broker.add_vhost(VHOST)?;
    broker.add_user(USER, PASSWORD, "monitoring")?;
    broker.grant(VHOST, USER, ".*", ".*", ".*")?;
    let (_, overview) = broker.api("GET", "/api/overview", None)?;
    println!("  RabbitMQ {}", overview["rabbitmq_version"].as_str().unwrap_or("of an unknown version"));
    println!("  management UI {}, user {USER}, password {PASSWORD}", broker.management_url());
    workspace.write_config(&broker.url(VHOST, USER, PASSWORD), USER, PASSWORD, recipe)?;
    // Wrong values of --preset and --crf show here, with their names.
    config::load(Some(&workspace.config()), &Vec::new())?;
    let programs = Programs::beside_this(&workspace.config())?;

    let specs =
        if workspace.is_own_library() { Vec::new() } else { make_films(workspace.library(), stop).await? };

    step("dovi-producer scan");
    let log = |name: &str| workspace.logs().join(name);
    for command in [["setup"].as_slice(), &["scan"]] {
        let report = programs.producer(command, &log("producer.log"), stop).await?;
        // 1 means that single files could not be read; they have their lines above.
        if !report.success() && report.outcome != common::process::Outcome::Exited(1) {
            bail!(
                "dovi-producer {} ended with {}:\n{}",
                command.join(" "),
                report.outcome,
                report.stderr_tail
            );
        }
    }
    if !workspace.is_own_library() {
        rot(&workspace.library().join(ROTTING))?;
        println!("\n  Now the disk loses 3000 bytes of {ROTTING:?}; size and date stay as they were.");
    }
    let share = ShareState::new(workspace.share());
    let mut fleet = Fleet::queued(share)?;

    let workers: Vec<Daemon> = if fleet.films.is_empty() {
        println!("\nNothing to convert.");
        Vec::new()
    } else {
        step(&format!("{} films, {} workers ({})", fleet.films.len(), cli.workers, describe(recipe)));
        (1..=cli.workers)
            .map(|n| programs.worker(&format!("demo-{n}"), log(&format!("demo-{n}.log"))))
            .collect()
    };
    let watched = watch(&mut fleet, &workers, stop).await;
    workers.iter().for_each(Daemon::ask_to_stop);
    let mut ends = Vec::new();
    for worker in workers {
        ends.push(worker.end().await);
    }
    ends.into_iter().collect::<Result<()>>()?;
    watched?;

    let took = started.elapsed().as_secs_f64();
    let lines = check(fleet.films, specs, workspace).await?;
    step("What came of it");
    print!("{}", summary(&lines));

    step("dovi-producer failed list");
    programs.producer(&["failed", "list"], &log("producer.log"), stop).await?;
    if let Some(first) = lines.iter().find(|l| matches!(l.film.state, State::Failed(_))) {
        let id = first.film.job.id.short();
        step(&format!("dovi-producer failed show {id}"));
        programs.producer(&["failed", "show", &id], &log("producer.log"), stop).await?;
    }

    step("Where to look");
    for (what, place) in [
        ("results", workspace.results()),
        ("certificates", workspace.share().join("done")),
        ("failure reports", workspace.share().join("failed")),
        ("logs of each film", workspace.share().join("logs")),
        ("logs of the workers", workspace.logs()),
    ] {
        println!("  {what:<20} {}", place.display());
    }
    println!("  {:<20} queue dovi.failed of the broker that is now stopped", "dead letters");

    let done = lines.iter().filter(|l| matches!(l.film.state, State::Done(_))).count();
    let wrong = lines.iter().filter(|l| l.is_wrong()).count();
    let failed = lines.len() - done;
    println!(
        "\n{done} converted, {failed} failed for good, {wrong} with a wrong frame or track, {took:.0} s"
    );
    Ok(wrong == 0)
}

fn step(title: &str) {
    println!("\n== {title}");
}

fn describe(recipe: &Recipe) -> String {
    match recipe.mode.as_str() {
        "copy" => "copy: the picture stays bit for bit".into(),
        _ => format!("x265 {} crf {}", recipe.preset, recipe.crf),
    }
}

async fn make_films(dir: PathBuf, stop: &CancellationToken) -> Result<Vec<FilmSpec>> {
    step("Making a library of short films");
    let options = LibraryOptions { set: FilmSet::Demo, ..LibraryOptions::default() };
    let making = tokio::task::spawn_blocking(move || {
        let specs = make_library(&dir, &options)?;
        add_the_rotting_film(&dir, &specs)?;
        anyhow::Ok((specs, dir))
    });
    let (specs, dir) = tokio::select! {
        made = making => made??,
        () = stop.cancelled() => bail!("stopped"),
    };
    println!("  {} films in {}", specs.len() + 1, dir.display());
    Ok(specs)
}

/// One film again, which will be damaged once it is queued.
fn add_the_rotting_film(library: &Path, specs: &[FilmSpec]) -> Result<()> {
    let good = specs.iter().find(|s| s.expected.outcome == Outcome::Done).context("a film to spoil")?;
    let rotting = library.join(ROTTING);
    std::fs::create_dir_all(rotting.parent().context("a folder for it")?)?;
    std::fs::copy(library.join(&good.path), &rotting)?;
    Ok(())
}

/// A hole in the middle, such as a dying disk leaves: the worker that reads everything is the first to see it.
fn rot(film: &Path) -> Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(film)?;
    let meta = file.metadata()?;
    file.write_all_at(&[0; 3000], meta.len() * 45 / 100)?;
    file.set_modified(meta.modified()?)?;
    Ok(())
}

/// Until every film is settled, or nobody is left to settle them.
async fn watch(fleet: &mut Fleet, workers: &[Daemon], stop: &CancellationToken) -> Result<()> {
    let mut view = View::default();
    loop {
        fleet.refresh()?;
        view.draw(fleet)?;
        if fleet.is_settled() {
            return Ok(());
        }
        if workers.iter().any(Daemon::has_ended) {
            bail!("a worker ended before the work was done");
        }
        tokio::select! {
            () = stop.cancelled() => bail!("stopped"),
            () = tokio::time::sleep(Duration::from_millis(400)) => {}
        }
    }
}

/// Looks at each result with other tools than those that made it; possible only where the films are our own.
async fn check(films: Vec<FilmState>, specs: Vec<FilmSpec>, workspace: &Workspace) -> Result<Vec<Line>> {
    if !specs.is_empty() {
        step("Looking at every result with ffmpeg and mkvmerge");
    }
    let config = config::load(Some(&workspace.config()), &Vec::new())?.config;
    let library = workspace.library();
    let lines = tokio::task::spawn_blocking(move || {
        films
            .into_iter()
            .map(|film| {
                let spec = specs.iter().find(|s| s.path == film.job.film.relative());
                let checked = match (&film.state, spec) {
                    (State::Done(_), Some(spec)) => {
                        let result = config.result_path(&film.job.film).map_err(anyhow::Error::from);
                        let checked =
                            result.and_then(|result| look(&library.join(&spec.path), &result, spec));
                        Some(checked.map_err(|e| format!("{e:#}")))
                    }
                    _ => None,
                };
                Line { film, checked }
            })
            .collect()
    });
    lines.await.context("the check of the results")
}

fn look(source: &Path, result: &Path, spec: &FilmSpec) -> Result<Checked> {
    let frames = truth::wrong_frames(result, spec)?;
    let tracks = truth::tracks_equal(source, result)?;
    let wrong_frames = frames.wrong + frames.missing + frames.extra + frames.wrong_pictures;
    Ok(Checked { wrong_frames, differences: tracks.differences })
}
