//! The ledger of what Agora was told.

use crate::billing::amount::Amount;
use crate::billing::carry::{Carry, month_of};
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::statement::{
    Digest, Entry, ListingKind, Statement, TermsKnown, Timeline, is_provisional, total,
};
use crate::store::document::{Document, Text};
use crate::store::{Error, ReadTx, Result, WriteTx, readable};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::BTreeMap;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "
        select seq, kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq, last_knew_seq, provisional,
          total, total_size, digest, carried, knew_plan_seq, knew_customer_plan_seq, knew_project_customer_seq,
          knew_project_no, knew_event_seq
        from statement
        ",
            $rest
        )
    };
}

/// All that an answer says, as it is kept. Made ready beforehand, so that keeping it is one small write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `totalSize` as told.
    total_size: i64,
    /// The sum of what is told.
    total: Amount,
    /// Tells it apart from others.
    digest: Digest,
    /// What it says of each project.
    document: Document,
    /// What of it is carried, by the earlier month.
    carries: Vec<CarriedOfMonth>,
}

/// What a bill carries of an earlier month, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CarriedOfMonth {
    /// The month, by its first second.
    month_s: i64,
    /// Whether anything is carried, of any project.
    carried: bool,
    /// Whether anything waits, of any project.
    waits: bool,
    document: Document,
}

impl Content {
    /// Of entries in the order of project ids.
    ///
    /// # Errors
    /// [`Error::TooLong`] where they cannot be kept.
    pub fn of(total_size: usize, entries: &[Entry]) -> Result<Self> {
        let mut carries: BTreeMap<i64, Vec<(&ProjectId, &Carry)>> = BTreeMap::new();
        for entry in entries {
            for carry in entry.carries() {
                carries.entry(carry.month_s).or_default().push((&entry.project_id, carry));
            }
        }
        let of_month = |(month_s, carries): (i64, Vec<(&ProjectId, &Carry)>)| {
            Ok(CarriedOfMonth {
                month_s,
                carried: carries.iter().any(|(_, carry)| !carry.amount.is_zero()),
                waits: carries.iter().any(|(_, carry)| !carry.whole),
                document: Document::of_carries(&carries)?,
            })
        };
        Ok(Self {
            total_size: i64::try_from(total_size).unwrap_or(i64::MAX),
            total: total(entries),
            digest: Digest::of(total_size, entries),
            document: Document::of_entries(entries)?,
            carries: carries.into_iter().map(of_month).collect::<Result<_>>()?,
        })
    }

    /// Tells it apart from others.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// About how many bytes of memory it takes.
    pub fn size_bytes(&self) -> usize {
        self.document.size_bytes()
            + self.carries.iter().map(|carried| carried.document.size_bytes()).sum::<usize>()
    }
}

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
    /// By what terms it was made.
    pub knew_terms: TermsKnown,
    /// What it says.
    pub content: &'a Content,
    /// Whether it is a month's bill that looked at what earlier months had not been told: the first that was told of it.
    pub carried: bool,
    /// Whether it says of some projects what was told of them, and no news: then it is told again without knowing more.
    pub closed: bool,
    /// The newest statement that there was as it was made.
    pub after_seq: i64,
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
    /// The same without what it knew, where that is none of it.
    pub fn known_unless(self, closed: bool) -> Self {
        Self { knew_seq: if closed { 0 } else { self.knew_seq }, ..self }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.last_asked_at_s = self.last_asked_at_s.max(other.last_asked_at_s);
        self.knew_seq = self.knew_seq.max(other.knew_seq);
    }
}

/// Why an answer must not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outdone {
    /// Another month's bill was kept since it was made, and told something, perhaps the same. Of a
    /// month's bill that is one that carried; of one that carries, any month's.
    ByOtherBill,
    /// An answer of the same window was kept that knew more.
    ByNewerAnswer,
}

