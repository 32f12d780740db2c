//! What Agora was told of the month, and the days that it never asked for.

use crate::billing::asked::never_asked;
use crate::billing::month_elsewhere::MonthElsewhere;
use crate::billing::period::{self, Grain};
use crate::billing::statement::{ListingKind, Statement};
use crate::cli::moment::{self, rfc3339};
use crate::cli::report::chart::{self, DayMark};
use crate::cli::report::grid::{Cell, Grid};
use crate::cli::report::month::ReportMonth;
use crate::store::{self, ReadTx, statement};
use maud::{Markup, html};

/// What Agora was told.
pub(super) struct StatementPart {
    statements: Vec<Statement>,
    /// Each day of the month, and whether its usage was told.
    days: Vec<(i64, DayMark)>,
}

impl StatementPart {
    pub(super) fn read(tx: &ReadTx<'_>, month: &ReportMonth) -> store::Result<Self> {
        let statements = statement::list(tx, month.period, None)?;
        let of_usage = statements.iter().filter(|one| one.kind == ListingKind::Usage);
        let of_usage: Vec<Statement> = of_usage.cloned().collect();
        let missing = |now_s| never_asked(Grain::Day, &of_usage, month.first_s(), now_s);
        // What would be missing if all of it was over.
        let (missing_now, missing_ever) =
            (missing(month.now_s), missing(month.period.last_s() + 7 * period::DAY_S));
        let mark = |day: i64| {
            let is_among = |missing: &[i64]| missing.binary_search(&day).is_ok();
            if is_among(&missing_now) {
                DayMark::NotAsked
            } else if is_among(&missing_ever) {
                DayMark::NotOver
            } else {
                DayMark::Told
            }
        };
        let days = month.days().into_iter().map(|day| (day, mark(day))).collect();
        Ok(Self { statements, days })
    }

    /// The days that Agora never asked for, or not in whole.
    pub(super) fn never_asked(&self) -> Vec<i64> {
        let missing = self.days.iter().filter(|(_, mark)| *mark == DayMark::NotAsked);
        missing.map(|(day, _)| *day).collect()
    }

    /// How many days the month has.
    pub(super) fn days(&self) -> usize {
        self.days.len()
    }

    /// How many days were told.
    pub(super) fn told(&self) -> usize {
        self.days.iter().filter(|(_, mark)| *mark == DayMark::Told).count()
    }

    pub(super) fn section(&self, month: &ReportMonth) -> Markup {
        html! {
            section #statements aria-labelledby="statements-title" {
                h2 #statements-title { "Statements" }
                (self.strip(month))
                @if self.statements.is_empty() {
                    p { "Agora has asked for nothing of " (month.words()) " with a live key." }
                } @else {
                    (self.grid(month).shown("statements"))
                }
            }
        }
    }

    fn strip(&self, month: &ReportMonth) -> Markup {
        let (told, missing) = (self.told(), self.never_asked());
        let mut words = format!("Agora was told the usage of {told} of {} days", self.days.len());
        let not_over = self.days.len() - told - missing.len();
        if not_over > 0 {
            words += &format!("; {not_over} are not over, or over for a few hours alone");
        }
        words += ". ";
        if missing.is_empty() {
            words += "No day is missing.";
        } else {
            words += &format!("Never asked for, or not in whole: {}.", day_words(&missing));
        }
        let label = format!("Days of {} that were told", month.words());
        html! {
            figure {
                (chart::strip(&self.days, &label))
                figcaption {
                    span.key { span.swatch.full {} " told" }
                    span.key { span.swatch.none {} " not asked for" }
                    span.key { span.swatch.line {} " not over" }
                    (words)
                }
            }
        }
    }

    fn grid(&self, month: &ReportMonth) -> Grid {
        let caption = format!("Statements of {}", month.words());
        let columns = [
            "Number#",
            "Kind",
            "Window",
            "First asked",
            "Last asked",
            "Times#",
            "Entries#",
            "Total#",
            "Note",
        ];
        let mut grid = Grid::new("statements-table", caption, &columns)
            .listed_by(format!("statement list --month {} --csv", month.month));
        for one in &self.statements {
            let elsewhere = MonthElsewhere::of(one.kind, one.period).map(|month| month.to_string());
            let provisional = one.provisional.then(|| "provisional".to_owned());
            let notes: Vec<String> = provisional.into_iter().chain(elsewhere).collect();
            grid.row([
                Cell::count(one.seq),
                Cell::Short(one.kind.to_string()),
                Cell::Short(moment::window(one.period)),
                Cell::Short(rfc3339(one.first_asked_at_s)),
                Cell::Short(rfc3339(one.last_asked_at_s)),
                Cell::count(one.asked),
                Cell::count(one.total_size),
                Cell::from(&one.total),
                Cell::Text(notes.join(", ")),
            ]);
        }
        grid
    }
}

/// Days in words, those in a row as from the first to the last.
fn day_words(days: &[i64]) -> String {
    let rows = days.chunk_by(|day, next| Grain::Day.after(*day) == *next);
    let words = rows.map(|row| match (period::date(row[0]), period::date(row[row.len() - 1])) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    });
    words.collect::<Vec<_>>().join(", ")
}
