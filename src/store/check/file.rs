//! Checks the file itself, and its schema.

use crate::store::check::report::{CheckReport, Difference};
use crate::store::{ReadTx, Result, schema};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    let mut problems = tx.sql().prepare("pragma integrity_check")?;
    for problem in problems.query_map([], |row| row.get::<_, String>(0))? {
        match problem? {
            fine if fine == "ok" => {}
            problem => report.differences.push(Difference::File { problem }),
        }
    }
    let mut dangling = tx.sql().prepare("pragma foreign_key_check")?;
    for table in dangling.query_map([], |row| row.get::<_, String>(0))? {
        report.differences.push(Difference::File {
            problem: format!("a row of {} refers to one that is not there", table?),
        });
    }
    for name in schema::changed(tx.sql())? {
        report.differences.push(Difference::Schema { name });
    }
    Ok(())
}
