//! Whether a film is complete, or somebody still copies it.

use std::time::{Duration, SystemTime};

use common::share::{ShareError, ShareState};

/// A file that is dated further in the future than this was dated on purpose or by a broken clock, not just now.
const WRONG_DATE: Duration = Duration::from_secs(24 * 3600);

/// Tells a file's age. Files on a share are dated by its server, so its clock is asked where possible.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now: SystemTime,
    stable: Duration,
}

impl Clock {
    /// The share's clock.
    ///
    /// # Errors
    /// The share is gone, or no file can be written there.
    pub fn of_share(share: &ShareState, stable: Duration) -> Result<Self, ShareError> {
        Ok(Self { now: share.now()?, stable })
    }

    /// This machine's clock: for a dry run, which writes nothing.
    pub fn of_this_machine(stable: Duration) -> Self {
        Self { now: SystemTime::now(), stable }
    }

    /// How long to wait until the file counts as complete; `None` if it does.
    ///
    /// Looked at once: a date that is old enough means that nobody wrote for that long.
    pub fn wait(&self, mtime_ns: i64) -> Option<Duration> {
        let now_ns = self.now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let age = i128::try_from(now_ns).unwrap_or(i128::MAX) - i128::from(mtime_ns);
        let stable = i128::try_from(self.stable.as_nanos()).unwrap_or(i128::MAX);
        if age >= stable || age < -(WRONG_DATE.as_nanos() as i128) {
            return None;
        }
        Some(Duration::from_nanos(u64::try_from(stable - age).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn young_files_wait_and_old_ones_do_not() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let clock = Clock { now, stable: Duration::from_secs(60) };
        let wait = |s: i64| clock.wait(s * 1_000_000_000).map(|d| d.as_secs());
        assert_eq!(wait(1_000_000 - 60), None);
        assert_eq!(wait(1_000_000 - 10), Some(50));
        assert_eq!(wait(1_000_000 + 30), Some(90), "the server's clock is ahead of ours");
        assert_eq!(wait(1_000_000 + 100_000), None, "a date from the future says nothing about now");
        assert_eq!(wait(i64::MIN / 1_000_000_000), None);
        let always = Clock { now, stable: Duration::ZERO };
        assert_eq!(always.wait(1_000_000 * 1_000_000_000), None);
    }
}
