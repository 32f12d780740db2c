//! Connections: how they are opened, what they rely on, and how they wait for the lock.

use crate::store::error::{Error, Result};
use crate::store::{column, file, owner};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};
use rustix::fs::Access;
use rustix::io::Errno;
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a writer at the shell waits for the lock before it gives up.
pub const WRITER_WAITS: Duration = Duration::from_secs(30);
/// How long a reader waits where SQLite locks readers out, which it does only for moments.
pub(super) const READER_WAITS: Duration = Duration::from_millis(100);
/// How often the server's writer asks for the lock. Who asks most often has it next: Agora waits
/// for the server, and nobody for the tenth of fifty shells.
pub(super) const POLL: Duration = Duration::from_micros(400);
/// The shortest pause between two questions of a shell.
const SHELL_POLL_MS: u64 = 3;
/// How many files a connection has open: the database and its log. Their index is shared.
const FILES: usize = 2;
/// The oldest SQLite without the WAL-reset bug, by which several processes that write and
/// checkpoint one file could lose commits. Source: SQLite's release notes for 3.51.3.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The version of SQLite that is built in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

pub(super) fn check_sqlite() -> Result<()> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(Error::Unsafe(format!(
            "SQLite {} is older than 3.51.3 and can lose commits",
            rusqlite::version()
        )));
    }
    Ok(())
}

pub(super) fn open_file(path: &Path, flags: OpenFlags) -> Result<Connection> {
    open_found(&file::find(path)?, path, flags)
}

/// Opens a file that was looked at; `path` is how it was named.
pub(super) fn open_found(file: &Path, path: &Path, flags: OpenFlags) -> Result<Connection> {
    owner::check(file)?;
    Connection::open_with_flags(file, flags).map_err(|error| explain(error.into(), path))
}

/// The same of a file that was just opened. Where it is damaged, its log stays as it is: closing
/// would play it into the file, to which it may not belong.
pub(super) fn explain_opening(error: Error, path: &Path, connection: &Connection) -> Error {
    let error = explain(error, path);
    if error.is_damage() {
        let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = kept {
            log::warn!("the log of {} is not left as it is: {error}", path.display());
        }
    }
    error
}

/// Says of SQLite's words about a file what they mean for whoever named it.
pub(super) fn explain(error: Error, path: &Path) -> Error {
    let path = path.to_owned();
    let Error::Sqlite(cause) = &error else {
        return error;
    };
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::NotOurs(path),
        Some(ErrorCode::DatabaseCorrupt) => {
            let log = file::log_beside(&path);
            Error::Damaged { path, reason: cause.to_string(), log }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            if let Some(error) = no_files(&path, 1) {
                return error;
            }
            // SQLite says only that it could not.
            let reason = rustix::fs::access(&path, Access::READ_OK).map_or_else(
                |error| std::io::Error::from(error).to_string(),
                |()| cause.to_string(),
            );
            Error::NoAccess { path, reason }
        }
        _ => error,
    }
}

/// Why so many connections could not be opened, if that is because so many files cannot be. SQLite
/// does not say, and has closed by now what it could open.
pub(super) fn no_files(path: &Path, connections: usize) -> Option<Error> {
    // Never the database itself: closing it drops the locks that SQLite has on it.
    let open = |_| std::fs::File::open("/dev/null");
    let opened: std::io::Result<Vec<_>> = (0..connections * FILES + 1).map(open).collect();
    let reason = opened.err().filter(|error| {
        let errno = Errno::from_io_error(error);
        errno == Some(Errno::MFILE) || errno == Some(Errno::NFILE)
    })?;
    Some(Error::NoFiles { path: path.to_owned(), reason: reason.to_string() })
}

/// Checks that what was opened to be written can be. Where it cannot, SQLite opens the file to read
/// it alone, and says nothing.
pub(super) fn check_writable(connection: &Connection, path: &Path) -> Result<()> {
    if !connection.is_readonly(MAIN_DB)? {
        return Ok(());
    }
    let path = path.to_owned();
    Err(match rustix::fs::access(&path, Access::WRITE_OK) {
        Ok(()) => Error::ReadAlone(path),
        Err(Errno::ROFS) => Error::ReadOnlyDisk(path),
        Err(_) => Error::ReadOnly,
    })
}

/// Tells whether a file lies on a disk that is mounted to be read alone.
pub(super) fn on_read_only_disk(path: &Path) -> bool {
    rustix::fs::access(path, Access::WRITE_OK) == Err(Errno::ROFS)
}

/// Sets what every writing connection relies on, and reads it back. What is blanked or deleted is
/// overwritten in the file, so that a contact that was forgotten is. The log is checkpointed
/// passively at SQLite's usual thousand pages: that stops short of what a reader still needs, so
/// that Litestream, which keeps a read open, misses no page.
pub(super) fn prepare_writer(connection: &Connection) -> Result<()> {
    connection.busy_handler(Some(wait_for_the_lock))?;
    connection.execute_batch(
        "pragma synchronous = full;
         pragma foreign_keys = on;
         pragma secure_delete = on;
         pragma wal_autocheckpoint = 1000;",
    )?;
    column::register_functions(connection)?;
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let foreign_keys: i64 =
        connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    if (journal.as_str(), synchronous, foreign_keys) != ("wal", 2, 1) {
        let found = format!(
            "journal_mode {journal}, synchronous {synchronous}, foreign_keys {foreign_keys}"
        );
        return Err(Error::Unsafe(format!("{found}, where wal, 2 and 1 are needed")));
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Puts a new database into WAL mode. The statement is read to its end, where SQLite says whether
/// the change was committed.
pub(super) fn use_wal(connection: &Connection) -> Result<()> {
    let mut set = connection.prepare("pragma journal_mode = wal")?;
    let modes: Vec<String> = set.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    match modes.as_slice() {
        [mode] if mode == "wal" => Ok(()),
        modes => Err(Error::Unsafe(format!("the new file is in mode {modes:?} in place of wal"))),
    }
}

/// A reader's page cache is small: the system caches the file's pages for all of them together, and
/// a page's sums are read once in a row.
pub(super) fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(READER_WAITS)?;
    connection.execute_batch("pragma query_only = on; pragma cache_size = -512;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Reads back what every reading connection relies on; of the file it is the same for all of them.
pub(super) fn check_reader(connection: &Connection) -> Result<()> {
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let query_only: i64 = connection.pragma_query_value(None, "query_only", |row| row.get(0))?;
    match (journal.as_str(), query_only) {
        ("wal", 1) => Ok(()),
        found => Err(Error::Unsafe(format!(
            "journal_mode, query_only are {found:?}, where wal and 1 are needed"
        ))),
    }
}

/// SQLite's lock is polled, not queued: ask again every few milliseconds, less often the longer it
/// takes, so that hundreds of processes get their turn without burning the processor.
pub(super) fn wait_for_the_lock(asked_before: i32) -> bool {
    thread_local! {
        static SINCE: Cell<Instant> = Cell::new(Instant::now());
    }
    if asked_before == 0 {
        SINCE.set(Instant::now());
    }
    // The clock's last digits keep waiting processes from asking in step.
    let jitter_us = Instant::now().duration_since(SINCE.get()).subsec_nanos() % 1_000;
    let pause_ms = u64::from(asked_before.unsigned_abs()).clamp(SHELL_POLL_MS, 15);
    std::thread::sleep(Duration::from_millis(pause_ms) + Duration::from_micros(jitter_us.into()));
    SINCE.get().elapsed() < WRITER_WAITS
}
