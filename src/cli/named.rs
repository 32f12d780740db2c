//! The files that a command line names. Root opens them, and makes the new ones, before it becomes
//! the owner of the books: root may name a file that the owner could not read, or a folder that the
//! owner could not write.
//!
//! What was opened is kept for the process, as its rights are. Where nothing was, as for anybody
//! but root, files are opened when they are needed.

use nix::unistd::Uid;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// A file that a verb was given.
#[derive(Clone, Debug)]
pub(super) enum NamedFile {
    /// It is read.
    Input(PathBuf),
    /// It is made, and must not be there.
    New(PathBuf),
}

impl NamedFile {
    /// Its path, as it was named.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Input(path) | Self::New(path) => path,
        }
    }
}

/// What root opened, or why it could not.
#[derive(Default)]
struct HandedFiles {
    inputs: BTreeMap<PathBuf, io::Result<File>>,
    /// Each until it is taken.
    new: Mutex<BTreeMap<PathBuf, io::Result<File>>>,
}

static OPENED: OnceLock<HandedFiles> = OnceLock::new();

/// Opens and makes files, as root; what is made belongs to `owner` at once.
pub(super) fn open_all(files: Vec<NamedFile>, owner: Uid) {
    let (mut inputs, mut new) = (BTreeMap::new(), BTreeMap::new());
    for file in files {
        match file {
            NamedFile::Input(path) if path.as_os_str() == "-" => {}
            NamedFile::Input(path) => {
                inputs.entry(path).or_insert_with_key(|path| File::open(path));
            }
            NamedFile::New(path) => {
                new.entry(path).or_insert_with_key(|path| make_for(path, owner));
            }
        }
    }
    let is_first = OPENED.set(HandedFiles { inputs, new: Mutex::new(new) });
    debug_assert!(is_first.is_ok(), "a process runs one command");
}

/// The content of a file, from its start. Of a file that is read several times, one reader must
/// have ended before the next one begins.
pub(super) fn open(path: &Path) -> io::Result<File> {
    match OPENED.get().and_then(|opened| opened.inputs.get(path)) {
        None => File::open(path),
        Some(Err(error)) => Err(same(error)),
        Some(Ok(file)) => {
            let mut file = file.try_clone()?;
            match file.rewind() {
                // A pipe, which is read once.
                Err(error) if error.kind() == ErrorKind::NotSeekable => Ok(file),
                rewound => rewound.map(|()| file),
            }
        }
    }
}

/// What is known of a file without reading it.
pub(super) fn metadata(path: &Path) -> io::Result<Metadata> {
    match OPENED.get().and_then(|opened| opened.inputs.get(path)) {
        None => path.metadata(),
        Some(Err(error)) => Err(same(error)),
        Some(Ok(file)) => file.metadata(),
    }
}

/// Makes a new file for its owner alone. Never what is there already: it may be the file that is
/// read, or the books.
pub(super) fn make(path: &Path) -> io::Result<File> {
    made(path)
        .unwrap_or_else(|| File::options().write(true).create_new(true).mode(0o600).open(path))
}

/// The new file that root has made already, if it has; once.
pub(super) fn made(path: &Path) -> Option<io::Result<File>> {
    let opened = OPENED.get()?;
    opened.new.lock().ok()?.remove(path)
}

/// Tells whether root has made a file that nobody took yet.
pub(super) fn is_made(path: &Path) -> bool {
    let new = OPENED.get().and_then(|opened| opened.new.lock().ok());
    new.is_some_and(|new| new.get(path).is_some_and(Result::is_ok))
}

/// Removes the files that were made and that nobody took, since the command failed before. Gives
/// those that cannot be removed: they lie in a folder of root's, and are empty.
pub(super) fn clear() -> Vec<PathBuf> {
    let new = OPENED.get().and_then(|opened| opened.new.lock().ok());
    let Some(mut new) = new else { return Vec::new() };
    let left = std::mem::take(&mut *new).into_iter().filter(|(_, made)| made.is_ok());
    left.map(|(path, _)| path).filter(|path| fs::remove_file(path).is_err()).collect()
}

fn make_for(path: &Path, owner: Uid) -> io::Result<File> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    fchown(&file, Some(owner.as_raw()), None).inspect_err(|_| {
        // The folder is root's to write as yet.
        let _removed = fs::remove_file(path);
    })?;
    Ok(file)
}

/// The same error once more.
fn same(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
