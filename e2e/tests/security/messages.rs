//! Messages that no producer of ours wrote: each must end among the dead letters under its name.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use common::broker::MAX_BODY;
use common::job::{Encoder, JobMessage, Mode, Recipe};
use e2e::broker::PrivateBroker;
use serde_json::{Value, json};

use crate::fleet::Fleet;

/// A hostile message: name, properties, body, and the code that it must end under.
struct Hostile {
    name: String,
    properties: Value,
    body: Vec<u8>,
    code: &'static str,
}

const MALFORMED: &str = "message.malformed";
const PATH: &str = "message.path";

pub fn end_as_dead_letters(broker: &PrivateBroker) {
    let fleet = Fleet::new(broker, "hostile");
    let good = fleet.film("good");
    prepare(&fleet);
    let mut all = bodies(&good);
    all.extend(paths(&fleet, &good));
    all.extend(recipes(&good));
    all.extend(headers(&good));
    let names: std::collections::BTreeSet<_> = all.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "names are unique");
    for h in &all {
        fleet.publish("film", &h.properties, &h.body);
    }
    fleet.publish("film", &json!({"delivery_mode": 2}), &good.to_body().unwrap());

    let before = tree(&fleet, "lib");
    let log = fleet.work();
    assert!(!log.contains("panicked"), "{log}");
    assert!(fleet.has_certificate(&good), "after all of them a real film is converted:\n{log}");
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.retrying()), (0, 0), "{depths:?}");

    // Letters of readable jobs are known by the job's id, the others by the message's own.
    let letters = fleet.letters();
    let codes: BTreeMap<&str, &str> = letters
        .iter()
        .map(|l| (l.id.as_str(), l.report.as_ref().map_or("no report", |r| r.code.as_str())))
        .collect();
    let id = |h: &Hostile| match JobMessage::parse(&h.body) {
        Ok(job) if h.body.len() <= MAX_BODY => job.id.to_string(),
        _ => h.name.clone(),
    };
    let wrong: Vec<String> = all
        .iter()
        .filter(|h| codes.get(id(h).as_str()) != Some(&h.code))
        .map(|h| format!("{}: {:?}, should be {}", h.name, codes.get(id(h).as_str()), h.code))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(letters.len(), all.len(), "each ends exactly once");

    assert_eq!(tree(&fleet, "lib"), before, "the library is as it was");
    assert!(!fleet.path("evil").exists(), "a recipe wrote a file");
    let results: Vec<_> = tree(&fleet, "out").into_keys().collect();
    assert_eq!(results, [".dovi-fleet-results", "films/good [DV8].mkv"]);
    assert!(tree(&fleet, "scratch").is_empty());
}

/// What a message could point to.
fn prepare(fleet: &Fleet<'_>) {
    fs::write(fleet.path("secret.mkv"), b"not yours").unwrap();
    symlink("../secret.mkv", fleet.path("lib/escape.mkv")).unwrap();
    symlink("/etc", fleet.path("lib/etc")).unwrap();
    symlink("loop.mkv", fleet.path("lib/loop.mkv")).unwrap();
    fs::create_dir(fleet.path("lib/folder.mkv")).unwrap();
    fs::write(fleet.path("lib/empty.mkv"), b"").unwrap();
    let made = std::process::Command::new("mkfifo").arg(fleet.path("lib/pipe.mkv")).status().unwrap();
    assert!(made.success());
}

fn tree(fleet: &Fleet<'_>, dir: &str) -> BTreeMap<String, u64> {
    let root = fleet.path(dir);
    let mut found = BTreeMap::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let meta = entry.path().symlink_metadata().unwrap();
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.insert(name, meta.len());
            }
        }
    }
    found
}

fn hostile(name: &str, body: impl Into<Vec<u8>>, code: &'static str) -> Hostile {
    // Ids with blanks are none that a person can type, and so are not kept.
    let name = name.replace(' ', "-");
    let properties = json!({"delivery_mode": 2, "message_id": name});
    Hostile { name, properties, body: body.into(), code }
}

/// A real job with one field changed, so that its id does not fit or its shape is wrong.
fn with(good: &JobMessage, key: &str, value: Value) -> Vec<u8> {
    let mut job = serde_json::to_value(good).unwrap();
    job[key] = value;
    job.to_string().into_bytes()
}

