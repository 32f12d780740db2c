//! `backup`: a copy of the books.

use crate::cli::clock::now_s;
use crate::cli::command::Shell;
use crate::cli::database::quoted;
use crate::cli::failure::{Exit, Failure};
use crate::cli::import::STEPS_BACK;
use crate::cli::named::{self, NamedFile};
use crate::store::backup::{self, BackupMade};
use crate::store::copies::{self, Pruning};
use crate::store::{self, Error, Store};
use nix::unistd::{Uid, User};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use serde_json::json;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Write a consistent copy of the database to a new file
///
/// Safe while serving. The copy is checked, and is a database of its own: `restore` puts it in the
/// place of another, and --db FILE works on it. It holds the secrets, as the database does. If it
/// is interrupted, FILE is not there, and the next backup into its folder removes what is left of
/// it.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor backup --dir /var/backups/agora-vendor --keep 30")]
pub(super) struct Args {
    /// The new file
    #[arg(required_unless_present = "dir", conflicts_with = "dir")]
    file: Option<PathBuf>,

    /// A folder in which the copy is named by its time (UTC): agora-vendor-20261123T020000Z.db
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,

    /// Keep this many of the copies in the folder, the newest, and remove the others that --dir
    /// named
    #[arg(long, value_name = "NUMBER", requires = "dir", conflicts_with = "file",
        value_parser = at_least_one)]
    keep: Option<usize>,
}

impl Args {
    /// The files that are named.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        self.file.iter().cloned().map(NamedFile::New).collect()
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "it must be a whole number, at least 1".to_owned())
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if let Err(error) = rustix::process::nice(STEPS_BACK) {
        log::debug!("a backup has the priority of all else: {error}");
    }
    let mut store = shell.open()?;
    match (&args.file, &args.dir) {
        (Some(file), _) => {
            copy(&mut store, file, shell)?;
            let file = file.display().to_string();
            shell.print(&json!({ "file": file }), |out| writeln!(out, "copied to {file}"))?;
        }
        (None, Some(folder)) => into_folder(&mut store, folder, args.keep, shell)?,
        (None, None) => return Err(Failure::words("name the new file, or a folder with --dir")),
    }
    Ok(Exit::Done)
}

/// Makes the copy, and keeps in the books that it was made, so that `doctor` knows. A copy is made
/// where that cannot be kept, too.
fn copy(store: &mut Store, file: &Path, shell: &mut Shell<'_>) -> Result<(), Failure> {
    let at_s = now_s();
    into_file(store, file)?;
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let bytes = file.metadata().map_or(0, |found| found.len());
    let stamp = shell.stamp();
    match store.write(|tx| backup::keep(tx, &BackupMade { at_s, path, bytes }, &stamp)) {
        // Whoever may only read the books makes copies of them all the same.
        Ok(()) | Err(Error::OnlyRead(_) | Error::ReadOnly | Error::ReadOnlyDisk(_)) => {}
        Err(error) => shell.note(&format!(
            "the copy {} is made; the database could not take note of it, so `doctor` does not \
             know of it: {error}",
            file.display()
        )),
    }
    Ok(())
}

/// Writes a file. One that root has made for the owner of the books is made anew, since that is
/// whole or not there at all; where the owner may make none in the folder, it is filled as it is.
fn into_file(store: &mut Store, path: &Path) -> Result<(), Failure> {
    match named::made(path) {
        Some(Ok(made)) if fs::remove_file(path).is_err() => backup::write_into(store, &made, path)
            .map_err(|error| {
                let left = format!("{} is left empty: remove it", path.display());
                Failure::from(error).with(&left)
            }),
        Some(Err(error)) if error.kind() == ErrorKind::AlreadyExists => {
            Err(store::Error::Exists(path.to_owned()).into())
        }
        Some(Err(source)) => Err(store::Error::File { path: path.to_owned(), source }.into()),
        Some(Ok(_)) | None => Ok(backup::write(store, path)?),
    }
}

fn into_folder(
    store: &mut Store,
    folder: &Path,
    keep: Option<usize>,
    shell: &mut Shell<'_>,
) -> Result<(), Failure> {
    let is_hidden = match folder.metadata() {
        Ok(found) if found.is_dir() => false,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => true,
        Ok(_) | Err(_) => {
            let user = Uid::effective();
            let found = User::from_uid(user).ok().flatten();
            let owner = found.map_or_else(|| user.to_string(), |user| user.name);
            return Err(Failure::failed(format!(
                "{0} is not a folder: create it first, for the owner of the books: `install -d -m \
                 700 -o {1} {2}`",
                folder.display(),
                quoted(owner.as_ref()),
                quoted(folder.as_os_str())
            )));
        }
    };
    if is_hidden {
        return Err(Failure::failed(format!(
            "{} cannot be reached by the owner of the books, who makes and removes the copies: \
             name another folder",
            folder.display()
        )));
    }
    if access(folder, Access::WRITE_OK | Access::EXEC_OK) == Err(Errno::ACCESS) {
        return Err(Failure::failed(format!(
            "{} cannot be written by the owner of the books, who makes and removes the copies: \
             `chown --reference={} {}` gives it to that user",
            folder.display(),
            quoted(shell.database.folder().as_os_str()),
            quoted(folder.as_os_str())
        )));
    }
    let file = folder.join(copies::name(shell.database.path(), shell.now_s));
    copy(store, &file, shell)?;
    let pruned = keep.map(|keep| copies::prune(store, &file, keep)).transpose();
    let pruned = pruned.map_err(|error| {
        Failure::from(error).with(&format!("the copy {} is made", file.display()))
    })?;
    // Without --keep nothing is removed.
    let Pruning { removed, left } = pruned.unwrap_or_default();
    let text = |path: &PathBuf| path.display().to_string();
    let removed: Vec<String> = removed.iter().map(text).collect();
    let left_names: Vec<String> = left.iter().map(|(path, _)| text(path)).collect();
    let document = json!({ "file": text(&file), "removed": removed, "left": left_names });
    shell.print(&document, |out| {
        writeln!(out, "copied to {}", file.display())?;
        removed.iter().try_for_each(|path| writeln!(out, "removed {path}"))
    })?;
    for (path, reason) in left {
        shell.note(&format!("{} is left: {reason}", path.display()));
    }
    Ok(())
}
