//! Checks plans: each version can be read.

use crate::store::check::report::CheckReport;
use crate::store::{ReadTx, Result};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const VALUES: &str = "
        select 'the price of plan ' || plan_id
        from plan_version
        where not is_price(price)
        union all
        select 'the name of plan ' || plan_id
        from plan_version
        where not is_label(name)
        union all
        select 'the unit of plan ' || plan_id
        from plan_version
        where not is_label(unit)
        union all
        select 'the id of plan ' || plan_id
        from plan_version
        where not is_label(plan_id)";
    report.add_values(tx, VALUES)
}
