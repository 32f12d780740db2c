//! The harness is shown to see: each fault that is planted makes it find something.

use crate::cuts::{self, CUSTOMER};
use crate::stage::{Case, History, Trouble};

/// Beside a server, which keeps the log: alone, a command moves it into the database as it ends,
/// and is told done after that.
fn record() -> Case {
    let case = Case::new("record", &CUSTOMER, &["record p 1 --id a", "record p 2 --id b"]);
    Case { served: true, ..case }
}

fn assert_seen(case: &Case, plant: &'static str, words: &str) {
    let trouble = Trouble { plant: Some(plant), ..Trouble::default() };
    let faults = cuts::cut(&History::of(case, &trouble), 12).faults;
    assert!(!faults.is_empty(), "{plant} is not seen");
    assert!(faults.iter().any(|fault| fault.contains(words)), "{plant}: {}", faults[0]);
}

/// Of new books, backups, restores and imports the tests of `cuts` say the same.
#[test]
fn without_a_fault_nothing_is_seen() {
    cuts::survives(&record(), 12);
}

#[test]
fn a_commit_that_is_not_synced_is_seen() {
    assert_seen(&record(), "synchronous-normal", "something else than what was told");
}

#[test]
fn an_answer_before_the_commit_is_seen() {
    assert_seen(&record(), "told-early", "something else than what was told");
}

#[test]
fn a_log_whose_folder_is_not_synced_is_seen() {
    assert_seen(&record(), "no-folder-sync", "something else than what was told");
}

#[test]
fn new_books_whose_folder_is_not_synced_are_seen() {
    assert_seen(&cuts::init(), "no-folder-sync", "something else than what was told");
}

#[test]
fn a_backup_whose_folder_is_not_synced_is_seen() {
    assert_seen(&cuts::backup(), "no-folder-sync", "something else than what was told");
}

#[test]
fn a_restore_whose_folder_is_not_synced_is_seen() {
    assert_seen(&cuts::restore(), "no-folder-sync", "something else than what was told");
}

/// What the pragma `journal_mode = wal` wrote into the file's head does not stay there.
#[test]
fn a_pragma_that_is_swallowed_is_seen() {
    assert_seen(&cuts::import(300), "swallowed-pragma", "check ends with 1");
}
