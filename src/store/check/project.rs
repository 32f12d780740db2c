//! Checks projects: their ids.

use crate::store::check::report::CheckReport;
use crate::store::{ReadTx, Result};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const VALUES: &str = "
        select 'the project id ' || project_id
        from project
        where not is_id(project_id)";
    report.add_values(tx, VALUES)
}
