//! `bill`: what Agora will be told of a month, and how it came about.

use crate::billing::amount::Amount;
use crate::billing::bill::{self, Bill, ProjectUsage};
use crate::billing::id::ProjectId;
use crate::billing::plan;
use crate::cli::command::Shell;
use crate::cli::csv_out::CsvFlag;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::moment::Month;
use crate::cli::project;
use crate::cli::sentence::Sentence;
use crate::cli::table::{Columns, or_dash};
use crate::cli::visible::ForPeople;
use crate::store::balance;
use crate::store::bill::Pricing;
use serde::Serialize;
use std::io;

/// Show the bill that Agora will be told of a month
///
/// Charges what no license covered, by the prices, plans and customers that are in force in the
/// month. Projects that need a price and have none are left out of what Agora is told; they are
/// listed apart, and the command ends with 1.
///
/// Where the setting `late` is `carry`, a line for each earlier month tells what it costs by now
/// less what bills told of it. What later bills have told of the month is taken off.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The month, e.g. 2026-11
    #[arg(long)]
    month: Month,

    /// Of this project alone
    #[arg(long, value_name = "P")]
    project: Option<ProjectId>,

    #[command(flatten)]
    csv: CsvFlag,
}

/// The keys of a row, as CSV has them; `lines` is JSON there.
const KEYS: [&str; 6] = ["projectId", "amount", "description", "usage", "covered", "lines"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    month: String,
    rows: Vec<Row<'a>>,
    uncharged: Vec<Uncharged<'a>>,
    unpriced: Vec<Unpriced<'a>>,
    #[serde(serialize_with = "exact")]
    total: Amount,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    project_id: &'a str,
    #[serde(serialize_with = "exact")]
    amount: &'a Amount,
    description: &'a str,
    #[serde(serialize_with = "exact")]
    usage: &'a Amount,
    #[serde(serialize_with = "exact")]
    covered: &'a Amount,
    /// They add up to the amount.
    lines: Vec<Line<'a>>,
    /// Whether it repeats the bill before: later bills tell all that has changed since that one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    as_told: bool,
}

/// A project whose usage costs nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Uncharged<'a> {
    project_id: &'a str,
    #[serde(serialize_with = "exact")]
    usage: &'a Amount,
    #[serde(serialize_with = "exact")]
    covered: &'a Amount,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(serialize_with = "exact")]
    quantity: Amount,
    #[serde(serialize_with = "exact")]
    price: &'a Amount,
    #[serde(serialize_with = "exact")]
    amount: &'a Amount,
    description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unpriced<'a> {
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
}

