//! Whether the share's state folder is there, may be made, or must be taken for a share that is gone.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::share::{ShareError, ShareState};

use crate::exit::Failure;
use crate::render::safe_path;

/// What to do about the state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The sentinel is there.
    Ready,
    /// There never was one: the first run makes it.
    First,
}

/// Looks, and changes nothing.
///
/// An unmounted share looks just like a first run. So the folder is only made in a place that holds something else
/// already or is a mount point; an empty folder that is none may be waiting for its mount.
///
/// # Errors
/// The share is gone, or its parent folder is not there.
pub fn look(share: &ShareState) -> Result<Start, Failure> {
    let Err(gone) = share.check() else { return Ok(Start::Ready) };
    let dir = std::path::absolute(share.dir()).unwrap_or_else(|_| share.dir().to_owned());
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let may_be_made = match std::fs::metadata(&dir) {
        Ok(_) => is_mount_point(&dir) && is_empty(&dir),
        Err(_) if !parent.is_dir() => {
            let text = format!("the share is not there: no folder {} for share.state_dir", safe_path(parent));
            return Err(Failure::environment(text)
                .hint("mount the share, or correct share.state_dir")
                .because(&gone));
        }
        Err(_) => is_mount_point(parent) || !is_empty(parent),
    };
    if may_be_made { Ok(Start::First) } else { Err(Failure::from(gone)) }
}

/// Makes the layout.
///
/// # Errors
/// Nothing can be written there.
pub fn create(share: &ShareState) -> Result<(), ShareError> {
    share.init()
}

fn is_mount_point(dir: &Path) -> bool {
    let device = |p: &Path| std::fs::metadata(p).map(|m| m.dev()).ok();
    device(dir).is_some() && device(dir) != device(&dir.join(".."))
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir)
        .is_ok_and(|mut entries| entries.all(|e| e.is_ok_and(|e| e.file_name() == "lost+found")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_share_that_is_gone_is_not_taken_for_a_first_run() {
        let dir = tempfile::tempdir().unwrap();
        let at = |p: &str| look(&ShareState::new(dir.path().join(p))).map_err(|f| f.exit);
        assert_eq!(at("none/state"), Err(Exit::Environment), "the parent is absent");
        std::fs::create_dir(dir.path().join("mount")).unwrap();
        assert_eq!(at("mount/state"), Err(Exit::Environment), "an empty mount point");
        assert_eq!(at("mount"), Err(Exit::Environment), "an empty folder");
        std::fs::write(dir.path().join("mount/x"), "").unwrap();
        assert_eq!(at("mount/state"), Ok(Start::First));
        assert_eq!(at("mount"), Err(Exit::Environment), "a folder of something else");
        create(&ShareState::new(dir.path().join("mount/state"))).unwrap();
        assert_eq!(at("mount/state"), Ok(Start::Ready));
        std::fs::remove_file(dir.path().join("mount/state/sentinel")).unwrap();
        assert_eq!(at("mount/state"), Err(Exit::Environment));
    }
}
