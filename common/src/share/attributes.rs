//! What a file has besides its content, date, mode and owner: a POSIX ACL, and attributes that programs hung on it.

use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};
use rustix::io::Errno;

/// Who may do what, beyond owner, group and others; acl(5). Those of NFSv4 and Windows are kept elsewhere.
const ACL: &CStr = c"system.posix_acl_access";
/// Linux bounds both a value and the list of names at this many bytes; xattr(7).
const MOST: usize = 64 << 10;
/// Words in names of attributes that say something of the content, as `user.shatag.sha256` does: the content is another one.
const OF_CONTENT: [&str; 6] = ["sha", "md5", "checksum", "hash", "crc", "blake"];

/// Gives `to` the POSIX ACL of `from`, or takes the one away that it got from its folder and `from` has not. To be done before
/// the mode is set, which is the last word on owner, mask and others.
///
/// # Errors
/// The file system of `to` has no ACLs and `from` has one, or we may not. File systems that know none on either side are no
/// error.
pub fn copy_acl(from: &Path, to: &Path) -> io::Result<()> {
    match read(from, ACL)? {
        Some(acl) if read(to, ACL).ok().flatten().as_ref() == Some(&acl) => Ok(()),
        Some(acl) => Ok(setxattr(to, ACL, &acl, XattrFlags::empty())?),
        None => match read(to, ACL)? {
            Some(_) => Ok(removexattr(to, ACL)?),
            None => Ok(()),
        },
    }
}

/// Gives `to` the attributes of `from` whose names begin with `user.`, but for those that describe the content. Gives their
/// number; what cannot be copied is said in the log at level debug.
pub fn copy_user_attributes(from: &Path, to: &Path) -> usize {
    let skipped = |e: io::Error, name: &str| {
        tracing::debug!(from = %from.display(), attribute = name, error = %e, "an attribute is not copied");
    };
    let names = match names(from) {
        Ok(names) => names,
        Err(e) => {
            skipped(e, "user.*");
            return 0;
        }
    };
    let mut copied = 0;
    for name in names {
        let shown = name.to_string_lossy();
        let lower = shown.to_lowercase();
        if !shown.starts_with("user.") || OF_CONTENT.iter().any(|word| lower.contains(word)) {
            continue;
        }
        let done = read(from, &name).and_then(|value| {
            value.map(|value| Ok(setxattr(to, name.as_c_str(), &value, XattrFlags::empty())?)).transpose()
        });
        match done {
            Ok(Some(())) => copied += 1,
            Ok(None) => {}
            Err(e) => skipped(e, &shown),
        }
    }
    copied
}

/// `None`: the file has no such attribute, or its file system none at all.
fn read(path: &Path, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; MOST];
    match getxattr(path, name, value.as_mut_slice()) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn names(path: &Path) -> io::Result<Vec<CString>> {
    let mut list = vec![0_u8; MOST];
    let length = match listxattr(path, list.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => 0,
        Err(e) => return Err(e.into()),
    };
    list.truncate(length);
    Ok(list.split(|b| *b == 0).filter(|n| !n.is_empty()).filter_map(|n| CString::new(n).ok()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    /// As the kernel keeps it: version 2, then tag, rights and number of each entry. Owner 6, user 12345 5, group 4, mask 5,
    /// others 0.
    fn acl() -> Vec<u8> {
        let entry = |tag: u16, rights: u16, id: u32| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let nobody = u32::MAX;
        let entries = [
            entry(0x01, 6, nobody),
            entry(0x02, 5, 12_345),
            entry(0x04, 4, nobody),
            entry(0x10, 5, nobody),
            entry(0x20, 0, nobody),
        ];
        [2_u32.to_le_bytes().to_vec(), entries.concat()].concat()
    }

    fn set(path: &Path, name: &CStr, value: &[u8]) {
        setxattr(path, name, value, XattrFlags::empty()).unwrap();
    }

    fn tried_in(dir: &Path) {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "old").unwrap();
        fs::write(&to, "new").unwrap();
        copy_acl(&from, &to).unwrap();
        assert_eq!(read(&to, ACL).unwrap(), None);

        set(&from, ACL, &acl());
        copy_acl(&from, &to).unwrap();
        assert_eq!(read(&to, ACL).unwrap().as_deref(), Some(acl().as_slice()));
        // The mode that is set afterwards is the mask, and takes nothing away.
        let mode = fs::metadata(&from).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o650);
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(read(&to, ACL).unwrap().as_deref(), Some(acl().as_slice()));

        // What its folder gave it, and the original has not.
        removexattr(&from, ACL).unwrap();
        copy_acl(&from, &to).unwrap();
        assert_eq!(read(&to, ACL).unwrap(), None);
    }

    #[test]
    fn an_acl_goes_along_and_one_of_the_folder_does_not_stay() {
        tried_in(&std::env::temp_dir());
        tried_in(Path::new("/dev/shm"));
    }

    #[test]
    fn attributes_go_along_but_for_those_of_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "old").unwrap();
        fs::write(&to, "new").unwrap();
        assert_eq!(copy_user_attributes(&from, &to), 0);
        set(&from, c"user.xdg.tags", b"seen, kept");
        set(&from, c"user.empty", b"");
        set(&from, c"user.shatag.sha256", b"0123");
        assert_eq!(copy_user_attributes(&from, &to), 2);
        assert_eq!(read(&to, c"user.xdg.tags").unwrap().as_deref(), Some(&b"seen, kept"[..]));
        assert_eq!(read(&to, c"user.empty").unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(read(&to, c"user.shatag.sha256").unwrap(), None);
        assert_eq!(copy_user_attributes(&dir.path().join("absent"), &to), 0);
    }

    #[test]
    fn what_cannot_take_an_acl_says_so_and_what_knows_none_is_silent() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::write(&from, "old").unwrap();
        // procfs has neither ACLs nor attributes.
        let without = Path::new("/proc/self/comm");
        copy_acl(&from, without).unwrap();
        set(&from, ACL, &acl());
        set(&from, c"user.a", b"b");
        assert!(copy_acl(&from, without).is_err());
        assert_eq!(copy_user_attributes(&from, without), 0);
    }
}
