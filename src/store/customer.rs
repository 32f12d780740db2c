//! Agora's users who activated the extension.

use crate::billing::event::{EventKind, Stamp, ValueChange};
use crate::billing::history::{History, HistoryEntry};
use crate::billing::id::{CustomerId, PlanId, Words};
use crate::store::balance::mark;
use crate::store::{ReadTx, Result, WriteTx, event, history};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::HashMap;

/// A customer as the books hold it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Agora's id.
    pub id: CustomerId,
    /// The plan that was named last for it; `None`: the plan `default`. What prices it in a month
    /// is in [`plans_of`].
    pub plan_id: Option<PlanId>,
    /// Contact, where given.
    pub name: Option<Words>,
    /// Contact, where given.
    pub email: Option<Words>,
    /// Contact, where given.
    pub phone: Option<Words>,
    /// When the books first heard of it.
    pub first_seen_at_s: i64,
    /// When it was announced; `None` where only a record or a license has named it.
    pub announced_at_s: Option<i64>,
    /// When the account was deactivated; `None` while it is active.
    pub deactivated_at_s: Option<i64>,
}

/// What is announced of a customer; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The plan named for it.
    pub plan_id: Option<PlanId>,
    /// The first second of the month from which the plan is to hold, as in [`History::start`]. What
    /// holds then already is not said again.
    pub plan_from_s: Option<i64>,
    /// Contact.
    pub name: Option<Words>,
    /// Contact.
    pub email: Option<Words>,
    /// Contact.
    pub phone: Option<Words>,
}

impl Announcement {
    /// The names, as Agora calls them, of the contacts that would get another value.
    fn news(&self, customer: &Customer) -> Vec<&'static str> {
        let is_news =
            |said: &Option<Words>, stands: &Option<Words>| said.is_some() && said != stands;
        [
            ("customerName", is_news(&self.name, &customer.name)),
            ("customerEmail", is_news(&self.email, &customer.email)),
            ("customerPhone", is_news(&self.phone, &customer.phone)),
        ]
        .into_iter()
        .filter_map(|(field, is_news)| is_news.then_some(field))
        .collect()
    }
}

/// Tells whether announcing it of a customer at a second would change nothing.
///
/// # Errors
/// When SQLite fails.
pub fn stands(tx: &ReadTx<'_>, id: &CustomerId, said: &Announcement, at_s: i64) -> Result<bool> {
    let Some(customer) =
        find(tx, id)?.filter(|customer| is_active(customer) && said.news(customer).is_empty())
    else {
        return Ok(false);
    };
    Ok(new_plan(tx, &customer.id, said, at_s)?.is_none())
}

fn is_active(customer: &Customer) -> bool {
    customer.announced_at_s.is_some() && customer.deactivated_at_s.is_none()
}

/// Makes sure that the customer is in the books; tells whether it was new.
pub(super) fn register(tx: &WriteTx<'_>, id: &CustomerId, stamp: &Stamp) -> Result<bool> {
    let is_new = insert(tx, id, stamp)?;
    if is_new {
        event::of_account(tx, id, EventKind::Registered, &[], ValueChange::default(), stamp)?;
    }
    Ok(is_new)
}

fn insert(tx: &WriteTx<'_>, id: &CustomerId, stamp: &Stamp) -> Result<bool> {
    const INSERT: &str = "
        insert into customer (customer_id, first_seen_at_s)
        values (:customer_id, :at_s)
        on conflict (customer_id) do nothing";
    let params = named_params! { ":customer_id": id, ":at_s": stamp.at_s };
    Ok(tx.sql().prepare_cached(INSERT)?.execute(params)? == 1)
}

