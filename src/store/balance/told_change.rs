//! What a month's bill tells of other months, as it is kept.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::statement::{Origin, StatementEntry};
use crate::store::balance::lines::{BilledMonth, read, write};
use crate::store::balance::mark;
use crate::store::snapshot::ListingOrigin;
use crate::store::{ReadTx, Result, WriteTx, statement};
use rusqlite::named_params;
use std::collections::BTreeMap;

/// What a bill changes of what is told of months.
pub(in crate::store) struct ToldChange {
    own_s: i64,
    /// Its open entries.
    open: Vec<StatementEntry>,
    /// What it adjusts of earlier months, less what the bill of its month before adjusted.
    months: BTreeMap<i64, BTreeMap<ProjectId, Amount>>,
}

impl ToldChange {
    /// Of the bill of a month that has these open entries.
    ///
    /// # Errors
    /// When SQLite fails, or what is kept cannot be read.
    pub fn of(tx: &ReadTx<'_>, own_s: i64, open: Vec<StatementEntry>) -> Result<Self> {
        let before = match statement::month_bill(tx, own_s)?.filter(|bill| bill.adjusts) {
            Some(bill) => statement::open_entries(tx, bill.seq)?,
            None => Vec::new(),
        };
        let mut months: BTreeMap<i64, BTreeMap<ProjectId, Amount>> = BTreeMap::new();
        for (id, told) in before.iter().flat_map(StatementEntry::by_project) {
            let changes = months.entry(told.month_s).or_default();
            *changes.entry(id.clone()).or_default() -= &told.amount;
        }
        for (id, told) in open.iter().flat_map(StatementEntry::by_project) {
            let changes = months.entry(told.month_s).or_default();
            *changes.entry(id.clone()).or_default() += &told.amount;
        }
        Ok(Self { own_s, open, months })
    }

    /// Tells whether another bill has changed what is told of one of the months that this one
    /// speaks of, since it was made.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_outdone(&self, tx: &ReadTx<'_>, made_of: &ListingOrigin) -> Result<bool> {
        for month_s in self.months.keys().chain([&self.own_s]) {
            if BilledMonth::kept_seq(tx, *month_s)? > made_of.statement_seq {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Changes the balances, since the bill is kept under the number `seq`.
    ///
    /// # Errors
    /// When SQLite fails, or what is kept cannot be read.
    pub fn keep(&self, tx: &WriteTx<'_>, seq: i64, made_of: &ListingOrigin) -> Result<()> {
        for (month_s, changes) in &self.months {
            let mut balances = read(tx, *month_s, None)?;
            for (id, change) in changes {
                let balance = balances.entry(id.clone()).or_default();
                balance.adjusted += change;
                balance.due.iter_mut().for_each(|due| *due -= change);
            }
            write(tx, *month_s, seq, &balances)?;
        }
        self.keep_own(tx, seq, made_of)
    }

    /// The same of its own month: what is due of it is what waits. Where something that prices the
    /// month was written since the bill was made, it may be another for everybody.
    fn keep_own(&self, tx: &WriteTx<'_>, seq: i64, made_of: &ListingOrigin) -> Result<()> {
        let mut balances = read(tx, self.own_s, None)?;
        for balance in balances.values_mut() {
            balance.due = Some(Amount::default());
        }
        for StatementEntry { project_id, origin, .. } in &self.open {
            let Origin { unpriced, rest, .. } = origin.clone().unwrap_or_default();
            let balance = balances.entry(project_id.clone()).or_default();
            balance.due = (!unpriced).then_some(rest);
        }
        write(tx, self.own_s, seq, &balances)?;
        if is_changed(tx, self.own_s, made_of)? { mark::month(tx, self.own_s) } else { Ok(()) }
    }
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
