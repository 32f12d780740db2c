//! `totals`: what a window adds up to.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::{self, Grain, Period};
use crate::billing::statement::ListingKind;
use crate::cli::command::Shell;
use crate::cli::csv_out::CsvFlag;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::moment::{self, Month, rfc3339};
use crate::cli::sentence::Sentence;
use crate::cli::statement::{Stretch, print_overlaps};
use crate::cli::table::{Columns, or_dash};
use crate::cli::visible::ForPeople;
use crate::cli::window::WindowArgs;
use crate::cli::{customer, project};
use crate::store::balance::{self, Balance};
use crate::store::bill::Pricing;
use crate::store::late::{self, Reconciliation};
use crate::store::usage::{self, UsageSum};
use crate::store::{self, ReadTx, statement};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Show what usage adds up to: by default this month's, by project
///
/// The window is --from and --to together, or --day, or --month. With --reconcile, what was
/// recorded in a month beside what became of it: what Agora was told, what came too late for that,
/// and what it has not asked for; it ends with 1 where that does not add up.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    window: WindowArgs,

    /// Of this project alone
    #[arg(long, value_name = "P")]
    project: Option<ProjectId>,

    /// Of this customer alone: usage of the months in which the project was the customer's
    #[arg(long, value_name = "C")]
    customer: Option<CustomerId>,

    /// What the rows are; several, as in customer,month, are joined
    #[arg(long, value_enum, value_delimiter = ',', default_value = "project")]
    by: Vec<By>,

    /// Show the same of another month beside it, and the difference
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["day", "from", "to"])]
    compare: Option<Month>,

    #[command(flatten)]
    csv: CsvFlag,

    /// Compare what was recorded with what Agora was told, for usage and for bills
    #[arg(
        long,
        requires = "month",
        conflicts_with_all =
            ["project", "customer", "by", "day", "from", "to", "compare", "csv"]
    )]
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
    by: String,
    /// The month that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<String>,
    rows: Vec<TotalsRow>,
    #[serde(serialize_with = "exact")]
    total: Amount,
    #[serde(flatten)]
    compared: Option<Comparison>,
}

struct TotalsRow {
    by: Vec<By>,
    /// What `by` says, in its order. `None`: usage of projects without a customer.
    of: Vec<Option<String>>,
    sum: UsageSum,
    compared: Option<Comparison>,
}

impl Serialize for TotalsRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(None)?;
        for (by, of) in self.by.iter().zip(&self.of) {
            row.serialize_entry(by.field(), of)?;
        }
        row.serialize_entry("amount", &self.sum.amount.to_string())?;
        row.serialize_entry("records", &self.sum.records)?;
        if let Some(Comparison { before, difference, per_cent }) = &self.compared {
            row.serialize_entry("before", &before.to_string())?;
            row.serialize_entry("difference", &difference.to_string())?;
            row.serialize_entry("percent", per_cent)?;
        }
        row.end()
    }
}

/// What another month had, and how far this one is from it.
#[derive(Clone, Serialize)]
struct Comparison {
    #[serde(serialize_with = "exact")]
    before: Amount,
    #[serde(serialize_with = "exact")]
    difference: Amount,
    /// The difference in hundredths of what was before; `None` where that was nothing.
    #[serde(rename = "percent")]
    per_cent: Option<String>,
}

impl Comparison {
    fn new(amount: &Amount, before: Amount) -> Self {
        let difference = amount - &before;
        let per_cent = per_cent(&difference, &before).map(|per_cent| per_cent.to_string());
        Self { before, difference, per_cent }
    }

    fn cells(&self) -> [String; 3] {
        [self.before.to_string(), self.difference.to_string(), or_dash(self.per_cent.as_ref())]
    }
}

/// How many hundredths of `whole` a part is, to two places; `None` where the whole is not above
/// zero.
fn per_cent(part: &Amount, whole: &Amount) -> Option<Amount> {
    if !whole.is_positive() {
        return None;
    }
    let (is_below, part) =
        (part.is_negative(), if part.is_negative() { -part } else { part.clone() });
    // The nearest whole number of hundredths of a per cent: the floor of twice as much and a half.
    let twice = &(&part * &Amount::from(20_000)) + whole;
    let size = whole * &Amount::from(2);
    let started = twice.blocks_of(&size);
    let nearest = if &started * &size == twice { started } else { &started - &Amount::from(1) };
    let hundredth = Amount::from_canonical("0.01").expect("it is a plain decimal");
    let per_cent = &nearest * &hundredth;
    Some(if is_below { -&per_cent } else { per_cent })
}

/// The fewest and the most blocks that the longest bar has.
const BAR: RangeInclusive<u32> = 5..=20;

