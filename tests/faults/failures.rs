//! Calls of the system that fail: once, and from then on; and a process that is killed at one.

use crate::cuts::{self, CUSTOMER, Found};
use crate::disk::{Disk, Fate};
use crate::judge::{Judge, State};
use crate::shim::{Act, Call};
use crate::stage::{Case, History, Stage, Trouble, words};
use crate::vendor::{Ended, long};

/// How a call fails. `full`: of those that need room. `short`: of reads and writes, half of which
/// is done.
const KINDS: [&str; 7] = [
    "eio once",
    "eio forever",
    "enospc once",
    "enospc forever",
    "eintr once",
    "short once",
    "kill once",
];

/// Tells whether a call may fail so.
fn may(call: &Call, kind: &str) -> bool {
    let takes_room = matches!(
        call.act,
        Act::Made | Act::Written { .. } | Act::Renamed(_) | Act::Linked(_) | Act::MadeFolder
    );
    match kind.split(' ').next() {
        Some("enospc") => takes_room,
        Some("short") => matches!(call.act, Act::Written { .. } | Act::Read),
        Some("kill") => call.changes_disk(),
        _ => true,
    }
}

/// What is wrong with how a command ended.
fn honest(ended: &Ended, kind: &str) -> Result<(), String> {
    let is_sentence = ended.err.contains("error: ");
    match ended.code {
        0 => Ok(()),
        -1 if kind.starts_with("kill") => Ok(()),
        1 | 75 if is_sentence => Ok(()),
        code => Err(format!("it ends with {code}: {}", ended.err)),
    }
}

/// Lets calls of a history fail, one in so many: in the short form, and in the long one.
fn fail(history: &History, [short, full]: [usize; 2]) -> Found {
    let thinned = if long() { full } else { short };
    let stage = Stage::new();
    let mut found = Found::default();
    let mut turn = 0;
    for (number, step) in history.steps.iter().enumerate() {
        let image = history.disk_before(number);
        let run = |fails: String| {
            stage.lay(&image);
            for (name, text) in &history.case.inputs {
                std::fs::write(stage.vendor.path(name), text).expect("a file");
            }
            let trouble = Trouble { fails: Some(fails), plant: None };
            let told = stage.told();
            let output = stage.watched(&step.command, &trouble).output().expect("it runs");
            (Ended::from(output), told)
        };
        // A call that is never reached fails: so reads are counted too.
        let (whole, told) = run("4000000000 eio once".to_owned());
        assert_eq!(whole.code, 0, "{}", whole.err);
        for call in stage.calls(told).iter().filter(|call| call.number > 0) {
            found.points += 1;
            for kind in KINDS.into_iter().filter(|kind| may(call, kind)) {
                turn += 1;
                if turn % thinned != 0 {
                    continue;
                }
                found.images += 1;
                let (ended, _) = run(format!("{} {kind}", call.number));
                let judge = Judge { history, step: number, answered: ended.code == 0 };
                let verdict = honest(&ended, kind).and_then(|()| judge.verdict(&stage));
                if let Err(fault) = verdict {
                    let act = format!("{:?}", call.act);
                    let act = act.split([' ', '(']).next().unwrap_or_default();
                    found.faults.push(format!(
                        "{:?}, call {} ({act} of {}) fails with {kind}, exit {}: {fault}",
                        step.command,
                        call.number,
                        call.path.display(),
                        ended.code
                    ));
                }
            }
        }
    }
    found
}

/// Lets calls of a case fail, and wants nothing to be wrong.
fn bears(case: &Case, thinned: [usize; 2]) {
    let found = fail(&History::of(case, &Trouble::default()), thinned);
    found.tell(case.name, "failures");
    assert!(found.images > 0);
    assert!(found.faults.is_empty(), "{}: {}", found.faults.len(), found.faults[0]);
}

#[test]
fn a_record_and_a_void_end_honestly_on_a_disk_that_fails() {
    bears(&cuts::records(), [19, 1]);
}

#[test]
fn licenses_end_honestly_on_a_disk_that_fails() {
    bears(&cuts::licenses(), [61, 1]);
}

#[test]
fn plans_customers_and_projects_end_honestly_on_a_disk_that_fails() {
    bears(&cuts::customers(), [67, 1]);
}

#[test]
fn an_import_ends_honestly_on_a_disk_that_fails() {
    bears(&cuts::import(500), [37, 7]);
}

#[test]
fn init_ends_honestly_on_a_disk_that_fails() {
    bears(&cuts::init(), [31, 1]);
}

#[test]
fn a_backup_ends_honestly_on_a_disk_that_fails() {
    bears(&cuts::backup(), [31, 1]);
}

#[test]
fn a_migration_ends_honestly_on_a_disk_that_fails() {
    bears(&cuts::migrate(), [97, 1]);
}

/// Linux tells of a write that failed once, by a sync, and takes the page for written from then on:
/// the next sync ends well, and what was to be written never reaches the disk.
#[test]
fn a_sync_that_failed_is_not_believed_by_the_next_record() {
    let case = Case::new("sync", &CUSTOMER, &["record p 1 --id a"]);
    let history = History::of(&case, &Trouble::default());
    let syncs = history.calls.iter().filter(|call| call.act == Act::Synced);
    let syncs: Vec<u32> = syncs.map(|call| call.number).collect();
    assert!(syncs.len() >= 4, "the log, its folder, the commit and the checkpoint");
    for sync in syncs {
        let stage = Stage::new();
        stage.lay(&history.disk_before(0));
        let mut disk = Disk::of(&stage.root());
        disk.forgets = true;
        let fails = Trouble { fails: Some(format!("{sync} eio once")), plant: None };
        let first = &history.steps[0].command;
        let first = Ended::from(stage.watched(first, &fails).output().expect("it runs"));
        honest(&first, "eio once").expect("an honest end");
        let after = words("record p 2 --id b");
        let second = stage.watched(&after, &Trouble::default()).output().expect("it runs");
        assert!(second.status.success(), "sync {sync}: {second:?}");
        for call in stage.calls(0).iter().filter(|call| !matches!(call.act, Act::Read)) {
            disk.apply(call);
        }
        for fate in [Fate::Lost, Fate::Mixed(1), Fate::Mixed(2), Fate::BytesKept] {
            stage.lay(&disk.image(fate));
            let checked = stage.run(&words("check"));
            assert_eq!(checked.code, 0, "sync {sync}, {fate:?}: {}{}", checked.out, checked.err);
            let books = State::of(&stage.root()).books.expect("books");
            let ledger = &books["usage_ledger"];
            let holds = |id: &str| ledger.iter().any(|row| row.split('|').any(|part| part == id));
            assert!(holds("b"), "sync {sync}, {fate:?}: what was told is lost");
            assert!(first.code != 0 || holds("a"), "sync {sync}, {fate:?}: what was told is lost");
        }
    }
}
