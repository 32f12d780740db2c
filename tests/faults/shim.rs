//! The account that `shim.c` keeps of what the executable does to its disk.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The library, built by the C compiler that SQLite is built with.
pub static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let draft = folder.join(format!("faults-{}.so", std::process::id()));
    let library = folder.join("faults.so");
    let source = format!("{}/tests/faults/shim.c", env!("CARGO_MANIFEST_DIR"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&draft)
        .arg(source)
        .status();
    assert!(built.expect("a C compiler").success());
    std::fs::rename(draft, &library).expect("a library");
    library
});

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A file was made, or emptied, or only opened.
    Made,
    Emptied,
    Opened,
    Written {
        offset: usize,
        bytes: Vec<u8>,
    },
    Sized(usize),
    Synced,
    Renamed(PathBuf),
    Linked(PathBuf),
    Removed,
    MadeFolder,
    Read,
    /// Something went to standard output (1), to standard error (2) or to a socket.
    Told(i64, Vec<u8>),
}

/// One call, in the order in which they happened.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts the calls that may fail, from 1; 0 of what is told.
    pub number: u32,
    pub path: PathBuf,
    pub inode: u64,
    pub act: Act,
    /// Whether the call failed.
    pub failed: bool,
}

impl Call {
    /// Tells whether this is the index that SQLite keeps of its log, which is made anew by whoever
    /// opens the books first.
    pub fn is_of_index(&self) -> bool {
        self.path.as_os_str().as_encoded_bytes().ends_with(b"-shm")
    }

    /// Tells whether the answer to whoever asked began here.
    pub fn is_answer(&self) -> bool {
        matches!(&self.act, Act::Told(file, _) if *file != 2)
    }

    /// Tells whether what a disk holds may be another after this call than before it.
    pub fn changes_disk(&self) -> bool {
        let is_change = !matches!(self.act, Act::Opened | Act::Read | Act::Told(..));
        is_change && !self.failed && !self.is_of_index()
    }
}

/// Reads an account, from a byte on. A server may be writing its last entry, which is left out
/// until it is whole.
pub fn calls(account: &Path, from: usize) -> Vec<Call> {
    let bytes = std::fs::read(account).unwrap_or_default();
    let mut rest = &bytes[from.min(bytes.len())..];
    std::iter::from_fn(|| call(&mut rest)).collect()
}

/// Takes the first entry; `None` where there is no whole one.
fn call(rest: &mut &[u8]) -> Option<Call> {
    let head: [u8; 40] = rest.split_off(..40)?.try_into().expect("40 bytes");
    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("4 bytes"));
    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
    let offset = i64::from_le_bytes(head[32..].try_into().expect("8 bytes"));
    let path = path(rest.split_off(..size(word(12)))?);
    let target = self::path(rest.split_off(..size(word(16)))?);
    let bytes = rest.split_off(..size(word(20)))?.to_vec();
    let at = || usize::try_from(offset).expect("a place in a file");
    let act = match (word(0), offset) {
        (1, 1) => Act::Made,
        (1, 2) => Act::Emptied,
        (1, _) => Act::Opened,
        (2, _) => Act::Written { offset: at(), bytes },
        (3, _) => Act::Sized(at()),
        (4, _) => Act::Synced,
        (5, _) => Act::Renamed(target),
        (6, _) => Act::Linked(target),
        (7, _) => Act::Removed,
        (8, _) => Act::MadeFolder,
        (9, _) => Act::Told(offset, bytes),
        (10, _) => Act::Read,
        (kind, _) => panic!("a call of kind {kind}"),
    };
    Some(Call { number: word(4), path, inode: long(24), act, failed: word(8) != 0 })
}

fn size(word: u32) -> usize {
    word.try_into().expect("a size")
}

/// A path without `.` and `..`, which the executable passes on as they were typed.
fn path(bytes: &[u8]) -> PathBuf {
    let text = str::from_utf8(bytes).expect("UTF-8");
    let mut path = PathBuf::from("/");
    for part in text.split('/') {
        match part {
            ".." => {
                path.pop();
            }
            "" | "." => {}
            part => path.push(part),
        }
    }
    path
}

#[test]
fn an_entry_that_is_still_being_written_is_left_out() {
    let entry = |number: u32, text: &str| {
        let length = |text: &str| u32::try_from(text.len()).expect("a length");
        let words = [9, number, 0, 0, 0, length(text), 0, 0, 1, 0];
        [words.map(u32::to_le_bytes).concat(), text.as_bytes().to_vec()].concat()
    };
    let (first, second) = (entry(0, "recorded"), entry(0, "answered"));
    let folder = tempfile::tempdir().expect("a folder");
    let account = folder.path().join("account");
    for end in 0..=second.len() {
        std::fs::write(&account, [&first, &second[..end]].concat()).expect("an account");
        let told = calls(&account, 0).into_iter().map(|call| call.act);
        let both = [&b"recorded"[..], b"answered"].map(|text| Act::Told(1, text.to_vec()));
        assert!(told.eq(both.into_iter().take(1 + end / second.len())), "{end}");
    }
}
