//! The last steps of a film: names, the trash, and every moment at which a worker may die over them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod crashes;
mod fleet;
mod refusals;

use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use common::config::FileDate;
use common::job::{JobId, LibraryPath, Mode};
use common::share::{ReplaceMethod, Trash, TrashRecord};
use common::steps::{self, Step};
use consumer::pipeline::{FilmTask, Finished, Label, Publishing, StageError, Stop};
use e2e::bench::{Bench, Books, context, convert_with};
use e2e::films::{FilmSpec, Layers, make_film, truth};
use e2e::tool::ffmpeg_under_test;
use e2e::wait;

const SOON: Duration = Duration::from_secs(60);
const TRASH: &str = "lib/.dovi-fleet-trash";

/// What happens to an attempt at a step.
enum Fate {
    /// The process stands still for good, and nothing of it is tidied up: as good as killed.
    Dies,
    /// The step fails as on a bad disk.
    Fails,
    /// Somebody else does something in this moment.
    Sees(Box<dyn Fn() + Send>),
}

struct Plan {
    step: Step,
    fate: Fate,
    reached: bool,
}

/// By the attempt's token.
fn plans() -> &'static Mutex<HashMap<String, Plan>> {
    static PLANS: OnceLock<Mutex<HashMap<String, Plan>>> = OnceLock::new();
    PLANS.get_or_init(Mutex::default)
}

fn hook(step: Step, about: &dyn Display) -> io::Result<()> {
    let mut plans = plans().lock().unwrap_or_else(PoisonError::into_inner);
    let Some(plan) = plans.get_mut(&about.to_string()).filter(|p| p.step == step) else { return Ok(()) };
    plan.reached = true;
    match &plan.fate {
        Fate::Fails => Err(io::Error::from_raw_os_error(5)),
        Fate::Sees(act) => {
            act();
            Ok(())
        }
        Fate::Dies => {
            drop(plans);
            loop {
                std::thread::park();
            }
        }
    }
}

/// A film, and where its result goes.
struct Case {
    bench: Bench,
    spec: FilmSpec,
    source: PathBuf,
    original: Vec<u8>,
    /// `None`: a name of its own.
    method: Option<ReplaceMethod>,
}

impl Case {
    fn new(method: Option<ReplaceMethod>) -> Self {
        static FILM: OnceLock<Vec<u8>> = OnceLock::new();
        static HOOK: Once = Once::new();
        HOOK.call_once(|| assert!(steps::install(Box::new(hook))));
        let bench = Bench::new().unwrap();
        let spec = FilmSpec::new("mel", Layers::Mel).frames(72).size(320, 180);
        let source = bench.path("lib/a").join(&spec.path);
        fs::create_dir(bench.path("lib/a")).unwrap();
        let original = FILM.get_or_init(|| {
            make_film(&source, &spec).unwrap();
            fs::read(&source).unwrap()
        });
        fs::write(&source, original).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::new(1_500_000_000, 123_456_700);
        fs::File::open(&source).unwrap().set_modified(old).unwrap();
        Self { bench, spec, source, original: original.clone(), method }
    }

    fn film(&self) -> LibraryPath {
        LibraryPath::new("films", &Path::new("a").join(&self.spec.path)).unwrap()
    }

    /// One attempt; `n` becomes its token.
    fn task(&self, n: u32) -> FilmTask {
        let task = self.bench.task(&self.source, Mode::Copy);
        let publishing = Publishing {
            replace: self.method.is_some(),
            trash: Some(Trash::new(self.bench.path(TRASH), self.film())),
            strongest: self.method.unwrap_or_default(),
            ..Publishing::default()
        };
        let target = if self.method.is_some() { self.source.clone() } else { task.target };
        let job: JobId = format!("{:032x}", 7).parse().unwrap();
        let label = Label { job: Some(job), film: Some(self.film().to_string()), ..task.label };
        FilmTask { target, publishing, label, token: token(n, self), ..task }
    }

    fn run(&self, task: FilmTask, books: &Arc<Books>) -> Result<Finished, StageError> {
        convert_with(&context(&ffmpeg_under_test(), &Stop::default(), Box::new(|_| ())), task, books)
    }

    /// Lets an attempt meet its fate; `None` for one that died.
    fn attempt(
        &self,
        task: FilmTask,
        step: Step,
        fate: Fate,
        books: &Arc<Books>,
    ) -> Option<Result<Finished, StageError>> {
        let dies = matches!(fate, Fate::Dies);
        let token = task.token.clone();
        let plan = Plan { step, fate, reached: false };
        plans().lock().unwrap().insert(token.clone(), plan);
        let reached = || plans().lock().unwrap_or_else(PoisonError::into_inner)[&token].reached;
        if !dies {
            let result = self.run(task, books);
            assert!(reached(), "{step} was not reached: {result:?}");
            return Some(result);
        }
        let books = books.clone();
        let context = context(&ffmpeg_under_test(), &Stop::default(), Box::new(|_| ()));
        // Never ends; the test's own end takes it away.
        std::thread::spawn(move || convert_with(&context, task, &books));
        wait::until(SOON, step.name(), reached).unwrap();
        None
    }

