//! Chapters: editions, times, flags and names in every language.

use std::collections::BTreeSet;

use common::job::Check;
use dovi::matroska::{Chapter, ChapterTitle, Edition};

use super::findings::Findings;
use super::pair::Pair;
use super::words::{clock, count, or_none, quoted};

impl Pair<'_> {
    pub(super) fn chapters(&self) -> Check {
        let mut f = Findings::new("chapters");
        let (source, result) = (&self.source.header.editions, &self.result.header.editions);
        compare(&mut f, source, result);
        let chapters = self.result.header.chapters() as u64;
        f.figure("editions", result.len());
        f.figure("chapters", chapters);
        f.figure("planned", self.source.header.chapters());
        let editions = match result.len() {
            0 | 1 => String::new(),
            n => format!(" in {n} editions"),
        };
        f.finish(match chapters {
            0 => "none, as in the source".into(),
            n => format!("{}{editions}, with times, names and languages", count(n, "chapter")),
        })
    }
}

fn compare(f: &mut Findings, source: &[Edition], result: &[Edition]) {
    let lost: usize = source.iter().map(|e| e.chapters.len()).sum();
    if lost > 0 && result.is_empty() {
        return f.wrong(format!("all {} are missing", count(lost as u64, "chapter")));
    }
    f.equal("the number of editions", &source.len(), &result.len());
    for (i, (s, r)) in source.iter().zip(result).enumerate() {
        // Films with one edition have just "chapters".
        let prefix = if source.len() > 1 { format!("edition {} ", i + 1) } else { String::new() };
        let name = format!("{prefix}{}", if prefix.is_empty() { "the edition" } else { "" });
        for (what, s, r) in [
            ("hidden", s.hidden, r.hidden),
            ("default", s.default, r.default),
            ("ordered", s.ordered, r.ordered),
        ] {
            if s != r {
                let now = if r { "is now" } else { "is no longer" };
                f.wrong(format!("{} {now} \"{what}\"", name.trim_end()));
            }
        }
        list(f, &format!("{prefix}chapter "), &s.chapters, &r.chapters);
    }
}

fn list(f: &mut Findings, prefix: &str, source: &[Chapter], result: &[Chapter]) {
    let mut left: Vec<(usize, &Chapter)> = result.iter().enumerate().collect();
    let mut partner = vec![None; source.len()];
    let same: [fn(&Chapter, &Chapter) -> bool; 4] = [
        |s, r| s.uid != 0 && s.uid == r.uid,
        |s, r| s.start_ns == r.start_ns && s.titles == r.titles,
        |s, r| s.start_ns == r.start_ns,
        |s, r| text(s).is_some() && text(s) == text(r),
    ];
    for same in same {
        for (want, partner) in source.iter().zip(&mut partner).filter(|(_, p)| p.is_none()) {
            // Chapters come in the same order nearly always, so the first one left is mostly the one.
            if let Some(at) = left.iter().position(|(_, r)| same(want, r)) {
                *partner = Some(left.remove(at));
            }
        }
    }
    for (i, (want, partner)) in source.iter().zip(&partner).enumerate() {
        let name = format!("{prefix}{}", i + 1);
        match partner {
            Some((_, found)) => chapter(f, &name, want, found),
            None => f.wrong(format!("{name} {} at {} is missing", quoted(text(want)), clock(want.start_ns))),
        }
    }
    for (i, added) in left {
        let name = format!("{prefix}{}", i + 1);
        f.wrong(format!("{name} {} at {} was added", quoted(text(added)), clock(added.start_ns)));
    }
    let places: Vec<usize> = partner.iter().flatten().map(|(i, _)| *i).collect();
    if !places.is_sorted() {
        f.wrong(format!("{}s are in another order", prefix.trim_end()));
    }
}

fn text(chapter: &Chapter) -> Option<&str> {
    chapter.titles.first().map(|t| t.text.as_str())
}

