//! The file that an import reads, or standard input: its name, its content, and the hash that makes ids of its lines.

use crate::cli::failure::Failure;
use ring::digest;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file by its path; `-` is standard input. Prints as it is called towards the operator.
#[derive(Clone, Copy)]
pub(super) struct Source<'p>(&'p Path);

impl<'p> Source<'p> {
    /// The file at `path`, which is not opened yet.
    ///
    /// # Errors
    /// When it is a folder.
    pub(super) fn new(path: &'p Path) -> Result<Self, Failure> {
        let source = Self(path);
        match path.is_dir() {
            true => Err(source.unreadable(&io::Error::from(io::ErrorKind::IsADirectory))),
            false => Ok(source),
        }
    }

    /// Its content, and how many bytes that is where it is a file that can be read again.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(self) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
        if self.is_stdin() {
            return Ok((Box::new(io::stdin()), None));
        }
        let open = || Ok((self.0.metadata()?, File::open(self.0)?));
        let (metadata, file) = open().map_err(|error| self.unreadable(&error))?;
        Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
    }

    /// The first 16 hexadecimal digits of its SHA-256, and how many bytes of it that is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn hash(self) -> Result<(String, u64), Failure> {
        let (mut file, _) = self.open()?;
        hash(&mut file).map_err(|error| self.unreadable(&error))
    }

    fn is_stdin(self) -> bool {
        self.0.as_os_str() == "-"
    }

    fn unreadable(self, error: &io::Error) -> Failure {
        Failure::failed(format!("{self} cannot be read: {error}"))
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_stdin() {
            true => f.write_str("standard input"),
            false => self.0.display().fmt(f),
        }
    }
}

fn hash(file: &mut impl Read) -> io::Result<(String, u64)> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 128 << 10];
    let mut hashed = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => {
                context.update(&buffer[..count]);
                hashed += u64::try_from(count).unwrap_or(u64::MAX);
            }
        }
    }
    Ok((
        context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
        hashed,
    ))
}
