//! Balances made anew out of the kept bills, to migrate and to check.

use crate::billing::id::ProjectId;
use crate::store::balance::draft::BalanceDraft;
use crate::store::balance::lines::{Balance, Balances, billed_from, read};
use crate::store::balance::mark::{MarkedProjects, price};
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
    /// The project costs something else, and no mark says that it may.
    Mark(ProjectId),
    /// They are not as they are written.
    Written,
}

/// What the newest kept bills tell of all months.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn told(tx: &ReadTx<'_>) -> Result<BTreeMap<i64, Balances>> {
    let mut months: BTreeMap<i64, Balances> = BTreeMap::new();
    for (own_s, bill) in statement::month_bills(tx)? {
        months.entry(own_s).or_default();
        for entry in statement::entries(tx, bill.seq)? {
            for told in entry.adjustments().iter().filter(|one| !one.amount.is_zero()) {
                let balances = months.entry(told.month_s).or_default();
                balances.entry(entry.project_id.clone()).or_default().adjusted += &told.amount;
            }
            let own = entry.own();
            months.entry(own_s).or_default().entry(entry.project_id).or_default().own = own;
        }
    }
    Ok(months)
}

/// The same, with what each month costs by now.
fn made_anew(tx: &ReadTx<'_>) -> Result<BTreeMap<i64, Balances>> {
    let pricing = Pricing::read(tx, None)?;
    let mut months = told(tx)?;
    for (month_s, balances) in &mut months {
        price(tx, &pricing, *month_s, &MarkedProjects::Everybody, None, balances)?;
    }
    Ok(months)
}

/// Writes the balances of all months, as the newest kept bills have them.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub(in crate::store) fn write_anew(tx: &WriteTx<'_>) -> Result<()> {
    let bills = statement::month_bills(tx)?;
    for (month_s, balances) in made_anew(tx)? {
        if let Some(bill) = bills.get(&month_s) {
            BalanceDraft::of(month_s, &balances)?.write(tx, bill.seq, 0)?;
        }
    }
    Ok(())
}

/// Compares the balances of all months with what the newest kept bills tell and what the months
/// cost.
pub(in crate::store) fn problems(tx: &ReadTx<'_>) -> Result<Vec<(i64, Problem)>> {
    let mut found = Vec::new();
    let mut kept: BTreeSet<i64> = billed_from(tx, 0)?.into_iter().collect();
    for (month_s, anew) in made_anew(tx)? {
        if !kept.remove(&month_s) {
            found.push((month_s, Problem::Written));
            continue;
        }
        let Some(balances) = readable(read(tx, month_s, |_| true))? else {
            found.push((month_s, Problem::Written));
            continue;
        };
        let marked = MarkedProjects::read(tx, month_s)?;
        let nothing = Balance::default();
        let before = found.len();
        let projects: BTreeSet<&ProjectId> = balances.keys().chain(anew.keys()).collect();
        for id in projects {
            let (kept, anew) =
                (balances.get(id).unwrap_or(&nothing), anew.get(id).unwrap_or(&nothing));
            if (&kept.own, &kept.adjusted) != (&anew.own, &anew.adjusted) {
                found.push((month_s, Problem::Told(id.clone())));
            } else if kept.cost != anew.cost && !marked.has(id.as_str()) {
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
        select adjusted, waiting, balances
        from balance
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let kept = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, CompressedLines>(2)?));
    let (adjusted, waiting, kept) =
        select.query_row(named_params! { ":month_s": month_s }, kept)?;
    let written = BalanceDraft::of(month_s, balances)?;
    let is_same = kept.text(0)? == written.document.text(0)?;
    Ok(is_same && (adjusted, waiting) == (written.adjusted, written.waiting))
}
