//! The books as a command at the shell has them open.

use crate::store::connection::{
    check_sqlite, check_writable, explain, explain_opening, on_read_only_disk, open_found,
    prepare_writer, use_wal, wait_for_the_lock,
};
use crate::store::error::{Error, Result};
use crate::store::file::{FoundFile, Frozen};
use crate::store::transaction::{ReadTx, WriteTx, commit};
use crate::store::{column, draft, file, owner, schema, sound};
use rusqlite::{Connection, OpenFlags, Row, TransactionBehavior};
use std::path::{Path, PathBuf};

/// The books as one process at the shell has them open: one connection that reads and writes.
pub struct Store {
    pub(super) connection: Connection,
    /// Where the file and its folder may only be read.
    pub(super) frozen: Option<Frozen>,
    pub(super) path: PathBuf,
}

impl Store {
    /// Opens the books; to be read alone where file and folder may only be read, and no log lies
    /// beside. What can only be read so may be another user's: nothing is played into it.
    ///
    /// # Errors
    /// When there is no file, or it is not ours, of a later version, or cannot be used safely.
    pub fn open(path: &Path) -> Result<Self> {
        check_sqlite()?;
        let (file, standing) = file::find_standing(path)?;
        match Self::open_to_write(&file, standing, path) {
            Err(
                error @ (Error::NoAccess { .. } | Error::ReadOnly | Error::AnothersFile { .. }),
            ) => match Frozen::new(&file) {
                Some(frozen) => Self::open_frozen(frozen, path),
                None => Err(error),
            },
            opened => opened,
        }
    }

    fn open_to_write(file: &Path, before: FoundFile, path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = open_found(file, path, flags)?;
        connection.busy_handler(Some(wait_for_the_lock))?;
        // Before anything is asked of the file that only one of ours need answer.
        schema::verify(&connection, path)
            .and_then(|()| prepare_writer(&connection))
            .map_err(|error| explain_opening(error, path, &connection))?;
        // A restore may have replaced the file while its lock was waited for. From here on it finds
        // the file in use.
        if !FoundFile::of(file).is_ok_and(|now| now.identity == before.identity) {
            return Err(Error::Changed(path.to_owned()));
        }
        Ok(Self { connection, frozen: None, path: path.to_owned() })
    }

    /// SQLite reads a file in WAL mode only with an index beside it, which nobody can make here. As
    /// nobody writes the file, it needs none; that nobody did is asked after each read.
    fn open_frozen(frozen: Frozen, path: &Path) -> Result<Self> {
        if let Some(log) = frozen.log() {
            let (path, log) = (path.to_owned(), log.to_owned());
            let on_read_only_disk = on_read_only_disk(&path);
            return Err(Error::LogBeside { path, log, on_read_only_disk });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let opened = Connection::open_with_flags(frozen.address(), flags).map_err(Error::from);
        let prepared = opened.and_then(|connection| {
            schema::verify(&connection, path)?;
            column::register_functions(&connection)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(connection)
        });
        let connection = prepared.map_err(|error| explain(error, path))?;
        Ok(Self { connection, frozen: Some(frozen), path: path.to_owned() })
    }

    /// Creates new books and lets `fill` put the first things in; either all of it comes to stand
    /// at `path` or nothing. The file is readable by its owner alone.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is a file; whatever `fill` fails with.
    pub fn create<E: From<Error>>(
        path: &Path,
        fill: impl FnOnce(&WriteTx<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        check_sqlite()?;
        file::refuse_no_path(path)?;
        if path.symlink_metadata().is_ok() {
            return Err(Error::Exists(path.to_owned()).into());
        }
        owner::check_folder(path)?;
        // Made under another name and put into place when whole, so that neither a crash nor
        // another process that creates at the same time leaves half a database or loses one.
        draft::into_place(path, |draft| {
            let connection =
                Connection::open_with_flags(draft.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)
                    .map_err(Error::from)?;
            use_wal(&connection)?;
            prepare_writer(&connection)?;
            let mut store = Self { connection, frozen: None, path: path.to_owned() };
            store.write(|tx| {
                schema::create(tx.sql())?;
                fill(tx)
            })?;
            store.connection.close().map_err(|(_, error)| Error::from(error))?;
            Ok(sound::look(draft.path(), schema::VERSION)?)
        })
    }

    /// Tells whether the books are open to be read alone, since file and folder may only be read.
    pub fn is_read_alone(&self) -> bool {
        self.frozen.is_some()
    }

    /// Reads one state of the books.
    ///
    /// # Errors
    /// Whatever `f` fails with.
    pub fn read<T, E: From<Error>>(
        &mut self,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(Error::from)?;
        let done = f(&ReadTx(&tx))?;
        // What it keeps in temporary tables stays.
        tx.commit().map_err(Error::from)?;
        if self.frozen.as_ref().is_some_and(|frozen| !frozen.still()) {
            return Err(Error::Changed(self.path.clone()).into());
        }
        Ok(done)
    }

    /// Reads and writes in one transaction; when this returns, what `f` wrote is on disk. When `f`
    /// fails, nothing was written.
    ///
    /// # Errors
    /// [`Error::Busy`] when the lock was not to be had within
    /// [`WRITER_WAITS`](crate::store::WRITER_WAITS); whatever `f` fails with.
    pub fn write<T, E: From<Error>>(
        &mut self,
        f: impl FnOnce(&WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.frozen.is_some() {
            return Err(if on_read_only_disk(&self.path) {
                Error::ReadOnlyDisk(self.path.clone())
            } else {
                Error::OnlyRead(self.path.clone())
            }
            .into());
        }
        check_writable(&self.connection, &self.path)?;
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::from)?;
        let done = f(&WriteTx(ReadTx(&tx)))?;
        commit(tx)?;
        Ok(done)
    }

    /// Moves what the write-ahead log holds into the file, as far as no reader is in the way. Tells
    /// whether that is all of it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn settle(&mut self) -> Result<bool> {
        const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";
        let moved = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let (is_busy, pages, moved): (bool, i64, i64) =
            self.connection.query_row(CHECKPOINT, [], moved)?;
        Ok(!is_busy && pages == moved)
    }
}
