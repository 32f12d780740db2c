//! The file of a database: one file under one name, looked at before SQLite opens it.
//!
//! SQLite finds the write-ahead log by the path of the file. A file with two names has two logs,
//! and what is committed to one of them is lost by the other.

use crate::store::draft::{
    BESIDE, DraftFolder, is_draft_name, is_replaced_name, sync_directory, with_suffix,
};
use crate::store::error::{Error, Result, SecondName};
use rustix::fs::{Access, AtFlags, CWD, StatxAttributes, StatxFlags, access, statx};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that a path leads to, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundFile {
    /// Device and inode: which file it is, whatever its name.
    pub(super) identity: (u64, u64),
    second_name: Option<SecondName>,
    is_file: bool,
}

impl FoundFile {
    /// Looks at what the path leads to: one call of the system, and the file is not opened.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mask = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::NLINK;
        let Ok(found) = statx(CWD, path, AtFlags::empty(), mask) else {
            // Systems without statx (Linux before 4.11, some sandboxes), and whatever else is
            // wrong.
            return path.metadata().map(|metadata| Self::from(&metadata));
        };
        let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        let is_file = rustix::fs::FileType::from_raw_mode(found.stx_mode.into()).is_file();
        // Where the system does not tell, the attribute is not set.
        let is_mounted = found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        let second_name = if is_file && is_mounted {
            Some(SecondName::Mount)
        } else {
            second_link(u64::from(found.stx_nlink))
        };
        Ok(Self { identity: (device, found.stx_ino), second_name, is_file })
    }

    /// Why the file has more than one name; `None` where it has one.
    pub(super) fn second_name(&self) -> Option<SecondName> {
        self.second_name.filter(|_| self.is_file)
    }
}

impl From<&Metadata> for FoundFile {
    fn from(metadata: &Metadata) -> Self {
        Self {
            identity: (metadata.dev(), metadata.ino()),
            second_name: second_link(metadata.nlink()),
            is_file: metadata.is_file(),
        }
    }
}

fn second_link(links: u64) -> Option<SecondName> {
    (links > 1).then_some(SecondName::Links(links))
}

/// Refuses what SQLite would take for something else than a path.
pub(super) fn refuse_no_path(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes == b":memory:" || bytes.starts_with(b"file:") {
        return Err(Error::NoPath(path.to_owned()));
    }
    Ok(())
}

/// The file that a path leads to, by the one name that it has: symbolic links are followed to their
/// end. A draft that was linked into place, and whose own name was not removed since, is removed
/// now, and a restore that was cut short is taken back.
pub(super) fn find(path: &Path) -> Result<PathBuf> {
    find_standing(path).map(|(file, _)| file)
}

/// The same, and the file as it is now.
pub(super) fn find_standing(path: &Path) -> Result<(PathBuf, FoundFile)> {
    refuse_no_path(path)?;
    let unreadable = |error: io::Error| {
        let path = path.to_owned();
        if error.kind() == io::ErrorKind::NotFound {
            Error::Missing(path)
        } else {
            Error::NoAccess { path, reason: error.to_string() }
        }
    };
    let file = path.canonicalize().map_err(unreadable)?;
    let mut standing = FoundFile::of(&file).map_err(unreadable)?;
    if !standing.is_file {
        return Err(Error::NotOurs(path.to_owned()));
    }
    if standing.second_name().is_some() {
        if !take_back_restore(&file, standing.identity) {
            return Err(Error::Changed(path.to_owned()));
        }
        remove_linked_drafts(&file, standing.identity);
        standing = FoundFile::of(&file).map_err(unreadable)?;
    }
    match standing.second_name() {
        Some(why) => Err(Error::SecondName { path: path.to_owned(), why }),
        None => Ok((file, standing)),
    }
}

/// The other names of a file beside it, as far as `is_ours` knows them.
fn other_names(
    file: &Path,
    identity: (u64, u64),
    is_ours: impl Fn(&OsStr) -> bool,
) -> Vec<PathBuf> {
    let is_same = |name: &PathBuf| {
        let found = name.symlink_metadata();
        found.is_ok_and(|found| found.is_file() && FoundFile::from(&found).identity == identity)
    };
    let entries = file.parent().and_then(|folder| fs::read_dir(folder).ok());
    let entries = entries.into_iter().flatten().flatten();
    let ours = entries.filter(|entry| is_ours(&entry.file_name())).map(|entry| entry.path());
    ours.filter(|name| name != file && is_same(name)).collect()
}

/// Removes the names of drafts beside a file that lead to the file itself, and no others.
fn remove_linked_drafts(file: &Path, identity: (u64, u64)) {
    for name in other_names(file, identity, is_draft_name) {
        match fs::remove_file(&name) {
            Ok(()) => log::warn!("removed {}, a draft's name of the database", name.display()),
            Err(error) => log::warn!("cannot remove {}: {error}", name.display()),
        }
    }
}