/// Keeps an answer, and tells its number. The last statement of its window is counted where it says
/// the same, and so is an earlier one that held good in the state that the answer was made of.
/// Usage is kept whatever was told since: it has gone out.
///
/// # Errors
/// When SQLite fails.
pub fn keep(tx: &WriteTx<'_>, answer: &Answer<'_>) -> Result<Result<i64, Outdone>> {
    let provisional = is_provisional(answer.kind, answer.period, answer.first_asked_at_s);
    let last = last(tx, answer.kind, answer.period)?;
    let same = same(tx, answer, last.as_ref())?;
    if let Some(same) = same {
        count(tx, same, answer.told.known_unless(answer.closed))?;
        return Ok(Ok(same));
    }
    if answer.kind == ListingKind::Bill {
        if last.is_some_and(|last| knew_more(&last, answer)) {
            return Ok(Err(Outdone::ByNewerAnswer));
        }
        if is_months_bill(answer.kind, answer.period, provisional)
            && was_billed_after(tx, answer.after_seq, answer.carried)?
        {
            return Ok(Err(Outdone::ByOtherBill));
        }
    }
    insert(tx, answer, provisional).map(Ok)
}

/// Tells whether an answer must not be told any more: one that knew more was told of its window,
/// and says something else.
///
/// # Errors
/// When SQLite fails.
pub fn is_outdone(tx: &ReadTx<'_>, answer: &Answer<'_>) -> Result<bool> {
    let last = last(tx, answer.kind, answer.period)?;
    let is_same = same(tx, answer, last.as_ref())?.is_some();
    Ok(!is_same && last.is_some_and(|last| knew_more(&last, answer)))
}

/// The number of the statement that an answer is told again of: the last of its window, or else an
/// earlier one that held good in the state of the books that the answer was made of.
fn same(tx: &ReadTx<'_>, answer: &Answer<'_>, last: Option<&Statement>) -> Result<Option<i64>> {
    let Some(last) = last else {
        return Ok(None);
    };
    let provisional = is_provisional(answer.kind, answer.period, answer.first_asked_at_s);
    if last.digest == answer.content.digest && last.provisional == provisional {
        return Ok(Some(last.seq));
    }
    if last.last_knew_seq < answer.told.knew_seq {
        return Ok(None);
    }
    const SELECT: &str = "
        select max(seq)
        from statement
        where kind = :kind
          and first_s = :first_s
          and last_s = :last_s
          and digest = :digest
          and provisional = :provisional
          and :knew_seq between knew_seq and last_knew_seq";
    let params = named_params! {
        ":kind": answer.kind,
        ":first_s": answer.period.first_s(),
        ":last_s": answer.period.last_s(),
        ":digest": answer.content.digest,
        ":provisional": provisional,
        ":knew_seq": answer.told.knew_seq,
    };
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(params, |row| row.get(0))?)
}

fn knew_more(kept: &Statement, answer: &Answer<'_>) -> bool {
    kept.last_knew_seq > answer.told.knew_seq || !kept.knew_terms.is_within(answer.knew_terms)
}

/// Writes an answer down as a new statement, and tells its number.
fn insert(tx: &WriteTx<'_>, answer: &Answer<'_>, provisional: bool) -> Result<i64> {
    let content = answer.content;
    const INSERT: &str = "
        insert into statement
          (kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq, last_knew_seq, provisional,
          carried, total, total_size, digest, knew_plan_seq, knew_customer_plan_seq, knew_project_customer_seq,
          knew_project_no, knew_event_seq)
        values
          (:kind, :first_s, :last_s, :first_asked_at_s, :last_asked_at_s, :asked, :knew_seq, :knew_seq, :provisional,
          :carried, :total, :total_size, :digest, :knew_plan_seq, :knew_customer_plan_seq, :knew_project_customer_seq,
          :knew_project_no, :knew_event_seq)";
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
        ":carried": answer.carried,
        ":total": content.total,
        ":total_size": content.total_size,
        ":digest": content.digest,
        ":knew_plan_seq": answer.knew_terms.plan_seq,
        ":knew_customer_plan_seq": answer.knew_terms.customer_plan_seq,
        ":knew_project_customer_seq": answer.knew_terms.project_customer_seq,
        ":knew_project_no": answer.knew_terms.project_no,
        ":knew_event_seq": answer.knew_terms.event_seq,
    })?;
    let seq = tx.sql().last_insert_rowid();
    const INSERT_ENTRIES: &str = "
        insert into statement_entries (statement_seq, entries)
        values (:seq, :entries)";
    tx.sql()
        .prepare_cached(INSERT_ENTRIES)?
        .execute(named_params! { ":seq": seq, ":entries": content.document })?;
    const INSERT_CARRY: &str = "
        insert into statement_carry (statement_seq, month_s, carried, waits, carries)
        values (:seq, :month_s, :carried, :waits, :carries)";
    let mut insert = tx.sql().prepare_cached(INSERT_CARRY)?;
    for CarriedOfMonth { month_s, carried, waits, document } in &content.carries {
        insert.execute(named_params! {
            ":seq": seq,
            ":month_s": month_s,
            ":carried": carried,
            ":waits": waits,
            ":carries": document,
        })?;
    }
    Ok(seq)
}

