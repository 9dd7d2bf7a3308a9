//! The full standard error of a tool in a file.
//!
//! The file lies on the network share, which may be slow or hang; the tool must not wait for it. So a thread of its
//! own writes, behind a short queue; what does not fit is dropped and counted, and so is what exceeds the limit.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

/// Chunks (of up to 64 KiB) that may wait for the disk.
const QUEUE: usize = 64;
/// Bytes of one tool's output that are kept. A day of x265 with warnings is below 1 MB (measured).
const LIMIT: u64 = 64 << 20;

pub(super) struct Log {
    chunks: SyncSender<Vec<u8>>,
    done: oneshot::Receiver<()>,
    dropped: u64,
}

impl Log {
    /// Opens the file for appending and writes the first line.
    pub(super) fn open(path: &Path, first_line: &str) -> io::Result<Self> {
        let mut file = File::options().append(true).create(true).open(path)?;
        writeln!(file, "$ {first_line}")?;
        let (chunks, queue) = sync_channel::<Vec<u8>>(QUEUE);
        let (finished, done) = oneshot::channel();
        std::thread::Builder::new().name("tool-log".into()).spawn(move || {
            if let Err(e) = write_all(&mut file, &queue) {
                tracing::warn!(error = %e, "the tool's log could not be written on");
            }
            // Nobody may be waiting any more.
            let _ = finished.send(());
        })?;
        Ok(Self { chunks, done, dropped: 0 })
    }

    /// Queues bytes; drops them if the disk does not keep up.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let Err(TrySendError::Full(_)) = self.chunks.try_send(bytes.to_vec()) {
            self.dropped += bytes.len() as u64;
        }
    }

    /// Writes the last line; waits for the disk at most `patience`.
    pub(super) async fn close(mut self, last_line: &str, patience: std::time::Duration) {
        let lost = match self.dropped {
            0 => String::new(),
            n => format!("[{n} bytes not written: the disk was too slow]\n"),
        };
        self.push(format!("\n{lost}= {last_line}\n").as_bytes());
        let Self { chunks, done, .. } = self;
        drop(chunks);
        if tokio::time::timeout(patience, done).await.is_err() {
            tracing::warn!("the tool's log is still being written");
        }
    }
}

fn write_all(file: &mut File, queue: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut left = LIMIT;
    for chunk in queue {
        let fits = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&chunk[..fits])?;
        left -= fits as u64;
        if fits < chunk.len() {
            file.write_all(b"\n[the rest of this log is left out]\n")?;
            return Ok(());
        }
    }
    Ok(())
}
