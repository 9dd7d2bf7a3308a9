//! What `dovi-producer` says in every situation that a new user gets into: `words.txt` is the page.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

#[path = "../../common/tests/support/words.rs"]
mod words;

use std::fs;
use std::path::Path;

use common::job::{FailureClass, FailureCode, FailureReport, JobId, JobMessage, LibraryPath, Recipe};
use common::share::Folder;
use words::{Place, Situation, compare, plain};

macro_rules! situations {
    ($($name:literal, $arrange:expr, [$($typed:literal),*];)*) => {
        &[$(Situation { name: $name, arrange: $arrange, typed: &[$($typed),*] }),*]
    };
}

const SITUATIONS: &[Situation] = situations! {
    "a command with a typing error", plain, ["scann"];
    "an option with a typing error", plain, ["scan", "--dryrun"];
    "an option for another command", plain, ["status", "--limit", "1"];
    "no configuration at all", |p| p.without_config(), ["scan"];
    "a configuration file that is not there", plain, ["--config", "/etc/dovi-flet/config.toml", "scan"];
    "a configuration file with a broken line", |p| p.add("[recipe\ncrf = 18"), ["scan"];
    "a section with a typing error", |p| p.add("[recipes]\ncrf = 18"), ["scan"];
    "a setting with a typing error", |p| p.add("[recipe]\ncfr = 18"), ["scan"];
    "a setting out of range", plain, ["--set", "recipe.crf=99", "scan"];
    "a word where a number belongs", |p| p.add("[worker]\nbeat_s = \"often\""), ["scan"];
    "a preset with a typing error", plain, ["--set", "recipe.preset=slwo", "scan"];
    "an encoder with a typing error", plain, ["--set", "recipe.encoder=x256", "scan"];
    "a setting in the environment with a typing error", |p| p.env("DOVI_FLEET__RECIPE__CFR", "18"), ["scan"];
    "a setting without its section", plain, ["--set", "crf=18", "scan"];
    "no library root", no_roots, ["scan"];
    "a typing error in a library root", |p| p.change("/films\"", "/flims\""), ["scan", "--dry-run"];
    "a library root that is not mounted", empty_library, ["scan", "--dry-run"];
    "a library root that is a file", |p| p.change("/films\"", "/films/notes.mkv\""), ["scan", "--dry-run"];
    "a library with nothing to convert", plain, ["scan", "--dry-run"];
    "a path outside of the library", plain, ["scan", "-n", "/etc/hostname"];
    "a path that is not there", plain, ["scan", "-n", "films/Some Film (2019)"];
    "a library path of an unknown root", plain, ["scan", "-n", "movies:notes.mkv"];
    "a film that is no film", plain, ["rescan", "-n", "films:notes.mkv"];
    "a rescan of nothing", plain, ["rescan"];
    "the share's parent folder is not there", |p| p.change("/nas/state", "/nsa/state"), ["scan"];
    "the share is not mounted", unmounted, ["status"];
    "the share was never set up", plain, ["status"];
    "the state folder may not be written to", |p| p.closed("nas"), ["setup"];
    "the queue's books may not be written to", closed_books, ["setup"];
    "no space on the share", |p| p.disk("nas", "1m,nr_inodes=3"), ["setup"];
    "the broker is down: scan", |p| { p.share(); true }, ["scan"];
    "the broker is down: setup", plain, ["setup"];
    "the broker is down: reconcile", |p| { p.share(); true }, ["reconcile"];
    "the broker is down: failed list", one_failed, ["failed", "list"];
    "the broker is down: failed show", one_failed, ["failed", "show", "3fa1"];
    "the broker is down: failed retry", one_failed, ["failed", "retry", "3fa1"];
    "the broker's host has a typing error", |p| p.change("127.0.0.1:1", "brokr.invalid:5672"), ["setup"];
    "the broker's address is one of the web", |p| p.change("amqp://", "http://"), ["setup"];
    "the password file is not there", |p| p.change("timeout_s = 3", "timeout_s = 3\npassword_file = \"/etc/dovi-fleet/pasword\""), ["setup"];
    "the authority's file is not there", |p| p.change("timeout_s = 3", "timeout_s = 3\nca_file = \"/etc/dovi-fleet/ca.pem\""), ["setup"];
    "a failed film with an unknown id", one_failed, ["failed", "show", "beef"];
    "a failed film with a short id", two_failed, ["failed", "show", "3fa1"];
    "an id that is none", one_failed, ["failed", "show", "notes.mkv"];
    "retry without saying which", plain, ["failed", "retry"];
    "nothing has failed", |p| { p.share(); true }, ["failed", "list"];
    "inspect: a text", plain, ["inspect", "films/notes.mkv"];
    "inspect: a folder", plain, ["inspect", "films"];
    "inspect: nothing there", plain, ["inspect", "films/none.mkv"];
    "inspect: an empty file", |p| p.file("films/empty.mkv", ""), ["inspect", "films/empty.mkv"];
    "setup: secrets for nobody", plain, ["setup", "--secrets", "secrets"];
    "setup: a password in the address", plain, ["setup", "--admin", "http://admin:pw@localhost:15672", "--secrets", "secrets"];
    "setup: no administrator's password", plain, ["setup", "--admin", "http://admin@localhost:15672", "--secrets", "secrets"];
    "setup: the management API is not there", |p| p.env("DOVI_ADMIN_PASSWORD", "x"), ["setup", "--admin", "http://admin@127.0.0.1:1", "--secrets", "secrets"];
    "setup: no place for the definitions", plain, ["setup", "--definitions", "none/fleet.json", "--secrets", "secrets"];
    "doctor: a check with a typing error", plain, ["doctor", "--only", "shaer"];
    "doctor: no password for the management API", plain, ["doctor", "--management", "http://dovi-monitor@nas:15672"];
    "doctor: what a first run sees", plain, ["doctor", "--only", "settings,library,output,share,broker,queues"];
};

