//! The ledger of statements: what Agora was answered.

use crate::billing::adjustment::{Adjustment, month_of};
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, LAST_SECOND, Period};
use crate::billing::statement::{ListingKind, Statement, StatementEntry, Timeline};
use crate::store::document::{CompressedLines, Text};
use crate::store::{Error, ReadTx, Result, WriteTx, readable};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::BTreeMap;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "
        select seq, kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq,
          last_knew_seq, provisional, total, total_size, digest, adjusts
        from statement
        ",
            $rest
        )
    };
}

/// How often a statement went out, since that was last written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How often its last page went out.
    pub asked: i64,
    /// When it last did, in Unix seconds.
    pub last_asked_at_s: i64,
    /// The last entry of the usage ledger with which it still was the answer.
    pub knew_seq: i64,
}

impl Count {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.last_asked_at_s = self.last_asked_at_s.max(other.last_asked_at_s);
        self.knew_seq = self.knew_seq.max(other.knew_seq);
    }
}

/// Counts that a statement went out again.
///
/// # Errors
/// When SQLite fails.
pub fn count(tx: &WriteTx<'_>, seq: i64, more: Count) -> Result<()> {
    const UPDATE: &str = "
        update statement
        set asked = asked + :asked,
            last_asked_at_s = max(last_asked_at_s, :last_asked_at_s),
            last_knew_seq = max(last_knew_seq, :knew_seq)
        where seq = :seq";
    tx.sql().prepare_cached(UPDATE)?.execute(named_params! {
        ":asked": more.asked,
        ":last_asked_at_s": more.last_asked_at_s,
        ":knew_seq": more.knew_seq,
        ":seq": seq,
    })?;
    Ok(())
}

fn statement(row: &Row<'_>) -> rusqlite::Result<Statement> {
    let period = Period::new(row.get(2)?, row.get(3)?)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, row.get(3)?))?;
    Ok(Statement {
        seq: row.get(0)?,
        kind: row.get(1)?,
        period,
        first_asked_at_s: row.get(4)?,
        last_asked_at_s: row.get(5)?,
        asked: row.get(6)?,
        knew_seq: row.get(7)?,
        last_knew_seq: row.get(8)?,
        provisional: row.get(9)?,
        total: row.get(10)?,
        total_size: row.get(11)?,
        digest: row.get(12)?,
        adjusts: row.get(13)?,
    })
}

/// The last statement that was kept of a window.
///
/// # Errors
/// When SQLite fails.
pub fn last(tx: &ReadTx<'_>, kind: ListingKind, period: Period) -> Result<Option<Statement>> {
    const SELECT: &str = select!(
        "where kind = :kind
          and first_s = :first_s
          and last_s = :last_s
        order by seq desc
        limit 1"
    );
    let params =
        named_params! { ":kind": kind, ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(params, statement).optional()?)
}

/// Finds a statement by its number.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, seq: i64) -> Result<Option<Statement>> {
    const SELECT: &str = select!("where seq = :seq");
    Ok(tx
        .sql()
        .prepare_cached(SELECT)?
        .query_row(named_params! { ":seq": seq }, statement)
        .optional()?)
}

/// The statements whose window holds a second of `period`, in the order in which they were kept; of
/// one kind alone where one is given.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>, period: Period, kind: Option<ListingKind>) -> Result<Vec<Statement>> {
    const SELECT: &str = select!(
        "where first_s <= :last_s
          and last_s >= :first_s
          and (:kind is null or kind = :kind)
        order by seq"
    );
    let params =
        named_params! { ":kind": kind, ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(tx
        .sql()
        .prepare_cached(SELECT)?
        .query_map(params, statement)?
        .collect::<rusqlite::Result<_>>()?)
}

/// The newest kept bill of each month, by the month's first second.
///
/// # Errors
/// When SQLite fails.
pub fn month_bills(tx: &ReadTx<'_>) -> Result<BTreeMap<i64, Statement>> {
    let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
    let bills = list(tx, all_time, Some(ListingKind::Bill))?.into_iter();
    Ok(bills.filter_map(|bill| Some((month_of(bill.period)?, bill))).collect())
}

/// Calls `each` with all that the newest kept bills adjust: the bill, its month by the first
/// second, the project and the adjustment.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub(super) fn each_adjustment(
    tx: &ReadTx<'_>,
    mut each: impl FnMut(&Statement, i64, &ProjectId, &Adjustment),
) -> Result<()> {
    for (own_s, bill) in month_bills(tx)?.into_iter().filter(|(_, bill)| bill.adjusts) {
        for (id, adjustment) in
            open_entries(tx, bill.seq)?.iter().flat_map(StatementEntry::by_project)
        {
            each(&bill, own_s, id, adjustment);
        }
    }
    Ok(())
}

/// The newest kept bill of one month.
pub(super) fn month_bill(tx: &ReadTx<'_>, month_s: i64) -> Result<Option<Statement>> {
    let bills = list(tx, Period::around(Grain::Month, month_s), Some(ListingKind::Bill))?;
    Ok(bills.into_iter().rfind(|bill| month_of(bill.period) == Some(month_s)))
}

