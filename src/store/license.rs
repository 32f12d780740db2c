//! Licenses: their ledger, what usage draws from them, and everything else that is done with them.
//!
//! A license's expiry, grant and balance are kept beside the ledger that they follow from, in the transaction that
//! writes the entry.

use crate::billing::amount::Amount;
use crate::billing::event::{Actor, Stamp};
use crate::billing::history::History;
use crate::billing::id::{CustomerId, LicenseId, LicenseType, OpId, ProjectId, RecordId};
use crate::billing::license::{
    Act, Changed, Draw, Drawable, Entry, EntryKind, License, NewLicense, Operation, Refusal,
    Revocation, TypeGrant, draw,
};
use crate::billing::period::{LAST_SECOND, Period};
use crate::billing::record::MAX_AHEAD_S;
use crate::store::{ReadTx, Result, WriteTx, customer, made_id, project, usage};
use rusqlite::{OptionalExtension, Row, ToSql, named_params};

macro_rules! select {
    ($which:literal) => {
        concat!(
            "
        select l.seq, l.license_id, l.customer_id, l.type, l.platforms, l.issued_at_s, l.asked, l.starts_at_s,
          l.expires_at_s, l.granted, l.balance, l.revoked_at_s,
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

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether it changed anything.
    pub news: News,
    /// The licenses it is about, as they stand now, with what was consumed of each, if it is that.
    pub licenses: Vec<(License, Option<Amount>)>,
    /// What was not known before, of a license that was issued.
    pub unknown: Unknown,
}

/// What nobody had told of before a license was issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// The customer, who had to be registered.
    pub customer: bool,
    /// What its type grants, so that it is unlimited.
    pub grant: bool,
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
        && let Some(asked) = asked_before(tx, op_id)?
    {
        let done = repeated(tx, operation, op_id)?;
        let is_unlimited = done.licenses.iter().any(|(license, _)| license.granted.is_none());
        return Ok(match operation.agrees_with(&asked, is_unlimited) {
            true => Ok(done),
            false => Err(Refusal::OtherOperation(asked)),
        });
    }
    let done = match operation {
        Operation::Issue(new) => issue(tx, new, op_id, stamp)?,
        Operation::Change(id, act) => change(tx, id, act, op_id, stamp)?,
        Operation::Consume { customer_id, amount, reason } => {
            let changed = Changed { reason: reason.clone(), ..Changed::new(EntryKind::Consumed) };
            consume(tx, customer_id, amount, &changed, op_id, stamp)?
        }
    };
    if let (Ok(_), Some(op_id)) = (&done, op_id) {
        const INSERT: &str = "
            insert into license_operation (op_id, at_s, asked)
            values (:op_id, :at_s, :asked)";
        let params =
            named_params! { ":op_id": op_id, ":at_s": stamp.at_s, ":asked": operation.to_string() };
        tx.sql().prepare_cached(INSERT)?.execute(params)?;
    }
    Ok(done)
}

/// What the operation of this id asked for, if there has been one.
fn asked_before(tx: &ReadTx<'_>, op_id: &OpId) -> Result<Option<String>> {
    const SELECT: &str = "
        select asked
        from license_operation
        where op_id = :op_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":op_id": op_id }, |row| row.get(0)).optional()?)
}

/// What an operation that has been done is about.
fn repeated(tx: &ReadTx<'_>, operation: &Operation, op_id: &OpId) -> Result<Done> {
    const SELECT: &str = "
        select license_seq, amount
        from license_ledger
        where op_id = :op_id
        order by seq";
    let is_consumption = matches!(operation, Operation::Consume { .. });
    let mut licenses = Vec::new();
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut entries = select.query(named_params! { ":op_id": op_id })?;
    while let Some(entry) = entries.next()? {
        let amount: Option<Amount> = entry.get(1)?;
        let consumed = amount.filter(|_| is_consumption).map(|amount| -&amount);
        licenses.push((by_seq(tx, entry.get(0)?)?, consumed));
    }
    // One that found nothing to change has no entry.
    if let (true, Some(id)) = (licenses.is_empty(), operation.license_id()) {
        licenses.extend(find(tx, id)?.map(|license| (license, None)));
    }
    Ok(Done { news: News::Repeated, licenses, unknown: Unknown::default() })
}

