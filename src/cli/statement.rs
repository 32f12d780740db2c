//! `statement`: what Agora was told, when, and what was recorded too late for it.

use crate::billing::adjustment::Adjustment;
use crate::billing::amount::Amount;
use crate::billing::id::{PlanId, ProjectId};
use crate::billing::month_elsewhere::MonthElsewhere;
use crate::billing::period::{self, Grain, LAST_SECOND, Period};
use crate::billing::statement::{ListingKind, Statement, StatementEntry, Timeline};
use crate::cli::command::Shell;
use crate::cli::csv_out::CsvFlag;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::moment::{self, Month, rfc3339};
use crate::cli::plan::price_command;
use crate::cli::sentence::Sentence;
use crate::cli::table::{Columns, or_dash, print_properties};
use crate::cli::visible::ForPeople;
use crate::store::bill::Pricing;
use crate::store::usage::UsageSum;
use crate::store::{self, ReadTx, balance, late, statement};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;

/// How many stretches, or months, a list for people names.
const NAMED: usize = 10;

/// Statements: what Agora was told, and what was recorded too late for it
///
/// A usage or bill answer is kept when its last page goes out to a live key.
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// List the statements; point out windows that overlap and seconds that were never asked for
    List(ListArgs),
    /// Show a statement with all that it said
    Show(ShowArgs),
    /// Show what was recorded after Agora was told of its time, by month and project
    ///
    /// A void counts below zero. What a later bill has carried is told, unless part of it waits. Of
    /// a month whose bill was not asked for after its end it is not known what is late for it.
    /// Usage of a billed month without a price is named too.
    Late(LateArgs),
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Of this month alone
    #[arg(long)]
    month: Option<Month>,

    /// Of usage or of bills alone
    #[arg(long, value_name = "usage|bill")]
    kind: Option<ListingKind>,

    #[command(flatten)]
    csv: CsvFlag,
}

/// The keys of a statement, as CSV has them.
const KEYS: [&str; 14] = [
    "seq",
    "kind",
    "from",
    "to",
    "firstAskedAt",
    "lastAskedAt",
    "asked",
    "provisional",
    "total",
    "totalSize",
    "knewSeq",
    "lastKnewSeq",
    "monthElsewhere.month",
    "monthElsewhere.hoursAhead",
];

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// Its number, as `statement list` shows it
    #[arg(value_name = "NUMBER")]
    seq: i64,
}

#[derive(clap::Args)]
pub(super) struct LateArgs {
    /// Of this month alone
    #[arg(long)]
    month: Option<Month>,

    #[command(flatten)]
    csv: CsvFlag,
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::List(args) => list(args, shell),
        Args::Show(args) => show(args, shell),
        Args::Late(args) => late(args, shell),
    }
}

/// All time, or a month.
fn scope(month: Option<Month>) -> Period {
    month.map_or_else(|| Period::new(0, LAST_SECOND).expect("all time is a window"), Month::period)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatementView {
    seq: i64,
    kind: &'static str,
    from: String,
    to: String,
    first_asked_at: String,
    last_asked_at: String,
    asked: i64,
    provisional: bool,
    #[serde(serialize_with = "exact")]
    total: Amount,
    total_size: i64,
    /// The last entry of the usage ledger that it was made from.
    knew_seq: i64,
    last_knew_seq: i64,
    /// Of a bill: the month of another time zone that its window is, which is no month of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    month_elsewhere: Option<ElsewhereView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ElsewhereView {
    month: String,
    hours_ahead: i64,
}

/// The month of another time zone that a bill is of.
fn elsewhere(statement: &Statement) -> Option<MonthElsewhere> {
    MonthElsewhere::of(statement.kind, statement.period)
}

impl StatementView {
    fn new(statement: &Statement) -> Self {
        Self {
            seq: statement.seq,
            kind: statement.kind.as_str(),
            from: rfc3339(statement.period.first_s()),
            to: rfc3339(statement.period.last_s()),
            first_asked_at: rfc3339(statement.first_asked_at_s),
            last_asked_at: rfc3339(statement.last_asked_at_s),
            asked: statement.asked,
            provisional: statement.provisional,
            total: statement.total.clone(),
            total_size: statement.total_size,
            knew_seq: statement.knew_seq,
            last_knew_seq: statement.last_knew_seq,
            month_elsewhere: elsewhere(statement).map(|month| ElsewhereView {
                month: moment::month(month.month_s),
                hours_ahead: month.hours_ahead,
            }),
        }
    }
}

/// A stretch of time that is pointed out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stretch {
    kind: &'static str,
    from: String,
    to: String,
    /// Of what was never asked for: whether it was, but only before it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    only_provisional: Option<bool>,
    /// Of what several windows hold: the newest statement of each of them, by its number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statements: Vec<i64>,
}

