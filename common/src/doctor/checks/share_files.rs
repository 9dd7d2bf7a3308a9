//! Does the share keep the promises that leases and results rely on?

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::blocking;
use crate::doctor::{Check, Finding, Fleet, Level};
use crate::share::{FileError, PublishMethod, publish_no_clobber, rename_durable};
use crate::text::safe_path;

/// An exclusive create, a rename over a file, a name that is given once, a hard link; in a folder of its own in `leases`.
pub const fn share_files<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "share-files",
        part: "share",
        about: "exclusive create, rename, a name given once, and hard links work on the share",
        needs: &["share-rights"],
        slow: false,
        worst: Level::Failed,
        look: |w| {
            let dir = w.as_ref().share().dir().join("leases");
            Box::pin(blocking(move || vec![files_of(&dir)]))
        },
    }
}

/// Tries a folder that films or their state are written to.
pub fn files_of(dir: &Path) -> Finding {
    let place = dir.join(format!(".dovi-fleet-doctor.{}.tmp", std::process::id()));
    let tried = fs::create_dir(&place).map_err(|e| e.to_string()).and_then(|()| try_all(&place));
    let _ = fs::remove_dir_all(&place);
    let shown = safe_path(dir);
    let (method, links) = match tried {
        Ok(seen) => seen,
        Err(what) => {
            let hint = "two workers could take one film, or overwrite a result: use NFS 4, SMB 3 or a local file system; \
                        docs/RELIABILITY.md, \"File systems\", lists what was tried";
            return Finding::failed(format!("{shown}: {what}"), hint);
        }
    };
    let (name, words) = match method {
        PublishMethod::Rename => ("rename", "by a rename that replaces nothing"),
        PublishMethod::Link => ("link", "by hard links"),
        PublishMethod::Claim => ("claim", "by claim files"),
    };
    let hard = if links { "there" } else { "not there" };
    let text =
        format!("exclusive create and rename hold; names are given once {words}; hard links are {hard}");
    let finding = if method == PublishMethod::Claim {
        let hint = "safe among our own programs; a stranger who makes a result's name in the same instant is overwritten";
        Finding::warning(text, hint)
    } else {
        Finding::ok(text)
    };
    finding.measured("names_given_by", name).measured("hard_links", links)
}

/// `Err`: the promise that was broken, in words.
fn try_all(place: &Path) -> Result<(PublishMethod, bool), String> {
    let io = |what: &'static str| move |e: io::Error| format!("{what} fails: {e}");
    let at = |name: &str| place.join(name);
    let write = |name: &str, text: &str| {
        File::create_new(at(name)).and_then(|mut f| f.write_all(text.as_bytes())).map_err(io("making a file"))
    };
    write("one", "1")?;
    match File::create_new(at("one")) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(io("making a file that exists")(e)),
        Ok(_) => return Err("a file that exists was made once more, so a claim is no claim".into()),
    }
    write("two", "2")?;
    rename_durable(&at("two"), &at("one")).map_err(|e| e.to_string())?;
    if fs::read(at("one")).map_err(io("reading a file"))? != b"2" {
        return Err("after a rename over a file the old one is still read".into());
    }
    write("three", "3")?;
    match publish_no_clobber(&at("three"), &at("one")) {
        Err(FileError::Exists { .. }) => {}
        Err(e) => return Err(e.to_string()),
        Ok(_) => return Err("a name that is taken was given once more, and its file is gone".into()),
    }
    let method = publish_no_clobber(&at("three"), &at("four")).map_err(|e| e.to_string())?;
    if fs::read(at("four")).map_err(io("reading a file"))? != b"3" {
        return Err("a file was published and another one is read".into());
    }
    let linked = fs::hard_link(at("four"), at("five")).is_ok()
        && fs::metadata(at("five")).is_ok_and(|m| m.nlink() >= 2);
    Ok((method, linked))
}
