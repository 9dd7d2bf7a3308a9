//! The generated pages of docs/ say what the code says.

#[path = "../examples/docs.rs"]
#[expect(dead_code, reason = "its main is for people")]
mod generate;

#[track_caller]
fn same(page: &str, stored: &str, generated: &str) {
    for (n, (old, new)) in stored.lines().zip(generated.lines()).enumerate() {
        assert_eq!(old, new, "docs/{}.md line {}", page.to_uppercase(), n + 1);
    }
    let how = format!("cargo run -p common --example docs -- {page} > docs/{}.md", page.to_uppercase());
    assert_eq!(stored.len(), generated.len(), "lines are missing or left over; make it again:\n{how}");
}

#[test]
fn the_failure_page_is_current() {
    same("failures", include_str!("../../docs/FAILURES.md"), &generate::failures());
}

#[test]
fn the_configuration_page_is_current() {
    same("configuration", include_str!("../../docs/CONFIGURATION.md"), &generate::configuration());
}

#[test]
fn every_setting_has_a_meaning() {
    let rows: Vec<String> =
        generate::configuration().lines().filter(|l| l.starts_with("| `")).map(Into::into).collect();
    let keys = common::config::DEFAULTS.lines().filter(|l| !l.starts_with('#') && l.contains(" = ")).count();
    assert_eq!(rows.len(), keys);
    assert!(rows.iter().all(|r| !r.ends_with("|  |")), "{rows:#?}");
}
