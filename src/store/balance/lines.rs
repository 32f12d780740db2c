//! The documents of balances: one a month, a line for each project.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::store::document::{CompressedLines, Text};
use crate::store::{ReadTx, Result};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::BTreeMap;
use std::io::Write as _;

/// What is told of a project's month, and what the month costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What the month's own bill tells.
    pub own: Amount,
    /// What the bills of later months tell.
    pub adjusted: Amount,
    /// What the month costs, as far as it is known; `None` without a price.
    pub cost: Option<Amount>,
}

impl Default for Balance {
    fn default() -> Self {
        let nothing = Amount::default;
        Self { own: nothing(), adjusted: nothing(), cost: Some(nothing()) }
    }
}

impl Balance {
    /// What is told of the month in all.
    pub fn told(&self) -> Amount {
        &self.own + &self.adjusted
    }

    /// What the month costs and is not told; `None` without a price.
    pub fn due(&self) -> Option<Amount> {
        self.cost.as_ref().map(|cost| cost - &self.told())
    }

    pub(super) fn is_settled(&self) -> bool {
        self.due().is_some_and(|due| due.is_zero())
    }

    fn read(words: &mut std::str::SplitAsciiWhitespace<'_>) -> Result<Self, String> {
        let amount = |word: &str| Amount::from_canonical(word).map_err(|error| error.to_string());
        let own = amount(words.next().ok_or("a line tells no amount")?)?;
        let adjusted = words.next().map_or_else(|| Ok(Amount::default()), amount)?;
        let cost = match words.next() {
            None => Some(&own + &adjusted),
            Some("?") => None,
            Some(cost) => Some(amount(cost)?),
        };
        Ok(Self { own, adjusted, cost })
    }

    pub(super) fn write(&self, project_id: &str, line: &mut Vec<u8>) {
        let Self { own, adjusted, cost } = self;
        let written = match cost {
            _ if self.is_settled() && adjusted.is_zero() => write!(line, "{project_id} {own}"),
            _ if self.is_settled() => write!(line, "{project_id} {own} {adjusted}"),
            Some(cost) => write!(line, "{project_id} {own} {adjusted} {cost}"),
            None => write!(line, "{project_id} {own} {adjusted} ?"),
        };
        written.expect("writing into memory does not fail");
    }
}

/// The balances of a month, by project.
pub type Balances = BTreeMap<ProjectId, Balance>;

/// A month that has a kept bill, without its balances.
pub(super) struct BilledMonth {
    /// Its first second.
    pub month_s: i64,
    /// The newest kept bill that wrote its balances.
    pub kept_seq: i64,
    /// The last mark that its costs take into account.
    pub settled_seq: i64,
    /// Whether bills of later months tell of it.
    pub adjusted: bool,
    /// Whether any project costs something else than what is told.
    pub waiting: bool,
    /// Whether there are marks.
    pub marked: bool,
}

impl BilledMonth {
    /// The months that have kept bills before a second, in the order of time.
    pub fn before(tx: &ReadTx<'_>, end_s: i64) -> Result<Vec<Self>> {
        const SELECT: &str = "
            select month_s, kept_seq, settled_seq, adjusted, waiting,
              exists (select 1 from mark m where m.month_s = b.month_s)
            from balance b
            where month_s < :end_s
            order by month_s";
        let month = |row: &Row<'_>| {
            Ok(Self {
                month_s: row.get(0)?,
                kept_seq: row.get(1)?,
                settled_seq: row.get(2)?,
                adjusted: row.get(3)?,
                waiting: row.get(4)?,
                marked: row.get(5)?,
            })
        };
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let months = select.query_map(named_params! { ":end_s": end_s }, month)?;
        Ok(months.collect::<rusqlite::Result<_>>()?)
    }

    /// The one that starts at a second, where it has a kept bill.
    pub fn find(tx: &ReadTx<'_>, month_s: i64) -> Result<Option<Self>> {
        Ok(Self::before(tx, month_s + 1)?.pop().filter(|month| month.month_s == month_s))
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

/// The months of which something may be due: some project's cost is not what is told, or it has a
/// mark. By their first seconds in the order of time.
///
/// # Errors
/// When SQLite fails.
pub fn unsettled(tx: &ReadTx<'_>) -> Result<Vec<i64>> {
    let months = BilledMonth::before(tx, i64::MAX)?.into_iter();
    Ok(months.filter(|month| month.waiting || month.marked).map(|month| month.month_s).collect())
}

/// A line of a month's balances, as it is written.
pub(super) struct BalanceLine<'l> {
    text: &'l Text,
    pub line: &'l str,
    pub project_id: &'l str,
}

impl BalanceLine<'_> {
    /// The words after the project's id.
    pub fn words(&self) -> std::str::SplitAsciiWhitespace<'_> {
        self.line[self.project_id.len()..].split_ascii_whitespace()
    }

    /// Whether what is told is not what the month costs, or that is not known.
    pub fn waits(&self) -> bool {
        self.words().nth(2).is_some()
    }

    pub fn id(&self) -> Result<ProjectId> {
        self.text.checked(self.project_id.parse())
    }

    pub fn balance(&self) -> Result<Balance> {
        self.text.checked(Balance::read(&mut self.words()))
    }
}

/// Calls `each` with every line of a month's balances, in the order of project ids.
pub(super) fn each_line(
    tx: &ReadTx<'_>,
    month_s: i64,
    mut each: impl FnMut(BalanceLine<'_>) -> Result<()>,
) -> Result<()> {
    const SELECT: &str = "
        select kept_seq, balances
        from balance
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let kept = select.query_row(named_params! { ":month_s": month_s }, row).optional()?;
    let Some((seq, document)) = kept else {
        return Ok(());
    };
    let document: CompressedLines = document;
    let text = document.text(seq)?;
    text.lines().try_for_each(|line| {
        let project_id = line.split(' ').next().unwrap_or_default();
        each(BalanceLine { text: &text, line, project_id })
    })
}

/// Reads the balances of a month, of those projects whose lines `is_asked` accepts.
pub(super) fn read(
    tx: &ReadTx<'_>,
    month_s: i64,
    is_asked: impl Fn(&BalanceLine<'_>) -> bool,
) -> Result<Balances> {
    let mut balances = Vec::new();
    each_line(tx, month_s, |line| {
        if is_asked(&line) {
            balances.push((line.id()?, line.balance()?));
        }
        Ok(())
    })?;
    Ok(balances.into_iter().collect())
}
