//! Copy mode, with its whole proof, against the best practice by hand, which proves nothing.

use std::fs;

use anyhow::Result;

use super::lab::Lab;
use crate::films::Layers;
use crate::performance::measure::{Cost, median, paired};
use crate::performance::{Row, Table, baseline};

const GOAL: f64 = 0.7;

pub(super) fn tables(lab: &mut Lab) -> Result<Table> {
    let repeats = if lab.quick { 4 } else { 100 };
    let mut rows = Vec::new();
    for layers in [Layers::Mel, Layers::Fel] {
        let film = lab.film(layers, repeats)?;
        let size = fs::metadata(&film)?.len() as f64;
        let (our_result, their_result) = (lab.path("ours.mkv"), lab.path("theirs.mkv"));
        let certificate = lab.path("ours.mkv.certificate.json");
        let clear =
            || [&our_result, &their_result, &certificate].iter().for_each(|p| drop(fs::remove_file(p)));
        let mut stages = String::new();
        let mut first = true;
        let pairs = paired(
            lab.pairs,
            || {
                clear();
                let (cost, certificate) = lab.convert(&["--mode", "copy"], &film, &our_result)?;
                stages = stage_times(&certificate);
                Ok(cost)
            },
            || {
                clear();
                let cost = baseline::copy(&lab.converter, &film, &their_result, lab.path("").as_path())?;
                if std::mem::take(&mut first) {
                    // Only now is it known that both do the same work.
                    lab.verify(&film, &their_result)?;
                }
                Ok(cost)
            },
        )?;
        clear();
        let name = format!("{layers:?}, {:.0} MB", size / 1e6);
        let middle = |costs: &[Cost], of: fn(&Cost) -> f64| median(costs.iter().map(of));
        let (ours, theirs) = (middle(&pairs.ours, |c| c.seconds), middle(&pairs.theirs, |c| c.seconds));
        rows.push(Row {
            what: format!("time, {name}"),
            with: "by hand, unchecked".into(),
            ratios: pairs.ratios(|c| c.seconds),
            goal: Some((true, GOAL)),
            unit: "",
            also: format!("{ours:.1} s against {theirs:.1} s; ours by stage: {stages}"),
        });
        rows.push(Row {
            what: format!("processor time, {name}"),
            with: "by hand, unchecked".into(),
            ratios: pairs.ratios(|c| c.cpu),
            goal: None,
            unit: "",
            also: format!(
                "{:.1} s against {:.1} s",
                middle(&pairs.ours, |c| c.cpu),
                middle(&pairs.theirs, |c| c.cpu)
            ),
        });
        if pairs.ours.iter().chain(&pairs.theirs).all(|c| c.written.is_some_and(|w| w > 0)) {
            let written = |c: &Cost| c.written.unwrap_or_default() as f64;
            rows.push(Row {
                what: format!("bytes written, {name}"),
                with: "by hand, unchecked".into(),
                ratios: pairs.ratios(written),
                goal: None,
                unit: "",
                also: format!(
                    "{:.2} against {:.2} bytes per byte of source",
                    middle(&pairs.ours, |c| c.written.unwrap_or_default() as f64) / size,
                    middle(&pairs.theirs, |c| c.written.unwrap_or_default() as f64) / size
                ),
            });
        }
    }
    let commands = vec![
        "ours:    dovi-consumer convert --mode copy FILM -o RESULT      (with the whole certificate)"
            .to_owned(),
        "by hand: ffmpeg -i FILM -map 0:v:0 -c copy -bsf:v hevc_mp4toannexb -f hevc - |".to_owned(),
        "           dovi_tool -m 2 convert --discard - -o p81.hevc".to_owned(),
        "         mkvmerge -o RESULT --default-duration 0:24000/1001p p81.hevc --no-video FILM; sync RESULT"
            .to_owned(),
        format!("dovi_tool: {}; the first result by hand passed dovi-consumer verify", lab.converter.name()),
    ];
    Ok(Table { title: "Copy mode", commands, rows, load: String::new() })
}

/// `copy 1.2, mux 3.4, ...` from a certificate.
pub(super) fn stage_times(certificate: &serde_json::Value) -> String {
    let stages = certificate["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |s: &serde_json::Value| {
        format!("{} {:.1}", s["stage"].as_str().unwrap_or("?"), s["seconds"].as_f64().unwrap_or(f64::NAN))
    };
    stages.iter().map(one).collect::<Vec<_>>().join(", ")
}
