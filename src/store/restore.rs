//! A backup that is put in the place of the books.
//!
//! What the backup holds is copied into a draft beside the books, and checked there, before
//! anything is moved. Then the books get a second name, under which they are kept: while a file has
//! two, nobody opens it, and whoever opens it after a restore was killed there takes that back
//! first (`file::find`). What lies beside the books follows them, and the draft takes their name in
//! one step. So each kill leaves either the old books, whole, or the new ones.

use crate::billing::period::Period;
use crate::billing::statement::ListingKind;
use crate::store::check::{self, CheckReport};
use crate::store::connection::{check_sqlite, explain, open_file, open_found};
use crate::store::draft::{
    BESIDE, Draft, MAGIC, START_BYTES, cannot_link, replaced_name, sync_directory, with_suffix,
};
use crate::store::file::{FoundFile, Frozen};
use crate::store::{Error, Result, Store, backup, column, file, migration, schema, sound};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long others that have the books open are waited for: a command at the shell ends within it,
/// a server does not.
const WAITS: Duration = Duration::from_secs(2);

/// The last record that books hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRecord {
    /// Its id.
    pub id: String,
    /// When it was used, in Unix seconds.
    pub at_s: i64,
    /// When it was recorded, in Unix seconds.
    pub recorded_at_s: i64,
}

/// A statement, as far as books of every version tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementHead {
    /// Its number in the books that hold it.
    pub seq: i64,
    /// Which listing it was.
    pub kind: ListingKind,
    /// Its window.
    pub period: Period,
    /// When page 1 was first asked for, in Unix seconds.
    pub first_asked_at_s: i64,
    /// When its last page last went out, in Unix seconds.
    pub last_asked_at_s: i64,
    /// The sum of what was told, as it stands in the books.
    pub total: String,
    digest: Vec<u8>,
}

/// Until when books hold what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The last record that was written.
    pub last_record: Option<LastRecord>,
    /// The record that was taken back last, and when that was written.
    pub last_void: Option<LastRecord>,
    /// The last statement that was kept.
    pub last_statement: Option<StatementHead>,
}

/// What the books that were replaced hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Until when they hold what happened.
    pub reach: Reach,
    /// The statements that the backup lacks, in the order in which they were kept: Agora was told
    /// them.
    pub untold: Vec<StatementHead>,
    /// What else is not the same in both, in words; not known of books of an earlier version.
    pub differs: Vec<&'static str>,
}

/// What the records of books do not bring along, in words, and the rows that tell it.
const BESIDES: [(&str, &[&str]); 5] = [
    ("customers and projects", &["select * from event order by seq"]),
    (
        "licenses",
        &[
            "select * from license_ledger where usage_seq is null order by seq",
            "select * from license_type order by type",
        ],
    ),
    ("plans", &["select * from plan_version order by seq"]),
    ("settings", &["select * from setting order by name"]),
    ("keys", &["select * from api_key order by seq"]),
];

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// The file of the database.
    pub file: PathBuf,
    /// Until when the books hold what happened.
    pub reach: Reach,
    /// The backup's version, where it was an earlier one.
    pub migrated_from: Option<i64>,
    /// The name under which the books are kept that were there.
    pub kept: Option<PathBuf>,
    /// All files that were moved, that one among them.
    pub moved: Vec<PathBuf>,
    /// What these books hold, or why it cannot be read. `None` where there were no books.
    pub replaced: Option<Result<Replaced, String>>,
}

/// A backup that was checked, ready to be put in place.
pub struct Candidate {
    draft: Draft,
    /// The database's file, by the one name that it has.
    file: PathBuf,
    named: PathBuf,
    reach: Reach,
    migrated_from: Option<i64>,
    statements: Vec<StatementHead>,
    besides: Vec<u64>,
    report: CheckReport,
}

