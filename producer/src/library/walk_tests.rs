use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::config::{Config, OutputMode, load};

use super::{Walk, walk};
use crate::library::Roots;

/// A temporary tree with the root `films` in `lib/`, and the configuration for it.
struct Tree {
    dir: tempfile::TempDir,
    config: Config,
}

impl Tree {
    fn new(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = load(None, &Vec::new()).unwrap().config;
        config.library.roots = [("films".to_owned(), dir.path().join("lib"))].into();
        config.output.dir = dir.path().join("out");
        let tree = Self { dir, config };
        for file in files {
            tree.file(OsStr::new(file));
        }
        tree
    }

    fn file(&self, name: &OsStr) {
        let path = self.lib().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "film").unwrap();
    }

    fn lib(&self) -> PathBuf {
        self.dir.path().join("lib")
    }

    fn link(&self, to: impl AsRef<Path>, at: &str) {
        symlink(to, self.lib().join(at)).unwrap();
    }

    fn walk(&self) -> Walk {
        let roots = Roots::open(&self.config.library.roots).unwrap();
        walk(&roots.places(), &self.config, &mut |_| true)
    }

    fn walk_at(&self, path: &str) -> Walk {
        let roots = Roots::open(&self.config.library.roots).unwrap();
        walk(&[roots.locate(&self.lib().join(path)).unwrap()], &self.config, &mut |_| true)
    }
}

fn names(walk: &Walk) -> Vec<String> {
    walk.found.iter().map(|f| f.film.to_string()).collect()
}

fn warning(walk: &Walk, name: &str) -> (String, bool) {
    let w = walk.warnings.iter().find(|w| w.path.ends_with(name));
    w.map(|w| (w.text.clone(), w.missed))
        .unwrap_or_else(|| panic!("no warning about {name}: {:?}", walk.warnings))
}

#[test]
fn only_films_in_a_fixed_order() {
    let tree = Tree::new(&["b/B.MKV", "a.mkv", "b/a.mkv", "c.mp4", "d.mkv.partial", "e.partial.mkv", "mkv"]);
    let walk = tree.walk();
    assert_eq!(names(&walk), ["films:a.mkv", "films:b/B.MKV", "films:b/a.mkv"]);
    assert!(walk.warnings.is_empty(), "{:?}", walk.warnings);
    assert_eq!(walk.found[0].size, 4);
}

#[test]
fn hidden_and_system_folders_are_left_alone() {
    let tree =
        Tree::new(&["a.mkv", ".hidden.mkv", ".trash/b.mkv", "@eaDir/c.mkv", "#recycle/d.mkv", "x/.y/e.mkv"]);
    assert_eq!(names(&tree.walk()), ["films:a.mkv"]);
    assert!(names(&tree.walk_at(".trash/b.mkv")).is_empty());
    assert_eq!(warning(&tree.walk_at(".trash/b.mkv"), "b.mkv").0, "it is hidden");
}

#[test]
fn links_are_followed_but_not_in_circles_and_not_out() {
    let tree = Tree::new(&["real/a.mkv"]);
    let outside = tree.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.mkv"), "x").unwrap();
    tree.link("..", "real/up");
    tree.link(&outside, "out");
    tree.link(outside.join("x.mkv"), "x.mkv");
    tree.link("real/none.mkv", "broken.mkv");
    tree.link("loop2", "loop1");
    tree.link("loop1", "loop2");
    let walk = tree.walk();
    assert_eq!(names(&walk), ["films:real/a.mkv"]);
    assert!(warning(&walk, "up").0.starts_with("the link leads back to"));
    assert_eq!(warning(&walk, "lib/out"), ("the link leads out of the library root".into(), false));
    assert_eq!(warning(&walk, "lib/x.mkv").0, "the link leads out of the library root");
    assert_eq!(warning(&walk, "broken.mkv").0, "the link leads nowhere");
    assert!(warning(&walk, "loop1").1, "a link to itself cannot be read");
}

