//! Licenses: their ledger, what usage draws from them, and everything else that is done with them.
//!
//! A license's expiry, grant and balance are kept beside the ledger that they follow from, in the transaction that
//! writes the entry.

use crate::billing::amount::Amount;
use crate::billing::event::{Actor, Stamp};
use crate::billing::id::{CustomerId, LicenseId, LicenseType, OpId, RecordId, Words};
use crate::billing::license::{
    Draw, Entry, EntryKind, Issue, License, NewLicense, Operation, Refusal, Revocation, TypeGrant, draw,
};
use crate::store::{ReadTx, Result, WriteTx, customer};
use rusqlite::{OptionalExtension, Row, ToSql, named_params};

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether it changed anything.
    pub news: News,
    /// The licenses it is about, as they stand now, with what was consumed of each, if it is that.
    pub licenses: Vec<(License, Option<Amount>)>,
    /// Whether the customer was not known before and had to be registered.
    pub customer_is_new: bool,
}

/// Whether an operation changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It did.
    Changed,
    /// It was so already.
    AlreadySo,
    /// An operation of this id and content has been done.
    Repeated,
}

/// Does something with licenses: once, where the operation has an id.
///
/// # Errors
/// When SQLite fails; a [`Refusal`] inside, which has changed nothing.
pub fn operate(
    tx: &WriteTx<'_>,
    operation: &Operation,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<Done, Refusal>> {
    if let Some(op_id) = op_id
        && let Some((content, first_seq)) = find_operation(tx, op_id)?
    {
        return match content == operation.to_string() {
            true => repeated(tx, operation, op_id, first_seq),
            false => Ok(Err(Refusal::OtherOperation(content))),
        };
    }
    let first_seq = next_seq(tx)?;
    let done = match perform(tx, operation, op_id, stamp)? {
        Ok(done) => done,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Some(op_id) = op_id {
        const INSERT: &str = "
            insert into license_operation (op_id, at_s, content, first_seq)
            values (:op_id, :at_s, :content, :first_seq)";
        tx.sql().prepare_cached(INSERT)?.execute(named_params! {
            ":op_id": op_id,
            ":at_s": stamp.at_s,
            ":content": operation.to_string(),
            ":first_seq": (done.news == News::Changed).then_some(first_seq),
        })?;
    }
    Ok(Ok(done))
}

fn find_operation(tx: &ReadTx<'_>, op_id: &OpId) -> Result<Option<(String, Option<i64>)>> {
    const SELECT: &str = "
        select content, first_seq
        from license_operation
        where op_id = :op_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":op_id": op_id }, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The place that the next entry of the license ledger gets.
fn next_seq(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "
        select coalesce(max(seq), 0) + 1
        from license_ledger";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// What an operation that has been done is about.
fn repeated(
    tx: &ReadTx<'_>,
    operation: &Operation,
    op_id: &OpId,
    first_seq: Option<i64>,
) -> Result<Result<Done, Refusal>> {
    const SELECT: &str = "
        select l.license_id, e.amount
        from license_ledger e
        join license l on l.seq = e.license_seq
        where e.seq >= :first_seq
          and e.op_id = :op_id
        order by e.seq";
    let mut licenses = Vec::new();
    if let Some(first_seq) = first_seq {
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let mut rows = select.query(named_params! { ":first_seq": first_seq, ":op_id": op_id })?;
        while let Some(row) = rows.next()? {
            let license = find(tx, &row.get(0)?)?.expect("its entry refers to it");
            let amount: Option<Amount> = row.get(1)?;
            let is_consumption = matches!(operation, Operation::Consume { .. });
            licenses.push((license, amount.filter(|_| is_consumption).map(|amount| -&amount)));
        }
    } else if let Some(id) = operation.license_id()
        && let Some(license) = find(tx, id)?
    {
        licenses.push((license, None));
    }
    Ok(Ok(Done { news: News::Repeated, licenses, customer_is_new: false }))
}

fn perform(
    tx: &WriteTx<'_>,
    operation: &Operation,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<Done, Refusal>> {
    let now_s = stamp.at_s;
    let entry = |kind| NewEntry { kind, stamp, amount: None, expires_at_s: None, reason: None, op_id };
    let id = match operation {
        Operation::Issue(new) => return issue(tx, new, op_id, stamp),
        Operation::Consume { customer_id, amount, reason } => {
            if customer::find(tx, customer_id)?.is_none() {
                return Ok(Err(Refusal::NoCustomer));
            }
            let entry = NewEntry { reason: reason.as_ref(), ..entry(EntryKind::Consumed) };
            return consume(tx, customer_id, amount, &entry);
        }
        Operation::Extend { id, .. }
        | Operation::Adjust { id, .. }
        | Operation::Revoke { id, .. }
        | Operation::Reinstate { id, .. } => id,
    };
    let Some(license) = find(tx, id)? else {
        return Ok(Err(Refusal::NoLicense));
    };
    // `None` where it is so already.
    let entry = match operation {
        Operation::Issue(_) | Operation::Consume { .. } => None,
        Operation::Extend { by, .. } => match license.extended(*by, now_s) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(expires_at_s) => (expires_at_s != license.expires_at_s)
                .then(|| NewEntry { expires_at_s: Some(expires_at_s), ..entry(EntryKind::Extended) }),
        },
        Operation::Adjust { by, reason, .. } => match license.adjusted(by) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(_) => Some(NewEntry { amount: Some(by.clone()), reason: Some(reason), ..entry(EntryKind::Adjusted) }),
        },
        Operation::Revoke { reason, .. } => {
            license.revoked.is_none().then(|| NewEntry { reason: reason.as_ref(), ..entry(EntryKind::Revoked) })
        }
        Operation::Reinstate { reason, .. } => {
            license.revoked.is_some().then(|| NewEntry { reason: reason.as_ref(), ..entry(EntryKind::Reinstated) })
        }
    };
    let news = if entry.is_some() { News::Changed } else { News::AlreadySo };
    if let Some(entry) = entry {
        write(tx, license.seq, &entry)?;
    }
    let license = find(tx, id)?.expect("it was just there");
    Ok(Ok(Done { news, licenses: vec![(license, None)], customer_is_new: false }))
}

fn issue(tx: &WriteTx<'_>, new: &NewLicense, op_id: Option<&OpId>, stamp: &Stamp) -> Result<Result<Done, Refusal>> {
    if let Some(id) = &new.id
        && let Some(stands) = find(tx, id)?
    {
        return Ok(match new.agrees_with(&stands) {
            true => Ok(Done { news: News::AlreadySo, licenses: vec![(stands, None)], customer_is_new: false }),
            false => Err(Refusal::OtherContent(Box::new(stands))),
        });
    }
    let starts_at_s = new.starts_at_s(stamp.at_s);
    if starts_at_s > new.expires_at_s {
        return Ok(Err(Refusal::Empty { starts_at_s }));
    }
    let granted = match (&new.granted, &new.kind) {
        (None, Some(kind)) => find_type(tx, kind)?.and_then(|grant| grant.granted),
        (granted, _) => granted.clone(),
    };
    let id = new.id.clone().unwrap_or_else(made_id);
    let customer_is_new = customer::register(tx, &new.customer_id, stamp)?;
    // The kept columns are set by the entry below.
    const INSERT: &str = "
        insert into license (license_id, customer_id, type, platforms, starts_at_s, expires_at_s, granted, balance)
        values (:license_id, :customer_id, :type, :platforms, :starts_at_s, :expires_at_s, :zero, :zero)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":license_id": id,
        ":customer_id": new.customer_id,
        ":type": new.kind,
        ":platforms": new.platforms,
        ":starts_at_s": starts_at_s,
        ":expires_at_s": new.expires_at_s,
        ":zero": granted.as_ref().map(|_| Amount::default()),
    })?;
    let entry = NewEntry {
        kind: EntryKind::Issued,
        stamp,
        amount: granted,
        expires_at_s: Some(new.expires_at_s),
        reason: None,
        op_id,
    };
    write(tx, tx.sql().last_insert_rowid(), &entry)?;
    let license = find(tx, &id)?.expect("it was just written");
    Ok(Ok(Done { news: News::Changed, licenses: vec![(license, None)], customer_is_new }))
}

