//! What goes over the wire, besides the job itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::{BrokerError, topology};
use crate::job::{FailureCode, FailureReport, JobMessage, MalformedMessage, ToolReport};

/// The largest body in bytes that is published or read. An unread message pins the broker's log, so bodies stay small;
/// and whatever else may reach the queue cannot fill a worker's memory.
pub const MAX_BODY: usize = 100_000;

/// Failed attempts so far. Ours, since the broker's delivery count also counts its own restarts.
const ATTEMPT: &str = "x-attempt";
/// Code of the latest failure, for people who look at the queue in the management UI.
const CODE: &str = "x-code";
/// Film, sentence and worker of a dead letter: for the same people, who see headers as a table above the body.
const FILM: &str = "x-film";
const REASON: &str = "x-reason";
const WORKER: &str = "x-worker";
/// Set on copies of messages that were handed out more than once: the broker's own mark does not survive a copy.
const AGAIN: &str = "x-again";

/// A retry queue, by the delay its definition gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// `dovi.retry.1m`
    Minute,
    /// `dovi.retry.10m`
    TenMinutes,
    /// `dovi.retry.1h`
    Hour,
}

impl Tier {
    /// All tiers, shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::TenMinutes, Self::Hour];

    /// The tier to wait in after this many failed attempts.
    pub fn after(attempts: u32) -> Self {
        match attempts {
            0 | 1 => Self::Minute,
            2 => Self::TenMinutes,
            _ => Self::Hour,
        }
    }

    /// How long a film waits there under these options.
    pub fn delay(self, delays: &[Duration; 3]) -> Duration {
        delays[self as usize]
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the workers.
    Film,
    /// To the workers, before all others.
    First,
    /// To the workers, after a delay.
    Retry(Tier),
    /// To the dead letters.
    Failed,
}

impl Route {
    /// The routing key on the work exchange.
    pub fn key(self) -> &'static str {
        match self {
            Self::Film => topology::FILM_KEY,
            Self::First => topology::FIRST_KEY,
            Self::Retry(Tier::Minute) => "retry.1m",
            Self::Retry(Tier::TenMinutes) => "retry.10m",
            Self::Retry(Tier::Hour) => "retry.1h",
            Self::Failed => topology::FAILED_KEY,
        }
    }
}

/// A message to publish. Only our own headers ever leave: 4.x ignores a copied `x-death`, 3.10 counts it up.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(super) id: Option<String>,
    pub(super) body: Vec<u8>,
    attempt: u32,
    code: Option<FailureCode>,
    priority: u8,
    again: bool,
    told: Vec<(&'static str, String)>,
}

impl Outgoing {
    /// A film to convert, not tried yet.
    ///
    /// # Errors
    /// [`BrokerError::Body`] above [`MAX_BODY`].
    pub fn job(job: &JobMessage) -> Result<Self, BrokerError> {
        let body = job.to_body().map_err(|e| BrokerError::Body(e.to_string()))?;
        Self::raw(Some(job.id.to_string()), body)
    }

    /// A dead letter. A message that was no job keeps the id it came with. What makes it larger than [`MAX_BODY`] is cut: a film
    /// whose report does not fit must be given up all the same.
    ///
    /// # Errors
    /// [`BrokerError::Body`], in practice never.
    pub fn report(report: &FailureReport, id: Option<&str>) -> Result<Self, BrokerError> {
        // With line breaks: people read it in the management UI.
        let json =
            |r: &FailureReport| serde_json::to_vec_pretty(r).map_err(|e| BrokerError::Body(e.to_string()));
        let mut body = json(report)?;
        if body.len() > MAX_BODY {
            let short = shortened(report);
            body = json(&short)?;
            if body.len() > MAX_BODY {
                let raw = short.job.as_ref().and_then(|j| serde_json::to_string(j).ok());
                body = json(&FailureReport { job: None, raw: raw.map(|r| cut(&r)), ..short })?;
            }
        }
        let id = report.job.as_ref().map(|j| j.id.to_string()).or_else(|| id.map(Into::into));
        let told = [(FILM, report.film()), (REASON, report.summary.clone()), (WORKER, report.worker.clone())];
        let told = told.map(|(key, text)| (key, cut(&text))).to_vec();
        let out = Self::raw(id, body)?.attempt(report.attempt).code(report.code);
        Ok(Self { told, ..out })
    }

    pub(super) fn raw(id: Option<String>, body: Vec<u8>) -> Result<Self, BrokerError> {
        if body.len() > MAX_BODY {
            return Err(BrokerError::Body(format!(
                "a body of {} bytes is above the limit of {MAX_BODY}",
                body.len()
            )));
        }
        // A header text has at most 255 bytes on the wire; ids that are not ours may be anything.
        let id = id.filter(|id| id.len() <= 255);
        Ok(Self {
            id,
            body,
            attempt: 0,
            code: None,
            priority: DEFAULT_PRIORITY,
            again: false,
            told: Vec::new(),
        })
    }

