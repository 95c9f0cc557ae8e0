//! Tables with box-drawing borders.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement};

/// Outer borders, one line under the header, lines between columns, none between rows.
const BORDERS: &str = "││──├─┼┤│    ┬┴┌┐└┘";
/// The same without the line under the header: there are no rows.
const BORDERS_WITHOUT_ROWS: &str = "││──    │    ┬┴┌┐└┘";

/// Header and rows.
pub(crate) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// `columns` are shown in upper case.
    pub(super) fn new(columns: &[&'static str], rows: impl Iterator<Item = Vec<String>>) -> Table {
        Table {
            columns: columns.to_vec(),
            rows: rows.collect(),
        }
    }

    /// The rows as simple lines: cells joined by commas.
    pub(super) fn lines(&self) -> String {
        self.rows.iter().map(|row| row.join(", ") + "\n").collect()
    }
}

impl Table {
    /// A header in the middle of its column. comfy-table would put an odd blank to the left of it, etcdctl has it on the right.
    fn centred(&self, column_idx: usize, name: &str) -> Cell {
        let cells = self
            .rows
            .iter()
            .map(|row| row[column_idx].trim().chars().count());
        let surplus = cells.max().unwrap_or(0).saturating_sub(name.len());
        Cell::new(" ".repeat(surplus / 2) + &name.to_uppercase())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, name)| self.centred(at, name));
        let mut table = comfy_table::Table::new();
        table
            .load_preset(if self.rows.is_empty() {
                BORDERS_WITHOUT_ROWS
            } else {
                BORDERS
            })
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(header);
        for row in &self.rows {
            let cell = |text: &String| Cell::new(text.trim()).set_alignment(CellAlignment::Right);
            table.add_row(row.iter().map(cell));
        }
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_right_aligned_under_a_centred_header() {
        let row = vec!["8e9e05c52164694d".into(), "false".into(), " a, b, ".into()];
        let table = Table::new(&["id", "is learner", "err"], [row].into_iter());
        let expected = "\
┌──────────────────┬────────────┬───────┐
│        ID        │ IS LEARNER │  ERR  │
├──────────────────┼────────────┼───────┤
│ 8e9e05c52164694d │      false │ a, b, │
└──────────────────┴────────────┴───────┘";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn without_rows_there_is_no_line_under_the_header() {
        let table = Table::new(&["id", "name"], std::iter::empty());
        let expected = "\
┌────┬──────┐
│ ID │ NAME │
└────┴──────┘";
        assert_eq!(table.to_string(), expected);
    }
}
