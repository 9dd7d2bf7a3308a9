//! The share's protocol on real file systems: leases, whole files, names given once, originals replaced.
//!
//! tmpfs and ext4 belong to every run, where mounting is allowed. The others need packages and are run by hand, see
//! docs/RELIABILITY.md, "File systems":
//!
//! ```sh
//! cargo test -p common --test filesystems -- --ignored --nocapture
//! DOVI_FILESYSTEM_DIR=/mnt/nas/test cargo test -p common --test filesystems -- --ignored --nocapture any_folder
//! DOVI_FILESYSTEM_DIR=/mnt/nas/test:/mnt/nas2/test …   # the same folder mounted twice, as two machines see it
//! deploy/test-shares.sh                                # NFS and SMB, and servers that stop, in a virtual machine
//! ```

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

mod mounts;
mod outage;
mod protocol;

use std::path::Path;

use common::share::{
    FileError, PublishMethod, ReplaceMethod, free_bytes, probe_replace, publish_no_clobber, write_file,
};
use mounts::Mount;
use protocol::{Seen, holds};

/// The kernel's own file systems for disks.
const BEST: Seen = Seen { publish: PublishMethod::Rename, replace: ReplaceMethod::Exchange };
/// Most of FUSE: no flags for a rename.
const LINKS: Seen = Seen { publish: PublishMethod::Link, replace: ReplaceMethod::Link };
/// Two names of one file have different inode numbers.
const DOUBTFUL_LINKS: Seen = Seen { publish: PublishMethod::Link, replace: ReplaceMethod::Move };
/// No links at all.
const NO_LINKS: Seen = Seen { publish: PublishMethod::Claim, replace: ReplaceMethod::Move };

fn check(name: &str, mount: Option<Mount>, expected: Seen) {
    let Some(mount) = mount else {
        eprintln!("{name}: not tested here (mounting is not allowed, or a program is missing)");
        return;
    };
    let (seen, gaps) = holds(mount.dir(), mount.dir());
    tell(name, seen, gaps);
    assert_eq!(seen, expected, "{name}");
    // libfuse moves a file that is open out of the way before another takes its name.
    assert!(
        gaps == 0 || name.contains("FUSE"),
        "{name}: a file that is rewritten was not there {gaps} times"
    );
}

fn tell(name: &str, seen: Seen, gaps: usize) {
    let Seen { publish, replace } = seen;
    eprintln!(
        "{name}: names are given by {publish:?}, originals replaced by {replace:?}; rewritten files unseen: {gaps}"
    );
}

#[test]
fn tmpfs() {
    check("tmpfs", Mount::tmpfs("64m"), BEST);
}

#[test]
fn ext4() {
    check("ext4", Mount::image(64, &["mkfs.ext4", "-q", "-F"], &["mount", "-o", "loop"]), BEST);
}

#[test]
fn the_folder_of_temporary_files() {
    let dir = tempfile::tempdir().unwrap();
    let (seen, gaps) = holds(dir.path(), dir.path());
    tell(&dir.path().display().to_string(), seen, gaps);
}

