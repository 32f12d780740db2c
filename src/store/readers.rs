//! The books as the server reads them.

use crate::store::connection::{
    POLL, READER_WAITS, check_reader, check_sqlite, check_writable, explain, explain_opening,
    no_files, open_found, prepare_reader,
};
use crate::store::error::{Error, Result, second_name_words};
use crate::store::file::FoundFile;
use crate::store::transaction::ReadTx;
use crate::store::{file, schema};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long a pool tries to open its connections: what the system refuses once it may give next.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// How often a read is asked whether it may go on: every so many steps of SQLite's machine, well
/// under a millisecond.
const STEPS: std::ffi::c_int = 2_000;

/// How many watches there are at most. Two threads that ask at once would wait for each other at
/// one, which took a tenth of the time that a license takes.
const MAX_WATCHES: u32 = 4;

/// A state of the books: equal versions of the same [`Readers`] mean that nothing was committed in
/// between. Versions of different watches are never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BooksVersion {
    watch: usize,
    data_version: i64,
}

impl BooksVersion {
    /// Tells whether the same watch gave both, so that the later one is the newer one.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.watch == other.watch
    }
}

/// The books as the server has them open: several connections that only read.
pub struct Readers {
    pool: r2d2::Pool<SqliteConnectionManager>,
    /// Watch for commits of any process; SQLite tells changes apart per connection.
    watches: Vec<Mutex<Connection>>,
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
    /// As [`Store::open`](crate::store::Store::open).
    pub fn open(path: &Path, count: u32) -> Result<Self> {
        check_sqlite()?;
        // Read-write for SQLite, since a reader of a WAL file keeps its index up to date;
        // `query_only` keeps everything else from being written.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = file::find(path)?;
        let before = FoundFile::of(&file).ok().map(|standing| standing.identity);
        verify(&file, path, flags)?;
        let watch = || {
            let watch = open_found(&file, path, flags)?;
            prepare_reader(&watch).map_err(|error| explain(error.into(), path))?;
            // It reads nothing but whether anybody has committed, not even the schema, and never
            // waits.
            watch.execute_batch("pragma cache_size = -16;")?;
            watch.busy_timeout(Duration::ZERO)?;
            Ok(Mutex::new(watch))
        };
        let watches = (0..count.clamp(1, MAX_WATCHES)).map(|_| watch()).collect::<Result<_>>()?;
        let manager = SqliteConnectionManager::file(&file)
            .with_flags(flags)
            .with_init(|connection| prepare_reader(connection));
        let pool = r2d2::Pool::builder()
            .max_size(count)
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connection_timeout(OPEN_WITHIN)
            .build(manager);
        let few = |count| usize::try_from(count).ok().and_then(|count| no_files(path, count));
        let pool = pool.map_err(|error| few(count).unwrap_or(error.into()))?;
        let standing = FoundFile::of(&file);
        let identity = standing.map_err(|_| Error::Missing(path.to_owned()))?.identity;
        // A restore may have replaced it before its lock was had.
        if before != Some(identity) {
            return Err(Error::Changed(path.to_owned()));
        }
        Ok(Self {
            pool,
            watches,
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
    /// [`Error::Replaced`] when the path leads to another file by now: what is open is nobody's
    /// books any more, and its figures would be old for ever. When SQLite fails.
    pub fn version(&self) -> Result<BooksVersion> {
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
    pub fn version_at_once(&self) -> Result<BooksVersion> {
        self.look_at_the_file()?;
        let (watch, connection) = self.watch();
        let mut select = connection.prepare_cached("pragma data_version")?;
        let data_version = select.query_row([], |row| row.get(0))?;
        Ok(BooksVersion { watch, data_version })
    }

    /// A watch that nobody asks now, and its place; the first one where there is none.
    fn watch(&self) -> (usize, MutexGuard<'_, Connection>) {
        for (place, watch) in self.watches.iter().enumerate() {
            match watch.try_lock() {
                Ok(connection) => return (place, connection),
                Err(TryLockError::Poisoned(poisoned)) => return (place, poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        (0, self.watches[0].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whether the path still leads to the file that was opened, and warns of a second name:
    /// once, when it comes up, since what is open goes on under the name that it has.
    fn look_at_the_file(&self) -> Result<()> {
        let standing = FoundFile::of(&self.path).ok();
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
        let connection = self.pool.get_timeout(left).map_err(|_| Error::Deadline)?;
        connection.busy_timeout(READER_WAITS).map_err(Error::from)?;
        read(&connection, move || Instant::now() >= deadline, f)
    }

    /// Reads one state of the books where that takes a few rows: without waiting for anything, and
    /// for so many steps of SQLite's machine that it takes some hundred microseconds at most.
    ///
    /// # Errors
    /// One that is passing ([`Error::is_passing`]) where it cannot be done at once; whatever `f`
    /// fails with.
    pub fn read_at_once<T>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let connection = self.pool.try_get().ok_or(Error::Busy)?;
        connection.busy_timeout(Duration::ZERO)?;
        // SQLite counts the steps of a statement over all its runs, so the first time that it asks
        // says nothing of this one.
        let mut was_asked = false;
        read(&connection, move || std::mem::replace(&mut was_asked, true), f)
    }
}

/// Checks that a file can be served, by a connection of its own: the schema that it reads for that
/// takes memory.
fn verify(file: &Path, path: &Path, flags: OpenFlags) -> Result<()> {
    let connection = open_found(file, path, flags)?;
    // Of a file that cannot be written nothing else is said either.
    check_writable(&connection, path)?;
    prepare_reader(&connection).map_err(|error| explain(error.into(), path))?;
    schema::verify(&connection, path)
        .and_then(|()| check_reader(&connection))
        .map_err(|error| explain_opening(error, path, &connection))
}

/// A transaction that reads, until it is dropped. Its statements are prepared once: rusqlite's
/// transaction prepares them each time.
struct OpenRead<'c>(&'c Connection);

impl<'c> OpenRead<'c> {
    fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("begin")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for OpenRead<'_> {
    fn drop(&mut self) {
        // With the handler it might be given up, too.
        let unhandled = self.0.progress_handler(0, None::<fn() -> bool>);
        // SQLite itself ends one that failed for want of memory or disk.
        let is_over = self.0.is_autocommit();
        let end = || self.0.prepare_cached("rollback")?.execute([]);
        let ended = unhandled.and_then(|()| if is_over { Ok(0) } else { end() });
        if let Err(error) = ended {
            log::error!("a read does not end: {error}");
        }
    }
}

/// Reads one state of the books, until `gives_up` says so when it is asked.
fn read<T, E: From<Error>>(
    connection: &Connection,
    gives_up: impl FnMut() -> bool + Send + 'static,
    f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let reading = OpenRead::begin(connection).map_err(Error::from)?;
    reading.0.progress_handler(STEPS, Some(gives_up)).map_err(Error::from)?;
    f(&ReadTx(reading.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, draft::with_suffix};
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    /// Locks readers out as a process does that recovers the log: it holds the locks of writing and
    /// of recovering, and the index is not ready. Offsets are those of SQLite's walformat.html.
    fn lock_out(index: &File, kind: libc::c_int) {
        const WRITE_LOCK: i64 = 120;
        let lock = libc::flock {
            l_type: kind.try_into().expect("a kind of lock"),
            l_whence: libc::SEEK_SET.try_into().expect("a place"),
            l_start: WRITE_LOCK,
            l_len: 3,
            l_pid: 0,
        };
        fcntl(index, FcntlArg::F_OFD_SETLK(&lock)).expect("a lock");
        index.write_all_at(&[0; 96], 0).expect("written");
    }

    #[test]
    fn whoever_asks_at_once_never_waits_for_one_who_may_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("books.db");
        Store::create(&path, |_| Ok::<_, Error>(())).expect("books");
        let readers = Readers::open(&path, 1).expect("readers");
        readers.version().expect("a version");
        let index = with_suffix(&path, "-shm");
        let index = File::options().read(true).write(true).open(index).expect("an index");
        lock_out(&index, libc::F_WRLCK);
        // Answers while another has been waiting for a while. A machine at work on other things may
        // keep one of the two from going on: then it is asked once more.
        let answers = || {
            std::thread::scope(|scope| {
                let began = Instant::now();
                let waits = scope.spawn(|| readers.version());
                let mut answers = 0;
                while !waits.is_finished() {
                    assert!(matches!(readers.version_at_once(), Err(Error::Busy)));
                    let is_waiting = began.elapsed() > READER_WAITS / 4 && !waits.is_finished();
                    answers += u32::from(is_waiting);
                }
                assert!(matches!(waits.join().expect("no panic"), Err(Error::Busy)));
                answers
            })
        };
        // If it held the connection while it waits, whoever asks would wait as long.
        assert!((0..5).any(|_| answers() > 3));
        lock_out(&index, libc::F_UNLCK);
        readers.version().expect("a version");
    }
}
