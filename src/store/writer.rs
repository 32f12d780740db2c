//! The books as the server changes them.

use crate::store::books::Store;
use crate::store::connection::{POLL, check_writable, on_read_only_disk};
use crate::store::durations::Durations;
use crate::store::error::{Error, Result};
use crate::store::transaction::{ReadTx, WriteTx, commit};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Instant;

/// The books as the server changes them: one connection, one change at a time.
pub struct Writer {
    connection: Mutex<Connection>,
    waits: LockWaits,
}

/// How long the lock was waited for.
#[derive(Debug, Default)]
pub struct LockWaits {
    /// Where it was had.
    pub had: Durations,
    /// How often it was not to be had in time.
    pub given_up: AtomicU64,
}

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
        Ok(Self { connection: Mutex::new(connection), waits: LockWaits::default() })
    }

    /// How long the lock was waited for so far.
    pub fn waits(&self) -> &LockWaits {
        &self.waits
    }

    /// Checks that the lock is to be had until `deadline`; nothing is written.
    ///
    /// # Errors
    /// [`Error::Busy`] when it is not; when SQLite fails.
    pub fn check(&self, deadline: Instant) -> Result<()> {
        let connection = self.turn(deadline)?;
        drop(begin(&connection, deadline)?);
        Ok(())
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
        let asked = Instant::now();
        let give_up = |error| {
            if matches!(error, Error::Busy) {
                self.waits.given_up.fetch_add(1, Ordering::Relaxed);
            }
            error
        };
        let connection = self.turn(deadline).map_err(give_up)?;
        let tx = begin(&connection, deadline).map_err(give_up)?;
        self.waits.had.count(asked.elapsed());
        let done = f(&WriteTx(ReadTx(&tx)))?;
        commit(tx)?;
        Ok(done)
    }

    /// Waits for the connection: another thread may be writing, and is waited for like another
    /// process.
    fn turn(&self, deadline: Instant) -> Result<MutexGuard<'_, Connection>> {
        loop {
            match self.connection.try_lock() {
                Ok(connection) => return Ok(connection),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(POLL)
                }
                Err(TryLockError::WouldBlock) => return Err(Error::Busy),
            }
        }
    }
}

/// Begins to write, once no other process does.
fn begin(connection: &Connection, deadline: Instant) -> Result<Transaction<'_>> {
    loop {
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
            .map_err(Error::from)
        {
            Ok(tx) => return Ok(tx),
            Err(Error::Busy) if Instant::now() < deadline => std::thread::sleep(POLL),
            Err(error) => return Err(error),
        }
    }
}
