//! Bytes that were changed, in the file and in its log.

use crate::disk::Dice;
use crate::judge::State;
use crate::stage::{NOW, SERVE, Stage, ask, words};
use crate::vendor::{API_KEY, long};
use std::fs;

/// Books with a month that was told, licenses, a void, and usage of this month.
fn books() -> Stage {
    let stage = Stage::new();
    let init = format!("init --api-key {API_KEY} --api-secret-file secret");
    let commands = [
        &init,
        "plan set default --name Standard --unit Minute --price 0.01",
        "customer add c --name Ann",
        "project add p --customer c",
        "license issue c --expires 2026-12-31 --count 10 --id l --starts 2026-11-01",
        "record p 700 --id old --at 2026-10-05",
    ];
    for command in commands {
        assert_eq!(stage.run(&words(command)).code, 0, "{command}");
    }
    let server = stage.vendor.serve_by(stage.command(&words(SERVE)));
    let bill = words("BILL 2026-10-01T00:00:00Z 2026-10-31T23:59:59Z");
    assert_eq!(ask(&server, &bill).map(|answer| answer.status), Some(200));
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    for number in 0..40 {
        let record = format!("record p{} {number}.5 --id r{number} --at {NOW}", number % 7);
        assert_eq!(stage.run(&words(&record)).code, 0);
    }
    assert_eq!(stage.run(&words("void r3 --reason mistake")).code, 0);
    stage
}

/// What the books say of usage, of licenses, and of what was told.
fn figures(stage: &Stage) -> Vec<(i32, String)> {
    let questions = [
        "export",
        "totals --from 2026-01-01 --to 2027-01-01 --by project --json",
        "totals --from 2026-01-01 --to 2027-01-01 --by day --json",
        "license list --json",
        "statement list --json",
        "bill --month 2026-10 --json",
    ];
    let answers = questions.map(|question| stage.run(&words(question)));
    answers.into_iter().map(|ended| (ended.code, ended.out)).collect()
}

#[test]
fn a_changed_byte_changes_no_figure_that_check_does_not_see() {
    let stage = books();
    let whole = fs::read(stage.db()).expect("the books");
    let told = figures(&stage);
    assert!(told.iter().all(|(code, _)| *code == 0));
    // Most of the file is zeros that nobody reads. What people are told by name, `check` cannot
    // know: `docs/reliability.md` says so.
    let mut used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    for name in ["Standard", "Minute", "Ann", "mistake"] {
        let stands = |at: &usize| whole[*at..].starts_with(name.as_bytes());
        for at in (0..whole.len()).filter(stands) {
            used.retain(|used| !(at..at + name.len()).contains(used));
        }
    }
    let mut dice = Dice(7);
    let (mut seen, mut harmless) = (0, 0);
    for _ in 0..if long() { 20_000 } else { 150 } {
        let mut bytes = whole.clone();
        let at = used[dice.below(used.len())];
        let mask = 1 << dice.below(8);
        bytes[at] ^= mask;
        for name in ["agora-vendor.db-wal", "agora-vendor.db-shm"] {
            assert!(!stage.root().join(name).exists(), "{name}");
        }
        fs::write(stage.db(), &bytes).expect("changed books");
        let checked = stage.run(&words("check"));
        assert!([0, 1].contains(&checked.code), "byte {at} ^ {mask}: {}", checked.err);
        if checked.code == 1 {
            seen += 1;
        } else {
            harmless += 1;
            assert_eq!(figures(&stage), told, "byte {at} ^ {mask} is not seen");
        }
        for name in ["agora-vendor.db-wal", "agora-vendor.db-shm", "agora-vendor.db-journal"] {
            let _removed = fs::remove_file(stage.root().join(name));
        }
    }
    assert!(seen > 0 && harmless > 0, "{seen} seen, {harmless} harmless");
}

/// Books whose log holds records that are not moved into the file, since a server was killed.
struct Logged {
    stage: Stage,
    file: Vec<u8>,
    log: Vec<u8>,
    /// The frames that end a commit, from 1.
    commits: Vec<usize>,
}

