//! The month's bill, as Agora would be told it now: by project with its lines, by customer, and
//! what was told already.

use crate::billing::adjustment::month_of;
use crate::billing::amount::Amount;
use crate::billing::bill::{self, Bill, BillEntry, ProjectUsage};
use crate::billing::escape::escape;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period;
use crate::billing::statement::{ListingKind, Statement};
use crate::cli::bill::lines;
use crate::cli::moment;
use crate::cli::report::chart;
use crate::cli::report::grid::{Cell, Grid, fraction, room};
use crate::cli::report::month::ReportMonth;
use crate::store::balance::{self, Balance};
use crate::store::{self, ReadTx, statement};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The month's bill.
pub(super) struct BillPart {
    bill: Bill,
    /// The newest kept bill of the month.
    told: Option<Statement>,
    /// The balances of the month, where a bill of it is kept.
    balances: BTreeMap<ProjectId, Balance>,
}

/// What a customer used and is charged.
#[derive(Default)]
struct CustomerSum {
    projects: usize,
    usage: Amount,
    covered: Amount,
    amount: Amount,
}

impl BillPart {
    pub(super) fn read(tx: &ReadTx<'_>, month: &ReportMonth) -> store::Result<Self> {
        let pricing = &month.pricing;
        let standings = balance::dues(tx, month.period, None, pricing)?;
        let basis = pricing.basis(tx, month.period, None)?;
        let bills = statement::list(tx, month.period, Some(ListingKind::Bill))?;
        let is_of_month = |bill: &Statement| month_of(bill.period) == Some(month.first_s());
        let told = bills.into_iter().rfind(is_of_month);
        let balances = match &told {
            Some(_) => balance::now(tx, pricing, month.first_s(), None)?,
            None => BTreeMap::new(),
        };
        Ok(Self { bill: bill::bill_adjusted(basis, standings), told, balances })
    }

    pub(super) fn total(&self) -> Amount {
        self.bill.total()
    }

    /// How many projects could not be priced.
    pub(super) fn unpriced(&self) -> usize {
        self.bill.unpriced.len()
    }

    /// What the month costs and no bill told, in money.
    pub(super) fn due(&self) -> BTreeMap<&ProjectId, Amount> {
        let due = |balance: &Balance| balance.due.clone().filter(|due| !due.is_zero());
        self.balances.iter().filter_map(|(id, balance)| Some((id, due(balance)?))).collect()
    }

    /// What became of the month's bill, in words.
    pub(super) fn told_words(&self, month: &ReportMonth) -> String {
        let Some(told) = &self.told else {
            return if month.is_over() {
                "Agora has not asked for it yet".to_owned()
            } else {
                "so far: the month is not over".to_owned()
            };
        };
        let later: Amount = self.balances.values().map(|balance| &balance.adjusted).sum();
        let day = period::date(told.first_asked_at_s);
        let mut words = format!("told {} on {day} in statement {}", told.total, told.seq);
        if !later.is_zero() {
            words += &format!("; {later} more in later bills");
        }
        if !month.is_over() {
            words += "; the month is not over";
        }
        words
    }