impl Stretch {
    fn new(kind: ListingKind, period: Period) -> Self {
        let (from, to) = (rfc3339(period.first_s()), rfc3339(period.last_s()));
        let (only_provisional, statements) = (None, Vec::new());
        Self { kind: kind.as_str(), from, to, only_provisional, statements }
    }

    /// The stretches that several windows hold.
    pub(super) fn overlaps(kind: ListingKind, timeline: &Timeline) -> Vec<Self> {
        let overlaps = timeline.overlaps().into_iter().map(|(period, seqs)| Self {
            statements: seqs.into_iter().collect(),
            ..Self::new(kind, period)
        });
        overlaps.collect()
    }

    /// The last column of its line.
    fn words(&self) -> String {
        let numbers: Vec<String> = self.statements.iter().map(i64::to_string).collect();
        match (self.only_provisional, numbers.as_slice()) {
            (Some(true), _) => "but before it was over".to_owned(),
            (_, []) => String::new(),
            (_, numbers) => format!("statements {}", numbers.join(", ")),
        }
    }
}

/// What was never asked for of one kind within a window: each stretch once, and whether it was
/// asked for before it was over.
fn never_asked(timeline: &Timeline, provisional: &Timeline, within: Period) -> Vec<(Period, bool)> {
    let mut parts: Vec<(Period, bool)> = Vec::new();
    for gap in timeline.gaps(within) {
        for (part, asked) in provisional.cut(gap) {
            match parts.last_mut() {
                Some((before, only))
                    if *only == asked.is_some() && before.last_s() + 1 == part.first_s() =>
                {
                    *before = Period::new(before.first_s(), part.last_s()).expect("it goes on");
                }
                _ => parts.push((part, asked.is_some())),
            }
        }
    }
    parts
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatementsView {
    statements: Vec<StatementView>,
    overlaps: Vec<Stretch>,
    never_asked: Vec<Stretch>,
}

fn list(args: &ListArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let scope = scope(args.month);
    let statements = shell.open()?.read(|tx| statement::list(tx, scope, args.kind))?;
    let (mut overlaps, mut never_asked_of) = (Vec::new(), Vec::new());
    for kind in ListingKind::ALL {
        let of_kind = || statements.iter().filter(|statement| statement.kind == kind).cloned();
        let timeline = Timeline::new(of_kind());
        overlaps.extend(Stretch::overlaps(kind, &timeline));
        // What is still to come has not been missed.
        let within = match args.month {
            Some(_) => Period::new(scope.first_s(), scope.last_s().min(shell.now_s)),
            None => timeline.span(),
        };
        let provisional = of_kind().filter(|statement| statement.provisional);
        let provisional = Timeline::new(
            provisional.map(|statement| Statement { provisional: false, ..statement }),
        );
        if let Some(within) = within.filter(|_| of_kind().next().is_some()) {
            let parts = never_asked(&timeline, &provisional, within).into_iter();
            never_asked_of.extend(parts.map(|(part, only)| Stretch {
                only_provisional: Some(only),
                ..Stretch::new(kind, part)
            }));
        }
    }
    let listed = StatementsView {
        statements: statements.iter().map(StatementView::new).collect(),
        overlaps,
        never_asked: never_asked_of,
    };
    if args.csv.csv {
        shell.print_csv(&KEYS, &listed.statements)?;
        return Ok(Exit::Done);
    }
    let mut left_out = Vec::new();
    shell.print(&listed, |out| {
        let mut columns = Columns::new(&[
            "number#",
            "kind",
            "window!",
            "first asked",
            "last asked",
            "times#",
            "total#",
            "",
        ]);
        for statement in &statements {
            let provisional = if statement.provisional { "provisional" } else { "" };
            columns.row([
                statement.seq.to_string(),
                statement.kind.to_string(),
                moment::window(statement.period),
                rfc3339(statement.first_asked_at_s),
                rfc3339(statement.last_asked_at_s),
                statement.asked.to_string(),
                statement.total.to_string(),
                provisional.to_owned(),
            ]);
        }
        left_out = columns.leave_out(&["last asked"], None, out.screen);
        columns.print(out)?;
        print_elsewhere(out, &statements)?;
        print_overlaps(out, &listed.overlaps)?;
        print_stretches(out, "Never asked for:", &listed.never_asked)
    })?;
    shell.point_out_left_out(&left_out, "statement show N", "shows all of a statement");
    Ok(Exit::Done)
}

fn print_elsewhere(out: &mut ForPeople<'_>, statements: &[Statement]) -> std::io::Result<()> {
    let mut months =
        statements.iter().filter_map(|one| Some((one.seq, elsewhere(one)?))).peekable();
    if months.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\nMonths of another time zone, which do not count as months' bills:")?;
    let mut columns = Columns::new(&["number#", "month"]);
    for (seq, month) in months {
        columns.row([seq.to_string(), month.to_string()]);
    }
    columns.print(out)
}

/// Names the windows that overlap.
pub(super) fn print_overlaps(out: &mut ForPeople<'_>, overlaps: &[Stretch]) -> std::io::Result<()> {
    print_stretches(out, "Asked for in several windows:", overlaps)
}

fn print_stretches(
    out: &mut ForPeople<'_>,
    title: &str,
    stretches: &[Stretch],
) -> std::io::Result<()> {
    if stretches.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    let mut columns = Columns::new(&["kind", "from", "to", ""]);
    for stretch in stretches.iter().take(NAMED) {
        columns.row([
            stretch.kind.to_owned(),
            stretch.from.clone(),
            stretch.to.clone(),
            stretch.words(),
        ]);
    }
    columns.print(out)?;
    match stretches.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more, which --json lists"),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatementEntryView<'a> {
    project_id: &'a str,
    amount: Option<String>,
    description: Option<&'a str>,
    /// Of a bill: what it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    covered: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpriced: Option<bool>,
    /// Of a bill: what of the amount is told of earlier months.
    #[serde(rename = "carries", skip_serializing_if = "Vec::is_empty")]
    adjustments: Vec<AdjustmentView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdjustmentView {
    month: String,
    amount: String,
    /// Whether nothing of it waits for a later bill.
    whole: bool,
}

impl AdjustmentView {
    fn new(adjustment: &Adjustment) -> Self {
        Self {
            month: moment::month(adjustment.month_s),
            amount: adjustment.amount.to_string(),
            whole: adjustment.whole,
        }
    }
}

impl<'a> StatementEntryView<'a> {
    fn new(entry: &'a StatementEntry) -> Self {
        let (figure, origin) = (entry.figure.as_ref(), entry.origin.as_ref());
        Self {
            project_id: entry.project_id.as_str(),
            amount: figure.map(|figure| figure.amount.to_string()),
            description: figure.map(|figure| figure.description.as_str()),
            usage: origin.map(|origin| origin.usage.to_string()),
            covered: origin.map(|origin| origin.covered.to_string()),
            unpriced: origin.map(|origin| origin.unpriced),
            adjustments: entry.adjustments().iter().map(AdjustmentView::new).collect(),
        }
    }
}

#[derive(Serialize)]
struct WholeStatementView<'a> {
    #[serde(flatten)]
    statement: StatementView,
    entries: Vec<StatementEntryView<'a>>,
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let found = shell.open()?.read(|tx| match statement::find(tx, args.seq)? {
        Some(found) => statement::entries(tx, found.seq).map(|entries| Some((found, entries))),
        None => Ok::<_, store::Error>(None),
    })?;
    let Some((statement, entries)) = found else {
        let seq = args.seq;
        let missing = Failure::not_found(format!("there is no statement {seq}"));
        return Err(missing.hint("statement list", "shows them"));
    };
    let whole = WholeStatementView {
        statement: StatementView::new(&statement),
        entries: entries.iter().map(StatementEntryView::new).collect(),
    };
    shell.print(&whole, |out| {
        print_statement(out, &statement, &whole.statement)?;
        writeln!(out)?;
        let (told, left_out): (Vec<_>, Vec<_>) =
            whole.entries.iter().partition(|entry| entry.amount.is_some());
        print_told(out, &told)?;
        print_adjustments(out, &whole.entries)?;
        print_left_out(out, &left_out)
    })?;
    Ok(Exit::Done)
}

fn print_statement(
    out: &mut ForPeople<'_>,
    statement: &Statement,
    shown: &StatementView,
) -> io::Result<()> {
    let provisional = if statement.provisional { ", before it was over: provisional" } else { "" };
    print_properties(
        out,
        &[
            ("number", statement.seq.to_string()),
            ("kind", statement.kind.to_string()),
            ("window", moment::window(statement.period) + provisional),
            ("first asked", shown.first_asked_at.clone()),
            ("last asked", shown.last_asked_at.clone()),
            ("times", statement.asked.to_string()),
            ("totalSize", statement.total_size.to_string()),
            ("total", statement.total.to_string()),
            ("knew", format!("ledger entries up to {}", statement.last_knew_seq)),
        ],
    )
}

fn print_told(out: &mut ForPeople<'_>, told: &[&StatementEntryView<'_>]) -> io::Result<()> {
    let mut columns = Columns::new(&["project!", "amount#", "description"]);
    for entry in told {
        columns.row([
            entry.project_id.to_owned(),
            or_dash(entry.amount.as_ref()),
            or_dash(entry.description.as_ref()),
        ]);
    }
    columns.print(out)
}

