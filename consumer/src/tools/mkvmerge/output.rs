//! What mkvmerge prints in `--gui-mode`: lines that begin with `#GUI#` are for programs and never translated.

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Percent done.
    Progress(u8),
    /// Something is odd; the work goes on.
    Warning(String),
    /// The work stops.
    Error(String),
    /// Anything else.
    Other,
}

/// Reads one line.
pub fn parse_line(line: &str) -> Line {
    let Some(rest) = line.trim_end().strip_prefix("#GUI#") else { return Line::Other };
    if let Some(text) = rest.strip_prefix("progress ") {
        return text.trim_end_matches('%').parse().map_or(Line::Other, Line::Progress);
    }
    match rest.split_once(' ') {
        Some(("warning", text)) => Line::Warning(text.to_owned()),
        Some(("error", text)) => Line::Error(text.to_owned()),
        _ => Line::Other,
    }
}

/// Warnings and errors kept of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MuxLog {
    /// In the order printed.
    pub warnings: Vec<String>,
    /// In the order printed.
    pub errors: Vec<String>,
}

impl MuxLog {
    /// At most so many of each: a damaged film could print one per frame.
    const MOST: usize = 200;

    /// Takes a line; gives the progress in it.
    pub fn line(&mut self, line: &str) -> Option<u8> {
        let keep = |list: &mut Vec<String>, text| {
            if list.len() < Self::MOST {
                list.push(text);
            }
        };
        match parse_line(line) {
            Line::Progress(percent) => return Some(percent),
            Line::Warning(text) => keep(&mut self.warnings, text),
            Line::Error(text) => keep(&mut self.errors, text),
            Line::Other => {}
        }
        None
    }

    /// The first warning that says that bytes of the input were damaged or left out.
    pub fn damage(&self) -> Option<&str> {
        // Wordings of mkvtoolnix 74.
        const WORDS: &[&str] =
            &["invalid data", "file structure", "resync", "damaged", "corrupt", "premature", "garbage"];
        let is = |w: &&String| WORDS.iter().any(|word| w.to_lowercase().contains(word));
        self.warnings.iter().find(is).map(String::as_str)
    }

    /// The disk ran full, in mkvmerge's words or the kernel's.
    pub fn no_space(&self) -> bool {
        self.errors.iter().chain(&self.warnings).any(|e| {
            let e = e.to_lowercase();
            ["no space left", "drive may be full", "quota exceeded"].iter().any(|words| e.contains(words))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by mkvmerge 74.0.0 for a film whose cluster was overwritten.
    const DAMAGED: &str = "mkvmerge v74.0.0 ('You Oughta Know') 64-bit\n\
        #GUI#warning d.mkv: Error in the Matroska file structure at position 2939. Resyncing to the next level 1 element.\n\
        #GUI#warning Resync failed: no valid Matroska level 1 element found.\n\
        'd.mkv' track 0: Using the output module for the format 'HEVC/H.265'.\n\
        #GUI#progress 94%\n#GUI#progress 100%\nMultiplexing took 0 seconds.\n";

    /// Printed by mkvmerge 74.0.0 on a file system of 20 kB.
    const FULL: &str = "#GUI#error An exception occurred when writing the destination file. The drive may be full. \
        Exception details: reading from/writing to the file error; No space left to write to";

    #[test]
    fn captured_output() {
        let mut log = MuxLog::default();
        let percents: Vec<_> = DAMAGED.lines().filter_map(|l| log.line(l)).collect();
        assert_eq!(percents, [94, 100]);
        assert_eq!(log.warnings.len(), 2);
        assert!(log.damage().unwrap().contains("at position 2939"));
        assert!(log.errors.is_empty() && !log.no_space());
    }

    #[test]
    fn errors_are_kept_and_a_full_disk_is_told() {
        let mut log = MuxLog::default();
        log.line("#GUI#error The file '/nonexist.mkv' could not be opened for reading: open file error.");
        assert_eq!(log.errors.len(), 1);
        assert!(!log.no_space());
        log.line(FULL);
        assert!(log.no_space());
    }

    #[test]
    fn a_flood_of_warnings_is_bounded() {
        let mut log = MuxLog::default();
        (0..5000).for_each(|n| assert_eq!(log.line(&format!("#GUI#warning number {n}")), None));
        assert_eq!(log.warnings.len(), MuxLog::MOST);
    }
}
