//! One piece of work in a process of its own, so that its memory is its own and nothing else runs beside it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write, stdin};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dovi::annexb::{NalReader, write_nal};
use dovi::copy::{copy_p81, scan_and_copy};
use dovi::expect::StreamExpectation;
use dovi::film::{FilmIndex, ScanOptions, sample, scan};
use dovi::inject::{InjectPlan, inject};
use dovi::nal::{NalHeader, NalType};
use dovi::rpu::to_p81;
use serde_json::json;

use super::measure::{peak_rss, warm};
use super::scale;

/// What to do. Prints one JSON object: seconds of the work alone, bytes read by it, peak memory of the process.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Work {
    /// Read a file and forget it
    Read {
        /// The file
        film: PathBuf,
    },
    /// Index a film, every track hashed
    Scan {
        /// The film
        film: PathBuf,
    },
    /// Index a film and write its base layer with Profile 8.1 RPUs nowhere, in one go
    Copy {
        /// The film
        film: PathBuf,
    },
    /// Put a film's RPUs into a raw stream of its pictures
    Inject {
        /// The film
        film: PathBuf,
        /// The raw stream
        stream: PathBuf,
    },
    /// Write a film's base layer with Profile 8.1 RPUs as a raw stream
    Extract {
        /// The film
        film: PathBuf,
        /// The raw stream
        stream: PathBuf,
    },
    /// Sample films again and again
    Sample {
        /// A folder of films
        dir: PathBuf,
    },
    /// Empty the queue of a configuration with workers that do nothing to films
    Drain {
        /// How many
        #[arg(long, default_value_t = 1)]
        workers: u16,
        /// The fleet's configuration
        config: PathBuf,
        /// A certificate to write for each film
        certificate: PathBuf,
    },
    /// A stand-in for `dovi_tool -m 2 convert --discard -`: a raw stream from standard input to a file
    Convert {
        /// The file
        out: PathBuf,
    },
}

/// Does it.
///
/// # Errors
/// A file cannot be read or written, or is no film.
pub fn work(what: &Work) -> Result<()> {
    let mut bytes = 0;
    let mut count = 0;
    let begun;
    match what {
        Work::Read { film } => {
            begun = Instant::now();
            bytes = warm(film)?;
        }
        Work::Scan { film } => {
            begun = Instant::now();
            count = index(film)?.frames;
            bytes = size(film)?;
        }
        Work::Copy { film } => {
            begun = Instant::now();
            let (index, report) = scan_and_copy(File::open(film)?, File::create("/dev/null")?, &mut |_| {
                ControlFlow::Continue(())
            })?;
            ensure!(report.is_some(), "{} has frames without RPU", film.display());
            count = index.frames;
            bytes = size(film)?;
        }
        Work::Inject { film, stream } => {
            let index = index(film)?;
            begun = Instant::now();
            count = put_in(&index, stream)?;
            bytes = size(stream)?;
        }
        Work::Extract { film, stream } => {
            let index = index(film)?;
            begun = Instant::now();
            let out = BufWriter::with_capacity(1 << 20, File::create(stream)?);
            let report = copy_p81(File::open(film)?, out, &index, &mut |_| ControlFlow::Continue(()))?;
            (count, bytes) = (report.frames, report.bytes);
        }
        Work::Sample { dir } => {
            let films: Vec<PathBuf> =
                fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
            begun = Instant::now();
            for film in &films {
                let looked =
                    sample(File::open(film)?).with_context(|| format!("sample {}", film.display()))?;
                ensure!(looked.frames > 0, "{} has no frames", film.display());
                count += 1;
            }
        }
        Work::Drain { workers, config, certificate } => {
            println!("{}", scale::drain(config, certificate, *workers)?);
            return Ok(());
        }
        Work::Convert { out } => {
            begun = Instant::now();
            count = convert(stdin().lock(), BufWriter::with_capacity(1 << 20, File::create(out)?))?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({ "seconds": seconds, "bytes": bytes, "count": count, "peak_rss": peak_rss("self") })
    );
    Ok(())
}

fn size(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.len())
}

fn index(film: &Path) -> Result<FilmIndex> {
    Ok(scan(File::open(film)?, &ScanOptions::default(), &mut |_| ControlFlow::Continue(()))?)
}

fn put_in(index: &FilmIndex, stream: &Path) -> Result<u64> {
    let (expected, v) = (index.expected(), &index.video);
    let vui = v.vui.context("the stream has no colour tags")?;
    let plan = InjectPlan {
        rpus: &expected,
        frames: expected.frames(),
        mdcv: index.hdr10.mdcv,
        cll: index.hdr10.cll,
        hdr10plus: Some(&expected),
        expect: StreamExpectation {
            width: v.width,
            height: v.height,
            bit_depth: v.bit_depth,
            primaries: vui.colour_primaries,
            transfer: vui.transfer,
            matrix: vui.matrix,
            full_range: vui.full_range,
            chroma_loc: vui.chroma_loc,
        },
    };
    Ok(inject(File::open(stream)?, io::sink(), &plan, &mut |_| ())?.rpus_written)
}

/// Every RPU in its Profile 8.1 form, no enhancement layer, all else as it comes.
fn convert(source: impl Read, mut out: impl Write) -> Result<u64> {
    let mut nals = NalReader::new(source);
    let mut rpus = 0;
    while let Some(nal) = nals.next_nal()? {
        match NalHeader::parse(nal)?.ty {
            NalType::EL => {}
            NalType::RPU => {
                write_nal(&mut out, &to_p81(nal)?)?;
                rpus += 1;
            }
            _ => write_nal(&mut out, nal)?,
        }
    }
    out.flush()?;
    if rpus == 0 {
        bail!("no RPU in the stream");
    }
    Ok(rpus)
}
