//! Every check of `doctor`, of both programs: a case in which it is content, and one in which it says the worst that it can say,
//! with real causes. The programs' own lists are walked: a check without such a pair fails the first test here.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

mod bench;
mod broker;
mod disks;
mod form;
mod liar;
mod share;
mod tools;

use std::collections::BTreeSet;

use bench::{Bench, Case, Program};
use e2e::broker::PrivateBroker;

#[test]
fn every_check_has_a_case_for_its_best_and_for_its_worst() {
    let cases: Vec<&Case> =
        [tools::CASES, disks::CASES, share::CASES, broker::CASES].into_iter().flatten().collect();
    let mut gaps = Vec::new();
    for program in [Program::Consumer, Program::Producer] {
        let bench = Bench::new(None);
        let list = bench.list(program);
        assert!(list.len() > 10, "{list:?}");
        let names: BTreeSet<&str> = list.iter().map(|c| c["check"].as_str().unwrap()).collect();
        for check in &list {
            let name = check["check"].as_str().unwrap();
            for level in ["ok", check["worst"].as_str().unwrap()] {
                if !cases.iter().any(|c| c.programs.contains(&program) && (c.check, c.level) == (name, level))
                {
                    gaps.push(format!("{program:?} {name}: {level}"));
                }
            }
            assert!(check["needs"].as_array().unwrap().iter().all(|n| names.contains(n.as_str().unwrap())));
        }
        for case in cases.iter().filter(|c| c.programs.contains(&program)) {
            assert!(names.contains(case.check), "{program:?} has no check {}", case.check);
        }
    }
    assert_eq!(gaps, [] as [String; 0], "checks without a case");
}

#[test]
fn tools() {
    bench::play(tools::CASES, None);
}

#[test]
fn disks() {
    bench::play(disks::CASES, None);
}

#[test]
fn share() {
    bench::play(share::CASES, None);
}

#[test]
fn broker() {
    let dir = tempfile::tempdir().unwrap();
    let node = PrivateBroker::start(dir.path()).unwrap();
    bench::play(broker::CASES, Some(&node));
    broker::a_worker_is_content_with_its_own_user(&node);
    broker::the_timeout_is_the_brokers_own(&node);
    node.stop().unwrap();
}

#[test]
fn what_scripts_get() {
    form::json_is_as_documented();
    form::choices_and_exit_codes();
    form::lines_for_people_fit_a_terminal();
}
