//! Tables and properties for people. What stands in a cell is escaped here.

use crate::billing::escape::escape;
use crate::cli::screen::Screen;
use crate::cli::visible::ForPeople;
use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width, presets,
};
use std::io;

/// A table for people: names above, aligned columns, those of figures to the right with their
/// points below each other. On a terminal it is no wider than that: long cells are cut, and end in
/// `…`. Elsewhere they are whole.
pub(super) struct Columns {
    names: Vec<String>,
    figures: Vec<bool>,
    /// The columns of ids, which are typed and pasted: a part of one is of no use.
    ids: Vec<bool>,
    rows: Vec<Vec<String>>,
    /// The places of the columns that were left out, each as it was when the earlier ones had been.
    left_out: Vec<usize>,
    /// A row as wide as all of the parts before.
    widest: Option<Vec<String>>,
    /// Whether long cells are broken between their words, and none is cut.
    is_prose: bool,
}

impl Columns {
    /// A table with these columns; a name that ends in `#` is of a column of figures, one that ends
    /// in `!` of ids that are not cut as long as there is room for all of the others.
    pub(super) fn new(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|name| name.trim_end_matches(['#', '!'])).map(upper).collect(),
            figures: names.iter().map(|name| name.ends_with('#')).collect(),
            ids: names.iter().map(|name| name.ends_with('!')).collect(),
            rows: Vec::new(),
            left_out: Vec::new(),
            widest: None,
            is_prose: false,
        }
    }

    /// The same of sentences: on a terminal long ones go on below themselves, and none is cut.
    pub(super) fn of_prose(names: &[&str]) -> Self {
        Self { is_prose: true, ..Self::new(names) }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A cell has one line, whatever stands in it.
        let mut cells: Vec<String> =
            cells.into_iter().map(|cell| escape(&cell).into_owned()).collect();
        self.left_out.iter().for_each(|place| drop(cells.remove(*place)));
        self.rows.push(cells);
    }

    /// How much room a terminal leaves for one more column; `None` elsewhere, and where they are
    /// too wide.
    pub(super) fn left(&self, out: &ForPeople<'_>) -> Option<usize> {
        let width = usize::from(out.screen?.width?);
        let mut rows = self.rows.clone();
        self.align(&mut rows);
        let columns = 0..self.names.len();
        let needed: usize = columns.map(|place| longest(&rows, &self.names, place) + GAP).sum();
        width.checked_sub(needed + GAP)
    }

    /// Leaves out as many of these columns, the first one first, as a terminal has no room for
    /// beside times, ids and figures; and `at_last` too, where that makes room for them. Gives
    /// those that it left out.
    pub(super) fn leave_out(
        &mut self,
        spare: &[&'static str],
        at_last: Option<&'static str>,
        screen: Option<Screen>,
    ) -> Vec<&'static str> {
        let Some(width) = screen.and_then(|screen| screen.width).map(usize::from) else {
            return Vec::new();
        };
        let mut rows = self.rows.clone();
        self.align(&mut rows);
        let mut left_out = Vec::new();
        let spare = spare.iter().map(|name| (*name, ROOM));
        for (name, least) in spare.chain(at_last.map(|name| (name, LITTLE_ROOM))) {
            let is_whole = self.whole(|place| self.is_times(place) || self.ids[place]);
            let place = self.names.iter().position(|one| *one == upper(name));
            let Some(place) = place.filter(|_| !self.fits(&rows, &is_whole, least, width)) else {
                continue;
            };
            let gained = longest(&rows, &self.names, place).min(least) + GAP;
            if Some(name) != at_last || self.fits(&rows, &is_whole, least, width + gained) {
                self.remove(place);
                rows.iter_mut().for_each(|row| drop(row.remove(place)));
                left_out.push(name);
            }
        }
        left_out
    }

    /// Removes a column of whole rows.
    fn remove(&mut self, place: usize) {
        self.names.remove(place);
        self.figures.remove(place);
        self.ids.remove(place);
        self.left_out.push(place);
        self.rows.iter_mut().for_each(|row| drop(row.remove(place)));
    }

    /// Adds a column beside the first rows.
    pub(super) fn add(&mut self, name: &str, cells: impl Iterator<Item = String>) {
        for (row, cell) in self.rows.iter_mut().zip(cells) {
            row.push(escape(&cell).into_owned());
        }
        self.names.push(name.to_owned());
        self.figures.push(false);
        self.ids.push(false);
    }

    /// Fills figures up, so that their points stand below each other.
    fn align(&self, rows: &mut [Vec<String>]) {
        for (place, _) in self.figures.iter().enumerate().filter(|(_, is_figures)| **is_figures) {
            align_points(rows, place);
        }
    }

    pub(super) fn print(mut self, out: &mut ForPeople<'_>) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let lines = self.lines(rows, out.screen);
        print_lines(out, &lines)
    }

    /// Prints the rows so far, below those that were printed before, and forgets them. The columns
    /// are as wide as before, or wider: a list of any length needs no memory.
    pub(super) fn print_part(&mut self, out: &mut ForPeople<'_>) -> io::Result<()> {
        let is_first = self.widest.is_none();
        let mut rows = std::mem::take(&mut self.rows);
        let widest: Vec<String> =
            (0..self.names.len()).map(|place| self.widest_cell(&rows, place)).collect();
        rows.push(widest.clone());
        self.widest = Some(widest);
        let mut lines = self.lines(rows, out.screen);
        lines.pop();
        if is_first {
            return print_lines(out, &lines);
        }
        lines.iter().skip(1).try_for_each(|line| writeln!(out, "{line}"))
    }

    /// A cell as wide as those of a column, and as those of the parts before.
    fn widest_cell(&self, rows: &[Vec<String>], place: usize) -> String {
        let before = self.widest.iter().filter_map(|widest| widest.get(place));
        let cells = rows.iter().filter_map(|row| row.get(place)).chain(before);
        if !self.figures[place] {
            return cells.max_by_key(|cell| cell.chars().count()).cloned().unwrap_or_default();
        }
        let lengths = cells.map(|figure| {
            let whole = figure.find('.').unwrap_or(figure.len());
            (whole, figure.len() - whole)
        });
        let (whole, behind) = lengths
            .reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))
            .unwrap_or_default();
        let point = if behind > 0 { "." } else { "" };
        ["0".repeat(whole), point.to_owned(), "0".repeat(behind.saturating_sub(1))].concat()
    }

    /// The lines of the table, its names first.
    fn lines(&mut self, mut rows: Vec<Vec<String>>, screen: Option<Screen>) -> Vec<String> {
        self.align(&mut rows);
        self.rows = rows;
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let width = screen.and_then(|screen| screen.width);
        let room = self.room(width);
        let mut header = Row::from(&self.names);
        header.max_height(1);
        table.set_header(header);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            if !self.is_prose {
                // Cut where the room ends, not at the last space before.
                table.set_delimiter('\0');
            }
        }
        for cells in std::mem::take(&mut self.rows) {
            let mut row = Row::from(cells);
            if width.is_some() && !self.is_prose {
                row.max_height(1);
            }
            table.add_row(row);
        }
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.figures.get(place).copied().unwrap_or_default() {
                column.set_cell_alignment(CellAlignment::Right);
            }
            match room.get(place) {
                Some(Room::Whole) => {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
                Some(Room::Figures(length)) => {
                    column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(*length)));
                }
                Some(Room::Rest) | None => {}
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// Prints the lines of a table, its names first.
fn print_lines(out: &mut ForPeople<'_>, lines: &[String]) -> io::Result<()> {
    for (number, line) in lines.iter().enumerate() {
        match number {
            0 => out.heading(line)?,
            _ => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

/// The columns that prose needs to be broken between words.
const LEAST_PROSE: usize = 20;
/// The blanks between two columns.
const GAP: usize = 2;
/// How much room the other columns need, each, for times, and for the names of figures, to be
/// whole.
const ROOM: usize = 6;
/// The same for the times of a list that begins with them, where else none would be whole.
const LITTLE_ROOM: usize = 3;

/// How much room a column has on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// What the others leave.
    Rest,
    /// All that it needs.
    Whole,
    /// So many columns, the gap included: what its figures need, while its name is cut.
    Figures(u16),
}

impl Columns {
    /// Which columns are never cut: figures, since a part of one is another figure, and those ids
    /// and times that leave room for the others. Where figures leave none, their names are cut.
    fn room(&self, width: Option<u16>) -> Vec<Room> {
        let width = usize::from(width.unwrap_or(u16::MAX));
        let fits = |is_whole: &[bool], least: usize| self.fits(&self.rows, is_whole, least, width);
        let whole = |is_whole: Vec<bool>| {
            let room = |is_whole| if is_whole { Room::Whole } else { Room::Rest };
            is_whole.into_iter().map(room).collect()
        };
        let times: Vec<usize> =
            (0..self.names.len()).filter(|place| self.is_times(*place)).collect();
        let begins = times.first().filter(|place| **place == 0);
        let begins: Vec<usize> = begins.copied().into_iter().collect();
        let ids: Vec<usize> = (0..self.ids.len()).filter(|place| self.ids[*place]).collect();
        for least in [ROOM, LITTLE_ROOM].into_iter().filter(|_| !ids.is_empty()) {
            let with = |is_whole: Vec<bool>, place: &usize| {
                let mut more = is_whole.clone();
                more[*place] = true;
                if fits(&more, least) { more } else { is_whole }
            };
            let must = ids.iter().fold(self.whole(|place| begins.contains(&place)), with);
            if ids.iter().any(|place| must[*place]) {
                return whole(times.iter().fold(must, with));
            }
        }
        if let Some(room) = self.room_of_ids(&ids, width) {
            return room;
        }
        for (least, times) in [(ROOM, times), (LITTLE_ROOM, begins)] {
            let mut is_whole = self.figures.clone();
            for place in &times {
                is_whole[*place] = true;
                is_whole[*place] = fits(&is_whole, least);
            }
            if times.iter().any(|place| is_whole[*place]) {
                return whole(is_whole);
            }
        }
        if fits(&self.figures, ROOM) {
            return whole(self.figures.clone());
        }
        (0..self.names.len()).map(|place| self.short_name(place)).collect()
    }

    /// The room of a column where the names of figures are cut.
    fn short_name(&self, place: usize) -> Room {
        if !self.figures[place] {
            return Room::Rest;
        }
        let name = self.names[place].len().min(ROOM);
        let length = longest(&self.rows, &[], place).max(name) + GAP;
        Room::Figures(u16::try_from(length).unwrap_or(u16::MAX))
    }

    /// The room of all columns where ids are whole once the names of figures are cut; `None` where
    /// that is not enough.
    fn room_of_ids(&self, ids: &[usize], width: usize) -> Option<Vec<Room>> {
        let room = |place| if ids.contains(&place) { Room::Whole } else { self.short_name(place) };
        let rooms: Vec<Room> = (0..self.names.len()).map(room).collect();
        let needs = rooms.iter().enumerate().map(|(place, room)| match room {
            Room::Whole => longest(&self.rows, &self.names, place) + GAP,
            Room::Figures(length) => usize::from(*length),
            Room::Rest => longest(&self.rows, &self.names, place).min(LITTLE_ROOM) + GAP,
        });
        (!ids.is_empty() && needs.sum::<usize>() <= width).then_some(rooms)
    }

    /// The columns of figures, and those others.
    fn whole(&self, is_whole: impl Fn(usize) -> bool) -> Vec<bool> {
        (0..self.names.len()).map(|place| self.figures[place] || is_whole(place)).collect()
    }

    /// Tells whether all columns have room in a width, where some are whole, and `least` of each
    /// other one.
    fn fits(&self, rows: &[Vec<String>], is_whole: &[bool], least: usize, width: usize) -> bool {
        let needs = is_whole.iter().enumerate().map(|(place, is_whole)| {
            let length = longest(rows, &self.names, place);
            if *is_whole { length + GAP } else { length.min(least) + GAP }
        });
        needs.sum::<usize>() <= width
    }

    /// Tells whether a column holds times and nothing else.
    fn is_times(&self, place: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(place));
        let mut cells = cells.filter(|cell| !matches!(cell.as_str(), "" | "-")).peekable();
        cells.peek().is_some() && cells.all(|cell| is_time(cell))
    }
}

/// A name as it stands above a column.
fn upper(name: &str) -> String {
    name.to_uppercase()
}

/// How long the longest cell of a column is, its name among them.
fn longest(rows: &[Vec<String>], names: &[String], place: usize) -> usize {
    let cells = rows.iter().map(|row| row.get(place));
    let cells = cells.chain([names.get(place)]).flatten();
    cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
}

/// Tells whether a text is a time or a day as it is printed.
fn is_time(text: &str) -> bool {
    let is_so =
        |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    ["0000-00-00T00:00:00Z", "0000-00-00"]
        .into_iter()
        .any(|form| text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_so))
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

/// Prints one thing's properties, a line each; on a terminal long ones go on below themselves.
pub(super) fn print_properties(
    out: &mut ForPeople<'_>,
    properties: &[(&str, String)],
) -> io::Result<()> {
    let width = properties.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in properties {
        print_prose(out, &format!("{name:width$}  "), value)?;
    }
    Ok(())
}

/// Prints a text behind words of its own. On a terminal a long one is broken between its words, and
/// goes on below itself; elsewhere it is one line.
pub(super) fn print_prose(out: &mut ForPeople<'_>, before: &str, text: &str) -> io::Result<()> {
    let text = escape(text);
    let width = out.screen.and_then(|screen| screen.width).map(usize::from);
    let room = width.and_then(|width| width.checked_sub(before.len()));
    let Some(room) = room.filter(|room| *room >= LEAST_PROSE) else {
        return writeln!(out, "{before}{text}");
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(room).unwrap_or(u16::MAX));
    table.add_row([text.as_ref()]);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 0));
    });
    for (number, line) in table.lines().enumerate() {
        let before = if number == 0 { before } else { &" ".repeat(before.len()) };
        writeln!(out, "{before}{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints what belongs to the line above, a label before each text. On a terminal a text goes on
/// below itself where the line ends.
pub(super) fn print_wrapped(out: &mut ForPeople<'_>, labelled: &[(&str, &str)]) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = out.screen.and_then(|screen| screen.width) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for (label, text) in labelled {
        table.add_row([format!("  {label}"), escape(text).into_owned()]);
    }
    if let Some(labels) = table.column_mut(0) {
        labels.set_constraint(ColumnConstraint::ContentWidth);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
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
    fn names_of_figures_are_cut_before_figures_are() {
        let names = ["project", "not asked#", "difference#"];
        let rows: [&[&str]; 1] = [&["a-long-project", "12345.75", "1"]];
        assert_eq!(printed(&names, &rows, Some(34))[0], "PROJECT    NOT ASKED  DIFFERENCE");
        let narrow = printed(&names, &rows, Some(28));
        assert_eq!(narrow, ["PROJECT   NOT ASK…  DIFFE…", "a-long-…  12345.75       1"]);
    }

    #[test]
    fn the_times_of_a_list_stay_whole_where_others_can_be_cut() {
        let at = "2026-11-01T12:00:00Z";
        let rows: [&[&str]; 1] = [&[at, "project-1", "1.5", at, "a long note of many words"]];
        let names = ["at", "project", "amount#", "recorded at", "note"];
        let shown = printed(&names, &rows, Some(50));
        assert!(shown[1].starts_with(at) && !shown[1][20..].contains(at), "{shown:?}");
        let shown = printed(&names, &rows, Some(80));
        assert_eq!(shown[1].matches(at).count(), 2, "{shown:?}");
    }

    #[test]
    fn ids_stay_whole_where_others_can_be_cut() {
        let id = "01a21b2fb94d75f0a8ada90232a88d82";
        let rows: [&[&str]; 1] = [&["project-with-a-long-name", id, "a long note of words"]];
        let names = ["project", "id!", "note"];
        let shown = printed(&names, &rows, Some(60));
        assert!(shown[1].contains(id) && shown[1].matches('…').count() == 2, "{shown:?}");
        // Where there is no room beside it, it is cut as any other.
        let shown = printed(&names, &rows, Some(40));
        assert_eq!(shown[1].matches('…').count(), 3, "{shown:?}");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let rows: [&[&str]; 2] = [&["東京", "1"], &["ab", "2"]];
        assert_eq!(printed(&["name", "n#"], &rows, None), ["NAME  N", "東京  1", "ab    2"]);
        let rows: [&[&str]; 1] = [&["東京東京東京東京", "1"]];
        assert_eq!(printed(&["name", "n#"], &rows, Some(12)), ["NAME     N", "東京東…  1"]);
    }
}
