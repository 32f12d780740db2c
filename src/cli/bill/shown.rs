//! A bill as it is printed: its JSON document, its rows, and its tables.

use crate::billing::amount::Amount;
use crate::billing::bill::{self, Bill};
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::plan;
use crate::billing::setting::LatePolicy;
use crate::cli::bill::explained::BillExplanation;
use crate::cli::bill::told::{self, BillingState, MonthAmount};
use crate::cli::json::exact;
use crate::cli::moment::Month;
use crate::cli::table::{Columns, or_dash, print_prose};
use crate::cli::visible::ForPeople;
use crate::store::balance::StatedMonth;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;

/// What the rows of a bill are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BillBy {
    Project,
    Customer,
}

/// The keys of a project's row, as CSV has them; lists are JSON there.
pub(super) const BY_PROJECT: [&str; 14] = [
    "projectId",
    "customerId",
    "amount",
    "description",
    "usage",
    "covered",
    "lines",
    "adjustments",
    "adjustedBy",
    "told.statement",
    "told.at",
    "told.amount",
    "due",
    "reason",
];

/// The keys of a customer's row, as CSV has them.
pub(super) const BY_CUSTOMER: [&str; 8] =
    ["customerId", "name", "projects", "amount", "projectId", "usage", "covered", "reason"];

/// What a bill is shown from.
pub(super) struct BillParts<'a> {
    pub(super) bill: &'a Bill,
    pub(super) told: Option<&'a StatedMonth>,
    pub(super) customers: &'a BTreeMap<ProjectId, CustomerId>,
    pub(super) names: &'a BTreeMap<CustomerId, String>,
    pub(super) late: LatePolicy,
    pub(super) explained: Option<&'a BillExplanation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BillView<'a> {
    month: String,
    over: bool,
    rows: BillRows<'a>,
    uncharged: Vec<UnchargedRow<'a>>,
    unpriced: Vec<UnpricedRow<'a>>,
    #[serde(serialize_with = "exact")]
    total: Amount,
    #[serde(flatten)]
    telling: BillingState,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<&'a BillExplanation>,
    #[serde(skip)]
    told_words: Option<String>,
    #[serde(skip)]
    names: &'a BTreeMap<CustomerId, String>,
}

