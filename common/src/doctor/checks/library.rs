//! Are the films there, and may this user read them?

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::blocking;
use crate::doctor::{Check, Finding, Fleet, Level};
use crate::text::safe_path;

/// Entries that are looked at until a film turns up: a first film lies near the top of every library.
const ENTRIES: usize = 2000;

/// Every root is a folder with something in it, and the first film of it can be read.
pub const fn library<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "library",
        part: "library",
        about: "every library root is mounted, and a film in it can be read",
        needs: &["settings"],
        slow: false,
        worst: Level::Failed,
        look: |w| {
            let config = &w.as_ref().config.library;
            let (roots, extensions) = (config.roots.clone(), config.extensions.clone());
            Box::pin(blocking(move || roots.iter().map(|(n, d)| look(n, d, &extensions)).collect()))
        },
    }
}

fn look(name: &str, dir: &Path, extensions: &[String]) -> Finding {
    let shown = format!("{name} = {}", safe_path(dir));
    let absent = |e: std::io::Error| {
        let hint = format!(
            "mount it, or correct library.roots.{name}; `findmnt -T {}` shows what is mounted there",
            safe_path(dir)
        );
        Finding::failed(format!("{shown}: {e}"), hint)
    };
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Err(e) => return absent(e),
        Ok(true) => {
            let hint = format!(
                "it looks like a mount point without its mount: `findmnt -T {}`; mount it, or correct library.roots.{name}",
                safe_path(dir)
            );
            return Finding::failed(format!("{shown} is an empty folder"), hint);
        }
        Ok(false) => {}
    }
    let Some(film) = first_film(dir, extensions) else {
        return Finding::warning(
            format!("{shown}: no film among its first {ENTRIES} entries ({})", extensions.join(", ")),
            "is it the right folder, and is library.extensions right?",
        );
    };
    match File::open(&film).and_then(|mut f| f.read(&mut [0; 4096])) {
        Ok(_) => Finding::ok(shown),
        Err(e) => Finding::failed(
            format!("{shown}: {} cannot be read: {e}", safe_path(&film)),
            "let the user of this program read the films (group, or the mount's uid= and gid=); `id` says who that is",
        ),
    }
}

/// The first regular file with the name of a film, folder by folder.
fn first_film(dir: &Path, extensions: &[String]) -> Option<PathBuf> {
    let (mut folders, mut left) = (vec![dir.to_owned()], ENTRIES);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            left = left.checked_sub(1)?;
            let (path, kind) = (entry.path(), entry.file_type().ok()?);
            let named = path.extension().and_then(|e| e.to_str());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && named.is_some_and(|n| extensions.iter().any(|e| e.eq_ignore_ascii_case(n)))
            {
                return Some(path);
            }
        }
    }
    None
}
