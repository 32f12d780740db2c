//! Agora's projects: whose they are, and when the extension was enabled for them.

use crate::billing::event::{EventKind, Stamp, ValueChange};
use crate::billing::history::{History, HistoryEntry};
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::key::AppKeys;
use crate::billing::period::{Grain, LAST_SECOND, Period};
use crate::store::balance::mark;
use crate::store::{ReadTx, Result, WriteTx, customer, event, history, key, rollup};
use rusqlite::{Row, ToSql, named_params};
use std::collections::{HashMap, HashSet};

/// A project as the books hold it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Agora's id.
    pub id: ProjectId,
    /// Whose project it is, as was said last, where anybody has said. Who pays for a month is in
    /// [`customers_of`].
    pub customer_id: Option<CustomerId>,
    /// When the books first heard of it.
    pub first_seen_at_s: i64,
    /// By what the vendor's backend knows its calls; `None` until Agora creates it.
    pub app_keys: Option<AppKeys>,
    /// When it was enabled for the first time, by Agora or at the shell; `None` where it never was:
    /// only a record has named it.
    pub announced_at_s: Option<i64>,
    /// Since when it has been enabled; `None` where it is not.
    pub enabled_since_s: Option<i64>,
    /// The last second in which it was enabled; `None` where it is, or never was.
    pub disabled_at_s: Option<i64>,
}

/// What had to be registered, since nobody had announced it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Whether the project was new.
    pub project: bool,
    /// Whether the customer was new.
    pub customer: bool,
    /// Whether the project had been there without a customer and is this customer's now.
    pub bound: bool,
    /// The second from which its usage is billed to its first customer, where it has got one: 0 for
    /// all time.
    pub billed_from_s: Option<i64>,
    /// Whether the project was another customer's and is this customer's from the record's month
    /// on.
    pub moved: bool,
}

/// A project that is in the books, as far as writing for it depends on it.
pub(super) struct FoundProject {
    /// Its number in the books.
    pub no: i64,
    /// Whose it was and is to be, by date.
    pub customers: History<CustomerId>,
}

impl FoundProject {
    /// Whom a record of this time may name: whose the project is then. Before its first customer,
    /// where the month is nobody's, that is the first one.
    pub fn nameable(customers: &History<CustomerId>, at_s: i64) -> Option<&CustomerId> {
        customers.at(at_s).or_else(|| customers.iter().next().map(|(_, first)| first))
    }
}

