//! Copies of the books in a folder, each named by its time, of which the newest are kept.

use crate::store::draft::{self, is_time_in_names, time_in_names};
use crate::store::{Error, Result, Store, file, schema, sound};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What became of the older copies in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Those that were removed.
    pub removed: Vec<PathBuf>,
    /// Those that have such a name, and were left; each with the reason.
    pub left: Vec<(PathBuf, String)>,
}

/// The name of a copy that is made in this second: later ones sort later.
pub fn name(books: &Path, now_s: i64) -> String {
    format!("{}-{}.db", stem(books), time_in_names(now_s))
}

/// What the names of all copies of these books begin with.
fn stem(books: &Path) -> String {
    let file = books.canonicalize().unwrap_or_else(|_| books.to_owned());
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Removes the copies beside `newest` that [`name`] named, but for the newest ones: `keep` with
/// `newest` itself, which stays whatever the clock said. Files of other names are not touched, nor
/// copies of other books, nor what is open or cannot be read.
///
/// # Errors
/// When the folder cannot be read, or a copy cannot be removed.
pub fn prune(store: &Store, newest: &Path, keep: usize) -> Result<Pruning> {
    let folder = newest.parent().unwrap_or(Path::new("."));
    let file_error = |path: &Path, source| Error::File { path: path.to_owned(), source };
    let start = format!("{}-", stem(&store.path));
    let is_copy = |name: &str| {
        let time = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".db"));
        time.is_some_and(is_time_in_names)
    };
    let mut copies = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| file_error(folder, source))? {
        let entry = entry.map_err(|source| file_error(folder, source))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let path = folder.join(entry.file_name());
        if is_file && entry.file_name().to_str().is_some_and(is_copy) && path != newest {
            copies.push(path);
        }
    }
    // Their names sort as their times do.
    copies.sort_unstable();
    let keys = keys(&store.connection)?;
    let (mut pruning, mut kept) = (Pruning::default(), 1);
    for copy in copies.into_iter().rev() {
        if let Some(reason) = reason_to_leave(&copy, &keys) {
            pruning.left.push((copy, reason));
        } else if kept < keep {
            kept += 1;
        } else {
            fs::remove_file(&copy).map_err(|source| file_error(&copy, source))?;
            // What a reader left beside it.
            draft::remove(&copy);
            pruning.removed.push(copy);
        }
    }
    pruning.removed.sort_unstable();
    Ok(pruning)
}

/// Why a file that has the name of a copy is not one of these books that may be removed; `None`
/// where it may. Books never lose a key, and each have a test key that was made for them: so a copy
/// holds no key that its books lack.
fn reason_to_leave(copy: &Path, known: &BTreeSet<String>) -> Option<String> {
    if file::log_beside(copy).is_some() {
        return Some("a log lies beside it".to_owned());
    }
    let read = || -> Result<BTreeSet<String>> {
        let connection = sound::open_still(copy)?;
        schema::version(&connection, copy)?;
        keys(&connection)
    };
    match read() {
        Ok(keys) if keys.is_empty() || !keys.is_subset(known) => {
            Some("it is of other books".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// The keys of books of any version, revoked ones too.
fn keys(connection: &Connection) -> Result<BTreeSet<String>> {
    const SELECT: &str = "select api_key from api_key";
    let mut select = connection.prepare(SELECT)?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}
