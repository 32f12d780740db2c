//! What a disk may hold after a power cut.
//!
//! A file's bytes are sure once the file was synced, and its name once its folder was. Of what was
//! not synced the disk holds any part: sectors may be written in any order, and be torn in
//! themselves. Changes of names reach the disk in the order in which they were made, each whole, as
//! they do on file systems with a journal.

use crate::shim::{Act, Call};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A disk, with what of it is sure and what is not.
#[derive(Clone)]
pub struct Disk {
    root: PathBuf,
    files: Vec<Held>,
    by_inode: HashMap<u64, usize>,
    sure_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not sure, each with the folder that has to be synced.
    new_names: Vec<(PathBuf, NameChanges)>,
    /// Whether what a failed sync left unwritten never reaches the disk, as on Linux.
    pub forgets: bool,
}

/// What names lead to from now on; nothing where they are gone.
type NameChanges = Vec<(PathBuf, Option<usize>)>;

/// The bytes of a file.
#[derive(Clone, Default)]
struct Held {
    sure: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Bytes(usize, Vec<u8>),
    Size(usize),
}

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All of it is there: the process was killed, and the machine was not.
    Kept,
    Lost,
    /// The names are there, the bytes are not.
    NamesKept,
    /// The bytes are there, the names are not.
    BytesKept,
    /// Some sectors are there and some are not, some are torn; the number chooses which.
    Mixed(u64),
}

/// What lies on a disk, by paths below the root.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Image {
    /// The bytes of each file.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Further names of files, each with the first one.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Disk {
    /// A disk that holds a folder as it is.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            files: Vec::new(),
            by_inode: HashMap::new(),
            sure_names: BTreeMap::new(),
            new_names: Vec::new(),
            forgets: false,
        };
        for entry in fs::read_dir(root).expect("a folder") {
            let path = entry.expect("an entry").path();
            let inode = path.metadata().expect("a file").ino();
            let file = disk.add(inode, fs::read(&path).expect("a file"));
            disk.sure_names.insert(path, file);
        }
        disk
    }

    fn add(&mut self, inode: u64, sure: Vec<u8>) -> usize {
        self.files.push(Held { sure, pending: Vec::new() });
        self.by_inode.insert(inode, self.files.len() - 1);
        self.files.len() - 1
    }

    /// The names as the executable sees them.
    fn names(&self) -> BTreeMap<PathBuf, usize> {
        let mut names = self.sure_names.clone();
        for (_, changes) in &self.new_names {
            rename(&mut names, changes);
        }
        names
    }

    fn change_names(&mut self, path: &Path, changes: NameChanges) {
        let folder = path.parent().expect("a folder").to_owned();
        self.new_names.push((folder, changes));
    }

    /// Does what a call did.
    pub fn apply(&mut self, call: &Call) {
        let forgets = self.forgets;
        if call.failed {
            if call.act == Act::Synced
                && forgets
                && let Some(file) = self.by_inode.get(&call.inode)
            {
                self.files[*file].pending.clear();
            }
            return;
        }
        let path = &call.path;
        match &call.act {
            Act::Made => {
                let file = self.add(call.inode, Vec::new());
                self.change_names(path, vec![(path.clone(), Some(file))]);
            }
            Act::Emptied => self.held(call).pending.push(Change::Size(0)),
            Act::Written { offset, bytes } => {
                self.held(call).pending.push(Change::Bytes(*offset, bytes.clone()));
            }
            Act::Sized(size) => self.held(call).pending.push(Change::Size(*size)),
            Act::Synced => self.sync(call),
            Act::Renamed(target) => {
                let file = self.names()[path];
                self.change_names(path, vec![(path.clone(), None), (target.clone(), Some(file))]);
            }
            Act::Linked(target) => {
                let file = self.names()[path];
                self.change_names(target, vec![(target.clone(), Some(file))]);
            }
            Act::Removed => self.change_names(path, vec![(path.clone(), None)]),
            Act::MadeFolder => panic!("a folder is made: {}", path.display()),
            Act::Opened | Act::Read | Act::Told(..) => {}
        }
    }

    fn held(&mut self, call: &Call) -> &mut Held {
        let file = self.by_inode.get(&call.inode).unwrap_or_else(|| panic!("unknown: {call:?}"));
        &mut self.files[*file]
    }

    fn sync(&mut self, call: &Call) {
        if let Some(file) = self.by_inode.get(&call.inode)
            && call.path.starts_with(&self.root)
            && call.path != self.root
        {
            let held = &mut self.files[*file];
            for change in std::mem::take(&mut held.pending) {
                change.apply(&mut held.sure);
            }
            return;
        }
        for (folder, changes) in std::mem::take(&mut self.new_names) {
            if folder == call.path {
                rename(&mut self.sure_names, &changes);
            } else {
                self.new_names.push((folder, changes));
            }
        }
    }

    /// What the disk holds if the power is cut now.
    pub fn image(&self, fate: Fate) -> Image {
        let mut dice = Dice(match fate {
            Fate::Mixed(seed) => seed,
            Fate::Kept | Fate::Lost | Fate::NamesKept | Fate::BytesKept => 0,
        });
        let mut names = self.sure_names.clone();
        let kept = match fate {
            Fate::Kept | Fate::NamesKept => self.new_names.len(),
            Fate::Lost | Fate::BytesKept => 0,
            Fate::Mixed(_) => dice.below(self.new_names.len() + 1),
        };
        for (_, changes) in &self.new_names[..kept] {
            rename(&mut names, changes);
        }
        let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
        let mut first_names = HashMap::new();
        for (path, file) in names {
            let name = path.strip_prefix(&self.root).expect("below the root").to_owned();
            if let Some(first) = first_names.insert(file, name.clone()) {
                first_names.insert(file, first.clone());
                links.insert(name, first);
                continue;
            }
            let mut bytes = if name.as_os_str().as_encoded_bytes().ends_with(b"-shm") {
                // Nobody ever syncs it: it may hold anything.
                vec![dice.byte(); 32_768]
            } else {
                self.files[file].bytes(fate, &mut dice)
            };
            if fate != Fate::Kept && name.as_os_str().as_encoded_bytes().ends_with(b"-pages") {
                // The machine has started anew, and has another name for this boot.
                let boot = bytes.len().min(64);
                bytes[boot.min(21)..boot].fill(b'0');
            }
            files.insert(name, bytes);
        }
        Image { files, links }
    }
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, changes: &[(PathBuf, Option<usize>)]) {
    for (path, file) in changes {
        match file {
            Some(file) => names.insert(path.clone(), *file),
            None => names.remove(path),
        };
    }
}