    /// All files of the library, results and scratch, below the bench's folder.
    fn files(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut dirs = vec![self.bench.path("lib"), self.bench.path("out"), self.bench.path("scratch")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let name = path.strip_prefix(self.bench.path("")).unwrap();
                    all.push(name.to_str().unwrap().to_owned());
                }
            }
        }
        all.sort();
        all
    }

    /// Nothing but the original, as it was.
    fn untouched(&self, what: &str) {
        assert_eq!(self.files(), ["lib/a/mel.mkv"], "{what}");
        assert_eq!(fs::read(&self.source).unwrap(), self.original, "{what}");
    }

    /// One proven result, one original, no trace of anything else.
    fn published(&self, finished: &Finished, books: &Books, what: &str) {
        let certificate = books.concluded.lock().unwrap().clone().expect("a certificate");
        assert!(certificate.holds(), "{what}: {certificate:#?}");
        assert_eq!(finished.certificate, certificate);
        let size = fs::metadata(&finished.target).unwrap().len();
        assert_eq!(size, certificate.result.size, "{what}");
        let wrong = truth::wrong_frames(&finished.target, &self.spec).unwrap();
        assert!(wrong.is_clean(), "{what}: {wrong:?}");
        assert_eq!(fs::read(self.kept_original()).unwrap(), self.original, "{what}");
        let files = self.files();
        if self.method.is_none() {
            assert_eq!(files, ["lib/a/mel.mkv", "out/result.mkv"], "{what}");
        } else {
            assert_eq!(files.len(), 3, "film, original, record: {what}: {files:?}");
            assert!(files.contains(&"lib/a/mel.mkv".to_owned()), "{what}: {files:?}");
            let record = self.kept_original().with_extension("json");
            let record: TrashRecord = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
            assert_eq!((record.film, Some(record.job)), (self.film(), certificate.job), "{what}");
            assert_eq!(
                (record.original.size, record.result.size),
                (self.original.len() as u64, size),
                "{what}"
            );
            assert!(certificate.notices.iter().any(|n| n.contains(".original")), "{:?}", certificate.notices);
        }
    }

    /// Where the original lies after a film is done.
    fn kept_original(&self) -> PathBuf {
        if self.method.is_none() {
            return self.source.clone();
        }
        let all = self.files();
        let mut kept = all.iter().filter(|f| f.ends_with(".original"));
        let one = kept.next().unwrap_or_else(|| panic!("no original: {all:?}"));
        assert!(kept.next().is_none() && one.starts_with(&format!("{TRASH}/a/mel.mkv.")), "{all:?}");
        self.bench.path(one)
    }
}

fn token(n: u32, case: &Case) -> String {
    // The bench's folder has a random name: no two cases of this process share a token.
    let place = case.bench.path("").to_string_lossy().into_owned();
    let hash: u64 = place
        .bytes()
        .fold(14_695_981_039_346_656_037, |h, b| (h ^ u64::from(b)).wrapping_mul(1_099_511_628_211));
    format!("{n:08x}{hash:016x}{n:08x}")
}

#[test]
fn a_result_looks_as_the_settings_say() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use common::config::{FileMode, FileOwner};
    use consumer::pipeline::Dress;

    let case = Case::new(None);
    fs::set_permissions(&case.source, fs::Permissions::from_mode(0o640)).unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(&case.source, Some(1234), Some(5678)).unwrap();
    }
    let like = fs::metadata(&case.source).unwrap();
    let books = Arc::new(Books::default());
    let same = case.run(case.task(1), &books).unwrap();
    let looks = |m: &fs::Metadata| (m.uid(), m.gid(), m.mode() & 0o777, m.modified().unwrap());
    assert_eq!(looks(&fs::metadata(&same.target).unwrap()), looks(&like));
    fs::remove_file(&same.target).unwrap();

    let mut task = case.task(2);
    let owner = FileOwner::Ids(4321, 8765);
    task.publishing.dress = Dress { owner, mode: FileMode::Bits(0o604), date: FileDate::Now };
    let other = case.run(task, &books).unwrap();
    let is = fs::metadata(&other.target).unwrap();
    assert_eq!(is.mode() & 0o777, 0o604);
    assert!(is.modified().unwrap() > like.modified().unwrap() + Duration::from_secs(86_400), "made today");
    let told = other.certificate.notices.iter().any(|n| n.contains("4321:8765"));
    // Only root may give files away: elsewhere it is said and no failure.
    assert_eq!((is.uid() == 4321 && is.gid() == 8765, told), (root, !root));
    let mtime_ns = consumer::pipeline::Source::of(&other.target).unwrap().mtime_ns;
    assert_eq!(other.certificate.result.mtime_ns, mtime_ns, "the certificate says what the file says");
}

#[test]
fn a_result_in_the_place_of_its_original_has_its_acl_and_attributes() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};

    let case = Case::new(Some(ReplaceMethod::Exchange));
    // Owner 6, user 12345 5, group 4, mask 5, others 0; as acl(5) and the kernel have it.
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 5, 12_345), (4, 4, u32::MAX), (0x10, 5, u32::MAX), (0x20, 0, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        acl.extend([&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    let wanted = [("system.posix_acl_access", acl.as_slice()), ("user.xdg.tags", b"seen, kept".as_slice())];
    for (name, value) in wanted.into_iter().chain([("user.shatag.sha256", b"0123".as_slice())]) {
        setxattr(&case.source, name, value, XattrFlags::empty()).unwrap();
    }
    let books = Arc::new(Books::default());
    let finished = case.run(case.task(1), &books).unwrap();
    case.published(&finished, &books, "with an ACL");
    let has = |name: &str| {
        let mut value = vec![0; 4096];
        getxattr(&finished.target, name, value.as_mut_slice()).ok().map(|n| value[..n].to_vec())
    };
    for (name, value) in wanted {
        assert_eq!(has(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(has("user.shatag.sha256"), None, "the content is another one");
}
