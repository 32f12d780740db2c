//! Usage by day and by project, as `totals` adds it up.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::period::{self, Grain};
use crate::cli::report::chart::{self, DayBar};
use crate::cli::report::grid::{Cell, Grid};
use crate::cli::report::month::ReportMonth;
use crate::store::usage::{self, UsageSum};
use crate::store::{self, ReadTx};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The most bytes that figures by day and project may take on the page; of more, a command tells.
const MOST_BYTES: usize = 1_000_000;
/// What a figure takes beside its digits.
const TAGS: usize = 20;
/// How many days stand beside each other in a table: as many as fit on paper.
const BESIDE: usize = 8;
/// The ids of their tables.
const PARTS: [&str; 4] = ["days-1", "days-2", "days-3", "days-4"];

/// What was used in the month.
pub(super) struct UsagePart {
    by_project: BTreeMap<ProjectId, UsageSum>,
    by_day: BTreeMap<i64, UsageSum>,
    by_both: BTreeMap<(i64, ProjectId), UsageSum>,
    /// The unit, where all of it has the same.
    unit: Option<String>,
    sum: UsageSum,
}

impl UsagePart {
    pub(super) fn read(tx: &ReadTx<'_>, month: &ReportMonth) -> store::Result<Self> {
        let by_project = usage::by_project(tx, month.period, None)?;
        let by_both = usage::by_stretch(tx, month.period, Grain::Day, None)?;
        let mut by_day: BTreeMap<i64, UsageSum> =
            month.days_so_far().into_iter().map(|day| (day, UsageSum::default())).collect();
        for ((day, _), sum) in &by_both {
            by_day.entry(*day).or_default().add(sum);
        }
        let mut sum = UsageSum::default();
        by_project.values().for_each(|one| sum.add(one));
        let of_plans = store::setting::read(tx)?.unit().to_string();
        let unit = |id: &ProjectId| match month.plan(id) {
            Some(plan) => plan.unit.to_string(),
            None => of_plans.clone(),
        };
        let mut units: BTreeSet<String> = by_project.keys().map(unit).collect();
        let unit = units.pop_first().filter(|_| units.is_empty());
        Ok(Self { by_project, by_day, by_both, unit, sum })
    }

    /// What all of it adds up to.
    pub(super) fn sum(&self) -> &UsageSum {
        &self.sum
    }

    /// The sum with its unit, where there is one.
    pub(super) fn unit(&self) -> &str {
        self.unit.as_deref().unwrap_or_default()
    }

    /// How many projects used anything.
    pub(super) fn projects(&self) -> usize {
        self.by_project.len()
    }

