//! What is done with licenses: each operation once, where it has an id.

use crate::billing::amount::Amount;
use crate::billing::event::Stamp;
use crate::billing::id::{CustomerId, LicenseId, OpId};
use crate::billing::license::{
    Act, Draw, EntryKind, License, LicenseChange, LicenseRefusal, NewLicense, Operation, draw,
};
use crate::billing::period::Period;
use crate::store::license::content;
use crate::store::license::cover::drawable;
use crate::store::license::grant::find_type;
use crate::store::license::issued::{by_seq, find};
use crate::store::license::ledger::write;
use crate::store::{ReadTx, Result, WriteTx, customer, made_id};
use rusqlite::{OptionalExtension, named_params};

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationOutcome {
    /// Whether it changed anything.
    pub news: News,
    /// The licenses it is about, as they stand now, with what was consumed of each, if it is that.
    pub licenses: Vec<(License, Option<Amount>)>,
    /// The time in which usage that is recorded from now on may draw more than before.
    pub covers: Option<Period>,
    /// What was not known before, of a license that was issued.
    pub unknown: Unknowns,
}

/// What was not known before a license was issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknowns {
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
/// When SQLite fails; a [`LicenseRefusal`] inside, which has changed nothing.
pub fn operate(
    tx: &WriteTx<'_>,
    operation: &Operation,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<OperationOutcome, LicenseRefusal>> {
    if let Some(op_id) = op_id
        && let Some(asked) = asked_before(tx, op_id)?
    {
        let done = repeated(tx, operation, op_id)?;
        let is_unlimited = done.licenses.iter().any(|(license, _)| license.granted.is_none());
        return Ok(if content::agrees(&asked, operation, is_unlimited) {
            Ok(done)
        } else {
            Err(LicenseRefusal::OtherOperation(Box::new(content::asked(asked))))
        });
    }
    let done = match operation {
        Operation::Issue(new) => issue(tx, new, op_id, stamp)?,
        Operation::Change(id, act) => change(tx, id, act, op_id, stamp)?,
        Operation::Consume { customer_id, amount, reason } => {
            let changed =
                LicenseChange { reason: reason.clone(), ..LicenseChange::new(EntryKind::Consumed) };
            consume(tx, customer_id, amount, &changed, op_id, stamp)?
        }
    };
    if let (Ok(_), Some(op_id)) = (&done, op_id) {
        const INSERT: &str = "
            insert into license_operation (op_id, at_s, asked)
            values (:op_id, :at_s, :asked)";
        let asked = content::content(operation);
        let params = named_params! { ":op_id": op_id, ":at_s": stamp.at_s, ":asked": asked };
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
fn repeated(tx: &ReadTx<'_>, operation: &Operation, op_id: &OpId) -> Result<OperationOutcome> {
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
    Ok(OperationOutcome {
        news: News::Repeated,
        licenses,
        covers: None,
        unknown: Unknowns::default(),
    })
}

fn change(
    tx: &WriteTx<'_>,
    id: &LicenseId,
    act: &Act,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<OperationOutcome, LicenseRefusal>> {
    let Some(license) = find(tx, id)? else {
        return Ok(Err(LicenseRefusal::NoLicense));
    };
    let changed = match license.act(act, stamp.at_s) {
        Ok(changed) => changed,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let news = if changed.is_some() { News::Changed } else { News::AlreadySo };
    if let Some(changed) = changed {
        write(tx, license.seq, &changed, op_id, stamp)?;
    }
    let after = by_seq(tx, license.seq)?;
    let covers = after.covers_more_than(&license);
    let licenses = vec![(after, None)];
    Ok(Ok(OperationOutcome { news, licenses, covers, unknown: Unknowns::default() }))
}

fn issue(
    tx: &WriteTx<'_>,
    new: &NewLicense,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<OperationOutcome, LicenseRefusal>> {
    if let Some(id) = &new.id
        && let Some(stands) = find(tx, id)?
    {
        let asked = asked_of(tx, stands.seq)?;
        return Ok(if content::agrees(&asked, &license_alone(new), stands.granted.is_none()) {
            let (news, unknown) = (News::AlreadySo, Unknowns::default());
            Ok(OperationOutcome { news, licenses: vec![(stands, None)], covers: None, unknown })
        } else {
            Err(LicenseRefusal::OtherContent(Box::new(content::asked(asked))))
        });
    }
    let starts_at_s = new.starts_at_s(stamp.at_s);
    if starts_at_s > new.expires_at_s {
        return Ok(Err(LicenseRefusal::Empty { starts_at_s }));
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
          (license_id, customer_id, type, platforms, issued_at_s, asked, starts_at_s, expires_at_s,
           granted, balance)
        values
          (:license_id, :customer_id, :type, :platforms, :issued_at_s, :asked, :starts_at_s,
           :expires_at_s, :zero, :zero)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":license_id": new.id.clone().unwrap_or_else(made_id),
        ":customer_id": new.customer_id,
        ":type": new.kind,
        ":platforms": new.platforms,
        ":issued_at_s": stamp.at_s,
        ":asked": content::content(&license_alone(new)),
        ":starts_at_s": starts_at_s,
        ":expires_at_s": new.expires_at_s,
        ":zero": granted.as_ref().map(|_| Amount::default()),
    })?;
    let seq = tx.sql().last_insert_rowid();
    let expires_at_s = Some(new.expires_at_s);
    let issued =
        LicenseChange { amount: granted, expires_at_s, ..LicenseChange::new(EntryKind::Issued) };
    write(tx, seq, &issued, op_id, stamp)?;
    let unknown = Unknowns { customer: customer_is_new, grant: grant_is_unknown };
    let license = by_seq(tx, seq)?;
    let covers = license.good();
    Ok(Ok(OperationOutcome {
        news: News::Changed,
        licenses: vec![(license, None)],
        covers,
        unknown,
    }))
}

/// What a license was asked for with. Its id is not part of it: that stands beside.
fn license_alone(new: &NewLicense) -> Operation {
    Operation::Issue(NewLicense { id: None, ..new.clone() })
}

/// What a license was asked for with as it was issued, as it is kept.
fn asked_of(tx: &ReadTx<'_>, license_seq: i64) -> Result<String> {
    const SELECT: &str = "
        select asked
        from license
        where seq = :seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":seq": license_seq }, |row| row.get(0))?)
}

fn consume(
    tx: &WriteTx<'_>,
    customer_id: &CustomerId,
    amount: &Amount,
    changed: &LicenseChange,
    op_id: Option<&OpId>,
    stamp: &Stamp,
) -> Result<Result<OperationOutcome, LicenseRefusal>> {
    if customer::find(tx, customer_id)?.is_none() {
        return Ok(Err(LicenseRefusal::NoCustomer));
    }
    // Live now: one that is revoked is not, also where the clock has been set back since.
    let mut live = drawable(tx, customer_id, stamp.at_s)?;
    live.retain(|license| license.revoked_at_s.is_none());
    let draws = draw(&live, stamp.at_s, amount);
    let left: Amount = draws.iter().map(|draw| &draw.amount).sum();
    if left != *amount {
        return Ok(Err(LicenseRefusal::BelowZero { left }));
    }
    let mut licenses = Vec::new();
    for Draw { license_seq, amount } in draws {
        write(
            tx,
            license_seq,
            &LicenseChange { amount: Some(-&amount), ..changed.clone() },
            op_id,
            stamp,
        )?;
        licenses.push((by_seq(tx, license_seq)?, Some(amount)));
    }
    Ok(Ok(OperationOutcome {
        news: News::Changed,
        licenses,
        covers: None,
        unknown: Unknowns::default(),
    }))
}
