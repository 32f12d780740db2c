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

/// Reads an account, from a byte on.
pub fn calls(account: &Path, from: usize) -> Vec<Call> {
    let bytes = std::fs::read(account).unwrap_or_default();
    let mut rest = &bytes[from.min(bytes.len())..];
    let mut calls = Vec::new();
    while !rest.is_empty() {
        let head: [u8; 40] = take(&mut rest, 40).try_into().expect("an entry's head");
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        let offset = i64::from_le_bytes(head[32..].try_into().expect("8 bytes"));
        let path = path(take(&mut rest, size(word(12))));
        let target = self::path(take(&mut rest, size(word(16))));
        let bytes = take(&mut rest, size(word(20))).to_vec();
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
        calls.push(Call { number: word(4), path, inode: long(24), act, failed: word(8) != 0 });
    }
    calls
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
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