impl Change {
    fn apply(&self, held: &mut Vec<u8>) {
        match self {
            Self::Bytes(offset, bytes) => {
                let end = offset + bytes.len();
                if held.len() < end {
                    held.resize(end, 0);
                }
                held[*offset..end].copy_from_slice(bytes);
            }
            Self::Size(size) => held.resize(*size, 0),
        }
    }
}

impl Held {
    fn bytes(&self, fate: Fate, dice: &mut Dice) -> Vec<u8> {
        let mut held = self.sure.clone();
        match fate {
            Fate::Lost | Fate::NamesKept => {}
            Fate::Kept | Fate::BytesKept => {
                for change in &self.pending {
                    change.apply(&mut held);
                }
            }
            Fate::Mixed(_) => self.mix(&mut held, dice),
        }
        held
    }

    /// Writes some of what is pending: of each sector one of the states that it had, and a size
    /// that the file had.
    fn mix(&self, held: &mut Vec<u8>, dice: &mut Dice) {
        let sector = if dice.below(2) == 0 { 512 } else { 4096 };
        // What of the pending changes counts for the size.
        let sized = dice.below(self.pending.len() + 1);
        let mut size = held.len();
        // By sector: how many of its changes are left.
        let mut left: HashMap<usize, usize> = HashMap::new();
        for change in &self.pending {
            if let Change::Bytes(offset, bytes) = change {
                for number in offset / sector..(offset + bytes.len()).div_ceil(sector) {
                    *left.entry(number).or_default() += 1;
                }
            }
        }
        let mut sectors: Vec<usize> = left.keys().copied().collect();
        sectors.sort_unstable();
        for number in sectors {
            let count = left[&number];
            left.insert(number, dice.below(count + 1));
        }
        for (index, change) in self.pending.iter().enumerate() {
            match change {
                Change::Size(new) if index < sized => {
                    size = *new;
                    if held.len() > size {
                        held[size..].fill(0);
                    }
                }
                Change::Size(_) => {}
                Change::Bytes(offset, bytes) => {
                    let end = offset + bytes.len();
                    if index < sized {
                        size = size.max(end);
                    }
                    held.resize(held.len().max(end), 0);
                    for number in offset / sector..end.div_ceil(sector) {
                        let left = left.get_mut(&number).expect("counted");
                        if *left == 0 {
                            continue;
                        }
                        *left -= 1;
                        let from = (number * sector).max(*offset);
                        let mut until = ((number + 1) * sector).min(end);
                        if *left == 0 && dice.below(8) == 0 {
                            // Torn: the sector's first bytes are new, the others old.
                            until = from + dice.below(until - from + 1);
                        }
                        held[from..until].copy_from_slice(&bytes[from - offset..until - offset]);
                    }
                }
            }
        }
        held.resize(size, 0);
    }
}