/// Tells whether a statement is a month's bill that counts.
fn is_months_bill(kind: ListingKind, period: Period, provisional: bool) -> bool {
    kind == ListingKind::Bill && !provisional && month_of(period).is_some()
}

/// Tells whether a month's bill was kept after a statement, and unless it may be `any` one, whether one that carried was.
fn was_billed_after(tx: &ReadTx<'_>, seq: i64, any: bool) -> Result<bool> {
    const SELECT: &str = select!("where seq > :seq");
    let mut select = tx.sql().prepare_cached(SELECT)?;
    for kept in select.query_map(named_params! { ":seq": seq }, statement)? {
        let kept = kept?;
        if is_months_bill(kept.kind, kept.period, kept.provisional) && (any || kept.carried) {
            return Ok(true);
        }
    }
    Ok(false)
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
        carried: row.get(13)?,
        knew_terms: TermsKnown {
            plan_seq: row.get(14)?,
            customer_plan_seq: row.get(15)?,
            project_customer_seq: row.get(16)?,
            project_no: row.get(17)?,
            event_seq: row.get(18)?,
        },
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
    let params =
        named_params! { ":kind": kind, ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(tx
        .sql()
        .prepare_cached(SELECT)?
        .query_map(params, statement)?
        .collect::<rusqlite::Result<_>>()?)
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

/// Of each kind the statement that told what is in a second, where one did: what is recorded of it now is late.
///
/// # Errors
/// When SQLite fails.
pub fn told_already(tx: &ReadTx<'_>, at_s: i64) -> Result<Vec<Statement>> {
    // Preparing SELECT is a twentieth of the time of a whole `record`, and most records are not late.
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
    let mut told = Vec::new();
    if !tx.sql().prepare_cached(IS_ANY)?.exists(named_params! { ":at_s": at_s })? {
        return Ok(told);
    }
    let mut select = tx.sql().prepare_cached(SELECT)?;
    for kind in ListingKind::ALL {
        told.extend(
            select
                .query_row(named_params! { ":kind": kind, ":at_s": at_s }, statement)
                .optional()?,
        );
    }
    Ok(told)
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

/// How far what prices months is known.
///
/// # Errors
/// When SQLite fails.
pub fn terms_known(tx: &ReadTx<'_>) -> Result<TermsKnown> {
    const SELECT: &str = "
        select
          (select coalesce(max(seq), 0) from plan_version),
          (select coalesce(max(seq), 0) from customer_plan),
          (select coalesce(max(seq), 0) from project_customer),
          (select coalesce(max(project_no), 0) from project),
          (select coalesce(max(seq), 0) from event)";
    let known = |row: &Row<'_>| {
        Ok(TermsKnown {
            plan_seq: row.get(0)?,
            customer_plan_seq: row.get(1)?,
            project_customer_seq: row.get(2)?,
            project_no: row.get(3)?,
            event_seq: row.get(4)?,
        })
    };
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], known)?)
}

