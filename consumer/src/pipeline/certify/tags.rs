//! The title, and the tags of film, tracks, chapters and attachments. Statistics that every muxer counts anew are no tags.

use std::collections::{BTreeMap, HashMap};

use common::job::Check;
use dovi::matroska::{Chapter, Header, SimpleTag, TagValue, Targets};

use super::findings::Findings;
use super::pair::Pair;
use super::tracks::label;
use super::words::{count, quoted};

/// More values of one name are compared as they come.
const MATCHED: usize = 50;

/// What a tag is about, and its name with those it is nested in.
type Key = (String, String);

/// A value with the language it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    value: String,
    language: String,
    ietf: Option<String>,
}

/// What the UIDs of a file mean, in words that are the same for source and result.
type Names = HashMap<u64, String>;

impl Pair<'_> {
    pub(super) fn tags(&self) -> Check {
        let mut f = Findings::new("tags");
        let (source, result) = (&self.source.header, &self.result.header);
        let title = |h: &Header| quoted(h.title.as_deref().filter(|t| !t.is_empty()));
        f.equal("the title", &title(source), &title(result));
        let (names, result_names) = self.names();
        let (want, want_lost) = collect(source, &names);
        let (found, _) = collect(result, &result_names);
        compare(&mut f, &want, &found);
        if want_lost > 0 {
            f.remark(format!("{} of the source about nothing in the file", count(want_lost, "tag")));
        }
        let n = found.values().map(Vec::len).sum::<usize>() as u64;
        f.figure("tags", n);
        f.figure("planned", want.values().map(Vec::len).sum::<usize>());
        f.figure("title", result.title.clone());
        f.finish(format!("title {}, {}", title(result), count(n, "tag")))
    }

    fn names(&self) -> (Names, Names) {
        let (s, r) = (self.source, self.result);
        let mut source = contents(&s.header);
        let mut result = contents(&r.header);
        source.insert(s.header.tracks[s.video.track_id].uid, "the film".into());
        result.insert(r.header.tracks[r.video.track_id].uid, "the film".into());
        for (want, found) in s.tracks.iter().zip(&self.tracks.found) {
            let name = label(&s.header, want);
            source.insert(want.uid, name.clone());
            if let Some(found) = found.map(|i| &r.tracks[i]) {
                result.insert(found.uid, name);
            }
        }
        for added in &self.tracks.added {
            let track = &r.tracks[*added];
            result.insert(track.uid, label(&r.header, track));
        }
        (source, result)
    }
}

fn contents(header: &Header) -> Names {
    let mut names = Names::new();
    for (i, edition) in header.editions.iter().enumerate() {
        names.insert(edition.uid, format!("edition {}", i + 1));
        chapters(&mut names, "chapter ", &edition.chapters);
    }
    names.extend(header.attachments.iter().map(|a| (a.uid, format!("attachment {}", a.name))));
    names
}

fn chapters(names: &mut Names, prefix: &str, list: &[Chapter]) {
    for (i, chapter) in list.iter().enumerate() {
        let name = format!("{prefix}{}", i + 1);
        chapters(names, &format!("{name}."), &chapter.chapters);
        names.insert(chapter.uid, name);
    }
}

/// All tags by key, and how many are about something the file does not have. The tags of an enhancement layer's own
/// track are among those: that track is left out with all that is said of it.
fn collect(header: &Header, names: &Names) -> (BTreeMap<Key, Vec<Said>>, u64) {
    let mut all = BTreeMap::new();
    let mut lost = 0;
    for tag in &header.tags {
        let said = tag.simple.iter().filter(|s| !s.is_statistic());
        match about(&tag.targets, names) {
            Some(abouts) => {
                for about in abouts {
                    said.clone().for_each(|s| simple(&mut all, &about, "", s));
                }
            }
            None => lost += said.count() as u64,
        }
    }
    (all, lost)
}

fn about(targets: &Targets, names: &Names) -> Option<Vec<String>> {
    let uids =
        [&targets.tracks, &targets.editions, &targets.chapters, &targets.attachments].into_iter().flatten();
    let uids: Vec<&u64> = uids.collect();
    if uids.is_empty() {
        let level = if targets.level == 50 { String::new() } else { format!("level {}", targets.level) };
        return Some(vec![level]);
    }
    let known: Vec<String> = uids.iter().filter_map(|uid| names.get(uid).cloned()).collect();
    (!known.is_empty()).then_some(known)
}

fn simple(all: &mut BTreeMap<Key, Vec<Said>>, about: &str, path: &str, tag: &SimpleTag) {
    let path = if path.is_empty() { tag.name.clone() } else { format!("{path}/{}", tag.name) };
    let value = match &tag.value {
        TagValue::None => String::new(),
        TagValue::Text(text) => format!("\"{text}\""),
        TagValue::Binary(bytes) => format!("{} bytes ({})", bytes.len(), hex(bytes)),
    };
    // "und" is what an absent language means; mkvmerge writes it or not.
    let ietf = tag.language_ietf.clone().filter(|l| l != "und");
    all.entry((about.to_owned(), path.clone())).or_default().push(Said {
        value,
        language: tag.language.clone(),
        ietf,
    });
    tag.nested.iter().for_each(|nested| simple(all, about, &path, nested));
}

