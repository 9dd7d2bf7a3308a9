//! What came of a delivery, and what is said to the queue about it. Decided here and nowhere else.

use common::broker::{BrokerError, Delivery, Publisher, Tier};
use common::job::{FailureClass, FailureCode, FailureReport};

/// Which try at a film this is, by its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// Counted from 1.
    pub number: u32,
    /// How the counted try before this one failed.
    pub before: Option<FailureCode>,
}

impl Try {
    /// The one that a delivery asks for.
    pub fn of(delivery: &Delivery) -> Self {
        Self { number: delivery.attempt().saturating_add(1), before: delivery.last_code() }
    }
}

/// What came of a delivery.
#[derive(Debug)]
pub enum Outcome {
    /// Published and proven, now or before.
    Done,
    /// Somebody else works on it.
    Busy,
    /// It failed; the report says how. `report.attempt` counts this try.
    Failed(Box<FailureReport>),
    /// It was given up before, as the share's report says: nothing was tried.
    GivenUp {
        /// The share's report.
        report: Box<FailureReport>,
        /// The queue handed this message out before: whoever wrote the report may have died before the dead letter.
        again: bool,
    },
}

/// What is done with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is finished.
    Ack,
    /// Later again, not counted as a try. `None` is at once.
    GiveBack(Option<Tier>),
    /// Later again, counted.
    Retry(Tier),
    /// To the dead letters.
    Bury,
}

impl Action {
    /// Seconds until the film comes back to the queue; `None` if it does not, or comes back at once. `delays_s` is
    /// `broker.retry_delays_s`.
    pub fn wait_s(self, delays_s: [u32; 3]) -> Option<u64> {
        match self {
            Self::Retry(tier) | Self::GiveBack(Some(tier)) => Some(delays_s[tier as usize].into()),
            Self::GiveBack(None) | Self::Ack | Self::Bury => None,
        }
    }
}

/// The decision. `before` is how the try before this one failed, `max_attempts` is `retry.max_attempts`.
///
/// A result that fails its proof twice in a row is no accident: what else went wrong before does not count there.
pub fn decide(outcome: &Outcome, before: Option<FailureCode>, max_attempts: u32) -> Action {
    let report = match outcome {
        Outcome::Done => return Action::Ack,
        Outcome::Busy => return Action::GiveBack(Some(Tier::Minute)),
        Outcome::Failed(report) => report,
        // A second message of a film whose dead letter lies there adds nothing; `failed list` shows the report in any case.
        Outcome::GivenUp { report, again } if *again && report.discarded_at.is_none() => return Action::Bury,
        Outcome::GivenUp { .. } => return Action::Ack,
    };
    match report.code.class() {
        FailureClass::Permanent | FailureClass::Bug => Action::Bury,
        // Another worker may be able to do it; this one would only get it straight back.
        FailureClass::Resource => Action::GiveBack(Some(Tier::Minute)),
        // A worker that was told to stop leaves its film to the others at once. One that lost its film leaves it to
        // whoever has it, and looks again later.
        FailureClass::Interrupted if report.code == FailureCode::Shutdown => Action::GiveBack(None),
        FailureClass::Interrupted => Action::GiveBack(Some(Tier::Minute)),
        FailureClass::Transient if report.attempt >= max_attempts => Action::Bury,
        FailureClass::Transient
            if report.code.is_of_proof() && before.is_some_and(FailureCode::is_of_proof) =>
        {
            Action::Bury
        }
        FailureClass::Transient => Action::Retry(Tier::after(report.attempt)),
    }
}

