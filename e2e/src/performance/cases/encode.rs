//! An encode with every RPU put in, against the bare encoder with the same parameters.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::copy::stage_times;
use super::lab::Lab;
use crate::films::Layers;
use crate::performance::measure::{Cost, measure, median, paired};
use crate::performance::{Row, Table};

const GOAL: f64 = 1.03;
/// The fastest preset: the less the encoder does, the more our part would show.
const PRESET: &str = "ultrafast";

pub(super) fn tables(lab: &mut Lab) -> Result<Table> {
    let film = lab.film(Layers::Mel, if lab.quick { 4 } else { 3 })?;
    let (result, certificate, bare) =
        (lab.path("ours.mkv"), lab.path("ours.mkv.certificate.json"), lab.path("bare.hevc"));
    let args = bare_command(lab, &film, &bare)?;
    let mut stages = String::new();
    let mut whole = Vec::new();
    let pairs = paired(
        lab.pairs,
        || {
            [&result, &certificate].iter().for_each(|p| drop(fs::remove_file(p)));
            let (cost, certificate) =
                lab.convert(&["--mode", "encode", "--preset", PRESET], &film, &result)?;
            stages = stage_times(&certificate);
            let all = certificate["stages"].as_array().context("stages in a certificate")?;
            let encode = all.iter().find(|s| s["stage"] == "encode").and_then(|s| s["seconds"].as_f64());
            whole.push(cost.clone());
            Ok(Cost { seconds: encode.context("the time of the encode")?, ..cost })
        },
        || {
            drop(fs::remove_file(&bare));
            let mut command = crate::tool::command("ffmpeg");
            command.args(&args);
            let cost = measure(vec![command], false, &[0])?;
            ensure!(fs::metadata(&bare)?.len() > 0, "the bare encoder wrote nothing");
            Ok(cost)
        },
    )?;
    let all = crate::performance::Pairs { ours: whole, theirs: pairs.theirs.clone() };
    let bare_seconds = median(pairs.theirs.iter().map(|c| c.seconds));
    let row = |what: &str, ratios: Vec<f64>, goal, also: String| Row {
        what: what.into(),
        with: "bare ffmpeg and x265".into(),
        ratios,
        goal,
        unit: "",
        also,
    };
    let rows = vec![
        row(
            "the encode itself, RPUs put in on the way",
            pairs.ratios(|c| c.seconds),
            Some((true, GOAL)),
            format!("bare: {bare_seconds:.1} s"),
        ),
        row(
            "the whole conversion: also reading, putting together, proof",
            all.ratios(|c| c.seconds),
            None,
            format!("by stage: {stages}"),
        ),
    ];
    let words: Vec<_> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let place = film.parent().unwrap_or(Path::new("/")).display().to_string();
    let commands = vec![
        format!("ours: dovi-consumer convert --mode encode --preset {PRESET} FILM -o RESULT"),
        format!("bare: ffmpeg {}", words.join(" ").replace(&place, "...")),
    ];
    Ok(Table { title: "Encode mode", commands, rows, load: String::new() })
}

/// The encoder's command of a conversion of `film`, but for where its stream goes: a conversion with a stand-in for ffmpeg
/// that writes down what it is asked.
fn bare_command(lab: &Lab, film: &Path, out: &Path) -> Result<Vec<OsString>> {
    let (script, asked) = (lab.path("ffmpeg"), lab.path("asked"));
    let text = "#!/bin/sh\ncase \"$*\" in *' hevc pipe:1') printf '%s\\0' \"$@\" >\"${0%/*}/asked\" ;; esac\n\
                exec ffmpeg \"$@\"\n";
    fs::write(&script, text)?;
    fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    let result = lab.path("asked.mkv");
    let ffmpeg = format!("tools.ffmpeg={}", script.display());
    lab.convert(&["--set", &ffmpeg, "--mode", "encode", "--preset", PRESET], film, &result)?;
    fs::remove_file(result)?;
    let asked = fs::read(&asked).context("the conversion asked ffmpeg for a stream")?;
    let words = asked.split(|b| *b == 0).map(|word| OsStr::from_bytes(word).to_owned());
    let mut args: Vec<OsString> = words.filter(|word| !word.is_empty()).collect();
    ensure!(args.pop().is_some_and(|last| last == "pipe:1"), "the last word is where the stream goes");
    args.push(crate::tool::file_url(out));
    Ok(args)
}
