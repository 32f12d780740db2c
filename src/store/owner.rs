//! Whose the files of a database are, and who else may put files beside them.
//!
//! SQLite plays a log into the database that it finds beside it, whoever wrote the log. So a folder
//! in which anybody may make files is no place for books, not even a sticky one as /tmp is: there
//! nobody else can take our files away, but anybody can make the log that is not there yet.

use crate::store::draft::with_suffix;
use crate::store::error::{Error, Result};
use nix::unistd::{Gid, Group, Uid, User};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Once;

/// What SQLite and a server keep beside a database, and read.
const BESIDE: [&str; 4] = ["-wal", "-shm", "-journal", "-pages"];
const ROOT: u32 = 0;
const GROUP_MAY_WRITE: u32 = 0o020;
const ANYBODY_MAY_WRITE: u32 = 0o002;

/// Checks that nobody but the user of this process, or root, has a hand in a database. Root may
/// use anybody's, as long as its files are one user's. `file` is no symbolic link.
///
/// # Errors
/// [`Error::AnybodysFolder`] and [`Error::AnothersFile`].
pub(super) fn check(file: &Path) -> Result<()> {
    check_folder(file)?;
    let Ok(metadata) = file.metadata() else {
        // Whoever opens it is told why.
        return Ok(());
    };
    let (this, owner) = (Uid::effective().as_raw(), metadata.uid());
    if owner != this && owner != ROOT && this != ROOT {
        return Err(anothers(file, owner, this));
    }
    let user = if this == ROOT { owner } else { this };
    for beside in BESIDE.map(|suffix| with_suffix(file, suffix)) {
        let owner = beside.symlink_metadata().map_or(user, |metadata| metadata.uid());
        if owner != user && owner != ROOT {
            return Err(anothers(&beside, owner, user));
        }
    }
    Ok(())
}

/// Checks that not anybody may make files beside `file`, and warns where a group may.
///
/// # Errors
/// [`Error::AnybodysFolder`].
pub(super) fn check_folder(file: &Path) -> Result<()> {
    static WARNED: Once = Once::new();
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(metadata) = folder.metadata() else {
        // Whoever makes or opens a file in it is told why.
        return Ok(());
    };
    if metadata.mode() & ANYBODY_MAY_WRITE != 0 {
        return Err(Error::AnybodysFolder(folder.canonicalize().unwrap_or(folder.to_owned())));
    }
    if metadata.mode() & GROUP_MAY_WRITE != 0 && !is_one_users_group(&metadata) {
        WARNED.call_once(|| {
            let group = name_of_group(metadata.gid());
            log::warn!(
                "the group {group} may write in {}, and could put a log of its own beside the \
                 database: `chmod g-w {0}`, unless all of them keep these books",
                folder.display()
            );
        });
    }
    Ok(())
}

/// Tells whether a folder's group is the one that systems make for its owner alone: many let it
/// write in each folder that a user makes.
fn is_one_users_group(folder: &Metadata) -> bool {
    let group = Group::from_gid(Gid::from_raw(folder.gid())).ok().flatten();
    let owner = name_of_user(folder.uid());
    group
        .is_some_and(|group| group.name == owner && group.mem.iter().all(|member| *member == owner))
}

fn anothers(file: &Path, owner: u32, user: u32) -> Error {
    let (owner, user) = (name_of_user(owner), name_of_user(user));
    Error::AnothersFile { path: file.to_owned(), owner, user }
}

/// The name of a user.
pub(super) fn name_of_user(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// The name of a group.
pub(super) fn name_of_group(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| format!("gid {gid}"), |group| group.name)
}
