//! The books: the only SQL.
//!
//! One transaction, one truth: what belongs together commits together. The ledger only grows, and every
//! sum kept beside it can be recomputed from it. A commit that returns is on disk.

pub mod backup;
pub mod bill;
pub mod carry;
pub mod check;
mod column;
pub mod customer;
mod document;
pub mod event;
mod file;
mod history;
pub mod key;
pub mod late;
pub mod license;
pub mod migration;
pub mod month_bill;
pub mod newest;
pub mod plan;
pub mod project;
mod rollup;
mod schema;
pub mod scratch;
pub mod setting;
pub mod snapshot;
pub mod statement;
pub mod usage;

pub use file::SecondName;

use file::{Frozen, Standing};
use r2d2_sqlite::SqliteConnectionManager;
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::cell::Cell;
use std::fmt::Debug;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long a writer at the shell waits for the lock before it gives up.
pub const WRITER_WAITS: Duration = Duration::from_secs(30);
/// How long a reader waits where SQLite locks readers out, which it does only for moments.
const READER_WAITS: Duration = Duration::from_millis(100);
/// How often the server's writer asks for the lock. Who asks most often has it next: Agora waits for the server, and
/// nobody for the tenth of fifty shells.
const POLL: Duration = Duration::from_micros(400);
/// The shortest pause between two questions of a shell.
const SHELL_POLL_MS: u64 = 3;
/// How often a read is asked whether it may go on: every so many steps of SQLite's machine, well under a millisecond.
const STEPS: std::ffi::c_int = 4_000;
/// The oldest SQLite without the WAL-reset bug, by which several processes that write and checkpoint one
/// file could lose commits. Source: SQLite's release notes for 3.51.3.
const OLDEST_SQLITE: i32 = 3_051_003;

