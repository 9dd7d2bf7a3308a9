//! How is the share mounted?

use std::path::{Path, PathBuf};

use super::blocking;
use crate::doctor::{Check, Finding, Fleet, Level};
use crate::text::safe_path;

/// File systems of NFS, as the kernel names them.
const NFS: [&str; 2] = ["nfs", "nfs4"];
/// What is in memory is forgotten at the next boot.
const MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The mount of the state folder and the options that matter, from /proc/self/mounts.
pub const fn share_mount<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "share-mount",
        part: "share",
        about: "the share's mount options show what other machines write at once",
        needs: &["share"],
        slow: false,
        worst: Level::Warning,
        look: |w| {
            let dir = w.as_ref().share().dir().to_owned();
            Box::pin(blocking(move || vec![look(&dir)]))
        },
    }
}

fn look(dir: &Path) -> Finding {
    match std::fs::read_to_string("/proc/self/mounts") {
        Err(e) => Finding::skipped(format!("/proc/self/mounts cannot be read: {e}")),
        Ok(mounts) => judge(dir, &mounts),
    }
}

fn judge(dir: &Path, mounts: &str) -> Finding {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let Some(mount) = Mount::of(&dir, mounts) else {
        return Finding::skipped(format!("no mount of {} is listed", safe_path(&dir)));
    };
    let text = format!("{} from {} at {}", mount.kind, mount.source, safe_path(&mount.at));
    let option = |name: &str| mount.options.split(',').find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
    if NFS.contains(&mount.kind) {
        let lookup = option("lookupcache").unwrap_or("all");
        let text = format!("{text}, lookupcache={lookup}");
        return if lookup == "all" {
            let hint = format!(
                "for up to a minute this machine believes that a file is not there which another one made: add lookupcache=positive to \
                 the mount's options (/etc/fstab or its unit), then `umount {0} && mount {0}`",
                safe_path(&mount.at)
            );
            Finding::warning(text, hint)
        } else {
            Finding::ok(text)
        }
        .measured("type", mount.kind)
        .measured("lookupcache", lookup);
    }
    if MEMORY.contains(&mount.kind) {
        let hint = "it is in memory: after a boot nothing is known of any film; set share.state_dir to a folder of the share";
        return Finding::warning(text, hint).measured("type", mount.kind);
    }
    Finding::ok(text).measured("type", mount.kind)
}

struct Mount<'a> {
    source: &'a str,
    at: PathBuf,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// The mount that a folder lies on: the longest mount point above it, of several the last, which covers the others.
    fn of(dir: &Path, mounts: &'a str) -> Option<Self> {
        let all = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let (source, at, kind, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
            Some(Self { source, at: unescaped(at).into(), kind, options })
        });
        all.filter(|m| dir.starts_with(&m.at)).max_by_key(|m| m.at.components().count())
    }
}

/// The kernel writes space, tab, newline and backslash as octal numbers (proc(5)).
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |t, (code, c)| t.replace(code, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/sda1 / ext4 rw,relatime 0 0\n\
        nas:/media /mnt/nas nfs4 rw,vers=4.2,hard,proto=tcp 0 0\n\
        nas:/state /mnt/my\\040state nfs rw,lookupcache=positive 0 0\n\
        tmpfs /run tmpfs rw 0 0\n";

    #[test]
    fn the_innermost_mount_counts() {
        let of = |dir: &str| judge(Path::new(dir), MOUNTS);
        let films = of("/mnt/nas/dovi/state");
        assert_eq!(films.level, Level::Warning);
        assert!(
            films.text.ends_with("lookupcache=all") && films.hint.unwrap().contains("umount /mnt/nas &&")
        );
        assert_eq!(of("/mnt/my state/dovi").level, Level::Ok);
        assert_eq!(of("/mnt/nasty").text, "ext4 from /dev/sda1 at /");
        assert_eq!(of("/run/dovi").level, Level::Warning);
        assert_eq!(judge(Path::new("/x"), "").level, Level::Skipped);
    }
}