fn print_adjustments(
    out: &mut ForPeople<'_>,
    entries: &[StatementEntryView<'_>],
) -> io::Result<()> {
    if entries.iter().all(|entry| entry.adjustments.is_empty()) {
        return Ok(());
    }
    writeln!(out, "\nCarried from earlier months:")?;
    let mut columns = Columns::new(&["project!", "month", "amount#", ""]);
    for entry in entries {
        for AdjustmentView { month, amount, whole } in &entry.adjustments {
            let waits = if *whole { "" } else { "more of it waits" };
            columns.row([entry.project_id, month, amount, waits].map(str::to_owned));
        }
    }
    columns.print(out)
}

fn print_left_out(out: &mut ForPeople<'_>, left_out: &[&StatementEntryView<'_>]) -> io::Result<()> {
    if left_out.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nLeft out:")?;
    let mut columns = Columns::new(&["project!", "usage#", "covered#", ""]);
    for entry in left_out {
        let is_unpriced = entry.unpriced == Some(true);
        let why = if is_unpriced { "without a price" } else { "without a charge" };
        let (usage, covered) = (or_dash(entry.usage.as_ref()), or_dash(entry.covered.as_ref()));
        columns.row([entry.project_id.to_owned(), usage, covered, why.to_owned()]);
    }
    columns.print(out)
}