/// What can go wrong with the books.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file.
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    /// There is a file where a new one should be made.
    #[error("{} exists already and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// A file of SQLite's lies where a new database should be made, without its database.
    #[error("{} lies there without its database: put both together again, or move it away first", .0.display())]
    LeftBehind(PathBuf),
    /// What was given is no path of a file.
    #[error(
        "{0:?} is not the path of a file: a URI and :memory: are none; for a file of that name \
         write ./{path}",
        path = .0.display()
    )]
    NoPath(PathBuf),
    /// The file has more than one name.
    #[error("{}", second_name_words(path, *why))]
    SecondName {
        /// The file.
        path: PathBuf,
        /// Why.
        why: SecondName,
    },
    /// The folder may only be read, and a log lies beside the file.
    #[error(
        "{} cannot be read: its folder may only be read, and {} lies beside it, which is read by \
         users who may write there; run as the user who owns the folder",
        .path.display(),
        .log.display()
    )]
    LogBeside {
        /// The file.
        path: PathBuf,
        /// Its log.
        log: PathBuf,
    },
    /// The file was opened to be read alone.
    #[error(
        "{} may only be read, as its folder: nothing was written; run as the user who owns it",
        .0.display()
    )]
    OnlyRead(PathBuf),
    /// The file was changed while it was read without a lock.
    #[error("{} was changed while it was read: try again", .0.display())]
    Changed(PathBuf),
    /// The file is damaged.
    #[error("{} is damaged ({reason}): restore the last backup", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// The file was moved, removed or replaced while it was open.
    #[error("{} is not the file any more that was opened: it was moved, removed or replaced; restart the server", .0.display())]
    Replaced(PathBuf),
    /// The file, or its disk, may only be read.
    #[error("the database is read-only: nothing was written")]
    ReadOnly,
    /// The disk failed.
    #[error("the disk failed: nothing was written ({0})")]
    Disk(String),
    /// The file is not one of ours.
    #[error("{} is not an agora-vendor database", .0.display())]
    NotOurs(PathBuf),
    /// The file is of a later version.
    #[error("{} has schema version {found}, and this executable knows versions up to {known}: use a newer agora-vendor", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is of an earlier version.
    #[error(
        "{} has schema version {found}, and this executable works with version {known}: stop what \
         is still at work on it, then migrate it",
        .path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file cannot be opened for lack of rights, or is read-only.
    #[error("{} cannot be opened: {reason}; run as the user who owns it (under systemd: `sudo -u agora-vendor agora-vendor …`)", .path.display())]
    NoAccess {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Another process holds the write lock for too long.
    #[error("the database is busy: another process has been writing for too long; try again")]
    Busy,
    /// The time allowed for a read is over.
    #[error("the read took longer than it may")]
    Deadline,
    /// What is kept of a statement is not what this program writes.
    #[error("what statement {seq} said cannot be read: {reason}")]
    Unreadable {
        /// The statement.
        seq: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// What an answer says is longer than what is read back.
    #[error("the answer is too long to be kept: its text has more than {} MiB", .max_bytes >> 20)]
    TooLong {
        /// The most that is kept, in bytes.
        max_bytes: u64,
    },
    /// No room on the disk.
    #[error("the disk is full: nothing was written; make room and try again")]
    Full,
    /// SQLite does not hold what the books rely on.
    #[error("the database cannot be used safely: {0}")]
    Unsafe(String),
    /// A file beside the database.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The pool of readers.
    #[error("no connection to the database: {0}")]
    Pool(#[from] r2d2::Error),
    /// Anything else from SQLite.
    #[error("the database failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::OperationInterrupted) => Self::Deadline,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

impl Error {
    /// Tells whether it passes by itself, so that trying again later may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy | Self::Deadline | Self::Changed(_) => true,
            Self::Missing(_)
            | Self::Exists(_)
            | Self::LeftBehind(_)
            | Self::NoPath(_)
            | Self::SecondName { .. }
            | Self::LogBeside { .. }
            | Self::OnlyRead(_)
            | Self::Damaged { .. }
            | Self::Replaced(_)
            | Self::ReadOnly
            | Self::Disk(_)
            | Self::NotOurs(_)
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::NoAccess { .. }
            | Self::Unreadable { .. }
            | Self::TooLong { .. }
            | Self::Full
            | Self::Unsafe(_)
            | Self::File { .. }
            | Self::Pool(_)
            | Self::Sqlite(_) => false,
        }
    }
}

/// Why a second name is refused, and what to do about it.
fn second_name_words(path: &Path, why: SecondName) -> String {
    let path = path.display();
    match why {
        SecondName::Links(links) => format!(
            "{path} has {links} names (hard links), and SQLite would lose records, since it \
             keeps a log for each name: delete the names without a log \
             (`find / -xdev -samefile {path}` lists all), or, while nothing uses it, put a copy in \
             its place (cp {path} {path}.copy && mv {path}.copy {path})"
        ),
        SecondName::Mount => format!(
            "{path} is a file that is mounted by itself, and SQLite would lose \
             records, since each place has a log of its own: mount the folder that holds the file \
             (docker run -v FOLDER:FOLDER)"
        ),
    }
}

/// What was read, or `None` where a value is not of the kind that its column holds, which `check`
/// tells.
fn readable<T>(read: Result<T>) -> Result<Option<T>> {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    match read {
        Ok(value) => Ok(Some(value)),
        Err(
            Error::Unreadable { .. }
            | Error::Sqlite(
                FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..),
            ),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A transaction that reads one state of the books.
pub struct ReadTx<'c>(Transaction<'c>);

/// A transaction that reads and writes; nothing of it stands until it has committed.
pub struct WriteTx<'c>(ReadTx<'c>);

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.0
    }
}

impl ReadTx<'_> {
    fn sql(&self) -> &Connection {
        &self.0
    }
}

/// The books as one process at the shell has them open: one connection that reads and writes.
pub struct Store {
    connection: Connection,
    /// Where the file and its folder may only be read.
    frozen: Option<Frozen>,
    path: PathBuf,
}

