//! Tables and properties for people. What stands in a cell is escaped here.

use crate::billing::escape::escape;
use crate::cli::visible::ForPeople;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets};

/// A table for people: names above, aligned columns, those of figures to the right with their
/// points below each other. On a terminal it is no wider than that: long cells are cut, and end in
/// `…`. Elsewhere they are whole.
pub(super) struct Columns {
    names: Vec<String>,
    figures: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table with these columns; a name that ends in `#` is of a column of figures.
    pub(super) fn new(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|name| name.trim_end_matches('#').to_uppercase()).collect(),
            figures: names.iter().map(|name| name.ends_with('#')).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A cell has one line, whatever stands in it.
        self.rows.push(cells.into_iter().map(|cell| escape(&cell).into_owned()).collect());
    }

    pub(super) fn print(mut self, out: &mut ForPeople<'_>) -> std::io::Result<()> {
        for (place, _) in self.figures.iter().enumerate().filter(|(_, is_figures)| **is_figures) {
            align_points(&mut self.rows, place);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let width = out.screen.and_then(|screen| screen.width);
        let is_whole = self.whole(width);
        let mut header = Row::from(&self.names);
        header.max_height(1);
        table.set_header(header);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            // Cut where the room ends, not at the last space before.
            table.set_width(width).set_delimiter('\0');
        }
        for cells in self.rows {
            let mut row = Row::from(cells);
            if width.is_some() {
                row.max_height(1);
            }
            table.add_row(row);
        }
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.figures.get(place).copied().unwrap_or_default() {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if is_whole.get(place).copied().unwrap_or_default() {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        for (number, line) in table.lines().enumerate() {
            match number {
                0 => out.heading(line.trim_end())?,
                _ => writeln!(out, "{}", line.trim_end())?,
            }
        }
        Ok(())
    }
}

/// The blanks between two columns.
const GAP: usize = 2;
/// How much room the other columns need, each, for times to be whole.
const ROOM: usize = 6;

impl Columns {
    /// Which columns are never cut: figures, since a part of one is another figure, and times where
    /// that leaves room for the others.
    fn whole(&self, width: Option<u16>) -> Vec<bool> {
        let width = usize::from(width.unwrap_or(u16::MAX));
        let cells = |place: usize| self.rows.iter().filter_map(move |row| row.get(place));
        let is_times = |place: usize| {
            let mut cells = cells(place).filter(|cell| !matches!(cell.as_str(), "" | "-"));
            cells.all(|cell| is_time(cell))
        };
        let length = |place: usize| {
            let longest = cells(place).map(|cell| cell.chars().count()).max();
            longest.unwrap_or_default().max(self.names[place].len()) + GAP
        };
        let is_whole: Vec<bool> = self
            .figures
            .iter()
            .enumerate()
            .map(|(place, is_figures)| *is_figures || is_times(place))
            .collect();
        let (whole, others): (Vec<usize>, Vec<usize>) =
            (0..self.names.len()).partition(|place| is_whole[*place]);
        let needed: usize = whole.into_iter().map(length).sum();
        if needed + others.len() * (ROOM + GAP) <= width { is_whole } else { self.figures.clone() }
    }
}

/// Tells whether a text is a time as it is printed.
fn is_time(text: &str) -> bool {
    let form = b"0000-00-00T00:00:00Z";
    let is_so =
        |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    text.len() == form.len() && text.bytes().zip(form).all(is_so)
}

/// Fills the figures of a column up behind their points, so that these stand below each other.
fn align_points(rows: &mut [Vec<String>], place: usize) {
    // From the point on; nothing for a whole number.
    let behind = |figure: &str| figure.find('.').map_or(0, |point| figure.len() - point);
    let longest = rows.iter().filter_map(|row| row.get(place)).map(|figure| behind(figure)).max();
    for figure in rows.iter_mut().filter_map(|row| row.get_mut(place)) {
        if figure.ends_with(|c: char| c.is_ascii_digit()) {
            *figure += &" ".repeat(longest.unwrap_or_default() - behind(figure));
        }
    }
}

/// Prints one thing's properties, a line each.
pub(super) fn print_properties(
    out: &mut ForPeople<'_>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::Screen;

    /// What a table prints on a terminal of a width, or elsewhere.
    fn printed(names: &[&str], rows: &[&[&str]], width: Option<u16>) -> Vec<String> {
        let mut columns = Columns::new(names);
        for row in rows {
            columns.row(row.iter().map(|cell| (*cell).to_owned()));
        }
        let screen = width.map(|width| Screen { width: Some(width), height: None, color: false });
        let mut out = Vec::new();
        columns.print(&mut ForPeople::new(&mut out, screen)).expect("memory takes everything");
        String::from_utf8(out).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn points_stand_below_each_other() {
        let rows: [&[&str]; 5] =
            [&["a", "10.25"], &["b", "7"], &["c", "-"], &["d", "1.5"], &["e", "-0.125"]];
        let wanted = ["N  AMOUNT", "a  10.25", "b   7", "c       -", "d   1.5", "e  -0.125"];
        assert_eq!(printed(&["n", "amount#"], &rows, None), wanted);
        assert_eq!(printed(&["n", "amount#"], &rows, Some(30)), wanted);
    }

    #[test]
    fn long_cells_are_cut_on_a_terminal_and_whole_elsewhere() {
        let long = "a note that goes on and on, far past the end of the line";
        let rows: [&[&str]; 2] =
            [&["2026-11-01T12:00:00Z", "12345.678", long], &["2026-11-02T12:00:00Z", "1", "short"]];
        let names = ["at", "amount#", "note"];
        let whole = printed(&names, &rows, None);
        assert!(whole[1].ends_with(long), "{whole:?}");
        for width in [45, 60, 80] {
            let cut = printed(&names, &rows, Some(width));
            assert_eq!(cut.len(), 3, "{cut:?}");
            assert!(cut.iter().all(|line| line.chars().count() <= width.into()), "{cut:?}");
            assert!(cut[1].starts_with("2026-11-01T12:00:00Z  12345.678  a no"), "{cut:?}");
            assert!(cut[1].ends_with('…') && cut[2].ends_with("1      short"), "{cut:?}");
        }
        // Where there is no room for whole times there still is for whole figures.
        let narrow = printed(&names, &rows, Some(25));
        assert!(narrow[1].contains("…  12345.678  ") && narrow.len() == 3, "{narrow:?}");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let rows: [&[&str]; 2] = [&["東京", "1"], &["ab", "2"]];
        assert_eq!(printed(&["name", "n#"], &rows, None), ["NAME  N", "東京  1", "ab    2"]);
        let rows: [&[&str]; 1] = [&["東京東京東京東京", "1"]];
        assert_eq!(printed(&["name", "n#"], &rows, Some(12)), ["NAME     N", "東京東…  1"]);
    }
}
