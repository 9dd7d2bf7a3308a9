//! Byte work on threads of its own.

use std::time::Duration;

use common::job::FailureCode;

use super::{Stage, StageError, Stop};

/// A thread that waits for a dead network mount does not come back. After this long it is left behind.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs blocking work that looks at `stop` by itself now and then. A panic in it becomes an error of its own.
pub(super) async fn blocking<T: Send + 'static>(
    stage: Stage,
    stop: &Stop,
    work: impl FnOnce() -> Result<T, StageError> + Send + 'static,
) -> Result<T, StageError> {
    let mut handle = tokio::task::spawn_blocking(work);
    let given_up = async {
        stop.stopped().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        biased;
        done = &mut handle => done.unwrap_or_else(|e| Err(panicked(stage, e))),
        () = given_up => Err(stop.error(stage)),
    }
}

/// As [`blocking`], for a step that must never be left half done: waits for ever.
pub(super) async fn uninterrupted<T: Send + 'static>(
    stage: Stage,
    work: impl FnOnce() -> Result<T, StageError> + Send + 'static,
) -> Result<T, StageError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(panicked(stage, e)))
}

fn panicked(stage: Stage, error: tokio::task::JoinError) -> StageError {
    let what = match error.try_into_panic() {
        Ok(payload) => payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into()),
        Err(_) => "the thread was cancelled".into(),
    };
    StageError::new(stage, FailureCode::BugPanic, format!("the program panicked: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_message() {
        let stop = Stop::default();
        let work = || -> Result<(), StageError> { panic!("index 7 of 3") };
        let error = blocking(Stage::Prescan, &stop, work).await.unwrap_err();
        assert_eq!(error.code, FailureCode::BugPanic);
        assert!(error.message.contains("index 7 of 3"), "{error}");
    }
}
