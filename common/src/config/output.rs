//! `[output]`: where results go, and what becomes of originals.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sections::Config;
use crate::job::{LibraryPath, PathError};
use crate::share::{Trash, TrashFolder};

/// The trash folder in a library root, unless `output.trash_dir` names another. Hidden: no scan looks into it.
const TRASH: &str = ".dovi-fleet-trash";

/// Where results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputMode {
    /// A mirrored tree below `output.dir`.
    Separate,
    /// Next to the original.
    Beside,
    /// In the original's place; the original goes to the trash.
    Replace,
}

/// What is done in replace mode with an original that has further hard links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hardlinks {
    /// The film is left alone.
    #[default]
    Refuse,
    /// It is replaced; the other links keep the original.
    Break,
}

/// Whose file a result is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FileOwner {
    /// That of the original, as far as the worker may.
    #[default]
    Source,
    /// Whoever the worker runs as.
    Worker,
    /// User and group by number.
    Ids(u32, u32),
}

/// Permission bits of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FileMode {
    /// Those of the original.
    #[default]
    Source,
    /// These.
    Bits(u32),
}

/// Date of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileDate {
    /// That of the original: media servers do not show it as newly added.
    #[default]
    Source,
    /// When it was made.
    Now,
}

/// `[output]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct OutputConfig {
    pub mode: OutputMode,
    pub dir: PathBuf,
    pub suffix: String,
    pub trash_dir: PathBuf,
    pub trash_days: u32,
    pub hardlinks: Hardlinks,
    pub owner: FileOwner,
    pub file_mode: FileMode,
    pub mtime: FileDate,
}

impl OutputConfig {
    /// How long originals stay in the trash; `None`: for ever.
    pub fn keep_originals(&self) -> Option<Duration> {
        (self.trash_days > 0).then(|| Duration::from_secs(u64::from(self.trash_days) * 86_400))
    }
}

impl TryFrom<String> for FileOwner {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let ids = || {
            let (user, group) = text.split_once(':')?;
            Some(Self::Ids(user.parse().ok()?, group.parse().ok()?))
        };
        match text.as_str() {
            "source" => Ok(Self::Source),
            "worker" => Ok(Self::Worker),
            _ => ids().ok_or_else(|| {
                format!("{text:?} is no owner: \"source\", \"worker\", or two numbers as in \"1000:100\"")
            }),
        }
    }
}

impl From<FileOwner> for String {
    fn from(owner: FileOwner) -> Self {
        match owner {
            FileOwner::Source => "source".into(),
            FileOwner::Worker => "worker".into(),
            FileOwner::Ids(user, group) => format!("{user}:{group}"),
        }
    }
}

impl TryFrom<String> for FileMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "source" {
            return Ok(Self::Source);
        }
        // Without the right to read it, the proof of a result that was cut off could not be repeated.
        match u32::from_str_radix(&text, 8) {
            Ok(bits) if bits <= 0o777 && bits & 0o400 != 0 => Ok(Self::Bits(bits)),
            _ => Err(format!(
                "{text:?} is no file mode: \"source\", or octal digits as in \"0644\" that let the owner read"
            )),
        }
    }
}

impl From<FileMode> for String {
    fn from(mode: FileMode) -> Self {
        match mode {
            FileMode::Source => "source".into(),
            FileMode::Bits(bits) => format!("{bits:04o}"),
        }
    }
}

impl Config {
    /// Where the result of a film goes, by the output mode.
    ///
    /// # Errors
    /// [`PathError::UnknownRoot`] where this machine does not have the film's root.
    pub fn result_path(&self, film: &LibraryPath) -> Result<PathBuf, PathError> {
        let base = self.results_dir(film.root());
        let base = base.ok_or_else(|| PathError::UnknownRoot(film.root().to_owned()))?;
        let target = base.join(film.relative());
        if self.output.mode == OutputMode::Replace {
            return Ok(target);
        }
        let mut name = target.file_stem().unwrap_or_default().to_owned();
        name.push(&self.output.suffix);
        name.push(".mkv");
        Ok(target.with_file_name(name))
    }