/// An id that no other license has, made so that later ones sort later.
fn made_id() -> LicenseId {
    uuid::Uuid::now_v7().simple().to_string().parse().expect("hexadecimal digits are an id")
}

fn consume(
    tx: &WriteTx<'_>,
    customer_id: &CustomerId,
    amount: &Amount,
    entry: &NewEntry<'_>,
) -> Result<Result<Done, Refusal>> {
    let now_s = entry.stamp.at_s;
    let licenses = drawable(tx, customer_id, now_s)?;
    let draws = draw(&licenses, now_s, now_s, amount);
    let left: Amount = draws.iter().map(|draw| &draw.amount).sum();
    if left != *amount {
        return Ok(Err(Refusal::BelowZero { left }));
    }
    let mut consumed = Vec::new();
    for Draw { license, amount } in draws {
        write(tx, license.seq, &NewEntry { amount: Some(-&amount), ..entry.clone() })?;
        consumed.push((find(tx, &license.id)?.expect("it was just there"), Some(amount)));
    }
    Ok(Ok(Done { news: News::Changed, licenses: consumed, customer_is_new: false }))
}

/// The licenses that usage of a customer's projects may draw from now, and some that it may not.
pub(super) fn drawable(tx: &ReadTx<'_>, customer_id: &CustomerId, now_s: i64) -> Result<Vec<License>> {
    select(
        tx,
        "where l.customer_id = :customer_id and l.expires_at_s >= :now_s",
        named_params! {
            ":customer_id": customer_id,
            ":now_s": now_s,
        },
    )
}

