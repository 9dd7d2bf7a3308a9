//! Small files that this program makes for an instant beside results, originals and in scratch, and that stay if it is killed
//! in that instant.
//!
//! | name | made by |
//! |---|---|
//! | `.clock.<16 or 17 digits>.tmp` | asking a server for its time; trying the share |
//! | `.dovi-fleet-probe.<16 digits>.a.tmp`, `.b.tmp` | trying how files can be replaced |
//! | `.<name>.claim`, `.<name>.claim.<16 digits>` | giving a name on file systems that have neither the flags of a rename nor links |
//! | `.dovi-fleet-doctor.<number>`, with `.date.tmp` or `.speed` | `doctor` |

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What is written into the larger ones of these files, in bytes; only the measurement of speed is larger.
const SMALL: u64 = 4096;

/// What a file with such a name holds if it is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Little,
    Anything,
}

fn of_name(name: &str) -> Option<Holds> {
    let hex = |digits: &str, lengths: &[usize]| {
        lengths.contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let name = name.strip_prefix('.')?;
    if let Some(digits) = name.strip_prefix("clock.").and_then(|n| n.strip_suffix(".tmp")) {
        return hex(digits, &[16, 17]).then_some(Holds::Little);
    }
    if let Some(probe) = name.strip_prefix("dovi-fleet-probe.") {
        let digits = probe.strip_suffix(".a.tmp").or_else(|| probe.strip_suffix(".b.tmp"))?;
        return hex(digits, &[16]).then_some(Holds::Little);
    }
    if let Some(rest) = name.strip_prefix("dovi-fleet-doctor.") {
        let (number, what) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
        let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        return match what {
            "" | ".date.tmp" if numbered => Some(Holds::Nothing),
            ".speed" if numbered => Some(Holds::Anything),
            _ => None,
        };
    }
    let claimed = match name.rsplit_once('.') {
        Some((claimed, "claim")) => claimed,
        Some((claimed, digits)) if hex(digits, &[16]) => claimed.strip_suffix(".claim")?,
        _ => return None,
    };
    (!claimed.is_empty()).then_some(Holds::Nothing)
}

/// Whether a file has the name of one of these. Whether it is one, its content and its age say too: [`remove_leftover`].
pub fn looks_left_over(name: &OsStr) -> bool {
    name.to_str().and_then(of_name).is_some()
}

/// Removes a file if it is one of these by name, kind and size, and older than `age` at `now`, which is the time of its own
/// server. Its maker keeps it for a few calls of the system and never comes back to it: choose an age beyond any of those.
pub fn remove_leftover(path: &Path, now: SystemTime, age: Duration) -> bool {
    let holds = path.file_name().and_then(OsStr::to_str).and_then(of_name);
    // Of the file itself, never of what a link points to.
    let Some((holds, meta)) = holds.zip(fs::symlink_metadata(path).ok()) else { return false };
    let fits = match holds {
        Holds::Nothing => meta.len() == 0,
        Holds::Little => meta.len() <= SMALL,
        Holds::Anything => true,
    };
    meta.is_file() && fits && is_older(&meta, now, age) && fs::remove_file(path).is_ok()
}

fn is_older(meta: &Metadata, now: SystemTime, age: Duration) -> bool {
    meta.modified().is_ok_and(|then| now.duration_since(then).is_ok_and(|past| past > age))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;

    use super::*;
    use crate::share::{FileError, PublishMethod, publish_no_clobber_by};

    const DAY: Duration = Duration::from_secs(86_400);

    fn aged(path: PathBuf, text: &str, age: Duration) -> PathBuf {
        fs::write(&path, text).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        path
    }

    #[test]
    fn names_are_known_whole() {
        for name in [
            ".clock.0123456789abcdef.tmp",
            ".clock.0123456789abcdef0.tmp",
            ".dovi-fleet-probe.0123456789abcdef.a.tmp",
            ".dovi-fleet-probe.0123456789abcdef.b.tmp",
            ".Film (1999) [DV8].mkv.claim",
            ".Film.mkv.claim.0123456789abcdef",
            ".dovi-fleet-doctor.17",
            ".dovi-fleet-doctor.17.date.tmp",
            ".dovi-fleet-doctor.17.speed",
        ] {
            assert!(looks_left_over(OsStr::new(name)), "{name}");
            assert!(!looks_left_over(OsStr::new(&name[1..])), "visible: {name}");
            assert!(!looks_left_over(OsStr::new(&format!("{name}.mkv"))), "{name}");
        }
        for name in [
            ".clock.0123456789ABCDEF.tmp",
            ".clock.tmp",
            ".claim",
            "..claim.0123456789abcdef",
            ".Film.mkv.claim.0123",
            ".dovi-fleet-probe.0123456789abcdef.c.tmp",
            ".dovi-fleet-doctor.x",
            ".dovi-fleet-doctor.17.tmp",
            ".dovi-fleet-results",
            ".dovi-fleet-trash",
            ".Film.mkv.taken-back.0123456789abcdef",
        ] {
            assert!(!looks_left_over(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn what_the_programs_really_make_is_known() {
        // A file system without links, and a claim of somebody who died.
        let dir = tempfile::tempdir().unwrap();
        let (partial, film) = (dir.path().join(".p"), dir.path().join("film.mkv"));
        fs::write(&partial, "film").unwrap();
        let claim = aged(dir.path().join(".film.mkv.claim"), "", Duration::ZERO);
        let busy = publish_no_clobber_by(PublishMethod::Claim, &partial, &film);
        assert!(
            matches!(busy, Err(FileError::Exists { .. })),
            "the name that the publisher looks at: {busy:?}"
        );
        assert!(looks_left_over(claim.file_name().unwrap()));
    }

    #[test]
    fn only_old_ones_of_the_right_kind_and_size_go() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (old, young) = (DAY * 2, DAY / 2);
        let gone = [
            aged(at(".clock.0123456789abcdef.tmp"), "", old),
            aged(at(".dovi-fleet-probe.0123456789abcdef.a.tmp"), "second", old),
            aged(at(".film.mkv.claim"), "", old),
            aged(at(".dovi-fleet-doctor.17.speed"), &"x".repeat(5000), old),
        ];
        let kept = [
            aged(at(".clock.1123456789abcdef.tmp"), "", young),
            aged(at(".clock.2123456789abcdef.tmp"), &"x".repeat(5000), old),
            aged(at(".other.mkv.claim"), "", young),
            aged(at(".insurance.claim"), "somebody's own", old),
            aged(at("film.mkv"), "", old),
        ];
        let link = at(".linked.mkv.claim");
        std::os::unix::fs::symlink(&kept[4], &link).unwrap();
        let folder = at(".folder.claim");
        fs::create_dir(&folder).unwrap();
        let now = SystemTime::now();
        for path in gone.iter().chain(&kept).chain([&folder, &link, &at("absent")]) {
            assert_eq!(remove_leftover(path, now, DAY), gone.contains(path), "{}", path.display());
        }
        assert!(gone.iter().all(|p| !p.exists()) && kept.iter().all(|p| p.exists()));
        assert!(link.is_symlink() && folder.is_dir());
    }
}
