//! The license ledger. A license's expiry, grant and balance follow from it, and are kept beside it
//! in the transaction that writes the entry.

use crate::billing::amount::Amount;
use crate::billing::event::Stamp;
use crate::billing::id::{OpId, RecordId};
use crate::billing::license::{EntryKind, License, LicenseChange, LicenseEntry};
use crate::store::{Error, ReadTx, Result, WriteTx};
use rusqlite::{Row, named_params};

/// Writes an entry that somebody asked for, and what follows from it.
pub(super) fn write(
    tx: &WriteTx<'_>,
    license_seq: i64,
    changed: &LicenseChange,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<()> {
    const INSERT: &str = "
        insert into license_ledger
          (license_seq, at_s, kind, amount, expires_at_s, actor, reason, op_id)
        values (:license_seq, :at_s, :kind, :amount, :expires_at_s, :actor, :reason, :op_id)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":license_seq": license_seq,
        ":at_s": stamp.at_s,
        ":kind": changed.kind,
        ":amount": changed.amount,
        ":expires_at_s": changed.expires_at_s,
        ":actor": stamp.actor,
        ":reason": changed.reason,
        ":op_id": op_id,
    })?;
    const KEEP: &str = "
        update license
        set expires_at_s = coalesce(:expires_at_s, expires_at_s),
            revoked_at_s = case :kind
              when 'revoked' then :at_s
              when 'reinstated' then null
              else revoked_at_s
            end
        where seq = :seq";
    tx.sql().prepare_cached(KEEP)?.execute(named_params! {
        ":seq": license_seq,
        ":expires_at_s": changed.expires_at_s,
        ":kind": changed.kind,
        ":at_s": stamp.at_s,
    })?;
    match &changed.amount {
        Some(amount) => keep_amount(tx, license_seq, changed.kind, amount),
        None => Ok(()),
    }
}

/// Writes an entry that usage makes by itself, and what follows from it.
pub(super) fn write_usage(
    tx: &WriteTx<'_>,
    license_seq: i64,
    kind: EntryKind,
    amount: &Amount,
    usage_seq: i64,
    at_s: i64,
) -> Result<()> {
    const INSERT: &str = "
        insert into license_ledger (license_seq, at_s, kind, amount, usage_seq)
        values (:license_seq, :at_s, :kind, :amount, :usage_seq)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":license_seq": license_seq,
        ":at_s": at_s,
        ":kind": kind,
        ":amount": amount,
        ":usage_seq": usage_seq,
    })?;
    keep_amount(tx, license_seq, kind, amount)
}

/// Adds an entry's amount to what is kept; of an unlimited license nothing is.
fn keep_amount(tx: &WriteTx<'_>, license_seq: i64, kind: EntryKind, amount: &Amount) -> Result<()> {
    const KEEP: &str = "
        update license
        set balance = decimal_add(balance, :amount),
            granted = iif(:grants, decimal_add(granted, :amount), granted)
        where seq = :seq
          and balance is not null";
    let params = named_params! { ":seq": license_seq, ":amount": amount, ":grants": kind.grants() };
    tx.sql().prepare_cached(KEEP)?.execute(params)?;
    Ok(())
}

/// The entries of a license's ledger, the oldest first; the last so many alone where a number is
/// given.
///
/// # Errors
/// When SQLite fails.
pub fn history(tx: &ReadTx<'_>, license: &License, last: Option<u32>) -> Result<Vec<LicenseEntry>> {
    const SELECT: &str = "
        select e.kind, e.at_s, e.actor, e.amount, e.expires_at_s,
          coalesce(u.record_id, r.record_id), p.project_id, e.reason, e.op_id
        from license_ledger e
        left join usage_ledger u on u.seq = e.usage_seq
        left join usage_ledger r on r.seq = u.reverses_seq
        left join project p on p.project_no = u.project_no
        where e.license_seq = :license_seq
        order by e.seq desc
        limit coalesce(:last, -1)";
    let entry = |row: &Row<'_>| {
        let record_id: Option<RecordId> = row.get(5)?;
        let record = match record_id {
            Some(record_id) => Some((record_id, row.get(6)?)),
            None => None,
        };
        Ok(LicenseEntry {
            kind: row.get(0)?,
            at_s: row.get(1)?,
            actor: row.get(2)?,
            amount: row.get(3)?,
            expires_at_s: row.get(4)?,
            record,
            reason: row.get(7)?,
            op_id: row.get(8)?,
        })
    };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":license_seq": license.seq, ":last": last };
    let mut entries: Vec<LicenseEntry> =
        select.query_map(params, entry)?.collect::<rusqlite::Result<_>>()?;
    entries.reverse();
    Ok(entries)
}

/// What changed the balance of a license: when, what it was, and by how much.
pub type BalanceChange = (i64, EntryKind, Amount);

/// What changed the balance of a license since a second, the newest first. Its cost grows with what
/// it gives.
///
/// # Errors
/// When SQLite fails.
pub fn changes_since(
    tx: &ReadTx<'_>,
    license: &License,
    from_s: i64,
) -> Result<Vec<BalanceChange>> {
    const SELECT: &str = "
        select at_s, kind, amount
        from license_ledger
        where license_seq = :license_seq
        order by seq desc";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut rows = select.query(named_params! { ":license_seq": license.seq })?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let at_s: i64 = row.get(0)?;
        if at_s < from_s {
            break;
        }
        let amount: Option<Amount> = row.get(2)?;
        changes
            .extend(amount.map(|amount| Ok::<_, Error>((at_s, row.get(1)?, amount))).transpose()?);
    }
    Ok(changes)
}
