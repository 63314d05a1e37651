//! A table for people: columns where they fit, one record below the other where the terminal is too
//! narrow for columns.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, TableStyle};

use super::visible;
use super::width::columns;

/// A rule under the header, nothing else.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// Columns of a terminal between two columns of a table, and beside them.
pub(crate) const GAP: usize = 3;
/// A column that is folded to fewer columns of the terminal than this cannot be read.
pub(crate) const MIN_FOLDED: usize = 8;

/// Rows of untrusted text under a header; what is put into a cell is made visible here.
#[derive(Debug)]
pub struct Table {
    header: Vec<&'static str>,
    right: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), right: Vec::new(), rows: Vec::new() }
    }

    /// Columns that end at their right, such as numbers.
    #[must_use]
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| visible::line(cell.as_ref()).into_owned()).collect());
    }

    /// Its lines on a terminal of so many columns.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let least = |column: usize| self.widest(column).min(MIN_FOLDED) + GAP;
        if (0..self.header.len()).map(least).sum::<usize>() > width {
            return self.records();
        }
        let mut table = comfy_table::Table::new();
        table.load_style(RULED).set_content_arrangement(ContentArrangement::Dynamic).force_no_tty();
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX)).set_header(self.header.clone());
        for row in &self.rows {
            let cell = |(column, text): (usize, &String)| match self.right.contains(&column) {
                true => Cell::new(text).set_alignment(CellAlignment::Right),
                false => Cell::new(text),
            };
            table.add_row(row.iter().enumerate().map(cell).collect::<Vec<_>>());
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn widest(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell));
        cells.chain([columns(self.header[column])]).max().unwrap_or(0)
    }

    /// Each row on lines of its own, which the terminal may fold as it likes.
    fn records(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.rows {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            let filled = self.header.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
            lines.extend(filled.map(|(name, cell)| format!("{name}: {cell}")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["Id", "Lag", "Message"]).right(&[1]);
        table.row([
            "router/documents.acme/0/17",
            "12",
            "the record is no Avro that this build knows of, whoever wrote it",
        ]);
        table.row(["報告書", "3", "e\u{301}\u{301} and 👩\u{200d}👧"]);
        table
    }

    #[test]
    fn columns_fit_in_every_width_that_has_columns() {
        for width in 1..=300 {
            let lines = table().lines(width);
            let is_table = lines[0].trim_start().starts_with("Id ");
            assert_eq!(is_table, width >= 8 + 3 + 8 + 3 * GAP, "{width}: {lines:?}");
            if is_table {
                assert!(lines.iter().all(|line| columns(line) <= width), "{width}: {lines:#?}");
            }
        }
        assert!(table().lines(100_000).len() == 4);
    }

    #[test]
    fn where_columns_do_not_fit_nothing_is_left_out() {
        let lines = table().lines(20);
        assert_eq!(lines[0], "Id: router/documents.acme/0/17");
        assert_eq!(lines[4], "Id: 報告書");
    }

    #[test]
    fn a_line_break_in_a_cell_makes_no_row() {
        let mut table = Table::new(&["Name"]);
        table.row(["a\nb\u{1b}[2J"]);
        let lines = table.lines(80);
        assert!(lines.len() == 3 && lines[2].contains("a\\nb\\u{1b}[2J"), "{lines:?}");
    }
}