#[test]
fn every_situation_is_told_well() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/words.txt");
    compare("dovi-producer", env!("CARGO_BIN_EXE_dovi-producer"), &page, SITUATIONS);
}

fn no_roots(place: &mut Place) -> bool {
    let line = format!("films = {:?}\n", place.path("films").display().to_string());
    place.change(&line, "")
}

fn empty_library(place: &mut Place) -> bool {
    fs::remove_file(place.path("films/notes.mkv")).is_ok()
}

fn unmounted(place: &mut Place) -> bool {
    fs::create_dir(place.path("nas/state")).is_ok()
}

fn closed_books(place: &mut Place) -> bool {
    fs::create_dir(place.path("nas/state")).unwrap();
    place.closed("nas/state")
}

fn failed(place: &Place, id: &str) -> bool {
    let id: JobId = id.parse().unwrap();
    let film = LibraryPath::new("films", Path::new("Some Film (2019)/film.mkv")).unwrap();
    let job = JobMessage { id, ..JobMessage::new(film, 6, 6, Recipe::default(), "MEL".into()) };
    let report = FailureReport {
        v: 1,
        job: Some(job),
        code: FailureCode::SourceTruncated,
        class: FailureClass::Permanent,
        stage: "prescan".into(),
        summary: "the file ends in the middle of a frame".into(),
        hint: FailureCode::SourceTruncated.hint().into(),
        causes: Vec::new(),
        tool: None,
        attempt: 1,
        worker: "worker1".into(),
        at: jiff::Timestamp::now() - jiff::SignedDuration::from_mins(125),
        log: None,
        raw: None,
        discarded_at: None,
    };
    place.share().write(Folder::Failed, id, &report).is_ok()
}

fn one_failed(place: &mut Place) -> bool {
    failed(place, "3fa1aaaaaaaaaaaaaaaaaaaaaaaaaaaa")
}

fn two_failed(place: &mut Place) -> bool {
    one_failed(place) && failed(place, "3fa1bbbbbbbbbbbbbbbbbbbbbbbbbbbb")
}
