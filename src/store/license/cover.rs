//! What covers what: which licenses usage draws from, what it drew, and what no license covered.

use crate::billing::amount::Amount;
use crate::billing::history::History;
use crate::billing::id::{CustomerId, LicenseId, ProjectId, RecordId};
use crate::billing::license::{Draw, Drawable, EntryKind, License};
use crate::billing::period::{LAST_SECOND, Period};
use crate::billing::record::MAX_AHEAD_S;
use crate::store::license::issued::of;
use crate::store::license::ledger::write_usage;
use crate::store::{ReadTx, Result, WriteTx, project, usage};
use rusqlite::{Row, named_params};
use std::collections::BTreeMap;

/// The licenses that usage of a customer's projects may draw from that is dated `from_s` or later.
pub(in crate::store) fn drawable(
    tx: &ReadTx<'_>,
    customer_id: &CustomerId,
    from_s: i64,
) -> Result<Vec<Drawable>> {
    const SELECT: &str = "
        select seq, starts_at_s, expires_at_s, revoked_at_s, balance
        from license
        where customer_id = :customer_id
          and balance is not '0'
          and expires_at_s >= :from_s
          and (revoked_at_s is null or revoked_at_s > :from_s)
        order by expires_at_s, seq";
    let license = |row: &Row<'_>| {
        Ok(Drawable {
            seq: row.get(0)?,
            starts_at_s: row.get(1)?,
            expires_at_s: row.get(2)?,
            revoked_at_s: row.get(3)?,
            balance: row.get(4)?,
        })
    };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":customer_id": customer_id, ":from_s": from_s };
    Ok(select.query_map(params, license)?.collect::<rusqlite::Result<_>>()?)
}

/// The usage of a customer's projects within `time` that no license covered. Where a license comes
/// over it, it stays uncovered: nothing is covered afterwards.
///
/// # Errors
/// When SQLite fails.
pub fn uncovered(
    tx: &ReadTx<'_>,
    customer_id: &CustomerId,
    time: Period,
    now_s: i64,
) -> Result<Amount> {
    let mut sum = Amount::default();
    for project_id in project::ever_of(tx, customer_id)? {
        sum += &uncovered_of(tx, &project_id, customer_id, vec![time], now_s)?;
    }
    Ok(sum)
}

/// The same of one project that has come to a customer, in the time in which any license of the
/// customer is good.
///
/// # Errors
/// When SQLite fails.
pub fn uncovered_before(
    tx: &ReadTx<'_>,
    project_id: &ProjectId,
    customer_id: &CustomerId,
    now_s: i64,
) -> Result<Amount> {
    let zero = Amount::default();
    let has_left = |license: &License| license.balance.as_ref() != Some(&zero);
    let licenses = of(tx, customer_id)?.into_iter().filter(has_left);
    let good = licenses.filter_map(|license| license.good()).collect();
    uncovered_of(tx, project_id, customer_id, good, now_s)
}

/// What no license covered of a project's usage within windows, while it was the customer's. Read
/// of the sums.
fn uncovered_of(
    tx: &ReadTx<'_>,
    project_id: &ProjectId,
    customer_id: &CustomerId,
    windows: Vec<Period>,
    now_s: i64,
) -> Result<Amount> {
    let mut sum = Amount::default();
    let customers: History<CustomerId> =
        project::customers_of(tx, project_id)?.into_iter().collect();
    for window in Period::merged(windows) {
        for (from_s, _) in customers.iter().filter(|(_, owner)| *owner == customer_id) {
            let last_s = customers.until(from_s).map_or(LAST_SECOND, |until_s| until_s - 1);
            let last_s = last_s.min(window.last_s()).min(now_s + MAX_AHEAD_S);
            if let Some(part) = Period::new(from_s.max(window.first_s()), last_s) {
                for used in usage::by_project(tx, part, Some(project_id))?.values() {
                    sum += &(&used.amount - &used.covered);
                }
            }
        }
    }
    Ok(sum)
}

/// What licenses covered of a project's usage within a window, in the order of their ids; those
/// that covered nothing, or got it back, are left out.
///
/// # Errors
/// When SQLite fails.
pub fn covered_by(
    tx: &ReadTx<'_>,
    project_id: &ProjectId,
    window: Period,
) -> Result<BTreeMap<LicenseId, Amount>> {
    // A record draws from the licenses of a customer that the project has had.
    const SELECT: &str = "
        select l.license_id, e.amount
        from license l
        cross join license_ledger e on e.license_seq = l.seq
        cross join usage_ledger u on u.seq = e.usage_seq
        cross join project p on p.project_no = u.project_no
        where l.customer_id in (
            select customer_id
            from project_customer
            where project_id = :project_id
          )
          and e.usage_seq is not null
          and u.at_s between :first_s and :last_s
          and p.project_id = :project_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! {
        ":project_id": project_id,
        ":first_s": window.first_s(),
        ":last_s": window.last_s(),
    };
    let mut covered: BTreeMap<LicenseId, Amount> = BTreeMap::new();
    for drawn in select.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (license_id, drawn): (LicenseId, Amount) = drawn?;
        *covered.entry(license_id).or_default() -= &drawn;
    }
    covered.retain(|_, covered| !covered.is_zero());
    Ok(covered)
}

/// Writes what the entry of the usage ledger at `usage_seq` drew.
pub(in crate::store) fn write_draws(
    tx: &WriteTx<'_>,
    draws: &[Draw],
    usage_seq: i64,
    at_s: i64,
) -> Result<()> {
    for Draw { license_seq, amount } in draws {
        write_usage(tx, *license_seq, EntryKind::Drawn, &-amount, usage_seq, at_s)?;
    }
    Ok(())
}

/// Gives back, for the reversal at `reversal_seq`, what the record that it takes back drew.
pub(in crate::store) fn give_back(
    tx: &WriteTx<'_>,
    record_id: &RecordId,
    reversal_seq: i64,
    at_s: i64,
) -> Result<()> {
    const SELECT: &str = "
        select e.license_seq, e.amount
        from usage_ledger r
        join license_ledger e on e.usage_seq = r.seq
        where r.record_id = :record_id
        order by e.seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let drawn = select.query_map(named_params! { ":record_id": record_id }, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let drawn: Vec<(i64, Amount)> = drawn.collect::<rusqlite::Result<_>>()?;
    for (license_seq, amount) in drawn {
        write_usage(tx, license_seq, EntryKind::GivenBack, &-&amount, reversal_seq, at_s)?;
    }
    Ok(())
}
