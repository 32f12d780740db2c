//! Checks settings: they can be read.

use crate::store::check::report::{CheckReport, Difference};
use crate::store::{ReadTx, Result, setting};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    if setting::read(tx).is_err() {
        report.differences.push(Difference::Value { place: "a setting".to_owned() });
    }
    Ok(())
}
