//! Checks licenses: what is kept of each follows from its ledger.

use crate::billing::amount::Amount;
use crate::billing::id::LicenseId;
use crate::billing::license::EntryKind;
use crate::store::check::report::{CheckReport, Difference, LicenseFigures};
use crate::store::{ReadTx, Result, readable};
use rusqlite::Row;

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const VALUES: &str = "
        select 'the count of license ' || license_id
        from license
        where granted is not null
          and (not is_amount(granted) or not is_amount(balance) or granted like '-%')
        union all
        select 'the amount of license ledger entry ' || seq
        from license_ledger
        where amount is not null and not is_amount(amount)
        union all
        select 'the id of license ' || license_id
        from license
        where not is_id(license_id)
        union all
        select 'the type of license ' || license_id
        from license
        where type is not null and not is_license_type(type)
        union all
        select 'a time of license ' || license_id
        from license
        where starts_at_s not between 0 and :last_second
          or expires_at_s not between 0 and :last_second
        union all
        select 'the count of license type ' || type
        from license_type
        where granted is not null and (not is_amount(granted) or granted like '-%')";
    report.add_values(tx, VALUES)?;
    check_ledgers(tx, report)
}

/// Follows the ledger of each license from its issue, and compares where it leads with what is
/// kept.
fn check_ledgers(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const SELECT: &str = "
        select l.seq, l.license_id, l.starts_at_s, l.expires_at_s, l.granted, l.balance,
          l.revoked_at_s,
          e.seq, e.kind, e.at_s, e.amount, e.expires_at_s, u.at_s, u.recorded_at_s
        from license l
        left join license_ledger e on e.license_seq = l.seq
        left join usage_ledger u on u.seq = e.usage_seq
        order by l.seq, e.seq";
    let mut select = tx.sql().prepare(SELECT)?;
    let mut rows = select.query([])?;
    let mut followed: Option<FollowedLicense> = None;
    let mut unreadable = None;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if unreadable == Some(seq) {
            continue;
        }
        if followed.as_ref().is_none_or(|followed| followed.seq != seq) {
            followed.take().into_iter().for_each(|followed| followed.end(report));
            followed = readable(FollowedLicense::start(row))?;
        }
        let entry = readable(LicenseLedgerEntry::read(row))?;
        match (&mut followed, entry) {
            (Some(followed), Some(entry)) => {
                entry.into_iter().for_each(|entry| followed.follow(&entry, report));
            }
            // A license of which something cannot be read leads nowhere.
            (None, _) | (_, None) => (unreadable, followed) = (Some(seq), None),
        }
    }
    followed.into_iter().for_each(|followed| followed.end(report));
    Ok(())
}

/// An entry of a license's ledger, with the time of the usage that made it, and when that was
/// recorded.
struct LicenseLedgerEntry {
    seq: i64,
    kind: EntryKind,
    at_s: i64,
    amount: Option<Amount>,
    expires_at_s: Option<i64>,
    used: Option<(i64, i64)>,
}

impl LicenseLedgerEntry {
    /// The entry of a row; `None` where the license has none.
    fn read(row: &Row<'_>) -> Result<Option<Self>> {
        let Some(seq) = row.get(7)? else {
            return Ok(None);
        };
        let (kind, at_s, amount) = (row.get(8)?, row.get(9)?, row.get(10)?);
        let used = row.get::<_, Option<i64>>(12)?.zip(row.get(13)?);
        Ok(Some(Self { seq, kind, at_s, amount, expires_at_s: row.get(11)?, used }))
    }
}

/// A license whose ledger is being followed.
struct FollowedLicense {
    seq: i64,
    id: LicenseId,
    starts_at_s: i64,
    kept: LicenseFigures,
    ledger: LicenseFigures,
    overdrawn: bool,
}

impl FollowedLicense {
    fn start(row: &Row<'_>) -> Result<Self> {
        let kept = LicenseFigures {
            expires_at_s: row.get(3)?,
            granted: row.get(4)?,
            balance: row.get(5)?,
            revoked_at_s: row.get(6)?,
        };
        let ledger =
            LicenseFigures { expires_at_s: 0, granted: None, balance: None, revoked_at_s: None };
        let (seq, id, starts_at_s) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Self { seq, id, starts_at_s, kept, ledger, overdrawn: false })
    }

    fn follow(&mut self, entry: &LicenseLedgerEntry, report: &mut CheckReport) {
        let state = &mut self.ledger;
        match entry.kind {
            EntryKind::Issued => {
                state.granted.clone_from(&entry.amount);
                state.balance.clone_from(&entry.amount);
            }
            EntryKind::Revoked => state.revoked_at_s = Some(entry.at_s),
            EntryKind::Reinstated => state.revoked_at_s = None,
            EntryKind::Extended => {}
            EntryKind::Adjusted | EntryKind::Consumed | EntryKind::Drawn | EntryKind::GivenBack => {
                let granted = state.granted.as_mut().filter(|_| entry.kind.grants());
                for sum in state.balance.as_mut().into_iter().chain(granted) {
                    *sum += &entry.amount.clone().unwrap_or_default();
                }
            }
        }
        if let Some(expires_at_s) = entry.expires_at_s {
            state.expires_at_s = expires_at_s;
        }
        self.overdrawn |= state.balance.as_ref().is_some_and(Amount::is_negative);
        if matches!(entry.kind, EntryKind::Drawn | EntryKind::Consumed) {
            // Whatever the clock says as it is written, usage draws from what was good as it was
            // used.
            let (used_at_s, recorded_at_s) = entry.used.unwrap_or((entry.at_s, entry.at_s));
            let good = self.starts_at_s..=state.expires_at_s;
            let is_revoked = state
                .revoked_at_s
                .is_some_and(|at_s| at_s <= used_at_s || entry.kind == EntryKind::Consumed);
            if is_revoked || !good.contains(&used_at_s) || recorded_at_s != entry.at_s {
                report.differences.push(Difference::Draw { seq: entry.seq });
            }
        }
    }

    fn end(self, report: &mut CheckReport) {
        let Self { id, kept, ledger, .. } = self;
        if self.overdrawn {
            report.differences.push(Difference::Overdrawn { id: id.clone() });
        }
        if kept != ledger {
            report.differences.push(Difference::License { id, kept, ledger });
        }
    }
}