/// What a statement says of each project, in the order of their ids.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn entries(tx: &ReadTx<'_>, seq: i64) -> Result<Vec<Entry>> {
    let mut entries = text(tx, seq)?.entries()?;
    for month_s in carried_months(tx, seq)? {
        for (project_id, carry) in carries(tx, seq, month_s)? {
            let place = entries.binary_search_by(|entry| entry.project_id.cmp(&project_id));
            let billed =
                place.ok().and_then(|place| entries[place].billed.as_mut()).ok_or_else(|| {
                    Error::Unreadable {
                        seq,
                        reason: format!(
                            "it carried something for {project_id}, of which it says nothing"
                        ),
                    }
                })?;
            billed.carries.push(carry);
        }
    }
    Ok(entries)
}

/// What a statement says of each project, as it is written down.
pub(super) fn text(tx: &ReadTx<'_>, seq: i64) -> Result<Text> {
    const SELECT: &str = "
        select entries
        from statement_entries
        where statement_seq = :seq";
    let kept: Option<Vec<u8>> = tx
        .sql()
        .prepare_cached(SELECT)?
        .query_row(named_params! { ":seq": seq }, |row| row.get(0))
        .optional()?;
    let kept =
        kept.ok_or_else(|| Error::Unreadable { seq, reason: "it is not there".to_owned() })?;
    Text::read(seq, &kept)
}

/// The months that a bill looked at and found something due of, by their first seconds, in the order of time.
pub(super) fn carried_months(tx: &ReadTx<'_>, seq: i64) -> Result<Vec<i64>> {
    const SELECT: &str = "
        select month_s
        from statement_carry
        where statement_seq = :seq
        order by month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select
        .query_map(named_params! { ":seq": seq }, |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}

/// What a bill carried of one month, in the order of projects.
pub(super) fn carries(tx: &ReadTx<'_>, seq: i64, month_s: i64) -> Result<Vec<(ProjectId, Carry)>> {
    carries_text(tx, seq, month_s)?.carries(month_s).collect()
}

/// The same, as it is written down.
fn carries_text(tx: &ReadTx<'_>, seq: i64, month_s: i64) -> Result<Text> {
    const SELECT: &str = "
        select carries
        from statement_carry
        where statement_seq = :seq
          and month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let kept: Vec<u8> =
        select.query_row(named_params! { ":seq": seq, ":month_s": month_s }, |row| row.get(0))?;
    Text::read(seq, &kept)
}

/// Tells whether what is kept of a statement is, to the letter, what is written of such entries.
pub(super) fn is_as_written(tx: &ReadTx<'_>, seq: i64, content: &Content) -> Result<bool> {
    const SELECT: &str = "
        select month_s, carried, waits
        from statement_carry
        where statement_seq = :seq
        order by month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let of = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let kept: Vec<(i64, bool, bool)> =
        select.query_map(named_params! { ":seq": seq }, of)?.collect::<rusqlite::Result<_>>()?;
    let written: Vec<_> = content
        .carries
        .iter()
        .map(|carried| (carried.month_s, carried.carried, carried.waits))
        .collect();
    if kept != written || text(tx, seq)? != content.document.text(seq)? {
        return Ok(false);
    }
    for CarriedOfMonth { month_s, document, .. } in &content.carries {
        if carries_text(tx, seq, *month_s)? != document.text(seq)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// That a bill carried something of an earlier month, or found that something of it waits.
pub(super) struct CarriedSomething {
    /// The bill.
    pub seq: i64,
    /// The earlier month, by its first second.
    pub month_s: i64,
    /// Whether anything was carried, of any project.
    pub carried: bool,
    /// Whether anything waits, of any project.
    pub waits: bool,
}

/// Which bills carried something, and of which months, in the order in which they were kept.
pub(super) fn all_carried(tx: &ReadTx<'_>) -> Result<Vec<CarriedSomething>> {
    const SELECT: &str = "
        select statement_seq, month_s, carried, waits
        from statement_carry
        order by statement_seq, month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let something = |row: &Row<'_>| {
        let (seq, month_s) = (row.get(0)?, row.get(1)?);
        Ok(CarriedSomething { seq, month_s, carried: row.get(2)?, waits: row.get(3)? })
    };
    Ok(select.query_map([], something)?.collect::<rusqlite::Result<_>>()?)
}
