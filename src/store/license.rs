//! Licenses.

use crate::billing::id::{CustomerId, LicenseId};
use crate::billing::license::{License, Revocation};
use crate::store::{ReadTx, Result, WriteTx, customer};
use rusqlite::{OptionalExtension, Row, named_params};

/// Puts a license whose id is new into the books; tells whether its customer was new there too.
///
/// # Errors
/// When SQLite fails.
pub fn issue(tx: &WriteTx<'_>, license: &License) -> Result<bool> {
    let customer_is_new = customer::register(tx, &license.customer_id, license.issued_at_s)?;
    const INSERT: &str = "
        insert into license (license_id, customer_id, issued_at_s, expires_at_s, granted)
        values (:license_id, :customer_id, :issued_at_s, :expires_at_s, :granted)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":license_id": license.id,
        ":customer_id": license.customer_id,
        ":issued_at_s": license.issued_at_s,
        ":expires_at_s": license.expires_at_s,
        ":granted": license.granted,
    })?;
    Ok(customer_is_new)
}

/// Revokes a license; one that was revoked before stays as it is.
///
/// # Errors
/// When SQLite fails.
pub fn revoke(tx: &WriteTx<'_>, id: &LicenseId, revocation: &Revocation) -> Result<()> {
    const UPDATE: &str = "
        update license
        set revoked_at_s = :at_s,
            revoke_reason = :reason
        where license_id = :license_id
          and revoked_at_s is null";
    tx.sql().prepare_cached(UPDATE)?.execute(named_params! {
        ":license_id": id,
        ":at_s": revocation.at_s,
        ":reason": revocation.reason,
    })?;
    Ok(())
}

/// Finds a license.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &LicenseId) -> Result<Option<License>> {
    const SELECT: &str = "
        select license_id, customer_id, issued_at_s, expires_at_s, granted, revoked_at_s, revoke_reason
        from license
        where license_id = :license_id";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(named_params! { ":license_id": id }, license).optional()?)
}

/// The licenses of a customer, in the order of their issue.
///
/// # Errors
/// When SQLite fails.
pub fn of(tx: &ReadTx<'_>, customer_id: &CustomerId) -> Result<Vec<License>> {
    const SELECT: &str = "
        select license_id, customer_id, issued_at_s, expires_at_s, granted, revoked_at_s, revoke_reason
        from license
        where customer_id = :customer_id
        order by issued_at_s, license_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map(named_params! { ":customer_id": customer_id }, license)?.collect::<rusqlite::Result<_>>()?)
}

/// All licenses, by customer and in the order of their issue.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<License>> {
    const SELECT: &str = "
        select license_id, customer_id, issued_at_s, expires_at_s, granted, revoked_at_s, revoke_reason
        from license
        order by customer_id, issued_at_s, license_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], license)?.collect::<rusqlite::Result<_>>()?)
}

fn license(row: &Row<'_>) -> rusqlite::Result<License> {
    let revoked_at_s: Option<i64> = row.get(5)?;
    let revoked = match revoked_at_s {
        Some(at_s) => Some(Revocation { at_s, reason: row.get(6)? }),
        None => None,
    };
    Ok(License {
        id: row.get(0)?,
        customer_id: row.get(1)?,
        issued_at_s: row.get(2)?,
        expires_at_s: row.get(3)?,
        granted: row.get(4)?,
        revoked,
    })
}
