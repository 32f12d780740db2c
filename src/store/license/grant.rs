//! What the vendor's types of licenses grant.

use crate::billing::id::LicenseType;
use crate::billing::license::TypeGrant;
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::{OptionalExtension, Row, named_params};

/// Sets up what a type grants, or changes it for licenses to come; a name that is not given stays.
///
/// # Errors
/// When SQLite fails.
pub fn set_type(tx: &WriteTx<'_>, grant: &TypeGrant) -> Result<()> {
    const UPSERT: &str = "
        insert into license_type (type, name, granted)
        values (:type, :name, :granted)
        on conflict (type) do update
        set name = coalesce(excluded.name, name),
            granted = excluded.granted";
    let params =
        named_params! { ":type": grant.kind, ":name": grant.name, ":granted": grant.granted };
    tx.sql().prepare_cached(UPSERT)?.execute(params)?;
    Ok(())
}

/// Finds a type that was set up.
///
/// # Errors
/// When SQLite fails.
pub fn find_type(tx: &ReadTx<'_>, kind: &LicenseType) -> Result<Option<TypeGrant>> {
    const SELECT: &str = "
        select type, name, granted
        from license_type
        where type = :type";
    Ok(tx
        .sql()
        .prepare_cached(SELECT)?
        .query_row(named_params! { ":type": kind }, type_grant)
        .optional()?)
}

/// The types that were set up, by name.
///
/// # Errors
/// When SQLite fails.
pub fn types(tx: &ReadTx<'_>) -> Result<Vec<TypeGrant>> {
    const SELECT: &str = "
        select type, name, granted
        from license_type
        order by type";
    Ok(tx
        .sql()
        .prepare_cached(SELECT)?
        .query_map([], type_grant)?
        .collect::<rusqlite::Result<_>>()?)
}

fn type_grant(row: &Row<'_>) -> rusqlite::Result<TypeGrant> {
    Ok(TypeGrant { kind: row.get(0)?, name: row.get(1)?, granted: row.get(2)? })
}
