//! The ledger of what Agora was told, and what was recorded too late for it.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::statement::{Basis, Digest, Entry, ListingKind, Statement, Timeline, Told, is_provisional, total};
use crate::store::column::{self, Covered};
use crate::store::rollup::UsageSum;
use crate::store::{Error, ReadTx, Result, WriteTx};
use rusqlite::{OptionalExtension, Row, named_params};

/// An answer that is to be kept. Times are Unix seconds.
pub struct Answer<'a> {
    /// Which listing it is.
    pub kind: ListingKind,
    /// The window.
    pub period: Period,
    /// When page 1 was asked for.
    pub first_asked_at_s: i64,
    /// When and how often its last page went out.
    pub told: Count,
    /// `totalSize` as told.
    pub total_size: usize,
    /// What it says of each project, in the order of their ids.
    pub entries: &'a [Entry],
    /// Of the answer.
    pub digest: Digest,
}

/// How often a statement was told, since that was last written down.
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

/// Keeps an answer, and tells its number: where it is the same as the last that was kept of its window, that one is
/// counted.
///
/// # Errors
/// When SQLite fails.
pub fn keep(tx: &WriteTx<'_>, answer: &Answer<'_>) -> Result<i64> {
    let provisional = is_provisional(answer.period, answer.first_asked_at_s);
    let same = last(tx, answer.kind, answer.period)?
        .filter(|last| last.digest == answer.digest && last.provisional == provisional);
    if let Some(same) = same {
        count(tx, same.seq, answer.told)?;
        return Ok(same.seq);
    }
    const INSERT: &str = "
        insert into statement
          (kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq, last_knew_seq, provisional, total,
          total_size, digest)
        values
          (:kind, :first_s, :last_s, :first_asked_at_s, :last_asked_at_s, :asked, :knew_seq, :knew_seq, :provisional, :total,
          :total_size, :digest)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":kind": answer.kind,
        ":first_s": answer.period.first_s(),
        ":last_s": answer.period.last_s(),
        ":first_asked_at_s": answer.first_asked_at_s,
        // The clock may have been set back.
        ":last_asked_at_s": answer.told.last_asked_at_s.max(answer.first_asked_at_s),
        ":asked": answer.told.asked,
        ":knew_seq": answer.told.knew_seq,
        ":provisional": provisional,
        ":total": total(answer.entries),
        ":total_size": i64::try_from(answer.total_size).unwrap_or(i64::MAX),
        ":digest": answer.digest,
    })?;
    let seq = tx.sql().last_insert_rowid();
    const INSERT_ENTRY: &str = "
        insert into statement_entry (statement_seq, place, project_id, amount, description, usage, covered, unpriced)
        values (:seq, :place, :project_id, :amount, :description, :usage, :covered, :unpriced)";
    let mut insert = tx.sql().prepare_cached(INSERT_ENTRY)?;
    for (place, Entry { project_id, told, basis }) in (0_i64..).zip(answer.entries) {
        insert.execute(named_params! {
            ":seq": seq,
            ":place": place,
            ":project_id": project_id,
            ":amount": told.as_ref().map(|told| &told.amount),
            ":description": told.as_ref().map(|told| &told.description),
            ":usage": basis.as_ref().map(|basis| &basis.usage),
            ":covered": basis.as_ref().map(|basis| &basis.covered),
            ":unpriced": basis.as_ref().is_some_and(|basis| basis.unpriced),
        })?;
    }
    Ok(seq)
}

/// Counts that a statement was told again.
///
/// # Errors
/// When SQLite fails.
pub fn count(tx: &WriteTx<'_>, seq: i64, told: Count) -> Result<()> {
    const UPDATE: &str = "
        update statement
        set asked = asked + :asked,
            last_asked_at_s = max(last_asked_at_s, :last_asked_at_s),
            last_knew_seq = max(last_knew_seq, :knew_seq)
        where seq = :seq";
    tx.sql().prepare_cached(UPDATE)?.execute(named_params! {
        ":asked": told.asked,
        ":last_asked_at_s": told.last_asked_at_s,
        ":knew_seq": told.knew_seq,
        ":seq": seq,
    })?;
    Ok(())
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "
        select seq, kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq, last_knew_seq, provisional,
          total, total_size, digest
        from statement
        ",
            $rest
        )
    };
}

