//! Which database a verb works on: one resolver for all of them.

use crate::cli::failure::Failure;
use crate::store;
use nix::unistd::{Gid, Group, Uid, User};
use std::ffi::OsStr;
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
    /// Whether it was named by the environment, which sudo does not hand on.
    of_environment: bool,
}

impl Database {
    /// Finds the path: as told, else of the environment, else of the service where there is one,
    /// else here.
    pub(super) fn resolve(told: Option<PathBuf>) -> Self {
        let of_environment =
            || std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        match (told, of_environment()) {
            (Some(path), _) => {
                Self { path, because: "named by --db", told: true, of_environment: false }
            }
            (None, Some(path)) => {
                let because = "named by AGORA_VENDOR_DB";
                Self { path, because, told: false, of_environment: true }
            }
            (None, None) if Path::new(SERVICE_DIRECTORY).is_dir() => Self {
                path: Path::new(SERVICE_DIRECTORY).join(FILE_NAME),
                because: "the default, since /var/lib/agora-vendor exists",
                told: false,
                of_environment: false,
            },
            (None, None) => Self {
                path: Path::new(".").join(FILE_NAME),
                because: "the default in this folder",
                told: false,
                of_environment: false,
            },
        }
    }

    /// Which database it is, and why that one.
    pub(super) fn choice(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        format!("the database is {} ({})", path.display(), self.because)
    }

    /// What to do where the file is another user's than its folder, as after `init` by root in the
    /// service's folder by an earlier version; `None` where it is not.
    fn chown_hint(&self) -> Option<String> {
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

    /// The folder that holds the file, or would.
    pub(super) fn folder(&self) -> PathBuf {
        let file = self.path.canonicalize().or_else(|_| std::path::absolute(&self.path));
        let file = file.unwrap_or_else(|_| self.path.clone());
        file.parent().map_or_else(|| "/".into(), Path::to_owned)
    }

    /// The folder in the path as it was named, which may lead there by a link.
    pub(super) fn named_folder(&self) -> PathBuf {
        let file = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        file.parent().map_or_else(|| "/".into(), Path::to_owned)
    }

    /// Tells whether somebody named it.
    pub(super) fn is_named(&self) -> bool {
        self.told || self.of_environment
    }

    /// The path where it has to be named for a process that does not have this environment.
    pub(super) fn named_for_another(&self) -> Option<&Path> {
        self.of_environment.then_some(&self.path)
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
        if self.told {
            let path = quoted(self.path.as_os_str());
            format!("`agora-vendor --db={path} {command}`")
        } else {
            format!("`agora-vendor {command}`")
        }
    }

    /// The same without quotes, as it is typed where the environment is another, as under sudo.
    pub(super) fn command_elsewhere(&self, command: &str) -> String {
        let told = self.told || self.of_environment;
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let elsewhere = Self { path, told, ..*self };
        elsewhere.command(command).trim_matches('`').to_owned()
    }

    /// Says of an error which path it is about, and what to do.
    pub(super) fn explain(&self, error: store::Error) -> Failure {
        let path = self.path.display();
        let because = self.because;
        if let store::Error::File { source, .. } = &error {
            let failure = Failure::failed(format!(
                "{path} ({because}) cannot be made: {source}; name another with --db"
            ));
            let is_denied = source.kind() == std::io::ErrorKind::PermissionDenied;
            return if is_denied { failure.denied() } else { failure };
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
            ))
            .denied();
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

/// A word as a shell reads it, whatever its bytes are: in quotes where it needs them, on one line.
pub(super) fn quoted(word: &OsStr) -> String {
    match word.to_str() {
        Some(word) if !word.chars().any(char::is_control) => shell_quoted(word),
        _ => format!("$'{}'", word.as_encoded_bytes().escape_ascii()),
    }
}

/// The same of a text without control characters.
pub(super) fn shell_quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@%".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_quoted_word_is_one_word_to_a_shell() {
        let words: [&[u8]; 8] = [
            b"plain",
            b"",
            b"two words",
            b"it's",
            b"$HOME `id` \\ \"",
            b"a\nb",
            b"\xff'\xfe\\",
            b"#~*?",
        ];
        for word in words {
            let script = format!("printf %s {}", quoted(OsStr::from_bytes(word)));
            let said = std::process::Command::new("bash").args(["-c", &script]).output();
            assert_eq!(said.expect("bash").stdout, word, "{script}");
        }
    }
}