impl Candidate {
    /// Copies a backup and checks the copy as `check` does; an earlier version is migrated, and the
    /// backup stays as it is. Nothing of the books is touched. Where this user may not read the
    /// backup itself, `opened` is what somebody else opened of it.
    ///
    /// # Errors
    /// When the backup is not there, not ours, or newer; then [`Error::InUse`] where the books at
    /// `path` are open anywhere; [`Error::BadBackup`] where the backup is damaged.
    pub fn prepare(path: &Path, backup: &Path, opened: Option<File>) -> Result<Self> {
        check_sqlite()?;
        file::refuse_no_path(path)?;
        file::refuse_no_path(backup)?;
        let file = file::find_place(path)?;
        // What can be refused is refused before the work, and before somebody stops a server for
        // it.
        look_at(backup, opened.as_ref(), &file)?;
        if file.exists() {
            Hold::take(&file, path)?;
        }
        let handed_on = opened.map(|mut opened| {
            let draft = Draft::new(&file)?;
            draft.fill_from(&mut opened)?;
            Ok::<_, Error>(draft)
        });
        let handed_on = handed_on.transpose()?;
        let lies_at = handed_on.as_ref().map_or(backup, Draft::path);
        let original = Original::open(lies_at, backup, &file)?;
        let of_backup = |error| of_backup(error, backup);
        let version = schema::version(&original.connection, backup).map_err(of_backup)?;
        if let Some(reason) = sound::quick_check(&original.connection).map_err(of_backup)? {
            return Err(Error::BadBackup { path: backup.to_owned(), reason });
        }
        let draft = Draft::new(&file)?;
        backup::into_draft(&original.connection, &draft, version).map_err(of_backup)?;
        original.is_still(backup)?;
        drop((original, handed_on));
        let migrated_from = (version < schema::VERSION).then_some(version);
        if migrated_from.is_some() {
            migration::migrate_draft(draft.path()).map_err(of_backup)?;
            draft.settle()?;
            sound::look(draft.path(), schema::VERSION)?;
        }
        let connection = sound::open_still(draft.path())?;
        column::register_functions(&connection)?;
        let (reach, statements) = (reach(&connection)?, statements(&connection)?);
        let besides = besides(&connection)?;
        let mut store = Store { connection, frozen: None, path: backup.to_owned() };
        let report = store.read(check::check).map_err(of_backup)?;
        let named = path.to_owned();
        Ok(Self { draft, file, named, reach, migrated_from, statements, besides, report })
    }

    /// What is wrong with the books that the backup holds.
    pub fn report(&self) -> &CheckReport {
        &self.report
    }

    /// Puts the backup in the place of the books, and keeps what was there under a name with the
    /// time.
    ///
    /// # Errors
    /// [`Error::InUse`] where the books are open anywhere; when the system fails. The old books are
    /// in their place then.
    pub fn put(self, now_s: i64) -> Result<Restored> {
        let Self { draft, file, named, reach, migrated_from, statements, besides, .. } = self;
        let exists = file.symlink_metadata().is_ok();
        let hold = exists.then(|| Hold::take(&file, &named)).transpose()?;
        give_to_owner(draft.path(), &file)?;
        let replaced = hold.as_ref().map(|hold| hold.replaced(&statements, &besides));
        let kept = free_name(&file, now_s);
        let io_error = |source| Error::File { path: named.clone(), source };
        let placed = keep(&file, &kept, hold.as_ref()).map_err(io_error).and_then(|moved| {
            // Without hard links the books have left their place by now.
            if file.symlink_metadata().is_ok() { draft.replace() } else { draft.place() }
                .map(|()| moved)
        });
        // The draft is gone by now, and with it what says that a restore is at work.
        let moved = placed.inspect_err(|_| file::take_back(&kept, &file))?;
        // Only now may others open the file that was replaced.
        drop(hold);
        let kept = exists.then_some(kept);
        Ok(Restored { file, reach, migrated_from, kept, moved, replaced })
    }
}

/// Says of SQLite's words what they mean for a backup.
fn of_backup(error: Error, backup: &Path) -> Error {
    let error = explain(error, backup);
    if let Error::Damaged { path, reason, .. } = error {
        return Error::BadBackup { path, reason };
    }
    error
}

