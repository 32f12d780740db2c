//! Files that come to stand whole or not at all, and the names that drafts and replaced databases
//! have.

use crate::store::error::{Error, Result};
use crate::store::made_id::made_id;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The files that SQLite keeps beside a database.
pub(super) const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];
/// All that lies beside a database: also the numbers of the newest snapshots.
pub(super) const BESIDE: [&str; 4] = ["-wal", "-shm", "-journal", "-pages"];
/// How long a draft is written between two times that it is synced.
const SYNC_PAUSE: Duration = Duration::from_millis(20);
/// The first bytes of a database.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// As long as the first bytes are that a database is known by.
pub(super) const START_BYTES: usize = 100;

/// A new database beside the place where it is to stand. Nothing is left of it when it is dropped
/// before it has its name.
pub(super) struct Draft {
    path: PathBuf,
    target: PathBuf,
    /// The target as it was named.
    named: PathBuf,
    /// Open until the draft is closed for good: SQLite's locks on a file go where any descriptor of
    /// it is closed.
    file: File,
    /// Nobody clears drafts of this folder meanwhile.
    _folder: DraftFolder,
}

impl Draft {
    /// Makes an empty draft, readable by its owner alone, and removes those that killed processes
    /// left in the same folder.
    pub(super) fn new(target: &Path) -> Result<Self> {
        let named = target.to_owned();
        let file_error = |source| Error::File { path: named.clone(), source };
        // A path from the root is never taken for a URI or a pattern.
        let target = std::path::absolute(target).map_err(file_error)?;
        let folder = DraftFolder::open(&target).map_err(file_error)?;
        folder.clear();
        folder.share().map_err(file_error)?;
        let path = beside(&target, "draft");
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(file_error)?;
        let draft = Self { path, target, named: named.clone(), file, _folder: folder };
        // A umask may have taken rights of the owner away. Some file systems know no modes.
        let mode = draft.file.metadata().map_err(file_error)?.permissions().mode();
        if mode & 0o777 != 0o600
            && let Err(error) = draft.file.set_permissions(Permissions::from_mode(0o600))
        {
            log::warn!("cannot set the mode of {}: {error}", draft.path.display());
        }
        Ok(draft)
    }

    /// Where it is, from the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts what a file holds into the draft.
    pub(super) fn fill_from(&self, source: &mut impl Read) -> Result<()> {
        let filled = io::copy(source, &mut &self.file).and_then(|_| self.file.sync_all());
        filled.map_err(|source| Error::File { path: self.path.clone(), source })
    }

    /// Puts what the draft holds into a file, its first bytes last: what is cut short on the way
    /// is no database.
    pub(super) fn pour_into(&self, file: &File) -> io::Result<()> {
        let mut draft = File::open(&self.path)?;
        let mut start = [0; START_BYTES];
        draft.read_exact(&mut start)?;
        let mut out = file;
        out.write_all(&[0; START_BYTES])?;
        io::copy(&mut draft, &mut out)?;
        file.sync_all()?;
        out.rewind()?;
        out.write_all(&start)?;
        file.sync_all()
    }

    /// Sees that all of a closed draft is in the file itself, and on the disk.
    pub(super) fn settle(&self) -> Result<()> {
        // Closing the last connection moves everything into the file; what had not would be lost.
        let mut logs = SIDE_FILES.iter().filter(|suffix| **suffix != "-shm");
        if logs.any(|suffix| with_suffix(&self.path, suffix).exists()) {
            return Err(Error::Unsafe(
                "the log of the new file could not be moved into it: is the disk full?".to_owned(),
            ));
        }
        let synced = self.file.sync_all();
        synced.map_err(|source| Error::File { path: self.path.clone(), source })
    }

    /// Brings what `write` writes to the disk all along: a large file that is written at once when
    /// its end is synced makes every other commit on that disk wait. It is synced at least once.
    pub(super) fn synced_along<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<T> {
        let is_written = AtomicBool::new(false);
        thread::scope(|scope| {
            let syncing = scope.spawn(|| {
                loop {
                    // What fails is told once: Linux takes it for written then, and the last sync
                    // may end well.
                    self.file.sync_data()?;
                    thread::park_timeout(SYNC_PAUSE);
                    if is_written.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                }
            });
            let written = write();
            is_written.store(true, Ordering::Relaxed);
            syncing.thread().unpark();
            let synced = syncing.join().unwrap_or_else(|panic| resume_unwind(panic));
            let written = written?;
            synced.map_err(|source| Error::File { path: self.path.clone(), source })?;
            Ok(written)
        })
    }

