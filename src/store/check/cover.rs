//! Checks what licenses covered: usage entries against what was drawn from licenses for them.

use crate::billing::amount::Amount;
use crate::store::check::report::{CheckReport, Difference};
use crate::store::column::Covered;
use crate::store::{Error, ReadTx, Result, readable};
use rusqlite::Row;

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    // What each reversing entry gave back is what its record drew, license by license.
    const GIVEN_BACK: &str = "
        select v.seq
        from usage_ledger v
        join license_ledger d on d.usage_seq = v.reverses_seq
        left join license_ledger g
          on g.usage_seq = v.seq
          and g.license_seq = d.license_seq
          and '-' || g.amount = d.amount
        where v.reverses_seq is not null
          and g.seq is null
        group by v.seq";
    check_covered(tx, report)?;
    report.add_each(tx, GIVEN_BACK, |seq| Difference::GivenBack { seq })
}

/// Compares the covered part of every usage entry with what was drawn from licenses for it.
fn check_covered(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const SELECT: &str = "
        select u.seq, u.amount, u.covered, e.amount,
          (e.kind = 'given back') = (u.reverses_seq is not null)
        from usage_ledger u
        left join license_ledger e on e.usage_seq = u.seq
        where u.covered is not null or e.seq is not null
        order by u.seq";
    let mut select = tx.sql().prepare(SELECT)?;
    let mut rows = select.query([])?;
    // Whether the covered part is within the amount, and what is left of it once what was drawn is
    // taken off.
    let mut left: Option<(i64, bool, Amount)> = None;
    let mut unreadable = None;
    let mut end = |left: Option<(i64, bool, Amount)>| {
        if let Some((seq, ..)) = left.filter(|(_, fits, left)| !fits || !left.is_zero()) {
            report.differences.push(Difference::Covered { seq });
        }
    };
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if unreadable == Some(seq) {
            continue;
        }
        if left.as_ref().is_none_or(|(at, ..)| *at != seq) {
            end(left.take());
            left = readable(covered_part(row))?.map(|(fits, covered)| (seq, fits, covered));
        }
        let drawn = readable(row.get::<_, Option<Amount>>(3).map_err(Error::from))?;
        match (&mut left, drawn) {
            (Some((_, fits, left)), Some(Some(drawn))) => {
                *left += &drawn;
                *fits &= row.get::<_, bool>(4)?;
            }
            (Some(_), Some(None)) => {}
            (None, _) | (_, None) => (unreadable, left) = (Some(seq), None),
        }
    }
    end(left);
    Ok(())
}

/// Whether the covered part of an entry is within its amount, and that part.
fn covered_part(row: &Row<'_>) -> Result<(bool, Amount)> {
    let (amount, Covered(covered)): (Amount, _) = (row.get(1)?, row.get(2)?);
    let uncovered = &amount - &covered;
    let fits = if amount.is_negative() {
        !covered.is_positive() && !uncovered.is_positive()
    } else {
        !covered.is_negative() && !uncovered.is_negative()
    };
    Ok((fits, covered))
}
