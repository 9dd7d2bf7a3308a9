//! What dovi_tool says.
//!
//! Steps and warnings come on standard output, errors on standard error. A warning changes the exit code as little as an
//! input that was cut: it is 0 in both cases (measured).

/// Whether a line of standard output tells of something that went wrong.
pub fn is_warning(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Warning") || line.starts_with("Metadata will be ")
}

/// Whether its last words are about a full disk.
pub fn no_space(words: &str) -> bool {
    ["No space left on device", "os error 28)", "Disk quota exceeded", "os error 122)"]
        .iter()
        .any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_lines() {
        // Printed by dovi_tool 2.3.1 for a stream of 99 pictures and 120 RPUs.
        let lines = [
            "Parsing RPU file...",
            "Processing input video for frame order info...",
            "Warning: mismatched lengths. video 99, RPU 120",
            "Metadata will be skipped at the end to match video length",
            "Rewriting file with interleaved RPU NALs..",
        ];
        assert_eq!(lines.map(is_warning), [false, false, true, true, false]);
        assert!(no_space("Error: No space left on device (os error 28)"));
        assert!(!no_space("Error: No frames parsed!"));
    }
}
