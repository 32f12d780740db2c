//! Tables of a page: with a caption and headers, decimals aligned at the point, long ones folded.

use crate::billing::amount::Amount;
use crate::billing::escape::escape;
use maud::{Markup, html};
use std::cmp::Reverse;

/// Longer tables are folded, and their first rows by size stand above.
const FOLDED_OVER: usize = 30;
/// How many rows stand above a folded table.
const ABOVE: usize = 15;
/// The most rows that a table has; of more, a command tells.
const MOST_ROWS: usize = 2_000;
/// The widest room that is kept free behind a decimal, in digits.
const WIDEST: usize = 40;

/// What a cell shows.
pub(super) enum Cell {
    Text(String),
    /// A text on one line: a day, a time, a word.
    Short(String),
    /// A decimal, or a word in its place.
    Number(String),
    Drawn(Markup),
}

impl From<&Amount> for Cell {
    fn from(amount: &Amount) -> Self {
        Self::Number(amount.to_string())
    }
}

impl Cell {
    /// A decimal where there is one.
    pub(super) fn or_dash<T: ToString>(number: Option<T>) -> Self {
        Self::Number(number.map_or_else(|| "-".to_owned(), |number| number.to_string()))
    }

    /// A count.
    pub(super) fn count(count: impl ToString) -> Self {
        Self::Number(count.to_string())
    }
}

/// A row, and how large it is among the others.
struct GridRow {
    size: Amount,
    cells: Vec<Cell>,
}

/// A table.
pub(super) struct Grid {
    id: &'static str,
    caption: String,
    /// The columns; the names of those of decimals end in `#`.
    columns: Vec<String>,
    rows: Vec<GridRow>,
    /// Its last row: what the others add up to.
    total: Option<Vec<Cell>>,
    /// The command that lists all rows.
    command: String,
}

impl Grid {
    /// A table under an id that no other has. The first column names the row.
    pub(super) fn new(id: &'static str, caption: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let (caption, command) = (caption.into(), String::new());
        Self { id, caption, columns, rows: Vec::new(), total: None, command }
    }

    /// Names the command that lists all rows, where they are too many.
    pub(super) fn listed_by(mut self, command: String) -> Self {
        self.command = command;
        self
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.sized_row(Amount::default(), cells);
    }

    /// Adds a row that stands above a folded table if it is among the largest.
    pub(super) fn sized_row(&mut self, size: Amount, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(GridRow { size, cells: cells.into_iter().collect() });
    }

    /// Adds the last row.
    pub(super) fn total(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.total = Some(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table, in whole where it is short. Of a long one the largest rows stand open, and all of
    /// them are folded; on paper they are not.
    pub(super) fn shown(&self, what: &str) -> Markup {
        let count = self.rows.len();
        if count <= FOLDED_OVER {
            return self.whole();
        }
        let mut largest: Vec<&GridRow> = self.rows.iter().collect();
        largest.sort_by_key(|row| Reverse(&row.size));
        largest.truncate(ABOVE);
        let id = format!("{}-largest", self.id);
        let caption = format!("{}: the {ABOVE} largest of {count}", self.caption);
        html! {
            div.largest { (self.table(&id, &caption, &largest)) }
            details.printed {
                summary {
                    @if count > MOST_ROWS {
                        "The first " (MOST_ROWS) " of " (count) " " (what)
                    } @else {
                        "All " (count) " " (what)
                    }
                }
                (self.whole())
            }
        }
    }

    /// The same, folded however short it is; on paper always, or where it was opened.
    pub(super) fn folded(&self, summary: &str, is_printed: bool) -> Markup {
        html! {
            details.printed[is_printed] {
                summary { (summary) }
                (self.whole())
            }
        }
    }

    fn whole(&self) -> Markup {
        let rows: Vec<&GridRow> = self.rows.iter().take(MOST_ROWS).collect();
        let left_out = self.rows.len() - rows.len();
        html! {
            (self.table(self.id, &self.caption, &rows))
            @if left_out > 0 {
                p.more {
                    "The first " (MOST_ROWS) " rows; " (left_out) " more are left out here. "
                    code { "agora-vendor " (self.command) } " lists all of them."
                }
            }
        }
    }

    fn table(&self, id: &str, caption: &str, rows: &[&GridRow]) -> Markup {
        let all = || rows.iter().map(|row| &row.cells).chain(&self.total);
        let width = |place: usize| {
            let fractions = all().filter_map(|cells| match cells.get(place) {
                Some(Cell::Number(text)) => Some(fraction(text)),
                Some(Cell::Text(_) | Cell::Short(_) | Cell::Drawn(_)) | None => None,
            });
            fractions.max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        html! {
            div.scroll role="region" tabindex="0" aria-labelledby=(id) {
                table {
                    caption id=(id) { (caption) }
                    thead { tr { @for column in &self.columns { (header(column)) } } }
                    tbody { @for row in rows { (line(&row.cells, &widths)) } }
                    @if let Some(cells) = &self.total {
                        tfoot { (line(cells, &widths)) }
                    }
                }
            }
        }
    }
}

fn header(column: &str) -> Markup {
    match column.strip_suffix('#') {
        Some(name) => html! { th scope="col" { (name) } },
        None => html! { th.t scope="col" { (column) } },
    }
}

fn line(cells: &[Cell], widths: &[usize]) -> Markup {
    html! {
        tr {
            @for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
                @match cell {
                    Cell::Text(text) | Cell::Short(text) if place == 0 => {
                        th scope="row" { (escape(text)) }
                    }
                    Cell::Text(text) => td.t { (escape(text)) },
                    Cell::Short(text) => td.t.n { (escape(text)) },
                    Cell::Drawn(drawn) => td.t { (drawn) },
                    Cell::Number(text) if place == 0 => {
                        th.d scope="row" class=[room(text, *width)] { (text) }
                    }
                    Cell::Number(text) => td class=[room(text, *width)] { (text) },
                }
            }
        }
    }
}

/// How many characters a decimal has from its point on.
pub(super) fn fraction(text: &str) -> usize {
    text.find('.').map_or(0, |point| text.len() - point)
}

/// The class that keeps room behind a decimal, so that its point stands under the others'.
pub(super) fn room(text: &str, width: usize) -> Option<String> {
    let room = width.saturating_sub(fraction(text)).min(WIDEST);
    // A word has no point.
    let is_decimal = text.ends_with(|last: char| last.is_ascii_digit());
    (room > 0 && is_decimal).then(|| format!("p{room}"))
}

/// A count of things: `1 record`, `2 records`.
pub(super) fn counted(count: impl ToString, thing: &str) -> String {
    match count.to_string().as_str() {
        "1" => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

/// The rules of those classes.
pub(super) fn rooms() -> String {
    (1..=WIDEST).map(|room| format!(".p{room}{{--p:{room}ch}}")).collect()
}
