//! The machine that is set up: where its books are, and what of it can be written.

use crate::cli::command::Shell;
use crate::cli::failure::Failure;
use crate::cli::setup::flags::Args;
use nix::unistd::{Uid, User};
use rustix::fs::{Access, access};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

/// Where the service's books are, below the root.
pub(super) const BOOKS: &str = "var/lib/agora-vendor/agora-vendor.db";
/// Whose they are.
const USER: &str = "agora-vendor";

/// The machine that is set up.
pub(super) struct Machine {
    pub(super) root: PathBuf,
    pub(super) books: PathBuf,
    /// Whether the books are the service's, and its configuration can be written.
    pub(super) configures: bool,
}

impl Machine {
    pub(super) fn find(args: &Args, shell: &Shell<'_>) -> Self {
        let root = args.root.clone().unwrap_or_else(|| PathBuf::from("/"));
        let of_service = root.join(BOOKS);
        let is_root = Uid::effective().is_root();
        let is_free = !shell.database.is_named();
        // The package has made the user; the folder is made with the books.
        let has_user = is_root && User::from_name(USER).is_ok_and(|user| user.is_some());
        let books = if is_free && (args.root.is_some() || has_user) {
            of_service.clone()
        } else {
            shell.database.path().to_owned()
        };
        let configures = books == of_service && (is_root || args.root.is_some());
        Self { root, books, configures }
    }

    fn folder(&self) -> &Path {
        self.books.parent().unwrap_or(Path::new("."))
    }

    /// Makes the folder of the service's books, for its user alone.
    pub(super) fn make_folder(&self) -> Result<(), Failure> {
        if !self.configures || self.folder().exists() {
            return Ok(());
        }
        let failed = |error: std::io::Error| {
            let folder = self.folder().display();
            Failure::failed(format!("the folder {folder} cannot be made: {error}"))
        };
        let user = User::from_name(USER).ok().flatten().ok_or_else(|| {
            Failure::failed(format!(
                "there is no user {USER}: install the package, or packaging/agora-vendor.sysusers"
            ))
        })?;
        DirBuilder::new().recursive(true).mode(0o700).create(self.folder()).map_err(failed)?;
        chown(self.folder(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(|error| {
            let _removed = fs::remove_dir(self.folder());
            failed(error)
        })
    }

    /// Refuses to go on as somebody who cannot write the books.
    pub(super) fn check_user(&self) -> Result<(), Failure> {
        let denied = access(self.folder(), Access::WRITE_OK | Access::EXEC_OK);
        if Uid::effective().is_root() || denied != Err(rustix::io::Errno::ACCESS) {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "{} is another user's: run it as root (`sudo agora-vendor setup`), which sets up the \
             service too, or name a database of your own with --db",
            self.folder().display()
        )))
    }
}

/// A command on these books as it is typed, by whoever runs this under sudo too.
pub(super) fn command_for(books: &Path, shell: &Shell<'_>, command: &str) -> String {
    let typed = if books == shell.database.path() {
        shell.database.command(command)
    } else {
        format!("`agora-vendor {command}`")
    };
    if Uid::effective().is_root() && std::env::var_os("SUDO_USER").is_some() {
        return typed.replacen('`', "`sudo ", 1);
    }
    typed
}
