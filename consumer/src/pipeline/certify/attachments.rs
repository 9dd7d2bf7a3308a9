//! Attached files: covers and fonts, byte for byte.

use common::job::Check;
use common::text::bytes;
use dovi::matroska::Attachment;
use serde_json::{Value, json};

use super::findings::Findings;
use super::pair::Pair;
use super::words::{count, quoted};

impl Pair<'_> {
    pub(super) fn attachments(&self) -> Check {
        let mut f = Findings::new("attachments");
        compare(&mut f, &self.source.header.attachments, &self.result.header.attachments);
        let all = &self.result.header.attachments;
        let list: Vec<Value> = all
            .iter()
            .map(|a| json!({"name": a.name, "mime": a.mime, "bytes": a.size, "blake3": a.hash}))
            .collect();
        let sum = all.iter().map(|a| a.size).sum();
        f.figure("attachments", list);
        f.finish(match all.len() {
            0 => "none, as in the source".into(),
            n => format!("{} bit-equal ({})", count(n as u64, "attachment"), bytes(sum)),
        })
    }
}

/// Files of the same name are compared in their order.
fn compare(f: &mut Findings, source: &[Attachment], result: &[Attachment]) {
    let mut left: Vec<&Attachment> = result.iter().collect();
    for want in source {
        // Of several with the same name, the one with the same bytes.
        let same = |a: &&Attachment| a.name == want.name && a.hash == want.hash && a.size == want.size;
        let at = left.iter().position(same).or_else(|| left.iter().position(|a| a.name == want.name));
        let Some(at) = at else {
            f.wrong(format!("attachment {} is missing", want.name));
            continue;
        };
        let found = left.remove(at);
        if want.size != found.size {
            f.wrong(format!("attachment {} has {} bytes instead of {}", want.name, found.size, want.size));
        } else if want.hash != found.hash {
            f.wrong(format!("attachment {} has other bytes", want.name));
        }
        let name = &want.name;
        f.equal(format!("the type of attachment {name}"), &want.mime, &found.mime);
        let text = |a: &Attachment| quoted(a.description.as_deref().filter(|d| !d.is_empty()));
        f.equal(format!("the description of attachment {name}"), &text(want), &text(found));
    }
    for added in left {
        f.wrong(format!("attachment {} was added", added.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, hash: &str) -> Attachment {
        Attachment { name: name.into(), size: 3, hash: hash.into(), ..Attachment::default() }
    }

    fn differences(source: &[Attachment], result: &[Attachment]) -> Vec<String> {
        let mut f = Findings::new("attachments");
        compare(&mut f, source, result);
        f.finish("").differences
    }

    #[test]
    fn files_are_named_by_what_happened_to_them() {
        let source = [file("a", "1"), file("a", "2"), file("b", "3"), file("c", "4")];
        let result = [file("a", "2"), file("a", "1"), file("b", "9"), file("d", "4")];
        assert_eq!(
            differences(&source, &result),
            ["attachment b has other bytes", "attachment c is missing", "attachment d was added"]
        );
        assert_eq!(differences(&source, &source), [""; 0]);
    }
}