    /// Failed attempts so far.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Code of the latest failure.
    #[must_use]
    pub fn code(mut self, code: FailureCode) -> Self {
        self.code = Some(code);
        self
    }

    /// 0 to 9, default 4. 3.10 ignores it, 4.0 knows high (5 and more) and normal, 4.3 orders strictly.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority.min(9);
        self
    }

    /// A copy of a message that was handed out more than once: whoever had it before may have died over it.
    #[must_use]
    pub(super) fn handed_out_before(mut self, again: bool) -> Self {
        self.again = again;
        self
    }

    pub(super) fn properties(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(self.attempt.into()));
        if let Some(code) = self.code {
            headers.insert(CODE.into(), AMQPValue::LongString(code.as_str().into()));
        }
        for (key, text) in &self.told {
            headers.insert((*key).into(), AMQPValue::LongString(text.as_str().into()));
        }
        if self.again {
            headers.insert(AGAIN.into(), AMQPValue::Boolean(true));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let properties = BasicProperties::default()
            // Dead-lettering at least once only works for persistent messages.
            .with_delivery_mode(2)
            .with_priority(self.priority)
            .with_content_type("application/json".into())
            .with_app_id("dovi-fleet".into())
            .with_timestamp(now)
            .with_headers(headers);
        match &self.id {
            Some(id) => properties.with_message_id(id.as_str().into()),
            None => properties,
        }
    }
}

const DEFAULT_PRIORITY: u8 = 4;

/// Our own headers of a received message. Whatever is missing or odd reads as its default.
#[derive(Debug, Clone)]
pub(super) struct Headers {
    pub id: Option<String>,
    pub attempt: u32,
    pub code: Option<FailureCode>,
    pub priority: u8,
    /// This is a copy of a message that was handed out more than once.
    pub again: bool,
    /// The broker's count of earlier deliveries.
    pub deliveries: u64,
    /// When it was published, seconds since 1970.
    pub published: Option<u64>,
}

impl Headers {
    pub fn read(p: &BasicProperties) -> Self {
        let header = |key: &str| p.headers().as_ref().and_then(|h| h.inner().get(key));
        Self {
            id: p.message_id().as_ref().map(ToString::to_string),
            attempt: header(ATTEMPT).and_then(number).map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX)),
            code: header(CODE).and_then(text).and_then(|t| t.parse().ok()),
            priority: p.priority().unwrap_or(DEFAULT_PRIORITY),
            again: matches!(header(AGAIN), Some(AMQPValue::Boolean(true))),
            // 4.3 counts a film that was put back as acquired and not as delivered (measured); what it counts as delivered is
            // what it gives up by.
            deliveries: ["x-delivery-count", "x-acquired-count"]
                .into_iter()
                .filter_map(|key| header(key).and_then(number))
                .max()
                .unwrap_or(0),
            published: *p.timestamp(),
        }
    }

    /// The same message again.
    pub fn again(&self, body: Vec<u8>) -> Result<Outgoing, BrokerError> {
        let out = Outgoing::raw(self.id.clone(), body)?.attempt(self.attempt).priority(self.priority);
        Ok(Outgoing { code: self.code, ..out })
    }
}

/// Characters of a text that a shortened report keeps. In JSON one takes at most six bytes.
const SHORT: usize = 1000;

fn cut(text: &str) -> String {
    text.chars().take(SHORT).collect()
}

/// The report without what may be long in it, apart from the job.
fn shortened(report: &FailureReport) -> FailureReport {
    let tool = report.tool.as_ref().map(|t| ToolReport {
        command: cut(&t.command),
        outcome: cut(&t.outcome),
        tail: t.tail.iter().rev().take(5).rev().map(|line| cut(line)).collect(),
    });
    FailureReport {
        stage: cut(&report.stage),
        summary: cut(&report.summary),
        hint: cut(&report.hint),
        causes: report.causes.iter().take(2).map(|c| cut(c)).collect(),
        tool,
        worker: cut(&report.worker),
        log: report.log.as_deref().map(cut),
        raw: report.raw.as_deref().map(cut),
        ..report.clone()
    }
}

