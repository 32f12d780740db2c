//! Which extension's books these are: systemd runs a server, a backup and a doctor for each one.
//! The first extension's units have no name of their own, those of a further one have its name.

use crate::cli::setup::machine::BOOKS;
use std::path::{Path, PathBuf};

/// An extension that units of systemd serve.
pub(in crate::cli) struct Extension {
    /// The machine's root folder.
    pub(super) root: PathBuf,
    /// `None` for the first one.
    name: Option<String>,
}

impl Extension {
    /// The extension whose books these are, by where they are.
    pub(in crate::cli) fn of_books(books: &Path) -> Option<Self> {
        let books = std::path::absolute(books).ok()?;
        let (folder, file) = BOOKS.rsplit_once('/')?;
        let (root, rest) = books.to_str()?.rsplit_once(&format!("/{folder}/"))?;
        let root = format!("{root}/").into();
        if rest == file {
            return Some(Self { root, name: None });
        }
        let name = rest.strip_suffix(file)?.strip_suffix('/')?;
        (!name.contains('/')).then(|| Self { root, name: Some(name.to_owned()) })
    }

    /// Tells whether it is the one that `setup` sets up.
    pub(in crate::cli) fn is_first(&self) -> bool {
        self.name.is_none()
    }

    /// Its server's unit.
    pub(in crate::cli) fn server(&self) -> String {
        let name = self.name.iter().map(|name| format!("@{name}"));
        "agora-vendor".to_owned() + &name.collect::<String>()
    }

    /// Where its backup's unit puts copies.
    pub(in crate::cli) fn backup_folder(&self) -> String {
        let name = self.name.iter().map(|name| format!("/{name}"));
        "/var/backups/agora-vendor".to_owned() + &name.collect::<String>()
    }

    /// The file of its units' environment, below the root.
    pub(super) fn environment(&self) -> String {
        format!("etc/agora-vendor/{}.env", self.name.as_deref().unwrap_or("agora-vendor"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_an_extensions_by_where_they_are() {
        for (books, root, unit, environment) in [
            ("/var/lib/agora-vendor/agora-vendor.db", "/", "agora-vendor", "agora-vendor.env"),
            ("/m/var/lib/agora-vendor/agora-vendor.db", "/m/", "agora-vendor", "agora-vendor.env"),
            ("/var/lib/agora-vendor/b/agora-vendor.db", "/", "agora-vendor@b", "b.env"),
        ] {
            let extension = Extension::of_books(Path::new(books)).expect("an extension");
            assert_eq!(extension.root, Path::new(root), "{books}");
            assert_eq!(extension.server(), unit, "{books}");
            let copies = unit.replace("agora-vendor", "/var/backups/agora-vendor");
            assert_eq!(extension.backup_folder(), copies.replace('@', "/"), "{books}");
            assert_eq!(extension.environment(), format!("etc/agora-vendor/{environment}"));
            assert_eq!(extension.is_first(), !unit.contains('@'), "{books}");
        }
        for books in [
            "/srv/agora-vendor.db",
            "/var/lib/agora-vendor/second.db",
            "/var/lib/agora-vendor/second-agora-vendor.db",
            "/var/lib/agora-vendor/a/b/agora-vendor.db",
            "/var/lib/agora-vendor//agora-vendor.db/x",
        ] {
            assert!(Extension::of_books(Path::new(books)).is_none(), "{books}");
        }
    }
}
