//! `totals`: what a window adds up to.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::{self, Grain, Period};
use crate::billing::statement::ListingKind;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::moment::{self, Month, rfc3339};
use crate::cli::sentence::Sentence;
use crate::cli::statement::{Stretch, print_overlaps};
use crate::cli::table::{Columns, or_dash};
use crate::cli::window::Window;
use crate::cli::{customer, project};
use crate::store::balance::{self, Balance};
use crate::store::bill::Pricing;
use crate::store::late::{self, Reconciled};
use crate::store::usage::{self, UsageSum};
use crate::store::{self, ReadTx, statement};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::collections::BTreeMap;

/// Show what usage adds up to: by default this month's, by project
///
/// The window is --from and --to together, or --day, or --month. With --reconcile, what was recorded in a month beside what
/// became of it: what Agora was told, what came too late for that, and what it has not asked for; it ends with 1
/// where that does not add up.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    window: Window,

    /// Of this project alone
    #[arg(long, value_name = "P")]
    project: Option<ProjectId>,

    /// Of this customer alone: usage of the months in which the project was the customer's
    #[arg(long, value_name = "C")]
    customer: Option<CustomerId>,

    /// What the rows are
    #[arg(long, value_enum, default_value_t = By::Project)]
    by: By,

    /// Compare what was recorded with what Agora was told, for usage and for bills
    #[arg(long, requires = "month", conflicts_with_all = ["project", "customer", "by", "day", "from", "to"])]
    reconcile: bool,
}

/// What the rows of a table of totals are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Project,
    Customer,
    Day,
    Month,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Customer => "customer",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The name of a row's first field.
    fn field(self) -> &'static str {
        match self {
            Self::Project => "projectId",
            Self::Customer => "customerId",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

#[derive(Serialize)]
struct Totals {
    from: String,
    to: String,
    by: &'static str,
    rows: Vec<Row>,
    #[serde(serialize_with = "exact")]
    total: Amount,
}

struct Row {
    by: By,
    /// `None`: usage of projects without a customer.
    of: Option<String>,
    sum: UsageSum,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(Some(3))?;
        row.serialize_entry(self.by.field(), &self.of)?;
        row.serialize_entry("amount", &self.sum.amount.to_string())?;
        row.serialize_entry("records", &self.sum.records)?;
        row.end()
    }
}

/// What became of a project's usage in a month.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReconciledRow {
    project_id: String,
    #[serde(serialize_with = "exact")]
    recorded: Amount,
    #[serde(serialize_with = "exact")]
    told: Amount,
    /// Of bills.
    #[serde(skip_serializing_if = "Option::is_none")]
    covered: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpriced: Option<String>,
    #[serde(serialize_with = "exact")]
    late: Amount,
    #[serde(serialize_with = "exact")]
    not_asked: Amount,
    /// What is recorded and has not become any of that.
    #[serde(serialize_with = "exact")]
    difference: Amount,
}

