//! One thread against a plain read of the same bytes from memory, and the memory that takes.

use anyhow::Result;

use super::lab::Lab;
use crate::films::Layers;
use crate::performance::measure::{Pairs, median, paired, warm};
use crate::performance::{Row, Table};

pub(super) fn tables(lab: &mut Lab) -> Result<Table> {
    let short = if lab.quick { 2 } else { 25 };
    let films = [lab.film(Layers::Mel, short)?, lab.film(Layers::Mel, 4 * short)?];
    let stream = lab.path("stream.hevc");
    let mut rows = Vec::new();
    for (name, what) in [
        ("index a film (scan)", "scan"),
        ("index and convert a film in one read (copy)", "copy"),
        ("put RPUs into a stream (inject)", "inject"),
    ] {
        let mut peaks = Vec::new();
        let mut last: Option<(Pairs, f64, f64)> = None;
        for film in &films {
            let mut files = vec![film.as_path()];
            let mut input = film.as_path();
            if what == "inject" {
                lab.work("extract", &[film, &stream])?;
                warm(&stream)?;
                files.push(&stream);
                input = &stream;
            }
            let (mut bytes, mut frames) = (0.0, 0.0);
            let pairs = paired(
                lab.pairs,
                || {
                    let done = lab.work(what, &files)?;
                    (bytes, frames) = (done.bytes, done.count);
                    Ok(done.cost)
                },
                || Ok(lab.work("read", &[input])?.cost),
            )?;
            peaks.push(median(pairs.ours.iter().map(|c| c.peak_rss as f64)));
            last = Some((pairs, bytes, frames));
        }
        let Some((pairs, bytes, frames)) = last else { continue };
        let seconds = median(pairs.ours.iter().map(|c| c.seconds));
        rows.push(Row {
            what: format!("time to {name}"),
            with: "reading the same file".into(),
            ratios: pairs.ratios(|c| c.seconds),
            goal: None,
            unit: "",
            also: format!("{:.2} GB/s, {:.0} frames/s", bytes / seconds / 1e9, frames / seconds),
        });
        rows.push(Row {
            what: format!("memory to {name}"),
            with: "a film of a quarter of the length".into(),
            ratios: vec![peaks[1] / peaks[0]],
            // Four times as many RPUs are kept, all else stays; in all it must be far from four times as much.
            goal: Some((true, 1.5)),
            unit: "",
            also: format!("{:.1} MB and {:.1} MB", peaks[0] / 1e6, peaks[1] / 1e6),
        });
    }
    let commands = ["read", "scan", "copy", "inject"].map(|w| format!("bench work {w} FILM")).to_vec();
    Ok(Table { title: "One thread", commands, rows, load: String::new() })
}
