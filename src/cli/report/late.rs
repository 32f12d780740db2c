//! Late usage: what was recorded after Agora was told of its time, and waits to be told.

use crate::billing::id::ProjectId;
use crate::billing::statement::ListingKind;
use crate::cli::report::bill::BillPart;
use crate::cli::report::grid::{Cell, Grid};
use crate::cli::report::month::ReportMonth;
use crate::store::usage::UsageSum;
use crate::store::{self, ReadTx, late};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// What is late of the month.
pub(super) struct LatePart {
    usage: BTreeMap<ProjectId, UsageSum>,
    bill: BTreeMap<ProjectId, UsageSum>,
    /// Whether the month is over, was used, and has no kept bill: then nobody knows what is late
    /// for it.
    is_unknown: bool,
}

impl LatePart {
    pub(super) fn read(tx: &ReadTx<'_>, month: &ReportMonth) -> store::Result<Self> {
        let of = |kind| -> store::Result<BTreeMap<ProjectId, UsageSum>> {
            let late = late::by_month(tx, kind, month.period)?.into_iter();
            Ok(late.map(|((_, project_id), sum)| (project_id, sum)).collect())
        };
        let untold = late::untold_months(tx, ListingKind::Bill, month.period)?;
        Ok(Self {
            usage: of(ListingKind::Usage)?,
            bill: of(ListingKind::Bill)?,
            is_unknown: !untold.is_empty() && month.is_over(),
        })
    }

    /// How many projects have usage that is late, or money that waits.
    pub(super) fn projects(&self, bill: &BillPart) -> usize {
        self.ids(bill).len()
    }

    /// What is late for usage, of all projects; where Agora asks for bills alone, for the bill.
    pub(super) fn sum(&self) -> UsageSum {
        let late = if self.usage.is_empty() { &self.bill } else { &self.usage };
        late.values().fold(UsageSum::default(), |mut sum, one| {
            sum.add(one);
            sum
        })
    }

    fn ids(&self, bill: &BillPart) -> BTreeSet<ProjectId> {
        let late = self.usage.keys().chain(self.bill.keys());
        late.cloned().chain(bill.due().into_keys().cloned()).collect()
    }

    pub(super) fn section(&self, bill: &BillPart, month: &ReportMonth) -> Markup {
        let grid = self.grid(bill, month);
        html! {
            section #late aria-labelledby="late-title" {
                h2 #late-title { "Late usage" }
                p {
                    "What was recorded after Agora was told of its time, and Agora was never told. "
                    "What is due is in money: what " (month.words())
                    " costs and no bill has told."
                }
                @if grid.is_empty() {
                    p { "Nothing is late." }
                } @else {
                    (grid.shown("projects"))
                }
                @if self.is_unknown {
                    p {
                        "No bill of " (month.words()) " is kept: what is late for it is not known."
                    }
                }
            }
        }
    }

    fn grid(&self, bill: &BillPart, month: &ReportMonth) -> Grid {
        let columns = [
            "Project",
            "Customer",
            "Late for usage#",
            "Records#",
            "Late for the bill#",
            "Covered#",
            "Records#",
            "Due#",
        ];
        let caption = format!("Late usage of {}", month.words());
        let mut grid = Grid::new("late-table", caption, &columns)
            .listed_by(format!("statement late --month {} --csv", month.month));
        let due = bill.due();
        for id in self.ids(bill) {
            let (of_usage, of_bill) = (self.usage.get(&id), self.bill.get(&id));
            grid.row([
                Cell::Text(id.to_string()),
                Cell::Text(month.customer(month.owner(&id))),
                Cell::or_dash(of_usage.map(|late| &late.amount)),
                Cell::or_dash(of_usage.map(|late| late.records)),
                Cell::or_dash(of_bill.map(|late| &late.amount)),
                Cell::or_dash(of_bill.map(|late| &late.covered)),
                Cell::or_dash(of_bill.map(|late| late.records)),
                Cell::or_dash(due.get(&id)),
            ]);
        }
        grid
    }
}
