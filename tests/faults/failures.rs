//! Calls of the system that fail: once, and from then on; and a process that is killed at one.

use crate::cuts::{self, CUSTOMER, Found};
use crate::disk::{Disk, Fate};
use crate::judge::{Judge, State};
use crate::shim::{Act, Call};
use crate::stage::{Case, HELD, History, Stage, Step, Trouble, ask, is_request, words};
use crate::vendor::{Answer, Ended, Server, long};
use std::fs;

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

/// A call in a word.
fn act(call: &Call) -> String {
    let act = format!("{:?}", call.act);
    act.split([' ', '(']).next().unwrap_or_default().to_owned()
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
                fs::write(stage.vendor.path(name), text).expect("a file");
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
                let answered = ended.code == 0;
                let judge = Judge { history, step: number, answered, anew: true };
                let verdict = honest(&ended, kind).and_then(|()| judge.verdict(&stage));
                if let Err(fault) = verdict {
                    found.faults.push(format!(
                        "{:?}, call {} ({} of {}) fails with {kind}, exit {}: {fault}",
                        step.command,
                        call.number,
                        act(call),
                        call.path.display(),
                        ended.code
                    ));
                }
            }
        }
    }
    found
}

/// What is wrong with a server's answer while a call fails; else whether it told that it is done.
fn honest_answer(answer: Option<&Answer>, kind: &str) -> Result<bool, String> {
    match answer {
        Some(answer) if answer.status == 200 => Ok(true),
        // Agora asks again.
        Some(answer) if answer.status >= 500 && !answer.reason().is_empty() => Ok(false),
        None if kind.starts_with("kill") => Ok(false),
        answer => Err(format!("it answers {answer:?}")),
    }
}

/// One request to a server one of whose calls fails, and Agora's second try.
struct Asked<'a> {
    history: &'a History,
    step: usize,
    stage: &'a Stage,
}

impl Asked<'_> {
    fn server(&self, fails: String) -> Server {
        self.stage.lay(&self.history.disk_before(self.step));
        self.stage.watched_server(&Trouble { fails: Some(fails), plant: None })
    }

    fn ask(&self, server: &Server) -> Option<Answer> {
        ask(server, &self.history.steps[self.step].command)
    }

    /// The calls of a server that answers, all of which end well.
    fn calls(&self) -> Vec<Call> {
        let mut server = self.server(format!("{} eio once", HELD - 1));
        let told = self.stage.told();
        self.stage.let_fail(true);
        assert_eq!(self.ask(&server).map(|answer| answer.status), Some(200));
        self.stage.let_fail(false);
        server.kill();
        let mut calls = self.stage.calls(told);
        calls.retain(|call| (1..HELD).contains(&call.number));
        calls
    }

    /// What is wrong where a call fails.
    fn fails(&self, call: u32, kind: &str) -> Result<(), String> {
        let Self { history, step, stage } = *self;
        let mut server = self.server(format!("{call} {kind}"));
        stage.let_fail(true);
        let first = self.ask(&server);
        let mut answered = honest_answer(first.as_ref(), kind)?;
        if kind.ends_with("once") && !kind.starts_with("kill") {
            let again = self.ask(&server);
            let body = |answer: &Option<Answer>| answer.as_ref().map(|answer| answer.body.clone());
            let is_done = again.as_ref().is_some_and(|answer| answer.status == 200);
            if !is_done || (answered && body(&again) != body(&first)) {
                return Err(format!("after {first:?} Agora's second try is answered {again:?}"));
            }
            answered = true;
        }
        server.kill();
        Judge { history, step, answered, anew: true }.verdict(stage)
    }
}

/// Lets calls of a server fail while it answers, one in so many.
fn fail_served(history: &History, [short, full]: [usize; 2]) -> Found {
    let thinned = if long() { full } else { short };
    let stage = Stage::new();
    let mut found = Found::default();
    let mut turn = 0;
    for (step, Step { command, .. }) in history.steps.iter().enumerate() {
        if !is_request(command) {
            continue;
        }
        let asked = Asked { history, step, stage: &stage };
        for call in asked.calls() {
            found.points += 1;
            for kind in KINDS.into_iter().filter(|kind| may(&call, kind)) {
                turn += 1;
                if turn % thinned != 0 {
                    continue;
                }
                found.images += 1;
                if let Err(fault) = asked.fails(call.number, kind) {
                    let (number, act, path) = (call.number, act(&call), call.path.display());
                    found.faults.push(format!(
                        "{command:?}, call {number} ({act} of {path}) fails with {kind}: {fault}"
                    ));
                }
            }
        }
    }
    found
}