/// The rows of a bill, by what was asked for.
#[derive(Serialize)]
#[serde(untagged)]
enum BillRows<'a> {
    Project(Vec<ChargeRow<'a>>),
    Customer(Vec<CustomerRow<'a>>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChargeRow<'a> {
    project_id: &'a str,
    customer_id: Option<&'a str>,
    #[serde(serialize_with = "exact")]
    amount: &'a Amount,
    description: &'a str,
    #[serde(serialize_with = "exact")]
    usage: &'a Amount,
    #[serde(serialize_with = "exact")]
    covered: &'a Amount,
    /// They add up to the amount.
    lines: Vec<LineView>,
    /// What of it is of earlier months.
    adjustments: Vec<MonthAmount>,
    #[serde(flatten)]
    telling: BillingState,
    /// Whether it repeats the bill before: later bills tell all that has changed since that one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    as_told: bool,
}

/// What a customer's projects are charged.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CustomerRow<'a> {
    /// Null: projects that are nobody's.
    customer_id: Option<&'a str>,
    name: Option<&'a str>,
    /// How many of them the bill charges.
    projects: usize,
    #[serde(serialize_with = "exact")]
    amount: Amount,
}

/// A project that is charged nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnchargedRow<'a> {
    project_id: &'a str,
    customer_id: Option<&'a str>,
    #[serde(serialize_with = "exact")]
    usage: Amount,
    #[serde(serialize_with = "exact")]
    covered: Amount,
    /// They add up to zero.
    lines: Vec<LineView>,
    /// What of it is of earlier months.
    adjustments: Vec<MonthAmount>,
    #[serde(flatten)]
    telling: BillingState,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct LineView {
    #[serde(serialize_with = "exact")]
    quantity: Amount,
    #[serde(serialize_with = "exact")]
    price: Amount,
    #[serde(serialize_with = "exact")]
    pub(in crate::cli) amount: Amount,
    pub(in crate::cli) description: String,
}

impl LineView {
    fn once(amount: Amount, description: String) -> Self {
        Self { quantity: Amount::from(1), price: amount.clone(), amount, description }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnpricedRow<'a> {
    project_id: &'a str,
    customer_id: Option<&'a str>,
    /// The usage that has no price.
    #[serde(serialize_with = "exact")]
    amount: Amount,
    #[serde(serialize_with = "exact")]
    usage: &'a Amount,
    #[serde(serialize_with = "exact")]
    covered: &'a Amount,
    plan_id: &'a str,
    reason: String,
    #[serde(flatten)]
    telling: BillingState,
}

impl<'a> BillView<'a> {
    pub(super) fn new(month: Month, by: BillBy, over: bool, parts: BillParts<'a>) -> Self {
        let telling = BillingState::of_all(parts.told);
        let words = |told| told::words(told, &telling, parts.late);
        Self {
            month: month.to_string(),
            over,
            rows: match by {
                BillBy::Project => BillRows::Project(parts.rows()),
                BillBy::Customer => BillRows::Customer(parts.customer_rows()),
            },
            uncharged: parts.uncharged(),
            unpriced: parts.unpriced(),
            total: parts.bill.total(),
            told_words: parts.told.and_then(words),
            telling,
            explain: parts.explained,
            names: parts.names,
        }
    }

    /// The rows by project, if they are.
    pub(super) fn by_project(&self) -> &[ChargeRow<'a>] {
        if let BillRows::Project(rows) = &self.rows { rows } else { &[] }
    }

    /// The rows as CSV has them: also the projects that are left out of what Agora is told.
    pub(super) fn csv_rows(&self) -> io::Result<Vec<Value>> {
        let rows: Result<Vec<Value>, _> = match &self.rows {
            BillRows::Project(rows) => rows.iter().map(serde_json::to_value).collect(),
            BillRows::Customer(rows) => rows.iter().map(serde_json::to_value).collect(),
        };
        let mut rows = rows?;
        for row in &self.uncharged {
            rows.push(self.left_out(row, row.customer_id, Amount::default().to_string().into())?);
        }
        for row in &self.unpriced {
            // In the other rows it is money.
            rows.push(self.left_out(row, row.customer_id, Value::Null)?);
        }
        Ok(rows)
    }

    /// A row of CSV of a project that is left out: among customers it counts as no project of
    /// theirs that the bill charges.
    fn left_out(
        &self,
        row: &impl Serialize,
        customer_id: Option<&str>,
        amount: Value,
    ) -> io::Result<Value> {
        let mut row = serde_json::to_value(row)?;
        row["amount"] = amount;
        row["projects"] = 0.into();
        row["name"] = customer_id.and_then(|id| self.names.get(id)).map(String::as_str).into();
        Ok(row)
    }

    pub(super) fn print(&self, out: &mut ForPeople<'_>) -> io::Result<()> {
        let Self { month, told_words, .. } = self;
        if !self.over {
            writeln!(out, "{month} is not over: the amounts are as of now")?;
        }
        match told_words {
            Some(words) => {
                print_prose(out, "", words)?;
                writeln!(out)?;
            }
            None if self.over => writeln!(out, "{month} is over, and no bill of it is kept\n")?,
            None => writeln!(out)?,
        }
        match &self.rows {
            BillRows::Project(rows) => print_charges(out, rows, &self.total)?,
            BillRows::Customer(rows) => print_customers(out, rows, &self.total)?,
        }
        self.print_changed(out)?;
        print_uncharged(out, &self.uncharged)?;
        print_unpriced(out, &self.unpriced)?;
        self.explain.map_or(Ok(()), |explained| explained.print(out))
    }

    /// The projects of which later bills told something, or something is due.
    fn print_changed(&self, out: &mut ForPeople<'_>) -> io::Result<()> {
        let rows = self.by_project().iter().map(|row| (row.project_id, &row.telling));
        let uncharged = self.uncharged.iter().map(|row| (row.project_id, &row.telling));
        let unpriced = self.unpriced.iter().map(|row| (row.project_id, &row.telling));
        let mut changed: Vec<(&str, &BillingState)> =
            rows.chain(uncharged).chain(unpriced).filter(|(_, one)| one.is_changed()).collect();
        if changed.is_empty() || matches!(self.rows, BillRows::Customer(_)) {
            return Ok(());
        }
        changed.sort_unstable_by_key(|(id, _)| *id);
        writeln!(out, "\nChanged since it was told:")?;
        let mut columns = Columns::new(&["project!", "told#", "later bills#", "due#"]);
        for (project_id, BillingState { adjusted_by, told, due }) in changed {
            let later: Amount = adjusted_by.iter().map(|one| &one.amount).sum();
            columns.row([
                project_id.to_owned(),
                or_dash(told.as_ref().map(|told| &told.amount)),
                later.to_string(),
                or_dash(due.as_ref()),
            ]);
        }
        columns.print(out)
    }
}

impl UnchargedRow<'_> {
    /// Tells whether something would be charged, but for what bills of other months told.
    fn is_offset(&self) -> bool {
        self.lines.iter().any(|line| !line.amount.is_zero())
    }
}

impl<'a> BillParts<'a> {
    fn customer_of(&self, id: &ProjectId) -> Option<&'a str> {
        self.customers.get(id).map(CustomerId::as_str)
    }

    fn charged(&self) -> impl Iterator<Item = &'a bill::BillEntry> {
        self.bill.entries.iter().filter(|entry| !entry.amount.is_zero())
    }

    fn rows(&self) -> Vec<ChargeRow<'a>> {
        let row = |entry: &'a bill::BillEntry| ChargeRow {
            project_id: entry.usage.project_id.as_str(),
            customer_id: self.customer_of(&entry.usage.project_id),
            amount: &entry.amount,
            description: &entry.description,
            usage: &entry.usage.amount,
            covered: &entry.usage.covered,
            lines: lines(entry),
            adjustments: adjustments(entry),
            telling: BillingState::of(self.told, &entry.usage.project_id),
            as_told: entry.is_as_told(),
        };
        self.charged().map(row).collect()
    }

    fn customer_rows(&self) -> Vec<CustomerRow<'a>> {
        let mut sums: BTreeMap<Option<&'a CustomerId>, (usize, Amount)> = BTreeMap::new();
        for entry in self.charged() {
            let customer_id = self.customers.get(&entry.usage.project_id);
            let (projects, amount) = sums.entry(customer_id).or_default();
            *projects += 1;
            *amount += &entry.amount;
        }
        let row = |(customer_id, (projects, amount)): (Option<&'a CustomerId>, _)| CustomerRow {
            customer_id: customer_id.map(CustomerId::as_str),
            name: customer_id.and_then(|id| self.names.get(id)).map(String::as_str),
            projects,
            amount,
        };
        sums.into_iter().map(row).collect()
    }

    /// The projects that Agora is told nothing of, since they are charged nothing: those that used
    /// something, and those that it was told of before.
    fn uncharged(&self) -> Vec<UnchargedRow<'a>> {
        // What was told too much of an earlier month may leave nothing to charge.
        let offset = self.bill.entries.iter().filter(|entry| entry.amount.is_zero());
        let entries = self.bill.uncharged.iter().chain(offset);
        let mut uncharged: BTreeMap<&'a ProjectId, UnchargedRow<'a>> = entries
            .map(|entry| {
                (&entry.usage.project_id, self.uncharged_row(&entry.usage.project_id, Some(entry)))
            })
            .collect();
        let charged: Vec<&ProjectId> =
            self.charged().map(|entry| &entry.usage.project_id).collect();
        let unpriced: Vec<&ProjectId> =
            self.bill.unpriced.iter().map(|unpriced| &unpriced.usage.project_id).collect();
        for (id, told) in self.told.iter().flat_map(|told| &told.projects) {
            let was_told = told.amount.as_ref().is_some_and(|amount| !amount.is_zero());
            let is_elsewhere =
                || [&charged, &unpriced].into_iter().any(|ids| ids.binary_search(&id).is_ok());
            if (was_told || !told.later.is_empty()) && !is_elsewhere() {
                uncharged.entry(id).or_insert_with(|| self.uncharged_row(id, None));
            }
        }
        uncharged.into_values().collect()
    }

    fn uncharged_row(
        &self,
        id: &'a ProjectId,
        entry: Option<&'a bill::BillEntry>,
    ) -> UnchargedRow<'a> {
        let usage = entry.map(|entry| &entry.usage);
        UnchargedRow {
            project_id: id.as_str(),
            customer_id: self.customer_of(id),
            usage: usage.map(|usage| usage.amount.clone()).unwrap_or_default(),
            covered: usage.map(|usage| usage.covered.clone()).unwrap_or_default(),
            lines: entry.map(parts).unwrap_or_default(),
            adjustments: entry.map(adjustments).unwrap_or_default(),
            telling: BillingState::of(self.told, id),
        }
    }

    fn unpriced(&self) -> Vec<UnpricedRow<'a>> {
        let row = |unpriced: &'a bill::UnpricedProject| UnpricedRow {
            project_id: unpriced.usage.project_id.as_str(),
            customer_id: self.customer_of(&unpriced.usage.project_id),
            amount: unpriced.usage.uncovered(),
            usage: &unpriced.usage.amount,
            covered: &unpriced.usage.covered,
            plan_id: unpriced.missing_plan.as_str(),
            reason: format!("the plan {} is not set up", unpriced.missing_plan),
            telling: BillingState::of(self.told, &unpriced.usage.project_id),
        };
        self.bill.unpriced.iter().map(row).collect()
    }
}

