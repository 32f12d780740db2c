//! Laws of files that the shell reads: plans, and rows of an import.

use crate::billing::price::Price;
use crate::cli;
use crate::cli::plan_file::{PlanFile, PriceTerms};
use crate::store;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use crate::cli::import::law::{csv_rows, json_rows};

/// A price of a file is the same once it is printed, as `plan show --json` does and as the books
/// hold it.
pub fn plan_file(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(PlanFile { price, .. }) = PlanFile::read(text) else { return };
    let printed = serde_json::to_string(&PriceTerms::new(&price)).expect("terms have a JSON form");
    let again = PlanFile::read(&printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
    assert_eq!(again.price, price, "{printed}");
    let kept: Price = price.to_string().parse().unwrap_or_else(|e| panic!("{price}: {e}"));
    assert_eq!(kept, price);
}

/// A folder that is gone with the value.
struct LawFolder(PathBuf);

impl LawFolder {
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

impl Drop for LawFolder {
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
pub fn import(bytes: &[u8]) {
    let folder = LawFolder::new();
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