/// Does it. The share's own books are written before: when the message goes, the share knows everything.
///
/// # Errors
/// The queue cannot be reached any more; it hands the film out again, and what the share says then decides.
pub async fn execute(
    action: Action,
    outcome: &Outcome,
    delivery: Delivery,
    publisher: &Publisher,
) -> Result<(), BrokerError> {
    match (action, outcome) {
        (Action::Retry(tier), Outcome::Failed(r)) => delivery.retry(publisher, tier, r.attempt, r.code).await,
        (Action::Bury, Outcome::Failed(report) | Outcome::GivenUp { report, .. }) => {
            delivery.fail(publisher, report).await
        }
        (Action::GiveBack(delay), _) => delivery.give_back(publisher, delay).await,
        (Action::Ack | Action::Retry(_) | Action::Bury, _) => delivery.ack().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: FailureCode, attempt: u32) -> Outcome {
        Outcome::Failed(Box::new(FailureReport {
            v: 1,
            job: None,
            code,
            class: code.class(),
            stage: "encode".into(),
            summary: String::new(),
            hint: String::new(),
            causes: Vec::new(),
            tool: None,
            attempt,
            worker: "w".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            log: None,
            raw: None,
            discarded_at: None,
        }))
    }

    #[test]
    fn the_table() {
        use Action::{Bury, GiveBack, Retry};
        use FailureCode as C;
        let minute = Some(Tier::Minute);
        for (code, attempt, want) in [
            (C::SourceTruncated, 1, Bury),
            (C::FelExpanding, 1, Bury),
            (C::MessageMalformed, 1, Bury),
            (C::Poison, 1, Bury),
            (C::BugPanic, 1, Bury),
            (C::EncodeFailed, 1, Retry(Tier::Minute)),
            (C::EncodeFailed, 2, Retry(Tier::TenMinutes)),
            (C::EncodeFailed, 3, Bury),
            (C::ProofAlignment, 1, Retry(Tier::Minute)),
            (C::ProofAlignment, 2, Retry(Tier::TenMinutes)),
            (C::ProofAlignment, 3, Bury),
            (C::DiskFull, 1, GiveBack(minute)),
            (C::DiskFull, 99, GiveBack(minute)),
            (C::ToolMissing, 1, GiveBack(minute)),
            (C::EncodeUnsupported, 9, GiveBack(minute)),
            (C::ShareGone, 1, GiveBack(minute)),
            (C::LeaseLost, 5, GiveBack(minute)),
            (C::Shutdown, 5, GiveBack(None)),
            (C::Cancelled, 1, Bury),
        ] {
            assert_eq!(decide(&failed(code, attempt), None, 3), want, "{code} at attempt {attempt}");
        }
        assert_eq!(decide(&Outcome::Done, None, 3), Action::Ack);
        assert_eq!(decide(&Outcome::Busy, None, 3), GiveBack(minute));
        let given_up = |again, discarded_at| {
            let Outcome::Failed(mut report) = failed(C::SourceTruncated, 1) else { unreachable!() };
            report.discarded_at = discarded_at;
            decide(&Outcome::GivenUp { report, again }, None, 3)
        };
        assert_eq!(given_up(true, None), Bury, "the letter may never have been written");
        assert_eq!(given_up(false, None), Action::Ack);
        assert_eq!(given_up(true, Some(jiff::Timestamp::UNIX_EPOCH)), Action::Ack, "a person dropped it");
    }

    #[test]
    fn a_film_is_given_up_when_two_proofs_in_a_row_fail_whatever_failed_before() {
        use FailureCode as C;
        for (code, before, want) in [
            (C::ProofAlignment, C::ProofAlignment, Action::Bury),
            (C::ProofFrames, C::EncodeFrames, Action::Bury),
            (C::ProofAlignment, C::ToolKilled, Action::Retry(Tier::TenMinutes)),
            (C::ToolKilled, C::ProofAlignment, Action::Retry(Tier::TenMinutes)),
        ] {
            assert_eq!(decide(&failed(code, 2), Some(before), 5), want, "{code} after {before}");
        }
    }

    #[test]
    fn no_code_runs_for_ever_or_is_forgotten() {
        for code in FailureCode::ALL {
            let last = decide(&failed(*code, 1000), None, 3);
            let counted =
                matches!(code.class(), FailureClass::Permanent | FailureClass::Transient | FailureClass::Bug);
            assert_eq!(last == Action::Bury, counted, "{code}: {last:?}");
        }
    }

    #[test]
    fn long_retries_wait_longest() {
        assert_eq!(decide(&failed(FailureCode::ShareIo, 7), None, 10), Action::Retry(Tier::Hour));
        let wait = |action: Action| action.wait_s([60, 600, 3600]);
        assert_eq!(Tier::ALL.map(|tier| wait(Action::Retry(tier))), [Some(60), Some(600), Some(3600)]);
        assert_eq!(wait(Action::GiveBack(Some(Tier::Minute))), Some(60));
        assert_eq!([Action::GiveBack(None), Action::Ack, Action::Bury].map(wait), [None; 3]);
    }
}