impl ReconciledRow {
    fn new(kind: ListingKind, project_id: &ProjectId, row: &Reconciled) -> Self {
        let of_bill = |amount: &Amount| (kind == ListingKind::Bill).then(|| amount.to_string());
        Self {
            project_id: project_id.to_string(),
            recorded: row.recorded.clone(),
            told: row.told.clone(),
            covered: of_bill(&row.covered),
            unpriced: of_bill(&row.unpriced),
            late: row.late.clone(),
            not_asked: row.not_asked.clone(),
            difference: row.difference(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let mut cells =
            vec![self.project_id.clone(), self.recorded.to_string(), self.told.to_string()];
        cells.extend(self.covered.iter().chain(&self.unpriced).cloned());
        cells.extend([&self.late, &self.not_asked, &self.difference].map(ToString::to_string));
        cells
    }
}

/// A project's money of a month that has a kept bill.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MoneyRow {
    project_id: String,
    /// Null without a price.
    costs: Option<String>,
    /// In the month's own bill, and in later ones.
    #[serde(serialize_with = "exact")]
    own: Amount,
    #[serde(serialize_with = "exact")]
    adjusted: Amount,
    /// What it costs and Agora was not told; null without a price.
    due: Option<String>,
    /// Whether the statements tell what the balance says.
    ok: bool,
}

impl MoneyRow {
    fn new(id: &ProjectId, balance: &Balance, told: Option<&Balance>) -> Self {
        let nothing = Balance::default();
        let told = told.unwrap_or(&nothing);
        let Balance { own, adjusted, cost } = balance;
        Self {
            project_id: id.to_string(),
            costs: cost.as_ref().map(ToString::to_string),
            own: own.clone(),
            adjusted: adjusted.clone(),
            due: balance.due().map(|due| due.to_string()),
            ok: (own, adjusted) == (&told.own, &told.adjusted),
        }
    }
}

#[derive(Serialize)]
struct ReconciledMonth {
    ok: bool,
    month: String,
    usage: Vec<ReconciledRow>,
    bill: Vec<ReconciledRow>,
    money: Vec<MoneyRow>,
    overlaps: Vec<Stretch>,
    verdict: String,
}

impl ReconciledMonth {
    fn read(tx: &ReadTx<'_>, month: Month) -> store::Result<Self> {
        let (period, month_s) = (month.period(), month.period().first_s());
        let of = |kind| -> store::Result<Vec<ReconciledRow>> {
            let rows = late::reconcile(tx, kind, period)?;
            Ok(rows.iter().map(|(id, row)| ReconciledRow::new(kind, id, row)).collect())
        };
        let told = balance::told(tx)?.remove(&month_s);
        let mut money = Vec::new();
        if let Some(told) = told {
            let mut balances = balance::now(tx, &Pricing::read(tx, None)?, month_s)?;
            for id in told.keys() {
                balances.entry(id.clone()).or_default();
            }
            money.extend(balances.iter().map(|(id, one)| MoneyRow::new(id, one, told.get(id))));
        }
        let mut overlaps = Vec::new();
        for kind in ListingKind::ALL {
            overlaps.extend(Stretch::overlaps(kind, &statement::timeline(tx, kind, period)?));
        }
        let (usage, bill) = (of(ListingKind::Usage)?, of(ListingKind::Bill)?);
        let ok = usage.iter().chain(&bill).all(|row| row.difference.is_zero())
            && money.iter().all(|row| row.ok);
        let verdict = String::new();
        let month = month.to_string();
        let reconciled = Self { ok, month, usage, bill, money, overlaps, verdict };
        Ok(Self { verdict: reconciled.verdict(), ..reconciled })
    }

