//! Text for people: numbers that can be read, and tables whose columns line up.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

/// What went wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// What went well.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
/// What leads over a table or a paragraph.
pub(crate) const BOLD: Style = Style::new().bold();

/// Writes a number with a comma between thousands.
pub(crate) fn grouped(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a duration: a whole number of one unit, the two largest units from two minutes on, else seconds.
pub(crate) fn lasting(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let whole = UNITS.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    let large = UNITS.iter().zip(UNITS.iter().skip(1)).find(|((unit, _), _)| ms >= *unit && ms >= 120_000);
    match (whole, large) {
        (Some((unit, name)), _) => format!("{} {name}", ms / unit),
        (None, Some(((unit, name), (less, less_name)))) => {
            format!("{} {name} {} {less_name}", ms / unit, ms % unit / less)
        }
        (None, None) if ms < 1_000 => format!("{ms} ms"),
        (None, None) => format!("{:.1} s", Duration::from_millis(ms).as_secs_f64()),
    }
}

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of text under a heading.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table without rows.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes it, indented by `indent` spaces.
    pub(crate) fn render(&self, indent: usize) -> String {
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut text = String::new();
        if heading.iter().any(|name| !name.is_empty()) {
            let line = self.line(&heading, indent);
            let _ = writeln!(text, "{BOLD}{line}{BOLD:#}");
        }
        for row in &self.rows {
            text.push_str(&self.line(row, indent));
            text.push('\n');
        }
        text
    }

    /// Writes it no wider than this, indented: the first column gives way, its cells cut in the middle.
    pub(crate) fn within(mut self, width: usize, indent: usize) -> String {
        let others: usize = (1..self.columns.len()).map(|column| self.width(column) + 2).sum();
        let room = width.saturating_sub(indent + others).max(8);
        for cell in self.rows.iter_mut().filter_map(|row| row.first_mut()) {
            *cell = cut(cell, room);
        }
        self.render(indent)
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let heading = self.columns.get(column).map(|(name, _)| name);
        cells.chain(heading).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    fn line(&self, cells: &[String], indent: usize) -> String {
        let mut line = " ".repeat(indent);
        for (column, ((_, align), cell)) in self.columns.iter().zip(cells).enumerate() {
            let width = self.width(column);
            let gap = if column == 0 { "" } else { "  " };
            let _ = match align {
                Align::Left => write!(line, "{gap}{cell:<width$}"),
                Align::Right => write!(line, "{gap}{cell:>width$}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Cuts a text in its middle, so that its end can still be read.
fn cut(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_owned();
    }
    let head = most.saturating_sub(1) / 3;
    let tail = letters.len() - most.saturating_sub(1 + head);
    letters.iter().take(head).chain(['…'].iter()).chain(letters.iter().skip(tail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1_000, -1_234_567].map(|number: i64| grouped(number));
        assert_eq!(shown, ["0", "999", "1,000", "-1,234,567"]);
    }

    #[test]
    fn durations_are_written_in_units_that_can_be_read() {
        let shown = [250, 1_500, 60_000, 61_000, 86_400_000, 86_375_600, 125_500].map(lasting);
        assert_eq!(shown, ["250 ms", "1.5 s", "1 min", "61 s", "1 d", "23 h 59 min", "2 min 5 s"]);
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[("limit", Align::Left), ("amount", Align::Right)]);
        table.row(["rpm".to_owned(), "5".to_owned()]);
        let text = anstream::adapter::strip_str(&table.render(2)).to_string();
        assert_eq!(text, "  limit  amount\n  rpm         5\n");
    }

    #[test]
    fn a_table_that_is_too_wide_cuts_its_first_column() {
        let mut table = Table::new(&[("limit", Align::Left), ("amount", Align::Right)]);
        table.row(["openai/gpt-4o requests_per_minute".to_owned(), "5".to_owned()]);
        let text = anstream::adapter::strip_str(&table.within(30, 2)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.contains("openai…ts_per_minute"), "{text}");
    }
}
