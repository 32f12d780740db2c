//! The rows of balances: one for each month that has a kept bill, with a line for each project of
//! which the month's own bill does not tell all.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::store::document::{CompressedLines, DocumentWriter, NoLine, Text};
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::BTreeMap;
use std::io::Write as _;

/// What is told of a project's month beside the month's own bill, and what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What the bills of later months tell of it.
    pub adjusted: Amount,
    /// What the month costs less all that is told of it; `None` without a price.
    pub due: Option<Amount>,
}

impl Default for Balance {
    fn default() -> Self {
        Self { adjusted: Amount::default(), due: Some(Amount::default()) }
    }
}

impl Balance {
    /// Whether something is due, or it is not known what.
    pub fn waits(&self) -> bool {
        !self.due.as_ref().is_some_and(Amount::is_zero)
    }

    fn write(&self, id: &ProjectId, line: &mut Vec<u8>) {
        let Self { adjusted, due } = self;
        let written = match due {
            Some(due) => write!(line, "{id} {adjusted} {due}"),
            None => write!(line, "{id} {adjusted} ?"),
        };
        written.expect("writing into memory does not fail");
    }
}

/// The balances of a month, by project.
pub type Balances = BTreeMap<ProjectId, Balance>;

/// Balances as they are kept: whether anything waits, and their lines.
pub(super) fn document(balances: &Balances) -> Result<(bool, CompressedLines)> {
    let mut lines = DocumentWriter::new()?;
    for (id, balance) in balances.iter().filter(|(_, one)| **one != Balance::default()) {
        lines.push(|line| balance.write(id, line))?;
    }
    Ok((balances.values().any(Balance::waits), lines.finish()?))
}

/// Writes the balances of a month, of which the statement `kept_seq` was the last to change what is
/// told.
pub(super) fn write(
    tx: &WriteTx<'_>,
    month_s: i64,
    kept_seq: i64,
    balances: &Balances,
) -> Result<()> {
    const REPLACE: &str = "
        insert or replace into balance (month_s, kept_seq, waiting, balances)
        values (:month_s, :kept_seq, :waiting, :balances)";
    let (waiting, balances) = document(balances)?;
    tx.sql().prepare_cached(REPLACE)?.execute(named_params! {
        ":month_s": month_s,
        ":kept_seq": kept_seq,
        ":waiting": waiting,
        ":balances": balances,
    })?;
    Ok(())
}

/// Calls `each` with the words of the lines of a month's balances, in the order of project ids: of
/// all projects, or of `only` one.
fn each_line(
    tx: &ReadTx<'_>,
    month_s: i64,
    only: Option<&ProjectId>,
    mut each: impl FnMut(&Text, [&str; 3]) -> Result<()>,
) -> Result<()> {
    const SELECT: &str = "
        select kept_seq, balances
        from balance
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let kept: Option<(i64, CompressedLines)> =
        select.query_row(named_params! { ":month_s": month_s }, row).optional()?;
    let Some((seq, document)) = kept else {
        return Ok(());
    };
    let text = document.text(seq)?;
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || text.checked(words.next().ok_or(NoLine::Words));
        let words = [word()?, word()?, word()?];
        if only.is_none_or(|only| only.as_str() == words[0]) {
            each(&text, words)?;
        }
    }
    Ok(())
}

/// Reads the balances of a month as they are kept: of all projects, or of `only` one.
pub(super) fn read(tx: &ReadTx<'_>, month_s: i64, only: Option<&ProjectId>) -> Result<Balances> {
    let mut balances = Vec::new();
    each_line(tx, month_s, only, |text, [id, adjusted, due]| {
        let adjusted = text.checked(Amount::from_canonical(adjusted))?;
        let balance = Balance { adjusted, due: text.checked(read_due(due))? };
        balances.push((text.checked(id.parse())?, balance));
        Ok(())
    })?;
    Ok(balances.into_iter().collect())
}

/// Calls `each` with every project of a month that waits, by its id, and with what is due.
pub(super) fn each_waiting(
    tx: &ReadTx<'_>,
    month_s: i64,
    only: Option<&ProjectId>,
    mut each: impl FnMut(&str, Option<Amount>) -> Result<()>,
) -> Result<()> {
    each_line(tx, month_s, only, |text, [id, _, due]| match due {
        "0" => Ok(()),
        due => each(id, text.checked(read_due(due))?),
    })
}

fn read_due(word: &str) -> Result<Option<Amount>, NoLine> {
    Ok(if word == "?" { None } else { Some(Amount::from_canonical(word)?) })
}

/// A month that has a kept bill, without its balances.
pub(super) struct BilledMonth {
    /// Its first second.
    pub month_s: i64,
    /// The last statement that changed what is told of it.
    pub kept_seq: i64,
    /// Whether something is due of some project, or it is not known what.
    pub waiting: bool,
    /// Whether there are marks.
    pub marked: bool,
}

impl BilledMonth {
    /// The months that have kept bills before a second, in the order of time.
    pub fn before(tx: &ReadTx<'_>, end_s: i64) -> Result<Vec<Self>> {
        const SELECT: &str = "
            select month_s, kept_seq, waiting,
              exists (select 1 from mark m where m.month_s = b.month_s)
            from balance b
            where month_s < :end_s
            order by month_s";
        let month = |row: &Row<'_>| {
            Ok(Self {
                month_s: row.get(0)?,
                kept_seq: row.get(1)?,
                waiting: row.get(2)?,
                marked: row.get(3)?,
            })
        };
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let months = select.query_map(named_params! { ":end_s": end_s }, month)?;
        Ok(months.collect::<rusqlite::Result<_>>()?)
    }

    /// The last statement that changed what is told of a month; 0 where it has no kept bill.
    pub fn kept_seq(tx: &ReadTx<'_>, month_s: i64) -> Result<i64> {
        const SELECT: &str = "select kept_seq from balance where month_s = :month_s";
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let seq = select.query_row(named_params! { ":month_s": month_s }, |row| row.get(0));
        Ok(seq.optional()?.unwrap_or_default())
    }
}

/// The months that have kept bills from a second on, by their first seconds in the order of time.
///
/// # Errors
/// When SQLite fails.
pub fn billed_from(tx: &ReadTx<'_>, from_s: i64) -> Result<Vec<i64>> {
    let months = BilledMonth::before(tx, i64::MAX)?.into_iter().map(|month| month.month_s);
    Ok(months.filter(|month_s| *month_s >= from_s).collect())
}

/// The months of which something may be due, by their first seconds in the order of time.
///
/// # Errors
/// When SQLite fails.
pub fn unsettled(tx: &ReadTx<'_>) -> Result<Vec<i64>> {
    let months = BilledMonth::before(tx, i64::MAX)?.into_iter();
    Ok(months.filter(|month| month.waiting || month.marked).map(|month| month.month_s).collect())
}
