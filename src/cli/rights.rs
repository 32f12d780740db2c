//! As whom a command works on the books: as the owner of their folder, and nobody else.
//!
//! Root opens the files that were named, and then becomes the owner, for good, before it opens the
//! books: so what is made is the owner's, and nothing that lies beside the books is read with
//! root's rights. Anybody else is told the command that does it as the owner.

use crate::cli::database::{Database, quoted};
use crate::cli::failure::Failure;
use crate::cli::named::{self, NamedFile};
use nix::unistd::{self, Gid, Uid, User};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::ffi::{CString, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

/// Who started this process, where it has become another user since.
static STARTED_BY: OnceLock<Uid> = OnceLock::new();

/// Who started this process: its user, or who it was before it became the owner of the books.
pub(super) fn started_by() -> Uid {
    STARTED_BY.get().copied().unwrap_or_else(Uid::current)
}

/// Lets root become the owner of the folder of the books; first it opens the files that were named.
/// Nothing is done for anybody else, nor where the folder is root's own.
pub(super) fn become_owner(database: &Database, files: Vec<NamedFile>) -> Result<(), Failure> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let (folder, named_folder) = (database.folder(), database.named_folder());
    // Where it is not there, whoever opens or makes the books says so.
    let Ok(metadata) = folder.metadata() else { return Ok(()) };
    let owner = Uid::from_raw(metadata.uid());
    if owner.is_root() {
        return Ok(());
    }
    named::open_all(files, owner);
    // Wherever root was before: the last of the two is who typed.
    let _is_first = STARTED_BY.set(Uid::current());
    become_user(owner, Gid::from_raw(metadata.gid())).map_err(|error| {
        Failure::failed(format!(
            "root cannot become {}, to whom {} belongs: {error}",
            name(owner),
            folder.display()
        ))
    })?;
    match barred(&folder).or_else(|| barred(&named_folder)) {
        Some(barred) => Err(may_not_enter(barred, owner)),
        None => Ok(()),
    }
}

/// The first folder on the way to one that this user may not enter.
fn barred(folder: &Path) -> Option<&Path> {
    let mut way: Vec<&Path> = folder.ancestors().collect();
    way.reverse();
    way.into_iter().find(|folder| access(*folder, Access::EXEC_OK) == Err(Errno::ACCESS))
}

/// What root is told where the owner of the books, as whom it works, may not enter a folder.
fn may_not_enter(folder: &Path, owner: Uid) -> Failure {
    let right = folder.metadata().map_or("o+x", |metadata| {
        let group = Gid::from_raw(metadata.gid());
        let groups = unistd::getgroups().unwrap_or_default();
        if metadata.uid() == owner.as_raw() {
            "u+x"
        } else if group == Gid::effective() || groups.contains(&group) {
            "g+x"
        } else {
            "o+x"
        }
    });
    let (owner, path) = (name(owner), quoted(folder.as_os_str()));
    Failure::failed(format!(
        "the owner of the books, {owner}, may not enter {}: `chmod {right} {path}` allows it, or \
         move the books to a folder that {owner} can reach",
        folder.display()
    ))
}

/// Becomes a user, with the user's groups and no others, for good.
fn become_user(user: Uid, group_of_folder: Gid) -> nix::Result<()> {
    match User::from_uid(user)?.and_then(|found| Some((CString::new(found.name).ok()?, found.gid)))
    {
        Some((name, group)) => {
            unistd::initgroups(&name, group)?;
            unistd::setresgid(group, group, group)?;
        }
        // The system does not know the user, as in a container: never root's own group.
        None => {
            let own = Gid::from_raw(user.as_raw());
            let group = if group_of_folder.as_raw() == 0 { own } else { group_of_folder };
            unistd::setgroups(&[group])?;
            unistd::setresgid(group, group, group)?;
        }
    }
    unistd::setresuid(user, user, user)
}

/// The owner of the folder of the books, and `sudo` as that user; `None` where that is this user.
pub(super) fn sudo(folder: &Path) -> Option<(Uid, String)> {
    // The folder may lie in one that only the owner may enter.
    let metadata = folder.ancestors().find_map(|folder| folder.metadata().ok())?;
    let owner = Uid::from_raw(metadata.uid());
    if owner == Uid::effective() {
        return None;
    }
    if owner.is_root() {
        return Some((owner, "sudo".to_owned()));
    }
    let user = User::from_uid(owner).ok().flatten();
    let user = user.map_or_else(|| format!("#{owner}"), |user| user.name);
    Some((owner, format!("sudo -u {}", quoted(user.as_ref()))))
}

/// The command that does the same as the owner of the books, in words; as root where it names
/// files, which the owner might not reach. `None` where the folder of the books is this user's.
/// `database` is the path where it has to be named, since sudo drops the variable that did.
pub(super) fn as_owner(
    folder: &Path,
    database: Option<&Path>,
    arguments: &[OsString],
    files: &[NamedFile],
) -> Option<String> {
    let (owner, sudo) = sudo(folder)?;
    let owner = name(owner);
    if files.iter().all(|file| file.path().as_os_str() == "-") {
        let typed = typed(&sudo, database, arguments);
        return Some(format!("the books belong to {owner}: run it as {owner}: {typed}"));
    }
    let typed = typed("sudo", database, arguments);
    Some(format!(
        "the books belong to {owner}: run it as root, which opens the files that are named, and \
         the books as {owner}: {typed}"
    ))
}

/// The same as root, where a file that was named is closed to this user.
pub(super) fn as_root(
    database: Option<&Path>,
    arguments: &[OsString],
    files: &[NamedFile],
) -> Option<String> {
    let is_closed = files.iter().any(|file| match file {
        NamedFile::Input(path) => access(path, Access::READ_OK) == Err(Errno::ACCESS),
        NamedFile::New(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK) == Err(Errno::ACCESS)
        }
    });
    // Who became another by now is root, and opened them.
    if !is_closed || started_by().is_root() {
        return None;
    }
    let typed = typed("sudo", database, arguments);
    Some(format!("root opens the files that are named: {typed}"))
}

/// The command line again, behind `sudo`.
fn typed(sudo: &str, database: Option<&Path>, arguments: &[OsString]) -> String {
    let executable = arguments.first().map_or("agora-vendor".as_ref(), OsString::as_os_str);
    let is_path = executable.as_encoded_bytes().contains(&b'/');
    let executable = quoted(if is_path { executable } else { "agora-vendor".as_ref() });
    let mut words = vec![sudo.to_owned(), executable];
    if let Some(database) = database {
        words.push(format!("--db={}", quoted(database.as_os_str())));
    }
    words.extend(arguments.iter().skip(1).map(|argument| quoted(argument)));
    words.join(" ")
}

fn name(user: Uid) -> String {
    let found = User::from_uid(user).ok().flatten();
    found.map_or_else(|| format!("uid {user}"), |user| user.name)
}
