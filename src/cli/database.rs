//! Which database a verb works on: one resolver for all of them.

use crate::cli::failure::Failure;
use crate::store;
use nix::unistd::{Gid, Group, Uid, User};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The environment's word for the database.
const VARIABLE: &str = "AGORA_VENDOR_DB";
/// Where the service keeps its database.
const SERVICE_DIRECTORY: &str = "/var/lib/agora-vendor";
const FILE_NAME: &str = "agora-vendor.db";

/// A database's path, and why it is that one.
pub(super) struct Database {
    path: PathBuf,
    because: &'static str,
    /// Whether it was named with --db, and has to be again.
    told: bool,
}

impl Database {
    /// Finds the path: as told, else of the environment, else of the service where there is one,
    /// else here.
    pub(super) fn resolve(told: Option<PathBuf>) -> Self {
        let of_environment =
            || std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        match (told, of_environment()) {
            (Some(path), _) => Self { path, because: "named by --db", told: true },
            (None, Some(path)) => Self { path, because: "named by AGORA_VENDOR_DB", told: false },
            (None, None) if Path::new(SERVICE_DIRECTORY).is_dir() => Self {
                path: Path::new(SERVICE_DIRECTORY).join(FILE_NAME),
                because: "the default, since /var/lib/agora-vendor exists",
                told: false,
            },
            (None, None) => Self {
                path: Path::new(".").join(FILE_NAME),
                because: "the default in this folder",
                told: false,
            },
        }
    }

    /// Which database it is, and why that one.
    pub(super) fn choice(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        format!("the database is {} ({})", path.display(), self.because)
    }

    /// What to do where the file is another user's than its folder, as after `init` by root in the
    /// service's folder; `None` where it is not.
    pub(super) fn chown_hint(&self) -> Option<String> {
        let file = self.path.canonicalize().ok()?;
        let (uid, owner) = (file.metadata().ok()?.uid(), file.parent()?.metadata().ok()?);
        if uid == owner.uid() || uid != 0 {
            return None;
        }
        let user = User::from_uid(Uid::from_raw(owner.uid())).ok().flatten();
        let user = user.map_or_else(|| owner.uid().to_string(), |user| user.name);
        let group = Group::from_gid(Gid::from_raw(owner.gid())).ok().flatten();
        let group = group.map_or_else(|| owner.gid().to_string(), |group| group.name);
        Some(format!(
            "it belongs to root, its folder to {user}: `chown {user}:{group} {}` gives it to \
             {user}",
            shell_quoted(&file.display().to_string())
        ))
    }

    /// Where SQLite keeps its log: beside the file itself, not beside a link to it.
    pub(super) fn log(&self) -> PathBuf {
        let linked = self.path.is_symlink().then(|| self.path.canonicalize().ok()).flatten();
        let mut name = linked.unwrap_or_else(|| self.path.clone()).into_os_string();
        name.push("-wal");
        name.into()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A command of ours as it is typed, in quotes; it names this database where it had to be
    /// named.
    pub(super) fn command(&self, command: &str) -> String {
        match self.path.to_str() {
            _ if !self.told => format!("`agora-vendor {command}`"),
            Some(path) => format!("`agora-vendor --db={} {command}`", shell_quoted(path)),
            None => {
                let path = self.path.as_os_str().as_encoded_bytes().escape_ascii();
                format!("`agora-vendor --db=$'{path}' {command}`")
            }
        }
    }

    /// The same without quotes, as it is typed where the environment is another, as under sudo.
    pub(super) fn command_elsewhere(&self, command: &str) -> String {
        let told = self.told || std::env::var_os(VARIABLE).is_some();
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let elsewhere = Self { path, because: self.because, told };
        elsewhere.command(command).trim_matches('`').to_owned()
    }

    /// Says of an error which path it is about, and what to do.
    pub(super) fn explain(&self, error: store::Error) -> Failure {
        let path = self.path.display();
        let because = self.because;
        if let store::Error::File { source, .. } = &error {
            return Failure::failed(format!(
                "{path} ({because}) cannot be made: {source}; name another with --db"
            ));
        }
        if let (store::Error::NoAccess { reason, .. }, Some(hint)) = (&error, self.chown_hint()) {
            return Failure::failed(format!("{path} cannot be opened: {reason}; {hint}"));
        }
        if matches!(error, store::Error::Missing(_) | store::Error::Exists(_))
            && let Ok(target) = std::fs::read_link(&self.path)
            && !self.path.exists()
        {
            return Failure::failed(format!(
                "{path} ({because}) is a symbolic link to {}, and there is nothing: name the file \
                 itself with --db",
                target.display()
            ));
        }
        if matches!(error, store::Error::ReadOnly) {
            return Failure::failed(format!(
                "{path} ({because}) is read-only: run as the user who owns it, or let that user \
                 write to the file and its folder"
            ));
        }
        if matches!(error, store::Error::Missing(_)) {
            let missing =
                format!("there is no database at {path} ({because}): name another with --db");
            return Failure::failed(missing).hint("init", "creates one");
        }
        let advice = if matches!(error, store::Error::Exists(_)) {
            format!(
                "{path} ({because}) exists already and is never overwritten: use it as it is, or \
                 name another with --db"
            )
        } else if matches!(error, store::Error::NotOurs(_)) {
            format!(
                "{path} ({because}) is not an agora-vendor database: name the right file with --db"
            )
        } else {
            return error.into();
        };
        Failure::failed(advice)
    }
}

/// A word as a shell reads it: in quotes where it needs them.
pub(super) fn shell_quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@%".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