impl Store {
    /// Opens the books; to be read alone where file and folder may only be read, and no log lies
    /// beside.
    ///
    /// # Errors
    /// When there is no file, or it is not ours, of a later version, or cannot be used safely.
    pub fn open(path: &Path) -> Result<Self> {
        check_sqlite()?;
        let file = file::find(path)?;
        match Self::open_to_write(&file, path) {
            Err(error @ (Error::NoAccess { .. } | Error::ReadOnly)) => match Frozen::new(&file) {
                Some(frozen) => Self::open_frozen(frozen, path),
                None => Err(error),
            },
            opened => opened,
        }
    }

    fn open_to_write(file: &Path, path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = open_found(file, path, flags)?;
        connection.busy_handler(Some(wait_for_the_lock))?;
        // Before anything is asked of the file that only one of ours need answer.
        schema::verify(&connection, path)
            .and_then(|()| prepare_writer(&connection))
            .map_err(|e| explain(e, path))?;
        Ok(Self { connection, frozen: None, path: path.to_owned() })
    }

    /// SQLite reads a file in WAL mode only with an index beside it, which nobody can make here. As
    /// nobody writes the file, it needs none; that nobody did is asked after each read.
    fn open_frozen(frozen: Frozen, path: &Path) -> Result<Self> {
        if let Some(log) = frozen.log() {
            return Err(Error::LogBeside { path: path.to_owned(), log: log.to_owned() });
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

    /// Creates new books and lets `fill` put the first things in; either all of it comes to stand at
    /// `path` or nothing. The file is readable by its owner alone.
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
        // Made under another name and put into place when whole, so that neither a crash nor
        // another process that creates at the same time leaves half a database or loses one.
        backup::into_place(path, |draft| {
            let connection = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)
                .map_err(Error::from)?;
            connection.execute_batch("pragma journal_mode = wal").map_err(Error::from)?;
            prepare_writer(&connection)?;
            let mut store = Self { connection, frozen: None, path: path.to_owned() };
            store.write(|tx| {
                schema::create(tx.sql())?;
                fill(tx)
            })
        })
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
        let tx = ReadTx(tx);
        let done = f(&tx)?;
        // What it keeps in temporary tables stays.
        tx.0.commit().map_err(Error::from)?;
        if self.frozen.as_ref().is_some_and(|frozen| !frozen.still()) {
            return Err(Error::Changed(self.path.clone()).into());
        }
        Ok(done)
    }

    /// Reads and writes in one transaction; when this returns, what `f` wrote is on disk. When `f` fails,
    /// nothing was written.
    ///
    /// # Errors
    /// [`Error::Busy`] when the lock was not to be had within [`WRITER_WAITS`]; whatever `f` fails with.
    pub fn write<T, E: From<Error>>(
        &mut self,
        f: impl FnOnce(&WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.frozen.is_some() {
            return Err(Error::OnlyRead(self.path.clone()).into());
        }
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::from)?;
        let tx = WriteTx(ReadTx(tx));
        let done = f(&tx)?;
        tx.0.0.commit().map_err(Error::from)?;
        Ok(done)
    }
}

impl Store {
    /// Moves what the write-ahead log holds into the file, as far as no reader is in the way.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn settle(&mut self) -> Result<()> {
        Ok(self.connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))?)
    }
}

/// The books as the server changes them: one connection, one change at a time.
pub struct Writer(Mutex<Connection>);

impl Writer {
    /// Opens the books.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let Store { connection, frozen, .. } = Store::open(path)?;
        if frozen.is_some() {
            return Err(Error::OnlyRead(path.to_owned()));
        }
        // It asks for the lock by itself, until its own deadline.
        connection.busy_handler(None)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Reads and writes in one transaction, as [`Store::write`] does; the lock is asked for again and
    /// again until `deadline`. Once it is had, the deadline counts no more.
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
        let tx = WriteTx(ReadTx(tx));
        let done = f(&tx)?;
        tx.0.0.commit().map_err(Error::from)?;
        Ok(done)
    }
}