/// Looks a project up to write for it; `None` where it is not in the books.
pub(super) fn look_up(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Option<FoundProject>> {
    const SELECT: &str = "
        select p.project_no, c.from_s, c.customer_id
        from project p
        left join project_customer c on c.project_id = p.project_id
        where p.project_id = :project_id
        order by c.seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut rows = select.query(named_params! { ":project_id": id })?;
    let mut found: Option<FoundProject> = None;
    while let Some(row) = rows.next()? {
        let no = row.get(0)?;
        let found = found.get_or_insert_with(|| FoundProject { no, customers: History::default() });
        if let Some(from_s) = row.get(1)? {
            found.customers.add(from_s, row.get(2)?);
        }
    }
    Ok(found)
}

/// Makes sure that the project is in the books and, where a customer is given, that at `at_s` it is
/// that customer's; tells what was new, and whose it is. Inside, the customer who has it then,
/// where that is another. `found` is what [`look_up`] gave.
pub(super) fn register(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    found: Option<FoundProject>,
    customer_id: Option<&CustomerId>,
    at_s: i64,
    stamp: &Stamp,
) -> Result<Result<(Registration, FoundProject), CustomerId>> {
    let mut registered = Registration { project: found.is_none(), ..Registration::default() };
    let is_bound = |found: &FoundProject| customer_id.is_none() || !found.customers.is_empty();
    match found {
        Some(found) if is_bound(&found) => {
            let stands = FoundProject::nameable(&found.customers, at_s);
            let other = stands.filter(|stands| customer_id.is_some_and(|given| given != *stands));
            return Ok(match other.cloned() {
                Some(other) => Err(other),
                None => Ok((registered, found)),
            });
        }
        Some(_) | None => {
            if let Some(given) = customer_id {
                registered.customer = customer::register(tx, given, stamp)?;
                registered.bound = !registered.project;
            }
            assign(tx, id, customer_id, stamp)?;
            if let Some(given) = customer_id {
                let handed = hand_over(tx, id, given, None, stamp)?;
                registered.billed_from_s = handed.map(|handed| handed.from_s);
            }
            let change = if registered.project { EventKind::Registered } else { EventKind::Bound };
            let values = customer_id.map(|given| ValueChange::new(None::<&CustomerId>, given));
            event::of_project(tx, id, customer_id, change, values.unwrap_or_default(), stamp)?;
        }
    }
    Ok(Ok((registered, look_up(tx, id)?.expect("it was just written"))))
}

/// Tells whether only records have named a project so far: nobody announced it.
pub(super) fn is_only_recorded(tx: &ReadTx<'_>, id: &ProjectId) -> Result<bool> {
    const SELECT: &str = "
        select not exists (select 1 from project_enablement where project_id = :project_id)";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":project_id": id }, |row| row.get(0))?)
}

/// Moves a project that only records have named to another customer from the month on that starts
/// at `month_s`, as an imported record of it says. `next_s` is the next month that holds usage of
/// it: from there on it is whose it was.
pub(super) fn follow(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    found: FoundProject,
    customer_id: &CustomerId,
    month_s: i64,
    next_s: Option<i64>,
    stamp: &Stamp,
) -> Result<(Registration, FoundProject)> {
    let FoundProject { no, customers: before } = found;
    let is_new = customer::register(tx, customer_id, stamp)?;
    let stays = next_s.and_then(|next_s| Some((next_s, before.at(next_s)?)));
    let mut last = customer_id;
    say(tx, id, customer_id, month_s, stamp)?;
    if let Some((next_s, stands)) = stays
        && before.until(month_s).is_none_or(|until_s| until_s > next_s)
    {
        say(tx, id, stands, next_s, stamp)?;
        last = stands;
    }
    assign(tx, id, Some(last), stamp)?;
    let was = before.at(month_s);
    let values = ValueChange::new(was, customer_id);
    if let Some(left) = was {
        event::of_project(tx, id, Some(left), EventKind::Left, values.clone(), stamp)?;
    }
    event::of_project(tx, id, Some(customer_id), EventKind::Moved, values, stamp)?;
    let customers = look_up(tx, id)?.expect("it is in the books").customers;
    let registered = Registration { customer: is_new, moved: true, ..Registration::default() };
    Ok((registered, FoundProject { no, customers }))
}

fn assign(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    customer_id: Option<&CustomerId>,
    stamp: &Stamp,
) -> Result<()> {
    const UPSERT: &str = "
        insert into project (project_id, customer_id, first_seen_at_s)
        values (:project_id, :customer_id, :at_s)
        on conflict (project_id) do update
        set customer_id = excluded.customer_id";
    let params =
        named_params! { ":project_id": id, ":customer_id": customer_id, ":at_s": stamp.at_s };
    tx.sql().prepare_cached(UPSERT)?.execute(params)?;
    Ok(())
}

/// From when a project's usage is billed to another customer.
struct Handover {
    from_s: i64,
    /// Whose it was from then on so far.
    was: Option<CustomerId>,
}

/// Writes down from when a project's usage is billed to this customer, as [`History::start`] has it
/// of the month that `asked_s` begins, and returns that second. Writes nothing and returns `None`
/// where that is so already. Whose project it is otherwise stays as it is.
fn hand_over(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    customer_id: &CustomerId,
    asked_s: Option<i64>,
    stamp: &Stamp,
) -> Result<Option<Handover>> {
    let said = customers_of(tx, id)?;
    let is_other = said.last().map(|said| &said.value) != Some(customer_id);
    let history: History<CustomerId> = said.into_iter().collect();
    let seen_at_s = find(tx, id)?.map_or(stamp.at_s, |project| project.first_seen_at_s);
    let from_s = history::start(tx, &history, asked_s, Some(seen_at_s), stamp.at_s)?;
    let was = history.at(from_s).cloned();
    if !is_other && was.as_ref() == Some(customer_id) {
        return Ok(None);
    }
    say(tx, id, customer_id, from_s, stamp)?;
    Ok(Some(Handover { from_s, was }))
}

/// Writes down that a project is a customer's from a month on.
fn say(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    customer_id: &CustomerId,
    from_s: i64,
    stamp: &Stamp,
) -> Result<()> {
    const INSERT: &str = "
        insert into project_customer (project_id, customer_id, from_s, at_s, actor)
        values (:project_id, :customer_id, :from_s, :at_s, :actor)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":project_id": id,
        ":customer_id": customer_id,
        ":from_s": from_s,
        ":at_s": stamp.at_s,
        ":actor": stamp.actor,
    })?;
    mark::project(tx, id, from_s)
}

