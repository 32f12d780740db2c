//! Files that come to stand whole or not at all.

use crate::store::error::{Error, Result};
use crate::store::made_id::made_id;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The files that SQLite keeps beside a database.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes a file out of what `make` puts into an empty draft beside it. The file is on disk,
/// readable by its owner alone, when this returns; when `make` fails, nothing is left. A file that
/// is there already is never touched, not even one that appears meanwhile.
pub(super) fn into_place<E: From<Error>>(
    path: &Path,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let file_error = |source| match path.symlink_metadata() {
        Ok(_) => Error::Exists(path.to_owned()),
        Err(_) => Error::File { path: path.to_owned(), source },
    };
    // Of a database that was moved away without them: SQLite would play them into the new one.
    for left in SIDE_FILES.map(|suffix| with_suffix(path, suffix)) {
        if left.symlink_metadata().is_ok() {
            return Err(Error::LeftBehind(left).into());
        }
    }
    let draft = draft_beside(path);
    // The draft is ours alone: its name holds this process and the moment.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(file_error)?;
    let made = make(&draft).and_then(|()| {
        // Closing its last connection moves everything into the file itself; what had not would be
        // lost.
        if with_suffix(&draft, "-wal").exists() {
            return Err(
                Error::Unsafe("the new file's write-ahead log is still in use".to_owned()).into()
            );
        }
        File::open(&draft).and_then(|file| file.sync_all()).map_err(file_error)?;
        put(&draft, path).map_err(file_error)?;
        sync_directory(path)
            .map_err(|source| Error::Unflushed { path: path.to_owned(), source })?;
        Ok(())
    });
    remove(&draft);
    made
}

/// Gives a file its name, in one step and without replacing what has it. File systems that cannot
/// (NFS, some of FUSE) have the name linked, and the draft's own is removed after it: where that is
/// cut short, whoever opens the file next does it.
fn put(draft: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(draft, path),
        renamed => Ok(renamed?),
    }
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

fn draft_beside(path: &Path) -> PathBuf {
    beside(path, "draft")
}

/// Tells whether a file's name is one that [`draft_beside`] makes.
pub(super) fn is_draft_name(name: &OsStr) -> bool {
    let moment =
        || name.to_str()?.strip_suffix(".draft")?.rsplit_once('.').map(|(_, moment)| moment);
    let is_moment = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    moment().is_some_and(is_moment)
}

/// A name of a file beside `path` that no other has: it holds the moment.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let moment: String = made_id();
    with_suffix(path, &format!(".{moment}.{what}"))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
