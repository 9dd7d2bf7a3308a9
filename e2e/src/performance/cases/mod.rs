//! What is measured, one file each.

mod copy;
mod encode;
mod lab;
mod throughput;
mod verdicts;

use std::path::PathBuf;

use anyhow::Result;

use super::{Machine, Table, scale};
pub(super) use lab::Lab;

/// One group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Case {
    /// Reading, copying and injecting in one thread, and the memory they need.
    Throughput,
    /// An encode against the bare encoder.
    Encode,
    /// Copy mode against the way people do it by hand.
    Copy,
    /// Telling what films are.
    Verdicts,
    /// Many files, many films, many workers.
    Scale,
}

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only these; all if empty.
    pub only: Vec<Case>,
    /// Small films and one pair: tries the harness, says nothing about speed.
    pub quick: bool,
    /// Pairs of runs for each comparison.
    pub pairs: usize,
    /// A dovi_tool to compare with.
    pub dovi_tool: Option<PathBuf>,
    /// Where the temporary folder is made; a few GB.
    pub dir: PathBuf,
}

/// Makes the films, measures, and removes the films.
///
/// # Errors
/// A tool is missing or failed, or two ways that should do the same work did not.
pub fn run(options: &Options) -> Result<Vec<Table>> {
    let mut lab = Lab::open(options)?;
    let wanted = |case| options.only.is_empty() || options.only.contains(&case);
    let mut tables = Vec::new();
    for (case, measure) in [
        (Case::Copy, copy::tables as fn(&mut Lab) -> Result<Table>),
        (Case::Encode, encode::tables),
        (Case::Throughput, throughput::tables),
        (Case::Verdicts, verdicts::tables),
        (Case::Scale, scale::tables),
    ] {
        if wanted(case) {
            eprintln!("{case:?} ...");
            let load = Machine::load();
            tables.push(Table { load, ..measure(&mut lab)? });
        }
    }
    Ok(tables)
}
