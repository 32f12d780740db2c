//! Recomputes everything that is derived, and tells what differs.

use crate::billing::amount::Amount;
use crate::billing::id::{LicenseId, ProjectId};
use crate::billing::license::EntryKind;
use crate::billing::period::{Grain, LAST_SECOND, Period};
use crate::billing::statement::{ListingKind, Timeline, total};
use crate::store::column::Covered;
use crate::store::late::{self, Deviation};
use crate::store::rollup::{self, UsageSum};
use crate::store::statement::Content;
use crate::store::{Error, ReadTx, Result, column, readable, schema, setting, statement};
use rusqlite::{Row, named_params};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

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
        kept: LicenseState,
        /// What the ledger says.
        ledger: LicenseState,
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
    /// What holds by date is not as it must be: it starts inside a month, or does not lead to what was said last.
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
    /// It knew ledger entries, prices or projects that are not there.
    Knew,
}

/// What a check went through and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries of the usage ledger, reversals included.
    pub entries: i64,
    /// What is not as it must be.
    pub differences: Vec<Difference>,
}

/// What an entry of a license's ledger can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseState {
    /// The last second in which it is good, in Unix seconds.
    pub expires_at_s: i64,
    /// Units of usage it grants; `None`: unlimited.
    pub granted: Option<Amount>,
    /// What is left of them.
    pub balance: Option<Amount>,
    /// When it was revoked, in Unix seconds.
    pub revoked_at_s: Option<i64>,
}

/// What the ledger says, by the first second of a stretch and project.
type Sums = BTreeMap<(i64, ProjectId), UsageSum>;

/// Checks one state of the books: the file, the ledger's reversals, every kept sum against the ledger, and every
/// license against its own.
/// Holds one day's sums in memory at a time.
///
/// # Errors
/// When SQLite fails.
pub fn check(tx: &ReadTx<'_>) -> Result<Report> {
    let mut report = Report {
        entries: tx.sql().query_row("select count(*) from usage_ledger", [], |row| row.get(0))?,
        differences: Vec::new(),
    };
    check_file(tx, &mut report)?;
    for name in schema::changed(tx.sql())? {
        report.differences.push(Difference::Schema { name });
    }
    check_values(tx, &mut report)?;
    check_entries(tx, &mut report)?;
    check_histories(tx, &mut report)?;
    // A value that cannot be read is told above. What it belongs to is passed over below, and
    // nothing else is.
    check_rollups(tx, &mut report)?;
    check_licenses(tx, &mut report)?;
    check_covered(tx, &mut report)?;
    check_given_back(tx, &mut report)?;
    check_statements(tx, &mut report)?;
    Ok(report)
}

fn check_file(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
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
    Ok(())
}

fn check_values(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const VALUES: &str = "
        select 'the project id ' || project_id
        from project
        where not is_id(project_id)
        union all
        select 'the customer id ' || customer_id
        from customer
        where not is_id(customer_id)
        union all
        select 'the time of ledger entry ' || seq
        from usage_ledger
        where at_s not between 0 and :last_second
        union all
        select 'the start of a sum of project ' || p.project_id
        from usage_rollup r
        join project p on p.project_no = r.project_no
        where r.start_s not between 0 and :last_second
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
        select 'the amount of the ' || case r.grain when 0 then 'hour' when 1 then 'day' when 2 then 'month' else 'second' end
          || ' from ' || datetime(r.start_s, 'unixepoch') || ' of project ' || p.project_id
        from usage_rollup r
        join project p on p.project_no = r.project_no
        where not is_amount(r.amount) or not is_amount(coalesce(r.covered, '0'))
        union all
        select 'the price of plan ' || plan_id
        from plan_version
        where not is_price(price)
        union all
        select 'the name of plan ' || plan_id
        from plan_version
        where not is_label(name)
        union all
        select 'the unit of plan ' || plan_id
        from plan_version
        where not is_label(unit)
        union all
        select 'the id of plan ' || plan_id
        from plan_version
        where not is_label(plan_id)
        union all
        select 'the plan of customer ' || customer_id
        from customer_plan
        where not is_label(plan_id) or length(plan_id) > 16
        union all
        select 'the count of license ' || license_id
        from license
        where granted is not null and (not is_amount(granted) or not is_amount(balance) or granted like '-%')
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
        select 'a value of statement ' || seq
        from statement
        where not is_amount(total)
          or last_s > :last_second
          or first_asked_at_s not between 0 and :last_second
          or last_asked_at_s > :last_second
        union all
        select 'a value of what statement ' || statement_seq || ' carried'
        from statement_carry
        where month_s not between 0 and :last_second
        union all
        select 'the last entry of ' || coalesce(strftime('%Y-%m', coalesce(k.month_s, l.month_s), 'unixepoch'), 'no month')
        from usage_month k
        full join (
          select unixepoch(at_s, 'unixepoch', 'start of month') as month_s, max(seq) as last_seq
          from usage_ledger
          where at_s between 0 and :last_second
          group by 1
        ) l on l.month_s = k.month_s
        where k.last_seq is not l.last_seq
        union all
        select 'the count of license type ' || type
        from license_type
        where granted is not null and (not is_amount(granted) or granted like '-%')";
    let mut select = tx.sql().prepare(VALUES)?;
    for place in
        select.query_map(named_params! { ":last_second": LAST_SECOND }, |row| row.get(0))?
    {
        report.differences.push(Difference::Value { place: place? });
    }
    let mut seqs = tx.sql().prepare("select seq from statement order by seq")?;
    for seq in seqs.query_map([], |row| row.get::<_, i64>(0))? {
        let seq = seq?;
        if readable(statement::entries(tx, seq))?.is_none() {
            report
                .differences
                .push(Difference::Value { place: format!("a value of what statement {seq} said") });
        }
    }
    if setting::read(tx).is_err() {
        report.differences.push(Difference::Value { place: "a setting".to_owned() });
    }
    Ok(())
}

