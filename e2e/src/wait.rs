//! Waits for conditions with a deadline: tests and the demo never sleep and hope.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(50);

/// Blocks until `condition` holds.
///
/// # Errors
/// `deadline` passed; the message says `what` was waited for.
pub fn until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    until_some(deadline, what, || condition().then_some(()))
}

/// Blocks until `look` finds something, and returns it.
///
/// # Errors
/// As [`until`].
pub fn until_some<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if started.elapsed() > deadline {
            bail!("waited {deadline:?} in vain for {what}");
        }
        thread::sleep(STEP);
    }
}

/// [`until`] for asynchronous conditions. A look that hangs is cut off at the deadline, too.
///
/// # Errors
/// As [`until`].
pub async fn until_async<F>(deadline: Duration, what: &str, mut condition: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = bool>,
{
    let looking = async {
        while !condition().await {
            tokio::time::sleep(STEP).await;
        }
    };
    match tokio::time::timeout(deadline, looking).await {
        Ok(()) => Ok(()),
        Err(_) => bail!("waited {deadline:?} in vain for {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_at_the_deadline_and_says_for_what() {
        let mut looks = 0;
        let error = until(Duration::from_millis(120), "rain", || {
            looks += 1;
            false
        });
        assert!(looks >= 2 && error.unwrap_err().to_string().contains("rain"));
    }

    #[tokio::test]
    async fn cuts_off_a_look_that_hangs() {
        let error = until_async(Duration::from_millis(60), "godot", std::future::pending::<bool>).await;
        assert!(error.unwrap_err().to_string().contains("godot"));
    }
}