fn change(
    tx: &WriteTx<'_>,
    id: &LicenseId,
    act: &Act,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<Done, Refusal>> {
    let Some(license) = find(tx, id)? else {
        return Ok(Err(Refusal::NoLicense));
    };
    let changed = match license.act(act, stamp.at_s) {
        Ok(changed) => changed,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let news = if changed.is_some() { News::Changed } else { News::AlreadySo };
    if let Some(changed) = changed {
        write(tx, license.seq, &changed, op_id, stamp)?;
    }
    let licenses = vec![(by_seq(tx, license.seq)?, None)];
    Ok(Ok(Done { news, licenses, unknown: Unknown::default() }))
}

fn issue(
    tx: &WriteTx<'_>,
    new: &NewLicense,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<Done, Refusal>> {
    if let Some(id) = &new.id
        && let Some(stands) = find(tx, id)?
    {
        return Ok(match new.agrees_with(&stands.asked, stands.granted.is_none()) {
            true => Ok(Done {
                news: News::AlreadySo,
                licenses: vec![(stands, None)],
                unknown: Unknown::default(),
            }),
            false => Err(Refusal::OtherContent(stands.asked)),
        });
    }
    let starts_at_s = new.starts_at_s(stamp.at_s);
    if starts_at_s > new.expires_at_s {
        return Ok(Err(Refusal::Empty { starts_at_s }));
    }
    let (granted, grant_is_unknown) = match (&new.granted, &new.kind) {
        (None, Some(kind)) if !new.unlimited => match find_type(tx, kind)? {
            Some(grant) => (grant.granted, false),
            None => (None, true),
        },
        (granted, _) => (granted.clone(), false),
    };
    let customer_is_new = customer::register(tx, &new.customer_id, stamp)?;
    // The kept columns are set by the entry below.
    const INSERT: &str = "
        insert into license
          (license_id, customer_id, type, platforms, issued_at_s, asked, starts_at_s, expires_at_s, granted, balance)
        values
          (:license_id, :customer_id, :type, :platforms, :issued_at_s, :asked, :starts_at_s, :expires_at_s, :zero, :zero)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":license_id": new.id.clone().unwrap_or_else(made_id),
        ":customer_id": new.customer_id,
        ":type": new.kind,
        ":platforms": new.platforms,
        ":issued_at_s": stamp.at_s,
        ":asked": new.to_string(),
        ":starts_at_s": starts_at_s,
        ":expires_at_s": new.expires_at_s,
        ":zero": granted.as_ref().map(|_| Amount::default()),
    })?;
    let seq = tx.sql().last_insert_rowid();
    let expires_at_s = Some(new.expires_at_s);
    let issued = Changed { amount: granted, expires_at_s, ..Changed::new(EntryKind::Issued) };
    write(tx, seq, &issued, op_id, stamp)?;
    let unknown = Unknown { customer: customer_is_new, grant: grant_is_unknown };
    Ok(Ok(Done { news: News::Changed, licenses: vec![(by_seq(tx, seq)?, None)], unknown }))
}

fn consume(
    tx: &WriteTx<'_>,
    customer_id: &CustomerId,
    amount: &Amount,
    changed: &Changed,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<Done, Refusal>> {
    if customer::find(tx, customer_id)?.is_none() {
        return Ok(Err(Refusal::NoCustomer));
    }
    // Live now: one that is revoked is not, also where the clock has been set back since.
    let mut live = drawable(tx, customer_id, stamp.at_s)?;
    live.retain(|license| license.revoked_at_s.is_none());
    let draws = draw(&live, stamp.at_s, amount);
    let left: Amount = draws.iter().map(|draw| &draw.amount).sum();
    if left != *amount {
        return Ok(Err(Refusal::BelowZero { left }));
    }
    let mut licenses = Vec::new();
    for Draw { license_seq, amount } in draws {
        write(
            tx,
            license_seq,
            &Changed { amount: Some(-&amount), ..changed.clone() },
            op_id,
            stamp,
        )?;
        licenses.push((by_seq(tx, license_seq)?, Some(amount)));
    }
    Ok(Ok(Done { news: News::Changed, licenses, unknown: Unknown::default() }))
}

/// The licenses that usage of a customer's projects may draw from that is dated `from_s` or later.
pub(super) fn drawable(
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

/// The usage that no license covered, of a customer's projects in the time in which a license of
/// the customer is good: it stays uncovered, since nothing is covered afterwards.
///
/// # Errors
/// When SQLite fails.
pub fn uncovered(tx: &ReadTx<'_>, license: &License, now_s: i64) -> Result<Amount> {
    let mut sum = Amount::default();
    for project_id in project::ever_of(tx, &license.customer_id)? {
        let good = license.good().into_iter().collect();
        sum += &uncovered_of(tx, &project_id, &license.customer_id, good, now_s)?;
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
        let stretches =
            customers.iter().enumerate().filter(|(_, (_, owner))| *owner == customer_id);
        for (n, (from_s, _)) in stretches {
            // As `Found::whose`: the first customer's licenses cover the time before, too.
            let first_s = if n == 0 { 0 } else { from_s };
            let last_s = customers.until(from_s).map_or(LAST_SECOND, |until_s| until_s - 1);
            let last_s = last_s.min(window.last_s()).min(now_s + MAX_AHEAD_S);
            if let Some(part) = Period::new(first_s.max(window.first_s()), last_s) {
                for used in usage::by_project(tx, part, Some(project_id))?.values() {
                    sum += &(&used.amount - &used.covered);
                }
            }
        }
    }
    Ok(sum)
}

/// Writes what the entry of the usage ledger at `usage_seq` drew.
pub(super) fn write_draws(
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
pub(super) fn give_back(
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

/// Writes an entry that somebody asked for, and what follows from it.
fn write(
    tx: &WriteTx<'_>,
    license_seq: i64,
    changed: &Changed,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<()> {
    const INSERT: &str = "
        insert into license_ledger (license_seq, at_s, kind, amount, expires_at_s, actor, reason, op_id)
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
            revoked_at_s = case :kind when 'revoked' then :at_s when 'reinstated' then null else revoked_at_s end
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
    Ok(select(
        tx,
        select!("where l.license_id = :license_id"),
        named_params! { ":license_id": id },
    )?
    .pop())
}

/// The license at a place that an entry refers to.
fn by_seq(tx: &ReadTx<'_>, seq: i64) -> Result<License> {
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

/// Reads licenses by a constant text: it is looked up again for every license that Agora asks about.
fn select(tx: &ReadTx<'_>, select: &str, params: &[(&str, &dyn ToSql)]) -> Result<Vec<License>> {
    let mut select = tx.sql().prepare_cached(select)?;
    Ok(select.query_map(params, license)?.collect::<rusqlite::Result<_>>()?)
}

fn license(row: &Row<'_>) -> rusqlite::Result<License> {
    let revoked_at_s: Option<i64> = row.get(11)?;
    let revoked = match revoked_at_s {
        Some(at_s) => Some(Revocation { at_s, reason: row.get(12)? }),
        None => None,
    };
    Ok(License {
        seq: row.get(0)?,
        id: row.get(1)?,
        customer_id: row.get(2)?,
        kind: row.get(3)?,
        platforms: row.get(4)?,
        issued_at_s: row.get(5)?,
        asked: row.get(6)?,
        starts_at_s: row.get(7)?,
        expires_at_s: row.get(8)?,
        granted: row.get(9)?,
        balance: row.get(10)?,
        revoked,
    })
}

/// The entries of a license's ledger, the oldest first; the last so many alone where told.
///
/// # Errors
/// When SQLite fails.
pub fn history(tx: &ReadTx<'_>, license: &License, last: Option<u32>) -> Result<Vec<Entry>> {
    const SELECT: &str = "
        select e.kind, e.at_s, e.actor, e.amount, e.expires_at_s, coalesce(u.record_id, r.record_id), p.project_id,
          e.reason, e.op_id
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
    let params = named_params! { ":license_seq": license.seq, ":last": last };
    let mut entries: Vec<Entry> =
        select.query_map(params, entry)?.collect::<rusqlite::Result<_>>()?;
    entries.reverse();
    Ok(entries)
}

/// Sets up what a type grants, or changes it for licenses to come; a name that is not told stays.
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
