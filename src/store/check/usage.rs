//! Checks the usage ledger: its values, its records, and that each reversal takes a record back.

use crate::store::check::report::{CheckReport, Difference};
use crate::store::{ReadTx, Result};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const VALUES: &str = "
        select 'the time of ledger entry ' || seq
        from usage_ledger
        where at_s not between 0 and :last_second
        union all
        select 'the mark of ledger entry ' || seq || ' as one of a crowd'
        from usage_ledger c
        where in_crowd = 1
          and not exists (
            select 1
            from usage_ledger f
            where f.at_s = c.at_s
              and f.project_no = c.project_no
              and f.in_crowd = 0
          )
        union all
        select 'the amount of ledger entry ' || seq
        from usage_ledger
        where not is_amount(amount) or not is_amount(coalesce(covered, '0'))
        union all
        select 'the last entry of '
          || coalesce(strftime('%Y-%m', coalesce(k.month_s, l.month_s), 'unixepoch'), 'no month')
        from usage_month k
        full join (
          select unixepoch(at_s, 'unixepoch', 'start of month') as month_s, max(seq) as last_seq
          from usage_ledger
          where at_s between 0 and :last_second
          group by 1
        ) l on l.month_s = k.month_s
        where k.last_seq is not l.last_seq";
    const REVERSALS: &str = "
        select v.seq
        from usage_ledger v
        left join usage_ledger r on r.seq = v.reverses_seq
        where v.reverses_seq is not null
          and (r.record_id is null
            or r.project_no <> v.project_no
            or r.at_s <> v.at_s
            or v.amount <> '-' || r.amount
            or v.covered is not '-' || r.covered)";
    const RECORDS: &str = "
        select seq
        from usage_ledger
        where record_id is not null
          and (amount = '0' or amount like '-%')";
    report.add_values(tx, VALUES)?;
    report.add_each(tx, REVERSALS, |seq| Difference::Reversal { seq })?;
    report.add_each(tx, RECORDS, |seq| Difference::Record { seq })
}
