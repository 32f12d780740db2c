//! Marks that a change leaves: whose cost of a billed month may be another from now on.
//!
//! Whatever changes what a month costs writes them in its own transaction, for months that have a
//! bill. A mark that stands already gets a new number, so that a bill which was made before the
//! change does not remove it. `check` names a mark that is missing.

use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::Grain;
use crate::store::{Result, WriteTx};
use rusqlite::{ToSql, named_params};

/// Usage of a project in a month was recorded or taken back.
pub(super) fn usage(tx: &WriteTx<'_>, month_s: i64, project_no: i64) -> Result<()> {
    const HAS_BILL: &str = "select exists (select 1 from balance where month_s = :month_s)";
    const MARK: &str = "
        insert or replace into mark (month_s, project_no)
        values (:month_s, :project_no)";
    // Mostly there is no bill yet: the longer statement is not even prepared.
    let month = named_params! { ":month_s": month_s };
    if tx.sql().prepare_cached(HAS_BILL)?.query_row(month, |row| row.get(0))? {
        let params = named_params! { ":month_s": month_s, ":project_no": project_no };
        tx.sql().prepare_cached(MARK)?.execute(params)?;
    }
    Ok(())
}

/// A plan has another price from a month on. Anybody may have it.
pub(super) fn everybody(tx: &WriteTx<'_>, from_s: i64) -> Result<()> {
    const MARK: &str = "
        insert or replace into mark (month_s, project_no)
        select month_s, 0
        from balance
        where month_s >= :from_s";
    execute(tx, MARK, &[(":from_s", &from_s)])
}

/// A customer has another plan from a month on: all projects that were ever the customer's.
pub(super) fn customer(tx: &WriteTx<'_>, id: &CustomerId, from_s: i64) -> Result<()> {
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
pub(super) fn project(tx: &WriteTx<'_>, id: &ProjectId, from_s: i64) -> Result<()> {
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
