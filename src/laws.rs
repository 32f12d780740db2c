//! What holds for whatever comes in, as functions of bytes that panic where it does not hold.
//!
//! `fuzz/` looks for bytes that break one, for as long as it is left to. `cargo test` tries what is
//! in `fuzz/corpus`, with every case that ever broke one, and some hundred changes of each.

use crate::{agora, billing, cli, http, store};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A law, by the name of its target and of its folder in `fuzz/corpus`.
pub type Law = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Law; 12] = [
    ("request_head", http::law::head),
    ("query", agora::law::query),
    ("body", agora::law::body),
    ("source_string", agora::law::source),
    ("decimal", billing::law::decimal),
    ("price", billing::law::price),
    ("ids", billing::law::ids),
    ("plan_file", cli::law::plan_file),
    ("csv_rows", cli::law::csv_rows),
    ("json_rows", cli::law::json_rows),
    ("import", import),
    ("document", store::law::document),
];

/// Tries bytes on the law of a target.
///
/// # Panics
/// Where it does not hold, or there is no such target.
pub fn try_on(target: &str, bytes: &[u8]) {
    let (_, law) = ALL.iter().find(|(name, _)| *name == target).expect("a target");
    law(bytes);
}

/// A folder that is gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let id: String = store::made_id();
        let path = std::env::temp_dir().join(format!("agora-vendor-law-{id}"));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Books with a key and nothing else, which are made once.
    fn books(&self, name: &str) -> PathBuf {
        static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
        let empty = EMPTY.get_or_init(|| {
            let folder = Self::new();
            let db = folder.path("books.db");
            assert_eq!(run(&db, &["init"]).0, 0);
            fs::read(db).expect("books")
        });
        let db = self.path(name);
        fs::write(&db, empty).expect("a copy");
        db
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays lies among other temporary files.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command on books: its exit code, and what it printed.
fn run(db: &Path, words: &[&str]) -> (u8, String) {
    let fixed = ["agora-vendor", "--db"].map(OsString::from);
    let rest = words.iter().map(OsString::from);
    let arguments = fixed.into_iter().chain([db.into()]).chain(rest);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(arguments, &mut out, &mut err);
    (exit.code(), String::from_utf8(out).expect("UTF-8"))
}

/// The ids of the projects in books.
fn projects(db: &Path) -> Vec<String> {
    let (code, told) = run(db, &["project", "list", "--json"]);
    assert_eq!(code, 0);
    let listed: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let rows = listed.as_array().or_else(|| listed["rows"].as_array()).expect("rows");
    rows.iter().map(|row| row["projectId"].to_string()).collect()
}

/// A file that is imported with its bad rows put aside leaves the books as its good rows alone do:
/// a bad row changes nothing. The same file again changes nothing. A file that starts with `{` is
/// one of JSON lines.
fn import(bytes: &[u8]) {
    let folder = Folder::new();
    let (db, other) = (folder.books("books.db"), folder.books("other.db"));
    let format = if bytes.starts_with(b"{") { "jsonl" } else { "csv" };
    let (file, rejects) = (folder.path("rows"), folder.path("rejects"));
    fs::write(&file, bytes).expect("a file");
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (file, rejects, again) = (path(&file), path(&rejects), path(&folder.path("again")));
    let import = |rejects: &str| {
        let words = ["import", &file, "--format", format, "--rejects", rejects];
        let (_, told) = run(&db, &[&words[..], &["--quiet", "--new", "--json"]].concat());
        let counts: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        ["read", "recorded", "duplicates", "rejected"].map(|n| counts[n].as_u64().unwrap_or(0))
    };
    let [read, recorded, duplicates, rejected] = import(&rejects);
    assert_eq!(read, recorded + duplicates + rejected);
    let (code, exported) = run(&db, &["export"]);
    assert_eq!(code, 0);
    assert_eq!(import(&again)[1], 0, "the same file again records nothing");
    assert_eq!(run(&db, &["export"]).1, exported);
    assert_eq!(run(&db, &["check"]).0, 0);

    let good = path(&folder.path("good.jsonl"));
    fs::write(&good, &exported).expect("a file");
    let (code, _) = run(&other, &["import", &good, "--quiet", "--new"]);
    assert_eq!(code, 0, "what was exported is imported");
    assert_eq!(run(&other, &["export"]).1, exported);
    assert_eq!(projects(&other), projects(&db), "a bad row registers nobody");
    assert!(recorded > 0 || projects(&db).is_empty(), "nothing was recorded");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn fuzz(folder: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)
    }

    /// What is in a target's folder, in the order of its names.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(fuzz("corpus").join(target)).expect("a folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths.into_iter().map(|path| fs::read(path).expect("a case")).collect()
    }

    /// Numbers that look random, the same ones each time.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 1).expect("63 bits") % sides.max(1)
        }
    }

    /// A case with a piece of another in the place of one of its own.
    fn changed(cases: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
        const BYTES: &[u8] = b"0 9.-+%&=\"\\,;:|{}[]\r\n\0\xff\xc3\xa9\xe2\x80\xae~*'/#?";
        let mut case = cases[dice.roll(cases.len())].clone();
        for _ in 0..=dice.roll(3) {
            let from = dice.roll(case.len() + 1);
            let to = (from + dice.roll(4)).min(case.len());
            let other = &cases[dice.roll(cases.len())];
            let start = dice.roll(other.len() + 1);
            let end = (start + dice.roll(12)).min(other.len());
            let byte = dice.roll(BYTES.len());
            let piece = if dice.roll(2) == 0 { &BYTES[byte..=byte] } else { &other[start..end] };
            case.splice(from..to, piece.iter().copied());
        }
        case
    }

    #[test]
    fn laws_hold_for_every_case_that_is_kept_and_for_changes_of_it() {
        for (target, law) in ALL {
            let cases = corpus(target);
            cases.iter().for_each(|case| law(case));
            // An import is a thousand times slower than a query.
            let count = if target == "import" { 4 } else { 300 };
            let mut dice = Dice(0x2545_f491_4f6c_dd1d);
            for _ in 0..count {
                let case = changed(&cases, &mut dice);
                let held = std::panic::catch_unwind(|| law(&case));
                assert!(held.is_ok(), "{target}: {:?}", String::from_utf8_lossy(&case));
            }
        }
    }

    #[test]
    fn each_law_has_a_target_and_a_folder_and_nothing_else_has() {
        let names = |folder: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(fuzz(folder)).expect("a folder");
            let stem = |path: PathBuf| path.file_stem().expect("a name").display().to_string();
            entries.map(|entry| stem(entry.expect("an entry").path())).collect()
        };
        let laws: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!((names("corpus"), names("fuzz_targets")), (laws.clone(), laws));
    }
}