/// Announces a customer, or changes what was announced of it; an account that was deactivated is
/// active again.
///
/// # Errors
/// When SQLite fails.
pub fn announce(
    tx: &WriteTx<'_>,
    id: &CustomerId,
    said: &Announcement,
    stamp: &Stamp,
) -> Result<Customer> {
    insert(tx, id, stamp)?;
    let before = find(tx, id)?.expect("it was just made, unless it was there");
    let plan = new_plan(tx, id, said, stamp.at_s)?;
    let mut news = said.news(&before);
    if is_active(&before) && news.is_empty() && plan.is_none() {
        return Ok(before);
    }
    let mut values = ValueChange::default();
    if let Some(NewPlan { plan_id, from_s, was }) = &plan {
        name_plan(tx, id, plan_id, *from_s, stamp)?;
        news.insert(0, "planId");
        values = ValueChange::new(was.as_ref(), plan_id);
    }
    const UPDATE: &str = "
        update customer
        set plan_id = coalesce(:plan_id, plan_id),
            name = coalesce(:name, name),
            email = coalesce(:email, email),
            phone = coalesce(:phone, phone),
            announced_at_s = coalesce(announced_at_s, :at_s),
            deactivated_at_s = null
        where customer_id = :customer_id";
    tx.sql().prepare_cached(UPDATE)?.execute(named_params! {
        ":customer_id": id,
        ":plan_id": plan.map(|plan| plan.plan_id),
        ":name": said.name,
        ":email": said.email,
        ":phone": said.phone,
        ":at_s": stamp.at_s,
    })?;
    let change = match (before.announced_at_s, before.deactivated_at_s) {
        (None, _) => EventKind::Announced,
        (Some(_), Some(_)) => EventKind::Reactivated,
        (Some(_), None) => EventKind::Changed,
    };
    event::of_account(tx, id, change, &news, values, stamp)?;
    Ok(find(tx, id)?.expect("it was just written"))
}

/// A plan that is named for a customer.
struct NewPlan<'s> {
    plan_id: &'s PlanId,
    /// The first second from which it holds.
    from_s: i64,
    /// The plan that held from then on so far.
    was: Option<PlanId>,
}

/// The plan that is named, where another one holds so far from when it is to hold.
fn new_plan<'s>(
    tx: &ReadTx<'_>,
    id: &CustomerId,
    said: &'s Announcement,
    at_s: i64,
) -> Result<Option<NewPlan<'s>>> {
    let Some(plan_id) = &said.plan_id else {
        return Ok(None);
    };
    let history: History<PlanId> = plans_of(tx, id)?.into_iter().collect();
    let seen_at_s = find(tx, id)?.map_or(at_s, |customer| customer.first_seen_at_s);
    let from_s = history::start(tx, &history, said.plan_from_s, Some(seen_at_s), at_s)?;
    let was = history.at(from_s).cloned();
    Ok((was.as_ref() != Some(plan_id)).then_some(NewPlan { plan_id, from_s, was }))
}

/// Writes down from when a plan holds for a customer.
fn name_plan(
    tx: &WriteTx<'_>,
    id: &CustomerId,
    plan_id: &PlanId,
    from_s: i64,
    stamp: &Stamp,
) -> Result<()> {
    const INSERT: &str = "
        insert into customer_plan (customer_id, plan_id, from_s, at_s, actor)
        values (:customer_id, :plan_id, :from_s, :at_s, :actor)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":customer_id": id,
        ":plan_id": plan_id,
        ":from_s": from_s,
        ":at_s": stamp.at_s,
        ":actor": stamp.actor,
    })?;
    mark::customer(tx, id, from_s)
}

/// The plans that were named for a customer, the oldest first.
///
/// # Errors
/// When SQLite fails.
pub fn plans_of(tx: &ReadTx<'_>, id: &CustomerId) -> Result<Vec<HistoryEntry<PlanId>>> {
    const SELECT: &str = "
        select plan_id, from_s, at_s, actor
        from customer_plan
        where customer_id = :customer_id
        order by seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let said = |row: &Row<'_>| {
        let stamp = Stamp { at_s: row.get(2)?, actor: row.get(3)? };
        Ok(HistoryEntry { from_s: row.get(1)?, value: row.get(0)?, stamp })
    };
    Ok(select
        .query_map(named_params! { ":customer_id": id }, said)?
        .collect::<rusqlite::Result<_>>()?)
}