/// Puts a project into other books with all that decides about records of it: whose it was, whether
/// it was announced, and in which months there is usage of it.
pub(super) fn copy(
    books: &ReadTx<'_>,
    other: &WriteTx<'_>,
    id: &ProjectId,
    found: &FoundProject,
    stamp: &Stamp,
) -> Result<()> {
    assign(other, id, None, stamp)?;
    for said in customers_of(books, id)? {
        customer::register(other, &said.value, stamp)?;
        assign(other, id, Some(&said.value), stamp)?;
        say(other, id, &said.value, said.from_s, &said.stamp)?;
    }
    if !is_only_recorded(books, id)? {
        const ENABLE: &str = "
            insert into project_enablement (project_id, from_s)
            values (:project_id, :at_s)";
        let params = named_params! { ":project_id": id, ":at_s": stamp.at_s };
        other.sql().prepare_cached(ENABLE)?.execute(params)?;
    } else if !found.customers.is_empty() {
        let copy = look_up(other, id)?.expect("it was just written");
        let mut months_s = Vec::new();
        rollup::each(books, Grain::Month, &(0..LAST_SECOND), Some(found.no), |month_s, _, _| {
            months_s.push(month_s);
            Ok(())
        })?;
        for month_s in months_s {
            rollup::mark_month(other, copy.no, month_s)?;
        }
    }
    Ok(())
}

