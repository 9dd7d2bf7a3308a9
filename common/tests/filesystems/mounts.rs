//! File systems that are made for a test and gone after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system; unmounted when dropped.
pub struct Mount {
    at: PathBuf,
    mounted: usize,
    _dir: tempfile::TempDir,
}

impl Mount {
    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.at
    }

    fn new(mount: impl FnOnce(&Path, &Path) -> usize) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("mnt");
        fs::create_dir(&at).unwrap();
        let mounted = mount(dir.path(), &at);
        (mounted > 0).then_some(Self { at, mounted, _dir: dir })
    }

    /// A tmpfs of this size.
    pub fn tmpfs(size: &str) -> Option<Self> {
        let option = format!("size={size}");
        Self::new(|_, at| usize::from(run(&["mount", "-t", "tmpfs", "-o", &option, "test"], &[at])))
    }

    /// A file of so many MiB, in which `make` makes a file system that `mount` mounts.
    pub fn image(mib: u64, make: &[&str], mount: &[&str]) -> Option<Self> {
        Self::new(|dir, at| {
            let image = dir.join("image");
            fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
            usize::from(run(make, &[&image]) && run(mount, &[&image, at]))
        })
    }

    /// As [`Mount::image`], for programs that want a block device.
    pub fn device(mib: u64, make: &[&str], mount: &[&str]) -> Option<Self> {
        Self::new(|dir, at| {
            let image = dir.join("image");
            fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
            let attached = Command::new("losetup").args(["-f", "--show"]).arg(&image).output();
            let Some(attached) = attached.ok().filter(|o| o.status.success()) else { return 0 };
            let device = PathBuf::from(String::from_utf8_lossy(&attached.stdout).trim());
            let mounted = run(make, &[&device]) && run(mount, &[&device, at]);
            // The kernel detaches it when nobody uses it any more.
            run(&["losetup", "-d"], &[&device]);
            usize::from(mounted)
        })
    }

    /// An overlay whose layers lie in a tmpfs.
    pub fn overlay() -> Option<Self> {
        Self::new(|dir, at| {
            let base = dir.join("base");
            fs::create_dir(&base).unwrap();
            if !run(&["mount", "-t", "tmpfs", "test"], &[&base]) {
                return 0;
            }
            ["lower", "upper", "work"].iter().for_each(|d| fs::create_dir(base.join(d)).unwrap());
            let place = |d: &str| base.join(d).display().to_string();
            let option =
                format!("lowerdir={},upperdir={},workdir={}", place("lower"), place("upper"), place("work"));
            // The overlay keeps the tmpfs alive.
            let mounted = run(&["mount", "-t", "overlay", "-o", &option, "test"], &[at]);
            run(&["umount", "-l"], &[&base]);
            usize::from(mounted)
        })
    }

    /// A FUSE file system that shows another folder.
    pub fn over(program: &[&str]) -> Option<Self> {
        Self::new(|dir, at| {
            let below = dir.join("below");
            fs::create_dir(&below).unwrap();
            usize::from(run(program, &[&below, at]))
        })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for _ in 0..self.mounted {
            // Lazily: a FUSE daemon may still hold on to it for a moment.
            run(&["umount", "-l"], &[&self.at]);
        }
    }
}

fn run(command: &[&str], paths: &[&Path]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).args(paths).output();
    match output {
        Ok(o) if o.status.success() => true,
        Ok(o) => {
            eprintln!("{command:?}: {}", String::from_utf8_lossy(&o.stderr).trim());
            false
        }
        Err(e) => {
            eprintln!("{}: {e}", command[0]);
            false
        }
    }
}