/// A name that is free under which the books are kept, and what lies beside them.
fn free_name(file: &Path, now_s: i64) -> PathBuf {
    let is_free = |name: &PathBuf| {
        let beside = BESIDE.iter().map(|suffix| with_suffix(name, suffix));
        name.symlink_metadata().is_err() && beside.into_iter().all(|name| !name.exists())
    };
    let names = (1..).map(|number| replaced_name(file, now_s, number));
    names.into_iter().find(is_free).expect("numbers do not end")
}

/// Gives the books a second name, or another one where there are no hard links; then moves what
/// lies beside them. Gives what was moved.
fn keep(file: &Path, kept: &Path, hold: Option<&Hold>) -> io::Result<Vec<PathBuf>> {
    let mut moved = Vec::new();
    if let Some(hold) = hold {
        match fs::hard_link(file, kept) {
            Err(error) if cannot_link(&error) => {
                // Killed between two of these steps, the log is elsewhere than the books: let it
                // hold nothing that they lack.
                hold.settle();
                fs::rename(file, kept)?;
            }
            linked => linked?,
        }
        sync_directory(file)?;
        moved.push(kept.to_owned());
    }
    for suffix in BESIDE {
        let (from, to) = (with_suffix(file, suffix), with_suffix(kept, suffix));
        match from.symlink_metadata() {
            Ok(found) if suffix == "-wal" && found.len() == 0 => fs::remove_file(from)?,
            Ok(_) => {
                fs::rename(from, &to)?;
                moved.push(to);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    sync_directory(file)?;
    Ok(moved)
}

/// Gives the draft to whom the books belong, or their folder where there are none: a restore by
/// root must not lock the server out.
fn give_to_owner(draft: &Path, file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    let wanted = file.metadata().or_else(|_| folder.metadata());
    let (Ok(wanted), Ok(found)) = (wanted, draft.metadata()) else { return Ok(()) };
    let is_root = rustix::process::geteuid().is_root();
    let differs = (wanted.uid(), wanted.gid()) != (found.uid(), found.gid());
    if is_root && differs {
        let given = chown(draft, Some(wanted.uid()), Some(wanted.gid()));
        return given.map_err(|source| Error::File { path: draft.to_owned(), source });
    }
    if wanted.uid() != found.uid() && file.exists() {
        let reason = "it belongs to another user, who could not read what is restored".to_owned();
        return Err(Error::NoAccess { path: file.to_owned(), reason });
    }
    Ok(())
}

/// Refuses what can be no backup, by a look at its first bytes.
fn look_at(backup: &Path, opened: Option<&File>, books: &Path) -> Result<()> {
    let no_access =
        |error: io::Error| Error::NoAccess { path: backup.to_owned(), reason: error.to_string() };
    let mut start = [0; START_BYTES];
    let (read, has_log) = match opened {
        // A pipe has no place to be read at.
        Some(opened) => (opened.read_exact_at(&mut start, 0), false),
        None => {
            let found = find(backup, backup, books)?;
            let file = File::open(&found).map_err(no_access)?;
            (file.read_exact_at(&mut start, 0), has_log(&found))
        }
    };
    let not_ours = || Err(Error::NotOurs(backup.to_owned()));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return not_ours(),
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => return not_ours(),
        Err(error) => return Err(no_access(error)),
    }
    if !start.starts_with(MAGIC) {
        return not_ours();
    }
    // Where a log lies beside, it may hold other numbers.
    if has_log {
        return Ok(());
    }
    let number = |at: usize| {
        i64::from(i32::from_be_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]))
    };
    schema::version_of(number(68), number(60), backup).map(drop)
}