fn check_entries(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
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
    for (select, found) in [
        (REVERSALS, (|seq| Difference::Reversal { seq }) as fn(i64) -> Difference),
        (RECORDS, |seq| Difference::Record { seq }),
    ] {
        let mut select = tx.sql().prepare(select)?;
        for seq in select.query_map([], |row| row.get(0))? {
            report.differences.push(found(seq?));
        }
    }
    Ok(())
}

/// Follows prices, plans and customers by date: each holds for all time or from a month's first second, and the last that
/// was said is what the customer or the project has.
fn check_histories(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const HISTORIES: &str = "
        with said (of, from_s) as (
          select 'the prices of plan ' || plan_id, from_s from plan_version
          union all
          select 'the plans of customer ' || customer_id, from_s from customer_plan
          union all
          select 'the customers of project ' || project_id, from_s from project_customer
        )
        select of
        from said
        where from_s not between 0 and :last_second
          or strftime('%d %H:%M:%S', from_s, 'unixepoch') <> '01 00:00:00'
        union
        select 'the plans of customer ' || c.customer_id
        from customer c
        where c.plan_id is not (
          select plan_id from customer_plan where customer_id = c.customer_id order by seq desc limit 1
        )
        union
        select 'the customers of project ' || p.project_id
        from project p
        where p.customer_id is not (
          select customer_id from project_customer where project_id = p.project_id order by seq desc limit 1
        )";
    let mut select = tx.sql().prepare(HISTORIES)?;
    for place in
        select.query_map(named_params! { ":last_second": LAST_SECOND }, |row| row.get(0))?
    {
        report.differences.push(Difference::History { place: place? });
    }
    Ok(())
}

/// Adds up the ledger in the order of time, and compares a day's sums when the day is past, a month's when
/// the month is. What is kept for stretches without an entry is compared along the way.
fn check_rollups(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const SELECT: &str = "
        select l.at_s, p.project_id, l.amount, l.covered, iif(l.reverses_seq is null, 1, -1), l.in_crowd
        from usage_ledger l
        cross join project p on p.project_no = l.project_no
        where l.at_s between 0 and :last_second
        order by l.at_s";
    let mut select = tx.sql().prepare(SELECT)?;
    let mut entries = select.query(named_params! { ":last_second": LAST_SECOND })?;
    let mut days = Days {
        tx,
        report,
        by: Default::default(),
        unreadable: BTreeSet::new(),
        day: 0..0,
        month: 0..0,
    };
    while let Some(entry) = entries.next()? {
        let at_s: i64 = entry.get(0)?;
        let in_crowd: bool = entry.get(5)?;
        days.reach(at_s)?;
        let Some(project_id) = readable(entry.get::<_, ProjectId>(1).map_err(Error::from))? else {
            continue;
        };
        let sum = readable(ledger_sum(entry))?;
        for grain in Grain::WHOLE.into_iter().chain(in_crowd.then_some(Grain::Second)) {
            let key = (grain.floor(at_s), project_id.clone());
            match &sum {
                Some(sum) => days.by.entry(grain).or_default().entry(key).or_default().add(sum),
                None => {
                    days.unreadable.insert((grain, key.0, key.1));
                }
            }
        }
    }
    days.reach(i64::MAX)
}

