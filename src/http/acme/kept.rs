//! What is kept of ACME beside the database, for its owner alone: the key of the account, and the
//! certificate in use with its key. Each authority has a folder of its own, so that a certificate
//! of a test is never taken for a real one.

use crate::http::tls::{self, Certificate};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The certificate, those that sign it and its key: one file, so that they change at once.
const CERTIFICATE: &str = "certificate.pem";
const ACCOUNT: &str = "account.pem";

/// A folder of what is kept.
pub(super) struct AcmeFolder {
    folder: PathBuf,
}

impl AcmeFolder {
    /// The folder beside a database for an authority, made where it is not there.
    pub(super) fn open(database: &Path, directory: &str) -> io::Result<Self> {
        let folder = folder(database, directory)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// The certificate's file.
    pub(super) fn certificate_file(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// The certificate that is kept, if one is.
    pub(super) fn certificate(&self) -> Result<Option<Certificate>, tls::Error> {
        let file = self.certificate_file();
        if !file.exists() {
            return Ok(None);
        }
        Certificate::read(&file, &file).map(Some)
    }

    /// Keeps a certificate with its key in the place of the one before.
    pub(super) fn keep(&self, chain: &str, key: &str) -> io::Result<()> {
        self.write(CERTIFICATE, format!("{key}{chain}").as_bytes())
    }

    /// The file of the account's key.
    pub(super) fn account_file(&self) -> PathBuf {
        self.folder.join(ACCOUNT)
    }

    /// The account's key, as PEM, if there is one.
    pub(super) fn account(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.account_file()) {
            Ok(key) => Ok(Some(key)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the account's key.
    pub(super) fn keep_account(&self, key: &str) -> io::Result<()> {
        self.write(ACCOUNT, key.as_bytes())
    }

    /// Tells whether something can be kept. It is asked before a certificate is ordered: one that
    /// is lost with the process counts for the authority all the same.
    pub(super) fn try_to_write(&self) -> io::Result<()> {
        let draft = self.draft("probe");
        let written = write_new(&draft, &[0; 16 << 10]);
        fs::remove_file(&draft).and(written)
    }

    /// Writes a file whole, or not at all.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let draft = self.draft(name);
        let written = write_new(&draft, content)
            .and_then(|()| fs::rename(&draft, self.folder.join(name)))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if written.is_err() {
            // What is wrong has been found out already.
            let _gone = fs::remove_file(&draft);
        }
        written
    }

    /// A name of this process's own.
    fn draft(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{}.draft", std::process::id()))
    }
}

/// Writes a file for its owner alone, down to the disk.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    // One that a killed process of the same number left.
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The files of the certificates that are kept beside a database, of whatever authority.
pub(super) fn certificates(database: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(beside(database)?) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let files: io::Result<Vec<PathBuf>> =
        entries.map(|entry| Ok(entry?.path().join(CERTIFICATE))).collect();
    Ok(files?.into_iter().filter(|file| file.exists()).collect())
}

/// The folder beside a database, where its file really lies.
fn beside(database: &Path) -> io::Result<PathBuf> {
    let database = fs::canonicalize(database)?;
    let mut name = OsString::from(database.file_name().unwrap_or_default());
    name.push("-acme");
    Ok(database.with_file_name(name))
}

/// The folder of an authority in it.
fn folder(database: &Path, directory: &str) -> io::Result<PathBuf> {
    let authority = directory.strip_prefix("https://").unwrap_or(directory);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let authority: String = authority.chars().map(plain).collect();
    Ok(beside(database)?.join(authority))
}