/// The plans named for customers by date, of those for whom any was.
///
/// # Errors
/// When SQLite fails.
pub fn plans(tx: &ReadTx<'_>) -> Result<HashMap<CustomerId, History<PlanId>>> {
    const SELECT: &str = "
        select customer_id, from_s, plan_id
        from customer_plan
        order by seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    history::histories(select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
}

/// Deactivates an account; one that is not active stays as it is.
pub(super) fn deactivate(tx: &WriteTx<'_>, id: &CustomerId, stamp: &Stamp) -> Result<()> {
    const UPDATE: &str = "
        update customer
        set deactivated_at_s = :at_s
        where customer_id = :customer_id
          and deactivated_at_s is null";
    let params = named_params! { ":customer_id": id, ":at_s": stamp.at_s };
    if tx.sql().prepare_cached(UPDATE)?.execute(params)? == 1 {
        event::of_account(tx, id, EventKind::Deactivated, &[], ValueChange::default(), stamp)?;
    }
    Ok(())
}

/// Makes sure that an account that is in the books is active.
pub(super) fn reactivate(tx: &WriteTx<'_>, id: &CustomerId, stamp: &Stamp) -> Result<()> {
    const UPDATE: &str = "
        update customer
        set deactivated_at_s = null
        where customer_id = :customer_id
          and deactivated_at_s is not null";
    if tx.sql().prepare_cached(UPDATE)?.execute(named_params! { ":customer_id": id })? == 1 {
        event::of_account(tx, id, EventKind::Reactivated, &[], ValueChange::default(), stamp)?;
    }
    Ok(())
}

/// Blanks a customer's contacts; ids, events and amounts stay. Tells whether there were any.
///
/// # Errors
/// When SQLite fails.
pub fn forget(tx: &WriteTx<'_>, customer: &Customer, stamp: &Stamp) -> Result<bool> {
    let contacts = [
        ("customerName", &customer.name),
        ("customerEmail", &customer.email),
        ("customerPhone", &customer.phone),
    ];
    let held: Vec<&str> =
        contacts.into_iter().filter_map(|(field, held)| held.as_ref().map(|_| field)).collect();
    if held.is_empty() {
        return Ok(false);
    }
    const UPDATE: &str = "
        update customer
        set name = null,
            email = null,
            phone = null
        where customer_id = :customer_id";
    tx.sql().prepare_cached(UPDATE)?.execute(named_params! { ":customer_id": customer.id })?;
    let values = ValueChange::default();
    event::of_account(tx, &customer.id, EventKind::Forgotten, &held, values, stamp)?;
    Ok(true)
}

/// Finds a customer.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &CustomerId) -> Result<Option<Customer>> {
    const SELECT: &str = "
        select customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s,
          deactivated_at_s
        from customer
        where customer_id = :customer_id";
    Ok(tx
        .sql()
        .prepare_cached(SELECT)?
        .query_row(named_params! { ":customer_id": id }, customer)
        .optional()?)
}

/// All customers, in the order of their ids.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Customer>> {
    const SELECT: &str = "
        select customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s,
          deactivated_at_s
        from customer
        order by customer_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], customer)?.collect::<rusqlite::Result<_>>()?)
}

/// The ids of all customers, in their order.
///
/// # Errors
/// When SQLite fails.
pub fn ids(tx: &ReadTx<'_>) -> Result<Vec<CustomerId>> {
    const SELECT: &str = "
        select customer_id
        from customer
        order by customer_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

fn customer(row: &Row<'_>) -> rusqlite::Result<Customer> {
    Ok(Customer {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        name: row.get(2)?,
        email: row.get(3)?,
        phone: row.get(4)?,
        first_seen_at_s: row.get(5)?,
        announced_at_s: row.get(6)?,
        deactivated_at_s: row.get(7)?,
    })
}
