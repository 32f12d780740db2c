//! Licenses that end soon, by their date or by being used up.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, LicenseId};
use crate::billing::license::runs_out_in;
use crate::billing::period::{DAY_S, Grain};
use crate::store::column::Covered;
use crate::store::{ReadTx, Result};
use rusqlite::{Row, named_params};
use std::collections::BTreeMap;

/// How many days ahead are looked at.
pub const SOON_DAYS: u32 = 30;
/// How many whole days tell the pace.
const PACE_DAYS: u32 = 7;

/// A license that ends soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseEnding {
    /// The license.
    pub id: LicenseId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Its last second.
    pub expires_at_s: i64,
}

/// A customer whose licenses are used up soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningOut {
    /// The customer.
    pub customer_id: CustomerId,
    /// What is left of all licenses that are good now.
    pub left: Amount,
    /// In how many days nothing is, at the pace of the last seven days.
    pub days: u32,
}

/// Those that are not revoked, and of which something is left.
pub(super) fn ending(tx: &ReadTx<'_>, now_s: i64) -> Result<Vec<LicenseEnding>> {
    const SELECT: &str = "
        select license_id, customer_id, expires_at_s
        from license
        where balance is not '0'
          and revoked_at_s is null
          and expires_at_s between :now_s and :until_s
        order by expires_at_s, seq";
    let until_s = now_s + i64::from(SOON_DAYS) * DAY_S;
    let ending = |row: &Row<'_>| {
        Ok(LicenseEnding { id: row.get(0)?, customer_id: row.get(1)?, expires_at_s: row.get(2)? })
    };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":now_s": now_s, ":until_s": until_s };
    Ok(select.query_map(params, ending)?.collect::<rusqlite::Result<_>>()?)
}

/// The pace is what licenses covered in the last whole days, by the sums of the customer's
/// projects.
pub(super) fn running_out(tx: &ReadTx<'_>, now_s: i64) -> Result<Vec<RunningOut>> {
    const SELECT: &str = "
        select customer_id, balance
        from license
        where balance is not '0'
          and revoked_at_s is null
          and :now_s between starts_at_s and expires_at_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut rows = select.query(named_params! { ":now_s": now_s })?;
    // `None` where a license without limit is among them.
    let mut left: BTreeMap<CustomerId, Option<Amount>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let balance: Option<Amount> = row.get(1)?;
        let left = left.entry(row.get(0)?).or_insert_with(|| Some(Amount::default()));
        *left = left.take().zip(balance).map(|(left, balance)| &left + &balance);
    }
    let mut found = Vec::new();
    for (customer_id, left) in left {
        let Some(left) = left else { continue };
        let used = covered(tx, &customer_id, Grain::Day.floor(now_s))?;
        if let Some(days) = runs_out_in(&left, &used, PACE_DAYS, SOON_DAYS) {
            found.push(RunningOut { customer_id, left, days });
        }
    }
    Ok(found)
}

/// What licenses covered of the usage of a customer's projects in the days before a second.
fn covered(tx: &ReadTx<'_>, customer_id: &CustomerId, end_s: i64) -> Result<Amount> {
    // A cross join keeps the order of reading: a few sums of each project.
    const SELECT: &str = "
        with recursive day (start_s) as (
          select :from
          union all
          select start_s + :day_s from day where start_s + :day_s < :to
        )
        select r.covered
        from project p
        cross join day d
        cross join usage_rollup r
          on r.grain = :grain
          and r.start_s = d.start_s
          and r.project_no = p.project_no
        where p.customer_id = :customer_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut rows = select.query(named_params! {
        ":from": end_s - i64::from(PACE_DAYS) * DAY_S,
        ":to": end_s,
        ":day_s": DAY_S,
        ":grain": Grain::Day,
        ":customer_id": customer_id,
    })?;
    let mut sum = Amount::default();
    while let Some(row) = rows.next()? {
        let Covered(covered) = row.get(0)?;
        sum += &covered;
    }
    Ok(sum)
}
