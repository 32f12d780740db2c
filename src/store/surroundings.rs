//! What is around a database, seen from outside: its files, whose they are, who may read them, and
//! the room on their disk. Nothing is opened: closing the database's file would drop the locks that
//! SQLite has on it.

use crate::store::draft::{BESIDE, with_suffix};
use crate::store::error::{Error, SecondName};
use crate::store::file::FoundFile;
use crate::store::owner;
use crate::store::readiness::free_bytes;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The rights of all others, the owner's group among them.
const OF_OTHERS: u32 = 0o077;
/// What belongs to certificates that the server gets itself.
const ACME: &str = "-acme";

/// Whose a file or a folder is, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRights {
    /// Where it is.
    pub path: PathBuf,
    /// The name of its owner.
    pub owner: String,
    /// The name of its group.
    pub group: String,
    /// Its mode, as of `chmod`.
    pub mode: u32,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Its owner's number.
    uid: u32,
}

impl FileRights {
    fn of(path: PathBuf) -> io::Result<Self> {
        let found: Metadata = path.symlink_metadata()?;
        Ok(Self {
            path,
            owner: owner::name_of_user(found.uid()),
            group: owner::name_of_group(found.gid()),
            mode: found.mode() & 0o7777,
            is_folder: found.is_dir(),
            uid: found.uid(),
        })
    }

    /// Tells whether anybody but its owner may read, write or enter it.
    pub fn is_open_to_others(&self) -> bool {
        self.mode & OF_OTHERS != 0
    }
}

/// What is around a database.
#[derive(Debug)]
pub struct Surroundings {
    /// The database's file.
    pub database: FileRights,
    /// Its folder.
    pub folder: FileRights,
    /// What lies beside it and belongs to it: the log, its index, and what servers keep.
    pub beside: Vec<FileRights>,
    /// Why the file has more than one name; `None` where it has one.
    pub second_name: Option<SecondName>,
    /// How many bytes its disk has free for this user.
    pub free_bytes: u64,
}

impl Surroundings {
    /// Looks at the database that a path leads to.
    ///
    /// # Errors
    /// [`Error::Missing`], and [`Error::NoAccess`] when it cannot be looked at.
    pub fn look(path: &Path) -> Result<Self, Error> {
        let unseen = |error: io::Error| {
            if error.kind() == io::ErrorKind::NotFound {
                Error::Missing(path.to_owned())
            } else {
                Error::NoAccess { path: path.to_owned(), reason: error.to_string() }
            }
        };
        let file = path.canonicalize().map_err(unseen)?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        let acme = {
            let mut name: OsString = file.clone().into_os_string();
            name.push(ACME);
            PathBuf::from(name)
        };
        let names = BESIDE.map(|suffix| with_suffix(&file, suffix)).into_iter().chain([acme]);
        Ok(Self {
            second_name: FoundFile::of(&file).map_err(unseen)?.second_name(),
            folder: FileRights::of(folder).map_err(unseen)?,
            // What is not there is in nobody's hands.
            beside: names.filter_map(|name| FileRights::of(name).ok()).collect(),
            free_bytes: free_bytes(&file).map_err(unseen)?,
            database: FileRights::of(file).map_err(unseen)?,
        })
    }

    /// All of them: the folder, the database, and what lies beside it.
    pub fn all(&self) -> impl Iterator<Item = &FileRights> {
        [&self.folder, &self.database].into_iter().chain(&self.beside)
    }

    /// Those whose owner is not the one who should have them. The database should be its folder's
    /// owner's, unless that is root; what lies beside it, its own owner's.
    pub fn strangers(&self) -> Vec<(&FileRights, &FileRights)> {
        let mut strangers = Vec::new();
        let (folder, database) = (&self.folder, &self.database);
        if folder.uid != 0 && database.uid != folder.uid {
            strangers.push((database, folder));
        }
        let of = if strangers.is_empty() { database } else { folder };
        let beside = self.beside.iter().filter(|beside| beside.uid != of.uid);
        strangers.extend(beside.map(|beside| (beside, of)));
        strangers
    }
}
