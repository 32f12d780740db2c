//! Checks customers: their ids and the names of their plans.

use crate::store::check::report::CheckReport;
use crate::store::{ReadTx, Result};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const VALUES: &str = "
        select 'the customer id ' || customer_id
        from customer
        where not is_id(customer_id)
        union all
        select 'the plan of customer ' || customer_id
        from customer_plan
        where not is_label(plan_id) or length(plan_id) > 16";
    report.add_values(tx, VALUES)
}
