//! Licenses that were good in the month, and what was left of them from day to day.

use crate::billing::amount::Amount;
use crate::billing::license::{EntryKind, License};
use crate::billing::period::{self, Grain, Period};
use crate::cli::report::chart;
use crate::cli::report::grid::{Cell, Grid};
use crate::cli::report::month::ReportMonth;
use crate::store::license::{self, BalanceChange};
use crate::store::{self, ReadTx};
use maud::{Markup, html};

/// The licenses of the month.
pub(super) struct LicensePart {
    held: Vec<HeldLicense>,
}

/// A license in the month.
struct HeldLicense {
    license: License,
    /// What usage drew in the month, less what was given back.
    drawn: Amount,
    /// What became of its units; `None` where it is unlimited.
    units: Option<Units>,
}

/// What became of a license's units in the month, by when that was written.
struct Units {
    at_start: Amount,
    /// What else than usage added to it: granted, adjusted, consumed without usage.
    added: Amount,
    /// What was left at the end of each day that has begun.
    day_ends: Vec<Amount>,
}

impl HeldLicense {
    /// Follows what became of a license back from what is left now.
    fn read(tx: &ReadTx<'_>, license: License, month: &ReportMonth) -> store::Result<Self> {
        let mut changes = license::changes_since(tx, &license, month.first_s())?;
        changes.sort_by_key(|(at_s, ..)| *at_s);
        let balance = license.balance.as_ref();
        let mut left = balance.cloned().unwrap_or_default();
        let after: Vec<BalanceChange> =
            changes.split_off(changes.partition_point(|(at_s, ..)| *at_s <= month.period.last_s()));
        after.iter().for_each(|(.., amount)| left -= amount);
        let sum = |of_usage: bool| {
            let of = changes.iter().filter(|(_, kind, _)| is_usage(*kind) == of_usage);
            of.map(|(.., amount)| amount).sum::<Amount>()
        };
        let (drawn, added) = (-&sum(true), sum(false));
        let mut day_ends = Vec::new();
        for day in month.days_so_far().into_iter().rev() {
            let end_s = Grain::Day.after(day);
            while let Some((.., amount)) = changes.pop_if(|(at_s, ..)| *at_s >= end_s) {
                left -= &amount;
            }
            day_ends.push(left.clone());
        }
        changes.iter().for_each(|(.., amount)| left -= amount);
        day_ends.reverse();
        let units = balance.is_some().then_some(Units { at_start: left, added, day_ends });
        Ok(Self { license, drawn, units })
    }
}

impl Units {
    fn at_end(&self) -> &Amount {
        self.day_ends.last().unwrap_or(&self.at_start)
    }
}

fn is_usage(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Drawn | EntryKind::GivenBack)
}

impl LicensePart {
    pub(super) fn read(tx: &ReadTx<'_>, month: &ReportMonth) -> store::Result<Self> {
        let is_good = |good: Period| {
            good.first_s() <= month.period.last_s() && good.last_s() >= month.first_s()
        };
        let licenses = license::list(tx)?.into_iter();
        let good = licenses.filter(|license| license.good().is_some_and(is_good));
        let held: store::Result<_> = good.map(|one| HeldLicense::read(tx, one, month)).collect();
        Ok(Self { held: held? })
    }

