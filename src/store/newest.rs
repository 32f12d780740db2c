//! Which snapshot is the newest of each listing, shown to all servers on these books before page 1
//! goes out.
//!
//! A file beside the books with a number for each window, kind and key. Page 1 writes the number of
//! its snapshot there, which waits for no lock and no disk, and outlives a process that is killed.
//! A later page is cut from the snapshot that has this number, or from none: neither an older one
//! that another server holds in memory, nor one that is on disk because the newer one did not get
//! there. The numbers are void after a restart of the machine, since the last of them may not have
//! reached the disk.

use crate::store::snapshot::SnapshotKey;
use crate::store::{Error, Result};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How many numbers there is room for. Two listings that share a place cost each other a 503, never
/// a wrong page.
const PLACES: u64 = 1 << 16;
/// The bytes of a number.
const NUMBER_BYTES: u64 = 8;
/// The bytes before the first number: the boot of the machine in which the numbers are good.
const HEAD_BYTES: usize = 64;
/// Linux tells one boot from another by this.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The file, as one server has it open.
#[derive(Debug)]
pub struct NewestSnapshots {
    file: File,
    path: PathBuf,
}

impl NewestSnapshots {
    /// Opens the file beside the books at `database`, or makes it.
    ///
    /// # Errors
    /// When the system fails.
    pub fn open(database: &Path) -> Result<Self> {
        // Whatever a server calls the books, all of them find the same file.
        let mut name = database.canonicalize().unwrap_or(database.to_owned()).into_os_string();
        name.push("-pages");
        let path = PathBuf::from(name);
        let open = || {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&path)?;
            // Another server that starts at the same time waits for this.
            file.lock()?;
            let prepared = prepare(&file);
            file.unlock()?;
            prepared.map(|()| file)
        };
        match open() {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// Shows that a new snapshot is the newest of a listing, and tells its number.
    ///
    /// # Errors
    /// When the system fails.
    pub fn begin(&self, key: &SnapshotKey) -> Result<i64> {
        let number = made_number();
        let written = self.file.write_all_at(&number.to_le_bytes(), place(key));
        written.map_err(|source| Error::File { path: self.path.clone(), source })?;
        Ok(number)
    }

    /// The number of the newest snapshot of a listing; 0 where none was begun since the machine
    /// started.
    ///
    /// # Errors
    /// When the system fails.
    pub fn number(&self, key: &SnapshotKey) -> Result<i64> {
        let mut number = [0; 8];
        let read = self.file.read_exact_at(&mut number, place(key));
        read.map_err(|source| Error::File { path: self.path.clone(), source })?;
        Ok(i64::from_le_bytes(number))
    }
}

/// Makes the file good for this boot of the machine. All of it is written, so that no number needs
/// room on the disk.
fn prepare(file: &File) -> std::io::Result<()> {
    let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    let mut head = [0; HEAD_BYTES];
    let said = format!("agora-vendor pages 1 {}", boot.trim());
    let length = said.len().min(HEAD_BYTES);
    head[..length].copy_from_slice(&said.as_bytes()[..length]);
    let bytes = HEAD_BYTES as u64 + PLACES * NUMBER_BYTES;
    let mut found = [0; HEAD_BYTES];
    if file.metadata()?.len() == bytes {
        file.read_exact_at(&mut found, 0)?;
    }
    if found != head {
        file.set_len(0)?;
        let mut all = head.to_vec();
        all.resize(usize::try_from(bytes).unwrap_or(HEAD_BYTES), 0);
        (&mut &*file).write_all(&all)?;
    }
    Ok(())
}

/// Where the number of a listing stands.
fn place(key: &SnapshotKey) -> u64 {
    let mut context = Context::new(&SHA256);
    let (kind, period) = (key.kind.as_str(), key.period);
    context.update(format!("{kind} {} {} ", period.first_s(), period.last_s()).as_bytes());
    context.update(key.api_key.as_str().as_bytes());
    if !key.parameters.is_empty() {
        context.update(format!(" {}", key.parameters).as_bytes());
    }
    let digest = context.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    HEAD_BYTES as u64 + u64::from_le_bytes(first) % PLACES * NUMBER_BYTES
}

/// A number that no other snapshot has; never 0.
fn made_number() -> i64 {
    loop {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).expect("the system has randomness to give");
        match i64::from_le_bytes(random) {
            0 => {}
            number => return number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::period::Period;
    use crate::billing::statement::ListingKind;

    fn key(kind: ListingKind, last_s: i64, api_key: &str) -> SnapshotKey {
        let period = Period::new(1, last_s).expect("a window");
        let api_key = api_key.parse().expect("a key");
        SnapshotKey { kind, period, api_key, parameters: String::new() }
    }

    #[test]
    fn what_one_server_begins_all_servers_see_until_the_machine_starts_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("books.db");
        std::fs::write(&database, "").expect("a file");
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&database, &link).expect("a link");
        let (one, other) = (NewestSnapshots::open(&database), NewestSnapshots::open(&link));
        let (one, other) = (one.expect("a file"), other.expect("the same file"));
        let bill = key(ListingKind::Bill, 9, "k");
        assert_eq!(one.number(&bill).expect("a number"), 0);
        let first = one.begin(&bill).expect("a number");
        assert_eq!(other.number(&bill).expect("a number"), first);
        let second = other.begin(&bill).expect("a number");
        assert_ne!(first, second);
        for number in
            [one.number(&bill), NewestSnapshots::open(&database).expect("it").number(&bill)]
        {
            assert_eq!(number.expect("a number"), second);
        }
        let others = [
            key(ListingKind::Usage, 9, "k"),
            key(ListingKind::Bill, 8, "k"),
            key(ListingKind::Bill, 9, "l"),
            SnapshotKey { parameters: "project=p".to_owned(), ..bill.clone() },
        ];
        assert_eq!(others.map(|other| one.number(&other).expect("a number")), [0; 4]);
        // A head of another boot.
        one.file.write_all_at(b"another boot", 0).expect("written");
        assert_eq!(
            NewestSnapshots::open(&database).expect("a file").number(&bill).expect("a number"),
            0
        );
    }
}