    pub(super) fn section(&self, month: &ReportMonth) -> Markup {
        html! {
            section #usage aria-labelledby="usage-title" {
                h2 #usage-title { "Usage" }
                @if self.by_project.is_empty() {
                    p { "Nothing was used in " (month.words()) "." }
                } @else {
                    (self.day_chart())
                    (self.day_table(month).folded("Usage by day, in figures", true))
                    h3 { "By project" }
                    (self.project_table(month).shown("projects"))
                    (self.both(month))
                }
            }
        }
    }

    fn day_chart(&self) -> Markup {
        let bars: Vec<DayBar> = self.by_day.iter().map(bar).collect();
        let most = self.by_day.iter().max_by_key(|(_, sum)| &sum.amount);
        let words = most.map_or_else(String::new, |(day, sum)| {
            let unit = Some(self.unit()).filter(|unit| !unit.is_empty());
            let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
            let days = self.by_day.values().filter(|sum| sum.records != 0).count();
            let day = period::date(*day);
            format!(
                "Usage on {days} of {} days. The most is {}{unit}, on {day}.",
                bars.len(),
                sum.amount
            )
        });
        html! {
            figure {
                (chart::days(&bars, &words))
                figcaption {
                    @if self.sum.covered.is_positive() {
                        span.key { span.swatch.full {} " charged, or free" }
                        span.key { span.swatch.light {} " covered by licenses" }
                    }
                    (words) " The table below has the figures."
                }
            }
        }
    }

    fn day_table(&self, month: &ReportMonth) -> Grid {
        let caption = format!("Usage by day, {}", month.words());
        let mut grid = Grid::new("by-day", caption, &["Day", "Usage#", "Covered#", "Records#"]);
        for (day, sum) in &self.by_day {
            grid.row([
                Cell::Short(period::date(*day).to_string()),
                Cell::from(&sum.amount),
                Cell::from(&sum.covered),
                Cell::count(sum.records),
            ]);
        }
        grid.total(total(&self.sum, 0));
        grid
    }

    fn project_table(&self, month: &ReportMonth) -> Grid {
        let caption = format!("Usage by project, {}", month.words());
        let columns = ["Project", "Customer", "Usage#", "Covered#", "Records#", "By day"];
        let mut grid = Grid::new("by-project", caption, &columns)
            .listed_by(format!("totals --month {}", month.month));
        let days = month.days();
        let mut by_day: BTreeMap<&ProjectId, Vec<Amount>> = BTreeMap::new();
        for ((day, project_id), sum) in &self.by_both {
            let places =
                by_day.entry(project_id).or_insert_with(|| vec![Amount::default(); days.len()]);
            if let Ok(place) = days.binary_search(day) {
                places[place] = sum.amount.clone();
            }
        }
        for (project_id, sum) in &self.by_project {
            let amounts = by_day.remove(project_id).unwrap_or_default();
            let most = (1..).zip(&amounts).max_by_key(|(_, amount)| *amount).map(|(day, _)| day);
            let most: usize = most.unwrap_or_default();
            let drawn = html! {
                (chart::small(&amounts, None, days.len()))
                span.v { "most on day " (most) }
            };
            grid.sized_row(
                sum.amount.clone(),
                [
                    Cell::Text(project_id.to_string()),
                    Cell::Text(month.customer(month.owner(project_id))),
                    Cell::from(&sum.amount),
                    Cell::from(&sum.covered),
                    Cell::count(sum.records),
                    Cell::Drawn(drawn),
                ],
            );
        }
        let drawn = Cell::Drawn(html! {});
        grid.total(total(&self.sum, 1).into_iter().chain([drawn]));
        grid
    }

    /// Every figure by day and project, some days beside each other.
    fn both(&self, month: &ReportMonth) -> Markup {
        let command = format!("totals --month {} --by project,day", month.month);
        let bytes = self.by_both.values().map(|sum| sum.amount.to_string().len() + TAGS);
        if bytes.sum::<usize>() > MOST_BYTES {
            return html! {
                p.more {
                    "Usage by day and project has " (self.by_both.len()) " figures: "
                    code { "agora-vendor " (command) " --csv" } " lists them."
                }
            };
        }
        let days = month.days();
        html! {
            h3 { "By project and day" }
            @for (id, days) in PARTS.into_iter().zip(days.chunks(BESIDE)) {
                (self.both_table(id, days, month, &command))
            }
        }
    }

    fn both_table(
        &self,
        id: &'static str,
        days: &[i64],
        month: &ReportMonth,
        command: &str,
    ) -> Markup {
        let number = |day: &i64| period::date(*day).day();
        let (first, last) = (number(&days[0]), number(&days[days.len() - 1]));
        let words = format!("days {first} to {last}");
        let caption = format!("Usage by project, {}, {words}", month.words());
        let mut columns = vec!["Project".to_owned()];
        columns.extend(days.iter().map(|day| format!("{}#", number(day))));
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut grid = Grid::new(id, caption, &columns).listed_by(command.to_owned());
        let mut rows: BTreeMap<&ProjectId, Vec<String>> = BTreeMap::new();
        let seconds: Range<i64> = days[0]..Grain::Day.after(days[days.len() - 1]);
        for ((day, project_id), sum) in &self.by_both {
            if seconds.contains(day) {
                let row = rows.entry(project_id).or_insert_with(|| vec![String::new(); days.len()]);
                if let Ok(place) = days.binary_search(day) {
                    row[place] = sum.amount.to_string();
                }
            }
        }
        for (project_id, row) in rows {
            let cells = row.into_iter().map(Cell::Number);
            grid.row(std::iter::once(Cell::Text(project_id.to_string())).chain(cells));
        }
        let sum = |day: &i64| self.by_day.get(day).map(|sum| sum.amount.to_string());
        let sums = days.iter().map(|day| Cell::Number(sum(day).unwrap_or_default()));
        grid.total(std::iter::once(Cell::Text("total".to_owned())).chain(sums));
        if grid.is_empty() {
            return html! { p { "Nothing was used on " (words) "." } };
        }
        grid.folded(&format!("Usage by project, {words}"), false)
    }
}

fn bar((day_s, sum): (&i64, &UsageSum)) -> DayBar {
    DayBar { day_s: *day_s, amount: sum.amount.clone(), lighter: sum.covered.clone() }
}

/// The last row of a table; so many columns stand between its name and the sums.
fn total(sum: &UsageSum, between: usize) -> Vec<Cell> {
    let mut cells = vec![Cell::Text("total".to_owned())];
    cells.extend((0..between).map(|_| Cell::Text(String::new())));
    cells.extend([Cell::from(&sum.amount), Cell::from(&sum.covered), Cell::count(sum.records)]);
    cells
}