/// What an entry tells of earlier months.
fn adjustments(entry: &bill::BillEntry) -> Vec<MonthAmount> {
    entry.adjustments.iter().map(|one| MonthAmount::new(one.month_s, &one.amount)).collect()
}

/// The lines of an entry as it is told: they add up to its amount.
pub(in crate::cli) fn lines(entry: &bill::BillEntry) -> Vec<LineView> {
    if entry.is_as_told() {
        return vec![LineView::once(entry.amount.clone(), entry.description.clone())];
    }
    parts(entry)
}

/// What an entry's amount is made of: the lines add up to it.
fn parts(entry: &bill::BillEntry) -> Vec<LineView> {
    let once = LineView::once;
    let own = entry.lines.iter().map(|line| LineView {
        quantity: line.charge.quantity.clone(),
        price: line.charge.price.clone(),
        amount: line.charge.amount.clone(),
        description: line.words(),
    });
    let elsewhere = &entry.elsewhere;
    let elsewhere = (!elsewhere.is_zero())
        .then(|| once(elsewhere.clone(), plan::describe_elsewhere(elsewhere)));
    // No part of an entry is below zero but what it adjusts.
    let waits = -&entry.rest;
    let waits = (!waits.is_zero())
        .then(|| once(waits.clone(), format!("{waits} to be taken off by a later bill")));
    let adjustments = entry.adjustments.iter();
    let adjustments =
        adjustments.map(|one| once(one.amount.clone(), plan::describe_adjustment(one)));
    own.chain(elsewhere).chain(waits).chain(adjustments).collect()
}