fn bodies(good: &JobMessage) -> Vec<Hostile> {
    let text = String::from_utf8(good.to_body().unwrap()).unwrap();
    let deep = |open: &str, close: &str, n: usize| {
        format!("{{\"v\":1,\"film\":{}{}}}", open.repeat(n), close.repeat(n)).into_bytes()
    };
    let mut list = vec![
        hostile("empty", b"", MALFORMED),
        hostile("words", b"hello", MALFORMED),
        hostile("not utf-8", b"{\"v\":1,\"film\":\"\xff\xfe\"}".to_vec(), MALFORMED),
        hostile("zeros", vec![0; 5000], MALFORMED),
        hostile("deep lists", deep("[", "]", 45_000), MALFORMED),
        hostile("deep objects", deep("{\"a\":", "}", 14_000), MALFORMED),
        hostile("deep and open", vec![b'['; MAX_BODY], MALFORMED),
        hostile("one byte too long", vec![b' '; MAX_BODY + 1], MALFORMED),
        hostile("three megabytes", vec![b'x'; 3_000_000], MALFORMED),
        hostile("good but padded", format!("{}{text}", " ".repeat(MAX_BODY)), MALFORMED),
        hostile("cut", text.as_bytes()[..text.len() / 2].to_vec(), MALFORMED),
        hostile("two jobs", text.repeat(2), MALFORMED),
        hostile("field twice", text.replacen("{\"v\":1", "{\"v\":1,\"v\":1", 1), MALFORMED),
        hostile("version huge", text.replacen("\"v\":1", "\"v\":1e400", 1), MALFORMED),
    ];
    for (n, odd) in ["null", "[]", "\"x\"", "{}", "7", "{\"v\":1}"].into_iter().enumerate() {
        list.push(hostile(&format!("json {n}"), odd, MALFORMED));
    }
    list.extend([
        hostile("version 2", with(good, "v", 2.into()), "message.version"),
        hostile("version 0", with(good, "v", 0.into()), "message.version"),
        hostile("version minus", with(good, "v", (-1).into()), MALFORMED),
        hostile("other id", with(good, "id", "00112233445566778899aabbccddeeff".into()), MALFORMED),
        hostile("id is a path", with(good, "id", "../../../../tmp/x".into()), MALFORMED),
        hostile("size lies", with(good, "size", 1.into()), MALFORMED),
        hostile("size minus", with(good, "size", (-1).into()), MALFORMED),
        hostile("size too large", with(good, "size", json!(1e300)), MALFORMED),
        hostile("date lies", with(good, "mtime_ns", 5.into()), MALFORMED),
        hostile("date is text", with(good, "queued_at", "yesterday".into()), MALFORMED),
        hostile("film is a number", with(good, "film", 7.into()), MALFORMED),
        hostile("no recipe", with(good, "recipe", Value::Null), MALFORMED),
    ]);
    list
}

fn paths(fleet: &Fleet<'_>, good: &JobMessage) -> Vec<Hostile> {
    let mut list: Vec<Hostile> = [
        "films:../secret.mkv",
        "films:/etc/passwd",
        "films:a/../../secret.mkv",
        "films:%2e%2e/secret.mkv",
        "films:good.mkv%00.txt",
        "films:",
        "films:.",
        "good.mkv",
        "../films:good.mkv",
        "films:%zz",
        ":x",
    ]
    .into_iter()
    .map(|film| hostile(&format!("path {film}"), with(good, "film", film.into()), PATH))
    .collect();
    // Everything else about these is right, also the id.
    let job = |film: &str, size, mtime| {
        let recipe = Recipe { mode: Mode::Copy, ..Recipe::default() };
        JobMessage::new(film.parse().unwrap(), size, mtime, recipe, "\x1b[2J\u{202e}".into())
            .to_body()
            .unwrap()
    };
    let real = |film: &str, path: &str| {
        let there = fs::metadata(fleet.path("lib").join(path)).unwrap();
        job(film, there.len(), there.mtime() * 1_000_000_000 + there.mtime_nsec())
    };
    list.extend([
        hostile("unknown root", job("other:good.mkv", 1, 1), PATH),
        hostile("link out", real("films:escape.mkv", "escape.mkv"), PATH),
        hostile("linked folder", real("films:etc/passwd", "etc/passwd"), PATH),
        hostile("endless link", job("films:loop.mkv", 1, 1), "source.missing"),
        hostile("missing", job("films:none.mkv", 1, 1), "source.missing"),
        // The system's own word for such a name, met first where the result would lie.
        hostile("overlong name", job(&format!("films:{}.mkv", "n".repeat(60_000)), 1, 1), "output.name"),
        hostile("overlong path", job(&format!("films:{}x.mkv", "n/".repeat(30_000)), 1, 1), "output.name"),
        hostile("another size", job("films:good.mkv", u64::MAX, good.mtime_ns), "source.changed"),
        hostile("another date", job("films:good.mkv", good.size, i64::MIN), "source.changed"),
        hostile("empty file", real("films:empty.mkv", "empty.mkv"), "source.empty"),
        hostile("a folder", real("films:folder.mkv", "folder.mkv"), "source.missing"),
        hostile("a pipe", real("films:pipe.mkv", "pipe.mkv"), "source.missing"),
        hostile("below a film", job("films:good.mkv/x.mkv", 1, 1), "source.missing"),
    ]);
    list
}

