//! Which snapshot is the newest of each listing, shown to all servers on these books before page 1
//! goes out.
//!
//! A file beside the books with a number for each window, kind and key. Page 1 writes the number of
//! its snapshot there, which waits for no writer and no disk, and outlives a process that is
//! killed. A later page is cut from the snapshot that has this number, or from none: neither an
//! older one that another server holds in memory, nor one that is on disk because the newer one did
//! not get there. The numbers are void after a restart of the machine, since the last of them may
//! not have reached the disk.
//!
//! The file is a table of buckets, and a bucket is a few slots. A listing has one bucket, and in it
//! a slot of its own: its tag, then its number. A new listing takes the slot whose number is the
//! oldest. Servers write one after another, under a lock of the file; reading takes none. Whoever
//! reads a slot as it is taken finds another listing's tag or number there, and no page for it.

use crate::store::snapshot::SnapshotKey;
use crate::store::{Error, Result};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many buckets there are, and how many slots in each. A listing is forgotten once this many
/// others of its bucket were begun after it: that costs its later pages a 503, never a wrong page.
const BUCKETS: u64 = 1 << 12;
const SLOTS: usize = 16;
/// The bytes of a slot: a tag and a number.
const SLOT_BYTES: usize = 16;
const BUCKET_BYTES: usize = SLOTS * SLOT_BYTES;
/// The bytes before the first bucket: the boot of the machine in which the numbers are good.
const HEAD_BYTES: usize = 64;
/// How long another server is waited for, which writes a slot, and how often the lock is tried.
const WRITE_WITHIN: Duration = Duration::from_millis(100);
const WRITE_POLL: Duration = Duration::from_micros(50);
/// Linux tells one boot from another by this.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The file, as one server has it open.
#[derive(Debug)]
pub struct NewestSnapshots {
    file: File,
    path: PathBuf,
    /// The turn to write: the lock of the file tells servers apart, and not threads.
    turn: Mutex<()>,
}

/// Where a listing stands: its bucket's first byte in the file, and what marks its slot there.
struct Place {
    at: u64,
    tag: u64,
}

/// A slot as it is read; all zero where nobody has taken it.
#[derive(Clone, Copy)]
struct Slot {
    tag: u64,
    number: i64,
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
            Ok(file) => Ok(Self { file, path, turn: Mutex::default() }),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// Shows that a new snapshot is the newest of a listing, and tells its number.
    ///
    /// # Errors
    /// When the system fails, or another server keeps the file.
    pub fn begin(&self, key: &SnapshotKey) -> Result<i64> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            lock_within(&self.file, WRITE_WITHIN)?;
            let begun = self.begin_locked(&Place::of(key));
            self.file.unlock()?;
            begun
        };
        begin().map_err(|source| self.failed(source))
    }

    fn begin_locked(&self, place: &Place) -> std::io::Result<i64> {
        let slots = self.bucket(place)?;
        // Numbers grow in a bucket: the least is the oldest.
        let newest = slots.iter().map(|slot| slot.number).max().unwrap_or(0);
        let number = match newest {
            0 => first_number(),
            newest => newest.checked_add(1).unwrap_or_else(first_number),
        };
        let own = slots.iter().position(|slot| slot.tag == place.tag);
        let oldest = (0..SLOTS).min_by_key(|index| slots[*index].number);
        let index = own.or(oldest).unwrap_or(0);
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&place.tag.to_le_bytes());
        bytes[8..].copy_from_slice(&number.to_le_bytes());
        self.file.write_all_at(&bytes, place.at + (index * SLOT_BYTES) as u64)?;
        Ok(number)
    }

    /// The number of the newest snapshot of a listing; 0 where none was begun since the machine
    /// started.
    ///
    /// # Errors
    /// When the system fails.
    pub fn number(&self, key: &SnapshotKey) -> Result<i64> {
        let place = Place::of(key);
        let slots = self.bucket(&place).map_err(|source| self.failed(source))?;
        Ok(slots.iter().find(|slot| slot.tag == place.tag).map_or(0, |slot| slot.number))
    }

    fn bucket(&self, place: &Place) -> std::io::Result<[Slot; SLOTS]> {
        let mut bytes = [0; BUCKET_BYTES];
        self.file.read_exact_at(&mut bytes, place.at)?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            word
        };
        Ok(std::array::from_fn(|index| {
            let at = index * SLOT_BYTES;
            Slot { tag: u64::from_le_bytes(word(at)), number: i64::from_le_bytes(word(at + 8)) }
        }))
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }
}