#[test]
fn two_disks_are_told_apart_before_and_while_moving() {
    let (Some(here), Some(there)) = (Mount::tmpfs("1m"), Mount::tmpfs("1m")) else {
        eprintln!("not tested here: mounting is not allowed");
        return;
    };
    for strongest in [ReplaceMethod::Exchange, ReplaceMethod::Link, ReplaceMethod::Move] {
        let probed = probe_replace(strongest, here.dir(), there.dir());
        assert!(matches!(probed, Err(FileError::CrossDevice { .. })), "{probed:?}");
        let left = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
        assert_eq!((left(here.dir()), left(there.dir())), (0, 0), "the probes are gone");
        assert_eq!(probe_replace(strongest, here.dir(), here.dir()).unwrap(), strongest);
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let ext4 = Mount::image(4, &["mkfs.ext4", "-q", "-F", "-m", "0"], &["mount", "-o", "loop"]);
    for mount in [Mount::tmpfs("1m"), ext4] {
        let Some(mount) = mount else {
            eprintln!("not tested here: mounting is not allowed");
            continue;
        };
        let (state, partial) = (mount.dir().join("state"), mount.dir().join(".film.partial"));
        write_file(&state, b"old").unwrap();
        std::fs::write(&partial, "film").unwrap();
        // File systems keep some blocks back that they hand out in the end.
        let free = free_bytes(mount.dir()).unwrap();
        for (n, bytes) in [free as usize, 65_536, 4096, 4096].into_iter().enumerate() {
            let fill = |part| std::fs::write(mount.dir().join(format!("fill-{n}-{part}")), vec![1; bytes]);
            assert!((0..1000).any(|part| fill(part).is_err()), "more than there is room for");
        }
        let full = write_file(&state, &[b'x'; 100_000]);
        assert!(matches!(full, Err(FileError::NoSpace { .. })), "{full:?}");
        assert_eq!(std::fs::read(&state).unwrap(), b"old");
        // A name needs no room.
        publish_no_clobber(&partial, &mount.dir().join("film")).unwrap();
    }
}

#[test]
#[ignore = "needs xfsprogs"]
fn xfs() {
    check("xfs", Mount::image(320, &["mkfs.xfs", "-q", "-f"], &["mount", "-o", "loop"]), BEST);
}

#[test]
#[ignore = "needs btrfs-progs"]
fn btrfs() {
    check("btrfs", Mount::image(256, &["mkfs.btrfs", "-q", "-f"], &["mount", "-o", "loop"]), BEST);
}

#[test]
#[ignore = "overlay on overlay is not allowed everywhere"]
fn overlay() {
    check("overlay", Mount::overlay(), BEST);
}

#[test]
#[ignore = "needs bindfs"]
fn bindfs() {
    check("bindfs (FUSE)", Mount::over(&["bindfs"]), LINKS);
}

#[test]
#[ignore = "needs mergerfs"]
fn mergerfs() {
    check("mergerfs (FUSE)", Mount::over(&["mergerfs"]), DOUBTFUL_LINKS);
}

#[test]
#[ignore = "needs ntfs-3g"]
fn ntfs() {
    check("ntfs-3g (FUSE)", Mount::image(64, &["mkfs.ntfs", "-q", "-F", "-Q"], &["ntfs-3g"]), LINKS);
}

#[test]
#[ignore = "needs exfat-fuse and exfatprogs"]
fn exfat() {
    check("exfat-fuse (FUSE)", Mount::device(64, &["mkfs.exfat"], &["mount.exfat-fuse"]), NO_LINKS);
}

#[test]
#[ignore = "needs a folder: DOVI_FILESYSTEM_DIR"]
fn any_folder() {
    let Some(dirs) = std::env::var_os("DOVI_FILESYSTEM_DIR") else { return };
    let views: Vec<_> = std::env::split_paths(&dirs).collect();
    let dir = tempfile::tempdir_in(&views[0]).unwrap();
    // Of two mounts of one folder every second worker has the other one.
    let other = views.last().unwrap().join(dir.path().file_name().unwrap());
    let (seen, gaps) = holds(dir.path(), &other);
    tell(&dir.path().display().to_string(), seen, gaps);
}

#[test]
#[ignore = "needs a folder and commands: DOVI_FILESYSTEM_DIR, DOVI_FILESYSTEM_STOP, DOVI_FILESYSTEM_START"]
fn a_server_that_stops() {
    let given = |name| std::env::var(format!("DOVI_FILESYSTEM_{name}")).ok();
    let (Some(dirs), Some(stop), Some(start)) = (given("DIR"), given("STOP"), given("START")) else { return };
    let views: Vec<_> = std::env::split_paths(&dirs).collect();
    let dir = tempfile::tempdir_in(&views[0]).unwrap();
    outage::a_share_comes_back(dir.path(), &stop, &start);
}
