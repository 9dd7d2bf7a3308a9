//! The option lists in ffmpeg's own help.

use std::collections::BTreeMap;

/// Options with the names that their values may have.
///
/// ```text
///   -rc                <int>        E..V....... Override the preset rate-control (from -1 to INT_MAX) (default -1)
///      constqp         0            E..V....... Constant QP mode
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionList(BTreeMap<String, Vec<String>>);

impl OptionList {
    /// Every option in the help of one encoder or one bitstream filter.
    pub fn read(help: &str) -> Self {
        Self::of(help.lines())
    }

    /// The options that all encoders share, from the full help.
    pub fn generic(full_help: &str) -> Self {
        let section = full_help.lines().skip_while(|l| !l.starts_with("AVCodecContext AVOptions:"));
        Self::of(section.skip(1).take_while(|l| l.starts_with(' ')))
    }

    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut list = BTreeMap::<String, Vec<String>>::new();
        let mut last: Option<String> = None;
        for line in lines {
            let Some(word) = line.split_whitespace().next() else { continue };
            if let Some(name) = line.strip_prefix("  -").and(word.strip_prefix('-')) {
                list.entry(name.to_owned()).or_default();
                last = Some(name.to_owned());
            } else if !line.starts_with("     ") {
                last = None;
            } else if let Some(values) = last.as_ref().and_then(|name| list.get_mut(name)) {
                values.push(word.to_owned());
            }
        }
        Self(list)
    }

    /// Whether the option is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether the option is there and takes this value, as far as the list tells: numbers always, words where no values
    /// are named, or where the word is one of them.
    pub fn takes(&self, name: &str, value: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|named| named.is_empty() || named.iter().any(|n| n == value) || is_number(value))
    }
}

/// Also with a unit behind it, as in `100M`.
fn is_number(value: &str) -> bool {
    value.strip_suffix(['k', 'M']).unwrap_or(value).parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_real_encoder_with_their_values() {
        let list = OptionList::read(include_str!("testdata/encoder-hevc_nvenc-5.1.txt"));
        for (name, value, takes) in [
            ("preset", "p5", true),
            ("preset", "p8", false),
            ("rc", "vbr", true),
            ("rc", "crf", false),
            ("cq", "18.5", true),
            ("aud", "1", true),
            ("single-slice-intra-refresh", "1", true),
            ("qmin", "3", false),
            ("Encoder", "1", false),
        ] {
            assert_eq!(list.takes(name, value), takes, "{name} {value}");
        }
        assert_eq!(list.0.len(), 43);
    }

    #[test]
    fn what_all_encoders_share_ends_where_the_next_list_begins() {
        for help in [
            include_str!("testdata/help-full-4.2.txt"),
            include_str!("testdata/help-full-5.1.txt"),
            include_str!("testdata/help-full-7.0.txt"),
        ] {
            let list = OptionList::generic(help);
            assert!(list.takes("color_trc", "smpte2084") && list.takes("maxrate", "100M"));
            assert!(!list.takes("color_trc", "pq") && !list.has("mpv_flags") && !list.has("fps_mode"));
        }
        assert_eq!(OptionList::generic("-i url  input"), OptionList::default());
    }

    #[test]
    fn an_encoder_that_is_not_there_has_no_options() {
        assert_eq!(OptionList::read("Codec 'libx265' is not recognized by FFmpeg.\n"), OptionList::default());
    }
}