fn statement(row: &Row<'_>) -> rusqlite::Result<Statement> {
    let period =
        Period::new(row.get(2)?, row.get(3)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(3, row.get(3)?))?;
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
    let params = named_params! { ":kind": kind, ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(params, statement).optional()?)
}

/// Finds a statement by its number.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, seq: i64) -> Result<Option<Statement>> {
    const SELECT: &str = select!("where seq = :seq");
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(named_params! { ":seq": seq }, statement).optional()?)
}

/// The statements whose window holds a second of `period`, in the order in which they were kept; of one kind alone
/// where told.
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
    let params = named_params! { ":kind": kind, ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(tx.sql().prepare_cached(SELECT)?.query_map(params, statement)?.collect::<rusqlite::Result<_>>()?)
}

/// The statements of one kind that hold a second of `period`, as they cut time.
///
/// # Errors
/// When SQLite fails.
pub fn timeline(tx: &ReadTx<'_>, kind: ListingKind, period: Period) -> Result<Timeline> {
    Ok(Timeline::new(list(tx, period, Some(kind))?))
}

/// The number of the newest statement; 0 where there is none.
///
/// # Errors
/// When SQLite fails.
pub fn newest(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select coalesce(max(seq), 0) from statement";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// The last entry of the usage ledger; 0 where there is none.
///
/// # Errors
/// When SQLite fails.
pub fn last_known_seq(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select coalesce(max(seq), 0) from usage_ledger";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// What a statement says of each project, in the order of their ids.
///
/// # Errors
/// When SQLite fails.
pub fn entries(tx: &ReadTx<'_>, seq: i64) -> Result<Vec<Entry>> {
    const SELECT: &str = "
        select project_id, amount, description, usage, covered, unpriced
        from statement_entry
        where statement_seq = :seq
        order by place";
    let entry = |row: &Row<'_>| {
        let told = match row.get(1)? {
            Some(amount) => Some(Told { amount, description: row.get(2)? }),
            None => None,
        };
        let basis = match row.get(3)? {
            Some(usage) => Some(Basis { usage, covered: row.get(4)?, unpriced: row.get(5)? }),
            None => None,
        };
        Ok(Entry { project_id: row.get(0)?, told, basis })
    };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map(named_params! { ":seq": seq }, entry)?.collect::<rusqlite::Result<_>>()?)
}

/// An entry of the usage ledger, as far as lateness depends on it.
pub struct LedgerEntry<'a> {
    /// Its place in the ledger.
    pub seq: i64,
    /// The project, as its text: mostly it is known.
    pub project_id: &'a str,
    /// When it was used, in Unix seconds.
    pub at_s: i64,
    /// What it adds.
    pub sum: UsageSum,
}

/// Calls `each` with every entry of the usage ledger that was written after `seq` and is dated within a window, in the
/// order in which they were written.
///
/// # Errors
/// When SQLite fails; whatever `each` fails with.
pub fn written_after<E: From<Error>>(
    tx: &ReadTx<'_>,
    seq: i64,
    period: Period,
    mut each: impl FnMut(&LedgerEntry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    const SELECT: &str = "
        select l.seq, p.project_id, l.at_s, l.amount, l.covered, iif(l.reverses_seq is null, 1, -1)
        from usage_ledger l
        cross join project p on p.project_no = l.project_no
        where l.seq > :seq
          and l.at_s between :first_s and :last_s
        order by l.seq";
    let failed = |error: rusqlite::Error| E::from(error.into());
    let mut select = tx.sql().prepare_cached(SELECT).map_err(failed)?;
    let params = named_params! { ":seq": seq, ":first_s": period.first_s(), ":last_s": period.last_s() };
    let mut rows = select.query(params).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let entry = ledger_entry(row).map_err(failed)?;
        each(&entry)?;
    }
    Ok(())
}

fn ledger_entry<'r>(row: &'r Row<'_>) -> rusqlite::Result<LedgerEntry<'r>> {
    let project_id = row.get_ref(1)?.as_str()?;
    let (amount, Covered(covered)): (Amount, _) = (row.get(3)?, row.get(4)?);
    let sum = UsageSum { amount, covered, records: row.get(5)? };
    Ok(LedgerEntry { seq: row.get(0)?, project_id, at_s: row.get(2)?, sum })
}

/// Reads an id out of a ledger entry's text.
///
/// # Errors
/// When it is none.
pub fn project_id(entry: &LedgerEntry<'_>) -> Result<ProjectId> {
    Ok(column::parse(entry.project_id)?)
}