/// Enough to tell values apart.
fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 16;
    let mut text: String = bytes.iter().take(SHOWN).map(|b| format!("{b:02x}")).collect();
    if bytes.len() > SHOWN {
        let sum = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
        text.push_str(&format!("…, checksum {sum:016x}"));
    }
    text
}

fn compare(f: &mut Findings, want: &BTreeMap<Key, Vec<Said>>, found: &BTreeMap<Key, Vec<Said>>) {
    let none = Vec::new();
    let mut keys: Vec<&Key> = want.keys().chain(found.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (mut want, mut found) =
            (want.get(key).unwrap_or(&none).clone(), found.get(key).unwrap_or(&none).clone());
        want.sort_unstable();
        found.sort_unstable();
        if want == found {
            continue;
        }
        cancel(&mut want, &mut found, |a, b| a.value == b.value && same_language(a, b));
        let name = match key {
            (about, name) if about.is_empty() => format!("tag {name}"),
            (about, name) => format!("tag {name} of {about}"),
        };
        for (w, r) in cancel(&mut want, &mut found, |a, b| a.value == b.value) {
            f.wrong(format!(
                "{name} {} is in language {} instead of {}",
                w.value,
                language(&r),
                language(&w)
            ));
        }
        for (w, r) in cancel(&mut want, &mut found, |_, _| true) {
            f.wrong(format!("{name} is {} instead of {}", r.value, w.value));
        }
        want.iter().for_each(|w| f.wrong(format!("{name} is missing; it was {}", w.value)));
        found.iter().for_each(|r| f.wrong(format!("{name} was added: {}", r.value)));
    }
}

/// Takes out pairs, as many as there are, and returns them.
fn cancel(a: &mut Vec<Said>, b: &mut Vec<Said>, same: impl Fn(&Said, &Said) -> bool) -> Vec<(Said, Said)> {
    let mut pairs = Vec::new();
    let mut left = Vec::new();
    for (i, x) in a.drain(..).enumerate() {
        let reach = if i < MATCHED { b.len() } else { b.len().min(1) };
        match b[..reach].iter().position(|y| same(&x, y)) {
            Some(at) => pairs.push((x, b.remove(at))),
            None => left.push(x),
        }
    }
    *a = left;
    pairs
}

fn same_language(a: &Said, b: &Said) -> bool {
    match (&a.ietf, &b.ietf) {
        (Some(a), Some(b)) => a == b,
        _ => a.language == b.language,
    }
}

fn language(said: &Said) -> &str {
    said.ietf.as_deref().unwrap_or(&said.language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dovi::matroska::Tag;

    fn tag(uid: Option<u64>, name: &str, value: &str, language: &str) -> Tag {
        let simple = SimpleTag {
            name: name.into(),
            language: language.into(),
            language_ietf: None,
            default: true,
            value: TagValue::Text(value.into()),
            nested: Vec::new(),
        };
        Tag {
            targets: Targets { tracks: uid.into_iter().collect(), ..Targets::default() },
            simple: vec![simple],
        }
    }

    fn differences(source: Vec<Tag>, result: Vec<Tag>) -> Vec<String> {
        let names = |uid| Names::from([(uid, "audio track 2".to_owned())]);
        let of = |tags| Header { tags, ..Header::default() };
        let mut f = Findings::new("tags");
        // The track has another id in the result.
        compare(&mut f, &collect(&of(source), &names(2)).0, &collect(&of(result), &names(7)).0);
        f.finish("").differences
    }

    #[test]
    fn tags_are_told_by_name_and_by_what_they_are_about() {
        let source = vec![
            tag(None, "ACTOR", "Ada", "und"),
            tag(None, "ACTOR", "Bob", "und"),
            tag(None, "TITLE", "X", "eng"),
            tag(Some(2), "SOURCE_ID", "001", "und"),
            tag(Some(2), "BPS", "1", "und"),
            tag(Some(99), "SOURCE_ID", "009", "und"),
        ];
        let result = vec![
            tag(Some(7), "SOURCE_ID", "001", "und"),
            tag(None, "ACTOR", "Bob", "und"),
            tag(None, "TITLE", "X", "ger"),
            tag(None, "YEAR", "1999", "und"),
        ];
        assert_eq!(
            differences(source.clone(), result),
            [
                "tag ACTOR is missing; it was \"Ada\"",
                "tag TITLE \"X\" is in language ger instead of eng",
                "tag YEAR was added: \"1999\""
            ]
        );
        let lost = differences(source, vec![tag(Some(7), "SOURCE_ID", "002", "und")]);
        assert_eq!(lost.len(), 4);
        assert_eq!(lost[3], "tag SOURCE_ID of audio track 2 is \"002\" instead of \"001\"");
    }

    #[test]
    fn ten_thousand_equal_names_take_no_age() {
        let many = |n: u32| (0..n).map(|i| tag(None, "X", &i.to_string(), "und")).collect::<Vec<_>>();
        assert_eq!(differences(many(10_000), many(10_000)), [""; 0]);
        assert!(!differences(many(10_000), many(9_999)).is_empty());
    }
}