    pub(super) fn section(&self, month: &ReportMonth) -> Markup {
        html! {
            section #bill aria-labelledby="bill-title" {
                h2 #bill-title { "Bill" }
                p {
                    "What Agora would be told of " (month.words()) " now: "
                    strong { (self.total()) } " in the currency agreed with Agora. "
                    "What became of it: " (self.told_words(month)) "."
                }
                h3 { "By customer" }
                (self.customers(month).shown("customers"))
                h3 { "By project" }
                @if self.bill.entries.is_empty() {
                    p { "No project is charged." }
                } @else {
                    (self.charges(month).shown("projects"))
                }
                (self.adjustments(month))
                (self.left_out(month))
            }
        }
    }

    fn charges(&self, month: &ReportMonth) -> Grid {
        let caption = format!("Bill by project, {}", month.words());
        let columns = ["Project", "Customer", "Usage#", "Covered#", "Amount#", "What for"];
        let mut grid = Grid::new("charges", caption, &columns)
            .listed_by(format!("bill --month {} --csv", month.month));
        for entry in self.bill.entries.iter().filter(|entry| !entry.amount.is_zero()) {
            let usage = &entry.usage;
            grid.sized_row(
                entry.amount.clone(),
                [
                    Cell::Text(usage.project_id.to_string()),
                    Cell::Text(month.customer(month.owner(&usage.project_id))),
                    Cell::from(&usage.amount),
                    Cell::from(&usage.covered),
                    Cell::from(&entry.amount),
                    what_for(entry),
                ],
            );
        }
        let nothing = || Cell::Text(String::new());
        grid.total([
            Cell::Text("total".to_owned()),
            nothing(),
            nothing(),
            nothing(),
            Cell::from(&self.total()),
            nothing(),
        ]);
        grid
    }

    fn customers(&self, month: &ReportMonth) -> Grid {
        let mut sums: BTreeMap<Option<&CustomerId>, CustomerSum> = BTreeMap::new();
        let mut add = |usage: &ProjectUsage, amount: &Amount| {
            let sum = sums.entry(month.owner(&usage.project_id)).or_default();
            sum.projects += 1;
            sum.usage += &usage.amount;
            sum.covered += &usage.covered;
            sum.amount += amount;
        };
        for entry in self.bill.entries.iter().chain(&self.bill.uncharged) {
            add(&entry.usage, &entry.amount);
        }
        self.bill.unpriced.iter().for_each(|one| add(&one.usage, &Amount::default()));
        let caption = format!("Usage and bill by customer, {}", month.words());
        let columns =
            ["Customer", "Projects#", "Usage#", "Covered#", "Amount#", "Part of the bill"];
        let mut grid = Grid::new("customers", caption, &columns)
            .listed_by(format!("bill --month {} --csv", month.month));
        let most = sums.values().map(|sum| &sum.amount).max().cloned().unwrap_or_default();
        let mut whole = CustomerSum::default();
        for (customer_id, sum) in sums {
            whole.projects += sum.projects;
            whole.usage += &sum.usage;
            whole.covered += &sum.covered;
            grid.sized_row(
                sum.amount.clone(),
                [
                    Cell::Text(month.customer(customer_id)),
                    Cell::count(sum.projects),
                    Cell::from(&sum.usage),
                    Cell::from(&sum.covered),
                    Cell::from(&sum.amount),
                    Cell::Drawn(chart::bar(&sum.amount, &most)),
                ],
            );
        }
        grid.total([
            Cell::Text("total".to_owned()),
            Cell::count(whole.projects),
            Cell::from(&whole.usage),
            Cell::from(&whole.covered),
            Cell::from(&self.total()),
            Cell::Text(String::new()),
        ]);
        grid
    }

    /// What the bill tells of earlier months.
    fn adjustments(&self, month: &ReportMonth) -> Markup {
        let caption = format!("Adjustments of earlier months in the bill of {}", month.words());
        let columns = ["Month", "Project", "Customer", "Amount#", ""];
        let mut grid = Grid::new("adjustments", caption, &columns[..4])
            .listed_by(format!("bill --month {} --json", month.month));
        let mut sum = Amount::default();
        for entry in &self.bill.entries {
            for one in &entry.adjustments {
                sum += &one.amount;
                let project_id = &entry.usage.project_id;
                grid.row([
                    Cell::Short(moment::month(one.month_s)),
                    Cell::Text(project_id.to_string()),
                    Cell::Text(month.customer(month.owner(project_id))),
                    Cell::from(&one.amount),
                ]);
            }
        }
        if grid.is_empty() {
            return html! {};
        }
        let nothing = || Cell::Text(String::new());
        grid.total([Cell::Text("total".to_owned()), nothing(), nothing(), Cell::from(&sum)]);
        html! {
            h3 { "Of earlier months" }
            (grid.shown("adjustments"))
        }
    }

    /// Projects that Agora is told nothing of.
    fn left_out(&self, month: &ReportMonth) -> Markup {
        let caption = "Without a price, and so left out of what Agora is told";
        let columns = ["Project", "Customer", "Usage#", "Covered#", "Why"];
        let mut unpriced = Grid::new("unpriced", caption, &columns)
            .listed_by(format!("bill --month {} --json", month.month));
        for one in &self.bill.unpriced {
            let why = format!("the plan {} is not set up", one.missing_plan);
            unpriced.row(usage_cells(&one.usage, month).chain([Cell::Text(why)]));
        }
        let caption = "Without a charge: free, covered by licenses, or taken off by adjustments";
        let mut uncharged = Grid::new("uncharged", caption, &columns[..4])
            .listed_by(format!("bill --month {} --json", month.month));
        // What was told too much of an earlier month may leave nothing to charge.
        let offset = self.bill.entries.iter().filter(|entry| entry.amount.is_zero());
        let mut without: Vec<&ProjectUsage> =
            self.bill.uncharged.iter().chain(offset).map(|entry| &entry.usage).collect();
        without.sort_unstable_by(|a, b| a.project_id.cmp(&b.project_id));
        without.into_iter().for_each(|usage| uncharged.row(usage_cells(usage, month)));
        html! {
            @if !unpriced.is_empty() {
                h3 #without-a-price { "Without a price" }
                (unpriced.shown("projects"))
            }
            @if !uncharged.is_empty() {
                h3 { "Without a charge" }
                (uncharged.shown("projects"))
            }
        }
    }
}

fn usage_cells(usage: &ProjectUsage, month: &ReportMonth) -> impl Iterator<Item = Cell> {
    [
        Cell::Text(usage.project_id.to_string()),
        Cell::Text(month.customer(month.owner(&usage.project_id))),
        Cell::from(&usage.amount),
        Cell::from(&usage.covered),
    ]
    .into_iter()
}

/// What an entry's amount is made of: its description, or each line with its amount.
fn what_for(entry: &BillEntry) -> Cell {
    let lines = lines(entry);
    if lines.len() < 2 {
        return Cell::Drawn(html! { span.for { (escape(&entry.description)) } });
    }
    let lines: Vec<(String, String)> =
        lines.into_iter().map(|line| (line.description, line.amount.to_string())).collect();
    let width = lines.iter().map(|(_, amount)| fraction(amount)).max().unwrap_or_default();
    Cell::Drawn(html! {
        ul.lines {
            @for (words, amount) in &lines {
                li {
                    span { (escape(words)) }
                    " "
                    b class=[room(amount, width)] { (amount) }
                }
            }
        }
    })
}
