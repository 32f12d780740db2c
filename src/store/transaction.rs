//! Transactions: what reads and writes SQL has one in hand.

use crate::store::error::{Error, Result};
use rusqlite::{Connection, Transaction};
use std::ops::Deref;

/// A transaction that reads one state of the books.
pub struct ReadTx<'c>(pub(super) &'c Connection);

/// A transaction that reads and writes; nothing of it stands until it has committed.
pub struct WriteTx<'c>(pub(super) ReadTx<'c>);

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.0
    }
}

impl ReadTx<'_> {
    /// What SQL is prepared by: the only SQL is in this folder.
    pub(super) fn sql(&self) -> &Connection {
        self.0
    }
}

/// Commits: what was written is on disk when this returns.
///
/// # Errors
/// [`Error::Uncertain`] when the disk failed.
pub(super) fn commit(tx: Transaction<'_>) -> Result<()> {
    tx.commit().map_err(Error::of_commit)
}
