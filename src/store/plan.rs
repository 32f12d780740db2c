//! Price plans, by date.

use crate::billing::event::Stamp;
use crate::billing::history::{History, HistoryEntry};
use crate::billing::id::PlanId;
use crate::billing::plan::{Plan, PlanBook};
use crate::store::balance::mark;
use crate::store::{ReadTx, Result, WriteTx, history};
use rusqlite::{Row, named_params};

/// Sets a plan up, or changes it from `from_s` on, a month's first second; its first version
/// reaches back as far as [`History::start`] says. Tells whether anything was written: what is in
/// force from then on already is not said again.
///
/// # Errors
/// When SQLite fails.
pub fn set(tx: &WriteTx<'_>, plan: &Plan, from_s: i64, stamp: &Stamp) -> Result<bool> {
    let history: History<Plan> = versions(tx, &plan.id)?.into_iter().collect();
    let from_s = history::start(tx, &history, Some(from_s), None, stamp.at_s)?;
    if history.at(from_s) == Some(plan) {
        return Ok(false);
    }
    const INSERT: &str = "
        insert into plan_version (plan_id, from_s, name, unit, price, at_s, actor)
        values (:plan_id, :from_s, :name, :unit, :price, :at_s, :actor)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":plan_id": plan.id,
        ":from_s": from_s,
        ":name": plan.name,
        ":unit": plan.unit,
        ":price": plan.price,
        ":at_s": stamp.at_s,
        ":actor": stamp.actor,
    })?;
    mark::everybody(tx, from_s)?;
    Ok(true)
}

/// All that was set of a plan, the oldest first.
///
/// # Errors
/// When SQLite fails.
pub fn versions(tx: &ReadTx<'_>, id: &PlanId) -> Result<Vec<HistoryEntry<Plan>>> {
    const SELECT: &str = "
        select plan_id, name, unit, price, from_s, at_s, actor
        from plan_version
        where plan_id = :plan_id
        order by seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let said = |row: &Row<'_>| {
        let stamp = Stamp { at_s: row.get(5)?, actor: row.get(6)? };
        Ok(HistoryEntry { from_s: row.get(4)?, value: plan(row)?, stamp })
    };
    Ok(select
        .query_map(named_params! { ":plan_id": id }, said)?
        .collect::<rusqlite::Result<_>>()?)
}

/// All plans.
///
/// # Errors
/// When SQLite fails.
pub fn book(tx: &ReadTx<'_>) -> Result<PlanBook> {
    const SELECT: &str = "
        select plan_id, name, unit, price, from_s
        from plan_version
        order by seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let versions = select.query_map([], |row| Ok((row.get(4)?, plan(row)?)))?;
    Ok(versions.collect::<rusqlite::Result<_>>()?)
}

fn plan(row: &Row<'_>) -> rusqlite::Result<Plan> {
    Ok(Plan { id: row.get(0)?, name: row.get(1)?, unit: row.get(2)?, price: row.get(3)? })
}