/// The file of a backup, which lies at a place, and was named `backup`.
fn find(lies_at: &Path, backup: &Path, books: &Path) -> Result<PathBuf> {
    let found = lies_at.canonicalize().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return Error::NoBackup(backup.to_owned());
        }
        Error::NoAccess { path: backup.to_owned(), reason: error.to_string() }
    })?;
    let standing = |path: &Path| FoundFile::of(path).map(|standing| standing.identity).ok();
    if standing(&found) == standing(books) {
        return Err(Error::SameFile(backup.to_owned()));
    }
    if !found.is_file() {
        return Err(Error::NotOurs(backup.to_owned()));
    }
    Ok(found)
}

/// Tells whether a log lies beside a backup, and is part of it.
fn has_log(backup: &Path) -> bool {
    let log = |suffix| with_suffix(backup, suffix).metadata();
    ["-wal", "-journal"].into_iter().any(|suffix| log(suffix).is_ok_and(|log| log.len() > 0))
}

/// A backup as it is read: without a lock where no log lies beside it, so that one on a disk that
/// may only be read, or with a second name, is as good.
struct Original {
    connection: Connection,
    frozen: Option<Frozen>,
}

impl Original {
    /// Opens the backup, which lies at a place, and was named `backup`.
    fn open(lies_at: &Path, backup: &Path, books: &Path) -> Result<Self> {
        let found = find(lies_at, backup, books)?;
        if has_log(&found) {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = open_file(backup, flags)?;
            connection.busy_timeout(WAITS)?;
            // The backup and its log stay as they are.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            return Ok(Self { connection, frozen: None });
        }
        let frozen = Frozen::trusted(&found);
        let connection = sound::open_still(&found).map_err(|error| explain(error, backup))?;
        Ok(Self { connection, frozen: Some(frozen) })
    }

    /// Refuses a backup that was written while it was read.
    fn is_still(&self, backup: &Path) -> Result<()> {
        match &self.frozen {
            Some(frozen) if !frozen.still() => Err(Error::Changed(backup.to_owned())),
            Some(_) | None => Ok(()),
        }
    }
}

/// The books, while nobody else has them open: SQLite's own exclusive lock on the file, which each
/// connection shares for as long as it is open. The log is read and not changed.
struct Hold {
    /// `None` of an empty file, which nobody can have open.
    connection: Option<Connection>,
    /// Why the books cannot be read, where they cannot.
    damage: Option<String>,
}

impl Hold {
    fn take(file: &Path, named: &Path) -> Result<Self> {
        let standing = FoundFile::of(file).ok().map(|standing| standing.identity);
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            // SQLite would remove a log that lies beside.
            return Ok(Self { connection: None, damage: Some("it is empty".to_owned()) });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let has_log = with_suffix(file, "-wal").exists();
        let connection = open_found(file, named, flags)?;
        connection.busy_timeout(WAITS)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        let damage = match lock(&connection).map_err(Error::from) {
            Ok(id) if id != schema::APPLICATION_ID => return Err(Error::NotOurs(named.to_owned())),
            Ok(_) => None,
            Err(Error::Busy) => return Err(Error::InUse(named.to_owned())),
            Err(Error::Sqlite(cause)) if is_damage(&cause) => Some(cause.to_string()),
            Err(error) => return Err(explain(error, named)),
        };
        if FoundFile::of(file).ok().map(|standing| standing.identity) != standing {
            return Err(Error::Changed(named.to_owned()));
        }
        Ok(Self { connection: Some(connection), damage })
    }

    /// What the books hold, and which of their statements are not among `known`.
    fn replaced(&self, known: &[StatementHead], others: &[u64]) -> Result<Replaced, String> {
        let connection = match (&self.connection, &self.damage) {
            (Some(connection), None) => connection,
            (_, damage) => return Err(damage.clone().unwrap_or_default()),
        };
        let read = || -> Result<Replaced> {
            let known: HashSet<_> = known.iter().map(StatementHead::content).collect();
            let told = statements(connection)?.into_iter();
            let untold = told.filter(|told| !known.contains(&told.content())).collect();
            // Where a page of these is damaged, the statements are told all the same.
            let mine = besides(connection).unwrap_or_default();
            let pairs = mine.into_iter().zip(others).zip(BESIDES);
            let differs = pairs.filter(|((mine, other), _)| mine != *other);
            let differs = differs.map(|(_, (what, _))| what).collect();
            Ok(Replaced { reach: reach(connection)?, untold, differs })
        };
        read().map_err(|error| error.to_string())
    }

