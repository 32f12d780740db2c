//! What can go wrong with the books, in one sentence each.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use std::path::{Path, PathBuf};

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with the books.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file.
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    /// There is a file where a new one should be made.
    #[error("{} exists already and is never overwritten: name another file", .0.display())]
    Exists(PathBuf),
    /// A file of SQLite's lies where a new database should be made, without its database.
    #[error("{} lies there without its database: put both together again, or move it away \
        first", .0.display())]
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
    /// Anybody may make files in the folder.
    #[error(
        "anybody may write in {folder}, and could put a log beside the database that SQLite plays \
         into it: keep the books in a folder of their own, such as {folder}/agora-vendor with mode \
         0700",
        folder = .0.display()
    )]
    AnybodysFolder(PathBuf),
    /// A file of the books is another user's.
    #[error(
        "{} belongs to {owner}, and is used by {user} here: who owns it could change the books; \
         run as {owner}, or, if what is in it is right, give it to {user} with chown",
        .path.display()
    )]
    AnothersFile {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Whose it should be.
        user: String,
    },
    /// The folder may only be read, and a log lies beside the file.
    #[error(
        "{} cannot be read: its {} may only be read, and {} lies beside it, which is read by \
         users who may write there; {}",
        .path.display(),
        if *.on_read_only_disk { "disk" } else { "folder" },
        .log.display(),
        if *.on_read_only_disk {
            "copy both to another disk, or mount this one for writing"
        } else {
            "run as the user who owns the folder"
        }
    )]
    LogBeside {
        /// The file.
        path: PathBuf,
        /// Its log.
        log: PathBuf,
        /// Whether it is not the folder's rights, but the disk.
        on_read_only_disk: bool,
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
    #[error("{} is damaged ({reason}){}", .path.display(), log_words(log.as_deref()))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
        /// The log that lies beside it, where it holds anything.
        log: Option<PathBuf>,
    },
    /// There is no backup at the path.
    #[error("there is no file at {}: name the backup to restore", .0.display())]
    NoBackup(PathBuf),
    /// A backup is damaged.
    #[error(
        "the backup {} is damaged ({reason}): nothing was changed; restore another one",
        .path.display()
    )]
    BadBackup {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The books themselves are named as their backup.
    #[error("{} is the database itself: name a backup of it", .0.display())]
    SameFile(PathBuf),
    /// Other processes have the file open.
    #[error(
        "{} is in use: stop the server and whatever else has it open (Litestream, an import), then \
         try again; nothing was changed",
        .0.display()
    )]
    InUse(PathBuf),
    /// The file was moved, removed or replaced while it was open.
    #[error("{} is not the file any more that was opened: it was moved, removed or replaced; \
        restart the server", .0.display())]
    Replaced(PathBuf),
    /// The file, or its disk, may only be read.
    #[error(
        "the database file or its disk is read-only: nothing was written; run as the user who owns \
         it, and let that user write to the file and its folder"
    )]
    ReadOnly,
    /// The file may be written, and SQLite opened it to read it alone all the same: one call of the
    /// system failed.
    #[error(
        "{} was opened for reading alone, although it may be written: nothing was written; try \
         again",
        .0.display()
    )]
    ReadAlone(PathBuf),
    /// The disk is mounted to be read alone.
    #[error(
        "{} lies on a disk that is mounted read-only: nothing was written; mount the disk for \
         writing",
        .0.display()
    )]
    ReadOnlyDisk(PathBuf),
    /// The disk failed before the commit.
    #[error("the disk failed: nothing was written ({0})")]
    Disk(String),
    /// The commit failed: what stands in the log may be found there when it is read again.
    #[error("the disk failed in the commit, and the change may have been written ({0})")]
    Uncertain(String),
    /// The file is not one of ours.
    #[error("{} is not an agora-vendor database", .0.display())]
    NotOurs(PathBuf),
    /// The file is of a later version.
    #[error("{} has schema version {found}, and this executable knows versions up to {known}: use \
        a newer agora-vendor", .path.display())]
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
    #[error("{} cannot be opened: {reason}", .path.display())]
    NoAccess {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The process may open no more files.
    #[error(
        "{} cannot be opened: no more files can be opened ({reason}); allow this process more \
         (ulimit -n, LimitNOFILE= of a service)",
        .path.display()
    )]
    NoFiles {
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
    /// A new file stands, and its folder could not be flushed.
    #[error(
        "{} is made and whole, but may be gone after a power cut, since its folder cannot be \
         flushed ({source}): mend the disk, run `sync`, and use it as it is",
        .path.display()
    )]
    Unflushed {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
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
            // No room for the log's index, which SQLite makes as long as it needs it beforehand.
            Some(ErrorCode::SystemIoFailure)
                if error.sqlite_error().map(|error| error.extended_code)
                    == Some(SQLITE_IOERR_SHMSIZE) =>
            {
                Self::Full
            }
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

impl Error {
    /// The error as that of a commit. A commit that failed may be found in the log by whoever reads
    /// it next: it may be there in whole, and only the flush or the index behind it failed. Where
    /// the log had no room, or the lock was not had, or a rule was broken, nothing of it stands.
    pub(super) fn of_commit(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::ConstraintViolation,
            ) => Self::from(error),
            _ => Self::Uncertain(error.to_string()),
        }
    }

    /// What is wrong, said of a read: no word of what was written.
    pub fn of_read(&self) -> String {
        if let Self::Disk(reason) = self {
            return format!("the disk failed ({reason})");
        }
        if matches!(self, Self::Full) {
            return "the disk is full".to_owned();
        }
        self.to_string()
    }

    /// Tells whether it says that another user could open the books, or could write them.
    pub fn is_denied(&self) -> bool {
        matches!(
            self,
            Self::NoAccess { .. }
                | Self::AnothersFile { .. }
                | Self::OnlyRead(_)
                | Self::ReadOnly
                | Self::LogBeside { on_read_only_disk: false, .. }
        )
    }

    /// Tells whether it says that the file of the books is damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
            || matches!(self, Self::Sqlite(cause)
                if cause.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt))
    }

    /// Tells whether it says that the file has another schema than this executable knows.
    pub fn is_of_schema(&self) -> bool {
        matches!(self, Self::NotOurs(_) | Self::Older { .. } | Self::Newer { .. })
    }

    /// Tells whether it passes by itself, so that trying again later may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy
            | Self::Deadline
            | Self::Changed(_)
            | Self::ReadAlone(_)
            | Self::InUse(_) => true,
            Self::Missing(_)
            | Self::Exists(_)
            | Self::LeftBehind(_)
            | Self::NoPath(_)
            | Self::SecondName { .. }
            | Self::AnybodysFolder(_)
            | Self::AnothersFile { .. }
            | Self::LogBeside { .. }
            | Self::OnlyRead(_)
            | Self::Damaged { .. }
            | Self::NoBackup(_)
            | Self::BadBackup { .. }
            | Self::SameFile(_)
            | Self::Replaced(_)
            | Self::ReadOnly
            | Self::ReadOnlyDisk(_)
            | Self::Disk(_)
            | Self::Uncertain(_)
            | Self::NotOurs(_)
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::NoAccess { .. }
            | Self::NoFiles { .. }
            | Self::Unreadable { .. }
            | Self::TooLong { .. }
            | Self::Full
            | Self::Unsafe(_)
            | Self::Unflushed { .. }
            | Self::File { .. }
            | Self::Pool(_)
            | Self::Sqlite(_) => false,
        }
    }
}

/// What a log beside a damaged file may mean.
fn log_words(log: Option<&Path>) -> String {
    log.map_or_else(String::new, |log| {
        format!(
            ", and {} lies beside it: where a backup was copied over the database by hand, that \
             log belongs to the database before, and spoils the copy",
            log.display()
        )
    })
}

/// Why a file has more than one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondName {
    /// It has so many hard links.
    Links(u64),
    /// The file alone is mounted at this path.
    Mount,
}

/// Why a second name is refused, and what to do about it.
pub(super) fn second_name_words(path: &Path, why: SecondName) -> String {
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
pub(super) fn readable<T>(read: Result<T>) -> Result<Option<T>> {
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