/// The statements of one kind that can be read, in the order of writing: for `check`, which tells
/// of the others.
pub(super) fn readable_ones(tx: &ReadTx<'_>, kind: ListingKind) -> Result<Vec<Statement>> {
    const SELECT: &str = select!("where kind = :kind order by seq");
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut rows = select.query(named_params! { ":kind": kind })?;
    let mut statements = Vec::new();
    while let Some(row) = rows.next()? {
        statements.extend(readable(statement(row).map_err(Error::from))?);
    }
    Ok(statements)
}

/// The statements of one kind that hold a second of `period`, as they cut time.
///
/// # Errors
/// When SQLite fails.
pub fn timeline(tx: &ReadTx<'_>, kind: ListingKind, period: Period) -> Result<Timeline> {
    Ok(Timeline::new(list(tx, period, Some(kind))?))
}

/// Of each kind the statement that states what is in a second, where one did: what is recorded of
/// it now is late.
///
/// # Errors
/// When SQLite fails.
pub fn told_already(tx: &ReadTx<'_>, at_s: i64) -> Result<Vec<Statement>> {
    // Preparing SELECT is a twentieth of the time of a whole `record`, and most records are not
    // late.
    const IS_ANY: &str = "
        select 1 from statement where last_s >= :at_s and first_s <= :at_s and provisional = 0";
    const SELECT: &str = select!(
        "where kind = :kind
          and last_s >= :at_s
          and first_s <= :at_s
          and provisional = 0
        order by last_knew_seq desc, seq desc
        limit 1"
    );
    let mut stated = Vec::new();
    if !tx.sql().prepare_cached(IS_ANY)?.exists(named_params! { ":at_s": at_s })? {
        return Ok(stated);
    }
    let mut select = tx.sql().prepare_cached(SELECT)?;
    for kind in ListingKind::ALL {
        stated.extend(
            select
                .query_row(named_params! { ":kind": kind, ":at_s": at_s }, statement)
                .optional()?,
        );
    }
    Ok(stated)
}

/// The number of the newest statement; 0 where there is none.
///
/// # Errors
/// When SQLite fails.
pub fn newest(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select coalesce(max(seq), 0) from statement";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// How many statements there are, and when one was last asked for, in Unix seconds.
///
/// # Errors
/// When SQLite fails.
pub fn asked(tx: &ReadTx<'_>) -> Result<(i64, Option<i64>)> {
    const SELECT: &str = "select count(*), max(last_asked_at_s) from statement";
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], row)?)
}

/// The last entry of the usage ledger; 0 where there is none.
///
/// # Errors
/// When SQLite fails.
pub fn last_known_seq(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select coalesce(max(seq), 0) from usage_ledger";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// How far all else is known that prices months: a number that grows with each price, plan of a
/// customer, customer of a project, project, and change of a project that is written, since these
/// are only added.
///
/// # Errors
/// When SQLite fails.
pub fn terms_seq(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "
        select
          (select coalesce(max(seq), 0) from plan_version)
          + (select coalesce(max(seq), 0) from customer_plan)
          + (select coalesce(max(seq), 0) from project_customer)
          + (select coalesce(max(project_no), 0) from project)
          + (select coalesce(max(seq), 0) from event)";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// What a statement says of each project, in the order of their ids.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn entries(tx: &ReadTx<'_>, seq: i64) -> Result<Vec<StatementEntry>> {
    text(tx, seq)?.entries()
}

/// The open entries of a bill.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn open_entries(tx: &ReadTx<'_>, seq: i64) -> Result<Vec<StatementEntry>> {
    text(tx, seq)?.open_entries()
}

/// The same, as it is written down.
pub(super) fn text(tx: &ReadTx<'_>, seq: i64) -> Result<Text> {
    const SELECT: &str = "
        select entries
        from statement_entries
        where statement_seq = :seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let kept = select.query_row(named_params! { ":seq": seq }, |row| row.get(0)).optional()?;
    let kept: CompressedLines =
        kept.ok_or_else(|| Error::Unreadable { seq, reason: "it is not there".to_owned() })?;
    kept.text(seq)
}

/// The first second that no bill has priced yet: from there on something new may hold without a
/// word that it changes what was billed. It follows the last month that was billed; 0 where none
/// was.
///
/// A month before that one may not have been billed; what holds in it holds in the billed one after
/// it, too.
///
/// # Errors
/// When SQLite fails.
pub fn open_s(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = select!(
        "where kind = 'bill'
          and provisional = 0
        order by last_s desc"
    );
    let mut select = tx.sql().prepare_cached(SELECT)?;
    for bill in select.query_map([], statement)? {
        if let Some(month_s) = month_of(bill?.period) {
            return Ok(Grain::Month.after(month_s));
        }
    }
    Ok(0)
}

/// The same for a project or a customer that the books first had at `seen_at_s`. Where this month's
/// bill is kept already and was asked for before that, it states nothing of it: then this month
/// is open to it.
///
/// # Errors
/// When SQLite fails.
pub fn open_to_s(tx: &ReadTx<'_>, seen_at_s: i64, now_s: i64) -> Result<i64> {
    let open_s = open_s(tx)?;
    let month_s = Grain::Month.floor(now_s);
    if open_s != Grain::Month.after(month_s) {
        return Ok(open_s);
    }
    let month = list(tx, Period::around(Grain::Month, now_s), Some(ListingKind::Bill))?;
    let has_it = month
        .into_iter()
        .any(|bill| month_of(bill.period) == Some(month_s) && bill.last_asked_at_s >= seen_at_s);
    Ok(if has_it { open_s } else { month_s })
}
