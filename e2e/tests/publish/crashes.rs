//! An attempt that is cut off between any two steps is repaired by the next one.

use consumer::pipeline;

use super::*;

const WAYS: [Option<ReplaceMethod>; 4] =
    [None, Some(ReplaceMethod::Exchange), Some(ReplaceMethod::Link), Some(ReplaceMethod::Move)];

/// Every step; what comes before the first difference between the ways of replacing is tried with one of them.
fn steps(method: Option<ReplaceMethod>) -> &'static [Step] {
    use Step::{Announced, Concluded, Dressed, Fenced, Recorded, Renamed, Trashed};
    match method {
        None => &[Dressed, Announced, Fenced, Renamed, Concluded],
        Some(ReplaceMethod::Exchange) => &[Dressed, Announced, Fenced, Recorded, Trashed, Renamed, Concluded],
        Some(ReplaceMethod::Link | ReplaceMethod::Move) => &[Recorded, Trashed, Renamed],
    }
}

/// What the next worker is given: the books of the dead one, whose token is known from the journal.
fn next(case: &Case, before: &Books) -> (FilmTask, Arc<Books>) {
    let announced = Mutex::new(before.announced.lock().unwrap().clone());
    let task = FilmTask { dead: vec![token(1, case)], ..case.task(2) };
    (task, Arc::new(Books { announced, ..Books::default() }))
}

#[test]
fn a_worker_that_dies_at_any_step_leaves_what_the_next_one_repairs() {
    for (method, step) in WAYS.into_iter().flat_map(|way| steps(way).iter().map(move |s| (way, *s))) {
        let what = format!("{method:?}, died at {step}");
        let (case, books) = (Case::new(method), Arc::new(Books::default()));
        assert!(case.attempt(case.task(1), step, Fate::Dies, &books).is_none());
        // Whatever happened, the original has a name.
        let kept = case.files().iter().any(|f| fs::read(case.bench.path(f)).unwrap() == case.original);
        assert!(kept, "{what}: the original is gone: {:?}", case.files());
        // Only the last way has a moment without the film's own name.
        let gone = method == Some(ReplaceMethod::Move) && step == Step::Trashed;
        assert_eq!(case.source.exists(), !gone, "{what}");

        let (task, repaired) = next(&case, &books);
        let finished = case.run(task, &repaired).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(finished.adopted, matches!(step, Step::Renamed | Step::Concluded), "{what}");
        case.published(&finished, &repaired, &what);
    }
}

#[test]
fn a_step_that_fails_leaves_all_as_it_was() {
    for (method, step) in WAYS.into_iter().flat_map(|way| steps(way).iter().map(move |s| (way, *s))) {
        // What has its name keeps it, and before there are names to be taken back nothing can be left.
        let begun = matches!(step, Step::Fenced | Step::Recorded | Step::Trashed);
        if !begun {
            continue;
        }
        let what = format!("{method:?}, failed at {step}");
        let (case, books) = (Case::new(method), Arc::new(Books::default()));
        let error = case.attempt(case.task(1), step, Fate::Fails, &books).unwrap().unwrap_err();
        assert_eq!(error.code, common::job::FailureCode::ShareIo, "{what}: {error}");
        case.untouched(&what);
    }
}

#[test]
fn a_film_that_is_given_up_has_its_name_again() {
    let (case, books) = (Case::new(Some(ReplaceMethod::Move)), Arc::new(Books::default()));
    assert!(case.attempt(case.task(1), Step::Trashed, Fate::Dies, &books).is_none());
    assert!(!case.source.exists(), "the worker died while the film had no name");
    let (task, repaired) = next(&case, &books);
    tokio::runtime::Runtime::new().unwrap().block_on(pipeline::take_back(&task, repaired)).unwrap();
    case.untouched("taken back");
}

#[test]
fn a_film_that_was_replaced_under_other_settings_is_recognised() {
    let (case, books) = (Case::new(Some(ReplaceMethod::Exchange)), Arc::new(Books::default()));
    assert!(case.attempt(case.task(1), Step::Renamed, Fate::Dies, &books).is_none());
    let (mut task, repaired) = next(&case, &books);
    task.publishing.replace = false;
    task.target = case.bench.path("out/result.mkv");
    let finished = case.run(task, &repaired).unwrap();
    assert!(finished.adopted && finished.target == case.source);
    case.published(&finished, &repaired, "beside after replace");
}

#[test]
fn a_result_that_was_spoilt_before_its_certificate_gets_none() {
    let (case, books) = (Case::new(Some(ReplaceMethod::Exchange)), Arc::new(Books::default()));
    assert!(case.attempt(case.task(1), Step::Renamed, Fate::Dies, &books).is_none());
    let mut bytes = fs::read(&case.source).unwrap();
    let dated = fs::metadata(&case.source).unwrap().modified().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&case.source, &bytes).unwrap();
    fs::File::open(&case.source).unwrap().set_modified(dated).unwrap();
    let (task, repaired) = next(&case, &books);
    let error = case.run(task, &repaired).unwrap_err();
    assert_eq!(error.code, common::job::FailureCode::OutputExists, "{error}");
    assert!(repaired.concluded.lock().unwrap().is_none());
    assert_eq!(fs::read(case.kept_original()).unwrap(), case.original, "the original stays in the trash");
}
