//! What `dovi-consumer` says in every situation that a new user gets into: `words.txt` is the page.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

#[path = "../../common/tests/support/words.rs"]
mod words;

use std::fs;
use std::path::Path;

use words::{Place, Situation, compare, plain};

/// A second of Profile 7: the film that every worker carries along.
const FILM: &[u8] = include_bytes!("../src/pipeline/selftest/film.mkv");

macro_rules! situations {
    ($($name:literal, $arrange:expr, [$($typed:literal),*];)*) => {
        &[$(Situation { name: $name, arrange: $arrange, typed: &[$($typed),*] }),*]
    };
}

const SITUATIONS: &[Situation] = situations! {
    "a command with a typing error", plain, ["doktor"];
    "an option with a typing error", plain, ["convert", "--quality", "18", "film.mkv"];
    "run: no configuration at all", |p| p.without_config(), ["run"];
    "run: no share in the configuration", no_share, ["run"];
    "run: a setting with a typing error", |p| p.add("[worker]\nbeats = 20"), ["run"];
    "run: a setting in the environment with a typing error", |p| p.env("DOVI_FLEET__WORKER__BEAT", "20"), ["run"];
    "doctor: the share is there and the broker is not", |p| p.share().check().is_ok(), ["doctor", "--only", "share,broker,rights"];
    "run: too many films at once", plain, ["run", "--slots", "100"];
    "run: the password file is not there", |p| p.change("timeout_s = 3", "timeout_s = 3\npassword_file = \"/etc/dovi-fleet/pasword\""), ["run"];
    "run: an encoder with a typing error", plain, ["run", "--set", "recipe.encoder=nvec"];
    "convert: nothing named", plain, ["convert"];
    "convert: nothing there", plain, ["convert", "none.mkv"];
    "convert: a folder", plain, ["convert", "films"];
    "convert: a text", plain, ["convert", "films/notes.mkv"];
    "convert: an empty file", |p| p.file("films/empty.mkv", ""), ["convert", "films/empty.mkv"];
    "convert: a film that is cut off", |p| p.file("films/film.mkv", &FILM[..100_000]), ["convert", "--mode", "copy", "films/film.mkv"];
    "convert: two films and one name", plain, ["convert", "a.mkv", "b.mkv", "-o", "c.mkv"];
    "convert: the result is there already", result_there, ["convert", "--mode", "copy", "films/film.mkv"];
    "convert: the result's folder is not there", film, ["convert", "--mode", "copy", "films/film.mkv", "-o", "none/film.mkv"];
    "convert: the result's folder may not be written to", closed_results, ["convert", "--mode", "copy", "films/film.mkv", "-o", "converted"];
    "convert: a preset with a typing error", film, ["convert", "--preset", "slwo", "films/film.mkv"];
    "convert: a rate factor out of range", film, ["convert", "--crf", "99", "films/film.mkv"];
    "convert: an x265 option that writes files", film, ["convert", "--x265", "csv=/tmp/x", "films/film.mkv"];
    "convert: an x265 option that there is not", film, ["convert", "--preset", "ultrafast", "--x265", "aq-mod=3", "films/film.mkv"];
    "convert: no ffmpeg", |p| film(p) && p.add("[tools]\nffmpeg = \"/opt/ffmpeg\""), ["convert", "films/film.mkv"];
    "convert: no mkvmerge", |p| film(p) && p.add("[tools]\nmkvmerge = \"mkvmerge-none\""), ["convert", "films/film.mkv"];
    "convert: an old mkvmerge", |p| film(p) && mkvmerge(p, "echo \"mkvmerge v56.1.0 ('My Friend') 64-bit\""), ["convert", "films/film.mkv"];
    "convert: an mkvmerge that fails", |p| film(p) && mkvmerge(p, "case $1 in --version) exec mkvmerge --version;; esac\necho '#GUI#error The file is broken.'\nexit 2"), ["convert", "--mode", "copy", "films/film.mkv"];
    "convert: a hardware encoder that is not there", film, ["convert", "--set", "recipe.encoder=vaapi", "--set", "tools.vaapi_device=/dev/dri/none", "films/film.mkv"];
    "convert: no room in scratch", |p| film(p) && p.disk("scratch", "1m"), ["convert", "--mode", "copy", "films/film.mkv"];
    "convert: no scratch folder and no right to make it", closed_scratch, ["convert", "--mode", "copy", "films/film.mkv"];
    "convert: dovi_tool is not there", film, ["convert", "--set", "dovi.backend=dovi_tool", "--set", "tools.dovi_tool=/opt/dovi_tool", "films/film.mkv"];
    "convert: a film that is done already", converted, ["convert", "--mode", "copy", "films/done.mkv"];
    "verify: nothing there", plain, ["verify", "none.mkv", "none2.mkv"];
    "verify: one file only", plain, ["verify", "films/notes.mkv"];
    "verify: a text", film, ["verify", "films/film.mkv", "films/notes.mkv"];
    "verify: the original is its own result", film, ["verify", "films/film.mkv", "films/film.mkv"];
    "config show: a broken file", |p| p.add("[recipe\ncrf = 18"), ["config", "show"];
    "doctor: a check with a typing error", plain, ["doctor", "--only", "mkvmerg"];
    "doctor: nothing is there", nothing_there, ["doctor", "--only", "settings,mkvmerge,ffmpeg,scratch,library,output,share,broker,queues,encoder,self-test"];
};

#[test]
fn every_situation_is_told_well() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/words.txt");
    compare("dovi-consumer", env!("CARGO_BIN_EXE_dovi-consumer"), &page, SITUATIONS);
}

fn film(place: &mut Place) -> bool {
    place.file("films/film.mkv", FILM)
}

/// A script in its place.
fn mkvmerge(place: &mut Place, text: &str) -> bool {
    let path = place.path("mkvmerge.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place.add(&format!("[tools]\nmkvmerge = {:?}", path.display().to_string()))
}

fn no_share(place: &mut Place) -> bool {
    let line = format!("state_dir = {:?}\n", place.path("nas/state").display().to_string());
    place.change(&line, "")
}

fn result_there(place: &mut Place) -> bool {
    film(place) && place.file("films/film [DV8].mkv", "mine")
}

fn closed_results(place: &mut Place) -> bool {
    fs::set_permissions(place.path("scratch"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    film(place) && place.closed("converted")
}

fn closed_scratch(place: &mut Place) -> bool {
    fs::remove_dir(place.path("scratch")).unwrap();
    film(place) && place.closed("films") && place.closed(".")
}

fn converted(place: &mut Place) -> bool {
    film(place);
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_dovi-consumer"))
        .args(["convert", "--mode", "copy"])
        .arg(place.path("films/film.mkv"))
        .arg("-o")
        .arg(place.path("films/done.mkv"))
        .output();
    made.unwrap().status.success()
}

fn nothing_there(place: &mut Place) -> bool {
    place.change("/films\"", "/flims\"");
    place.change("/converted\"", "/none/converted\"");
    place.change("/scratch\"", "/none/scratch\"");
    place.add("[tools]\nffmpeg = \"/opt/ffmpeg\"\nmkvmerge = \"mkvmerge-none\"")
}