fn chapter(f: &mut Findings, name: &str, s: &Chapter, r: &Chapter) {
    if s.start_ns != r.start_ns {
        f.wrong(format!("{name} begins at {} instead of {}", clock(r.start_ns), clock(s.start_ns)));
    }
    if s.end_ns != r.end_ns {
        let (found, want) = (or_none(r.end_ns.map(clock)), or_none(s.end_ns.map(clock)));
        f.wrong(format!("the end of {name} is {found} instead of {want}"));
    }
    for (what, s, r) in [("hidden", s.hidden, r.hidden), ("enabled", s.enabled, r.enabled)] {
        if s != r {
            f.wrong(format!("{name} {} \"{what}\"", if r { "is now" } else { "is no longer" }));
        }
    }
    if s.segment != r.segment {
        f.wrong(format!("{name} leads to another file"));
    }
    if s.titles.len() != r.titles.len() {
        f.wrong(format!("{name} has {} instead of {}", count(r.titles.len() as u64, "name"), s.titles.len()));
    }
    for (want, found) in s.titles.iter().zip(&r.titles) {
        if want.text != found.text {
            f.wrong(format!("{name} is called \"{}\" instead of \"{}\"", found.text, want.text));
        }
        if !same_languages(want, found) {
            let (found, want) = (languages(found), languages(want));
            f.wrong(format!("the language of {name}'s name is {found} instead of {want}"));
        }
    }
    list(f, &format!("{name}."), &s.chapters, &r.chapters);
}

/// mkvmerge adds the BCP 47 form, and an older one leaves it out.
fn same_languages(s: &ChapterTitle, r: &ChapterTitle) -> bool {
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    if !s.languages_ietf.is_empty() && !r.languages_ietf.is_empty() {
        return set(&s.languages_ietf) == set(&r.languages_ietf);
    }
    let old =
        |t: &ChapterTitle| if t.languages.is_empty() { vec!["eng".into()] } else { t.languages.clone() };
    set(&old(s)) == set(&old(r))
}

fn languages(t: &ChapterTitle) -> String {
    let list = if t.languages_ietf.is_empty() { &t.languages } else { &t.languages_ietf };
    if list.is_empty() { "eng".into() } else { list.join("+") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(uid: u64, seconds: u64, name: &str) -> Chapter {
        let titles = vec![ChapterTitle {
            text: name.into(),
            languages: vec!["eng".into()],
            ..ChapterTitle::default()
        }];
        Chapter { uid, start_ns: seconds * 1_000_000_000, titles, ..Chapter::default() }
    }

    fn differences(source: Vec<Chapter>, result: Vec<Chapter>) -> Vec<String> {
        let edition = |chapters| Edition { chapters, ..Edition::default() };
        let mut f = Findings::new("chapters");
        compare(&mut f, &[edition(source)], &[edition(result)]);
        f.finish("").differences
    }

    #[test]
    fn a_missing_chapter_is_one_difference() {
        let source = vec![at(1, 0, "A"), at(2, 60, "B"), at(3, 90, "C")];
        assert_eq!(differences(source.clone(), source.clone()), [""; 0]);
        let missing = ["chapter 2 \"B\" at 0:01:00.000 is missing"];
        assert_eq!(differences(source.clone(), vec![at(1, 0, "A"), at(3, 90, "C")]), missing);
        // Another program may give other ids: no loss.
        assert_eq!(differences(source, vec![at(8, 0, "A"), at(9, 90, "C")]), missing);
    }

    #[test]
    fn times_names_languages_and_order_are_told_by_chapter() {
        let source = vec![at(1, 0, "A"), at(2, 60, "B"), at(3, 90, "C")];
        let mut german = at(1, 0, "A");
        german.titles[0].languages = vec!["ger".into()];
        assert_eq!(
            differences(source, vec![german, at(3, 91, "C"), at(2, 60, "Beta")]),
            [
                "the language of chapter 1's name is ger instead of eng",
                "chapter 2 is called \"Beta\" instead of \"B\"",
                "chapter 3 begins at 0:01:31.000 instead of 0:01:30.000",
                "chapters are in another order"
            ]
        );
    }

    #[test]
    fn what_mkvmerge_adds_is_no_difference() {
        let old = ChapterTitle { text: "A".into(), ..ChapterTitle::default() };
        let new =
            ChapterTitle { languages: vec!["eng".into()], languages_ietf: vec!["en".into()], ..old.clone() };
        assert!(same_languages(&old, &new));
        let other = ChapterTitle { languages_ietf: vec!["en-GB".into()], ..new.clone() };
        assert!(!same_languages(&other, &new) && same_languages(&other, &old));
    }
}
