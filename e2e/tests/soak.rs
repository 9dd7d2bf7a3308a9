//! A short run of the fault loop; `make soak` is the long one.

use e2e::soak::{Settings, run};

#[test]
fn a_few_faults_lose_double_and_spoil_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        faults: 24,
        seed: 11,
        brief: true,
        workers: 3,
        dir: dir.path().to_owned(),
        worker: env!("CARGO_BIN_EXE_consumer-under-test").into(),
        tool: env!("CARGO_BIN_EXE_faulty-tool").into(),
    };
    let report = run(&settings).unwrap();
    if !report.verdict.is_clean() {
        // The books and logs are worth more than the room.
        panic!("{report}\nkept in {}", dir.keep().display());
    }
    assert_eq!(report.fired.len(), 24, "{report}");
    assert!(report.verdict.proven > 0 && report.verdict.starts >= report.verdict.proven, "{report}");
}