/// A state of the books: equal versions of the same [`Readers`] mean that nothing was committed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(i64);

/// The books as the server has them open: several connections that only read.
pub struct Readers {
    pool: r2d2::Pool<SqliteConnectionManager>,
    /// Watches for commits of any process; SQLite tells changes apart per connection.
    watch: Mutex<Connection>,
    path: PathBuf,
    /// The file that was opened.
    identity: (u64, u64),
    /// Whether the file had a second name when it was looked at last.
    has_second_name: AtomicBool,
}

impl Readers {
    /// Opens `count` connections that only read.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(path: &Path, count: u32) -> Result<Self> {
        check_sqlite()?;
        // Read-write for SQLite, since a reader of a WAL file keeps its index up to date; `query_only`
        // keeps everything else from being written.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = file::find(path)?;
        let watch = open_found(&file, path, flags)?;
        prepare_reader(&watch)?;
        // It reads nothing but whether anybody has committed, and never waits.
        watch.execute_batch("pragma cache_size = -16;")?;
        schema::verify(&watch, path)
            .and_then(|()| check_reader(&watch))
            .map_err(|error| explain(error, path))?;
        watch.busy_timeout(Duration::ZERO)?;
        let manager = SqliteConnectionManager::file(&file)
            .with_flags(flags)
            .with_init(|connection| prepare_reader(connection));
        let pool = r2d2::Pool::builder()
            .max_size(count)
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .build(manager)?;
        let standing = Standing::of(&file);
        let identity = standing.map_err(|_| Error::Missing(path.to_owned()))?.identity;
        Ok(Self {
            pool,
            watch: Mutex::new(watch),
            path: path.to_owned(),
            identity,
            has_second_name: AtomicBool::new(false),
        })
    }

    /// Where the books are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state of the books now.
    ///
    /// # Errors
    /// [`Error::Replaced`] when the path leads to another file by now: what is open is nobody's books any
    /// more, and its figures would be old for ever. When SQLite fails.
    pub fn version(&self) -> Result<Version> {
        // Others ask the same connection, some of them on threads that must not wait: it is asked
        // at once, again and again, and let go of in between.
        let until = Instant::now() + READER_WAITS;
        loop {
            match self.version_at_once() {
                Err(Error::Busy) if Instant::now() < until => std::thread::sleep(POLL),
                version => return version,
            }
        }
    }

    /// The same, but [`Error::Busy`] at once where SQLite locks readers out for a moment.
    ///
    /// # Errors
    /// As [`Readers::version`].
    pub fn version_at_once(&self) -> Result<Version> {
        self.look_at_the_file()?;
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let version =
            watch.prepare_cached("pragma data_version")?.query_row([], |row| row.get(0))?;
        Ok(Version(version))
    }

    /// Tells whether the path still leads to the file that was opened, and warns of a second name:
    /// once, when it comes up, since what is open goes on under the name that it has.
    fn look_at_the_file(&self) -> Result<()> {
        let standing = Standing::of(&self.path).ok();
        let standing = standing.filter(|standing| standing.identity == self.identity);
        let standing = standing.ok_or_else(|| Error::Replaced(self.path.clone()))?;
        let second_name = standing.second_name();
        let is_new = self.has_second_name.load(Ordering::Relaxed) != second_name.is_some();
        if is_new {
            let had = self.has_second_name.swap(second_name.is_some(), Ordering::Relaxed);
            if let Some(why) = second_name.filter(|_| !had) {
                log::warn!("{}", second_name_words(&self.path, why));
            }
        }
        Ok(())
    }

    /// Reads one state of the books, and gives up at `deadline`.
    ///
    /// # Errors
    /// [`Error::Deadline`] when it came; whatever `f` fails with.
    pub fn read<T, E: From<Error>>(
        &self,
        deadline: Instant,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Deadline.into());
        }
        let mut connection = self.pool.get_timeout(left).map_err(|_| Error::Deadline)?;
        connection.busy_timeout(READER_WAITS).map_err(Error::from)?;
        connection
            .progress_handler(STEPS, Some(move || Instant::now() >= deadline))
            .map_err(Error::from)?;
        let done = read(&mut connection, f);
        connection.progress_handler(0, None::<fn() -> bool>).map_err(Error::from)?;
        done
    }

    /// Reads one state of the books where that takes a few rows: without waiting for anything, and for so many steps
    /// of SQLite's machine that it takes some hundred microseconds at most.
    ///
    /// # Errors
    /// One that is passing ([`Error::is_passing`]) where it cannot be done at once; whatever `f` fails with.
    pub fn read_at_once<T>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.pool.try_get().ok_or(Error::Busy)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.progress_handler(STEPS, Some(|| true))?;
        let done = read(&mut connection, f);
        connection.progress_handler(0, None::<fn() -> bool>)?;
        done
    }
}