#[test]
fn a_film_with_several_names_is_one_film_under_its_own_name() {
    let tree = Tree::new(&["z/real.mkv"]);
    tree.link("z/real.mkv", "alias.mkv");
    tree.link("z", "dir");
    let walk = tree.walk();
    assert_eq!(names(&walk), ["films:z/real.mkv"]);
    assert_eq!(warning(&walk, "alias.mkv").0, "another name of films:z/real.mkv");
    assert_eq!(walk.warnings.len(), 2, "{:?}", walk.warnings);
    // Named by a person through its link, it still is one film of the library.
    assert_eq!(names(&tree.walk_at("alias.mkv")), ["films:alias.mkv"]);
}

#[test]
fn our_own_results_are_no_films() {
    let mut tree = Tree::new(&["a.mkv", "results/films/a [DV8].mkv", "b [DV8].mkv"]);
    tree.config.output.dir = tree.lib().join("results");
    let walk = tree.walk();
    assert_eq!((names(&walk), walk.ours), (vec!["films:a.mkv".into(), "films:b [DV8].mkv".into()], 1));
    tree.config.output.mode = OutputMode::Beside;
    let walk = tree.walk();
    assert_eq!((names(&walk), walk.ours), (vec!["films:a.mkv".into()], 2));
}

#[test]
fn the_trash_is_no_part_of_the_library() {
    let trashed =
        ["old/films/b.mkv", ".dovi-fleet-trash/c.mkv.0123456789ab.original", ".dovi-fleet-trash/d.mkv"];
    let mut tree = Tree::new(&[&["a.mkv"][..], &trashed].concat());
    // Also while another mode is set: what lies there is older than the setting.
    for mode in [OutputMode::Replace, OutputMode::Separate] {
        tree.config.output.mode = mode;
        tree.config.output.trash_dir = tree.lib().join("old");
        let walk = tree.walk();
        assert_eq!((names(&walk), walk.ours), (vec!["films:a.mkv".into()], 1));
    }
}

#[test]
fn every_unix_name_is_a_film() {
    let tree = Tree::new(&["new\nline.mkv", "-rf.mkv", "a:b.mkv", "100%.mkv", "東京.mkv"]);
    tree.file(OsStr::from_bytes(b"latin\xe9.mkv"));
    let walk = tree.walk();
    assert!(walk.warnings.is_empty(), "{:?}", walk.warnings);
    let expected = [
        "films:-rf.mkv",
        "films:100%25.mkv",
        "films:a:b.mkv",
        "films:latin%E9.mkv",
        "films:new%0Aline.mkv",
        "films:東京.mkv",
    ];
    assert_eq!(names(&walk), expected);
    for found in &walk.found {
        assert_eq!(
            tree.config.library.resolve(&found.film).unwrap(),
            found.path,
            "a worker finds the same file"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_told_and_the_rest_is_walked() {
    let tree = Tree::new(&["a.mkv", "locked/b.mkv", "z.mkv"]);
    let locked = tree.lib().join("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let walk = tree.walk();
    let readable_all_the_same = fs::read_dir(&locked).is_ok();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(names(&walk).contains(&"films:z.mkv".into()));
    // Root reads everything.
    if !readable_all_the_same {
        let (text, missed) = warning(&walk, "locked");
        assert!(text.starts_with("it cannot be read") && missed, "{text}");
    }
}

#[test]
fn a_walk_can_be_stopped() {
    let tree = Tree::new(&["a.mkv", "b.mkv", "c.mkv"]);
    let roots = Roots::open(&tree.config.library.roots).unwrap();
    let walk = walk(&roots.places(), &tree.config, &mut |found| found < 1);
    assert_eq!(names(&walk), ["films:a.mkv"]);
}

#[test]
fn folders_with_film_names_are_folders() {
    let tree = Tree::new(&["a.mkv", "folder.mkv/b.mkv"]);
    assert_eq!(names(&tree.walk()), ["films:a.mkv", "films:folder.mkv/b.mkv"]);
}