/// What is late of a project in a month, for one kind of statement.
#[derive(Serialize)]
struct LateSumView {
    #[serde(serialize_with = "exact")]
    amount: Amount,
    #[serde(serialize_with = "exact")]
    covered: Amount,
    records: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LateRow {
    month: String,
    project_id: String,
    usage: Option<LateSumView>,
    bill: Option<LateSumView>,
    /// What the month costs and no bill told, in money; null where no bill of it is kept, where
    /// nothing is due, or without a price.
    due: Option<String>,
}

/// The keys of what is late, as CSV has them.
const LATE_KEYS: [&str; 11] = [
    "month",
    "projectId",
    "usage.amount",
    "usage.covered",
    "usage.records",
    "bill.amount",
    "bill.covered",
    "bill.records",
    "due",
    "planId",
    "reason",
];

/// Usage of a project in a billed month that has no price.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnpricedRow {
    month: String,
    project_id: String,
    /// The plan that would price it.
    plan_id: Option<String>,
}

/// What is not told of a project's month.
#[derive(Default)]
struct NotTold {
    usage: Option<UsageSum>,
    bill: Option<UsageSum>,
    due: Option<Amount>,
}

/// What is late, as the books have it.
#[derive(Default)]
struct Lateness {
    /// By month and project.
    not_told: BTreeMap<(i64, ProjectId), NotTold>,
    /// What no bill tells for want of a price, with the plan that would price it.
    unpriced: Vec<(i64, ProjectId, Option<PlanId>)>,
    /// The months with usage of which no bill is kept that was asked for after their end.
    unknown: Vec<i64>,
}

impl Lateness {
    fn read(tx: &ReadTx<'_>, scope: Period, now_s: i64) -> store::Result<Self> {
        let mut found =
            Self { unknown: late::untold_months(tx, ListingKind::Bill, scope)?, ..Self::default() };
        for (key, sum) in late::by_month(tx, ListingKind::Usage, scope)? {
            found.not_told.entry(key).or_default().usage = Some(sum);
        }
        for (key, sum) in late::by_month(tx, ListingKind::Bill, scope)? {
            found.not_told.entry(key).or_default().bill = Some(sum);
        }
        let mut months = balance::billed_from(tx, scope.first_s())?;
        months.retain(|month_s| *month_s <= scope.last_s());
        if !months.is_empty() {
            let pricing = Pricing::read(tx, None)?;
            for month_s in months {
                found.add_money(tx, &pricing, month_s, now_s)?;
            }
        }
        // Of a month that is not over, the bill is still to come.
        found.unknown.retain(|start_s| Grain::Month.after(*start_s) <= now_s);
        Ok(found)
    }

