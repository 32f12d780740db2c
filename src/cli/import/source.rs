//! The file that an import reads, or standard input: its name and its content.

use crate::cli::failure::Failure;
use crate::cli::named;
use std::fmt;
use std::fs::Metadata;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// A file by its path; `-` is standard input. Prints as it is called towards the operator.
#[derive(Clone, Copy)]
pub(super) struct ImportSource<'p>(&'p Path);

impl<'p> ImportSource<'p> {
    /// The file at `path`, which is not opened yet.
    ///
    /// # Errors
    /// When it is a folder.
    pub(super) fn new(path: &'p Path) -> Result<Self, Failure> {
        let source = Self(path);
        if named::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(source.unreadable(&io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Ok(source)
    }

    /// Its content.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(self) -> Result<Box<dyn Read + Send>, Failure> {
        if self.is_stdin() {
            return Ok(Box::new(io::stdin()));
        }
        let file = named::open(self.0).map_err(|error| self.unreadable(&error))?;
        Ok(Box::new(file))
    }

    /// Checks that there is such a file, without reading of it.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn check(self) -> Result<(), Failure> {
        if self.is_stdin() {
            return Ok(());
        }
        named::metadata(self.0).map(|_| ()).map_err(|error| self.unreadable(&error))
    }

    /// How many bytes it has, where it is a file that can be read again.
    pub(super) fn size(self) -> Option<u64> {
        let metadata = named::metadata(self.0).ok().filter(Metadata::is_file)?;
        (!self.is_stdin()).then_some(metadata.len())
    }

    /// Whether somebody may be typing it.
    pub(super) fn is_terminal(self) -> bool {
        self.is_stdin() && io::stdin().is_terminal()
    }

    pub(super) fn is_stdin(self) -> bool {
        self.0.as_os_str() == "-"
    }

    fn unreadable(self, error: &io::Error) -> Failure {
        Failure::failed(format!("{self} cannot be read: {error}"))
    }
}

impl fmt::Display for ImportSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_stdin() {
            return f.write_str("standard input");
        }
        self.0.display().fmt(f)
    }
}
