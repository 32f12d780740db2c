//! What was changed of customers and projects, and by whom: written in the transaction that changes
//! it.

use crate::billing::event::{Event, EventKind, Stamp, ValueChange};
use crate::billing::id::{CustomerId, ProjectId};
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::{Row, ToSql, named_params};

/// Adds an event.
pub(super) fn add(tx: &WriteTx<'_>, event: &Event) -> Result<()> {
    const INSERT: &str = "
        insert into event (at_s, actor, customer_id, project_id, change, fields, was, became)
        values (:at_s, :actor, :customer_id, :project_id, :change, :fields, :was, :became)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":at_s": event.stamp.at_s,
        ":actor": event.stamp.actor,
        ":customer_id": event.customer_id,
        ":project_id": event.project_id,
        ":change": event.change,
        ":fields": event.fields.join(","),
        ":was": event.values.from,
        ":became": event.values.to,
    })?;
    Ok(())
}

/// Adds an event about an account; `values` are those of its `planId`.
pub(super) fn of_account(
    tx: &WriteTx<'_>,
    customer_id: &CustomerId,
    change: EventKind,
    fields: &[&str],
    values: ValueChange,
    stamp: &Stamp,
) -> Result<()> {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    let (stamp, customer_id) = (stamp.clone(), Some(customer_id.clone()));
    add(tx, &Event { stamp, customer_id, project_id: None, change, fields, values })
}

/// Adds an event about a project; `values` are those of its `customerId`.
pub(super) fn of_project(
    tx: &WriteTx<'_>,
    project_id: &ProjectId,
    customer_id: Option<&CustomerId>,
    change: EventKind,
    values: ValueChange,
    stamp: &Stamp,
) -> Result<()> {
    let fields = match change {
        EventKind::Bound | EventKind::Moved | EventKind::Left => vec!["customerId".to_owned()],
        EventKind::Keyed => vec!["appKey".to_owned(), "appSecret".to_owned()],
        EventKind::Registered
        | EventKind::Announced
        | EventKind::Changed
        | EventKind::Deactivated
        | EventKind::Reactivated
        | EventKind::Forgotten
        | EventKind::Enabled
        | EventKind::Disabled => Vec::new(),
    };
    let (project_id, customer_id) = (Some(project_id.clone()), customer_id.cloned());
    add(tx, &Event { stamp: stamp.clone(), customer_id, project_id, change, fields, values })
}

/// The events of a customer's account and of the projects while they were the customer's, the
/// oldest first.
///
/// # Errors
/// When SQLite fails.
pub fn of_customer(tx: &ReadTx<'_>, customer_id: &CustomerId) -> Result<Vec<Event>> {
    select(tx, "customer_id = :id", customer_id)
}

/// The events of a project, the oldest first.
///
/// # Errors
/// When SQLite fails.
pub fn of(tx: &ReadTx<'_>, project_id: &ProjectId) -> Result<Vec<Event>> {
    select(tx, "project_id = :id", project_id)
}

fn select(tx: &ReadTx<'_>, which: &str, id: &dyn ToSql) -> Result<Vec<Event>> {
    let select = format!(
        "
        select at_s, actor, customer_id, project_id, change, fields, was, became
        from event
        where {which}
        order by seq"
    );
    let mut select = tx.sql().prepare_cached(&select)?;
    Ok(select.query_map(named_params! { ":id": id }, event)?.collect::<rusqlite::Result<_>>()?)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let fields: String = row.get(5)?;
    Ok(Event {
        stamp: Stamp { at_s: row.get(0)?, actor: row.get(1)? },
        customer_id: row.get(2)?,
        project_id: row.get(3)?,
        change: row.get(4)?,
        fields: fields.split(',').filter(|field| !field.is_empty()).map(str::to_owned).collect(),
        values: ValueChange { from: row.get(6)?, to: row.get(7)? },
    })
}