fn read<T, E: From<Error>>(
    connection: &mut Connection,
    f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let tx =
        connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(Error::from)?;
    f(&ReadTx(tx))
}

/// A new id that no other has, made so that later ones sort later: a UUID of version 7 without its dashes.
pub fn made_id<T: FromStr<Err: Debug>>() -> T {
    let mut random = [0; 10];
    SystemRandom::new().fill(&mut random).expect("the system has randomness to give");
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid();
    id.simple().to_string().parse().expect("hexadecimal digits are an id")
}

/// The version of SQLite that is built in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

fn check_sqlite() -> Result<()> {
    match rusqlite::version_number() >= OLDEST_SQLITE {
        true => Ok(()),
        false => Err(Error::Unsafe(format!(
            "SQLite {} is older than 3.51.3 and can lose commits",
            rusqlite::version()
        ))),
    }
}

fn open_file(path: &Path, flags: OpenFlags) -> Result<Connection> {
    open_found(&file::find(path)?, path, flags)
}

/// Opens a file that was looked at; `path` is how it was named.
fn open_found(file: &Path, path: &Path, flags: OpenFlags) -> Result<Connection> {
    Connection::open_with_flags(file, flags).map_err(|error| explain(error.into(), path))
}

/// Says of SQLite's words about a file what they mean for whoever named it.
fn explain(error: Error, path: &Path) -> Error {
    let path = path.to_owned();
    let Error::Sqlite(cause) = &error else {
        return error;
    };
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::NotOurs(path),
        Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path, reason: cause.to_string() },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::NoAccess { path, reason: cause.to_string() }
        }
        _ => error,
    }
}

/// Sets what every writing connection relies on, and reads it back. What is blanked or deleted is overwritten in the
/// file, so that a contact that was forgotten is. The log is checkpointed passively at
/// SQLite's usual thousand pages: that stops short of what a reader still needs, so that Litestream, which keeps a read
/// open, misses no page.
fn prepare_writer(connection: &Connection) -> Result<()> {
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

/// A reader's page cache is small: the system caches the file's pages for all of them together, and a page's sums are
/// read once in a row.
fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(READER_WAITS)?;
    connection.execute_batch("pragma query_only = on; pragma cache_size = -512;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Reads back what every reading connection relies on; of the file it is the same for all of them.
fn check_reader(connection: &Connection) -> Result<()> {
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let query_only: i64 = connection.pragma_query_value(None, "query_only", |row| row.get(0))?;
    match (journal.as_str(), query_only) {
        ("wal", 1) => Ok(()),
        found => Err(Error::Unsafe(format!(
            "journal_mode, query_only are {found:?}, where wal and 1 are needed"
        ))),
    }
}

/// SQLite's lock is polled, not queued: ask again every few milliseconds, less often the longer it takes,
/// so that hundreds of processes get their turn without burning the processor.
fn wait_for_the_lock(asked_before: i32) -> bool {
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
