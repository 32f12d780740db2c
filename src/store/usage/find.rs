//! Finding records by their ids.

use crate::billing::id::RecordId;
use crate::billing::record::{Record, Void};
use crate::store::column::Covered;
use crate::store::{ReadTx, Result};
use rusqlite::{OptionalExtension, Row, named_params};

/// Finds a record by its id.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &RecordId) -> Result<Option<Record>> {
    // Whose the project was at that time: by now, and as it had been said when the record was
    // written; where nobody had been named then, who was first.
    const SELECT: &str = "
        select r.record_id, p.project_id, r.amount, r.at_s, (
            select c.customer_id
            from project_customer c
            where c.project_id = p.project_id
              and c.from_s <= r.at_s
            order by c.from_s desc, c.seq desc
            limit 1
          ), v.recorded_at_s, v.note, r.covered, coalesce((
            select c.customer_id
            from project_customer c
            where c.project_id = p.project_id
              and c.from_s <= r.at_s
              and c.at_s <= r.recorded_at_s
            order by c.from_s desc, c.seq desc
            limit 1
          ), (
            select c.customer_id
            from project_customer c
            where c.project_id = p.project_id
            order by c.from_s, c.seq
            limit 1
          ))
        from usage_ledger r
        join project p on p.project_no = r.project_no
        left join usage_ledger v on v.reverses_seq = r.seq
        where r.record_id = :record_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":record_id": id }, read_record).optional()?)
}

/// Tells whether there are records whose ids begin with `prefix` and a colon.
///
/// # Errors
/// When SQLite fails.
pub fn has_ids_of(tx: &ReadTx<'_>, prefix: &str) -> Result<bool> {
    // `;` comes right after `:`.
    const SELECT: &str = "
        select exists (
            select 1 from usage_ledger
            where record_id > :prefix || ':' and record_id < :prefix || ';')";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":prefix": prefix }, |row| row.get(0))?)
}

/// The record of a row of `find` or of an export.
pub(super) fn read_record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let voided_at_s: Option<i64> = row.get(5)?;
    let void = match voided_at_s {
        Some(at_s) => Some(Void { at_s, reason: row.get(6)? }),
        None => None,
    };
    let Covered(covered) = row.get(7)?;
    Ok(Record {
        id: row.get(0)?,
        project_id: row.get(1)?,
        amount: row.get(2)?,
        covered,
        at_s: row.get(3)?,
        customer_id: row.get(4)?,
        customer_then: row.get(8)?,
        void,
    })
}
