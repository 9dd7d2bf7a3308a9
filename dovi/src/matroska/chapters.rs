//! Chapters (RFC 9559 section 5.1.7): editions and their nested atoms, as far as they can be compared.
use super::{
    ebml::{Elements, text, uint},
    ids,
};

/// Atoms deeper than this are left out: a bound on recursion that no menu reaches.
const MAX_DEPTH: usize = 16;

/// One edition: a list of chapters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edition {
    /// EditionUID, 0 if absent.
    pub uid: u64,
    /// EditionFlagHidden.
    pub hidden: bool,
    /// EditionFlagDefault.
    pub default: bool,
    /// EditionFlagOrdered: the chapters say what is played, and in which order.
    pub ordered: bool,
    /// Its chapters in file order.
    pub chapters: Vec<Chapter>,
}

/// One ChapterAtom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// ChapterUID, 0 if absent.
    pub uid: u64,
    /// ChapterTimeStart, nanoseconds.
    pub start_ns: u64,
    /// ChapterTimeEnd, nanoseconds, if written.
    pub end_ns: Option<u64>,
    /// ChapterFlagHidden.
    pub hidden: bool,
    /// ChapterFlagEnabled.
    pub enabled: bool,
    /// ChapterSegmentUUID: the chapter lies in another file.
    pub segment: Option<Vec<u8>>,
    /// Its names, in file order.
    pub titles: Vec<ChapterTitle>,
    /// Chapters inside this one.
    pub chapters: Vec<Chapter>,
}

impl Default for Chapter {
    fn default() -> Self {
        Self {
            uid: 0,
            start_ns: 0,
            end_ns: None,
            hidden: false,
            enabled: true,
            segment: None,
            titles: Vec::new(),
            chapters: Vec::new(),
        }
    }
}

/// A chapter's name in a language (ChapterDisplay).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChapterTitle {
    /// ChapString.
    pub text: String,
    /// ChapLanguage, every one that is written; "eng" is meant by none.
    pub languages: Vec<String>,
    /// ChapLanguageBCP47, every one that is written. They override the others.
    pub languages_ietf: Vec<String>,
}

/// The editions in a Chapters element. What cannot be read is left out.
pub(crate) fn parse(payload: &[u8]) -> Vec<Edition> {
    Elements::new(payload)
        .filter(|(id, _)| *id == ids::EDITION_ENTRY)
        .map(|(_, data)| edition(data))
        .collect()
}

fn flag(data: &[u8]) -> bool {
    uint(data).unwrap_or(0) != 0
}

fn edition(payload: &[u8]) -> Edition {
    let mut edition = Edition::default();
    for (id, data) in Elements::new(payload) {
        match id {
            ids::EDITION_UID => edition.uid = uint(data).unwrap_or(0),
            ids::EDITION_FLAG_HIDDEN => edition.hidden = flag(data),
            ids::EDITION_FLAG_DEFAULT => edition.default = flag(data),
            ids::EDITION_FLAG_ORDERED => edition.ordered = flag(data),
            ids::CHAPTER_ATOM => edition.chapters.push(chapter(data, 1)),
            _ => {}
        }
    }
    edition
}

fn chapter(payload: &[u8], depth: usize) -> Chapter {
    let mut chapter = Chapter::default();
    for (id, data) in Elements::new(payload) {
        match id {
            ids::CHAPTER_UID => chapter.uid = uint(data).unwrap_or(0),
            ids::CHAPTER_TIME_START => chapter.start_ns = uint(data).unwrap_or(0),
            ids::CHAPTER_TIME_END => chapter.end_ns = uint(data),
            ids::CHAPTER_FLAG_HIDDEN => chapter.hidden = flag(data),
            ids::CHAPTER_FLAG_ENABLED => chapter.enabled = flag(data),
            ids::CHAPTER_SEGMENT_UUID => chapter.segment = Some(data.to_vec()),
            ids::CHAPTER_DISPLAY => chapter.titles.push(title(data)),
            ids::CHAPTER_ATOM if depth < MAX_DEPTH => chapter.chapters.push(self::chapter(data, depth + 1)),
            _ => {}
        }
    }
    chapter
}

fn title(payload: &[u8]) -> ChapterTitle {
    let mut title = ChapterTitle::default();
    for (id, data) in Elements::new(payload) {
        match id {
            ids::CHAP_STRING => title.text = text(data),
            ids::CHAP_LANGUAGE => title.languages.push(text(data)),
            ids::CHAP_LANGUAGE_BCP47 => title.languages_ietf.push(text(data)),
            _ => {}
        }
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &[u8], payload: &[u8]) -> Vec<u8> {
        let size = u8::try_from(payload.len()).unwrap();
        assert!(size < 127);
        [id, &[0x80 | size], payload].concat()
    }

    #[test]
    fn nested_chapters_with_defaults_and_several_languages() {
        let display = element(
            &[0x80],
            &[
                element(&[0x85], b"Fin"),
                element(&[0x43, 0x7C], b"fre"),
                element(&[0x43, 0x7D], b"fr-CA"),
                element(&[0x43, 0x7C], b"eng"),
            ]
            .concat(),
        );
        let inner = element(&[0xB6], &element(&[0x91], &[1, 0]));
        let outer = element(&[0xB6], &[element(&[0x73, 0xC4], &[7]), display, inner].concat());
        let hidden = element(&[0x45, 0xBD], &[1]);
        let editions = parse(&element(&[0x45, 0xB9], &[hidden, outer].concat()));
        let [edition] = &editions[..] else { panic!("{editions:?}") };
        assert!(edition.hidden && !edition.default && !edition.ordered);
        let [chapter] = &edition.chapters[..] else { panic!("{edition:?}") };
        assert_eq!((chapter.uid, chapter.start_ns, chapter.end_ns, chapter.enabled), (7, 0, None, true));
        assert_eq!(chapter.titles[0].languages, ["fre", "eng"]);
        assert_eq!(chapter.titles[0].languages_ietf, ["fr-CA"]);
        assert_eq!(chapter.chapters[0].start_ns, 256);
    }

    #[test]
    fn a_tower_of_atoms_ends_somewhere() {
        let mut atom = element(&[0x91], &[1]);
        for _ in 0..40 {
            let id = [0xB6];
            atom = element(&id, &atom);
        }
        let editions = parse(&element(&[0x45, 0xB9], &atom));
        let (mut depth, mut at) = (0, &editions[0].chapters);
        while let Some(chapter) = at.first() {
            (depth, at) = (depth + 1, &chapter.chapters);
        }
        assert_eq!(depth, MAX_DEPTH);
    }
}