const FRAME: usize = 24 + 4096;

fn logged() -> Logged {
    let stage = Stage::new();
    let init = format!("init --api-key {API_KEY} --api-secret-file secret");
    assert_eq!(stage.run(&words(&init)).code, 0);
    let mut server = stage.vendor.serve_by(stage.command(&words(SERVE)));
    for number in 0..5 {
        assert_eq!(stage.run(&words(&format!("record p 1 --id r{number}"))).code, 0);
    }
    server.kill();
    let read = |name: &str| fs::read(stage.root().join(name)).expect("a file");
    let (file, log) = (read("agora-vendor.db"), read("agora-vendor.db-wal"));
    let is_commit = |frame: &usize| {
        let at = 32 + (frame - 1) * FRAME;
        log[at + 4..at + 8] != [0; 4]
    };
    let commits = (1..=(log.len() - 32) / FRAME).filter(is_commit).collect();
    Logged { stage, file, log, commits }
}

impl Logged {
    /// What `check` says where the log is this.
    fn check(&self, log: &[u8]) -> (i32, String) {
        let root = self.stage.root();
        fs::write(root.join("agora-vendor.db"), &self.file).expect("a file");
        fs::write(root.join("agora-vendor.db-wal"), log).expect("a log");
        let _removed = fs::remove_file(root.join("agora-vendor.db-shm"));
        let checked = self.stage.run(&words("check"));
        (checked.code, checked.out)
    }

    fn records(&self) -> usize {
        State::of_copy(&self.stage.root()).books.expect("books")["usage_ledger"].len()
    }
}

#[test]
fn check_sees_a_log_that_breaks_off_before_an_acknowledged_commit() {
    let books = logged();
    assert_eq!(books.commits.len(), 5);
    let last = books.commits[3];
    let frames = *books.commits.last().expect("a commit");
    for frame in 1..=frames {
        // In the frame's head: the page's number, the salt, the checksum; and in the page.
        for place in [0, 9, 17, 24, 2_000, FRAME - 1] {
            let mut log = books.log.clone();
            log[32 + (frame - 1) * FRAME + place] ^= 0x10;
            let (code, said) = books.check(&log);
            if frame == last && [9, 17].contains(&place) {
                // Nothing ties the frame that ends this commit to the log, or to the next one.
                continue;
            }
            if frame <= last {
                let words = format!("is damaged in frame {frame}, and at least ");
                assert!(code == 1 && said.contains(&words), "{frame}, {place}: {said}");
                let left = fs::read(books.stage.root().join("agora-vendor.db-wal"));
                assert!(left.is_ok_and(|left| left == log), "the log is left as it is");
            } else {
                // Of the last commit it cannot be known whether it ever was whole.
                assert_eq!((code, books.records()), (0, 4), "{frame}, {place}: {said}");
            }
        }
    }
}

/// What is cut off leaves no trace. `docs/reliability.md` says so.
#[test]
fn a_log_that_was_cut_off_holds_whole_commits() {
    let books = logged();
    for end in (0..books.log.len()).step_by(FRAME / 2).chain([31, 32, 33]) {
        let (code, said) = books.check(&books.log[..end]);
        assert_eq!(code, 0, "{end}: {said}");
        let whole = books.commits.iter().filter(|frame| 32 + **frame * FRAME <= end).count();
        assert_eq!(books.records(), whole, "{end}");
    }
}

#[test]
fn check_takes_no_log_for_damaged_while_it_is_written() {
    let stage = Stage::new();
    let init = format!("init --api-key {API_KEY} --api-secret-file secret");
    assert_eq!(stage.run(&words(&init)).code, 0);
    let _server = stage.vendor.serve_by(stage.command(&words(SERVE)));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let stage = &stage;
                scope.spawn(move || {
                    for number in 0..if long() { 400 } else { 40 } {
                        let record = format!("record p 1 --id w{writer}-{number}");
                        assert_eq!(stage.run(&words(&record)).code, 0);
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let checked = stage.run(&words("check"));
            assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
        }
    });
}
