//! Text with its blanks, lines, list markers and cells. What separates two texts is written when
//! the second one comes.

/// Deepest level by which an item is indented.
const MAX_INDENTED_LEVEL: usize = 8;
/// Line breaks in a row: one empty line.
const MAX_BREAKS: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Writer {
    out: String,
    /// Line breaks before the next text.
    breaks: usize,
    /// Boundaries of cells before the next text, on its line.
    cells: usize,
    /// Blanks before the next text, if there are no line breaks.
    blanks: String,
    /// What the next text is an item of.
    marker: Option<String>,
    /// Elements around whose blanks are kept.
    kept: usize,
    /// How many lines have been begun.
    lines: usize,
    lists: Vec<List>,
    rows: Vec<Row>,
    /// A cell has begun and has no text yet: its first block needs no line of its own.
    in_fresh_cell: bool,
}

#[derive(Debug)]
struct List {
    /// The next item's number.
    number: Option<i32>,
}

#[derive(Debug, Default)]
struct Row {
    before: Mark,
    /// Where the last cell began.
    cell: Mark,
    has_cells: bool,
    /// Whether the last cell was of several lines.
    is_broken: bool,
}

/// The state where a row or a cell began.
#[derive(Debug, Default, Clone, Copy)]
struct Mark {
    written: usize,
    lines: usize,
    breaks: usize,
    cells: usize,
}

impl Writer {
    /// Bytes until now.
    pub(super) fn written(&self) -> usize {
        self.out.len()
    }

    pub(super) fn finished(self) -> String {
        self.out
    }

    pub(super) fn text(&mut self, text: &str) {
        let mut rest = text;
        loop {
            let end = rest.find(|symbol: char| symbol.is_ascii_whitespace()).unwrap_or(rest.len());
            self.word(&rest[..end]);
            match rest[end..].chars().next() {
                Some('\n') if self.kept > 0 => self.line_break(),
                Some(blank) if self.kept > 0 => self.blanks.push(if blank == '\t' { blank } else { ' ' }),
                Some(_) => self.space(),
                None => return,
            }
            rest = &rest[end + 1..];
        }
    }

    /// Writes a word without what browsers do not show of it: hyphens for a line's end, control
    /// characters.
    fn word(&mut self, word: &str) {
        let shown = |symbol: &char| *symbol != '\u{AD}' && !symbol.is_control();
        if word.chars().any(|symbol| shown(&symbol)) {
            self.separate();
            self.out.extend(word.chars().filter(shown));
        }
    }

    /// Writes what separates the last text from the next.
    fn separate(&mut self) {
        if self.out.is_empty() {
            self.breaks = 0;
        } else if self.breaks > 0 {
            self.out.extend(std::iter::repeat_n('\n', self.breaks));
            self.lines += 1;
        }
        let at_start = self.out.is_empty() || self.breaks > 0;
        if at_start && self.kept == 0 {
            self.blanks.clear();
        }
        if let Some(marker) = self.marker.take() {
            self.out.push_str(&marker);
        }
        if self.cells > 0 {
            self.out.push_str(if at_start { "|" } else { " |" });
            self.out.extend(std::iter::repeat_n(" |", self.cells - 1));
            self.blanks.clear();
            self.out.push(' ');
        }
        self.out.push_str(&self.blanks);
        self.blanks.clear();
        (self.breaks, self.cells, self.in_fresh_cell) = (0, 0, false);
    }

    /// Raised digits, which follow the text before them.
    pub(super) fn raised(&mut self, digits: &str) {
        self.word(digits);
    }

    pub(super) fn space(&mut self) {
        if self.blanks.is_empty() {
            self.blanks.push(' ');
        }
    }

    pub(super) fn line_break(&mut self) {
        if !self.in_fresh_cell {
            self.breaks = MAX_BREAKS.min(self.breaks + 1);
        }
        self.blanks.clear();
    }

    pub(super) fn line(&mut self) {
        self.at_least(1);
    }

    pub(super) fn block(&mut self) {
        self.at_least(MAX_BREAKS);
    }

    fn at_least(&mut self, breaks: usize) {
        if !self.in_fresh_cell {
            self.breaks = self.breaks.max(breaks);
        }
        self.blanks.clear();
    }

    pub(super) fn keep_blanks(&mut self) {
        self.kept += 1;
        if self.breaks > 0 {
            self.blanks.clear();
        }
    }

    pub(super) fn drop_blanks(&mut self) {
        self.kept -= 1;
        self.blanks.clear();
    }

    pub(super) fn begin_list(&mut self, number: Option<i32>) {
        self.list_boundary();
        self.lists.push(List { number });
    }

    pub(super) fn end_list(&mut self) {
        self.lists.pop();
        self.list_boundary();
    }

    /// A list within a list has no empty lines around it.
    fn list_boundary(&mut self) {
        if self.lists.is_empty() { self.block() } else { self.line() }
    }

    pub(super) fn begin_item(&mut self, stated: Option<i32>) {
        self.line();
        let level = self.lists.len().saturating_sub(1).min(MAX_INDENTED_LEVEL);
        let indent = "  ".repeat(level);
        self.marker = Some(match self.lists.last_mut() {
            Some(List { number: Some(next) }) => {
                let number = stated.unwrap_or(*next);
                *next = number.saturating_add(1);
                format!("{indent}{number}. ")
            }
            _ => format!("{indent}- "),
        });
    }

    pub(super) fn end_item(&mut self) {
        self.marker = None;
        self.line();
    }

    pub(super) fn begin_row(&mut self) {
        self.line();
        self.rows.push(Row { before: self.mark(), ..Row::default() });
    }

    /// Boundaries of cells that were empty up to the row's end say nothing.
    pub(super) fn end_row(&mut self) {
        let Some(row) = self.rows.pop() else { return };
        self.cells = if self.out.len() == row.before.written { row.before.cells } else { 0 };
        self.line();
    }

    pub(super) fn begin_cell(&mut self) {
        let Some(row) = self.rows.pop() else { return self.line() };
        if row.has_cells && !row.is_broken {
            self.cells += 1;
        }
        self.in_fresh_cell = true;
        self.rows.push(Row { has_cells: true, is_broken: false, cell: self.mark(), ..row });
    }

    /// The next cell follows on the line, but a cell of several lines has no neighbours.
    pub(super) fn end_cell(&mut self) {
        let Some(row) = self.rows.last_mut() else { return self.line() };
        if self.out.len() == row.cell.written {
            self.breaks = row.cell.breaks;
        } else {
            // The line that the cell itself is on does not count.
            row.is_broken = self.lines > row.cell.lines + usize::from(row.cell.breaks > 0);
            self.breaks = usize::from(row.is_broken);
        }
        self.in_fresh_cell = false;
        self.space();
    }

    fn mark(&self) -> Mark {
        let breaks = if self.out.is_empty() { 0 } else { self.breaks };
        Mark { written: self.out.len(), lines: self.lines, breaks, cells: self.cells }
    }
}