/// Writes what the entry of the usage ledger at `usage_seq` drew.
pub(super) fn write_draws(tx: &WriteTx<'_>, draws: &[Draw<'_>], usage_seq: i64, at_s: i64) -> Result<()> {
    for Draw { license, amount } in draws {
        write_usage(tx, license.seq, EntryKind::Drawn, &-amount, usage_seq, at_s)?;
    }
    Ok(())
}

/// Gives back, for the reversal at `reversal_seq`, what the record that it takes back drew.
pub(super) fn give_back(tx: &WriteTx<'_>, record_id: &RecordId, reversal_seq: i64, at_s: i64) -> Result<()> {
    const SELECT: &str = "
        select e.license_seq, e.amount
        from usage_ledger r
        join license_ledger e on e.usage_seq = r.seq
        where r.record_id = :record_id
        order by e.seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let drawn = select.query_map(named_params! { ":record_id": record_id }, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let drawn: Vec<(i64, Amount)> = drawn.collect::<rusqlite::Result<_>>()?;
    for (license_seq, amount) in drawn {
        write_usage(tx, license_seq, EntryKind::GivenBack, &-&amount, reversal_seq, at_s)?;
    }
    Ok(())
}

/// An entry of the license ledger that somebody asked for.
#[derive(Clone)]
struct NewEntry<'a> {
    kind: EntryKind,
    stamp: &'a Stamp,
    amount: Option<Amount>,
    expires_at_s: Option<i64>,
    reason: Option<&'a Words>,
    op_id: Option<&'a OpId>,
}

/// Writes an entry, and what follows from it.
fn write(tx: &WriteTx<'_>, license_seq: i64, entry: &NewEntry<'_>) -> Result<()> {
    const INSERT: &str = "
        insert into license_ledger (license_seq, at_s, kind, amount, expires_at_s, actor, reason, op_id)
        values (:license_seq, :at_s, :kind, :amount, :expires_at_s, :actor, :reason, :op_id)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":license_seq": license_seq,
        ":at_s": entry.stamp.at_s,
        ":kind": entry.kind,
        ":amount": entry.amount,
        ":expires_at_s": entry.expires_at_s,
        ":actor": entry.stamp.actor,
        ":reason": entry.reason,
        ":op_id": entry.op_id,
    })?;
    const KEEP: &str = "
        update license
        set expires_at_s = coalesce(:expires_at_s, expires_at_s),
            revoked_at_s = case :kind when 'revoked' then :at_s when 'reinstated' then null else revoked_at_s end
        where seq = :seq";
    tx.sql().prepare_cached(KEEP)?.execute(named_params! {
        ":seq": license_seq,
        ":expires_at_s": entry.expires_at_s,
        ":kind": entry.kind,
        ":at_s": entry.stamp.at_s,
    })?;
    match &entry.amount {
        Some(amount) => keep_amount(tx, license_seq, entry.kind, amount),
        None => Ok(()),
    }
}

/// Writes an entry that usage makes by itself, and what follows from it.
fn write_usage(
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

/// Finds a license.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &LicenseId) -> Result<Option<License>> {
    Ok(select(tx, "where l.license_id = :license_id", named_params! { ":license_id": id })?.pop())
}

