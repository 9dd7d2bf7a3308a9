//! Named places on a film's way at which a fault test can step in.
//!
//! This is a seam for tests and nothing else: the fault loop (docs/RELIABILITY.md) kills, freezes or fails a worker exactly
//! here. The programs that are shipped never install a hook, and then a step costs one atomic load and succeeds.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use crate::share::FileError;

macro_rules! steps {
    ($($name:ident $text:literal $meaning:literal)*) => {
        /// A place on a film's way, in the order in which a film passes them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Step {
            $(#[doc = $meaning] $name,)*
        }

        impl Step {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, `area.place`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Where it is, in words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

steps! {
    Leased "claim.leased" "The lease is ours, and nothing is done yet."
    Started "claim.started" "The start is in the journal."
    Preflight "stage.preflight" "The pipeline begins."
    Prescan "stage.prescan" "The film is about to be read once."
    Copy "stage.copy" "The base layer is about to be copied."
    Encode "stage.encode" "The encoder is about to be started."
    Encoding "encode.frames" "The first frames of the encoder are written."
    Mux "stage.mux" "The new video is whole, the result is about to be put together."
    Verify "stage.verify" "The result is whole under its hidden name."
    Publish "stage.publish" "The result is proven."
    Dressed "publish.dressed" "The hidden file has its owner, mode and date."
    Announced "publish.announced" "The announcement is on the share."
    Fenced "publish.fenced" "The lease was seen to be ours."
    Recorded "replace.recorded" "Replace mode: the trash has its record of the original."
    Trashed "replace.trashed" "Replace mode: the original is in the trash."
    Renamed "publish.renamed" "The result has its final name."
    Certified "publish.certified" "The certificate is on the share, the announcement still there."
    Concluded "publish.concluded" "The announcement is gone."
    Ended "settle.journal" "The end of the attempt is in the journal."
    Reported "settle.reported" "The report of a film that is given up is on the share."
    Released "settle.released" "The lease is given back."
    Moving "settle.moving" "A copy of the message is about to be published: a retry, a film given back, or a dead letter."
    Moved "settle.moved" "That copy is confirmed, and the message itself is not acknowledged yet."
    Acked "settle.acked" "The message is acknowledged."
}

impl Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What a test does at a step. `about` names the attempt or the job. It may never return (the process is killed), return late
/// (it was frozen), or fail as a disk would.
pub type Hook = dyn Fn(Step, &dyn Display) -> io::Result<()> + Send + Sync;

static HOOK: OnceLock<Box<Hook>> = OnceLock::new();

/// Has every step of this process call `hook` from now on. Only the first call counts; false for any other.
pub fn install(hook: Box<Hook>) -> bool {
    HOOK.set(hook).is_ok()
}

/// A film came to `step`. Without a hook this is nothing.
///
/// # Errors
/// What the hook made up: to be handled as if the work of that place had failed on its disk.
pub fn reached(step: Step, about: impl Display) -> Result<(), FileError> {
    let Some(hook) = HOOK.get() else { return Ok(()) };
    hook(step, &about).map_err(|e| FileError::new("get past the step", Path::new(step.name()), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_asked_at_its_step_and_its_error_is_that_of_a_disk() {
        assert!(reached(Step::Mux, "nobody listens").is_ok());
        let hook = |step, about: &dyn Display| match (step, about.to_string().as_str()) {
            (Step::Mux, "film 7") => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        };
        assert!(install(Box::new(hook)));
        assert!(!install(Box::new(|_, _| Ok(()))), "the first one stays");
        assert!(reached(Step::Mux, "film 8").is_ok());
        let error = reached(Step::Mux, format_args!("film {}", 7)).unwrap_err();
        assert_eq!(error.code(), crate::job::FailureCode::ShareIo);
        assert!(error.to_string().contains("stage.mux"), "{error}");
    }

    #[test]
    fn names_are_unique() {
        for (n, step) in Step::ALL.iter().enumerate() {
            assert!(Step::ALL[..n].iter().all(|s| s.name() != step.name()), "{step} twice");
        }
    }
}