/// Takes back what a restore did that was killed before the backup was in the place of the file: it
/// had given the file the name under which it was to be kept, and had moved what lies beside it.
/// Gives false where a restore may be at work.
fn take_back_restore(file: &Path, identity: (u64, u64)) -> bool {
    let is_replaced = |name: &OsStr| is_replaced_name(name, file);
    if other_names(file, identity, is_replaced).is_empty() {
        return true;
    }
    // A restore holds the folder from before its first step until its end.
    let Some(_folder) = DraftFolder::open(file).ok().filter(DraftFolder::is_quiet) else {
        return false;
    };
    for kept in other_names(file, identity, is_replaced) {
        take_back(&kept, file);
    }
    true
}

/// Gives back to a file what a restore has moved that did not come to its end: first what lies
/// beside it, since nobody opens the file while it has two names, or none.
pub(super) fn take_back(kept: &Path, file: &Path) {
    let (kept_as, stands) = (FoundFile::of(kept).ok(), FoundFile::of(file).ok());
    let is_same = kept_as.map(|kept| kept.identity) == stands.map(|stands| stands.identity);
    if stands.is_some() && !is_same {
        // The backup stands there by now: the old log would spoil it.
        return;
    }
    let give_back = |suffix| {
        let (from, to) = (with_suffix(kept, suffix), with_suffix(file, suffix));
        if from.symlink_metadata().is_ok() && to.symlink_metadata().is_err() {
            fs::rename(from, to)
        } else {
            Ok(())
        }
    };
    let taken_back = BESIDE.into_iter().try_for_each(give_back).and_then(|()| {
        sync_directory(file)?;
        match (kept_as, stands) {
            (Some(_), Some(_)) => fs::remove_file(kept),
            // It was renamed, where there are no hard links.
            (Some(_), None) => fs::rename(kept, file),
            (None, _) => Ok(()),
        }
    });
    match taken_back {
        Ok(()) => log::warn!("took back a restore of {} that was cut short", file.display()),
        Err(error) => log::warn!("cannot take back a restore that was cut short: {error}"),
    }
}

/// The file that is at a path, or would be made there, by the one name that it has.
pub(super) fn find_place(path: &Path) -> Result<PathBuf> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file_error = |source| Error::File { path: path.to_owned(), source };
            let name = path.file_name().ok_or_else(|| Error::NoPath(path.to_owned()))?;
            let path = std::path::absolute(path).map_err(file_error)?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            Ok(folder.canonicalize().map_err(file_error)?.join(name))
        }
        _ => find(path),
    }
}

/// A file that nobody writes while it is read: it is looked at before and after.
#[derive(Debug)]
pub(super) struct Frozen {
    file: PathBuf,
    log: PathBuf,
    before: Option<Look>,
}

/// What changes where a file is written.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    identity: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Frozen {
    /// The file, where its folder may only be read.
    pub(super) fn new(file: &Path) -> Option<Self> {
        access(file.parent()?, Access::WRITE_OK).is_err().then(|| Self::trusted(file))
    }

    /// A file that lies still, as a backup does: nobody who keeps to the rules writes it.
    pub(super) fn trusted(file: &Path) -> Self {
        Self { file: file.to_owned(), log: with_suffix(file, "-wal"), before: look(file) }
    }

    /// The log that lies beside the file, where there is one.
    pub(super) fn log(&self) -> Option<&Path> {
        self.log.symlink_metadata().is_ok().then_some(&*self.log)
    }

    /// Tells whether nobody has written the file since.
    pub(super) fn still(&self) -> bool {
        self.log().is_none() && self.before.is_some() && look(&self.file) == self.before
    }

    /// The file's address for SQLite.
    pub(super) fn address(&self) -> String {
        immutable_address(&self.file)
    }
}

/// The log beside a file, where it holds anything.
pub(super) fn log_beside(path: &Path) -> Option<PathBuf> {
    let log = with_suffix(&path.canonicalize().ok()?, "-wal");
    log.metadata().is_ok_and(|metadata| metadata.len() > 0).then_some(log)
}

/// The address for SQLite of a file that nobody writes: it takes no lock and looks for no log.
pub(super) fn immutable_address(file: &Path) -> String {
    use std::fmt::Write;
    let mut address = "file:".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
            byte => write!(address, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    address + "?immutable=1"
}

fn look(file: &Path) -> Option<Look> {
    let metadata = file.metadata().ok()?;
    Some(Look {
        identity: (metadata.dev(), metadata.ino()),
        len: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}
