//! Drafts of statements: all that is kept of a listing, made ready before it is kept.

use crate::billing::adjustment::month_of;
use crate::billing::amount::Amount;
use crate::billing::period::Period;
use crate::billing::statement::{
    Digest, ListingKind, Statement, StatementEntry, is_provisional, total,
};
use crate::store::balance::ToldChange;
use crate::store::document::CompressedLines;
use crate::store::snapshot::{self, ListingOrigin, SnapshotKey};
use crate::store::statement::{self, Count, count, last};
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::named_params;

/// All that is kept of a listing once its last page goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementDraft {
    kind: ListingKind,
    /// The window.
    pub period: Period,
    /// From which state of the books it was made.
    pub made_of: ListingOrigin,
    total: Amount,
    digest: Digest,
    document: CompressedLines,
    /// Whether it tells of earlier months.
    adjusts: bool,
    /// Whether any entry of a bill is open.
    has_open: bool,
}

/// Why an answer must not go out to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementConflict {
    /// Since it was made a bill was kept that changed what is stated of a month of which it speaks.
    ByOtherBill,
    /// Since it was made an answer of the same window was kept that says something else.
    ByNewerAnswer,
}

impl StatementDraft {
    /// Of entries in the order of project ids.
    ///
    /// # Errors
    /// [`crate::store::Error::TooLong`] where they cannot be kept.
    pub fn of(
        kind: ListingKind,
        period: Period,
        made_of: ListingOrigin,
        entries: &[StatementEntry],
    ) -> Result<Self> {
        Ok(Self {
            kind,
            period,
            total: total(entries),
            digest: Digest::of(made_of.total_size, entries),
            made_of,
            document: CompressedLines::of_entries(entries)?,
            adjusts: entries.iter().any(|entry| !entry.adjustments().is_empty()),
            has_open: entries.iter().any(StatementEntry::is_open),
        })
    }

    /// Tells it apart from others.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The sum of what its entries tell.
    pub fn total(&self) -> &Amount {
        &self.total
    }

    /// Leaves it as the snapshot of a sequence, in the place of the one that there was.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn leave(
        &self,
        tx: &WriteTx<'_>,
        key: &SnapshotKey,
        number: i64,
        asked_at_s: i64,
    ) -> Result<()> {
        snapshot::keep(tx, key, number, asked_at_s, &self.made_of, &self.document)
    }

    /// Tells whether what is kept of a statement is, to the letter, what is written of it.
    pub(super) fn is_as_written(&self, tx: &ReadTx<'_>, seq: i64) -> Result<bool> {
        Ok(statement::text(tx, seq)? == self.document.text(seq)?)
    }

    /// About how many bytes of memory it takes.
    pub fn size_bytes(&self) -> usize {
        self.document.size_bytes()
    }

    /// Keeps it, and tells its number. The last statement of its window is counted where it says
    /// the same, and so is an earlier one that held good in the state that the answer was made of.
    /// Usage is kept whatever went out since: it has gone out as well.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn keep(
        &self,
        tx: &WriteTx<'_>,
        first_asked_at_s: i64,
        went_out: Count,
    ) -> Result<Result<i64, StatementConflict>> {
        let last = last(tx, self.kind, self.period)?;
        if let Some(same) = self.same(tx, first_asked_at_s, last.as_ref())? {
            count(tx, same, went_out)?;
            return Ok(Ok(same));
        }
        let mut change = None;
        if self.kind == ListingKind::Bill {
            if last.is_some_and(|last| self.is_older(&last)) {
                return Ok(Err(StatementConflict::ByNewerAnswer));
            }
            change = self.told_change(tx)?;
            if let Some(change) = &change
                && change.is_outdone(tx, &self.made_of)?
            {
                return Ok(Err(StatementConflict::ByOtherBill));
            }
        }
        let seq = self.insert(tx, first_asked_at_s, went_out)?;
        change.map_or(Ok(()), |change| change.keep(tx, seq, &self.made_of))?;
        Ok(Ok(seq))
    }

    /// What it changes of what is told of months, where it is a month's bill.
    fn told_change(&self, tx: &ReadTx<'_>) -> Result<Option<ToldChange>> {
        let Some(own_s) = month_of(self.period) else {
            return Ok(None);
        };
        // In memory they would take as much again as the document.
        let open = if self.has_open { self.document.text(0)?.open_entries()? } else { Vec::new() };
        ToldChange::of(tx, own_s, open).map(Some)
    }

    /// Tells whether an answer of the same window was kept since it was made that says something
    /// else.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn is_outdone(&self, tx: &ReadTx<'_>, first_asked_at_s: i64) -> Result<bool> {
        let last = last(tx, self.kind, self.period)?;
        let same = self.same(tx, first_asked_at_s, last.as_ref())?;
        Ok(same.is_none() && last.is_some_and(|last| self.is_older(&last)))
    }

    fn is_older(&self, last: &Statement) -> bool {
        last.seq > self.made_of.statement_seq && last.last_knew_seq >= self.made_of.knew_seq
    }

    /// The number of the statement that it repeats.
    fn same(
        &self,
        tx: &ReadTx<'_>,
        first_asked_at_s: i64,
        last: Option<&Statement>,
    ) -> Result<Option<i64>> {
        let Some(last) = last else {
            return Ok(None);
        };
        let provisional = is_provisional(self.kind, self.period, first_asked_at_s);
        if last.digest == self.digest && last.provisional == provisional {
            return Ok(Some(last.seq));
        }
        // Made after that, it is news; else it may repeat one from before a newer one.
        if last.seq <= self.made_of.statement_seq {
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
            ":kind": self.kind,
            ":first_s": self.period.first_s(),
            ":last_s": self.period.last_s(),
            ":digest": self.digest,
            ":provisional": provisional,
            ":knew_seq": self.made_of.knew_seq,
        };
        Ok(tx.sql().prepare_cached(SELECT)?.query_row(params, |row| row.get(0))?)
    }

    /// Writes it down as a new statement, and tells its number.
    fn insert(&self, tx: &WriteTx<'_>, first_asked_at_s: i64, went_out: Count) -> Result<i64> {
        const INSERT: &str = "
            insert into statement
              (kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq,
              last_knew_seq, provisional, adjusts, total, total_size, digest)
            values
              (:kind, :first_s, :last_s, :first_asked_at_s, :last_asked_at_s, :asked, :knew_seq,
              :knew_seq, :provisional, :adjusts, :total, :total_size, :digest)";
        tx.sql().prepare_cached(INSERT)?.execute(named_params! {
            ":kind": self.kind,
            ":first_s": self.period.first_s(),
            ":last_s": self.period.last_s(),
            ":first_asked_at_s": first_asked_at_s,
            // The clock may have been set back.
            ":last_asked_at_s": went_out.last_asked_at_s.max(first_asked_at_s),
            ":asked": went_out.asked,
            ":knew_seq": went_out.knew_seq,
            ":provisional": is_provisional(self.kind, self.period, first_asked_at_s),
            ":adjusts": self.adjusts,
            ":total": self.total,
            ":total_size": i64::try_from(self.made_of.total_size).unwrap_or(i64::MAX),
            ":digest": self.digest,
        })?;
        let seq = tx.sql().last_insert_rowid();
        const INSERT_ENTRIES: &str = "
            insert into statement_entries (statement_seq, entries)
            values (:seq, :entries)";
        let params = named_params! { ":seq": seq, ":entries": self.document };
        tx.sql().prepare_cached(INSERT_ENTRIES)?.execute(params)?;
        Ok(seq)
    }
}