/// Finds the license that was issued for a customer by `actor` with this window and type.
///
/// # Errors
/// When SQLite fails.
pub fn find_alike(tx: &ReadTx<'_>, new: &NewLicense, actor: &Actor) -> Result<Option<License>> {
    const ALIKE: &str = "
        where l.customer_id = :customer_id
          and l.starts_at_s = :starts_at_s
          and i.expires_at_s = :expires_at_s
          and l.type is :type
          and i.actor = :actor";
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
    select(tx, "where l.customer_id = :customer_id", named_params! { ":customer_id": customer_id })
}

/// All licenses, in the order of their issue.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<License>> {
    select(tx, "", &[])
}

fn select(tx: &ReadTx<'_>, which: &str, params: &[(&str, &dyn ToSql)]) -> Result<Vec<License>> {
    let select = format!(
        "
        select l.seq, l.license_id, l.customer_id, l.type, l.platforms, i.at_s, i.expires_at_s, i.amount,
          l.starts_at_s, l.expires_at_s, l.granted, l.balance, l.revoked_at_s,
          (select r.reason from license_ledger r
            where l.revoked_at_s is not null and r.license_seq = l.seq and r.kind = 'revoked'
            order by r.seq desc
            limit 1)
        from license l
        join license_ledger i
          on i.license_seq = l.seq
          and i.seq = (select min(seq) from license_ledger where license_seq = l.seq)
        {which}
        order by l.seq"
    );
    let mut select = tx.sql().prepare_cached(&select)?;
    Ok(select.query_map(params, license)?.collect::<rusqlite::Result<_>>()?)
}

fn license(row: &Row<'_>) -> rusqlite::Result<License> {
    let revoked_at_s: Option<i64> = row.get(12)?;
    let revoked = match revoked_at_s {
        Some(at_s) => Some(Revocation { at_s, reason: row.get(13)? }),
        None => None,
    };
    Ok(License {
        seq: row.get(0)?,
        id: row.get(1)?,
        customer_id: row.get(2)?,
        kind: row.get(3)?,
        platforms: row.get(4)?,
        issued: Issue { at_s: row.get(5)?, expires_at_s: row.get(6)?, granted: row.get(7)? },
        starts_at_s: row.get(8)?,
        expires_at_s: row.get(9)?,
        granted: row.get(10)?,
        balance: row.get(11)?,
        revoked,
    })
}

/// The entries of a license's ledger, the oldest first.
///
/// # Errors
/// When SQLite fails.
pub fn history(tx: &ReadTx<'_>, license: &License) -> Result<Vec<Entry>> {
    const SELECT: &str = "
        select e.kind, e.at_s, e.actor, e.amount, e.expires_at_s, coalesce(u.record_id, r.record_id), u.project_id,
          e.reason, e.op_id
        from license_ledger e
        left join usage_ledger u on u.seq = e.usage_seq
        left join usage_ledger r on r.seq = u.reverses_seq
        where e.license_seq = :license_seq
        order by e.seq";
    let entry = |row: &Row<'_>| {
        let record_id: Option<RecordId> = row.get(5)?;
        let record = match record_id {
            Some(record_id) => Some((record_id, row.get(6)?)),
            None => None,
        };
        Ok(Entry {
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
    Ok(select.query_map(named_params! { ":license_seq": license.seq }, entry)?.collect::<rusqlite::Result<_>>()?)
}

/// Sets up what a type grants, or changes it for licenses to come.
///
/// # Errors
/// When SQLite fails.
pub fn set_type(tx: &WriteTx<'_>, grant: &TypeGrant) -> Result<()> {
    const UPSERT: &str = "
        insert into license_type (type, name, granted)
        values (:type, :name, :granted)
        on conflict (type) do update
        set name = excluded.name,
            granted = excluded.granted";
    let params = named_params! { ":type": grant.kind, ":name": grant.name, ":granted": grant.granted };
    tx.sql().prepare_cached(UPSERT)?.execute(params)?;
    Ok(())
}

/// Finds a type that was set up.
///
/// # Errors
/// When SQLite fails.
pub fn find_type(tx: &ReadTx<'_>, kind: &LicenseType) -> Result<Option<TypeGrant>> {
    Ok(types(tx)?.into_iter().find(|grant| grant.kind == *kind))
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
    let grant = |row: &Row<'_>| Ok(TypeGrant { kind: row.get(0)?, name: row.get(1)?, granted: row.get(2)? });
    Ok(tx.sql().prepare_cached(SELECT)?.query_map([], grant)?.collect::<rusqlite::Result<_>>()?)
}
