//! Drafts: what becomes of balances once a bill is kept.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::statement::StatementEntry;
use crate::store::balance::due::Costs;
use crate::store::balance::lines::{Balance, BalanceLine, Balances, BilledMonth, each_line, read};
use crate::store::document::{CompressedLines, DocumentWriter};
use crate::store::snapshot::ListingOrigin;
use crate::store::{ReadTx, Result, WriteTx, statement};
use rusqlite::named_params;
use std::collections::BTreeMap;

/// The balances of a month as they are once a bill is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceDraft {
    month_s: i64,
    pub(super) adjusted: bool,
    pub(super) waiting: bool,
    pub(super) document: CompressedLines,
}

impl BalanceDraft {
    pub(super) fn of(month_s: i64, balances: &Balances) -> Result<Self> {
        let mut draft = DraftLines::new()?;
        for (project_id, balance) in balances {
            draft.push(project_id.as_str(), balance)?;
        }
        draft.finish(month_s)
    }

    /// About how many bytes of memory it takes.
    pub(in crate::store) fn size_bytes(&self) -> usize {
        self.document.size_bytes()
    }

    pub(super) fn write(&self, tx: &WriteTx<'_>, kept_seq: i64, settled_seq: i64) -> Result<()> {
        const UPSERT: &str = "
            insert into balance (month_s, kept_seq, settled_seq, adjusted, waiting, balances)
            values (:month_s, :kept_seq, :settled_seq, :adjusted, :waiting, :balances)
            on conflict (month_s) do update
            set kept_seq = excluded.kept_seq,
                settled_seq = excluded.settled_seq,
                adjusted = excluded.adjusted,
                waiting = excluded.waiting,
                balances = excluded.balances";
        tx.sql().prepare_cached(UPSERT)?.execute(named_params! {
            ":month_s": self.month_s,
            ":kept_seq": kept_seq,
            ":settled_seq": settled_seq,
            ":adjusted": self.adjusted,
            ":waiting": self.waiting,
            ":balances": self.document,
        })?;
        Ok(())
    }
}

/// A draft as it is written, line by line.
struct DraftLines {
    lines: DocumentWriter,
    adjusted: bool,
    waiting: bool,
}

impl DraftLines {
    fn new() -> Result<Self> {
        Ok(Self { lines: DocumentWriter::new()?, adjusted: false, waiting: false })
    }

    fn push(&mut self, project_id: &str, balance: &Balance) -> Result<()> {
        if *balance == Balance::default() {
            return Ok(());
        }
        self.adjusted |= !balance.adjusted.is_zero();
        self.waiting |= !balance.is_settled();
        self.lines.push(|line| balance.write(project_id, line))
    }

    /// Writes a line as it stands.
    fn copy(&mut self, line: &BalanceLine<'_>) -> Result<()> {
        self.adjusted |= line.words().nth(1).is_some_and(|adjusted| adjusted != "0");
        self.waiting |= line.waits();
        self.lines.push(|written| written.extend_from_slice(line.line.as_bytes()))
    }

    fn finish(self, month_s: i64) -> Result<BalanceDraft> {
        let Self { lines, adjusted, waiting } = self;
        Ok(BalanceDraft { month_s, adjusted, waiting, document: lines.finish()? })
    }
}

/// What a bill changes of a project's earlier month.
#[derive(Default)]
struct MonthChange<'e> {
    /// What the bill of its month before told.
    before: Option<&'e Amount>,
    /// What it tells.
    now: Option<&'e Amount>,
    /// What the month costs, where the balance says something else.
    cost: Option<&'e Option<Amount>>,
}

impl MonthChange<'_> {
    /// The balance once it is made.
    fn make(&self, mut balance: Balance) -> Balance {
        self.before.into_iter().for_each(|amount| balance.adjusted -= amount);
        self.now.into_iter().for_each(|amount| balance.adjusted += amount);
        if let Some(cost) = self.cost {
            balance.cost.clone_from(cost);
        }
        balance
    }
}

/// Drafts the balances of all months that a month's bill with these entries changes; `costs` is
/// what it found earlier months to cost.
///
/// # Errors
/// When SQLite fails.
pub(in crate::store) fn drafts(
    tx: &ReadTx<'_>,
    own_s: i64,
    entries: &[StatementEntry],
    costs: &Costs,
) -> Result<Vec<BalanceDraft>> {
    let told_before = match statement::month_bill(tx, own_s)?.filter(|bill| bill.adjusts) {
        Some(bill) => statement::entries(tx, bill.seq)?,
        None => Vec::new(),
    };
    let mut months: BTreeMap<i64, BTreeMap<&ProjectId, MonthChange<'_>>> = BTreeMap::new();
    for (id, adjustment) in told_before.iter().flat_map(StatementEntry::by_project) {
        let changes = months.entry(adjustment.month_s).or_default();
        changes.entry(id).or_default().before = Some(&adjustment.amount);
    }
    for (id, adjustment) in entries.iter().flat_map(StatementEntry::by_project) {
        let changes = months.entry(adjustment.month_s).or_default();
        changes.entry(id).or_default().now = Some(&adjustment.amount);
    }
    for (month_s, costs) in costs {
        let changes = months.entry(*month_s).or_default();
        costs.iter().for_each(|(id, cost)| changes.entry(id).or_default().cost = Some(cost));
    }
    let mut drafts = vec![own_draft(tx, own_s, entries)?];
    for (month_s, changes) in months {
        drafts.push(changed_draft(tx, month_s, &changes)?);
    }
    Ok(drafts)
}

