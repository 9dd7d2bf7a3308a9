//! Giving a finished file its final name, once.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::atomic::{hidden_beside, move_error, parent, random_hex, remove_quietly, sync_dir, sync_file};
use super::identity::is_smb_or_fuse;
use super::{FileError, FileIdentity};

/// A claim file older than this belongs to a process that died between two system calls.
const CLAIM_AGE: Duration = Duration::from_secs(120);

/// How a name was given. Each next way is for file systems that lack the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublishMethod {
    /// `renameat2(RENAME_NOREPLACE)`: one step. ext4, xfs, btrfs, zfs, tmpfs.
    Rename,
    /// Hard link, then unlink of the temporary name. NFS, SMB, most of FUSE.
    Link,
    /// A claim file made with `O_EXCL`, a look, then a plain rename. exFAT, some SMB servers. Safe among our own processes; a
    /// stranger who makes the final name in the same instant is overwritten.
    Claim,
}

/// Moves `partial` to `final_name` unless that exists: fsync of the file, one of [`PublishMethod`], fsync of the folder.
///
/// Repeatable: if an earlier try did it and only the answer was lost (NFS), that is found out and counts as success.
///
/// # Errors
/// [`FileError::Exists`] if the name is taken (`partial` is still there), [`FileError::CrossDevice`],
/// [`FileError::NoSpace`], [`FileError::Denied`], or another I/O error.
pub fn publish_no_clobber(partial: &Path, final_name: &Path) -> Result<PublishMethod, FileError> {
    publish_no_clobber_by(PublishMethod::Rename, partial, final_name)
}

/// Like [`publish_no_clobber`], beginning with a later method, for a mount that is known to answer the earlier ones
/// wrongly.
///
/// # Errors
/// As [`publish_no_clobber`].
pub fn publish_no_clobber_by(
    first: PublishMethod,
    partial: &Path,
    final_name: &Path,
) -> Result<PublishMethod, FileError> {
    sync_file(partial)?;
    let before = fs::metadata(partial).map_err(|e| FileError::new("publish", partial, e))?;
    let mut method = first;
    loop {
        let tried = match method {
            PublishMethod::Rename => rename_no_replace(partial, final_name),
            PublishMethod::Link => fs::hard_link(partial, final_name),
            PublishMethod::Claim => claim_and_rename(partial, final_name)?,
        };
        match tried {
            Ok(()) => break,
            // The answer of the first try may be lost, and the second one then fails (open(2), NFS).
            Err(_) if is_there(&before, partial, final_name) => break,
            Err(e) if method < PublishMethod::Claim && lacks_method(&e) => {
                method =
                    if method == PublishMethod::Rename { PublishMethod::Link } else { PublishMethod::Claim };
            }
            Err(e) => return Err(move_error("publish", partial, final_name, e)),
        }
    }
    // After a link both names are there. Only the file we just published may go.
    if FileIdentity::from(&before).is_at(partial).unwrap_or(false) {
        remove_quietly(partial);
    }
    sync_dir(parent(final_name))?;
    Ok(method)
}

fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    // Of two SMB clients both got the name (measured: Linux 6.1, Samba 4.17): only the client's own cache is asked, and the
    // server overwrites. A FUSE file system may ignore the flag. A link is refused by whoever has the files.
    if is_smb_or_fuse(parent(to)) {
        return Err(Errno::INVAL.into());
    }
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// NFS says EINVAL to rename flags, SMB and FUSE EPERM, ENOSYS or EOPNOTSUPP to links; EMLINK means one link is the limit.
fn lacks_method(e: &io::Error) -> bool {
    use Errno as E;
    matches!(Errno::from_io_error(e), Some(E::INVAL | E::NOSYS | E::OPNOTSUPP | E::PERM | E::MLINK))
}

/// Whether the final name is the file that was to be published, or our file got a second name (open(2), NOTES), for file
/// systems that make inode numbers up.
fn is_there(before: &Metadata, partial: &Path, final_name: &Path) -> bool {
    let linked = || fs::symlink_metadata(partial).is_ok_and(|m| m.nlink() == before.nlink() + 1);
    fs::symlink_metadata(final_name).is_ok_and(|m| same_file(&m, before) || linked())
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// The outer error is about the claim, the inner one about the name.
fn claim_and_rename(partial: &Path, final_name: &Path) -> Result<io::Result<()>, FileError> {
    let claim = hidden_beside(final_name, "claim");
    let open = || File::options().write(true).create_new(true).open(&claim);
    let opened = match open() {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match age(&claim)? {
            Some(age) if age > CLAIM_AGE => {
                // One process wins this rename, the others find the claim gone and make their own.
                let aside = hidden_beside(final_name, &format!("claim.{}", random_hex(8)?));
                if fs::rename(&claim, &aside).is_ok() {
                    remove_quietly(&aside);
                }
                open()
            }
            // Given back in this moment. Not to be moved: by now it may be the next one's.
            None => open(),
            Some(_) => Err(e),
        },
        other => other,
    };
    if let Err(e) = opened {
        return Err(FileError::new("claim", final_name, e));
    }
    let moved = match fs::symlink_metadata(final_name) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => fs::rename(partial, final_name),
        Err(e) => Err(e),
    };
    remove_quietly(&claim);
    Ok(moved)
}

/// Compares two times of the same server: the claim's and that of a file written just now. `None`: it is gone.
fn age(claim: &Path) -> Result<Option<Duration>, FileError> {
    let now = server_time(parent(claim))?;
    match fs::metadata(claim).and_then(|m| m.modified()) {
        Ok(then) => Ok(Some(now.duration_since(then).unwrap_or_default())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(FileError::new("look at", claim, e)),
    }
}

/// The time by the clock of whoever serves this folder, in the only way all file systems share: the date of a file that is
/// made there just now and removed.
///
/// # Errors
/// Nothing can be written there.
pub fn server_time(dir: &Path) -> Result<std::time::SystemTime, FileError> {
    let probe = dir.join(format!(".clock.{}.tmp", random_hex(8)?));
    let time =
        File::options().write(true).create_new(true).open(&probe).and_then(|f| f.metadata()?.modified());
    remove_quietly(&probe);
    time.map_err(|e| FileError::new("write", &probe, e))
}