/// A bar as long beside the longest one as an amount is beside the greatest.
fn bar(amount: &Amount, greatest: &Amount, longest: u32) -> String {
    if !amount.is_positive() {
        return String::new();
    }
    let blocks = (amount * &Amount::from(longest)).blocks_of(greatest);
    "█".repeat(blocks.to_string().parse().unwrap_or_default())
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
    fn new(kind: ListingKind, project_id: &ProjectId, row: &Reconciliation) -> Self {
        let of_bill = |amount: &Amount| (kind == ListingKind::Bill).then(|| amount.to_string());
        Self {
            project_id: project_id.to_string(),
            recorded: row.recorded.clone(),
            told: row.stated.clone(),
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
    /// Whether the balance says what follows from the statements and the prices.
    ok: bool,
}

impl MoneyRow {
    fn new(id: &ProjectId, own: Amount, balance: Balance, anew: &Balance) -> Self {
        let ok = balance == *anew;
        let Balance { adjusted, due } = balance;
        let costs = due.as_ref().map(|due| &(&own + &adjusted) + due);
        Self {
            project_id: id.to_string(),
            costs: costs.map(|costs| costs.to_string()),
            own,
            adjusted,
            due: due.map(|due| due.to_string()),
            ok,
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
        let pricing = Pricing::read(tx, None)?;
        let mut money = Vec::new();
        if let Some(mut anew) = balance::anew(tx, &pricing, month_s)? {
            let mut balances = balance::now(tx, &pricing, month_s, None)?;
            for id in balances.keys() {
                anew.entry(id.clone()).or_default();
            }
            let mut own = balance::own(tx, month_s, |_| true)?;
            let mut row = |(id, anew): (&ProjectId, &Balance)| {
                let own = own.remove(id).unwrap_or_default();
                MoneyRow::new(id, own, balances.remove(id).unwrap_or_default(), anew)
            };
            money.extend(anew.iter().map(&mut row));
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
        let is_due = |row: &MoneyRow| row.due.as_ref().is_some_and(|due| due != "0");
        let is_unpriced = |row: &MoneyRow| row.due.is_none();
        let but: Vec<&str> = [
            (any(|row| !row.late.is_zero()), "some usage is late"),
            (any(|row| !row.not_asked.is_zero()), "some usage was not asked for"),
            (money.iter().any(is_due), "some money is due"),
            (money.iter().any(is_unpriced), "some projects have no price"),
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
        let mut columns =
            Columns::new(&["project!", "recorded#", "told#", "late#", "not asked#", "difference#"]);
        month.usage.iter().for_each(|row| columns.row(row.cells()));
        columns.print(out)?;
        writeln!(out, "\nUsage of {} in bills:", month.month)?;
        let names = [
            "project!",
            "recorded#",
            "billed#",
            "covered#",
            "unpriced#",
            "late#",
            "not asked#",
            "difference#",
        ];
        let mut columns = Columns::new(&names);
        month.bill.iter().for_each(|row| columns.row(row.cells()));
        columns.print(out)?;
        if !month.money.is_empty() {
            writeln!(out, "\nMoney of {}:", month.month)?;
            let names = ["project!", "costs#", "its bill#", "later bills#", "due#"];
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
    let by = checked(args)?;
    let totals = shell.open()?.read(|tx| totals(tx, args, by, period))?;
    if args.csv.csv {
        let mut keys: Vec<&str> = by.iter().map(|by| by.field()).collect();
        keys.extend(["amount", "records"]);
        if args.compare.is_some() {
            keys.extend(["before", "difference", "percent"]);
        }
        shell.print_csv(&keys, &totals.rows)?;
        return Ok(Exit::Done);
    }
    shell.print(&totals, |out| print_totals(out, by, &totals))?;
    Ok(Exit::Done)
}

/// What the rows are, if that can be.
fn checked(args: &Args) -> Result<&[By], Failure> {
    let by = args.by.as_slice();
    let is_twice = |(place, one): (usize, &By)| by[..place].contains(one);
    if by.iter().enumerate().any(is_twice) {
        return Err(Failure::words("--by names the same twice: name each once"));
    }
    if args.compare.is_some() && by.iter().any(|by| matches!(by, By::Day | By::Month)) {
        return Err(Failure::words(
            "--compare is about two months, which have no days in common: leave day and month out \
             of --by",
        ));
    }
    Ok(by)
}

fn totals(tx: &ReadTx<'_>, args: &Args, by: &[By], period: Period) -> Result<Totals, Failure> {
    let mut sums = sums(tx, args, by, period)?;
    let mut befores = match args.compare {
        Some(month) => Some(self::sums(tx, args, by, month.period())?),
        None => None,
    };
    for of in befores.iter().flat_map(BTreeMap::keys) {
        // What was used then and is not now is a difference too.
        sums.entry(of.clone()).or_default();
    }
    let total: Amount = sums.values().map(|sum| &sum.amount).sum();
    let before: Option<Amount> =
        befores.as_ref().map(|befores| befores.values().map(|sum| &sum.amount).sum());
    let row = |(of, sum): (Vec<Option<String>>, UsageSum)| {
        let compared = befores.as_mut().map(|befores| {
            let before = befores.remove(&of).unwrap_or_default();
            Comparison::new(&sum.amount, before.amount)
        });
        TotalsRow { by: by.to_vec(), of, sum, compared }
    };
    Ok(Totals {
        from: rfc3339(period.first_s()),
        to: rfc3339(period.last_s()),
        by: by.iter().map(|by| by.name()).collect::<Vec<_>>().join(","),
        compare: args.compare.map(|month| month.to_string()),
        rows: sums.into_iter().map(row).collect(),
        compared: before.map(|before| Comparison::new(&total, before)),
        total,
    })
}

fn print_totals(out: &mut ForPeople<'_>, by: &[By], totals: &Totals) -> std::io::Result<()> {
    match &totals.compare {
        None => writeln!(out, "{} to {}", totals.from, totals.to)?,
        Some(month) => {
            writeln!(out, "{} to {}, compared with {month}", totals.from, totals.to)?;
        }
    }
    let mut names: Vec<&str> = by.iter().map(|by| by.name()).collect();
    names.extend(["amount#", "records#"]);
    if totals.compare.is_some() {
        names.extend(["before#", "difference#", "per cent#"]);
    }
    let greatest = totals.rows.iter().map(|row| &row.sum.amount).max().cloned();
    let greatest = greatest.unwrap_or_default();
    let mut columns = Columns::new(&names);
    for row in &totals.rows {
        let mut cells: Vec<String> = row.of.iter().map(|of| or_dash(of.as_ref())).collect();
        cells.extend([row.sum.amount.to_string(), row.sum.records.to_string()]);
        cells.extend(row.compared.iter().flat_map(Comparison::cells));
        columns.row(cells);
    }
    let records: i64 = totals.rows.iter().map(|row| row.sum.records).sum();
    // Set apart, since a project may have this name.
    columns.row([String::new()]);
    let mut cells = vec![String::new(); by.len()];
    "total".clone_into(&mut cells[0]);
    cells.extend([totals.total.to_string(), records.to_string()]);
    cells.extend(totals.compared.iter().flat_map(Comparison::cells));
    columns.row(cells);
    // A bar is for the eye alone. It takes no room that the rest needs, and is never cut.
    let room = if totals.rows.len() > 1 { columns.left(out) } else { None };
    let longest = room.and_then(|room| u32::try_from(room).ok()).map(|room| room.min(*BAR.end()));
    if let Some(longest) = longest.filter(|longest| BAR.contains(longest)) {
        let bars = totals.rows.iter().map(|row| bar(&row.sum.amount, &greatest, longest));
        columns.add("", bars);
    }
    columns.print(out)
}

/// Sums by what the rows are.
type GroupSums = BTreeMap<Vec<Option<String>>, UsageSum>;

fn sums(tx: &ReadTx<'_>, args: &Args, by: &[By], period: Period) -> Result<GroupSums, Failure> {
    let only = args.project.as_ref();
    if let Some(project_id) = only {
        project::find(tx, project_id)?;
    }
    if let Some(customer_id) = &args.customer {
        customer::find(tx, customer_id)?;
    }
    let mut sums = GroupSums::new();
    if let ([By::Project], None) = (by, &args.customer) {
        for (project_id, sum) in usage::by_project(tx, period, only)? {
            sums.insert(vec![Some(project_id.to_string())], sum);
        }
        return Ok(sums);
    }
    let customers = store::project::customers(tx, only)?;
    // The customer of a time is the one whom the bill of its month goes to.
    let owner = |project_id: &ProjectId, at_s: i64| {
        customers.get(project_id).and_then(|customers| customers.at(at_s))
    };
    let grain = if by.contains(&By::Day) { Grain::Day } else { Grain::Month };
    for ((start_s, project_id), sum) in usage::by_stretch(tx, period, grain, only)? {
        let owner = owner(&project_id, start_s);
        if args.customer.is_some() && owner != args.customer.as_ref() {
            continue;
        }
        let of = by.iter().map(|by| match by {
            By::Project => Some(project_id.to_string()),
            By::Customer => owner.map(ToString::to_string),
            By::Day => Some(period::date(start_s).to_string()),
            By::Month => Some(moment::month(start_s)),
        });
        sums.entry(of.collect()).or_default().add(&sum);
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::from_canonical(text).expect("an amount")
    }

    #[test]
    fn per_cent_is_rounded_to_two_places_half_away_from_zero() {
        for (part, whole, wanted) in [
            ("1", "3", "33.33"),
            ("2", "3", "66.67"),
            ("-2", "3", "-66.67"),
            ("0", "7", "0"),
            ("0.00005", "1", "0.01"),
            ("0.000049", "1", "0"),
            ("-0.00005", "1", "-0.01"),
            ("12.5", "10", "125"),
            ("1", "123456789012345678901234567890123456789.5", "0"),
        ] {
            let found = per_cent(&amount(part), &amount(whole)).map(|found| found.to_string());
            assert_eq!(found.as_deref(), Some(wanted), "{part} of {whole}");
        }
        assert_eq!(per_cent(&amount("1"), &amount("0")), None);
        assert_eq!(per_cent(&amount("1"), &amount("-2")), None);
    }

    #[test]
    fn a_bar_is_as_long_as_its_amount_and_what_is_above_zero_has_one() {
        let length = |text: &str| bar(&amount(text), &amount("40"), 20).chars().count();
        assert_eq!(["40", "20", "0.001", "0", "-3"].map(length), [20, 10, 1, 0, 0]);
    }
}
