//! What months cost by now: priced ahead of the bills that tell it.

use crate::billing::id::ProjectId;
use crate::store::balance::draft::BalanceDraft;
use crate::store::balance::lines::{Balances, BilledMonth, read};
use crate::store::balance::mark::{MarkedProjects, last_mark, price};
use crate::store::bill::Pricing;
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::named_params;
use std::collections::{HashMap, HashSet};

/// Reads by month which projects may cost something else than what is told; `None`: all.
pub(in crate::store) fn open(tx: &ReadTx<'_>) -> Result<HashMap<i64, Option<HashSet<ProjectId>>>> {
    let mut open = HashMap::new();
    for BilledMonth { month_s, .. } in BilledMonth::before(tx, i64::MAX)? {
        let waiting = read(tx, month_s, |line| line.waits())?.into_keys();
        let projects = match MarkedProjects::read(tx, month_s)? {
            MarkedProjects::Everybody => None,
            MarkedProjects::These(marked) => Some(waiting.chain(marked).collect()),
        };
        open.insert(month_s, projects);
    }
    Ok(open)
}

/// Prices the marked projects of one month, writes what they cost into its balances, and removes
/// the marks, so that no bill has to. Returns whether there was such a month.
///
/// # Errors
/// When SQLite fails.
pub fn settle(tx: &WriteTx<'_>) -> Result<bool> {
    const SELECT: &str = "select min(month_s) from mark";
    const DELETE: &str = "delete from mark where month_s = :month_s";
    let month_s: Option<i64> = tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?;
    let Some(month) = month_s.map(|month_s| BilledMonth::find(tx, month_s)).transpose()?.flatten()
    else {
        return Ok(false);
    };
    let pricing = Pricing::read(tx, None)?;
    let balances = now(tx, &pricing, month.month_s, None)?;
    BalanceDraft::of(month.month_s, &balances)?.write(tx, month.kept_seq, last_mark(tx)?)?;
    tx.sql().prepare_cached(DELETE)?.execute(named_params! { ":month_s": month.month_s })?;
    Ok(true)
}

/// The balances of a month with what it costs by now: of all projects, or of `only` one.
///
/// # Errors
/// When SQLite fails.
pub fn now(
    tx: &ReadTx<'_>,
    pricing: &Pricing,
    month_s: i64,
    only: Option<&ProjectId>,
) -> Result<Balances> {
    let is_asked = |id: &str| only.is_none_or(|only| only.as_str() == id);
    let mut balances = read(tx, month_s, |line| is_asked(line.project_id))?;
    let marked = MarkedProjects::read(tx, month_s)?;
    price(tx, pricing, month_s, &marked, only, &mut balances)?;
    Ok(balances)
}
