//! Checks what holds by date: prices, plans of customers and customers of projects.

use crate::store::check::report::{CheckReport, Difference};
use crate::store::{ReadTx, Result};

/// Follows prices, plans and customers by date: each holds for all time or from a month's first
/// second, and the last that was said is what the customer or the project has.
pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const HISTORIES: &str = "
        with said (of, from_s) as (
          select 'the prices of plan ' || plan_id, from_s from plan_version
          union all
          select 'the plans of customer ' || customer_id, from_s from customer_plan
          union all
          select 'the customers of project ' || project_id, from_s from project_customer
        )
        select of
        from said
        where from_s not between 0 and :last_second
          or strftime('%d %H:%M:%S', from_s, 'unixepoch') <> '01 00:00:00'
        union
        select 'the plans of customer ' || c.customer_id
        from customer c
        where c.plan_id is not (
          select plan_id
          from customer_plan
          where customer_id = c.customer_id
          order by seq desc
          limit 1
        )
        union
        select 'the customers of project ' || p.project_id
        from project p
        where p.customer_id is not (
          select customer_id
          from project_customer
          where project_id = p.project_id
          order by seq desc
          limit 1
        )";
    report.add_each(tx, HISTORIES, |place| Difference::History { place })
}
