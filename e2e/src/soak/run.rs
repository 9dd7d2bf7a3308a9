//! One run from beginning to end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use common::broker::BrokerOptions;

use super::checker::{Scene, check};
use super::conductor::{Conductor, VHOST};
use super::crew::Crew;
use super::ground::{Ground, STALE};
use super::link::Link;
use super::output::Output;
use super::plan::{Means, plan};
use super::report::Report;
use super::watch::NameWatch;
use crate::broker::PrivateBroker;
use crate::tool;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Somebody pressed Ctrl-C.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many faults.
    pub faults: usize,
    /// Which ones.
    pub seed: u64,
    /// Only faults that are over within a few seconds.
    pub brief: bool,
    /// Where results go.
    pub output: Output,
    /// How many workers; the first has a small scratch disk, the last a network that can be cut.
    pub workers: usize,
    /// An empty folder for everything.
    pub dir: PathBuf,
    /// dovi-consumer with the seam for faults.
    pub worker: PathBuf,
    /// The program that stands for ffmpeg and mkvmerge.
    pub tool: PathBuf,
}

/// Runs the loop and judges what it leaves.
///
/// # Errors
/// The run itself could not be done; what the fleet did wrong is in the report.
pub fn run(settings: &Settings) -> Result<Report> {
    tool::require(&["setpriv", "ffmpeg", "ffprobe", "mkvmerge"])?;
    for program in [&settings.worker, &settings.tool] {
        if !program.is_file() {
            bail!("{} is missing: build it first", program.display());
        }
    }
    let begun = Instant::now();
    listen();
    let ground = Ground::prepare(&settings.dir, &tool::absolute(&settings.tool)?, settings.output)?;
    let report = on(&ground, settings, begun);
    if !report.as_ref().is_ok_and(|r| r.verdict.is_clean()) {
        ground.keep();
    }
    report
}

fn on(ground: &Ground, settings: &Settings, begun: Instant) -> Result<Report> {
    let mut broker = PrivateBroker::start(&ground.path("broker"))?;
    let url = broker.admin_url(VHOST);
    let link = Link::open(address(&url)?)?;
    let disks =
        if ground.has_disks() { "small disks of their own" } else { "none can be mounted: no full disks" };
    let (output, without) = (settings.output, settings.output.left_out());
    let folder = settings.dir.display();
    eprintln!("folder {folder}; output {output}{without}; disks: {disks}; network: {}", link.means());

    let means = Means { full_disks: ground.has_disks(), brief: settings.brief, output };
    let plan = plan(settings.seed, settings.faults, means);
    let names = NameWatch::start(&ground.results())?;
    let crew = Crew::new(settings.worker.clone(), settings.workers);
    let record = Conductor::new(ground, &mut broker, &link, crew, plan)?.run()?;
    let names = names.stop();
    let took = begun.elapsed();
    tidy(ground)?;

    eprintln!("{:4} s  every fault is over, the workers have ended; checking", took.as_secs());
    let options = BrokerOptions::new(&url, "", "")?.name("soak checker").timeout(Duration::from_secs(30));
    let scene = Scene {
        ground,
        record: &record,
        names: &names,
        broker: &options,
        workers: settings.workers as u64,
        verifier: &settings.worker,
    };
    let verdict = check(&scene)?;
    let version = version(&broker);
    broker.stop()?;
    let films = record.films.films.len();
    let (fired, programs) = (record.fired, record.programs);
    Ok(Report {
        settings: settings.clone(),
        fired,
        films,
        programs,
        verdict,
        took,
        total: begun.elapsed(),
        version,
    })
}

/// The workers' daily tidying, which a run of minutes does not see: temporary files of writers that died in the middle of a write.
fn tidy(ground: &Ground) -> Result<()> {
    let age = 2 * STALE;
    let state = ground.state();
    let begun = Instant::now();
    loop {
        let swept = state.sweep(age).context("sweep the share's books")?;
        if swept.young == 0 || begun.elapsed() > age * 2 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn address(url: &str) -> Result<SocketAddr> {
    let port = url.rsplit_once('@').and_then(|(_, rest)| rest.split(['/', ':']).nth(1)?.parse().ok());
    Ok((Ipv4Addr::LOCALHOST, port.context("the broker's port")?).into())
}

fn version(broker: &PrivateBroker) -> String {
    let overview = broker.api("GET", "/api/overview", None).map(|(_, body)| body).unwrap_or_default();
    overview["rabbitmq_version"].as_str().unwrap_or("of unknown version").to_owned()
}

/// Ctrl-C ends a run in good order, so that disks are unmounted and the broker does not stay.
fn listen() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            INTERRUPTED.store(true, Ordering::SeqCst);
        }
    });
}

/// The program of this name beside the running one.
///
/// # Errors
/// This program's own place is not known.
pub fn beside_this(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("where this program lies")?;
    Ok(here.parent().unwrap_or(Path::new(".")).join(name))
}