/// A table of projects, each with the lines that its amount is made of.
fn charge_columns() -> Columns {
    Columns::new(&["project!", "customer!", "usage#", "covered#", "amount#", "description"])
}

/// The rows of a project: its own, whose last cell is its `description`, and one for each line of
/// several.
fn charge_rows(columns: &mut Columns, cells: [String; 5], description: &str, lines: &[LineView]) {
    // What Agora is told joins the lines, as far as there is room.
    let lines = if lines.len() > 1 { lines } else { &[] };
    let description = if lines.is_empty() { description } else { "" };
    columns.row(cells.into_iter().chain([description.to_owned()]));
    for line in lines {
        let amount = line.amount.to_string();
        let [none, nobody, unused, uncovered] = std::array::from_fn(|_| String::new());
        columns.row([none, nobody, unused, uncovered, amount, line.description.clone()]);
    }
}

fn print_charges(
    out: &mut ForPeople<'_>,
    rows: &[ChargeRow<'_>],
    total: &Amount,
) -> io::Result<()> {
    let mut columns = charge_columns();
    for row in rows {
        let cells = [
            row.project_id.to_owned(),
            or_dash(row.customer_id.as_ref()),
            row.usage.to_string(),
            row.covered.to_string(),
            row.amount.to_string(),
        ];
        charge_rows(&mut columns, cells, row.description, &row.lines);
    }
    print_total(out, columns, 4, total)
}

fn print_customers(
    out: &mut ForPeople<'_>,
    rows: &[CustomerRow<'_>],
    total: &Amount,
) -> io::Result<()> {
    let mut columns = Columns::new(&["customer!", "name", "projects#", "amount#"]);
    for row in rows {
        columns.row([
            or_dash(row.customer_id.as_ref()),
            or_dash(row.name.as_ref()),
            row.projects.to_string(),
            row.amount.to_string(),
        ]);
    }
    print_total(out, columns, 3, total)
}

/// Prints a table with a total below the column at a place.
fn print_total(
    out: &mut ForPeople<'_>,
    mut columns: Columns,
    place: usize,
    total: &Amount,
) -> io::Result<()> {
    // Set apart, since a project may have this name.
    columns.row([String::new()]);
    let mut cells = vec![String::new(); place];
    "total".clone_into(&mut cells[0]);
    cells.push(total.to_string());
    columns.row(cells);
    columns.print(out)
}

fn print_uncharged(out: &mut ForPeople<'_>, uncharged: &[UnchargedRow<'_>]) -> io::Result<()> {
    let cells = |row: &UnchargedRow<'_>| {
        let (project, customer) = (row.project_id.to_owned(), or_dash(row.customer_id.as_ref()));
        [project, customer, row.usage.to_string(), row.covered.to_string()]
    };
    let (offset, free): (Vec<_>, Vec<_>) = uncharged.iter().partition(|row| row.is_offset());
    if !free.is_empty() {
        writeln!(out, "\nWithout a charge, and so left out:")?;
        let mut columns = Columns::new(&["project!", "customer!", "usage#", "covered#"]);
        free.into_iter().for_each(|row| columns.row(cells(row)));
        columns.print(out)?;
    }
    if !offset.is_empty() {
        writeln!(out, "\nLeft out, since adjustments take the whole charge off:")?;
        let mut columns = charge_columns();
        for row in offset {
            let [project, customer, usage, covered] = cells(row);
            let cells = [project, customer, usage, covered, Amount::default().to_string()];
            charge_rows(&mut columns, cells, "", &row.lines);
        }
        columns.print(out)?;
    }
    Ok(())
}

fn print_unpriced(out: &mut ForPeople<'_>, unpriced: &[UnpricedRow<'_>]) -> io::Result<()> {
    if unpriced.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWithout a price, and so left out:")?;
    let mut columns = Columns::new(&["project!", "customer!", "usage#", "covered#", "reason"]);
    for row in unpriced {
        columns.row([
            row.project_id.to_owned(),
            or_dash(row.customer_id.as_ref()),
            row.usage.to_string(),
            row.covered.to_string(),
            row.reason.clone(),
        ]);
    }
    columns.print(out)
}