    /// The folder that holds the results of a library root; `None` where this machine does not have that root.
    pub fn results_dir(&self, root: &str) -> Option<PathBuf> {
        let dir = self.library.roots.get(root)?;
        Some(match self.output.mode {
            OutputMode::Separate => self.output.dir.join(root),
            OutputMode::Beside | OutputMode::Replace => dir.clone(),
        })
    }

    /// Where the original of a film goes when its result takes its place; `None` where this machine does not have the
    /// film's root.
    pub fn trash(&self, film: &LibraryPath) -> Option<Trash> {
        let root = self.library.roots.get_key_value(film.root())?;
        Some(Trash::new(self.trash_dir(root), film.clone()))
    }

    /// The trash folder of every library root, whatever the output mode is now.
    pub fn trash_folders(&self) -> Vec<TrashFolder> {
        let folder = |(name, dir)| TrashFolder {
            dir: self.trash_dir((name, dir)),
            root: name.clone(),
            library: dir.clone(),
        };
        self.library.roots.iter().map(folder).collect()
    }

    fn trash_dir(&self, (name, root): (&String, &PathBuf)) -> PathBuf {
        if self.output.trash_dir.as_os_str().is_empty() {
            root.join(TRASH)
        } else {
            self.output.trash_dir.join(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_modes_are_read_as_people_write_them() {
        let owner = |t: &str| FileOwner::try_from(t.to_owned());
        assert_eq!(owner("1000:100"), Ok(FileOwner::Ids(1000, 100)));
        assert_eq!(owner("source").map(String::from), Ok("source".into()));
        assert_eq!(owner("1000:100").map(String::from), Ok("1000:100".into()));
        for bad in ["", "root", "1000", "root:root", "1:2:3", "-1:5"] {
            assert!(owner(bad).is_err(), "{bad}");
        }
        let mode = |t: &str| FileMode::try_from(t.to_owned());
        // The environment's numbers lose their zero on the way.
        assert_eq!((mode("0644"), mode("644")), (Ok(FileMode::Bits(0o644)), Ok(FileMode::Bits(0o644))));
        assert_eq!(mode("0640").map(String::from), Ok("0640".into()));
        for bad in ["", "rw", "0999", "07777", "0044", "0"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let fails = |k: &str, v: &str| {
            crate::config::load(None, &vec![(format!("output.{k}"), v.into())]).unwrap_err().to_string()
        };
        assert!(fails("trash_dir", "trash").contains("output.trash_dir"));
        assert!(fails("owner", "root").contains("\"1000:100\""));
        assert!(fails("file_mode", "rw-r--r--").contains("\"0644\""));
        assert!(!fails("hardlinks", "copy").is_empty());
        assert!(!fails("mode", "inplace").is_empty());
        let days = |n: &str| crate::config::load(None, &vec![("output.trash_days".into(), n.into())]);
        assert_eq!(days("0").unwrap().config.output.keep_originals(), None, "0 is for ever, not at once");
        assert_eq!(days("2").unwrap().config.output.keep_originals(), Some(Duration::from_secs(172_800)));
    }

    #[test]
    fn a_replaced_film_keeps_its_name_and_its_original_stays_on_its_disk() {
        let mut config = crate::config::load(None, &Vec::new()).unwrap().config;
        config.library.roots = [("films".to_owned(), "/lib".into())].into();
        config.output.mode = OutputMode::Replace;
        let film: LibraryPath = "films:a/B.MKV".parse().unwrap();
        assert_eq!(config.result_path(&film).unwrap(), PathBuf::from("/lib/a/B.MKV"));
        assert_eq!(config.trash(&film).unwrap().dir(), "/lib/.dovi-fleet-trash");
        config.output.trash_dir = "/lib-trash".into();
        assert_eq!(config.trash(&film).unwrap().dir(), "/lib-trash/films");
        assert_eq!(config.trash_folders()[0].dir, PathBuf::from("/lib-trash/films"));
        assert!(config.trash(&"other:a".parse().unwrap()).is_none());
    }
}
