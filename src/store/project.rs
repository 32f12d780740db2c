//! Agora's projects: whose they are, and when the extension was enabled for them.

use crate::billing::id::{CustomerId, PlanId, ProjectId};
use crate::billing::period::Period;
use crate::store::{ReadTx, Result, WriteTx, customer};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::{HashMap, HashSet};

/// A project as the books hold it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Agora's id.
    pub id: ProjectId,
    /// Whose project it is, where anybody has said.
    pub customer_id: Option<CustomerId>,
    /// When the books first heard of it.
    pub first_seen_at_s: i64,
    /// Since when it has been enabled; `None` where it is not: never announced.
    pub enabled_since_s: Option<i64>,
}

/// What had to be registered, since nobody had announced it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Whether the project was new.
    pub project: bool,
    /// Whether the customer was new.
    pub customer: bool,
    /// Whether the project had been there without a customer and is this customer's now.
    pub bound: bool,
}

/// Who answers for a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The customer.
    pub customer_id: CustomerId,
    /// The plan named for the customer, if any.
    pub plan_id: Option<PlanId>,
}

/// Makes sure that the project is in the books and, where a customer is told, that it is that customer's;
/// inside, the customer who has it where that is another.
pub(super) fn register(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    customer_id: Option<&CustomerId>,
    now_s: i64,
) -> Result<Result<Registered, CustomerId>> {
    let before = find(tx, id)?;
    let owner = before.as_ref().and_then(|project| project.customer_id.as_ref());
    let mut registered = Registered { project: before.is_none(), ..Registered::default() };
    if let Some(customer_id) = customer_id {
        match owner {
            Some(owner) if owner != customer_id => return Ok(Err(owner.clone())),
            Some(_) => {}
            None => {
                registered.customer = customer::register(tx, customer_id, now_s)?;
                registered.bound = before.is_some();
            }
        }
    }
    if before.is_none() || (owner.is_none() && customer_id.is_some()) {
        assign(tx, id, customer_id, now_s)?;
    }
    Ok(Ok(registered))
}

fn assign(tx: &WriteTx<'_>, id: &ProjectId, customer_id: Option<&CustomerId>, now_s: i64) -> Result<()> {
    const UPSERT: &str = "
        insert into project (project_id, customer_id, first_seen_at_s)
        values (:project_id, :customer_id, :now_s)
        on conflict (project_id) do update
        set customer_id = excluded.customer_id";
    let params = named_params! { ":project_id": id, ":customer_id": customer_id, ":now_s": now_s };
    tx.sql().prepare_cached(UPSERT)?.execute(params)?;
    Ok(())
}

/// Announces a project of a customer: it is that customer's from now on, whoever's it was, and enabled.
///
/// # Errors
/// When SQLite fails.
pub fn announce(tx: &WriteTx<'_>, id: &ProjectId, customer_id: &CustomerId, now_s: i64) -> Result<Project> {
    customer::register(tx, customer_id, now_s)?;
    assign(tx, id, Some(customer_id), now_s)?;
    const ENABLE: &str = "
        insert into project_enablement (project_id, from_s)
        select :project_id, :now_s
        where not exists (
          select 1
          from project_enablement
          where project_id = :project_id
            and until_s is null
        )";
    tx.sql().prepare_cached(ENABLE)?.execute(named_params! { ":project_id": id, ":now_s": now_s })?;
    Ok(find(tx, id)?.expect("it was just written"))
}

/// Finds a project.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Option<Project>> {
    const SELECT: &str = "
        select p.project_id, p.customer_id, p.first_seen_at_s, e.from_s
        from project p
        left join project_enablement e on e.project_id = p.project_id and e.until_s is null
        where p.project_id = :project_id";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(named_params! { ":project_id": id }, project).optional()?)
}

/// All projects, in the order of their ids; of one customer alone where told.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>, customer_id: Option<&CustomerId>) -> Result<Vec<Project>> {
    const SELECT: &str = "
        select p.project_id, p.customer_id, p.first_seen_at_s, e.from_s
        from project p
        left join project_enablement e on e.project_id = p.project_id and e.until_s is null
        where :customer_id is null or p.customer_id = :customer_id
        order by p.project_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map(named_params! { ":customer_id": customer_id }, project)?.collect::<rusqlite::Result<_>>()?)
}

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        id: row.get(0)?,
        customer_id: row.get(1)?,
        first_seen_at_s: row.get(2)?,
        enabled_since_s: row.get(3)?,
    })
}

/// The customer of a project, if anybody has said.
///
/// # Errors
/// When SQLite fails.
pub fn owner(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Option<CustomerId>> {
    Ok(find(tx, id)?.and_then(|project| project.customer_id))
}

/// Who answers for each project, of those that have a customer.
///
/// # Errors
/// When SQLite fails.
pub fn owners(tx: &ReadTx<'_>) -> Result<HashMap<ProjectId, Owner>> {
    const SELECT: &str = "
        select p.project_id, c.customer_id, c.plan_id
        from project p
        join customer c on c.customer_id = p.customer_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let owner = |row: &Row<'_>| Ok((row.get(0)?, Owner { customer_id: row.get(1)?, plan_id: row.get(2)? }));
    Ok(select.query_map([], owner)?.collect::<rusqlite::Result<_>>()?)
}

/// The projects for which the extension was enabled at any moment of a window.
///
/// # Errors
/// When SQLite fails.
pub fn enabled_in(tx: &ReadTx<'_>, period: Period) -> Result<HashSet<ProjectId>> {
    const SELECT: &str = "
        select project_id
        from project_enablement
        where from_s <= :last_s
          and (until_s is null or until_s >= :first_s)";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(select.query_map(params, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}
