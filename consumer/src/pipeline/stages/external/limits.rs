//! What is known before any work: films with which dovi_tool cannot succeed. And what to do where it did not.

use common::job::{FailureCode, Mode};
use dovi::film::FilmIndex;

use crate::pipeline::{Context, Stage, StageError};

const INSTEAD: &str = "Set dovi.backend = \"internal\", which can.";

/// Why this film would fail the proof for certain, after hours of work. All of it was measured with version 2.3.1.
pub fn check(index: &FilmIndex, mode: Mode, stage: Stage) -> Result<(), StageError> {
    let counts = &index.counts;
    let shown = index.expected().frames();
    let why = if counts.missing > 0 {
        // extract-rpu counts RPUs, not pictures, so all behind a gap move; convert leaves the gap.
        format!("{} frames have no rpu of their own, and dovi_tool cannot fill them", counts.missing)
    } else if mode == Mode::Encode && shown != index.frames {
        // inject-rpu counts from the front and drops what is left over at the end.
        format!(
            "a decoder shows {shown} of {} frames, and dovi_tool cannot tell which rpus belong to them",
            index.frames
        )
    } else if mode == Mode::Encode && counts.hdr10plus > 0 {
        format!("{} frames have HDR10+ metadata, and dovi_tool does not carry them over", counts.hdr10plus)
    } else {
        return Ok(());
    };
    Err(StageError::new(stage, FailureCode::SourceUnsupported, why).hint(INSTEAD))
}

/// A result that was not proven: what helps is another way, not another try.
pub async fn advise(context: &Context, error: StageError) -> StageError {
    let ours = error.hint.is_none() && error.code.as_str().starts_with("proof.");
    match context.tools.external().await {
        Ok(Some(tool)) if ours => error.hint(format!(
            "Nothing was published. The metadata was put in by dovi_tool {}; set dovi.backend = \"internal\".",
            tool.version
        )),
        _ => error,
    }
}
