//! Tables of plain text.

use super::{Line, Tone, columns};

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells; the widths follow the content.
#[derive(Debug)]
pub struct Table {
    head: Vec<(&'static str, Align)>,
    rows: Vec<Vec<(Tone, String)>>,
    shorten: fn(&str, usize) -> String,
}

impl Table {
    /// A table with these columns.
    pub fn new(head: &[(&'static str, Align)]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new(), shorten: super::cut }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: Vec<String>) {
        self.painted(cells.into_iter().map(|text| (Tone::Plain, text)).collect());
    }

    /// The same with what the cells mean.
    pub fn painted(&mut self, mut cells: Vec<(Tone, String)>) {
        cells.resize(self.head.len(), (Tone::Plain, String::new()));
        self.rows.push(cells);
    }

    /// How cells that are too wide for their column are made to fit; without this they lose their middle.
    #[must_use]
    pub fn shortened(mut self, shorten: fn(&str, usize) -> String) -> Self {
        self.shorten = shorten;
        self
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// [`Table::paint`] as plain text.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        self.paint(width).iter().map(Line::to_string).collect()
    }

    /// The lines, head first. With `width`, the last column is made to fit so that no line is longer.
    pub fn paint(&self, width: Option<usize>) -> Vec<Line> {
        let number = self.head.len();
        let cells = |i: usize| self.rows.iter().map(move |r| r[i].1.as_str()).chain([self.head[i].0]);
        let mut widths: Vec<usize> = (0..number).map(|i| cells(i).map(columns).max().unwrap_or(0)).collect();
        if let (Some(width), Some((last, before))) = (width, widths.split_last_mut()) {
            let used: usize = before.iter().map(|w| w + 2).sum();
            *last = (*last).min(width.saturating_sub(used).max(8));
        }
        let head = self.head.iter().map(|(name, _)| (Tone::Strong, name.to_uppercase())).collect();
        std::iter::once(&head).chain(&self.rows).map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[(Tone, String)], widths: &[usize]) -> Line {
        let mut line = Line::new();
        for (((tone, cell), (_, align)), &width) in row.iter().zip(&self.head).zip(widths) {
            let cell = (self.shorten)(cell, width);
            let blank = " ".repeat(width.saturating_sub(columns(&cell)));
            line = match align {
                Align::Left => line.and(*tone, cell).and(Tone::Plain, blank + "  "),
                Align::Right => line.and(Tone::Plain, blank).and(*tone, cell).and(Tone::Plain, "  "),
            };
        }
        line.trimmed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_one_gives_way() {
        let mut t = Table::new(&[("job", Align::Left), ("%", Align::Right), ("film", Align::Left)]);
        t.row(vec!["3fa1".into(), "5".into(), "films:A/a.mkv".into()]);
        t.row(vec!["b".into(), "100".into(), "films:A very long name of a film/film.mkv".into()]);
        assert_eq!(t.lines(None)[..2], ["JOB     %  FILM", "3fa1    5  films:A/a.mkv"]);
        let narrow = t.lines(Some(30));
        assert!(narrow.iter().all(|l| l.chars().count() <= 30), "{narrow:?}");
        assert_eq!(narrow[2], "b     100  films:A v…/film.mkv");
    }
}
