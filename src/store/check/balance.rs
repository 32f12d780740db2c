//! Checks balances: each says what the newest bills tell, and whose cost is another has a mark.

use crate::store::check::report::{CheckReport, Difference};
use crate::store::{ReadTx, Result, balance, readable};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    for (month_s, problem) in readable(balance::problems(tx))?.unwrap_or_default() {
        report.differences.push(Difference::Balance { month_s, problem });
    }
    Ok(())
}
