//! What is removed from the trash, and everything that must not be.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::job::{Certificate, Check, FileFacts, JobId, LibraryPath, ToolVersions};
use common::share::{FileIdentity, Folder, Pruned, ShareState, Trash, TrashFolder, TrashRecord, prune_trash};

const DAY: Duration = Duration::from_secs(86_400);

/// One replaced film, whose original has been in the trash for forty days.
struct Replaced {
    dir: tempfile::TempDir,
    share: ShareState,
    folder: TrashFolder,
    job: JobId,
    original: PathBuf,
    record: PathBuf,
    result: PathBuf,
}

impl Replaced {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path().join("state"));
        share.init().unwrap();
        let library = dir.path().join("lib");
        let film: LibraryPath = "films:deep/er/film.mkv".parse().unwrap();
        let folder = TrashFolder { dir: library.join(".trash"), root: "films".into(), library };
        let result = folder.library.join(film.relative());
        fs::create_dir_all(result.parent().unwrap()).unwrap();
        fs::write(&result, "new").unwrap();
        let trash = Trash::new(folder.dir.clone(), film.clone());
        trash.make().unwrap();
        let place = trash.place("00112233445566778899aabbccddeeff").unwrap();
        fs::write(&place.original, "original").unwrap();
        let job: JobId = format!("{:032x}", 5).parse().unwrap();
        let record = TrashRecord {
            v: 1,
            film: film.clone(),
            job,
            original: FileIdentity::of(&place.original).unwrap(),
            result: FileIdentity::of(&result).unwrap(),
            worker: "w".into(),
            at: jiff::Timestamp::now(),
        };
        place.write(&record).unwrap();
        let facts = |size| FileFacts { path: String::new(), size, mtime_ns: 0 };
        let certificate = Certificate {
            v: 1,
            job: Some(job),
            film: Some(film.to_string()),
            source: facts(8),
            result: facts(3),
            verdict: "MEL".into(),
            evidence: String::new(),
            recipe: None,
            frames: 1,
            wrong_frames: 0,
            checks: vec![Check::new("frames", true, "")],
            notices: Vec::new(),
            tools: ToolVersions::default(),
            stages: Vec::new(),
            worker: "w".into(),
            at: jiff::Timestamp::now(),
        };
        share.write(Folder::Done, job, &certificate).unwrap();
        let replaced =
            Self { share, folder, job, original: place.original, record: place.record, result, dir };
        replaced.age();
        replaced
    }

    fn age(&self) {
        fs::File::open(&self.record).unwrap().set_modified(SystemTime::now() - 40 * DAY).unwrap();
    }

    fn edit(&self, change: impl Fn(&mut TrashRecord)) {
        let mut record: TrashRecord = serde_json::from_slice(&fs::read(&self.record).unwrap()).unwrap();
        change(&mut record);
        fs::write(&self.record, serde_json::to_vec(&record).unwrap()).unwrap();
        self.age();
    }

    fn certified(&self, change: impl Fn(&mut Certificate)) {
        let mut certificate: Certificate = self.share.read(Folder::Done, self.job).unwrap().unwrap();
        change(&mut certificate);
        self.share.write(Folder::Done, self.job, &certificate).unwrap();
    }

    fn prune(&self, days: u32) -> Pruned {
        prune_trash(&self.share, &self.folder, DAY * days).unwrap()
    }
}

#[test]
fn an_original_goes_when_its_time_is_over_and_its_folders_with_it() {
    let film = Replaced::new();
    let young = film.prune(41);
    assert_eq!(young, Pruned { young: 1, ..Pruned::default() });
    assert!(film.original.exists());
    assert_eq!(film.prune(30), Pruned { removed: 1, bytes: 8, ..Pruned::default() });
    assert!(!film.original.exists() && !film.record.exists() && !film.folder.dir.join("deep").exists());
    assert_eq!(fs::read(&film.result).unwrap(), b"new");
    assert_eq!(film.prune(30), Pruned::default());
}

