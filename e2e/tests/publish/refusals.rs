//! Films whose place is not taken, and strangers who come in between.

use common::config::Hardlinks;
use common::job::{FailureClass, FailureCode};

use super::*;

const METHODS: [ReplaceMethod; 3] = [ReplaceMethod::Exchange, ReplaceMethod::Link, ReplaceMethod::Move];

#[test]
fn linked_films_follow_the_policy() {
    let case = Case::new(Some(ReplaceMethod::Exchange));
    let other = case.bench.path("lib/seeding.bin");
    fs::hard_link(&case.source, &other).unwrap();
    let books = Arc::new(Books::default());
    let error = case.run(case.task(1), &books).unwrap_err();
    assert_eq!(error.code, FailureCode::SourceHardlinked, "{error}");
    assert!(error.advice().contains("output.hardlinks"));
    assert_eq!(case.files(), ["lib/a/mel.mkv", "lib/seeding.bin"]);

    let mut task = case.task(2);
    task.publishing.hardlinks = Hardlinks::Break;
    let finished = case.run(task, &books).unwrap();
    assert_eq!(fs::read(&other).unwrap(), case.original);
    fs::remove_file(&other).unwrap();
    case.published(&finished, &books, "links broken");

    // A link that appears while the film is worked on counts as well.
    let case = Case::new(Some(ReplaceMethod::Exchange));
    let (from, to) = (case.source.clone(), case.bench.path("lib/late.bin"));
    let link = move || fs::hard_link(&from, &to).unwrap();
    let result = case.attempt(case.task(1), Step::Dressed, Fate::Sees(Box::new(link)), &Arc::default());
    assert_eq!(result.unwrap().unwrap_err().code, FailureCode::SourceHardlinked);
    assert_eq!(case.files(), ["lib/a/mel.mkv", "lib/late.bin"]);

    // Only the original's own place is a matter of links.
    let case = Case::new(None);
    fs::hard_link(&case.source, case.bench.path("lib/seeding.bin")).unwrap();
    case.run(case.task(1), &Arc::default()).unwrap();
}

#[test]
fn a_symbolic_link_is_not_replaced() {
    let case = Case::new(Some(ReplaceMethod::Exchange));
    let real = case.bench.path("lib/real.mkv");
    fs::rename(&case.source, &real).unwrap();
    std::os::unix::fs::symlink(&real, &case.source).unwrap();
    let error = case.run(case.task(1), &Arc::default()).unwrap_err();
    assert_eq!(error.code, FailureCode::SourceSymlink, "{error}");
    assert_eq!(case.files(), ["lib/a/mel.mkv", "lib/real.mkv"]);
    assert_eq!(fs::read(&real).unwrap(), case.original);
}

#[test]
fn a_trash_on_another_disk_is_refused_before_any_work() {
    let case = Case::new(Some(ReplaceMethod::Exchange));
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut task = case.task(1);
    task.publishing.trash = Some(Trash::new(elsewhere.path().join("films"), case.film()));
    let error = case.run(task, &Arc::default()).unwrap_err();
    assert_eq!((error.code, error.stage.name()), (FailureCode::OutputTrash, "preflight"), "{error}");
    assert!(error.advice().contains("output.trash_dir"));
    case.untouched("a trash elsewhere");
}

#[test]
fn a_result_whose_name_is_too_long_is_refused_before_any_work() {
    let mut case = Case::new(None);
    // 250 bytes are a name; with " [DV8]" it is one too many for ext4, xfs, btrfs, tmpfs.
    let long = format!("{}.mkv", "ä".repeat(123));
    assert_eq!(long.len(), 250);
    let source = case.source.with_file_name(&long);
    fs::rename(&case.source, &source).unwrap();
    case.source = source;
    let target = case.bench.path("out").join(long.replace(".mkv", " [DV8].mkv"));
    let task = FilmTask { source: case.source.clone(), target, ..case.task(1) };
    let error = case.run(task, &Arc::default()).unwrap_err();
    assert_eq!((error.code.as_str(), error.stage.name()), ("output.name", "preflight"), "{error}");
    assert_eq!(error.code.class(), FailureClass::Permanent, "no worker is ill, and no second try helps");
    assert!(error.advice().contains("output.suffix"), "{}", error.advice());
    assert!(error.message.contains("256 bytes"), "{error}");
    assert_eq!(case.files(), [format!("lib/a/{long}")]);

    // In its own place, and with a name that fits, every name that is made on the way fits too.
    for (n, method) in [(2, None), (3, Some(ReplaceMethod::Move))] {
        case.method = method;
        let made = case.bench.path("out").join(&long);
        let target = if method.is_some() { case.source.clone() } else { made.clone() };
        let film = LibraryPath::new("films", &Path::new("a").join(&long)).unwrap();
        let task = case.task(n);
        let trash = Some(Trash::new(case.bench.path(TRASH), film));
        let publishing = Publishing { trash, ..task.publishing.clone() };
        let task = FilmTask { source: case.source.clone(), target: target.clone(), publishing, ..task };
        let finished = case.run(task, &Arc::default()).unwrap();
        assert!(finished.certificate.holds());
        assert!(target.exists());
        let _ = fs::remove_file(made);
    }
}

/// At every moment from the proof to the exchange somebody may put another file there, of whatever length and date.
#[test]
fn a_film_that_somebody_changes_at_the_last_moment_stays_and_nothing_is_lost() {
    for method in METHODS {
        for step in [Step::Dressed, Step::Fenced, Step::Recorded, Step::Trashed] {
            let what = format!("{method:?} at {step}");
            let case = Case::new(Some(method));
            let (name, next) = (case.source.clone(), case.bench.path("lib/next"));
            let act = move || {
                fs::write(&next, "a new rip").unwrap();
                // As a downloader does it. Where the name is free for a moment, this takes it.
                fs::rename(&next, &name).unwrap();
            };
            let result = case.attempt(case.task(1), step, Fate::Sees(Box::new(act)), &Arc::default());
            let code = result.unwrap().unwrap_err().code;
            assert_eq!(fs::read(&case.source).unwrap(), b"a new rip", "{what}");
            let files = case.files();
            match (method, step) {
                // The original had its name in the trash by then, and keeps it, with its record.
                (ReplaceMethod::Link | ReplaceMethod::Move, Step::Trashed) => {
                    assert_eq!(fs::read(case.kept_original()).unwrap(), case.original, "{what}");
                    assert_eq!(files.len(), 3, "{what}: {files:?}");
                }
                // The stranger has overwritten the original himself.
                _ => assert_eq!(files, ["lib/a/mel.mkv"], "{what}"),
            }
            let free = method == ReplaceMethod::Move && step == Step::Trashed;
            let want = if free { FailureCode::OutputExists } else { FailureCode::SourceChanged };
            assert_eq!(code, want, "{what}");
        }
    }
}

#[test]
fn a_film_that_became_somebody_elses_stays_as_it_is() {
    for method in METHODS {
        let case = Case::new(Some(method));
        let books = Arc::new(Books { lost: true, ..Books::default() });
        assert_eq!(case.run(case.task(1), &books).unwrap_err().code, FailureCode::LeaseLost);
        case.untouched(&format!("{method:?}"));
    }
}