    /// Moves the log into the file, where that can be done.
    fn settle(&self) {
        if let Some(connection) = &self.connection {
            let settled = connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
            if let Err(error) = settled {
                log::warn!("the log of the old database could not be moved into it: {error}");
            }
        }
    }
}

/// Locks the file for as long as the connection is open, and gives whose it is. SQLite keeps the
/// log's index in memory then, and makes no file.
fn lock(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
    let id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    // Out of WAL mode reading shares the lock.
    connection.execute_batch("begin exclusive; rollback;")?;
    Ok(id)
}

fn is_damage(cause: &rusqlite::Error) -> bool {
    let damages = [ErrorCode::NotADatabase, ErrorCode::DatabaseCorrupt];
    cause.sqlite_error_code().is_some_and(|code| damages.contains(&code))
}

impl StatementHead {
    /// What tells it from others, in whichever books it stands.
    fn content(&self) -> (String, Period, i64, Vec<u8>) {
        (self.kind.to_string(), self.period, self.first_asked_at_s, self.digest.clone())
    }
}

/// The statements of books of any version.
fn statements(connection: &Connection) -> Result<Vec<StatementHead>> {
    const HAS_ANY: &str = "select 1 from sqlite_schema where type = 'table' and name = 'statement'";
    const SELECT: &str = "
        select seq, kind, first_s, last_s, first_asked_at_s, last_asked_at_s, total, digest
        from statement
        order by seq";
    if !connection.prepare(HAS_ANY)?.exists([])? {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare(SELECT)?;
    let heads = select.query_map([], |row| {
        let period = Period::new(row.get(2)?, row.get(3)?)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, row.get(3)?))?;
        Ok(StatementHead {
            seq: row.get(0)?,
            kind: row.get(1)?,
            period,
            first_asked_at_s: row.get(4)?,
            last_asked_at_s: row.get(5)?,
            total: row.get(6)?,
            digest: row.get(7)?,
        })
    })?;
    Ok(heads.collect::<rusqlite::Result<_>>()?)
}

/// Until when books of any version hold what happened.
fn reach(connection: &Connection) -> Result<Reach> {
    const SELECT: &str = "
        select record_id, at_s, recorded_at_s
        from usage_ledger
        where record_id is not null
        order by seq desc
        limit 1";
    // The plus keeps it to the index of the reversals: there may be none among very many records.
    const SELECT_VOID: &str = "
        select record.record_id, record.at_s, reversal.recorded_at_s
        from usage_ledger as reversal
        join usage_ledger as record on record.seq = reversal.reverses_seq
        where reversal.reverses_seq is not null
        order by +reversal.seq desc
        limit 1";
    let last = |select| {
        let found = connection.query_row(select, [], |row| {
            Ok(LastRecord { id: row.get(0)?, at_s: row.get(1)?, recorded_at_s: row.get(2)? })
        });
        found.optional()
    };
    let last_statement = statements(connection)?.pop();
    Ok(Reach { last_record: last(SELECT)?, last_void: last(SELECT_VOID)?, last_statement })
}

/// A number for each of [`BESIDES`], the same where the rows are. None of books of an earlier
/// version, whose rows have another form.
fn besides(connection: &Connection) -> Result<Vec<u64>> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != schema::VERSION {
        return Ok(Vec::new());
    }
    let number = |(_, selects): (&str, &[&str])| {
        let mut hasher = DefaultHasher::new();
        for select in selects {
            let mut select = connection.prepare(select)?;
            let columns = select.column_count();
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                for column in 0..columns {
                    format!("{:?}", row.get_ref(column)?).hash(&mut hasher);
                }
            }
        }
        Ok(hasher.finish())
    };
    BESIDES.into_iter().map(number).collect()
}
