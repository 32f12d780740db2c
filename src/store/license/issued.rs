//! Licenses that were issued, as they stand.

use crate::billing::event::Actor;
use crate::billing::id::{CustomerId, LicenseId};
use crate::billing::license::{License, NewLicense, Revocation};
use crate::store::{ReadTx, Result};
use rusqlite::{Row, ToSql, named_params};

macro_rules! select {
    ($which:literal) => {
        concat!(
            "
        select l.seq, l.license_id, l.customer_id, l.type, l.platforms, l.issued_at_s,
          l.starts_at_s, l.expires_at_s, l.granted, l.balance, l.revoked_at_s,
          case when l.revoked_at_s is not null then (
            select r.reason
            from license_ledger r
            where r.license_seq = l.seq
              and r.kind = 'revoked'
            order by r.seq desc
            limit 1
          ) end
        from license l
        ",
            $which,
            "
        order by l.seq"
        )
    };
}

/// Finds a license.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &LicenseId) -> Result<Option<License>> {
    Ok(select(
        tx,
        select!("where l.license_id = :license_id"),
        named_params! { ":license_id": id },
    )?
    .pop())
}

/// The license at a place that an entry refers to.
pub(super) fn by_seq(tx: &ReadTx<'_>, seq: i64) -> Result<License> {
    let found = select(tx, select!("where l.seq = :seq"), named_params! { ":seq": seq })?.pop();
    Ok(found.expect("an entry refers to a license, and none is ever deleted"))
}

/// Finds the license that was issued for a customer by `actor` with this window and type.
///
/// # Errors
/// When SQLite fails.
pub fn find_alike(tx: &ReadTx<'_>, new: &NewLicense, actor: &Actor) -> Result<Option<License>> {
    const ALIKE: &str = select!(
        "
        join license_ledger i on i.license_seq = l.seq and i.kind = 'issued'
        where l.customer_id = :customer_id
          and l.starts_at_s = :starts_at_s
          and l.type is :type
          and i.expires_at_s = :expires_at_s
          and i.actor = :actor"
    );
    let params = named_params! {
        ":customer_id": new.customer_id,
        ":starts_at_s": new.starts_at_s,
        ":expires_at_s": new.expires_at_s,
        ":type": new.kind,
        ":actor": actor,
    };
    Ok(select(tx, ALIKE, params)?.into_iter().next())
}

/// The licenses of a customer, in the order of their issue.
///
/// # Errors
/// When SQLite fails.
pub fn of(tx: &ReadTx<'_>, customer_id: &CustomerId) -> Result<Vec<License>> {
    select(
        tx,
        select!("where l.customer_id = :customer_id"),
        named_params! { ":customer_id": customer_id },
    )
}

/// All licenses, in the order of their issue.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<License>> {
    select(tx, select!(""), &[])
}

/// The ids of all licenses, in the order of their issue.
///
/// # Errors
/// When SQLite fails.
pub fn ids(tx: &ReadTx<'_>) -> Result<Vec<LicenseId>> {
    const SELECT: &str = "
        select license_id
        from license
        order by seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Reads licenses by a constant text: it is looked up again for every license that Agora asks
/// about.
fn select(tx: &ReadTx<'_>, select: &str, params: &[(&str, &dyn ToSql)]) -> Result<Vec<License>> {
    let mut select = tx.sql().prepare_cached(select)?;
    Ok(select.query_map(params, license)?.collect::<rusqlite::Result<_>>()?)
}

fn license(row: &Row<'_>) -> rusqlite::Result<License> {
    let revoked_at_s: Option<i64> = row.get(10)?;
    let revoked = match revoked_at_s {
        Some(at_s) => Some(Revocation { at_s, reason: row.get(11)? }),
        None => None,
    };
    Ok(License {
        seq: row.get(0)?,
        id: row.get(1)?,
        customer_id: row.get(2)?,
        kind: row.get(3)?,
        platforms: row.get(4)?,
        issued_at_s: row.get(5)?,
        starts_at_s: row.get(6)?,
        expires_at_s: row.get(7)?,
        granted: row.get(8)?,
        balance: row.get(9)?,
        revoked,
    })
}
