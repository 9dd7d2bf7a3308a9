//! The outermost frame of both programs: a runtime around the command, and an exit code whatever happens in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::exit::{Exit, Failure};

/// What the latest panic said, and where. Only one that reaches the outermost frame is shown.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs a command to its end. Prints what failed on standard error, with the causes if `verbose`; never panics.
///
/// A panic that is caught further in, such as one of the RPU library over a hostile RPU, is an error of that film and goes
/// to the log only.
pub fn run(verbose: bool, work: impl AsyncFnOnce() -> Result<Exit, Failure>) -> Exit {
    std::panic::set_hook(Box::new(|panic| {
        tracing::debug!(%panic, "panic");
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
    }));
    let result = catch_unwind(AssertUnwindSafe(|| on_runtime(work)));
    let _ = std::panic::take_hook();
    match result {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            eprint!("{}", failure.report(verbose));
            failure.exit
        }
        Err(_) => {
            let what = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            eprintln!("error: the program hit a state that should be impossible: {what}");
            eprintln!("hint: no unproven file has a final name; please report this with the lines above");
            Exit::Bug
        }
    }
}

fn on_runtime(work: impl AsyncFnOnce() -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::environment("this machine gives no threads").because(&e))?;
    let result = runtime.block_on(work());
    // A thread that reads from a share that hangs would keep the program from ending.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_exit_code() {
        assert_eq!(run(false, async || Ok(Exit::Some)), Exit::Some);
        assert_eq!(run(false, async || Err(Failure::environment("no broker"))), Exit::Environment);
        assert_eq!(run(false, async || panic!("impossible")), Exit::Bug);
    }
}