impl<'a> Shown<'a> {
    fn new(month: Month, bill: &'a Bill) -> Self {
        let row = |entry: &'a bill::Entry| Row {
            project_id: entry.usage.project_id.as_str(),
            amount: &entry.amount,
            description: &entry.description,
            usage: &entry.usage.amount,
            covered: &entry.usage.covered,
            lines: lines(entry),
            as_told: entry.is_as_told(),
        };
        let uncharged = |usage: &'a ProjectUsage| Uncharged {
            project_id: usage.project_id.as_str(),
            usage: &usage.amount,
            covered: &usage.covered,
        };
        let unpriced = |unpriced: &'a bill::Unpriced| Unpriced {
            project_id: unpriced.usage.project_id.as_str(),
            customer_id: unpriced.usage.customer_id.as_ref().map(|id| id.as_str()),
            amount: unpriced.usage.uncovered(),
            usage: &unpriced.usage.amount,
            covered: &unpriced.usage.covered,
            plan_id: unpriced.missing_plan.as_str(),
            reason: format!("the plan {} is not set up", unpriced.missing_plan),
        };
        // What was told too much of an earlier month may leave nothing to charge.
        let offset = bill.entries.iter().filter(|entry| entry.amount.is_zero());
        let without_charge = bill.uncharged.iter().chain(offset);
        let mut without_charge: Vec<&ProjectUsage> =
            without_charge.map(|entry| &entry.usage).collect();
        without_charge.sort_unstable_by(|a, b| a.project_id.cmp(&b.project_id));
        Self {
            month: month.to_string(),
            rows: bill.entries.iter().filter(|entry| !entry.amount.is_zero()).map(row).collect(),
            uncharged: without_charge.into_iter().map(uncharged).collect(),
            unpriced: bill.unpriced.iter().map(unpriced).collect(),
            total: bill.total(),
        }
    }

    fn print_charges(&self, out: &mut ForPeople<'_>) -> io::Result<()> {
        let mut columns =
            Columns::new(&["project", "usage#", "covered#", "amount#", "description"]);
        for row in &self.rows {
            columns.row([
                row.project_id.to_owned(),
                row.usage.to_string(),
                row.covered.to_string(),
                row.amount.to_string(),
                if row.lines.len() > 1 { String::new() } else { row.description.to_owned() },
            ]);
            // What Agora is told joins these, as far as there is room.
            for line in row.lines.iter().filter(|_| row.lines.len() > 1) {
                columns.row([
                    String::new(),
                    String::new(),
                    String::new(),
                    line.amount.to_string(),
                    line.description.clone(),
                ]);
            }
        }
        // Set apart, since a project may have this name.
        columns.row([String::new()]);
        columns.row(["total".to_owned(), String::new(), String::new(), self.total.to_string()]);
        columns.print(out)
    }

    fn print_uncharged(&self, out: &mut ForPeople<'_>) -> io::Result<()> {
        if self.uncharged.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nWithout a charge, and so left out:")?;
        let mut columns = Columns::new(&["project", "usage#", "covered#"]);
        for row in &self.uncharged {
            columns.row([
                row.project_id.to_owned(),
                row.usage.to_string(),
                row.covered.to_string(),
            ]);
        }
        columns.print(out)
    }

    fn print_unpriced(&self, out: &mut ForPeople<'_>) -> io::Result<()> {
        if self.unpriced.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nWithout a price, and so left out:")?;
        let mut columns = Columns::new(&["project", "customer", "usage#", "covered#", "reason"]);
        for row in &self.unpriced {
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
}

/// What an entry's amount is made of.
fn lines(entry: &bill::Entry) -> Vec<Line<'_>> {
    let once = |amount, description| Line {
        quantity: Amount::from(1),
        price: amount,
        amount,
        description,
    };
    if entry.is_as_told() {
        return vec![once(&entry.amount, entry.description.clone())];
    }
    let own = entry.lines.iter().map(|line| Line {
        quantity: line.charge.quantity.clone(),
        price: &line.charge.price,
        amount: &line.charge.amount,
        description: line.words(),
    });
    let elsewhere = (!entry.elsewhere.is_zero())
        .then(|| once(&entry.elsewhere, plan::describe_elsewhere(&entry.elsewhere)));
    let adjustments = entry.adjustments.iter();
    let adjustments = adjustments.map(|one| once(&one.amount, plan::describe_adjustment(one)));
    own.chain(elsewhere).chain(adjustments).collect()
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let (period, only) = (args.month.period(), args.project.as_ref());
    let (basis, read) = shell.open()?.read(|tx| {
        if let Some(project_id) = only {
            project::find(tx, project_id)?;
        }
        let pricing = Pricing::read(tx, only)?;
        let read = balance::dues(tx, period, only, &pricing)?;
        Ok::<_, Failure>((pricing.basis(tx, period, only)?, read))
    })?;

    let bill = bill::bill_adjusted(basis, read.standings);

    let shown = Shown::new(args.month, &bill);
    if args.csv.csv {
        shell.print_csv(&KEYS, &shown.rows)?;
    } else {
        shell.print(&shown, |out| {
            shown.print_charges(out)?;
            shown.print_uncharged(out)?;
            shown.print_unpriced(out)
        })?;
    }
    match shown.unpriced.len() {
        0 => Ok(Exit::Done),
        count => {
            let sentence = Sentence::from(format!("projects without a price: {count}"));
            shell.point_out(sentence.hint("plan set", "sets a plan up"));
            Ok(Exit::Failed)
        }
    }
}
