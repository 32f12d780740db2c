//! Tables and properties for people. What stands in a cell is escaped here.

use crate::billing::escape::escape;
use comfy_table::{CellAlignment, Table, presets};
use std::io::Write;

/// A table for people: names above, aligned columns, those of figures to the right.
pub(super) struct Columns {
    table: Table,
    figures: Vec<bool>,
}

impl Columns {
    /// A table with these columns; a name that ends in `#` is of a column of figures.
    pub(super) fn new(names: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(names.iter().map(|name| name.trim_end_matches('#').to_uppercase()));
        Self { table, figures: names.iter().map(|name| name.ends_with('#')).collect() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A cell has one line, whatever stands in it.
        self.table.add_row(cells.into_iter().map(|cell| escape(&cell).into_owned()));
    }

    pub(super) fn print(mut self, out: &mut dyn Write) -> std::io::Result<()> {
        for (place, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.figures.get(place).copied().unwrap_or_default() {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in self.table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Prints one thing's properties, a line each.
pub(super) fn print_properties(
    out: &mut dyn Write,
    properties: &[(&str, String)],
) -> std::io::Result<()> {
    let width = properties.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in properties {
        writeln!(out, "{name:width$}  {}", escape(value))?;
    }
    Ok(())
}

/// A value for people, or a dash where there is none.
pub(super) fn or_dash(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// A time for people, or the word `never`.
pub(super) fn or_never(time: Option<&String>) -> String {
    time.map_or_else(|| "never".to_owned(), ToString::to_string)
}
