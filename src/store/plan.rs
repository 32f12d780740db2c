//! Price plans.

use crate::billing::plan::{Plan, PlanBook};
use crate::billing::price::Price;
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::named_params;

/// Sets a plan up, or changes it; it is valid for all time.
///
/// # Errors
/// When SQLite fails.
pub fn set(tx: &WriteTx<'_>, plan: &Plan) -> Result<()> {
    const UPSERT: &str = "
        insert into plan (plan_id, name, unit, price)
        values (:plan_id, :name, :unit, :price)
        on conflict (plan_id) do update
        set name = excluded.name,
            unit = excluded.unit,
            price = excluded.price";
    let Price::PerUnit(price) = &plan.price;
    tx.sql().prepare_cached(UPSERT)?.execute(named_params! {
        ":plan_id": plan.id,
        ":name": plan.name,
        ":unit": plan.unit,
        ":price": price,
    })?;
    Ok(())
}

/// All plans.
///
/// # Errors
/// When SQLite fails.
pub fn book(tx: &ReadTx<'_>) -> Result<PlanBook> {
    const SELECT: &str = "
        select plan_id, name, unit, price
        from plan";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let plans = select.query_map([], |row| {
        Ok(Plan { id: row.get(0)?, name: row.get(1)?, unit: row.get(2)?, price: Price::PerUnit(row.get(3)?) })
    })?;
    Ok(plans.collect::<rusqlite::Result<_>>()?)
}
