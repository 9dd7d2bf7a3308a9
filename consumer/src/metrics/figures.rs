//! Every figure with its name.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use common::broker::{Events, QueueDepth};
use common::job::{Certificate, FailureCode, JobId, Mode};
use common::share::{WorkerState, free_bytes};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result, TextEncoder,
};

use super::running::Running;
use super::storage::through_disks;
use crate::notify::{Sent, Tally};
use crate::pipeline::Progress;

/// Seconds, from films of a test to films of a day.
const SECONDS: [f64; 14] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0,
    172_800.0,
];
const STAGES: [&str; 6] = ["prescan", "encode", "copy", "mux", "verify", "publish"];
/// The states that a worker is known to have; see [`WorkerState`].
const STATES: [&str; 6] = ["starting", "idle", "busy", "paused", "ill", "draining"];

/// What came of a film's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Converted here.
    Done,
    /// Dealt with before: the message was a copy.
    Known,
    /// Another worker has it.
    Busy,
    /// Given up.
    Failed,
    /// Given up since a person wanted that.
    Cancelled,
    /// Tried again later, counted.
    Retried,
    /// Given back, not counted.
    GivenBack,
}

impl Came {
    const ALL: [Self; 7] =
        [Self::Done, Self::Known, Self::Busy, Self::Failed, Self::Cancelled, Self::Retried, Self::GivenBack];

    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Known => "known",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::GivenBack => "given_back",
        }
    }
}

/// The figures of one worker. Changing one never blocks and never fails.
pub struct Metrics {
    registry: Registry,
    running: Running,
    scratch: PathBuf,
    moved: Mutex<(u64, u64)>,
    films: IntCounterVec,
    failures: IntCounterVec,
    attempts: IntCounter,
    attempts_of_film: Histogram,
    stage_seconds: HistogramVec,
    film_seconds: HistogramVec,
    frames: IntCounterVec,
    source_bytes: IntCounter,
    result_bytes: IntCounter,
    result_frames: IntCounter,
    read_bytes: IntCounter,
    written_bytes: IntCounter,
    running_films: IntGaugeVec,
    fps: GaugeVec,
    progress: GaugeVec,
    state: IntGaugeVec,
    ill: IntGaugeVec,
    slots: IntGauge,
    started: Gauge,
    broker_up: IntGauge,
    queue: IntGaugeVec,
    consumers: IntGaugeVec,
    scratch_free: IntGauge,
    notices: IntCounterVec,
    outbox: IntGauge,
    dropped: IntCounter,
}

/// Makes collectors and puts them into the registry.
struct Maker(Registry);