    /// What came out, in one line.
    fn verdict(&self) -> String {
        let Self { month, usage, bill, money, overlaps, .. } = self;
        if !self.ok {
            return format!("{month} does not add up");
        }
        let any = |is: fn(&ReconciledRow) -> bool| usage.iter().chain(bill).any(is);
        let is_due = |row: &MoneyRow| row.due.as_ref().is_none_or(|due| due != "0");
        let but: Vec<&str> = [
            (any(|row| !row.late.is_zero()), "some usage is late"),
            (any(|row| !row.not_asked.is_zero()), "some usage was not asked for"),
            (money.iter().any(is_due), "some money is due"),
            (!overlaps.is_empty(), "some windows overlap"),
        ]
        .into_iter()
        .filter_map(|(is_so, words)| is_so.then_some(words))
        .collect();
        if but.is_empty() {
            format!("{month} adds up")
        } else {
            format!("{month} adds up; {}", but.join(", "))
        }
    }
}

fn reconcile(month: Month, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let month = shell.open()?.read(|tx| ReconciledMonth::read(tx, month))?;
    shell.print(&month, |out| {
        writeln!(out, "Usage of {}:", month.month)?;
        let mut columns = Columns::new(&[
            "project",
            "recorded#",
            "told#",
            "late#",
            "not asked for#",
            "difference#",
        ]);
        month.usage.iter().for_each(|row| columns.row(row.cells()));
        columns.print(out)?;
        writeln!(out, "\nUsage of {} in bills:", month.month)?;
        let names = [
            "project",
            "recorded#",
            "billed#",
            "covered#",
            "unpriced#",
            "late#",
            "not asked for#",
            "difference#",
        ];
        let mut columns = Columns::new(&names);
        month.bill.iter().for_each(|row| columns.row(row.cells()));
        columns.print(out)?;
        if !month.money.is_empty() {
            writeln!(out, "\nMoney of {}:", month.month)?;
            let names = ["project", "costs#", "its bill#", "later bills#", "due#"];
            let mut columns = Columns::new(&names);
            for row in &month.money {
                let (own, adjusted) = (row.own.to_string(), row.adjusted.to_string());
                let (costs, due) = (or_dash(row.costs.as_ref()), or_dash(row.due.as_ref()));
                columns.row([row.project_id.clone(), costs, own, adjusted, due]);
            }
            columns.print(out)?;
        }
        print_overlaps(out, &month.overlaps)?;
        writeln!(out, "\n{}", month.verdict)
    })?;
    if !month.ok {
        let sentence = Sentence::from("what was told does not add up with what is recorded");
        shell.point_out(sentence.hint("check", "tells where"));
    }
    Ok(if month.ok { Exit::Done } else { Exit::Failed })
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if let (true, Some(month)) = (args.reconcile, args.window.month) {
        return reconcile(month, shell);
    }
    let this_month = || Month::around(shell.now_s).period();
    let period = args.window.period()?.unwrap_or_else(this_month);
    let rows = shell.open()?.read(|tx| rows(tx, args, period))?;
    let totals = Totals {
        from: rfc3339(period.first_s()),
        to: rfc3339(period.last_s()),
        by: args.by.name(),
        total: rows.iter().map(|row| &row.sum.amount).sum(),
        rows,
    };
    shell.print(&totals, |out| {
        writeln!(out, "{} to {}", totals.from, totals.to)?;
        let mut columns = Columns::new(&[args.by.name(), "amount#", "records#"]);
        for row in &totals.rows {
            columns.row([
                or_dash(row.of.as_ref()),
                row.sum.amount.to_string(),
                row.sum.records.to_string(),
            ]);
        }
        let records: i64 = totals.rows.iter().map(|row| row.sum.records).sum();
        // Set apart, since a project may have this name.
        columns.row([String::new()]);
        columns.row(["total".to_owned(), totals.total.to_string(), records.to_string()]);
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn rows(tx: &ReadTx<'_>, args: &Args, period: Period) -> Result<Vec<Row>, Failure> {
    let only = args.project.as_ref();
    if let Some(project_id) = only {
        project::find(tx, project_id)?;
    }
    if let Some(customer_id) = &args.customer {
        customer::find(tx, customer_id)?;
    }
    let customers = store::project::customers(tx, only)?;
    // The customer of a time is the one whom the bill of its month goes to.
    let owner = |project_id: &ProjectId, at_s: i64| {
        customers.get(project_id).and_then(|customers| customers.at(at_s))
    };
    let mut sums: BTreeMap<Option<String>, UsageSum> = BTreeMap::new();
    if let (By::Project, None) = (args.by, &args.customer) {
        for (project_id, sum) in usage::by_project(tx, period, only)? {
            sums.insert(Some(project_id.to_string()), sum);
        }
    } else {
        let grain = match args.by {
            By::Project | By::Customer | By::Month => Grain::Month,
            By::Day => Grain::Day,
        };
        for ((start_s, project_id), sum) in usage::by_stretch(tx, period, grain, only)? {
            let owner = owner(&project_id, start_s);
            if args.customer.is_some() && owner != args.customer.as_ref() {
                continue;
            }
            let of = match args.by {
                By::Project => Some(project_id.to_string()),
                By::Customer => owner.map(ToString::to_string),
                By::Day => Some(period::date(start_s).to_string()),
                By::Month => Some(moment::month(start_s)),
            };
            sums.entry(of).or_default().add(&sum);
        }
    }
    Ok(sums.into_iter().map(|(of, sum)| Row { by: args.by, of, sum }).collect())
}
