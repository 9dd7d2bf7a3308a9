//! Replace mode as people run it: scan, work, scan again, restore, clear the trash.

use std::process::{Command, Output, Stdio};

use common::broker::{BrokerOptions, topology};
use common::job::Certificate;
use common::share::{Folder, ShareState, prune_trash};
use e2e::broker::PrivateBroker;
use serde_json::Value;

use super::*;

struct Fleet {
    dir: tempfile::TempDir,
}

impl Fleet {
    fn new(broker: &PrivateBroker) -> Self {
        broker.add_vhost("replace").unwrap();
        let fleet = Self { dir: tempfile::tempdir().unwrap() };
        let url = broker.admin_url("replace");
        let options = BrokerOptions::new(&url, "", "").unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(topology::declare(&options)).unwrap();
        ["lib", "lib/a", "scratch"].iter().for_each(|d| fs::create_dir(fleet.path(d)).unwrap());
        ShareState::new(fleet.path("state")).init().unwrap();
        let at = |p: &str| fleet.path(p).display().to_string();
        let config = format!(
            "[broker]\nurl = {url:?}\n[library]\nstable_s = 0\n[library.roots]\nfilms = {:?}\n\
             [share]\nstate_dir = {:?}\n[output]\nmode = \"replace\"\n[scratch]\ndir = {:?}\n\
             [recipe]\nmode = \"copy\"\n[worker]\nbeat_s = 0.3\nstale_s = 60\n",
            at("lib"),
            at("state"),
            at("scratch")
        );
        fs::write(fleet.path("config.toml"), config).unwrap();
        fleet
    }

    fn path(&self, p: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(p)
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(args).arg("--config").arg(self.path("config.toml"));
        let output = command.current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// What a scan says of each film, and whatever was left to do is done.
    fn scan_and_work(&self) -> Vec<(String, String)> {
        let said = self.run(env!("CARGO_BIN_EXE_producer-under-test"), &["scan", "--json"]).stdout;
        self.run(env!("CARGO_BIN_EXE_consumer-under-test"), &["run", "--idle-exit", "1"]);
        let lines = String::from_utf8(said).unwrap();
        let films =
            lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).filter(|l| l["type"] == "film");
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        films.map(|l| (text(&l["film"]), text(&l["action"]))).collect()
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let list = fs::read_dir(self.path(dir)).unwrap();
        let mut names: Vec<_> = list.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_replaced_film_is_done_for_good_and_its_original_can_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let broker = PrivateBroker::start(dir.path()).unwrap();
    let fleet = Fleet::new(&broker);
    let spec = FilmSpec::new("mel", Layers::Mel).frames(72).size(320, 180);
    let film = fleet.path("lib/a/mel.mkv");
    make_film(&film, &spec).unwrap();
    let original = fs::read(&film).unwrap();
    let entry = |action: &str| vec![("films:a/mel.mkv".to_owned(), action.to_owned())];

    assert_eq!(fleet.scan_and_work(), entry("queue"));
    assert!(truth::wrong_frames(&film, &spec).unwrap().is_clean());
    assert_eq!(fleet.names("lib/a"), ["mel.mkv"], "nothing beside it");
    let share = ShareState::new(fleet.path("state"));
    let done = share.list::<Certificate>(Folder::Done).unwrap().entries;
    assert!(done.len() == 1 && done[0].1.holds());

    // The result is no Profile 7 film any more, and nobody looks into the trash.
    assert_eq!(fleet.scan_and_work(), entry("skip"));
    assert_eq!(share.counts().unwrap().queued, 0);

    // Too young, then old enough: but only while its result is there.
    let config = common::config::load(Some(&fleet.path("config.toml")), &Vec::new()).unwrap().config;
    let [folder] = &config.trash_folders()[..] else { panic!("one root") };
    let names = fleet.names("lib/.dovi-fleet-trash/a");
    let [record, kept] = &names[..] else { panic!("{names:?}") };
    let kept = fleet.path("lib/.dovi-fleet-trash/a").join(kept);
    assert_eq!(fs::read(&kept).unwrap(), original);
    assert_eq!(prune_trash(&share, folder, Duration::from_secs(3600)).unwrap().young, 1);

    // What docs/OPERATIONS.md says about putting it back.
    fs::rename(&kept, &film).unwrap();
    assert_eq!(fleet.scan_and_work(), entry("done"));
    assert_eq!(fs::read(&film).unwrap(), original);
    let record = fleet.path("lib/.dovi-fleet-trash/a").join(record);
    fs::File::open(&record).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(prune_trash(&share, folder, Duration::from_secs(3600)).unwrap().removed, 0);
    assert!(!record.exists(), "a record without its original");
    assert_eq!(fs::read(&film).unwrap(), original);
}
