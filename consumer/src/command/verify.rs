//! `verify`: a certificate for any pair of files.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use common::job::{Certificate, Check, FailureCode};
use common::text::{safe, safe_path};

use super::display::Display;
use super::{context, load_config, quiet_log, stop_on_signals};
use crate::cli::{Global, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::pipeline::{Stop, verify_pair};

pub(super) async fn run(global: &Global, args: VerifyArgs) -> Result<Exit, Failure> {
    let mut config = load_config(global, &[])?;
    quiet_log(&config, global);
    config.verify.decode = args.decode.map_or(config.verify.decode, Into::into);
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let display = Arc::new(Display::new(args.json));
    let context = context(&config, display.clone(), &stop, None);
    let worker = config.worker.display_name();
    let absolute = |p: &Path| {
        std::path::absolute(p).map_err(|e| Failure::usage(format!("{}: {e}", p.display())).because(&e))
    };
    let (source, result) = (absolute(&args.source)?, absolute(&args.result)?);
    let certificate = verify_pair(&context, &source, &result, &worker).await;
    display.clear();
    let certificate = certificate.map_err(|e| match e.code {
        // The code's own hint is for films that were queued.
        FailureCode::SourceMissing => e.hint("Check the spelling; quote names with spaces."),
        _ => e,
    });
    let certificate = certificate.inspect_err(|e| {
        if args.json {
            let failure = serde_json::json!({
                "source": args.source, "result": args.result, "code": e.code, "summary": e.message,
            });
            println!("{failure}");
        }
    })?;
    if args.json {
        println!("{}", serde_json::to_string(&certificate).unwrap_or_default());
    } else {
        print!("{}", page(&certificate, &args.source, &args.result));
    }
    Ok(if certificate.holds() { Exit::Ok } else { Exit::Some })
}

/// The certificate for a person: a line for each check, and for each difference one more.
fn page(certificate: &Certificate, source: &Path, result: &Path) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(page, "source  {}", safe_path(source));
    let _ = writeln!(page, "        {}; {}", safe(&certificate.verdict), safe(&certificate.evidence));
    let _ = writeln!(page, "result  {}", safe_path(result));
    for check in &certificate.checks {
        for (first, text) in lines(check) {
            let (name, word) = if first { (check.name.as_str(), word(check)) } else { ("", "") };
            let _ = writeln!(page, "  {name:12} {word:6} {}", safe(&text));
        }
    }
    for notice in &certificate.notices {
        let _ = writeln!(page, "  {:12} {:6} {}", "", "note", safe(notice));
    }
    let failed: Vec<&str> = certificate.checks.iter().filter(|c| !c.ok).map(|c| c.name.as_str()).collect();
    let n = certificate.checks.len();
    let _ = if certificate.holds() {
        writeln!(page, "PROVEN: all {n} checks hold for {} frames", certificate.frames)
    } else {
        let hint = "keep the original; `dovi-consumer convert SOURCE` makes a result for which they hold";
        writeln!(
            page,
            "NOT PROVEN: {} of {n} checks failed ({})\nhint: {hint}",
            failed.len(),
            failed.join(", ")
        )
    };
    page
}

fn word(check: &Check) -> &'static str {
    if check.ok { "ok" } else { "FAILED" }
}

/// What a check says, and whether it is the first of it.
fn lines(check: &Check) -> Vec<(bool, String)> {
    let said: Vec<String> =
        if check.differences.is_empty() { vec![check.found.clone()] } else { check.differences.clone() };
    let remarks = check.remarks.iter().map(|r| format!("note: {r}"));
    said.into_iter().chain(remarks).enumerate().map(|(i, text)| (i == 0, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::job::{FileFacts, ToolVersions};

    #[test]
    fn every_difference_has_its_line_and_the_end_says_it_all() {
        let lost = |n: &str| format!("tag {n} is missing");
        let failed = Check {
            differences: vec![lost("A\u{1b}[2J"), lost("B")],
            remarks: vec!["odd".into()],
            ..Check::new("tags", false, "tag A; tag B")
        };
        let facts = || FileFacts { path: String::new(), size: 1, mtime_ns: 1 };
        let certificate = Certificate {
            v: 1,
            job: None,
            film: None,
            source: facts(),
            result: facts(),
            verdict: "MEL".into(),
            evidence: "CM v4.0".into(),
            recipe: None,
            frames: 72,
            wrong_frames: 0,
            checks: vec![Check::new("frames", true, "72 frames"), failed],
            notices: vec!["the picture was encoded again".into()],
            tools: ToolVersions::default(),
            stages: Vec::new(),
            worker: String::new(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            page(&certificate, Path::new("a.mkv"), Path::new("b.mkv")),
            "source  a.mkv\n        MEL; CM v4.0\nresult  b.mkv\n\
             \x20 frames       ok     72 frames\n\
             \x20 tags         FAILED tag A\\u{1b}[2J is missing\n\
             \x20                     tag B is missing\n\
             \x20                     note: odd\n\
             \x20              note   the picture was encoded again\n\
             NOT PROVEN: 1 of 2 checks failed (tags)\n\
             hint: keep the original; `dovi-consumer convert SOURCE` makes a result for which they hold\n"
        );
        let good = Certificate { checks: vec![Check::new("frames", true, "72 frames")], ..certificate };
        assert!(
            page(&good, Path::new("a"), Path::new("b"))
                .ends_with("PROVEN: all 1 checks hold for 72 frames\n")
        );
    }
}
