//! Aligned columns without lines between them.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ColumnConstraint, Table as Columns, Width, presets::NOTHING};

/// Something is wrong with what a row tells of.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Something may be.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// The head of a table, and of what stands alone.
pub const HEAD: Style = Style::new().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();

/// Characters of a cell that all others of its column are moved aside for. A row with a longer one is not aligned: one long name
/// is not to take every other line to the right of all terminals.
const ALIGNED: usize = 64;

/// A table that is shown when it is complete; or in parts, for lists that may be as long as a directory.
pub struct Table {
    head: Vec<&'static str>,
    right: Vec<usize>,
    rows: Vec<(Style, Vec<String>)>,
    /// Of the parts that were shown.
    widths: Vec<u16>,
}

impl Table {
    /// A table with these heads.
    pub fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), right: Vec::new(), rows: Vec::new(), widths: Vec::new() }
    }

    /// Columns of numbers, counted from 0.
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// One more row. What stands in it has been made fit for terminals.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.styled(Style::new(), cells);
    }

    /// The same in a colour.
    pub fn styled(&mut self, style: Style, cells: impl IntoIterator<Item = String>) {
        self.rows.push((style, cells.into_iter().collect()));
    }

    /// There has been no row yet, shown or not.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.widths.is_empty()
    }

    /// How many rows have not been shown yet.
    pub fn waiting(&self) -> usize {
        self.rows.len()
    }

    /// The lines of the rows that have not been shown, the head before the first. Columns never become narrower.
    pub fn lines(&mut self) -> Vec<String> {
        let first = self.widths.is_empty();
        if self.rows.is_empty() {
            return Vec::new();
        }
        let mut columns = Columns::new();
        columns.load_style(NOTHING);
        let mut styles = Vec::with_capacity(self.rows.len() + 1);
        if first {
            columns.set_header(self.head.clone());
            styles.push((HEAD, None));
        }
        for (style, cells) in self.rows.drain(..) {
            // The last column moves nothing.
            let long = cells.iter().rev().skip(1).any(|cell| cell.chars().count() > ALIGNED);
            if long {
                styles.push((style, Some(cells.join("  "))));
            } else {
                columns.add_row(cells);
                styles.push((style, None));
            }
        }
        for (number, column) in columns.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.right.contains(&number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if let Some(width) = self.widths.get(number) {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*width)));
            }
        }
        let widths = columns.column_max_content_widths();
        self.widths = match self.widths.is_empty() {
            // With the padding, as a lower bound of a column has it.
            true => widths.iter().map(|width| width.saturating_add(2)).collect(),
            // A part of long rows alone has no columns.
            false if widths.is_empty() => std::mem::take(&mut self.widths),
            false => {
                widths.iter().zip(&self.widths).map(|(new, old)| (*old).max(new.saturating_add(2))).collect()
            }
        };
        let mut aligned = columns.lines();
        let mut line = |(style, long): (Style, Option<String>)| {
            let line = long.or_else(|| aligned.next()).unwrap_or_default();
            format!("{style}{}{style:#}", line.trim_end())
        };
        styles.into_iter().map(&mut line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: Vec<String>) -> String {
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn columns_are_aligned_over_all_parts() {
        let mut table = Table::new(&["server", "active"]).right(&[1]);
        table.row(["be1.example.org".into(), "7".into()]);
        assert_eq!(plain(table.lines()), "server           active\nbe1.example.org       7");
        table.row(["b".into(), "12345".into()]);
        assert_eq!(plain(table.lines()), "b                 12345");
        assert!(table.lines().is_empty());
    }

    #[test]
    fn a_long_cell_moves_no_other() {
        let mut table = Table::new(&["mailbox", "state"]);
        table.row(["user.a".into(), "active".into()]);
        table.row(["x".repeat(65), "reserved".into()]);
        table.row(["user.bb".into(), "y".repeat(70)]);
        let long = format!("{}  reserved", "x".repeat(65));
        let again = |table: &mut Table| {
            table.row(["x".repeat(65), "reserved".into()]);
            plain(table.lines())
        };
        let expected = format!("mailbox  state\nuser.a   active\n{long}\nuser.bb  {}", "y".repeat(70));
        assert_eq!(plain(table.lines()), expected);
        assert_eq!((again(&mut table), again(&mut table)), (long.clone(), long));
    }
}
