//! Tags (RFC 9559 section 5.1.8): what is said of the film, and of single tracks, chapters or attachments.
use super::{
    ebml::{Elements, text, uint},
    ids,
};

/// Simple tags deeper than this are left out: a bound on recursion that no tagger reaches.
const MAX_DEPTH: usize = 16;

/// One Tag: what it is about, and what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tag {
    /// What it is about.
    pub targets: Targets,
    /// What it says, in file order.
    pub simple: Vec<SimpleTag>,
}

/// What a [`Tag`] is about. Without any UID it is the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// TargetTypeValue, 50 ("movie") if it is not written.
    pub level: u64,
    /// TargetType, the level in words.
    pub level_name: Option<String>,
    /// Tracks.
    pub tracks: Vec<u64>,
    /// Editions.
    pub editions: Vec<u64>,
    /// Chapters.
    pub chapters: Vec<u64>,
    /// Attachments.
    pub attachments: Vec<u64>,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            level: 50,
            level_name: None,
            tracks: Vec::new(),
            editions: Vec::new(),
            chapters: Vec::new(),
            attachments: Vec::new(),
        }
    }
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleTag {
    /// TagName.
    pub name: String,
    /// TagLanguage, "und" if it is not written.
    pub language: String,
    /// TagLanguageBCP47, which overrides the other.
    pub language_ietf: Option<String>,
    /// TagDefault: the original language.
    pub default: bool,
    /// Its value.
    pub value: TagValue,
    /// What is said of this tag in turn.
    pub nested: Vec<SimpleTag>,
}

/// The value of a [`SimpleTag`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TagValue {
    /// Neither text nor bytes: a mere heading.
    #[default]
    None,
    /// TagString.
    Text(String),
    /// TagBinary.
    Binary(Vec<u8>),
}

impl SimpleTag {
    /// A figure about the track that muxers count anew in every file (mkvmerge's statistics tags, and the names it
    /// lists in `_STATISTICS_TAGS`; ffmpeg repeats them with the language added to the name, as in `BPS-eng`).
    #[must_use]
    pub fn is_statistic(&self) -> bool {
        const NAMES: [&str; 4] = ["BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"];
        let is = |name: &str| NAMES.contains(&name) || name.starts_with("_STATISTICS_");
        is(&self.name) || self.name.rsplit_once('-').is_some_and(|(name, lang)| lang.len() == 3 && is(name))
    }
}

/// The tags in a Tags element. What cannot be read is left out.
pub(crate) fn parse(payload: &[u8]) -> Vec<Tag> {
    Elements::new(payload).filter(|(id, _)| *id == ids::TAG).map(|(_, data)| tag(data)).collect()
}

fn tag(payload: &[u8]) -> Tag {
    let mut tag = Tag::default();
    for (id, data) in Elements::new(payload) {
        match id {
            ids::TARGETS => tag.targets = targets(data),
            ids::SIMPLE_TAG => tag.simple.push(simple(data, 1)),
            _ => {}
        }
    }
    tag
}

fn targets(payload: &[u8]) -> Targets {
    let mut targets = Targets::default();
    let uid = |list: &mut Vec<u64>, data: &[u8]| list.extend(uint(data).filter(|uid| *uid != 0));
    for (id, data) in Elements::new(payload) {
        match id {
            ids::TARGET_TYPE_VALUE => targets.level = uint(data).filter(|v| *v != 0).unwrap_or(50),
            ids::TARGET_TYPE => targets.level_name = Some(text(data)).filter(|t| !t.is_empty()),
            ids::TAG_TRACK_UID => uid(&mut targets.tracks, data),
            ids::TAG_EDITION_UID => uid(&mut targets.editions, data),
            ids::TAG_CHAPTER_UID => uid(&mut targets.chapters, data),
            ids::TAG_ATTACHMENT_UID => uid(&mut targets.attachments, data),
            _ => {}
        }
    }
    targets
}

fn simple(payload: &[u8], depth: usize) -> SimpleTag {
    let mut tag = SimpleTag {
        name: String::new(),
        language: "und".to_owned(),
        language_ietf: None,
        default: true,
        value: TagValue::None,
        nested: Vec::new(),
    };
    for (id, data) in Elements::new(payload) {
        match id {
            ids::TAG_NAME => tag.name = text(data),
            ids::TAG_LANGUAGE => tag.language = text(data),
            ids::TAG_LANGUAGE_BCP47 => tag.language_ietf = Some(text(data)),
            ids::TAG_DEFAULT => tag.default = uint(data).unwrap_or(0) != 0,
            ids::TAG_STRING => tag.value = TagValue::Text(text(data)),
            ids::TAG_BINARY => tag.value = TagValue::Binary(data.to_vec()),
            ids::SIMPLE_TAG if depth < MAX_DEPTH => tag.nested.push(simple(data, depth + 1)),
            _ => {}
        }
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &[u8], payload: &[u8]) -> Vec<u8> {
        let size = u8::try_from(payload.len()).unwrap();
        assert!(size < 127);
        [id, &[0x80 | size], payload].concat()
    }

    fn named(name: &str) -> SimpleTag {
        simple(&element(&[0x45, 0xA3], name.as_bytes()), 1)
    }

    #[test]
    fn targets_values_and_what_is_nested_are_read() {
        let inner = element(
            &[0x67, 0xC8],
            &[element(&[0x45, 0xA3], b"URL"), element(&[0x44, 0x85], &[1, 2])].concat(),
        );
        let outer = element(
            &[0x67, 0xC8],
            &[
                element(&[0x45, 0xA3], b"ACTOR"),
                element(&[0x44, 0x87], b"Ada"),
                element(&[0x44, 0x7B], b"en-GB"),
                inner,
            ]
            .concat(),
        );
        let about =
            element(&[0x63, 0xC0], &[element(&[0x63, 0xC5], &[9]), element(&[0x63, 0xC4], &[0])].concat());
        let tags = parse(&element(&[0x73, 0x73], &[about, outer].concat()));
        let [tag] = &tags[..] else { panic!("{tags:?}") };
        assert_eq!(
            (tag.targets.level, &tag.targets.tracks[..], tag.targets.chapters.len()),
            (50, &[9][..], 0)
        );
        let actor = &tag.simple[0];
        assert_eq!((actor.name.as_str(), &actor.value), ("ACTOR", &TagValue::Text("Ada".into())));
        assert_eq!((actor.language.as_str(), actor.language_ietf.as_deref()), ("und", Some("en-GB")));
        assert_eq!(actor.nested[0].value, TagValue::Binary(vec![1, 2]));
    }

    #[test]
    fn statistics_are_told_from_what_people_wrote() {
        for name in ["BPS", "NUMBER_OF_FRAMES-eng", "_STATISTICS_WRITING_APP", "_STATISTICS_TAGS-ger"] {
            assert!(named(name).is_statistic(), "{name}");
        }
        for name in ["DIRECTOR", "SOURCE_ID", "BPS-english", "DURATION_OF_SHOOT", ""] {
            assert!(!named(name).is_statistic(), "{name}");
        }
    }
}
