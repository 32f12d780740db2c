//! The file of a page: written beside its place, and put there whole or not at all.

use crate::cli::failure::Failure;
use crate::cli::named;
use crate::cli::rights::started_by;
use nix::unistd::Uid;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::Builder;

/// What every page of ours begins with, up to the name of its month.
pub(super) const START: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"generator\" content=\"agora-vendor report of ";
/// What the names of pages begin and end with that are not in their place yet.
const DRAFT: [&str; 2] = [".report-", ".draft"];
/// What stands behind the name of the month.
pub(super) const BEHIND_MONTH: &str = "\">";

/// Where a page is to stand.
pub(super) struct PageFile {
    /// As it was typed.
    named: PathBuf,
    /// Symbolic links followed to their end.
    target: PathBuf,
    /// Whether a page of the same month stands there.
    is_there: bool,
}

impl PageFile {
    /// Looks whether the page of a month may stand at a path: where nothing does, or a page of the
    /// same month.
    pub(super) fn find(path: &Path, month: &str) -> Result<Self, Failure> {
        let named = path.to_owned();
        if named::is_made(path) {
            return Ok(Self { target: named.clone(), named, is_there: false });
        }
        let target = match path.canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.symlink_metadata().is_ok() {
                    return Err(refused(path, "is a link that leads nowhere"));
                }
                return Ok(Self { target: named.clone(), named, is_there: false });
            }
            Err(error) => return Err(unreadable(path, &error)),
        };
        let metadata = target.metadata().map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            return Err(Failure::failed(format!(
                "{} is not a file: name one with --out, or - for standard output",
                path.display()
            )));
        }
        match month_of(&target).map_err(|error| unreadable(path, &error))? {
            Some(held) if held == month => Ok(Self { named, target, is_there: true }),
            Some(held) => Err(refused(path, &format!("is the report of {held}, and stays"))),
            None => Err(refused(path, "is there and is no report, and stays")),
        }
    }

    /// Writes the page. When this returns it is on the disk, readable by its owner alone; where it
    /// fails, what stood there before still does.
    pub(super) fn write(self, page: &[u8]) -> Result<(), Failure> {
        let name = self.named.display();
        // Root has made it for the owner of the books. The page is put in its place as any other,
        // unless the owner may put nothing there.
        if let Some(Ok(mut made)) = named::made(&self.named)
            && fs::remove_file(&self.named).is_err()
        {
            let written = made.write_all(page).and_then(|()| made.sync_all());
            return written.map_err(|error| {
                Failure::failed(format!(
                    "{name} could not be written, and is no whole page: {error}"
                ))
            });
        }
        let folder = self.place(page).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                refused(&self.named, "has come up meanwhile, and stays")
            } else {
                or_denied(Failure::failed(format!("{name} could not be written: {error}")), &error)
            }
        })?;
        folder.sync_all().map_err(|error| {
            Failure::failed(format!(
                "{name} is written, and may be gone after a power cut, since its folder could not \
                 be flushed ({error}): write it again"
            ))
        })
    }

    /// Writes the page beside its place, and puts it there. Gives the folder.
    fn place(&self, page: &[u8]) -> io::Result<File> {
        let folder = match self.target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let opened = File::open(folder)?;
        // While one process makes a draft here, no other clears any. Some file systems have no
        // locks: nothing is cleared there.
        if flock(&opened, FlockOperation::NonBlockingLockExclusive).is_ok() {
            clear_drafts(folder);
            flock(&opened, FlockOperation::LockShared)?;
        } else {
            let _locked = flock(&opened, FlockOperation::LockShared);
        }
        // Removed where it does not come to stand; its mode is 0600.
        let [before, behind] = DRAFT;
        let mut draft = Builder::new().prefix(before).suffix(behind).tempfile_in(folder)?;
        draft.write_all(page)?;
        draft.as_file().sync_all()?;
        if self.is_there {
            draft.persist(&self.target)?;
        } else {
            draft.persist_noclobber(&self.target)?;
        }
        Ok(opened)
    }
}

/// Removes the pages of a folder that killed processes began.
fn clear_drafts(folder: &Path) {
    let [before, behind] = DRAFT;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let made = name.to_str().and_then(|name| name.strip_prefix(before)?.strip_suffix(behind));
        let is_made = made.is_some_and(|made| made.bytes().all(|b| b.is_ascii_alphanumeric()));
        if is_made && is_begun(&path) {
            // What cannot be removed does no harm.
            let _removed = fs::remove_file(&path);
        }
    }
}

/// Tells whether a file is a page as far as it was written, and has no other name.
fn is_begun(path: &Path) -> bool {
    let is_one = |metadata: fs::Metadata| metadata.is_file() && metadata.nlink() == 1;
    let length = u64::try_from(START.len()).unwrap_or(u64::MAX);
    let read = || {
        let mut start = Vec::new();
        File::open(path)?.take(length).read_to_end(&mut start)?;
        io::Result::Ok(start)
    };
    path.symlink_metadata().is_ok_and(is_one)
        && read().is_ok_and(|start| START.as_bytes().starts_with(&start))
}

/// The month of the page that a file is; `None` where it is none of ours.
fn month_of(file: &Path) -> io::Result<Option<String>> {
    let mut start = Vec::new();
    let length = u64::try_from(START.len() + 32).unwrap_or(u64::MAX);
    fs::File::open(file)?.take(length).read_to_end(&mut start)?;
    let text = String::from_utf8_lossy(&start);
    let month = text.strip_prefix(START).and_then(|rest| rest.split_once(BEHIND_MONTH));
    Ok(month.map(|(month, _)| month.to_owned()))
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::failed(format!(
        "{} {why}: name another file with --out, or remove that one first",
        path.display()
    ))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let failure = format!("{} could not be looked at: {error}", path.display());
    or_denied(Failure::failed(failure), error)
}

/// The same failure, with what to do where it is one of rights.
fn or_denied(failure: Failure, error: &io::Error) -> Failure {
    if error.kind() != io::ErrorKind::PermissionDenied {
        failure
    } else if started_by() == Uid::current() {
        failure.with("name a file in a folder of yours with --out")
    } else {
        // Root makes new files before it becomes the owner.
        failure.with(
            "an older page is replaced as the owner of the books, who may not do that there: \
             remove that page first, or name another file with --out",
        )
    }
}
