//! What a check went through and found.

use crate::billing::amount::Amount;
use crate::billing::id::{LicenseId, ProjectId};
use crate::billing::period::{Grain, LAST_SECOND};
use crate::store::balance::Problem;
use crate::store::late::Deviation;
use crate::store::rollup::UsageSum;
use crate::store::{ReadTx, Result};
use rusqlite::ToSql;

/// Something in the books that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A kept sum is not what the ledger adds up to; a side is zero where it has no row.
    Rollup {
        /// The stretch's length.
        grain: Grain,
        /// The stretch's first second.
        start_s: i64,
        /// Whose usage it is.
        project_id: ProjectId,
        /// What is kept.
        kept: UsageSum,
        /// What the ledger says.
        ledger: UsageSum,
    },
    /// A reversing entry does not take back what it names.
    Reversal {
        /// The entry's place in the ledger.
        seq: i64,
    },
    /// A record whose amount is not above zero.
    Record {
        /// The entry's place in the ledger.
        seq: i64,
    },
    /// What is kept of a license is not what its ledger says.
    License {
        /// The license.
        id: LicenseId,
        /// What is kept.
        kept: LicenseFigures,
        /// What the ledger says.
        ledger: LicenseFigures,
    },
    /// More was drawn from a license than it granted.
    Overdrawn {
        /// The license.
        id: LicenseId,
    },
    /// A draw from a license that was not good at the time of the usage, or one of another clock
    /// than its record.
    Draw {
        /// The place of the draw in the license ledger.
        seq: i64,
    },
    /// What a reversing entry gave back is not what the record had drawn, license by license.
    GivenBack {
        /// The reversing entry's place in the usage ledger.
        seq: i64,
    },
    /// The covered part of a usage entry is not what was drawn for it, or more than its amount.
    Covered {
        /// The entry's place in the ledger.
        seq: i64,
    },
    /// What holds by date is not as it must be: it starts inside a month, or does not lead to what
    /// was said last.
    History {
        /// Of what.
        place: String,
    },
    /// A statement does not agree with itself.
    Statement {
        /// The statement.
        seq: i64,
        /// What is wrong with it.
        problem: StatementProblem,
    },
    /// A statement does not say what the ledger held as it was made.
    Told(Deviation),
    /// A month's balances are not as they must be.
    Balance {
        /// The month, by its first second.
        month_s: i64,
        /// What is wrong with them.
        problem: Problem,
    },
    /// A value that is not of the kind that its column holds.
    Value {
        /// Where it stands.
        place: String,
    },
    /// A table, an index or a trigger is not as it was made.
    Schema {
        /// Its name.
        name: String,
    },
    /// SQLite found the file itself unsound.
    File {
        /// SQLite's words.
        problem: String,
    },
}

/// What can be wrong with a statement by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementProblem {
    /// Its entries do not add up to its total.
    Total,
    /// Its entries are not in the order of project ids.
    Order,
    /// Its entries are not those that its digest was made of.
    Digest,
    /// It knew ledger entries that are not there.
    Knew,
}

/// What a check went through and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Entries of the usage ledger, reversals included.
    pub entries: i64,
    /// What is not as it must be.
    pub differences: Vec<Difference>,
}

/// What an entry of a license's ledger can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseFigures {
    /// The last second in which it is good, in Unix seconds.
    pub expires_at_s: i64,
    /// Units of usage it grants; `None`: unlimited.
    pub granted: Option<Amount>,
    /// What is left of them.
    pub balance: Option<Amount>,
    /// When it was revoked, in Unix seconds.
    pub revoked_at_s: Option<i64>,
}

impl CheckReport {
    /// Adds a difference for each row of `select`, made of its one column. In the text,
    /// `:last_second` is the last second of the calendar.
    pub(super) fn add_each<T: rusqlite::types::FromSql>(
        &mut self,
        tx: &ReadTx<'_>,
        select: &str,
        difference: impl Fn(T) -> Difference,
    ) -> Result<()> {
        let mut select = tx.sql().prepare(select)?;
        let last_second: &[(&str, &dyn ToSql)] = match select.parameter_index(":last_second")? {
            Some(_) => &[(":last_second", &LAST_SECOND)],
            None => &[],
        };
        for found in select.query_map(last_second, |row| row.get(0))? {
            self.differences.push(difference(found?));
        }
        Ok(())
    }

    /// Adds the values that `select` names, which are not of the kind that their column holds.
    pub(super) fn add_values(&mut self, tx: &ReadTx<'_>, select: &str) -> Result<()> {
        self.add_each(tx, select, |place| Difference::Value { place })
    }
}
