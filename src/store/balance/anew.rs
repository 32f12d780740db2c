//! Balances made anew out of the kept bills, to migrate and to check.

use crate::billing::id::ProjectId;
use crate::store::balance::lines::{Balances, billed_from, document, read, write};
use crate::store::balance::mark::{self, Marks};
use crate::store::balance::price::{SettledMonth, price};
use crate::store::bill::Pricing;
use crate::store::document::CompressedLines;
use crate::store::{ReadTx, Result, WriteTx, readable, statement};
use rusqlite::{Row, named_params};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a month's balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// They do not say what the newest bills tell of the project.
    Told(ProjectId),
    /// Something else is due of the project, and no mark says that it may be.
    Mark(ProjectId),
    /// They are not as they are written.
    Written,
}

/// What the newest kept bills of all months adjust of each month that has a bill.
fn adjusted(tx: &ReadTx<'_>) -> Result<BTreeMap<i64, Balances>> {
    let bills = statement::month_bills(tx)?;
    let mut months: BTreeMap<i64, Balances> =
        bills.keys().map(|own_s| (*own_s, Balances::new())).collect();
    statement::each_adjustment(tx, |_, _, id, told| {
        let balances = months.entry(told.month_s).or_default();
        balances.entry(id.clone()).or_default().adjusted += &told.amount;
    })?;
    Ok(months)
}

/// The balances of a month as its statements and its prices have them; `None` where no bill of it
/// is kept.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn anew(tx: &ReadTx<'_>, pricing: &Pricing, month_s: i64) -> Result<Option<Balances>> {
    let Some(mut balances) = adjusted(tx)?.remove(&month_s) else {
        return Ok(None);
    };
    price(tx, pricing, month_s, &Marks::EVERYBODY, None, &mut balances)?;
    Ok(Some(balances))
}

/// Writes the balances of all months, as the newest kept bills have them.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub(in crate::store) fn write_anew(tx: &WriteTx<'_>) -> Result<()> {
    let bills = statement::month_bills(tx)?;
    // Which bill changed a month last is not known: a bill that was begun before is begun anew.
    let newest = statement::newest(tx)?;
    for (month_s, balances) in adjusted(tx)? {
        if bills.contains_key(&month_s) {
            write(tx, month_s, newest, &balances)?;
            mark::month(tx, month_s)?;
        }
    }
    let mut after_s = -1;
    while let Some(settled) = SettledMonth::read(tx, after_s)? {
        after_s = settled.write(tx)?;
    }
    Ok(())
}

/// Compares the balances of all months with what the newest kept bills tell and what the months
/// cost.
pub(in crate::store) fn problems(tx: &ReadTx<'_>) -> Result<Vec<(i64, Problem)>> {
    let pricing = Pricing::read(tx, None)?;
    let mut found = Vec::new();
    let mut kept: BTreeSet<i64> = billed_from(tx, 0)?.into_iter().collect();
    for (month_s, mut anew) in adjusted(tx)? {
        let balances =
            if kept.remove(&month_s) { readable(read(tx, month_s, None))? } else { None };
        let Some(balances) = balances else {
            found.push((month_s, Problem::Written));
            continue;
        };
        price(tx, &pricing, month_s, &Marks::EVERYBODY, None, &mut anew)?;
        let marks = Marks::read(tx, month_s)?;
        let before = found.len();
        let projects: BTreeSet<&ProjectId> = balances.keys().chain(anew.keys()).collect();
        for id in projects {
            let of = |balances: &Balances| balances.get(id).cloned().unwrap_or_default();
            let (kept, anew) = (of(&balances), of(&anew));
            if kept.adjusted != anew.adjusted {
                found.push((month_s, Problem::Told(id.clone())));
            } else if kept.due != anew.due && !marks.has(id.as_str()) {
                found.push((month_s, Problem::Mark(id.clone())));
            }
        }
        if found.len() == before && !is_as_written(tx, month_s, &balances)? {
            found.push((month_s, Problem::Written));
        }
    }
    found.extend(kept.into_iter().map(|month_s| (month_s, Problem::Written)));
    Ok(found)
}

/// Tells whether a month's balances are kept, to the letter, as they are written.
fn is_as_written(tx: &ReadTx<'_>, month_s: i64, balances: &Balances) -> Result<bool> {
    const SELECT: &str = "
        select waiting, balances
        from balance
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let kept = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (waiting, kept): (bool, CompressedLines) =
        select.query_row(named_params! { ":month_s": month_s }, kept)?;
    let (waits, written) = document(balances)?;
    Ok(waiting == waits && kept.text(0)? == written.text(0)?)
}
