//! Tables of plain text.

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
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(head: &[(&'static str, Align)]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, head first. With `width`, the last column is cut in the middle so that no line is longer.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let columns = self.head.len();
        let cells = |i: usize| self.rows.iter().map(move |r| r[i].as_str()).chain([self.head[i].0]);
        let mut widths: Vec<usize> =
            (0..columns).map(|i| cells(i).map(|c| c.chars().count()).max().unwrap_or(0)).collect();
        if let (Some(width), Some((last, before))) = (width, widths.split_last_mut()) {
            let used: usize = before.iter().map(|w| w + 2).sum();
            *last = (*last).min(width.saturating_sub(used).max(8));
        }
        let head: Vec<String> = self.head.iter().map(|(name, _)| name.to_uppercase()).collect();
        std::iter::once(&head).chain(&self.rows).map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, (_, align)), &width) in row.iter().zip(&self.head).zip(widths) {
            let cell = super::cut(cell, width);
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
            line.push_str("  ");
        }
        line.truncate(line.trim_end().len());
        line
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