fn recipes(good: &JobMessage) -> Vec<Hostile> {
    let film = |f: &dyn Fn(&mut Recipe)| {
        let mut recipe = Recipe { preset: "ultrafast".into(), ..Recipe::default() };
        f(&mut recipe);
        JobMessage::new(good.film.clone(), good.size, good.mtime_ns, recipe, "MEL".into()).to_body().unwrap()
    };
    let x265 = |text: &str| film(&|r| r.x265_params = vec![text.to_owned()]);
    let nvenc = |text: &str| {
        film(&|r| {
            r.encoder = Encoder::Nvenc;
            r.encoder_args = vec![text.to_owned()];
        })
    };
    let mut list = vec![
        hostile("x265 writes", x265("csv=../evil"), MALFORMED),
        hostile("x265 writes quoted", x265("c\\sv='evil'"), MALFORMED),
        hostile("x265 writes statistics", x265("stats=evil"), MALFORMED),
        hostile("x265 writes analysis", x265("analysis-save=evil"), MALFORMED),
        hostile("x265 reads", x265("lambda-file=/etc/passwd"), MALFORMED),
        hostile("x265 two options", x265("aq-mode=3:csv=evil"), MALFORMED),
        hostile("ffmpeg input", nvenc("-i=/etc/passwd"), MALFORMED),
        hostile("ffmpeg second output", nvenc("f=null - /tmp/evil"), MALFORMED),
        hostile("arguments for another encoder", film(&|r| r.encoder_args = vec!["bf=0".into()]), MALFORMED),
        hostile("preset with a shell", film(&|r| r.preset = "slow; touch evil".into()), MALFORMED),
        hostile("quality", film(&|r| r.crf = 1e30), MALFORMED),
        hostile("gaps", film(&|r| r.max_missing_rpu_percent = 1e9), MALFORMED),
    ];
    let mut unknown = serde_json::to_value(good).unwrap();
    unknown["recipe"]["command"] = "touch evil".into();
    list.push(hostile("recipe with a command", unknown.to_string(), MALFORMED));
    list
}

/// Films that are not there, with headers that nobody of ours sends.
fn headers(good: &JobMessage) -> Vec<Hostile> {
    let death = json!([{"count": 99, "queue": "dovi.films", "reason": "rejected", "time": 1, "routing-keys": ["film"]}]);
    let many: serde_json::Map<String, Value> = (0..2000).map(|n| (format!("h{n}"), json!("v"))).collect();
    let odd = [
        json!({"headers": {"x-attempt": -5}}),
        json!({"headers": {"x-attempt": "many"}}),
        json!({"headers": {"x-attempt": i64::MAX}}),
        json!({"headers": {"x-attempt": {"a": [1, {"b": 2}]}}}),
        json!({"headers": {"x-code": "no.such", "x-delivery-count": -1}}),
        json!({"headers": {"x-death": death, "x-first-death-queue": "x"}}),
        json!({"headers": many}),
        json!({"priority": 255}),
        json!({"content_type": "image/png", "content_encoding": "gzip"}),
        json!({"type": "\u{1b}[2J", "app_id": "?", "user_id": "guest", "reply_to": "x", "correlation_id": "y"}),
        json!({"timestamp": u64::from(u32::MAX) * 1000, "expiration": "100000000"}),
    ];
    let all = odd.into_iter().enumerate().map(|(n, mut properties)| {
        properties["delivery_mode"] = 2.into();
        let film = format!("films:header {n}.mkv").parse().unwrap();
        let job = JobMessage::new(film, 1, 1, good.recipe.clone(), "MEL".into());
        Hostile {
            name: format!("header {n}"),
            properties,
            body: job.to_body().unwrap(),
            code: "source.missing",
        }
    });
    all.collect()
}