/// The balances of an earlier month: what is not changed is copied.
fn changed_draft(
    tx: &ReadTx<'_>,
    month_s: i64,
    changes: &BTreeMap<&ProjectId, MonthChange<'_>>,
) -> Result<BalanceDraft> {
    let mut draft = DraftLines::new()?;
    let mut left = changes.iter().peekable();
    each_line(tx, month_s, |line| {
        while let Some((id, change)) = left.next_if(|(id, _)| id.as_str() < line.project_id) {
            draft.push(id.as_str(), &change.make(Balance::default()))?;
        }
        match left.next_if(|(id, _)| id.as_str() == line.project_id) {
            Some((_, change)) => draft.push(line.project_id, &change.make(line.balance()?)),
            None => draft.copy(&line),
        }
    })?;
    for (id, change) in left {
        draft.push(id.as_str(), &change.make(Balance::default()))?;
    }
    draft.finish(month_s)
}

/// The balances of a bill's own month: what it tells, and what later bills tell as before.
fn own_draft(tx: &ReadTx<'_>, own_s: i64, entries: &[StatementEntry]) -> Result<BalanceDraft> {
    let is_adjusted = BilledMonth::find(tx, own_s)?.is_some_and(|month| month.adjusted);
    let mut balances = if is_adjusted { read(tx, own_s, |_| true)? } else { Balances::new() };
    for balance in balances.values_mut() {
        let adjusted = std::mem::take(&mut balance.adjusted);
        *balance = Balance { cost: Some(Amount::default()), own: Amount::default(), adjusted };
    }
    for entry in entries {
        let Some(origin) = &entry.origin else {
            continue;
        };
        let balance = balances.entry(entry.project_id.clone()).or_default();
        balance.own = entry.own();
        balance.cost = (!origin.unpriced).then(|| &balance.told() + &origin.rest);
    }
    BalanceDraft::of(own_s, &balances)
}

/// Tells whether a bill that was kept after these drafts were made changed what is told of a month
/// that they are of.
///
/// # Errors
/// When SQLite fails.
pub(in crate::store) fn is_outdone(
    tx: &ReadTx<'_>,
    drafts: &[BalanceDraft],
    made_of: &ListingOrigin,
) -> Result<bool> {
    for draft in drafts {
        let month = BilledMonth::find(tx, draft.month_s)?;
        if month.is_some_and(|month| month.kept_seq > made_of.statement_seq) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the drafts of the bill whose number is `seq`. A month is marked where it may cost
/// something else than its draft says.
///
/// # Errors
/// When SQLite fails.
pub(in crate::store) fn keep(
    tx: &WriteTx<'_>,
    seq: i64,
    own_s: i64,
    drafts: &[BalanceDraft],
    made_of: &ListingOrigin,
) -> Result<()> {
    for draft in drafts {
        let month = BilledMonth::find(tx, draft.month_s)?;
        let settled_seq = month.as_ref().map_or(0, |month| month.settled_seq);
        draft.write(tx, seq, settled_seq.max(made_of.mark_seq))?;
        // A month without a bill had no marks, so that what changed meanwhile is looked for. Costs
        // that were worked out since are not in the draft. A snapshot holds no costs at all.
        let is_new = month.is_none() && is_changed(tx, own_s, made_of)?;
        let is_unpriced = draft.month_s != own_s && !made_of.adjusts;
        if is_new || is_unpriced || settled_seq > made_of.mark_seq {
            const INSERT: &str = "
                insert or replace into mark (month_s, project_no)
                values (:month_s, 0)";
            let params = named_params! { ":month_s": draft.month_s };
            tx.sql().prepare_cached(INSERT)?.execute(params)?;
        }
    }
    const DELETE: &str = "
        delete from mark
        where seq <= :mark_seq
          and (month_s = :own_s or (:adjusts and month_s < :own_s))";
    tx.sql().prepare_cached(DELETE)?.execute(named_params! {
        ":mark_seq": made_of.mark_seq,
        ":own_s": own_s,
        ":adjusts": made_of.adjusts,
    })?;
    Ok(())
}

/// Tells whether anything that prices a month was written since a bill of it was made.
fn is_changed(tx: &ReadTx<'_>, month_s: i64, made_of: &ListingOrigin) -> Result<bool> {
    const SELECT: &str = "
        select exists (
          select 1
          from usage_month
          where month_s = :month_s
            and last_seq > :knew_seq
        )";
    let params = named_params! { ":month_s": month_s, ":knew_seq": made_of.knew_seq };
    let is_used = tx.sql().prepare_cached(SELECT)?.query_row(params, |row| row.get(0))?;
    Ok(is_used || statement::terms_seq(tx)? > made_of.terms_seq)
}