/// Takes the lock of the file, unless another server has it for longer than that.
fn lock_within(file: &File, within: Duration) -> std::io::Result<()> {
    let until = Instant::now() + within;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(WRITE_POLL);
            }
            Err(error @ TryLockError::WouldBlock) => return Err(error.into()),
        }
    }
}

/// Makes the file good for this boot of the machine. All of it is written, so that no number needs
/// room on the disk.
fn prepare(file: &File) -> std::io::Result<()> {
    let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    let mut head = [0; HEAD_BYTES];
    let said = format!("agora-vendor pages 2 {}", boot.trim());
    let length = said.len().min(HEAD_BYTES);
    head[..length].copy_from_slice(&said.as_bytes()[..length]);
    let bytes = HEAD_BYTES as u64 + BUCKETS * BUCKET_BYTES as u64;
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

impl Place {
    fn of(key: &SnapshotKey) -> Self {
        let mut context = Context::new(&SHA256);
        let (kind, period) = (key.kind.as_str(), key.period);
        context.update(format!("{kind} {} {} ", period.first_s(), period.last_s()).as_bytes());
        context.update(key.api_key.as_str().as_bytes());
        if !key.parameters.is_empty() {
            context.update(format!(" {}", key.parameters).as_bytes());
        }
        let digest = context.finish();
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&digest.as_ref()[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let at = HEAD_BYTES as u64 + word(0) % BUCKETS * BUCKET_BYTES as u64;
        // A slot that nobody has taken has the tag 0.
        Self { at, tag: word(8).max(1) }
    }
}

/// A number to start a bucket with, far from what another boot of the machine started with, and far
/// from the largest; never 0.
fn first_number() -> i64 {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).expect("the system has randomness to give");
    (i64::from_le_bytes(random) & (i64::MAX >> 1)).max(1)
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

    #[test]
    fn listings_keep_their_numbers_beside_each_other_and_the_oldest_of_a_full_bucket_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || NewestSnapshots::open(&folder.path().join("books.db")).expect("a file");
        let (one, other) = (open(), open());
        let begun: Vec<_> = (1..=1_000)
            .map(|n| key(ListingKind::Usage, n, "k"))
            .enumerate()
            .map(|(n, key)| ([&one, &other][n % 2].begin(&key).expect("a number"), key))
            .collect();
        for (number, key) in &begun {
            assert_eq!(one.number(key).expect("a number"), *number, "{key:?}");
        }
        // As many of one bucket as it has slots, and one more.
        let place = Place::of(&begun[0].1).at;
        let others = (1_001..).map(|n| key(ListingKind::Bill, n, "k"));
        let more: Vec<_> = others.filter(|key| Place::of(key).at == place).take(SLOTS).collect();
        let numbers: Vec<_> = more.iter().map(|key| one.begin(key).expect("a number")).collect();
        assert_eq!(one.number(&begun[0].1).expect("a number"), 0);
        let stand: Vec<_> = more.iter().map(|key| other.number(key).expect("a number")).collect();
        assert_eq!(stand, numbers);
    }

    #[test]
    fn threads_and_servers_that_begin_at_once_lose_no_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || NewestSnapshots::open(&folder.path().join("books.db")).expect("a file");
        let servers = [open(), open()];
        let begun = std::thread::scope(|scope| {
            let begin = |thread: i64| {
                let newest = &servers[usize::from(thread % 2 == 0)];
                let begin = move |n| {
                    let key = key(ListingKind::Usage, thread * 100 + n, "k");
                    (newest.begin(&key).expect("a number"), key)
                };
                scope.spawn(move || (1..=100).map(begin).collect::<Vec<_>>())
            };
            let threads: Vec<_> = (0..4).map(begin).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        let begun: Vec<(i64, SnapshotKey)> = begun;
        for (number, key) in begun {
            assert_eq!(servers[0].number(&key).expect("a number"), number);
        }
    }
}