fn ledger_sum(entry: &Row<'_>) -> Result<UsageSum> {
    let Covered(covered) = entry.get(3)?;
    Ok(UsageSum { amount: entry.get(2)?, covered, records: entry.get(4)? })
}

/// The sums of the day and the month that the ledger has been added up to.
struct Days<'t, 'c> {
    tx: &'t ReadTx<'c>,
    report: &'t mut Report,
    by: BTreeMap<Grain, Sums>,
    /// Sums that cannot be added up, since an entry of theirs cannot be read.
    unreadable: BTreeSet<(Grain, i64, ProjectId)>,
    /// From the end of the day before that had an entry to this one's end.
    day: Range<i64>,
    /// The same for months.
    month: Range<i64>,
}

impl Days<'_, '_> {
    /// Gets on to the day of an entry: what is past is compared with what is kept.
    fn reach(&mut self, at_s: i64) -> Result<()> {
        let end = |grain: Grain| match at_s {
            i64::MAX => i64::MAX,
            _ => grain.after(grain.floor(at_s)),
        };
        if at_s >= self.day.end {
            for grain in [Grain::Second, Grain::Hour, Grain::Day] {
                let sums = self.by.remove(&grain).unwrap_or_default();
                self.compare(grain, self.day.clone(), sums)?;
            }
            self.day = self.day.end..end(Grain::Day);
        }
        if at_s >= self.month.end {
            let sums = self.by.remove(&Grain::Month).unwrap_or_default();
            self.compare(Grain::Month, self.month.clone(), sums)?;
            self.month = self.month.end..end(Grain::Month);
        }
        if at_s == i64::MAX {
            // What is kept for stretches after the last entry.
            let rest = |stretch: &Range<i64>| stretch.start..LAST_SECOND + 1;
            let (days, months) = (rest(&self.day), rest(&self.month));
            for grain in [Grain::Second, Grain::Hour, Grain::Day] {
                self.compare(grain, days.clone(), Sums::new())?;
            }
            self.compare(Grain::Month, months, Sums::new())?;
        }
        Ok(())
    }

    /// Compares the kept sums that start within `starts` with what the ledger says of them. A sum
    /// that cannot be read, or that the ledger cannot be read for, is passed over.
    fn compare(&mut self, grain: Grain, starts: Range<i64>, mut sums: Sums) -> Result<()> {
        let Self { tx, report, unreadable, .. } = self;
        let mut differ = |start_s, project_id: ProjectId, kept: UsageSum, ledger: UsageSum| {
            let key = (grain, start_s, project_id);
            if kept != ledger && !unreadable.contains(&key) {
                report.differences.push(Difference::Rollup {
                    grain,
                    start_s,
                    project_id: key.2,
                    kept,
                    ledger,
                });
            }
        };
        rollup::each_readable(tx, grain, &starts, None, |start_s, project_id, kept| {
            let id = readable(column::parse::<ProjectId>(project_id).map_err(Error::from))?;
            if let Some(project_id) = id {
                let key = (start_s, project_id);
                let ledger = sums.remove(&key).unwrap_or_default();
                if let Some(kept) = readable(kept)? {
                    differ(start_s, key.1, kept, ledger);
                }
            }
            Ok(())
        })?;
        for ((start_s, project_id), ledger) in sums {
            differ(start_s, project_id, UsageSum::default(), ledger);
        }
        unreadable.retain(|(of, start_s, _)| *of != grain || !starts.contains(start_s));
        Ok(())
    }
}

