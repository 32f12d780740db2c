//! Marks: of which projects it is not known what is due of a billed month.
//!
//! Whatever changes what a month costs writes them in its own transaction, for months that have a
//! bill. A mark that stands already gets a new number, so that whoever priced before the change
//! does not remove it. `check` names a mark that is missing.

use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::Grain;
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::{Row, ToSql, named_params};
use std::collections::BTreeSet;

/// Usage of a project in a month was recorded or taken back.
pub(in crate::store) fn usage(tx: &WriteTx<'_>, month_s: i64, project_no: i64) -> Result<()> {
    const HAS_BILL: &str = "select exists (select 1 from balance where month_s = :month_s)";
    // Mostly there is no bill yet: the longer statement is not even prepared.
    let month = named_params! { ":month_s": month_s };
    if tx.sql().prepare_cached(HAS_BILL)?.query_row(month, |row| row.get(0))? {
        insert(tx, month_s, project_no)?;
    }
    Ok(())
}

/// A bill of a month was kept, and what the month costs has changed since the bill was made.
pub(super) fn month(tx: &WriteTx<'_>, month_s: i64) -> Result<()> {
    insert(tx, month_s, 0)
}

fn insert(tx: &WriteTx<'_>, month_s: i64, project_no: i64) -> Result<()> {
    const MARK: &str = "
        insert or replace into mark (month_s, project_no)
        values (:month_s, :project_no)";
    execute(tx, MARK, &[(":month_s", &month_s), (":project_no", &project_no)])
}

/// A plan has another price from a month on. Anybody may have it.
pub(in crate::store) fn everybody(tx: &WriteTx<'_>, from_s: i64) -> Result<()> {
    const MARK: &str = "
        insert or replace into mark (month_s, project_no)
        select month_s, 0
        from balance
        where month_s >= :from_s";
    execute(tx, MARK, &[(":from_s", &from_s)])
}

/// A customer has another plan from a month on: all projects that were ever the customer's.
pub(in crate::store) fn customer(tx: &WriteTx<'_>, id: &CustomerId, from_s: i64) -> Result<()> {
    // A cross join keeps the order of reading: without months there is nothing to look for.
    const MARK: &str = "
        insert or replace into mark (month_s, project_no)
        select b.month_s, p.project_no
        from balance b
        cross join project_customer c on c.customer_id = :customer_id
        cross join project p on p.project_id = c.project_id
        where b.month_s >= :from_s";
    execute(tx, MARK, &[(":customer_id", id), (":from_s", &from_s)])
}

/// A project has another customer from a second on, or is enabled or not from then on. The month in
/// which that is counts.
pub(in crate::store) fn project(tx: &WriteTx<'_>, id: &ProjectId, from_s: i64) -> Result<()> {
    const MARK: &str = "
        insert or replace into mark (month_s, project_no)
        select b.month_s, p.project_no
        from balance b
        cross join project p on p.project_id = :project_id
        where b.month_s >= :from_s";
    let from_s = Grain::Month.floor(from_s);
    execute(tx, MARK, &[(":project_id", id), (":from_s", &from_s)])
}

fn execute(tx: &WriteTx<'_>, mark: &str, params: &[(&str, &dyn ToSql)]) -> Result<()> {
    tx.sql().prepare_cached(mark)?.execute(params)?;
    Ok(())
}

/// The marks of a month.
pub(super) struct Marks {
    /// The number of the newest; 0 where there is none.
    pub seq: i64,
    /// Whose; `None`: everybody's.
    pub projects: Option<BTreeSet<ProjectId>>,
}

impl Marks {
    /// A mark of everybody.
    pub const EVERYBODY: Self = Self { seq: 0, projects: None };

    pub fn read(tx: &ReadTx<'_>, month_s: i64) -> Result<Self> {
        const SELECT: &str = "
            select m.seq, p.project_id
            from mark m
            left join project p on p.project_no = m.project_no
            where m.month_s = :month_s";
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let rows = select.query_map(named_params! { ":month_s": month_s }, row)?;
        let rows: Vec<(i64, Option<ProjectId>)> = rows.collect::<rusqlite::Result<_>>()?;
        let seq = rows.iter().map(|(seq, _)| *seq).max().unwrap_or_default();
        Ok(Self { seq, projects: rows.into_iter().map(|(_, id)| id).collect() })
    }

    pub fn has(&self, project_id: &str) -> bool {
        self.projects.as_ref().is_none_or(|projects| projects.contains(project_id))
    }

    pub fn is_empty(&self) -> bool {
        self.projects.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Tells whether the mark with a number stands.
    pub fn stands(tx: &ReadTx<'_>, seq: i64) -> Result<bool> {
        const SELECT: &str = "select 1 from mark where seq = :seq";
        Ok(tx.sql().prepare_cached(SELECT)?.exists(named_params! { ":seq": seq })?)
    }

    /// Removes those of a month up to a number.
    pub fn remove(tx: &WriteTx<'_>, month_s: i64, seq: i64) -> Result<()> {
        const DELETE: &str = "delete from mark where month_s = :month_s and seq <= :seq";
        execute(tx, DELETE, &[(":month_s", &month_s), (":seq", &seq)])
    }
}
