//! What a month's bill tells of other months, as it is kept.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::statement::StatementEntry;
use crate::store::balance::lines::{BilledMonth, read, write};
use crate::store::balance::mark;
use crate::store::{ReadTx, Result, WriteTx, statement};
use std::collections::BTreeMap;

/// What a bill changes of what is told of earlier months: what it adjusts, less what the bill of its
/// month before adjusted.
pub(in crate::store) struct ToldChange {
    own_s: i64,
    months: BTreeMap<i64, BTreeMap<ProjectId, Amount>>,
}

impl ToldChange {
    /// Of the bill of a month with these entries that adjust.
    ///
    /// # Errors
    /// When SQLite fails, or what is kept cannot be read.
    pub fn of(tx: &ReadTx<'_>, own_s: i64, entries: &[StatementEntry]) -> Result<Self> {
        let before = match statement::month_bill(tx, own_s)?.filter(|bill| bill.adjusts) {
            Some(bill) => statement::adjusting_entries(tx, bill.seq)?,
            None => Vec::new(),
        };
        let mut months: BTreeMap<i64, BTreeMap<ProjectId, Amount>> = BTreeMap::new();
        for (id, told) in before.iter().flat_map(StatementEntry::by_project) {
            let changes = months.entry(told.month_s).or_default();
            *changes.entry(id.clone()).or_default() -= &told.amount;
        }
        for (id, told) in entries.iter().flat_map(StatementEntry::by_project) {
            let changes = months.entry(told.month_s).or_default();
            *changes.entry(id.clone()).or_default() += &told.amount;
        }
        Ok(Self { own_s, months })
    }

    /// Tells whether a bill that is newer than a statement has changed what is told of one of the
    /// months that this one speaks of.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_outdone(&self, tx: &ReadTx<'_>, statement_seq: i64) -> Result<bool> {
        for month_s in self.months.keys().chain([&self.own_s]) {
            if BilledMonth::kept_seq(tx, *month_s)? > statement_seq {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Changes the balances, since the bill is kept under the number `seq`. Of its own month it may
    /// tell something else of everybody: who prices that next, knows.
    ///
    /// # Errors
    /// When SQLite fails, or what is kept cannot be read.
    pub fn keep(&self, tx: &WriteTx<'_>, seq: i64) -> Result<()> {
        for (month_s, changes) in &self.months {
            let mut balances = read(tx, *month_s, None)?;
            for (id, change) in changes {
                let balance = balances.entry(id.clone()).or_default();
                balance.adjusted += change;
                balance.due.iter_mut().for_each(|due| *due -= change);
            }
            write(tx, *month_s, seq, &balances)?;
        }
        write(tx, self.own_s, seq, &read(tx, self.own_s, None)?)?;
        mark::month(tx, self.own_s)
    }
}
