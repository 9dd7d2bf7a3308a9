//! A folder of passwords, one file for each user of the broker.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use common::broker::users::{User, new_password};

use crate::exit::Failure;
use crate::render::safe_path;

/// Where the passwords lie.
#[derive(Debug)]
pub(super) struct Secrets {
    dir: PathBuf,
}

/// One user's password and the file it is in.
pub(super) struct Secret {
    pub password: String,
    /// Where it is, or will be after [`Secret::settle`].
    pub path: PathBuf,
    /// Whether this run made it.
    pub made: bool,
    /// A new password that takes the old one's place only when the broker has it.
    next: Option<PathBuf>,
}

impl Secrets {
    /// Opens the folder; makes it if it is missing, for its owner alone.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        if !dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| failed("make", dir, &e))?;
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// The folder, for people.
    pub fn dir(&self) -> String {
        safe_path(&self.dir)
    }

    fn path(&self, user: &User) -> PathBuf {
        self.dir.join(format!("{}.password", user.name))
    }

    /// The password that is there, if there is one. One that an interrupted change left behind counts: the broker may have it
    /// already.
    pub fn find(&self, user: &User) -> Result<Option<Secret>, Failure> {
        let path = self.path(user);
        let next = next(&path);
        if let Some(password) = read(&next)? {
            return Ok(Some(Secret { password, path, made: true, next: Some(next) }));
        }
        Ok(read(&path)?.map(|password| Secret { password, path, made: false, next: None }))
    }

    /// The password that is there, a first one, or, if it shall be another, a new one.
    pub fn obtain(&self, user: &User, rotate: bool) -> Result<Secret, Failure> {
        if rotate {
            return self.renew(user);
        }
        self.find(user)?.map_or_else(|| self.make(user), Ok)
    }

    /// Makes a first password. It is in its file before this returns, so that none is ever lost.
    fn make(&self, user: &User) -> Result<Secret, Failure> {
        let path = self.path(user);
        let password = new_password()?;
        write(&path, &password)?;
        Ok(Secret { password, path, made: true, next: None })
    }

    /// Makes a new password beside the one in force.
    fn renew(&self, user: &User) -> Result<Secret, Failure> {
        if let Some(begun) = self.find(user)?.filter(|s| s.next.is_some()) {
            return Ok(begun);
        }
        let path = self.path(user);
        let next = next(&path);
        let password = new_password()?;
        write(&next, &password)?;
        Ok(Secret { password, path, made: true, next: Some(next) })
    }
}

impl Secret {
    /// The broker has this password: it takes the place of the one before.
    pub fn settle(&self) -> Result<(), Failure> {
        match &self.next {
            Some(next) => fs::rename(next, &self.path).map_err(|e| failed("rename", next, &e)),
            None => Ok(()),
        }
    }
}

fn next(path: &Path) -> PathBuf {
    path.with_extension("password.next")
}

/// The first line of a password file; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", path, &e)),
    };
    match text.lines().next().map(str::trim) {
        Some(password) if !password.is_empty() => Ok(Some(password.to_owned())),
        _ => Err(Failure::usage(format!("{} holds no password", safe_path(path)))
            .hint("its first line must be the password; remove the file to have one made")),
    }
}

/// Writes a file that only its owner can read, whole or not at all, and never over another one.
fn write(path: &Path, password: &str) -> Result<(), Failure> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{password}")?;
        file.sync_all()?;
        // A link fails where there is a file of that name; a rename would replace it.
        fs::hard_link(&draft, path)
    })();
    let _ = fs::remove_file(&draft);
    written.map_err(|e| failed("write", path, &e))?;
    // The folder's entry must be as durable as the file, since the broker knows the password next.
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|d| d.sync_all()).map_err(|e| failed("sync", dir, &e))?;
    }
    Ok(())
}

fn failed(verb: &str, path: &Path, e: &io::Error) -> Failure {
    Failure::environment(format!("failed to {verb} {}: {e}", safe_path(path)))
        .hint("check the folder after --secrets and who may write to it")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use common::broker::users::{PRODUCER, WORKER};

    use super::*;

    #[test]
    fn passwords_are_made_once_and_only_their_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(&dir.path().join("s")).unwrap();
        assert!(secrets.find(&WORKER).unwrap().is_none());
        let made = secrets.make(&WORKER).unwrap();
        let found = secrets.find(&WORKER).unwrap().unwrap();
        assert_eq!((made.made, found.made, &found.password), (true, false, &made.password));
        assert!(secrets.make(&WORKER).is_err(), "nothing is overwritten");
        assert_eq!(secrets.find(&WORKER).unwrap().unwrap().password, made.password);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&made.path), mode(&dir.path().join("s"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(dir.path().join("s")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_change_that_was_interrupted_goes_on_with_the_same_new_password() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(dir.path()).unwrap();
        let old = secrets.make(&PRODUCER).unwrap().password;
        let begun = secrets.renew(&PRODUCER).unwrap().password;
        assert_ne!(begun, old);
        assert_eq!(secrets.renew(&PRODUCER).unwrap().password, begun);
        let again = secrets.find(&PRODUCER).unwrap().unwrap();
        assert_eq!(again.password, begun, "the broker may have it already");
        again.settle().unwrap();
        let settled = secrets.find(&PRODUCER).unwrap().unwrap();
        assert_eq!((settled.password, settled.made), (begun, false));
    }

    #[test]
    fn an_empty_file_is_no_password() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(dir.path()).unwrap();
        fs::write(dir.path().join("dovi-worker.password"), "\n").unwrap();
        assert!(secrets.find(&WORKER).err().unwrap().message.contains("holds no password"));
    }
}
