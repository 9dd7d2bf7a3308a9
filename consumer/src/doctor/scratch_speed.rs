//! Is scratch fast enough?

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use common::doctor::{Check, Finding, Level};
use common::share::free_bytes;
use common::text::{duration, safe_path};

use super::machine::Machine;

pub const CHECK: Check<Machine> = Check {
    name: "scratch-speed",
    part: "disks",
    about: "scratch is written and read faster than a film plays",
    needs: &["scratch"],
    slow: true,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

/// At most this much is written, and for at most this long.
const MOST: u64 = 256 << 20;
const TIME: Duration = Duration::from_secs(2);
const PIECE: usize = 1 << 20;
/// The highest rate of an UHD Blu-ray, 128 Mbit/s, in MB/s: a slower disk takes longer than the film.
const DISC: f64 = 16.0;
/// A film of 60 GB is written and read again within twenty minutes.
const GOOD: f64 = 100.0;
const FILM: f64 = 60e9;

async fn look(machine: &Machine) -> Vec<Finding> {
    let dir = machine.fleet.config.scratch.path();
    let shown = safe_path(&dir);
    let looked = tokio::task::spawn_blocking(move || measure(&dir)).await;
    let (write, read) = match looked {
        Ok(Ok(Some(speed))) => speed,
        Ok(Ok(None)) => return vec![Finding::skipped(format!("{shown} has too little room to measure"))],
        Ok(Err(e)) => {
            let hint = format!("look at the disk: `dmesg | tail`, `df -h {shown}`");
            return vec![Finding::failed(format!("{shown}: {e}"), hint)];
        }
        Err(e) => return vec![Finding::failed(format!("the check itself failed: {e}"), "please report it")],
    };
    let film = Duration::from_secs_f64(FILM / 1e6 / write + FILM / 1e6 / read);
    let text = format!(
        "{shown}: written at {write:.0} MB/s with fsync, read at {read:.0} MB/s; a film of 60 GB takes {} there and back",
        duration(film)
    );
    let hint = "set scratch.dir to a local disk, best an SSD; a film passes through it once";
    let finding = match write.min(read) {
        slow if slow < DISC => Finding::failed(text, hint),
        middling if middling < GOOD => Finding::warning(text, hint),
        _ => Finding::ok(text),
    };
    vec![finding.measured("write_mb_s", write.round()).measured("read_mb_s", read.round())]
}

/// MB/s of writing until all of it is on the disk, and of reading what is no longer in memory. `None`: no room.
fn measure(dir: &Path) -> io::Result<Option<(f64, f64)>> {
    let most = free_bytes(dir).map_err(io::Error::other)? / 4;
    if most < PIECE as u64 * 16 {
        return Ok(None);
    }
    let path = dir.join(format!(".dovi-fleet-doctor.{}.speed", std::process::id()));
    let measured = write(&path, most.min(MOST)).and_then(|w| Ok(Some((w, read(&path)?))));
    let _ = fs::remove_file(&path);
    measured
}

fn write(path: &Path, most: u64) -> io::Result<f64> {
    // Not compressible, or some file systems would write nothing.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let piece: Vec<u8> = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    })
    .take(PIECE / 8)
    .flatten()
    .collect();
    let mut file = File::create_new(path)?;
    let (began, mut written) = (Instant::now(), 0);
    while written < most && began.elapsed() < TIME {
        file.write_all(&piece)?;
        written += PIECE as u64;
    }
    file.sync_all()?;
    Ok(rate(written, began))
}

fn read(path: &Path) -> io::Result<f64> {
    let mut file = File::open(path)?;
    common::share::drop_cached(&file);
    let (began, mut total, mut piece) = (Instant::now(), 0, vec![0; PIECE]);
    while let n @ 1.. = file.read(&mut piece)? {
        total += n as u64;
    }
    Ok(rate(total, began))
}

fn rate(bytes: u64, began: Instant) -> f64 {
    bytes as f64 / 1e6 / began.elapsed().as_secs_f64().max(1e-6)
}
