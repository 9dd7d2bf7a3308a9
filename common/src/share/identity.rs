//! Which file it is that has a name.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// `statfs` types of FUSE and of the three of SMB, from linux/magic.h.
///
/// Their inode numbers may change while a file stays the same: FUSE's libraries number files as they meet them, and so does SMB
/// with the mount option `noserverino`. Nor do they keep every promise of a rename.
const SMB_AND_FUSE: [u32; 4] = [0x6573_5546, 0x517B, 0xFE53_4D42, 0xFF53_4D42];

/// `statfs` types of file systems on which other machines change files without this kernel being told: NFS, SMB (three),
/// Ceph, AFS and 9p; from linux/magic.h.
const NETWORK: [u32; 7] = [0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42, 0x00C3_6400, 0x5346_414F, 0x0102_1997];

/// What tells a file from another one that has, had or will have its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode number; means something only on one machine, and not on every file system.
    pub ino: u64,
}

impl FileIdentity {
    /// The file that has this name now. A symbolic link is itself, not what it leads to.
    ///
    /// # Errors
    /// It is not there or cannot be asked.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|m| Self::from(&m))
    }

    /// As [`FileIdentity::of`]; `None` if nothing has this name.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn find(path: &Path) -> io::Result<Option<Self>> {
        match Self::of(path) {
            Ok(id) => Ok(Some(id)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether this file has that name now, on the machine that found it: size, date and, where it means something, inode
    /// number.
    ///
    /// # Errors
    /// The file system does not answer; a name that is free is no error.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(Self::find(path)?
            .is_some_and(|now| self.looks_like(&now) && (self.ino == now.ino || is_smb_or_fuse(path))))
    }

    /// The same by size and date, which is all that another machine can say.
    pub fn looks_like(&self, other: &Self) -> bool {
        (self.size, self.mtime_ns) == (other.size, other.mtime_ns)
    }
}

impl From<&Metadata> for FileIdentity {
    fn from(m: &Metadata) -> Self {
        let mtime_ns = m.mtime().saturating_mul(1_000_000_000).saturating_add(m.mtime_nsec());
        Self { size: m.len(), mtime_ns, ino: m.ino() }
    }
}

/// Whether a path is on one of these file systems.
pub(super) fn is_smb_or_fuse(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|s| SMB_AND_FUSE.contains(&(s.f_type as u32)))
}

/// Whether a path is on a file system that other machines change as well, without this kernel being told.
///
/// # Errors
/// The path is not there, or its file system does not answer.
pub fn is_network(path: &Path) -> io::Result<bool> {
    Ok(NETWORK.contains(&(rustix::fs::statfs(path)?.f_type as u32)))
}

/// Whether both names are one file.
///
/// # Errors
/// The file system does not answer; a name that is free is no error.
pub(super) fn is_one_file(a: &Path, b: &Path) -> io::Result<bool> {
    let look = |path: &Path| match fs::symlink_metadata(path) {
        Ok(m) => Ok(Some((m.dev(), m.ino()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    };
    Ok(look(a)?.is_some_and(|a| look(b).is_ok_and(|b| b == Some(a))))
}

/// Whether both files hold the same bytes. Reads both whole.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn is_one_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = a.read(&mut left)?;
        if read == 0 {
            return Ok(b.read(&mut right[..1])? == 0);
        }
        match b.read_exact(&mut right[..read]) {
            Ok(()) if left[..read] == right[..read] => {}
            Ok(()) => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}
