//! The measured part of `docs/PERFORMANCE.md`, between two marks; the words around them are a person's.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Machine;
use super::measure::median;

const BEGIN: &str = "<!-- measured: begin -->";
const SECTION: &str = "\n### ";
const END: &str = "<!-- measured: end -->";

/// One comparison.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// What it is compared with.
    pub with: String,
    /// One figure per pair.
    pub ratios: Vec<f64>,
    /// The median should be at most (`true`) or at least (`false`) this.
    pub goal: Option<(bool, f64)>,
    /// Unit behind the figure; empty for a ratio.
    pub unit: &'static str,
    /// Further figures, for information.
    pub also: String,
}

impl Row {
    /// The figure that counts.
    pub fn median(&self) -> f64 {
        median(self.ratios.iter().copied())
    }

    /// Whether the goal is reached; true without one.
    pub fn reached(&self) -> bool {
        self.goal.is_none_or(|(most, goal)| if most { self.median() <= goal } else { self.median() >= goal })
    }

    fn number(&self, n: f64) -> String {
        if n >= 100.0 { format!("{n:.0}{}", self.unit) } else { format!("{n:.2}{}", self.unit) }
    }

    fn markdown(&self) -> String {
        let (low, high) =
            self.ratios.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), r| (l.min(*r), h.max(*r)));
        let goal = match self.goal {
            None => String::new(),
            Some((most, goal)) => {
                let sign = if most { "≤" } else { "≥" };
                let said = if self.reached() { "reached" } else { "missed" };
                format!("{sign} {}, {said}", self.number(goal))
            }
        };
        format!(
            "| {} | {} | **{}** | {} to {} | {goal} | {} |",
            self.what,
            self.with,
            self.number(self.median()),
            self.number(low),
            self.number(high),
            self.also
        )
    }
}

/// Comparisons that belong together.
#[derive(Debug, Clone)]
pub struct Table {
    /// Headline.
    pub title: &'static str,
    /// What was run.
    pub commands: Vec<String>,
    /// The figures.
    pub rows: Vec<Row>,
    /// Load average of the machine before the first run.
    pub load: String,
}

/// All tables as JSON, for machines.
pub fn to_json(machine: &Machine, tables: &[Table]) -> Value {
    let facts: serde_json::Map<String, Value> =
        machine.facts.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let row = |r: &Row| {
        json!({ "what": r.what, "with": r.with, "median": r.median(), "all": r.ratios, "unit": r.unit,
                "goal": r.goal.map(|(_, goal)| goal), "reached": r.reached(), "also": r.also })
    };
    let table = |t: &Table| json!({ "title": t.title, "commands": t.commands, "load": t.load, "rows": t.rows.iter().map(row).collect::<Vec<_>>() });
    json!({ "machine": facts, "tables": tables.iter().map(table).collect::<Vec<_>>() })
}

/// All tables as Markdown.
pub fn to_markdown(machine: &Machine, tables: &[Table]) -> String {
    let mut text = String::from("| machine | |\n|---|---|\n");
    // Writing to a String cannot fail.
    for (k, v) in &machine.facts {
        let _ = writeln!(text, "| {k} | {v} |");
    }
    for table in tables {
        let (title, commands) = (table.title, table.commands.join("\n"));
        let _ = write!(text, "{SECTION}{title}\n\n```text\n{commands}\n```\n\n");
        let _ = write!(text, "Load average before: {}.\n\n", table.load);
        text.push_str(
            "| measured | against | median | all runs | goal | also |\n|---|---|---|---|---|---|\n",
        );
        for row in &table.rows {
            let _ = writeln!(text, "{}", row.markdown());
        }
    }
    text
}

/// Puts `measured` between the marks of a page, where it takes the place of tables with the same headlines.
///
/// # Errors
/// The page is not there, has no marks, or cannot be written.
pub fn write_page(page: &Path, measured: &str) -> Result<()> {
    let name = page.display();
    let text = fs::read_to_string(page).with_context(|| format!("read {name}"))?;
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{name} has no line {BEGIN}"))?;
    let (old, after) = rest.split_once(END).with_context(|| format!("{name} has no line {END}"))?;
    fs::write(page, format!("{before}{BEGIN}\n{}{END}{after}", merged(old, measured)))
        .with_context(|| format!("write {name}"))
}

/// The new head, the old sections, replaced where there are new ones, and the new ones behind them.
fn merged(old: &str, new: &str) -> String {
    let title = |section: &str| section.lines().next().unwrap_or_default().to_owned();
    let mut parts = new.split(SECTION);
    let head = parts.next().unwrap_or_default();
    let mut fresh: Vec<&str> = parts.collect();
    let mut sections: Vec<&str> = Vec::new();
    for section in old.split(SECTION).skip(1) {
        match fresh.iter().position(|f| title(f) == title(section)) {
            Some(at) => sections.push(fresh.remove(at)),
            None => sections.push(section),
        }
    }
    sections.append(&mut fresh);
    let mut text = head.to_owned();
    for section in sections {
        text.push_str(SECTION);
        text.push_str(section);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let row = Row {
            what: "copy".into(),
            with: "by hand".into(),
            ratios: vec![0.5, 0.8, 0.6],
            goal: Some((true, 0.7)),
            unit: "",
            also: "a note".into(),
        };
        assert!(row.reached() && !Row { goal: Some((false, 0.7)), ..row.clone() }.reached());
        let machine = Machine { facts: vec![("processor", "one".into())] };
        let tables =
            [Table { title: "Copy", commands: vec!["a | b".into()], rows: vec![row], load: "0.10".into() }];
        let text = to_markdown(&machine, &tables);
        assert!(
            text.contains("| copy | by hand | **0.60** | 0.50 to 0.80 | ≤ 0.70, reached | a note |"),
            "{text}"
        );
        assert_eq!(to_json(&machine, &tables)["tables"][0]["rows"][0]["median"], 0.6);
        let page = tempfile::NamedTempFile::new().unwrap();
        fs::write(page.path(), format!("words\n{BEGIN}\nold\n{END}\nmore words\n")).unwrap();
        for _ in 0..2 {
            write_page(page.path(), &text).unwrap();
        }
        let written = fs::read_to_string(page.path()).unwrap();
        assert_eq!(written, format!("words\n{BEGIN}\n{text}{END}\nmore words\n"));
        let other = "machine\n\n### Scale\n\nmany\n";
        write_page(page.path(), other).unwrap();
        write_page(page.path(), &other.replace("many", "more")).unwrap();
        let both = fs::read_to_string(page.path()).unwrap();
        assert!(both.contains("### Copy") && both.contains("0.60") && both.contains("\nmore\n"), "{both}");
        assert!(!both.contains("many") && both.matches("machine").count() == 1, "{both}");
        assert!(write_page(Path::new("/nonexistent"), "").is_err());
    }
}