    /// Gives a settled draft its name, in one step. A file that has the name is never replaced, not
    /// even one that appears meanwhile.
    pub(super) fn place(self) -> Result<()> {
        let (target, named) = (self.target.clone(), self.named.clone());
        put(&self.path, &target).map_err(|source| match target.symlink_metadata() {
            Ok(_) if source.kind() == io::ErrorKind::AlreadyExists => Error::Exists(named.clone()),
            _ => Error::File { path: named.clone(), source },
        })?;
        sync_directory(&target).map_err(|source| Error::Unflushed { path: named, source })
    }

    /// Gives a settled draft its name, in the place of the file that has it.
    pub(super) fn replace(self) -> Result<()> {
        fs::rename(&self.path, &self.target)
            .map_err(|source| Error::File { path: self.named.clone(), source })?;
        sync_directory(&self.target).map_err(|error| {
            Error::Unsafe(format!(
                "the new file is in its place, and its name may not be on the disk ({error})"
            ))
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Makes a file out of what `make` puts into an empty draft beside it. The file is on disk,
/// readable by its owner alone, when this returns; when `make` fails, nothing is left. A file that
/// is there already is never touched.
pub(super) fn into_place<E: From<Error>>(
    path: &Path,
    make: impl FnOnce(&Draft) -> Result<(), E>,
) -> Result<(), E> {
    // Of a database that was moved away without them: SQLite would play them into the new one.
    for left in SIDE_FILES.map(|suffix| with_suffix(path, suffix)) {
        if left.symlink_metadata().is_ok() {
            return Err(Error::LeftBehind(left).into());
        }
    }
    let draft = Draft::new(path)?;
    make(&draft)?;
    draft.settle()?;
    Ok(draft.place()?)
}

/// Gives a file its name, in one step and without replacing what has it. File systems that cannot
/// (NFS, some of FUSE) have the name linked, and the draft's own is removed after it: where that is
/// cut short, whoever opens the file next does it. One without links either (some of FUSE, exFAT)
/// has an empty file hold the name, which the draft then replaces.
fn put(draft: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        renamed => return Ok(renamed?),
    }
    match fs::hard_link(draft, path) {
        Err(error) if cannot_link(&error) => {}
        linked => return linked,
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fs::rename(draft, path).inspect_err(|_| remove(path))
}

/// Tells whether it is the file system that has no hard links.
pub(super) fn cannot_link(error: &io::Error) -> bool {
    let errors = [Errno::PERM, Errno::NOSYS, Errno::OPNOTSUPP, Errno::MLINK];
    error.raw_os_error().is_some_and(|code| errors.iter().any(|errno| errno.raw_os_error() == code))
}

/// Removes a database and what SQLite keeps beside it.
pub(super) fn remove(path: &Path) {
    for file in ["", "-wal", "-shm", "-journal"].map(|suffix| with_suffix(path, suffix)) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", file.display());
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// A folder in which drafts are made. While one process makes some there, no other clears any; the
/// system lets go of it where the process is killed.
pub(super) struct DraftFolder {
    path: PathBuf,
    lock: File,
}

impl DraftFolder {
    /// The folder that holds `file`.
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        let path = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let lock = File::open(&path)?;
        Ok(Self { path, lock })
    }

    /// Tells whether nobody makes a draft here now, and keeps it so until the folder is dropped or
    /// shared.
    pub(super) fn is_quiet(&self) -> bool {
        flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    /// Says that a draft is made here.
    fn share(&self) -> io::Result<()> {
        match flock(&self.lock, FlockOperation::LockShared) {
            // File systems without locks: nobody clears anything there.
            Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::BADF | Errno::NOLCK) => {
                Ok(())
            }
            shared => Ok(shared?),
        }
    }

    /// Removes the drafts that killed processes left here; none where somebody makes one.
    fn clear(&self) {
        if !self.is_quiet() {
            return;
        }
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let side = SIDE_FILES.iter().find_map(|suffix| name.to_str()?.strip_suffix(suffix));
            let is_left = match side {
                // Of a draft that is gone; else it goes with it.
                Some(base) => is_draft_name(base.as_ref()) && !self.path.join(base).exists(),
                None => is_draft_name(&name) && (is_of_a_draft(&path) || is_placed(&path)),
            };
            if is_left {
                log::info!("removing {}, which a killed process left", path.display());
                remove(&path);
            }
        }
    }
}

/// Tells whether a file is what a draft may be: empty, or a database as far as it was written, and
/// without another name.
fn is_of_a_draft(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let is_one = |metadata: fs::Metadata| metadata.is_file() && metadata.nlink() == 1;
    if !path.symlink_metadata().is_ok_and(is_one) {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    read.is_ok() && (start.is_empty() || start == MAGIC || start == [0; 16])
}

/// Tells whether a draft was linked to its name, and not to its own alone.
fn is_placed(draft: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| {
        let found = path.symlink_metadata().ok().filter(fs::Metadata::is_file)?;
        Some((found.dev(), found.ino(), found.nlink()))
    };
    // The moment and what follows it.
    let target = draft.with_extension("").with_extension("");
    identity(draft).is_some_and(|draft| draft.2 == 2 && identity(&target) == Some(draft))
}

/// Tells whether a file's name is one that a [`Draft`] has: it ends in the moment, an id that was
/// made here.
pub(super) fn is_draft_name(name: &OsStr) -> bool {
    let moment =
        || name.to_str()?.strip_suffix(".draft")?.rsplit_once('.').map(|(_, moment)| moment);
    let is_moment = |text: &str| {
        text.len() == 32
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            && text[12..].starts_with('7')
            && text[16..].starts_with(['8', '9', 'a', 'b'])
    };
    moment().is_some_and(is_moment)
}

/// Removes the copies of a kind beside `copy` that hold the same to the byte, whichever SQLite
/// wrote them: a process that was killed left them, and one is enough.
pub(super) fn remove_same(copy: &Path) {
    let parts = |name: &OsStr| {
        let (name, kind) = name.to_str()?.rsplit_once('.')?;
        let (name, moment) = name.rsplit_once('.')?;
        let is_made = is_draft_name(format!("x.{moment}.draft").as_ref());
        is_made.then(|| (name.to_owned(), kind.to_owned()))
    };
    let Some(folder) = copy.parent() else { return };
    let own = copy.file_name().and_then(parts);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path != copy && own.is_some() && parts(&entry.file_name()) == own {
            let is_same = is_same_file(&path, copy);
            if is_same.is_ok_and(|is_same| is_same) {
                log::info!("removing {}, which {} is too", path.display(), copy.display());
                remove(&path);
            }
        }
    }
}

/// Where the first bytes of a database say which SQLite wrote it last.
const WRITTEN_BY: Range<usize> = 96..START_BYTES;

/// Tells whether two databases hold the same bytes, but for the SQLite that wrote them.
fn is_same_file(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    let start = |file: &mut BufReader<File>| {
        let mut start = [0; START_BYTES];
        file.read_exact(&mut start)?;
        start[WRITTEN_BY].fill(0);
        io::Result::Ok(start)
    };
    if start(&mut one)? != start(&mut other)? {
        return Ok(false);
    }
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
        one.consume(length);
        other.consume(length);
    }
}

/// A name of a file beside `path` that no other has: it holds the moment.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let moment: String = made_id();
    with_suffix(path, &format!(".{moment}.{what}"))
}

/// What the names end in of databases that a restore replaced, behind the time.
const REPLACED: &str = ".replaced";

/// A second as it stands in names: UTC, and later ones sort later.
pub(super) fn time_in_names(second: i64) -> String {
    let time = jiff::Timestamp::from_second(second).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Tells whether a text is one of [`time_in_names`].
pub(super) fn is_time_in_names(text: &str) -> bool {
    let shape = b"00000000T000000Z";
    text.len() == shape.len()
        && text
            .bytes()
            .zip(shape)
            .all(|(b, s)| if *s == b'0' { b.is_ascii_digit() } else { b == *s })
}

/// The name that a database is kept under that is replaced in this second; the `number`th where
/// earlier ones are taken.
pub(super) fn replaced_name(path: &Path, now_s: i64, number: u32) -> PathBuf {
    let again = if number > 1 { format!("-{number}") } else { String::new() };
    with_suffix(path, &format!(".{}{again}{REPLACED}", time_in_names(now_s)))
}

/// Tells whether `name` is one under which a replaced database at `path` is kept.
pub(super) fn is_replaced_name(name: &OsStr, path: &Path) -> bool {
    let time = || {
        let name = name.to_str()?.strip_prefix(path.file_name()?.to_str()?)?.strip_prefix('.')?;
        name.strip_suffix(REPLACED)
    };
    time().is_some_and(|time| {
        let (time, number) = time.split_once('-').unwrap_or((time, "2"));
        is_time_in_names(time) && number.parse::<u32>().is_ok()
    })
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Sees that names in the folder of `path` are on the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    DraftFolder::open(path)?.lock.sync_all()
}
