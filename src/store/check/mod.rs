//! `check`: recomputes everything that is derived, and lists what differs. Each noun checks itself
//! in a file of its own; here is the list.

mod balance;
mod cover;
mod customer;
mod file;
mod history;
mod license;
mod log;
mod plan;
mod project;
mod report;
mod rollup;
mod setting;
mod statement;
mod usage;

use crate::store::{ReadTx, Result};

pub use report::{CheckReport, Difference, LicenseFigures, StatementProblem};

/// Checks one state of the books. Holds one day's sums in memory at a time.
///
/// A value that cannot be read is one difference. What it belongs to is passed over by the other
/// checks, and nothing else is.
///
/// # Errors
/// When SQLite fails.
pub fn check(tx: &ReadTx<'_>) -> Result<CheckReport> {
    let mut report = CheckReport {
        entries: tx.sql().query_row("select count(*) from usage_ledger", [], |row| row.get(0))?,
        differences: Vec::new(),
    };
    for check in [
        file::check,
        log::check,
        project::check,
        customer::check,
        plan::check,
        history::check,
        usage::check,
        rollup::check,
        license::check,
        cover::check,
        statement::check,
        balance::check,
        setting::check,
    ] {
        check(tx, &mut report)?;
    }
    Ok(report)
}
