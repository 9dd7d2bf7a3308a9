//! The harness of `make bench` on small films: that it measures, compares equal work, and writes its page.

use std::fs;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_quick_run_measures_everything_and_writes_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let (page, json) = (dir.path().join("page.md"), dir.path().join("bench.json"));
    let marks = ["<!-- measured: begin -->", "<!-- measured: end -->"];
    fs::write(&page, format!("Before\n{}\nold\n{}\nAfter\n", marks[0], marks[1])).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--quick", "--dir"])
        .arg(dir.path())
        .arg("--page")
        .arg(&page)
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let measured: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let tables = measured["tables"].as_array().unwrap();
    let titles: Vec<_> = tables.iter().map(|t| t["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Copy mode", "Encode mode", "One thread", "Verdicts", "Scale"]);
    let rows: Vec<&Value> = tables.iter().flat_map(|t| t["rows"].as_array().unwrap()).collect();
    for row in &rows {
        let all: Vec<f64> = row["all"].as_array().unwrap().iter().map(|r| r.as_f64().unwrap()).collect();
        let median = row["median"].as_f64().unwrap();
        assert!(all.iter().all(|r| r.is_finite() && *r > 0.0), "{row}");
        assert!(all.iter().any(|r| *r <= median) && all.iter().any(|r| *r >= median), "{row}");
    }
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.starts_with("Before\n") && page.ends_with("\nAfter\n") && !page.contains("old"), "{page}");
    for row in rows {
        assert!(page.contains(&format!("| {} |", row["what"].as_str().unwrap())), "{row}");
    }
    // The films are gone.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