    /// How many were good in the month.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    pub(super) fn section(&self, month: &ReportMonth) -> Markup {
        html! {
            section #licenses aria-labelledby="licenses-title" {
                h2 #licenses-title { "Licenses" }
                @if self.held.is_empty() {
                    p { "No license was good in " (month.words()) "." }
                } @else {
                    (self.left_chart(month))
                    (self.grid(month).shown("licenses"))
                    (self.by_day(month))
                }
            }
        }
    }

    /// What was left in all at the end of each day, of those that were good then.
    fn left_chart(&self, month: &ReportMonth) -> Markup {
        let days = month.days_so_far();
        let mut sums = vec![Amount::default(); days.len()];
        for HeldLicense { license, units, .. } in &self.held {
            let (Some(units), Some(good)) = (units, license.good()) else { continue };
            for ((sum, day), left) in sums.iter_mut().zip(&days).zip(&units.day_ends) {
                let end_s = (Grain::Day.after(*day) - 1).min(month.now_s);
                if (good.first_s()..=good.last_s()).contains(&end_s) {
                    *sum += left;
                }
            }
        }
        let (Some(first), Some(last)) = (sums.first(), sums.last()) else {
            return html! {};
        };
        if sums.iter().all(Amount::is_zero) {
            return html! {};
        }
        let day = |place: usize| period::date(days[place]);
        let words = format!(
            "What was left of all limited licenses at the end of each day, of those that were \
             good then: {first} on {}, {last} on {}.",
            day(0),
            day(days.len() - 1)
        );
        html! {
            figure {
                (chart::steps(&sums, &month.days(), &words))
                figcaption { (words) " The tables below have the figures." }
            }
        }
    }

    fn grid(&self, month: &ReportMonth) -> Grid {
        let has_types = self.held.iter().any(|held| held.license.kind.is_some());
        // What is left now is the end of a month that is not over.
        let now = month.is_over().then_some("Left now#");
        let mut columns = vec!["License", "Customer"];
        columns.extend(has_types.then_some("Type"));
        columns.extend(["Expires", "Count#", "Left at start#", "Added#", "Drawn#"]);
        columns.extend(["Left at end#", "By day"]);
        columns.extend(now);
        columns.push("State now");
        let caption = format!("Licenses in {}", month.words());
        let mut grid = Grid::new("licenses-table", caption, &columns)
            .listed_by("license list --csv".to_owned());
        let places = month.days().len();
        let unlimited = || Cell::Number("unlimited".to_owned());
        let number = |amount: Option<&Amount>| amount.map_or_else(unlimited, Cell::from);
        for HeldLicense { license, drawn, units } in &self.held {
            let units = units.as_ref();
            let kind = license.kind.as_ref().map_or("-".to_owned(), ToString::to_string);
            let drawing = units.map(|units| {
                let most = units.day_ends.iter().chain([&units.at_start]).max();
                chart::small(&units.day_ends, most, places)
            });
            let mut cells = vec![
                Cell::Text(license.id.to_string()),
                Cell::Text(month.customer(Some(&license.customer_id))),
            ];
            cells.extend(has_types.then_some(Cell::Text(kind)));
            cells.extend([
                Cell::Short(period::date(license.expires_at_s).to_string()),
                number(license.granted.as_ref()),
                number(units.map(|units| &units.at_start)),
                Cell::or_dash(units.map(|units| &units.added)),
                Cell::from(drawn),
                number(units.map(Units::at_end)),
                Cell::Drawn(drawing.unwrap_or_default()),
            ]);
            cells.extend(now.map(|_| number(license.balance.as_ref())));
            cells.push(Cell::Short(license.state(month.now_s).as_str().to_owned()));
            grid.sized_row(drawn.clone(), cells);
        }
        grid
    }

    /// What was left, on each day on which that changed.
    fn by_day(&self, month: &ReportMonth) -> Markup {
        let caption =
            format!("What was left of licenses, on days that changed it, {}", month.words());
        let mut grid = Grid::new("residues", caption, &["License", "Day", "Change#", "Left#"])
            .listed_by("license history LICENSE".to_owned());
        let days = month.days_so_far();
        for HeldLicense { license, units, .. } in &self.held {
            let Some(units) = units else { continue };
            let mut before = &units.at_start;
            for (day, left) in days.iter().zip(&units.day_ends) {
                if left != before {
                    grid.row([
                        Cell::Text(license.id.to_string()),
                        Cell::Short(period::date(*day).to_string()),
                        Cell::from(&(left - before)),
                        Cell::from(left),
                    ]);
                }
                before = left;
            }
        }
        if grid.is_empty() {
            return html! { p { "Nothing changed what was left of them in " (month.words()) "." } };
        }
        grid.folded("What was left, day by day, in figures", true)
    }
}
