//! Copies of the books.

use crate::billing::event::Stamp;
use crate::store::connection::use_wal;
use crate::store::draft::{Draft, into_place};
use crate::store::sound::{self, Extent};
use crate::store::{Error, ReadTx, Result, Store, WriteTx, file, schema};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, named_params};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A backup that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupMade {
    /// When it was begun, in Unix seconds: it holds all that was written up to then.
    pub at_s: i64,
    /// Its file, from the root, as it was then.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// Keeps in the books that a backup was made, and when it was begun.
///
/// # Errors
/// When SQLite fails.
pub fn keep(tx: &WriteTx<'_>, made: &BackupMade, stamp: &Stamp) -> Result<()> {
    const INSERT: &str = "
        insert into backup_made (at_s, path, bytes, actor)
        values (:at_s, :path, :bytes, :actor)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":at_s": made.at_s,
        ":path": made.path.to_string_lossy(),
        ":bytes": i64::try_from(made.bytes).unwrap_or(i64::MAX),
        ":actor": stamp.actor,
    })?;
    Ok(())
}

/// The newest backup that was made of these books.
///
/// # Errors
/// When SQLite fails.
pub fn newest(tx: &ReadTx<'_>) -> Result<Option<BackupMade>> {
    const SELECT: &str = "
        select at_s, path, bytes
        from backup_made
        order by seq desc
        limit 1";
    let made = |row: &Row<'_>| {
        let (path, bytes): (String, i64) = (row.get(1)?, row.get(2)?);
        Ok(BackupMade { at_s: row.get(0)?, path: path.into(), bytes: bytes.unsigned_abs() })
    };
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], made).optional()?)
}

/// Writes a consistent copy of the books to a new file, while others read and write them. The copy
/// is compact, checked, and ready to be opened as books.
///
/// # Errors
/// [`Error::Exists`] when there is a file; when it cannot be written; when the copy is not sound.
pub fn write(store: &mut Store, path: &Path) -> Result<()> {
    file::refuse_no_path(path)?;
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists(path.to_owned()));
    }
    into_place(path, |draft| {
        fill(&store.connection, draft, schema::VERSION)?;
        // What was read without a lock may have been written meanwhile.
        store.read(|_| Ok(()))
    })
}

/// The same into an empty file that somebody else made, where this user can make none: the copy is
/// made beside the books, checked there, and put into the file. Where that is cut short, what the
/// file holds is no database.
///
/// # Errors
/// When it cannot be written; when the copy is not sound. The file is empty then.
pub fn write_into(store: &mut Store, file: &File, path: &Path) -> Result<()> {
    let draft = Draft::new(&file::find(&store.path)?)?;
    fill(&store.connection, &draft, schema::VERSION)?;
    draft.settle()?;
    store.read(|_| Ok::<_, Error>(()))?;
    draft.pour_into(file).map_err(|source| {
        // What cannot be emptied either is no database all the same.
        let _emptied = file.set_len(0);
        Error::File { path: path.to_owned(), source }
    })
}

/// Writes a consistent copy of the books behind `connection`, which are of this version, to a new
/// file.
pub(super) fn copy(connection: &Connection, path: &Path, version: i64) -> Result<()> {
    into_place(path, |draft| fill(connection, draft, version))
}

/// Copies the books behind `connection` into an empty draft.
pub(super) fn into_draft(connection: &Connection, draft: &Draft, version: i64) -> Result<()> {
    fill(connection, draft, version)?;
    draft.settle()
}

/// SQLite reads one state of the books for as long as it copies, and locks nobody out: others read
/// and write, and meanwhile the log cannot start over.
fn fill(connection: &Connection, draft: &Draft, version: i64) -> Result<()> {
    let path = draft.path();
    let name = path.to_str().ok_or_else(|| Error::File {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidFilename, "the name is not UTF-8"),
    })?;
    let before = Extent::of(connection)?;
    draft.synced_along(|| {
        Ok(connection.execute("vacuum into :draft", named_params! { ":draft": name })?)
    })?;
    // A copy is born outside WAL mode; the books are opened in no other.
    let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    use_wal(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    sound::look(path, version)?;
    sound::compare(connection, path, &before)
}