    fn add_money(
        &mut self,
        tx: &ReadTx<'_>,
        pricing: &Pricing,
        month_s: i64,
        now_s: i64,
    ) -> store::Result<()> {
        let is_told = Grain::Month.after(month_s) <= now_s || !self.unknown.contains(&month_s);
        for (project_id, balance) in balance::now(tx, pricing, month_s, None)? {
            match balance.due {
                Some(due) if due.is_zero() => {}
                Some(due) => {
                    self.not_told.entry((month_s, project_id)).or_default().due = Some(due);
                }
                None if is_told => {
                    let plan_id = pricing.plan_missing(&project_id, month_s);
                    self.unpriced.push((month_s, project_id, plan_id));
                }
                None => {}
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct LatenessView {
    rows: Vec<LateRow>,
    /// What no bill tells for want of a price.
    unpriced: Vec<UnpricedRow>,
    /// The months with usage of which no bill is kept that was asked for after their end.
    unknown: Vec<String>,
}

impl LatenessView {
    fn new(lateness: &Lateness) -> Self {
        let shown = |sum: &UsageSum| LateSumView {
            amount: sum.amount.clone(),
            covered: sum.covered.clone(),
            records: sum.records,
        };
        let row = |((month_s, project_id), not_told): (&(i64, ProjectId), &NotTold)| LateRow {
            month: moment::month(*month_s),
            project_id: project_id.to_string(),
            usage: not_told.usage.as_ref().map(shown),
            bill: not_told.bill.as_ref().map(shown),
            due: not_told.due.as_ref().map(Amount::to_string),
        };
        let unpriced = lateness.unpriced.iter().map(|(month_s, project_id, plan_id)| UnpricedRow {
            month: moment::month(*month_s),
            project_id: project_id.to_string(),
            plan_id: plan_id.as_ref().map(PlanId::to_string),
        });
        Self {
            rows: lateness.not_told.iter().map(row).collect(),
            unpriced: unpriced.collect(),
            unknown: lateness.unknown.iter().copied().map(moment::month).collect(),
        }
    }

    /// All of it as CSV has it: also what has no price, and the months of which it is not known.
    fn csv_rows(&self) -> io::Result<Vec<Value>> {
        let mut rows =
            self.rows.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
        for unpriced in &self.unpriced {
            let mut row = serde_json::to_value(unpriced)?;
            let plan_id = unpriced.plan_id.as_deref().unwrap_or(PlanId::FALLBACK);
            row["reason"] = format!("the plan {plan_id} is not set up").into();
            rows.push(row);
        }
        rows.extend(self.unknown.iter().map(|month| {
            let reason = "no bill is kept that was asked for after the month's end";
            json!({ "month": month, "reason": reason })
        }));
        Ok(rows)
    }

    fn print_rows(&self, out: &mut ForPeople<'_>) -> io::Result<()> {
        let names = [
            "month",
            "project!",
            "for usage#",
            "records#",
            "for the bill#",
            "covered#",
            "records#",
            "due#",
        ];
        let mut columns = Columns::new(&names);
        for LateRow { month, project_id, usage, bill, due } in &self.rows {
            let (of_usage, of_bill) = (usage.as_ref(), bill.as_ref());
            columns.row([
                month.clone(),
                project_id.clone(),
                or_dash(of_usage.map(|late| &late.amount)),
                or_dash(of_usage.map(|late| &late.records)),
                or_dash(of_bill.map(|late| &late.amount)),
                or_dash(of_bill.map(|late| &late.covered)),
                or_dash(of_bill.map(|late| &late.records)),
                or_dash(due.as_ref()),
            ]);
        }
        columns.print(out)
    }

    /// `set` is the command that sets a price for the first of them.
    fn print_unpriced(&self, out: &mut ForPeople<'_>, set: &str) -> io::Result<()> {
        let gap = if self.rows.is_empty() { "" } else { "\n" };
        writeln!(out, "{gap}Usage without a price, which no bill tells; set one with {set}:")?;
        let mut columns = Columns::new(&["month", "project!", "plan!"]);
        for UnpricedRow { month, project_id, plan_id } in &self.unpriced {
            columns.row([month.clone(), project_id.clone(), or_dash(plan_id.as_ref())]);
        }
        columns.print(out)
    }
}

fn late(args: &LateArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let (scope, now_s) = (scope(args.month), shell.now_s);
    let lateness = shell.open()?.read(|tx| Lateness::read(tx, scope, now_s))?;
    let shown = LatenessView::new(&lateness);
    if args.csv.csv {
        shell.print_csv(&LATE_KEYS, shown.csv_rows()?)?;
        return Ok(Exit::Done);
    }
    let first = lateness.unpriced.first();
    let set = first.map(|(month_s, _, plan_id)| price_command(plan_id.as_ref(), Some(*month_s)));
    let set = set.map(|command| shell.database.command(&command));
    shell.print(&shown, |out| {
        if shown.rows.is_empty() && set.is_none() {
            writeln!(out, "nothing is late")?;
        }
        if !shown.rows.is_empty() {
            shown.print_rows(out)?;
        }
        if let Some(set) = set {
            shown.print_unpriced(out, &set)?;
        }
        if shown.unknown.is_empty() {
            Ok(())
        } else {
            writeln!(
                out,
                "\nNo bill is kept that was asked for after the end of {}: what is late for \
                 it is not known.",
                shown.unknown.join(", ")
            )
        }
    })?;
    Ok(Exit::Done)
}

/// Says that something came too late for a statement.
pub(super) fn late_words(told: &Statement, what: &str) -> String {
    let (window, done) = (moment::window(told.period), told.kind.participle());
    format!("{window} was {done} on {}; {what}", period::date(told.first_asked_at_s))
}

/// What Agora has been told already, as an import looks at it: read anew when another statement has
/// been kept.
#[derive(Default)]
pub(super) struct ToldAlready {
    newest: i64,
    timelines: Vec<Timeline>,
}

impl ToldAlready {
    pub(super) fn refresh(&mut self, tx: &ReadTx<'_>) -> store::Result<()> {
        let newest = statement::newest(tx)?;
        if newest != self.newest {
            let read = |kind| statement::timeline(tx, kind, scope(None));
            self.timelines =
                ListingKind::ALL.into_iter().map(read).collect::<store::Result<_>>()?;
            self.newest = newest;
        }
        Ok(())
    }

    /// Counts a record that has just been written where it is late.
    pub(super) fn tally(&self, at_s: i64, late: &mut LateRecords) {
        for timeline in &self.timelines {
            if let Some(segment) = timeline.at(at_s) {
                let told = timeline.teller(segment);
                let month = late
                    .0
                    .entry((told.kind, Grain::Month.floor(at_s)))
                    .or_insert_with(|| LateMonth { told_at_s: told.first_asked_at_s, records: 0 });
                month.records += 1;
            }
        }
    }
}

/// The records of an import that are late, by kind and the month's first second.
#[derive(Default)]
pub(super) struct LateRecords(BTreeMap<(ListingKind, i64), LateMonth>);

struct LateMonth {
    told_at_s: i64,
    records: u64,
}

impl LateRecords {
    pub(super) fn join(&mut self, other: Self) {
        for (key, month) in other.0 {
            self.0.entry(key).or_insert(LateMonth { records: 0, ..month }).records += month.records;
        }
    }

    /// Says of the first months, as soon as a record of one is on disk, that it is late.
    pub(super) fn point_out_first(&self, before: &Self, shell: &mut Shell<'_>) {
        let news = self.0.iter().filter(|(key, _)| !before.0.contains_key(key));
        for ((kind, start_s), month) in news.take(NAMED.saturating_sub(before.0.len())) {
            let (name, done, day) =
                (moment::month(*start_s), kind.participle(), period::date(month.told_at_s));
            shell.note(&format!("usage of {name} was {done} on {day}; records of it are late"));
        }
    }

    /// Says how many records of each month are late.
    pub(super) fn point_out(&self, shell: &mut Shell<'_>) {
        let words = |((kind, start_s), month): (&(ListingKind, i64), &LateMonth)| {
            format!(
                "{} of {} for what was {}",
                month.records,
                moment::month(*start_s),
                kind.participle()
            )
        };
        let months: Vec<String> = self.0.iter().take(NAMED).map(words).collect();
        let more = if self.0.len() > NAMED { ", …" } else { "" };
        if !months.is_empty() {
            let joined = months.join(", ");
            let sentence = Sentence::from(format!("late records: {joined}{more}"));
            shell.point_out(sentence.hint("statement late", "adds them up"));
        }
    }
}