#[test]
fn an_original_stays_while_anything_is_doubtful() {
    type Break = Box<dyn Fn(&Replaced)>;
    let breaks: [(&str, Break); 15] = [
        ("no certificate", Box::new(|f| assert!(f.share.remove(Folder::Done, f.job).unwrap()))),
        (
            "cannot be read",
            Box::new(|f| {
                fs::write(f.share.dir().join("done").join(format!("{}.json", f.job)), "{").unwrap();
            }),
        ),
        ("something else", Box::new(|f| f.certified(|c| c.film = Some("films:other.mkv".into())))),
        ("something else", Box::new(|f| f.certified(|c| c.source.size += 1))),
        ("something else", Box::new(|f| f.certified(|c| c.checks[0].ok = false))),
        ("result is not there", Box::new(|f| f.certified(|c| c.result.size += 1))),
        ("result is not there", Box::new(|f| fs::remove_file(&f.result).unwrap())),
        (
            "result is not there",
            Box::new(|f| {
                fs::remove_file(&f.result).unwrap();
                std::os::unix::fs::symlink(&f.original, &f.result).unwrap();
            }),
        ),
        (
            "result is not there",
            Box::new(|f| {
                // Put back by a link, with a certificate that would agree.
                fs::remove_file(&f.result).unwrap();
                fs::hard_link(&f.original, &f.result).unwrap();
                f.certified(|c| c.result.size = 8);
            }),
        ),
        (
            "not one of ours",
            Box::new(|f| {
                fs::write(&f.record, "{}").unwrap();
                f.age();
            }),
        ),
        (
            "not one of ours",
            Box::new(|f| {
                fs::write(&f.record, vec![b' '; 100_000]).unwrap();
                f.age();
            }),
        ),
        (
            "another library root",
            Box::new(|f| f.edit(|r| r.film = "other:deep/er/film.mkv".parse().unwrap())),
        ),
        ("newer version", Box::new(|f| f.edit(|r| r.v = 2))),
        ("not the file", Box::new(|f| f.edit(|r| r.original.mtime_ns += 1))),
        ("not the file", Box::new(|f| fs::write(&f.original, "another").unwrap())),
    ];
    for (n, (why, spoil)) in breaks.into_iter().enumerate() {
        let film = Replaced::new();
        spoil(&film);
        let pruned = film.prune(30);
        assert!(film.original.exists() && film.record.exists(), "{n}: {why}");
        assert_eq!((pruned.removed, pruned.kept.len()), (0, 1), "{n}: {why}: {pruned:?}");
        assert!(pruned.kept[0].contains(why), "{n}: {why}: {pruned:?}");
    }
}

#[test]
fn files_without_a_record_and_links_out_of_the_trash_are_not_touched() {
    let film = Replaced::new();
    let elsewhere = film.dir.path().join("elsewhere");
    fs::rename(&film.folder.dir, &elsewhere).unwrap();
    fs::create_dir(&film.folder.dir).unwrap();
    std::os::unix::fs::symlink(&elsewhere, film.folder.dir.join("link")).unwrap();
    fs::write(film.folder.dir.join("holiday.original"), "x").unwrap();
    assert_eq!(film.prune(0), Pruned::default());
    assert!(elsewhere.join("deep/er").read_dir().unwrap().count() == 2);
    assert!(film.folder.dir.join("holiday.original").exists());
}

#[test]
fn without_the_share_nothing_is_removed() {
    let film = Replaced::new();
    fs::remove_file(film.share.dir().join("sentinel")).unwrap();
    assert!(prune_trash(&film.share, &film.folder, DAY).is_err());
    assert!(film.original.exists());
}

#[test]
fn a_record_whose_original_was_put_back_goes() {
    let film = Replaced::new();
    fs::rename(&film.original, &film.result).unwrap();
    assert_eq!(film.prune(30), Pruned::default());
    assert!(!film.record.exists());
    assert_eq!(fs::read(&film.result).unwrap(), b"original");
}
