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
    /// What became of its units; `None` where it is unlimited.
    units: Option<Units>,
}

/// What became of a license's units in the month, by when that was written.
struct Units {
    at_start: Amount,
    /// What usage drew, less what was given back.
    drawn: Amount,
    /// What else was added to it: granted, adjusted, consumed without usage.
    otherwise: Amount,
    /// What was left at the end of each day that has begun.
    day_ends: Vec<Amount>,
}

impl Units {
    /// Follows the units back from what is left now.
    fn new(balance: &Amount, mut changes: Vec<BalanceChange>, month: &ReportMonth) -> Self {
        changes.sort_by_key(|(at_s, ..)| *at_s);
        let mut left = balance.clone();
        let (mut drawn, mut otherwise) = (Amount::default(), Amount::default());
        let mut day_ends = Vec::new();
        for day in month.days_so_far().into_iter().rev() {
            let end_s = Grain::Day.after(day);
            while let Some((_, kind, amount)) = changes.pop_if(|(at_s, ..)| *at_s >= end_s) {
                left -= &amount;
                if end_s <= month.period.last_s() {
                    *(if is_usage(kind) { &mut drawn } else { &mut otherwise }) += &amount;
                }
            }
            day_ends.push(left.clone());
        }
        for (_, kind, amount) in changes {
            left -= &amount;
            *(if is_usage(kind) { &mut drawn } else { &mut otherwise }) += &amount;
        }
        day_ends.reverse();
        Self { at_start: left, drawn: -&drawn, otherwise, day_ends }
    }

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
        let mut held = Vec::new();
        for license in license::list(tx)?.into_iter().filter(|one| one.good().is_some_and(is_good))
        {
            let units = match &license.balance {
                Some(balance) => {
                    let changes = license::changes_since(tx, &license, month.first_s())?;
                    Some(Units::new(balance, changes, month))
                }
                None => None,
            };
            held.push(HeldLicense { license, units });
        }
        Ok(Self { held })
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
        for HeldLicense { license, units } in &self.held {
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
        let columns = [
            "License",
            "Customer",
            "Type",
            "Expires",
            "Count#",
            "Left at start#",
            "Added#",
            "Drawn#",
            "Left at end#",
            "By day",
            "Left now#",
            "State now",
        ];
        let caption = format!("Licenses in {}", month.words());
        let mut grid = Grid::new("licenses-table", caption, &columns)
            .listed_by("license list --csv".to_owned());
        let unlimited = || Cell::Number("unlimited".to_owned());
        let number = |amount: Option<&Amount>| amount.map_or_else(unlimited, Cell::from);
        let places = month.days().len();
        for HeldLicense { license, units } in &self.held {
            let of = |amount: fn(&Units) -> &Amount| number(units.as_ref().map(amount));
            let drawn = units.as_ref().map(|units| &units.drawn);
            let most = units.as_ref().map(|units| most(&units.at_start, &units.day_ends));
            let by_day = units.as_ref().map_or_else(Vec::new, |units| units.day_ends.clone());
            grid.sized_row(
                drawn.cloned().unwrap_or_default(),
                [
                    Cell::Text(license.id.to_string()),
                    Cell::Text(month.customer(Some(&license.customer_id))),
                    Cell::Text(license.kind.as_ref().map_or("-".to_owned(), ToString::to_string)),
                    Cell::Text(period::date(license.expires_at_s).to_string()),
                    number(license.granted.as_ref()),
                    of(|units| &units.at_start),
                    of(|units| &units.otherwise),
                    of(|units| &units.drawn),
                    of(Units::at_end),
                    Cell::Drawn(chart::small(&by_day, most.as_ref(), places)),
                    number(license.balance.as_ref()),
                    Cell::Text(license.state(month.now_s).as_str().to_owned()),
                ],
            );
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
        for HeldLicense { license, units } in &self.held {
            let Some(units) = units else { continue };
            let mut before = &units.at_start;
            for (day, left) in days.iter().zip(&units.day_ends) {
                if left != before {
                    grid.row([
                        Cell::Text(license.id.to_string()),
                        Cell::Text(period::date(*day).to_string()),
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
        grid.folded("What was left, day by day, in figures")
    }
}

fn most(at_start: &Amount, day_ends: &[Amount]) -> Amount {
    day_ends.iter().chain([at_start]).max().cloned().unwrap_or_default()
}