/// Follows the ledger of each license from its issue, and compares where it leads with what is kept.
fn check_licenses(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const SELECT: &str = "
        select l.seq, l.license_id, l.starts_at_s, l.expires_at_s, l.granted, l.balance, l.revoked_at_s,
          e.seq, e.kind, e.at_s, e.amount, e.expires_at_s, u.at_s, u.recorded_at_s
        from license l
        left join license_ledger e on e.license_seq = l.seq
        left join usage_ledger u on u.seq = e.usage_seq
        order by l.seq, e.seq";
    let mut select = tx.sql().prepare(SELECT)?;
    let mut rows = select.query([])?;
    let mut followed: Option<Followed> = None;
    let mut unreadable = None;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if unreadable == Some(seq) {
            continue;
        }
        if followed.as_ref().is_none_or(|followed| followed.seq != seq) {
            followed.take().into_iter().for_each(|followed| followed.end(report));
            followed = readable(Followed::start(row))?;
        }
        let entry = readable(LedgerEntry::read(row))?;
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
struct LedgerEntry {
    seq: i64,
    kind: EntryKind,
    at_s: i64,
    amount: Option<Amount>,
    expires_at_s: Option<i64>,
    used: Option<(i64, i64)>,
}

impl LedgerEntry {
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
struct Followed {
    seq: i64,
    id: LicenseId,
    starts_at_s: i64,
    kept: LicenseState,
    ledger: LicenseState,
    overdrawn: bool,
}

impl Followed {
    fn start(row: &Row<'_>) -> Result<Self> {
        let kept = LicenseState {
            expires_at_s: row.get(3)?,
            granted: row.get(4)?,
            balance: row.get(5)?,
            revoked_at_s: row.get(6)?,
        };
        let ledger =
            LicenseState { expires_at_s: 0, granted: None, balance: None, revoked_at_s: None };
        let (seq, id, starts_at_s) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Self { seq, id, starts_at_s, kept, ledger, overdrawn: false })
    }

    fn follow(&mut self, entry: &LedgerEntry, report: &mut Report) {
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

    fn end(self, report: &mut Report) {
        let Self { id, kept, ledger, .. } = self;
        if self.overdrawn {
            report.differences.push(Difference::Overdrawn { id: id.clone() });
        }
        if kept != ledger {
            report.differences.push(Difference::License { id, kept, ledger });
        }
    }
}

/// Compares the covered part of every usage entry with what was drawn from licenses for it.
fn check_covered(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const SELECT: &str = "
        select u.seq, u.amount, u.covered, e.amount, (e.kind = 'given back') = (u.reverses_seq is not null)
        from usage_ledger u
        left join license_ledger e on e.usage_seq = u.seq
        where u.covered is not null or e.seq is not null
        order by u.seq";
    let mut select = tx.sql().prepare(SELECT)?;
    let mut rows = select.query([])?;
    // Whether the covered part is within the amount, and what is left of it once what was drawn is taken off.
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

/// Compares what each reversing entry gave back with what its record drew, license by license.
fn check_given_back(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const SELECT: &str = "
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
    let mut select = tx.sql().prepare(SELECT)?;
    for seq in select.query_map([], |row| row.get(0))? {
        report.differences.push(Difference::GivenBack { seq: seq? });
    }
    Ok(())
}

/// Checks that each statement agrees with itself, and those that tell what is in some window with the ledger.
fn check_statements(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
    let (last_seq, terms) = (statement::last_known_seq(tx)?, statement::terms_known(tx)?);
    for kind in ListingKind::ALL {
        let statements = statement::readable_ones(tx, kind)?;
        for statement in &statements {
            let Some(entries) = readable(statement::entries(tx, statement.seq))? else {
                continue;
            };
            let in_order = entries.windows(2).all(|two| two[0].project_id < two[1].project_id);
            let total_size = usize::try_from(statement.total_size).unwrap_or(usize::MAX);
            let content = Content::of(total_size, &entries)?;
            // What it was made from is a bill's alone.
            let is_bill = kind == ListingKind::Bill;
            let is_as_told = content.digest() == statement.digest
                && entries.iter().all(|entry| entry.billed.is_some() == is_bill)
                && statement::is_as_written(tx, statement.seq, &content)?;
            let problems = [
                (total(&entries) != statement.total, StatementProblem::Total),
                (!in_order, StatementProblem::Order),
                (!is_as_told, StatementProblem::Digest),
                (
                    statement.last_knew_seq > last_seq || !statement.knew_terms.is_within(terms),
                    StatementProblem::Knew,
                ),
            ];
            for (_, problem) in problems.into_iter().filter(|(is_wrong, _)| *is_wrong) {
                report.differences.push(Difference::Statement { seq: statement.seq, problem });
            }
        }
        let timeline = Timeline::new(statements);
        let deviations = late::readable_deviations(tx, &timeline, all_time)?;
        report.differences.extend(deviations.into_iter().map(Difference::Told));
    }
    Ok(())
}