/// Lets calls of a case fail, and wants nothing to be wrong.
fn bears(case: &Case, thinned: [usize; 2]) {
    let history = History::of(case, &Trouble::default());
    let found = if case.served { fail_served(&history, thinned) } else { fail(&history, thinned) };
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
    bears(&cuts::customers(), [97, 1]);
}

#[test]
fn months_are_priced_anew_or_it_is_said_on_a_disk_that_fails() {
    bears(&cuts::rewrites(), [97, 1]);
}

#[test]
fn a_restore_ends_honestly_on_a_disk_that_fails() {
    bears(&cuts::restore(), [61, 1]);
}

#[test]
fn an_import_ends_honestly_on_a_disk_that_fails() {
    bears(&cuts::import(500), [97, 7]);
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

#[test]
fn agoras_calls_are_answered_honestly_on_a_disk_that_fails_and_done_by_the_second_try() {
    bears(&cuts::served(), [31, 1]);
}

#[test]
fn agoras_calls_are_answered_honestly_where_the_log_cannot_be_moved() {
    bears(&cuts::moved(), [197, 3]);
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

/// Lets each sync of a history fail, one in so many of the short form, as it does on Linux: what it
/// should have written never reaches the disk. Then the power is cut.
fn forget(case: &Case, short: usize) {
    let thinned = if long() { 1 } else { short };
    let history = History::of(case, &Trouble::default());
    let stage = Stage::new();
    let mut found = Found::default();
    for (step, Step { command, calls, .. }) in history.steps.iter().enumerate() {
        let image = history.disk_before(step);
        let first = history.calls[..calls.start].iter().map(|call| call.number).max();
        let syncs = history.calls[calls.clone()].iter().filter(|call| call.act == Act::Synced);
        for number in syncs.map(|call| call.number - first.unwrap_or(0)) {
            found.points += 1;
            if found.points % thinned != 0 {
                continue;
            }
            stage.lay(&image);
            for (name, text) in &case.inputs {
                fs::write(stage.vendor.path(name), text).expect("a file");
            }
            let mut disk = Disk::of(&stage.root());
            disk.forgets = true;
            let told = stage.told();
            let fails = Trouble { fails: Some(format!("{number} eio once")), plant: None };
            let ended = stage.watched(command, &fails).output().expect("it runs");
            let ended = Ended::from(ended);
            stage.calls(told).iter().for_each(|call| disk.apply(call));
            for fate in [Fate::Lost, Fate::NamesKept, Fate::BytesKept, Fate::Mixed(1)] {
                found.images += 1;
                stage.lay(&disk.image(fate));
                let answered = ended.code == 0;
                let judge = Judge { history: &history, step, answered, anew: true };
                let verdict = honest(&ended, "eio once").and_then(|()| judge.verdict(&stage));
                if let Err(fault) = verdict {
                    found.faults.push(format!(
                        "{command:?}, sync {number} fails, exit {}, {fate:?}: {fault}",
                        ended.code
                    ));
                }
            }
        }
    }
    found.tell(case.name, "disks after a sync that failed");
    assert!(found.images > 0);
    assert!(found.faults.is_empty(), "{}: {}", found.faults.len(), found.faults[0]);
}

#[test]
fn what_a_failed_sync_lost_is_not_told_as_done() {
    forget(&cuts::records(), 5);
    forget(&cuts::licenses(), 17);
    forget(&cuts::customers(), 29);
    forget(&cuts::rewrites(), 23);
    forget(&cuts::import(100), 3);
    for case in [cuts::init(), cuts::backup(), cuts::restore(), cuts::migrate()] {
        forget(&case, 3);
    }
}

/// A draft is synced while it is written, so that not all of it is to be synced at its end. What
/// such a sync could not write is lost, and the last sync does not tell it again.
#[test]
fn a_sync_that_failed_while_a_draft_was_written_is_told() {
    for case in [cuts::backup(), cuts::restore(), cuts::migrate()] {
        let history = History::of(&case, &Trouble::default());
        let stage = Stage::new();
        stage.lay(&history.disk_before(0));
        let along = Trouble { fails: Some("1 along forever".to_owned()), plant: None };
        let ended = stage.watched(&case.commands[0], &along).output().expect("it runs");
        let ended = Ended::from(ended);
        let failed = |call: &Call| call.act == Act::Synced && call.failed;
        assert!(stage.calls(0).iter().any(failed), "{}: no sync failed", case.name);
        assert!(ended.code != 0, "{}: {}", case.name, ended.out);
        let judge = Judge { history: &history, step: 0, answered: false, anew: true };
        let verdict = honest(&ended, "eio once").and_then(|()| judge.verdict(&stage));
        verdict.unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
    }
}
