//! No result without a proof: a pipeline whose tools break the film publishes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{BOTH, Made, Mode, convert};

/// Around mkvmerge: `$options` is its option file, `$out` what it writes, `$video` what it is given as the new track.
fn fake_mkvmerge(then: &str, before: &str) -> String {
    format!(
        "#!/bin/sh\nfor options; do :; done\noptions=\"${{options#@}}\"\n\
         case \"$options\" in\n*.json)\n\
         out=$(sed -n '/\"--output\"/{{n;s/^ *\"\\(.*\\)\",*$/\\1/p}}' \"$options\")\n\
         video=$(sed -n 's/^ *\"\\(.*\\/video\\.[a-z]*\\)\",*$/\\1/p' \"$options\")\n\
         {before}\nmkvmerge \"$@\" && {{ {then}; }} ;;\n*) exec mkvmerge \"$@\" ;;\nesac\n"
    )
}

/// Converts with a broken mkvmerge; gives the code and message of the failure.
fn refused(mode: Mode, then: &str, before: &str) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("film.mkv"), dir.path().join("out"));
    fs::create_dir(&out).unwrap();
    fs::write(&source, &Made::plain().source).unwrap();
    let script = dir.path().join("mkvmerge");
    fs::write(&script, fake_mkvmerge(then, before)).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let set = format!("tools.mkvmerge={}", script.display());
    let report = convert(&source, &out.join("result.mkv"), mode, &["--set", &set]).unwrap_err();
    let left: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_none_or(|e| e != "scratch"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let text = |key: &str| report[key].as_str().unwrap_or_else(|| panic!("{report:#}")).to_owned();
    (text("code"), text("summary"))
}

#[test]
fn a_broken_title_is_not_published() {
    for mode in BOTH {
        let (code, message) = refused(mode, "mkvpropedit -q \"$out\" --edit info --set title=Wrong", "");
        assert_eq!(code, "proof.tags", "{message}");
        assert!(message.contains("the title is \"Wrong\" instead of"), "{message}");
    }
}

/// The encoder's output is known here, unlike in `verify`: one changed byte on the way is seen.
#[test]
fn a_byte_of_the_new_picture_is_not_published() {
    for mode in BOTH {
        // Some bytes before the end are the last RPU; before them is the last slice.
        let flip = "printf 'Z' | dd of=\"$video\" bs=1 conv=notrunc seek=$(($(stat -c %s \"$video\") - 400)) 2>/dev/null";
        let (code, message) = refused(mode, "true", flip);
        assert_eq!(code, "proof.payload", "{message}");
        let what = if mode == Mode::Copy { "the source's base layer" } else { "the encoder wrote" };
        assert!(message.contains(what), "{message}");
    }
}