/// A header number in whichever width its sender chose; negative ones read as none.
fn number(v: &AMQPValue) -> Option<u64> {
    let n: i64 = match *v {
        AMQPValue::LongLongInt(n) => n,
        AMQPValue::LongInt(n) => n.into(),
        AMQPValue::LongUInt(n) => n.into(),
        AMQPValue::ShortInt(n) => n.into(),
        AMQPValue::ShortUInt(n) => n.into(),
        AMQPValue::ShortShortInt(n) => n.into(),
        AMQPValue::ShortShortUInt(n) => n.into(),
        _ => return None,
    };
    u64::try_from(n).ok()
}

fn text(v: &AMQPValue) -> Option<String> {
    match v {
        AMQPValue::LongString(s) => Some(s.to_string()),
        AMQPValue::ShortString(s) => Some(s.to_string()),
        _ => None,
    }
}

/// A body that is no job.
#[derive(Debug, thiserror::Error)]
pub enum MalformedBody {
    /// Above [`MAX_BODY`]; nothing of it was parsed.
    #[error("the message has {0} bytes, more than the {MAX_BODY} that a job may have")]
    TooLarge(usize),
    /// Not a job of a known version.
    #[error(transparent)]
    Message(#[from] MalformedMessage),
}

impl MalformedBody {
    /// The stable code for the dead letter.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::TooLarge(_) => FailureCode::MessageMalformed,
            Self::Message(m) => m.code(),
        }
    }
}

/// Reads a body as a job, bounded.
pub(super) fn parse(body: &[u8]) -> Result<JobMessage, MalformedBody> {
    if body.len() > MAX_BODY {
        return Err(MalformedBody::TooLarge(body.len()));
    }
    Ok(JobMessage::parse(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_keys_of_the_topology() {
        let routes =
            [Route::Film, Route::First, Route::Failed].into_iter().chain(Tier::ALL.map(Route::Retry));
        let keys: Vec<_> = routes.map(Route::key).collect();
        for q in topology::QUEUES {
            assert!(keys.contains(&q.key), "{}", q.key);
            if let Some(tier) = q.tier {
                assert_eq!(Route::Retry(Tier::ALL[tier]).key(), q.key);
            }
        }
    }

    #[test]
    fn foreign_headers_are_dropped_and_odd_ones_read_as_none() {
        let mut table = FieldTable::default();
        table.insert(ATTEMPT.into(), AMQPValue::ShortInt(2));
        table.insert("x-death".into(), AMQPValue::LongString("old".into()));
        table.insert("x-delivery-count".into(), AMQPValue::LongLongInt(-7));
        let read = Headers::read(&BasicProperties::default().with_headers(table).with_priority(7));
        assert_eq!((read.attempt, read.deliveries, read.priority), (2, 0, 7));
        let again = read.again(b"x".to_vec()).unwrap().properties();
        let headers = again.headers().clone().unwrap();
        assert_eq!(headers.inner().keys().map(|k| k.as_str().to_owned()).collect::<Vec<_>>(), [ATTEMPT]);
        assert_eq!((*again.priority(), *again.delivery_mode()), (Some(7), Some(2)));
    }

    #[test]
    fn a_report_that_is_too_long_is_cut_and_goes_out() {
        let film = format!("films:{}.mkv", "\u{1}n".repeat(14_000)).replace('\u{1}', "%01").parse().unwrap();
        let job = JobMessage::new(film, 1, 1, crate::job::Recipe::default(), "MEL".into());
        let long = "\u{1}".repeat(50_000);
        let text = serde_json::json!({
            "v": 1, "job": job, "code": "source.missing", "class": "permanent", "stage": "preflight", "summary": long,
            "hint": long, "causes": [long, long], "tool": {"command": long, "outcome": long, "tail": [long, "last"]},
            "attempt": 1, "worker": long, "at": "1970-01-01T00:00:00Z", "log": long, "raw": long,
        });
        let report: FailureReport = serde_json::from_value(text).unwrap();
        let out = Outgoing::report(&report, None).unwrap();
        assert!(out.body.len() <= MAX_BODY);
        assert_eq!(out.id, Some(job.id.to_string()));
        let headers = out.properties().headers().clone().unwrap();
        let reason = headers.inner().get(REASON).and_then(super::text).unwrap();
        assert_eq!(reason.chars().count(), SHORT);
        let read: FailureReport = serde_json::from_slice(&out.body).unwrap();
        assert_eq!(read.code, report.code);
        assert_eq!(read.tool.unwrap().tail.last().map(String::as_str), Some("last"));
    }

    #[test]
    fn nothing_too_large_goes_out_or_is_parsed() {
        assert!(matches!(Outgoing::raw(None, vec![b' '; MAX_BODY + 1]), Err(BrokerError::Body(_))));
        assert!(matches!(parse(&vec![b' '; MAX_BODY + 1]), Err(MalformedBody::TooLarge(_))));
    }
}
