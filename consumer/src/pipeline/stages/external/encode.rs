//! The encoder's stream into a file, since dovi_tool reads it twice.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use common::job::Mode;
use common::process::Progress as Count;
use dovi::au::AuReader;
use dovi::film::FilmIndex;
use dovi::hash::{VclHash, VclHasher};
use dovi::inject::InjectError;

use crate::pipeline::meter::Unit;
use crate::pipeline::stages::encode::{blame, command, through};
use crate::pipeline::{Context, FilmTask, Meter, Plan, Stage, StageError};

/// Encodes the film's picture into `path`. Gives the hash of the slices as they came from the encoder, so that later damage
/// shows.
pub async fn encode(
    context: &Context,
    task: &FilmTask,
    index: &FilmIndex,
    plan: &Plan,
    path: &Path,
) -> Result<VclHash, StageError> {
    let command = command(context, task, index, plan).await?;
    let keeping = {
        let (inner, plan, path) = (context.clone(), plan.clone(), path.to_owned());
        through(context, &command, move |stream, count| keep(&inner, &plan, stream, &path, count))
    };
    keeping.await.map(|(kept, _)| kept).map_err(|e| blame(context, task.recipe.encoder, e))
}

/// Writes the stream as it is, and looks at each picture on the way: a wrong colour or number of frames is cheaper to find
/// here than in the proof.
fn keep(
    context: &Context,
    plan: &Plan,
    stream: &mut impl Read,
    path: &Path,
    count: &Count,
) -> Result<VclHash, InjectError> {
    let file = File::options().write(true).create_new(true).open(path).map_err(InjectError::Output)?;
    let mut through = Through { inner: stream, out: BufWriter::with_capacity(1 << 20, file), failed: None };
    let seen = look(context, plan, &mut through, count);
    if let Some(e) = through.failed.take() {
        return Err(InjectError::Output(e));
    }
    let vcl = seen?;
    through.out.flush().map_err(InjectError::Output)?;
    Ok(vcl)
}

fn look(
    context: &Context,
    plan: &Plan,
    stream: &mut impl Read,
    count: &Count,
) -> Result<VclHash, InjectError> {
    let mut meter = Meter::begin(&context.watcher, Mode::Encode, Stage::Encode, Unit::Frames, plan.frames);
    let mut reader = AuReader::new(stream);
    let mut vcl = VclHasher::new();
    let (mut frames, mut checked) = (0, None);
    while let Some(unit) = reader.next_au()? {
        if checked.as_ref() != Some(&unit.sps) {
            plan.expect.check(&unit.sps)?;
            checked = Some(Arc::clone(&unit.sps));
        }
        unit.nals().for_each(|(_, nal)| vcl.update(nal));
        frames += 1;
        count.set(frames);
        meter.set(frames);
        reader.recycle(unit);
    }
    if frames != plan.frames {
        return Err(InjectError::FrameCount { planned: plan.frames, encoded: frames });
    }
    Ok(vcl.finish())
}

/// Everything that is read is also written.
struct Through<R, W> {
    inner: R,
    out: W,
    failed: Option<io::Error>,
}

impl<R: Read, W: Write> Read for Through<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Err(e) = self.out.write_all(&buffer[..n]) {
            // Kept apart: what fails here is the disk, not the encoder.
            let kind = e.kind();
            self.failed = Some(e);
            return Err(kind.into());
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_through_is_written_and_a_full_disk_is_kept_apart() {
        let mut through = Through { inner: &b"abcdef"[..], out: Vec::new(), failed: None };
        let mut read = Vec::new();
        through.read_to_end(&mut read).unwrap();
        assert_eq!((read.as_slice(), through.out.as_slice()), (&b"abcdef"[..], &b"abcdef"[..]));

        let mut room = [0u8; 3];
        let mut through = Through { inner: &b"abcdef"[..], out: &mut room[..], failed: None };
        assert!(io::copy(&mut through, &mut io::sink()).is_err());
        assert_eq!(through.failed.map(|e| e.kind()), Some(io::ErrorKind::WriteZero));
    }
}
