//! Copies of the books.

use crate::store::draft::{into_place, remove};
use crate::store::{Error, Result, Store, file, schema};
use rusqlite::{Connection, OpenFlags, named_params};
use std::io;
use std::path::Path;

/// Writes a consistent copy of the books to a new file, while others read and write them. The copy is
/// compact, checked, and ready to be opened as books.
///
/// # Errors
/// [`Error::Exists`] when there is a file; when it cannot be written; when the copy is not sound.
pub fn write(store: &mut Store, path: &Path) -> Result<()> {
    file::refuse_no_path(path)?;
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists(path.to_owned()));
    }
    copy(&store.connection, path, schema::VERSION)?;
    // What was read without a lock may have been written meanwhile.
    store.read(|_| Ok(())).inspect_err(|_| remove(path))
}

/// Writes a consistent copy of the books behind `connection`, which are of this version, to a new file.
pub(super) fn copy(connection: &Connection, path: &Path, version: i64) -> Result<()> {
    into_place(path, |draft| {
        let name = draft.to_str().ok_or_else(|| Error::File {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidFilename, "the name is not UTF-8"),
        })?;
        connection.execute("vacuum into :draft", named_params! { ":draft": name })?;
        // A copy is born outside WAL mode; the books are opened in no other.
        let copy = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        copy.execute_batch("pragma journal_mode = wal;")?;
        schema::verify_version(&copy, path, version)?;
        let verdict: String = copy.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
        match verdict.as_str() {
            "ok" => Ok(()),
            problem => Err(Error::Unsafe(format!("the copy is not sound: {problem}"))),
        }
    })
}
