//! A tag file for mkvmerge: what the source says of the track that is replaced, which mkvmerge does not carry over.

use std::fmt::Write as _;

use dovi::matroska::{SimpleTag, Tag, TagValue};

/// The content of the file for one track's tags, or `None` if nothing is left to say. Statistics are left out: mkvmerge
/// counts them anew. What the tags are about is not written either, `--tags` says it.
pub fn tag_file<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> Option<String> {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Tags>\n");
    let mut any = false;
    for tag in tags {
        let mut simple = tag.simple.iter().filter(|s| !s.is_statistic()).peekable();
        if simple.peek().is_none() {
            continue;
        }
        any = true;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "<Tag><Targets><TargetTypeValue>{}</TargetTypeValue>", tag.targets.level);
        if let Some(name) = &tag.targets.level_name {
            let _ = writeln!(text, "<TargetType>{}</TargetType>", escaped(name));
        }
        text.push_str("</Targets>\n");
        simple.for_each(|s| write_simple(&mut text, s));
        text.push_str("</Tag>\n");
    }
    text.push_str("</Tags>\n");
    any.then_some(text)
}

fn write_simple(text: &mut String, tag: &SimpleTag) {
    let _ = write!(text, "<Simple><Name>{}</Name>", escaped(&tag.name));
    match &tag.value {
        TagValue::None => {}
        TagValue::Text(value) => {
            let _ = write!(text, "<String>{}</String>", escaped(value));
        }
        TagValue::Binary(bytes) => {
            text.push_str("<Binary format=\"hex\">");
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
            text.push_str("</Binary>");
        }
    }
    let _ = write!(text, "<TagLanguage>{}</TagLanguage>", escaped(&tag.language));
    if let Some(language) = &tag.language_ietf {
        let _ = write!(text, "<TagLanguageIETF>{}</TagLanguageIETF>", escaped(language));
    }
    let _ = write!(text, "<DefaultLanguage>{}</DefaultLanguage>", u8::from(tag.default));
    tag.nested.iter().for_each(|nested| write_simple(text, nested));
    text.push_str("</Simple>\n");
}

/// Character data for XML 1.0. Characters it cannot hold at all (section 2.2) are left out; those that parsers change
/// (section 2.11) go as references.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dovi::matroska::Targets;

    fn simple(name: &str, value: TagValue) -> SimpleTag {
        SimpleTag {
            name: name.into(),
            language: "und".into(),
            language_ietf: None,
            default: true,
            value,
            nested: Vec::new(),
        }
    }

    #[test]
    fn the_tag_file_is_exactly_this() {
        let mut outer = simple("A&B", TagValue::Text("1 < 2\r\n\u{1}".into()));
        outer.language_ietf = Some("en-GB".into());
        outer.nested.push(simple("BIN", TagValue::Binary(vec![0, 255])));
        let count = simple("BPS", TagValue::Text("9".into()));
        let tag =
            Tag { targets: Targets { level: 30, ..Targets::default() }, simple: vec![count.clone(), outer] };
        assert_eq!(
            tag_file([&tag]).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Tags>\n\
             <Tag><Targets><TargetTypeValue>30</TargetTypeValue>\n</Targets>\n\
             <Simple><Name>A&amp;B</Name><String>1 &lt; 2&#13;\n</String><TagLanguage>und</TagLanguage>\
             <TagLanguageIETF>en-GB</TagLanguageIETF><DefaultLanguage>1</DefaultLanguage>\
             <Simple><Name>BIN</Name><Binary format=\"hex\">00ff</Binary><TagLanguage>und</TagLanguage>\
             <DefaultLanguage>1</DefaultLanguage></Simple>\n</Simple>\n</Tag>\n</Tags>\n"
        );
        assert_eq!(tag_file([&Tag { simple: vec![count], ..tag }]), None);
        assert_eq!(tag_file([]), None);
    }
}
