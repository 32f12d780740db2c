//! Agora's users who activated the extension.

use crate::billing::id::{CustomerId, PlanId, Words};
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::{OptionalExtension, Row, named_params};

/// A customer as the books hold it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Agora's id.
    pub id: CustomerId,
    /// The plan named for it; `None`: the plan `default`.
    pub plan_id: Option<PlanId>,
    /// Contact, where told.
    pub name: Option<Words>,
    /// Contact, where told.
    pub email: Option<Words>,
    /// Contact, where told.
    pub phone: Option<Words>,
    /// When the books first heard of it.
    pub first_seen_at_s: i64,
    /// When it was announced; `None` where only a record or a license has named it.
    pub announced_at_s: Option<i64>,
}

/// What is announced of a customer; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The plan named for it.
    pub plan_id: Option<PlanId>,
    /// Contact.
    pub name: Option<Words>,
    /// Contact.
    pub email: Option<Words>,
    /// Contact.
    pub phone: Option<Words>,
}

/// Makes sure that the customer is in the books; tells whether it was new.
pub(super) fn register(tx: &WriteTx<'_>, id: &CustomerId, now_s: i64) -> Result<bool> {
    const INSERT: &str = "
        insert into customer (customer_id, first_seen_at_s)
        values (:customer_id, :now_s)
        on conflict (customer_id) do nothing";
    let inserted = tx.sql().prepare_cached(INSERT)?.execute(named_params! { ":customer_id": id, ":now_s": now_s })?;
    Ok(inserted == 1)
}

/// Announces a customer, or changes what was announced of it.
///
/// # Errors
/// When SQLite fails.
pub fn announce(tx: &WriteTx<'_>, id: &CustomerId, said: &Announcement, now_s: i64) -> Result<Customer> {
    register(tx, id, now_s)?;
    const UPDATE: &str = "
        update customer
        set plan_id = coalesce(:plan_id, plan_id),
            name = coalesce(:name, name),
            email = coalesce(:email, email),
            phone = coalesce(:phone, phone),
            announced_at_s = coalesce(announced_at_s, :now_s)
        where customer_id = :customer_id
        returning customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s";
    let params = named_params! {
        ":customer_id": id,
        ":plan_id": said.plan_id,
        ":name": said.name,
        ":email": said.email,
        ":phone": said.phone,
        ":now_s": now_s,
    };
    Ok(tx.sql().prepare_cached(UPDATE)?.query_row(params, customer)?)
}

/// Finds a customer.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &CustomerId) -> Result<Option<Customer>> {
    const SELECT: &str = "
        select customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s
        from customer
        where customer_id = :customer_id";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(named_params! { ":customer_id": id }, customer).optional()?)
}

/// All customers, in the order of their ids.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Customer>> {
    const SELECT: &str = "
        select customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s
        from customer
        order by customer_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], customer)?.collect::<rusqlite::Result<_>>()?)
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
    })
}