/// All projects that were, are or are to be a customer's, in the order of their ids: those that
/// are, and those that events tell of, since one that left has an event of it.
pub(super) fn ever_of(tx: &ReadTx<'_>, customer_id: &CustomerId) -> Result<Vec<ProjectId>> {
    const SELECT: &str = "
        select project_id
        from project
        where customer_id = :customer_id
        union
        select project_id
        from event
        where customer_id = :customer_id
          and project_id is not null
        order by project_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":customer_id": customer_id };
    Ok(select.query_map(params, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// The customers that a project has had, and is to have, the oldest word first.
///
/// # Errors
/// When SQLite fails.
pub fn customers_of(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Vec<HistoryEntry<CustomerId>>> {
    const SELECT: &str = "
        select customer_id, from_s, at_s, actor
        from project_customer
        where project_id = :project_id
        order by seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let said = |row: &Row<'_>| {
        let stamp = Stamp { at_s: row.get(2)?, actor: row.get(3)? };
        Ok(HistoryEntry { from_s: row.get(1)?, value: row.get(0)?, stamp })
    };
    Ok(select
        .query_map(named_params! { ":project_id": id }, said)?
        .collect::<rusqlite::Result<_>>()?)
}

/// The customers of projects by date, of those that have any; of one project alone where one is
/// given.
///
/// # Errors
/// When SQLite fails.
pub fn customers(
    tx: &ReadTx<'_>,
    id: Option<&ProjectId>,
) -> Result<HashMap<ProjectId, History<CustomerId>>> {
    const SELECT: &str = "
        select project_id, from_s, customer_id
        from project_customer
        where :project_id is null or project_id = :project_id
        order by seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":project_id": id };
    history::histories(select.query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
}

/// Announces a project of a customer: it is that customer's from now on, whoever's it was, and
/// enabled; the customer's account is active again if it was not. Its usage is billed to the
/// customer as [`History::start`] has it of the month that `from_s` begins; with `None` nothing is
/// said of that where the project is the customer's already.
///
/// # Errors
/// When SQLite fails.
pub fn announce(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    customer_id: &CustomerId,
    from_s: Option<i64>,
    stamp: &Stamp,
) -> Result<Project> {
    customer::register(tx, customer_id, stamp)?;
    customer::reactivate(tx, customer_id, stamp)?;
    let before = find(tx, id)?;
    let owner = before.as_ref().and_then(|before| before.customer_id.as_ref());
    if owner != Some(customer_id) {
        assign(tx, id, Some(customer_id), stamp)?;
    }
    let is_asked = owner != Some(customer_id) || from_s.is_some();
    let handed = if is_asked { hand_over(tx, id, customer_id, from_s, stamp)? } else { None };
    if let Some(Handover { was, .. }) = handed {
        let change = match (&before, owner) {
            (None, _) => None,
            (Some(_), None) => Some(EventKind::Bound),
            (Some(_), Some(_)) => Some(EventKind::Moved),
        };
        // The customer whose it is already may get an earlier month of another one.
        let from = owner.filter(|owner| *owner != customer_id).or(was.as_ref());
        let values = ValueChange::new(from, customer_id);
        if let Some(owner) = owner.filter(|owner| *owner != customer_id) {
            event::of_project(tx, id, Some(owner), EventKind::Left, values.clone(), stamp)?;
        }
        if let Some(change) = change {
            event::of_project(tx, id, Some(customer_id), change, values, stamp)?;
        }
    }
    if before.is_none_or(|before| before.enabled_since_s.is_none()) {
        enable(tx, id, customer_id, stamp)?;
    }
    Ok(find(tx, id)?.expect("it was just written"))
}

/// Creates a project of a customer as Agora asks for it: announces it, and makes its keys unless it
/// has them.
///
/// # Errors
/// When SQLite fails.
pub fn create(
    tx: &WriteTx<'_>,
    id: &ProjectId,
    customer_id: &CustomerId,
    stamp: &Stamp,
) -> Result<()> {
    let project = announce(tx, id, customer_id, None, stamp)?;
    if project.app_keys.is_none() {
        const UPDATE: &str = "
            update project
            set app_key = :app_key,
                app_secret = :app_secret
            where project_id = :project_id";
        let AppKeys { app_key, app_secret } = key::make_app_keys();
        let params =
            named_params! { ":project_id": id, ":app_key": app_key, ":app_secret": app_secret };
        tx.sql().prepare_cached(UPDATE)?.execute(params)?;
        let (keyed, values) = (EventKind::Keyed, ValueChange::default());
        event::of_project(tx, id, Some(customer_id), keyed, values, stamp)?;
    }
    Ok(())
}

/// Enables the extension for a project from this second on, or, where the clock went back, from the
/// second in which it was enabled or disabled last. Enabled again in the second in which it was
/// both enabled and disabled, it goes on as if it had not been.
fn enable(tx: &WriteTx<'_>, id: &ProjectId, customer_id: &CustomerId, stamp: &Stamp) -> Result<()> {
    const UPSERT: &str = "
        insert into project_enablement (project_id, from_s)
        values (:project_id, :at_s)
        on conflict (project_id, from_s) do update
        set until_s = null";
    let stamp = not_before_the_last(tx, id, EventKind::Enabled, stamp)?;
    let params = named_params! { ":project_id": id, ":at_s": stamp.at_s };
    tx.sql().prepare_cached(UPSERT)?.execute(params)?;
    mark::project(tx, id, stamp.at_s)?;
    event::of_project(tx, id, Some(customer_id), EventKind::Enabled, ValueChange::default(), &stamp)
}

/// Disables the extension for a project; this second is the last in which it was enabled, or, where
/// the clock went back, the second in which it was enabled or disabled last. One that is not
/// enabled stays as it is.
///
/// # Errors
/// When SQLite fails.
pub fn disable(tx: &WriteTx<'_>, project: &Project, stamp: &Stamp) -> Result<()> {
    const UPDATE: &str = "
        update project_enablement
        set until_s = :at_s
        where project_id = :project_id
          and until_s is null";
    if project.enabled_since_s.is_none() {
        return Ok(());
    }
    let stamp = not_before_the_last(tx, &project.id, EventKind::Disabled, stamp)?;
    let params = named_params! { ":project_id": project.id, ":at_s": stamp.at_s };
    if tx.sql().prepare_cached(UPDATE)?.execute(params)? == 1 {
        mark::project(tx, &project.id, stamp.at_s)?;
        let (owner, values) = (project.customer_id.as_ref(), ValueChange::default());
        event::of_project(tx, &project.id, owner, EventKind::Disabled, values, &stamp)?;
    }
    Ok(())
}

/// When an enabling or disabling is written: now, and never before the last one of its project, so
/// that a clock that was set back changes nothing of the time in which it was enabled.
fn not_before_the_last(
    tx: &ReadTx<'_>,
    id: &ProjectId,
    change: EventKind,
    stamp: &Stamp,
) -> Result<Stamp> {
    const LAST: &str = "
        select max(max(from_s, coalesce(until_s, from_s)))
        from project_enablement
        where project_id = :project_id";
    let mut select = tx.sql().prepare_cached(LAST)?;
    let last_s: Option<i64> =
        select.query_row(named_params! { ":project_id": id }, |row| row.get(0))?;
    let at_s = last_s.map_or(stamp.at_s, |last_s| last_s.max(stamp.at_s));
    if at_s > stamp.at_s {
        log::warn!(
            "the clock is {} seconds before the last enabling or disabling of project {id}: it is \
             written as {} at that second",
            at_s - stamp.at_s,
            change.as_str()
        );
    }
    Ok(Stamp { at_s, ..stamp.clone() })
}

/// Deactivates a customer's account, and disables its projects in the same second; tells which.
/// What is so already stays as it is.
///
/// # Errors
/// When SQLite fails.
pub fn deactivate_all(
    tx: &WriteTx<'_>,
    customer_id: &CustomerId,
    stamp: &Stamp,
) -> Result<Vec<ProjectId>> {
    customer::deactivate(tx, customer_id, stamp)?;
    let enabled = enabled_of(tx, customer_id)?;
    for project in &enabled {
        disable(tx, project, stamp)?;
    }
    Ok(enabled.into_iter().map(|project| project.id).collect())
}

/// Tells whether any project of a customer is enabled.
///
/// # Errors
/// When SQLite fails.
pub fn any_enabled(tx: &ReadTx<'_>, customer_id: &CustomerId) -> Result<bool> {
    Ok(!enabled_of(tx, customer_id)?.is_empty())
}

/// The second after which usage of the project dated `at_s` was not to come: the last in which it
/// was enabled before then, or, where it never had been, in which its customer's account was
/// active. `None` where it was enabled.
///
/// # Errors
/// When SQLite fails.
pub fn disabled_before(tx: &ReadTx<'_>, id: &ProjectId, at_s: i64) -> Result<Option<i64>> {
    let windows = disabled_in(tx, id)?;
    let window =
        windows.into_iter().find(|window| (window.first_s()..=window.last_s()).contains(&at_s));
    Ok(window.map(|window| window.first_s() - 1))
}

/// The windows in which the project was disabled after it had been enabled, the last of them
/// without an end; of one that never was, the time since the account was deactivated of the
/// customer whose it is then.
///
/// # Errors
/// When SQLite fails.
pub fn disabled_in(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Vec<Period>> {
    const ENABLED: &str = "
        select from_s, until_s
        from project_enablement
        where project_id = :project_id
        order by from_s";
    let mut select = tx.sql().prepare_cached(ENABLED)?;
    let enabled = select
        .query_map(named_params! { ":project_id": id }, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let enabled: Vec<(i64, Option<i64>)> = enabled.collect::<rusqlite::Result<_>>()?;
    if enabled.is_empty() {
        return deactivated_in(tx, id);
    }
    // Each ends where the next time begins.
    let starts = enabled.iter().skip(1).map(|(from_s, _)| from_s - 1).chain([LAST_SECOND]);
    let between = enabled.iter().zip(starts);
    Ok(between.filter_map(|((_, until_s), last_s)| Period::new((*until_s)? + 1, last_s)).collect())
}

/// The windows in which a project is a customer's whose account was deactivated before.
fn deactivated_in(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Vec<Period>> {
    let customers: History<CustomerId> = customers_of(tx, id)?.into_iter().collect();
    let mut windows = Vec::new();
    for (from_s, customer_id) in customers.iter() {
        let customer = customer::find(tx, customer_id)?;
        let Some(at_s) = customer.and_then(|customer| customer.deactivated_at_s) else {
            continue;
        };
        let last_s = customers.until(from_s).map_or(LAST_SECOND, |until_s| until_s - 1);
        windows.extend(Period::new(from_s.max(at_s + 1), last_s));
    }
    Ok(windows)
}

/// Finds a project.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Option<Project>> {
    Ok(select(tx, "where p.project_id = :project_id", named_params! { ":project_id": id })?.pop())
}

/// All projects, in the order of their ids.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Project>> {
    select(tx, "", &[])
}

/// The ids of all projects, in their order.
///
/// # Errors
/// When SQLite fails.
pub fn ids(tx: &ReadTx<'_>) -> Result<Vec<ProjectId>> {
    const SELECT: &str = "
        select project_id
        from project
        order by project_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// The projects of a customer, in the order of their ids.
///
/// # Errors
/// When SQLite fails.
pub fn of(tx: &ReadTx<'_>, customer_id: &CustomerId) -> Result<Vec<Project>> {
    select(tx, "where p.customer_id = :customer_id", named_params! { ":customer_id": customer_id })
}

/// The projects of a customer that are enabled.
fn enabled_of(tx: &ReadTx<'_>, customer_id: &CustomerId) -> Result<Vec<Project>> {
    const ENABLED: &str = "
        where p.customer_id = :customer_id
          and e.from_s is not null
          and e.until_s is null";
    select(tx, ENABLED, named_params! { ":customer_id": customer_id })
}

fn select(tx: &ReadTx<'_>, which: &str, params: &[(&str, &dyn ToSql)]) -> Result<Vec<Project>> {
    let select = format!(
        "
        select p.project_id, p.customer_id, p.first_seen_at_s, p.app_key, p.app_secret,
          e.from_s, e.until_s,
          (select min(from_s) from project_enablement where project_id = p.project_id)
        from project p
        left join project_enablement e
          on e.project_id = p.project_id
          and e.from_s = (select max(from_s) from project_enablement where project_id =
            p.project_id)
        {which}
        order by p.project_id"
    );
    Ok(tx
        .sql()
        .prepare_cached(&select)?
        .query_map(params, project)?
        .collect::<rusqlite::Result<_>>()?)
}

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    let app_keys = match row.get(3)? {
        Some(app_key) => Some(AppKeys { app_key, app_secret: row.get(4)? }),
        None => None,
    };
    let disabled_at_s: Option<i64> = row.get(6)?;
    let enabled_since_s: Option<i64> = row.get(5)?;
    Ok(Project {
        id: row.get(0)?,
        customer_id: row.get(1)?,
        first_seen_at_s: row.get(2)?,
        app_keys,
        announced_at_s: row.get(7)?,
        enabled_since_s: enabled_since_s.filter(|_| disabled_at_s.is_none()),
        disabled_at_s,
    })
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

/// When projects were enabled within a window, stretch by stretch in the order of time; of one
/// project alone where one is given.
///
/// # Errors
/// When SQLite fails.
pub fn enabled_within(
    tx: &ReadTx<'_>,
    period: Period,
    id: Option<&ProjectId>,
) -> Result<Vec<(ProjectId, Period)>> {
    const SELECT: &str = "
        select project_id, max(from_s, :first_s), min(coalesce(until_s, :last_s), :last_s)
        from project_enablement
        where from_s <= :last_s
          and (until_s is null or until_s >= :first_s)
          and (:project_id is null or project_id = :project_id)
        order by project_id, from_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! {
        ":first_s": period.first_s(),
        ":last_s": period.last_s(),
        ":project_id": id,
    };
    let mut rows = select.query(params)?;
    let mut stretches = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(stretch) = Period::new(row.get(1)?, row.get(2)?) {
            stretches.push((row.get(0)?, stretch));
        }
    }
    Ok(stretches)
}