impl Maker {
    fn put<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.put(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.put(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.put(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, label: &str) -> Result<IntGaugeVec> {
        self.put(IntGaugeVec::new(Opts::new(name, help), &[label])?)
    }

    fn floats(&self, name: &str, help: &str, label: &str) -> Result<GaugeVec> {
        self.put(GaugeVec::new(Opts::new(name, help), &[label])?)
    }

    fn seconds(&self, name: &str, help: &str, label: &str) -> Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.put(HistogramVec::new(opts, &[label])?)
    }
}

impl Metrics {
    /// All at zero, for the worker of this name. `scratch` is the folder whose free space is told.
    ///
    /// # Errors
    /// None in practice: the names are fixed and differ.
    pub fn new(worker: &str, slots: u16, scratch: PathBuf) -> Result<Self> {
        let labels = [("worker".to_owned(), worker.to_owned())].into();
        let m = Maker(Registry::new_custom(Some("dovi".into()), Some(labels))?);
        let attempts =
            HistogramOpts::new("film_attempts", "Attempts that films took until they were done or given up.");
        let all = Self {
            films: m.counters("films_total", "Messages of films by what came of them.", &["result"])?,
            failures: m.counters(
                "failures_total",
                "Attempts that failed, by failure code.",
                &["code", "class"],
            )?,
            attempts: m.counter("attempts_total", "Attempts that were begun.")?,
            attempts_of_film: m
                .put(Histogram::with_opts(attempts.buckets(vec![1.0, 2.0, 3.0, 5.0, 10.0]))?)?,
            stage_seconds: m.seconds(
                "stage_duration_seconds",
                "Time of finished films in each stage.",
                "stage",
            )?,
            film_seconds: m.seconds(
                "film_duration_seconds",
                "Time of finished films in all stages.",
                "mode",
            )?,
            frames: m.counters(
                "frames_total",
                "Frames that went through a stage that counts them.",
                &["stage"],
            )?,
            source_bytes: m.counter("source_bytes_total", "Bytes of the originals of finished films.")?,
            result_bytes: m.counter("result_bytes_total", "Bytes of the results of finished films.")?,
            result_frames: m.counter("result_frames_total", "Frames of the results of finished films.")?,
            read_bytes: m.counter(
                "storage_read_bytes_total",
                "Bytes that this worker and its ended programs fetched from storage.",
            )?,
            written_bytes: m.counter(
                "storage_written_bytes_total",
                "Bytes that this worker and its ended programs sent to storage.",
            )?,
            running_films: m.gauges("running_films", "Films in work, by stage.", "stage")?,
            fps: m.floats(
                "frames_per_second",
                "Speed of the films in work, over the last seconds.",
                "stage",
            )?,
            progress: m.floats("film_progress_ratio", "How far a film in work is, 0 to 1.", "id")?,
            state: m.gauges(
                "worker_state",
                "1 for the state that the worker is in, 0 for the others.",
                "state",
            )?,
            ill: m.gauges(
                "worker_ill",
                "1 for the failure code of which the worker takes no films.",
                "code",
            )?,
            slots: m.gauge("worker_slots", "Films that this worker takes at the same time.")?,
            started: m
                .put(Gauge::new("worker_start_time_seconds", "When the worker started, since 1970.")?)?,
            broker_up: m.gauge("broker_up", "1 if the broker answered when it was asked last.")?,
            queue: m.gauges("queue_messages", "Messages that wait in a queue.", "queue")?,
            consumers: m.gauges("queue_consumers", "Who takes from a queue: slots of workers.", "queue")?,
            scratch_free: m.gauge("scratch_free_bytes", "Free space in the scratch folder.")?,
            notices: m.counters(
                "notices_total",
                "Tries to tell a target something.",
                &["target", "result"],
            )?,
            outbox: m.gauge("outbox_entries", "Notices that this worker still has to send.")?,
            dropped: m.counter("events_dropped_total", "Live events that could not be sent.")?,
            registry: m.0.clone(),
            running: Running::default(),
            scratch,
            moved: Mutex::default(),
        };
        let version = Opts::new("build_info", "The version of the program.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        m.put(IntGauge::with_opts(version)?)?.set(1);
        all.begin(slots);
        Ok(all)
    }

    /// A figure that appears with its first event has lost that event for `increase()`: so all that are known are there.
    fn begin(&self, slots: u16) {
        Came::ALL.iter().for_each(|c| drop(self.films.with_label_values(&[c.name()])));
        for code in FailureCode::ALL {
            drop(self.failures.with_label_values(&[code.as_str(), &code.class().to_string()]));
        }
        for stage in STAGES {
            drop(self.stage_seconds.with_label_values(&[stage]));
            drop(self.frames.with_label_values(&[stage]));
        }
        ["encode", "copy"].iter().for_each(|m| drop(self.film_seconds.with_label_values(&[m])));
        self.slots.set(slots.into());
        self.started.set(jiff::Timestamp::now().as_millisecond() as f64 / 1000.0);
        self.state(WorkerState::Starting, None);
    }

    /// An attempt was begun.
    pub fn attempt(&self) {
        self.attempts.inc();
    }

    /// How far a film is.
    pub fn progress(&self, job: JobId, p: &Progress) {
        let frames = self.running.progress(job, p);
        if frames > 0 {
            self.frames.with_label_values(&[p.stage.name()]).inc_by(frames);
        }
    }

    /// A film is in work no longer, however it ended.
    pub fn ends(&self, job: JobId) {
        self.running.ends(job);
        // It is there only if Prometheus asked meanwhile.
        let _ = self.progress.remove_label_values(&[&job.to_string()]);
    }

    /// A film was converted here.
    pub fn converted(&self, certificate: &Certificate) {
        let mut sum = 0.0;
        for stage in &certificate.stages {
            self.stage_seconds.with_label_values(&[&stage.stage]).observe(stage.seconds);
            sum += stage.seconds;
        }
        let copy = certificate.recipe.as_ref().is_some_and(|r| r.mode == Mode::Copy);
        self.film_seconds.with_label_values(&[if copy { "copy" } else { "encode" }]).observe(sum);
        self.source_bytes.inc_by(certificate.source.size);
        self.result_bytes.inc_by(certificate.result.size);
        self.result_frames.inc_by(certificate.frames);
    }

    /// What came of a message; `failure` with its code, `attempt` from 1.
    pub fn came(&self, came: Came, failure: Option<FailureCode>, attempt: u32) {
        self.films.with_label_values(&[came.name()]).inc();
        if let Some(code) = failure {
            self.failures.with_label_values(&[code.as_str(), &code.class().to_string()]).inc();
        }
        if matches!(came, Came::Done | Came::Failed) {
            self.attempts_of_film.observe(attempt.into());
        }
    }

    /// How the worker is, and of which code it is ill.
    pub fn state(&self, state: WorkerState, code: Option<&str>) {
        for name in STATES {
            self.state.with_label_values(&[name]).set(0);
        }
        self.state.with_label_values(&[state.name()]).set(1);
        self.ill.reset();
        if let (WorkerState::Ill, Some(code)) = (state, code) {
            self.ill.with_label_values(&[code]).set(1);
        }
    }

    /// What the broker said of its queues; `None`: nothing.
    pub fn queues(&self, seen: Option<&[QueueDepth]>) {
        self.broker_up.set(seen.is_some().into());
        // A length of before would be taken for that of now.
        self.queue.reset();
        self.consumers.reset();
        for q in seen.into_iter().flatten() {
            self.queue.with_label_values(&[q.name]).set(q.ready.into());
            self.consumers.with_label_values(&[q.name]).set(q.consumers.into());
        }
    }

    /// Everything in Prometheus' text format. Asks the scratch disk, and may block as long as that does.
    ///
    /// # Errors
    /// None in practice.
    pub fn text(&self, events: &Events) -> Result<Vec<u8>> {
        let films = self.running.all();
        // What stands still has no speed, whatever it had before.
        let still = self.state.with_label_values(&[WorkerState::Paused.name()]).get() == 1;
        for stage in STAGES {
            let here = films.iter().filter(|(_, now)| now.stage.name() == stage);
            self.fps
                .with_label_values(&[stage])
                // A sum of nothing is -0.
                .set(
                    0.0 + here
                        .clone()
                        .filter_map(|(_, now)| now.fps.filter(|_| !still))
                        .map(f64::from)
                        .sum::<f64>(),
                );
            self.running_films.with_label_values(&[stage]).set(here.count() as i64);
        }
        self.progress.reset();
        for (job, now) in &films {
            self.progress.with_label_values(&[&job.to_string()]).set(f64::from(now.percent) / 100.0);
        }
        if let Ok(free) = free_bytes(&self.scratch) {
            self.scratch_free.set(i64::try_from(free).unwrap_or(i64::MAX));
        }
        if let Some((read, written)) = through_disks() {
            let mut before = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            self.read_bytes.inc_by(read.saturating_sub(before.0));
            self.written_bytes.inc_by(written.saturating_sub(before.1));
            *before = (read.max(before.0), written.max(before.1));
        }
        self.dropped.inc_by(events.dropped().saturating_sub(self.dropped.get()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Tally for Metrics {
    fn tried(&self, target: &str, sent: Sent) {
        let result = match sent {
            Sent::Ok => "sent",
            Sent::Failed => "failed",
            Sent::GivenUp => "given_up",
        };
        self.notices.with_label_values(&[target, result]).inc();
    }

    fn waiting(&self, entries: usize) {
        self.outbox.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}
