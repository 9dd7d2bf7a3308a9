//! Date, mode and owner of a result; in replace mode also its ACL and attributes.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use common::config::{FileDate, FileMode, FileOwner};
use common::share::{FileError, copy_acl, copy_user_attributes};

use crate::pipeline::{FilmTask, Source, Stage, StageError};

/// Gives the result the date, mode and owner that the settings ask for. What a file system or the lack of rights does not let
/// us set is no failure but a notice, and where it was asked for explicitly a warning in the log.
pub(super) fn dress(partial: &Path, task: &FilmTask, facts: Source) -> Result<Vec<String>, StageError> {
    let failed = |e| StageError::file(Stage::Publish, FileError::new("set the date of", partial, e));
    let like = fs::metadata(&task.source).map_err(failed)?;
    let wanted = task.publishing.dress;
    let mut notices = Vec::new();

    let owner = match wanted.owner {
        FileOwner::Source => Some((like.uid(), like.gid())),
        FileOwner::Worker => None,
        FileOwner::Ids(user, group) => Some((user, group)),
    };
    if let Some((user, group)) = owner {
        notices.extend(give(partial, user, group, wanted.owner != FileOwner::Source));
    }
    if task.publishing.replace {
        copy_user_attributes(&task.source, partial);
        // Whoever asks for octal digits wants these to decide.
        if wanted.mode == FileMode::Source
            && let Err(e) = copy_acl(&task.source, partial)
        {
            let text = format!("the result has not the ACL of the original: {e}");
            notices.push(said("output.file_mode", text, false));
        }
    }
    let bits = match wanted.mode {
        FileMode::Source => like.mode() & 0o777 | 0o400,
        FileMode::Bits(bits) => bits,
    };
    notices.extend(permit(partial, bits, wanted.mode != FileMode::Source));

    if wanted.date == FileDate::Source {
        let since = Duration::from_nanos(facts.mtime_ns.unsigned_abs());
        let date = if facts.mtime_ns >= 0 { UNIX_EPOCH + since } else { UNIX_EPOCH - since };
        // Opened for reading: the mode may have taken the right to write away.
        File::open(partial).and_then(|f| f.set_modified(date)).map_err(failed)?;
    }
    Ok(notices)
}

/// Only root may give files away; and shares map owners as they like.
fn give(file: &Path, user: u32, group: u32, asked: bool) -> Option<String> {
    // A member of the group may set that, whoever owns the file.
    let error =
        chown(file, Some(user), Some(group)).or_else(|e| chown(file, None, Some(group)).and(Err(e))).err();
    let is = fs::metadata(file).ok().map(|m| (m.uid(), m.gid()));
    if is == Some((user, group)) {
        return None;
    }
    let (is_user, is_group) = is.unwrap_or_default();
    let why = error.map_or_else(|| "the file system keeps its own".to_owned(), |e| e.to_string());
    let text = format!("the result belongs to {is_user}:{is_group} and not to {user}:{group}: {why}");
    Some(said("output.owner", text, asked))
}

fn permit(file: &Path, bits: u32, asked: bool) -> Option<String> {
    let error = fs::set_permissions(file, fs::Permissions::from_mode(bits)).err();
    let is = fs::metadata(file).ok().map(|m| m.mode() & 0o777);
    if is == Some(bits) {
        return None;
    }
    let why = error.map_or_else(|| "the file system keeps its own".to_owned(), |e| e.to_string());
    let text = format!("the result has mode {:04o} and not {bits:04o}: {why}", is.unwrap_or_default());
    Some(said("output.file_mode", text, asked))
}

fn said(setting: &'static str, text: String, asked: bool) -> String {
    if asked {
        tracing::warn!(setting, "{text}");
    } else {
        tracing::info!("{text}");
    }
    text
}
