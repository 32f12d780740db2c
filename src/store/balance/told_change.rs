//! What a month's bill tells of other months, as it is kept.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::statement::{Origin, StatementEntry};
use crate::store::balance::lines::{BilledMonth, read, write};
use crate::store::balance::mark;
use crate::store::{ReadTx, Result, WriteTx, statement};
use std::collections::BTreeMap;

/// A bill, as far as it changes what is told of months.
pub(in crate::store) struct ToldChange {
    own_s: i64,
    /// Its open entries.
    open: Vec<StatementEntry>,
    /// What it adjusts of earlier months, less what the bill of its month before adjusted.
    changes: BTreeMap<i64, BTreeMap<ProjectId, Amount>>,
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
        let mut changes: BTreeMap<i64, BTreeMap<ProjectId, Amount>> = BTreeMap::new();
        for (id, told) in before.iter().flat_map(StatementEntry::by_project) {
            let month = changes.entry(told.month_s).or_default();
            *month.entry(id.clone()).or_default() -= &told.amount;
        }
        for (id, told) in open.iter().flat_map(StatementEntry::by_project) {
            let month = changes.entry(told.month_s).or_default();
            *month.entry(id.clone()).or_default() += &told.amount;
        }
        Ok(Self { own_s, open, changes })
    }

    /// Tells whether a bill that is newer than a statement has changed what is told of one of these
    /// months.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_outdone(&self, tx: &ReadTx<'_>, statement_seq: i64) -> Result<bool> {
        for month_s in self.changes.keys().chain([&self.own_s]) {
            if BilledMonth::kept_seq(tx, *month_s)? > statement_seq {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Changes the balances of these months, since the bill is kept under the number `seq`.
    ///
    /// # Errors
    /// When SQLite fails, or what is kept cannot be read.
    pub fn keep(&self, tx: &WriteTx<'_>, seq: i64) -> Result<()> {
        for (month_s, changes) in &self.changes {
            let mut balances = read(tx, *month_s, None)?;
            for (id, change) in changes {
                let balance = balances.entry(id.clone()).or_default();
                balance.adjusted += change;
                balance.due.iter_mut().for_each(|due| *due -= change);
            }
            write(tx, *month_s, seq, &balances)?;
        }
        self.keep_own(tx, seq)
    }

    /// The same of its own month: what is due of it is what waits.
    fn keep_own(&self, tx: &WriteTx<'_>, seq: i64) -> Result<()> {
        if BilledMonth::kept_seq(tx, self.own_s)? == 0 {
            // There was no bill, and so no mark of what changed since page 1.
            mark::month(tx, self.own_s)?;
        }
        let mut balances = read(tx, self.own_s, None)?;
        for balance in balances.values_mut() {
            balance.due = Some(Amount::default());
        }
        for StatementEntry { project_id, origin, .. } in &self.open {
            let Origin { unpriced, rest, .. } = origin.clone().unwrap_or_default();
            let balance = balances.entry(project_id.clone()).or_default();
            balance.due = (!unpriced).then_some(rest);
        }
        write(tx, self.own_s, seq, &balances)
    }
}
