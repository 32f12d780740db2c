//! The books as the server changes them.

use crate::store::books::Store;
use crate::store::connection::{POLL, check_writable, on_read_only_disk};
use crate::store::error::{Error, Result};
use crate::store::transaction::{ReadTx, WriteTx, commit};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::{Mutex, TryLockError};
use std::time::Instant;

/// The books as the server changes them: one connection, one change at a time.
pub struct Writer(Mutex<Connection>);

impl Writer {
    /// Opens the books.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let Store { connection, frozen, .. } = Store::open(path)?;
        if frozen.is_some() && !on_read_only_disk(path) {
            return Err(Error::OnlyRead(path.to_owned()));
        }
        check_writable(&connection, path)?;
        // It asks for the lock by itself, until its own deadline.
        connection.busy_handler(None)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Reads and writes in one transaction, as [`Store::write`] does; the lock is asked for again
    /// and again until `deadline`. Once it is had, the deadline counts no more.
    ///
    /// # Errors
    /// [`Error::Busy`] when the lock was not to be had in time; whatever `f` fails with.
    pub fn write<T, E: From<Error>>(
        &self,
        deadline: Instant,
        f: impl FnOnce(&WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // Another thread may be writing: it is waited for like another process.
        let connection = loop {
            match self.0.try_lock() {
                Ok(connection) => break connection,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(POLL)
                }
                Err(TryLockError::WouldBlock) => return Err(Error::Busy.into()),
            }
        };
        let tx = loop {
            match Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)
                .map_err(Error::from)
            {
                Ok(tx) => break tx,
                Err(Error::Busy) if Instant::now() < deadline => std::thread::sleep(POLL),
                Err(error) => return Err(error.into()),
            }
        };
        let done = f(&WriteTx(ReadTx(&tx)))?;
        commit(tx)?;
        Ok(done)
    }
}