impl Image {
    /// A number that tells images apart.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Puts the files into an empty folder.
    pub fn lay(&self, folder: &Path) {
        for (name, bytes) in &self.files {
            fs::write(folder.join(name), bytes).expect("a file");
        }
        for (name, first) in &self.links {
            fs::hard_link(folder.join(first), folder.join(name)).expect("a link");
        }
    }
}

/// Numbers that look like chance and are the same in each run (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a number");
        usize::try_from(self.next() % limit).expect("a number")
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

#[test]
fn a_disk_holds_what_was_synced_and_any_part_of_the_rest() {
    let root = PathBuf::from("/disk");
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = Disk { root: root.clone(), ..Disk::of(folder.path()) };
    let call = |path: &str, act| {
        let inode = if path.is_empty() { 1 } else { 7 };
        Call { number: 1, path: root.join(path), inode, act, failed: false }
    };
    let written = |offset, byte| Act::Written { offset, bytes: vec![byte; 8192] };
    let folder_synced = Call { path: root.clone(), ..call("", Act::Synced) };
    disk.apply(&call("f", Act::Made));
    disk.apply(&call("f", written(0, 1)));
    disk.apply(&call("f", Act::Synced));
    assert!(
        disk.image(Fate::Lost).files.is_empty(),
        "a name is not sure before its folder is synced"
    );
    disk.apply(&folder_synced);
    let sure = disk.image(Fate::Lost);
    assert_eq!(sure.files[Path::new("f")], vec![1; 8192]);
    disk.apply(&call("f", written(0, 2)));
    disk.apply(&call("f", written(8192, 3)));
    assert!(disk.image(Fate::Lost) == sure);
    assert_eq!(disk.image(Fate::Kept).files[Path::new("f")][8191..8193], [2, 3]);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..512 {
        let image = disk.image(Fate::Mixed(seed));
        let bytes = &image.files[Path::new("f")];
        assert!(bytes.len() == 8192 || bytes.len() == 16_384);
        assert!(bytes[..8192].iter().all(|byte| [1, 2].contains(byte)));
        assert!(bytes[8192..].iter().all(|byte| [0, 3].contains(byte)));
        let sectors = bytes.chunks(512).map(|sector| (sector[0], sector[511]));
        seen.extend(sectors.enumerate());
        assert!(image == disk.image(Fate::Mixed(seed)), "the same seed, the same image");
    }
    for (sector, bytes) in [(0, (1, 1)), (0, (2, 2)), (0, (2, 1)), (31, (0, 0)), (31, (3, 3))] {
        assert!(seen.contains(&(sector, bytes)), "sector {sector} is never {bytes:?}");
    }
    disk.apply(&call("f", Act::Renamed(root.join("g"))));
    assert!(disk.image(Fate::Lost).files.contains_key(Path::new("f")));
    assert!(disk.image(Fate::NamesKept).files.keys().eq([Path::new("g")]));
    disk.apply(&call("g", Act::Linked(root.join("h"))));
    let image = disk.image(Fate::NamesKept);
    assert!(image.files.keys().eq([Path::new("g")]), "a file of two names is one file");
    assert_eq!(image.links[Path::new("h")], Path::new("g"));
}
