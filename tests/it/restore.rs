//! Backups and the way back from them, also where the process is killed or the disk fails at any
//! step.

use crate::clock::{DISK, library};
use crate::migrations::{of_version_1, of_version_3};
use crate::vendor::{Ended, Vendor, day, long, skipped};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The library that counts the steps of a process.
static STEPS: LazyLock<PathBuf> = LazyLock::new(|| library("steps"));

/// What becomes of a process at one of its steps.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Killed,
    Fails,
}

/// Runs a command that meets its fate at a step.
fn at_step(vendor: &Vendor, arguments: &[&str], fate: Fate, step: usize) -> Ended {
    let mut command = vendor.command(arguments);
    let variable = match fate {
        Fate::Killed => "TEST_STEP_KILLS",
        Fate::Fails => "TEST_STEP_FAILS",
    };
    command.env("LD_PRELOAD", &*STEPS).env(variable, step.to_string());
    command.output().expect("the executable runs").into()
}

/// How many steps a command takes that comes to its end.
fn steps(vendor: &Vendor, arguments: &[&str]) -> usize {
    let count = vendor.path("steps.count");
    let mut command = vendor.command(arguments);
    command.env("LD_PRELOAD", &*STEPS).env("TEST_STEP_COUNT", &count);
    let ended: Ended = command.output().expect("the executable runs").into();
    assert_eq!(ended.code, 0, "{}", ended.err);
    let steps = fs::read_to_string(&count).expect("a count").parse().expect("a number");
    fs::remove_file(count).expect("removed");
    steps
}

/// The steps at which a fate is tried: all of them in the long form, else the last ones, in which
/// names change, and some of the writes before.
fn tried(steps: usize) -> Vec<usize> {
    let names_change = 30;
    let tries = |step: &usize| long() || step + names_change > steps || step % 9 == 1;
    (1..=steps).filter(tries).collect()
}

fn names(vendor: &Vendor) -> Vec<String> {
    let entries = fs::read_dir(vendor.path(".")).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.retain(|name| !["secret", "server.log", "clock"].contains(&name.as_str()));
    names.sort();
    names
}

/// The databases that were replaced.
fn replaced(vendor: &Vendor) -> Vec<String> {
    let mut names = names(vendor);
    names.retain(|name| name.ends_with(".replaced"));
    names
}

fn drafts(vendor: &Vendor) -> Vec<String> {
    let mut names = names(vendor);
    names.retain(|name| name.contains(".draft"));
    names
}

fn total_of(vendor: &Vendor, db: &str) -> String {
    let arguments = ["totals", "--from", "2001-09-09", "--to", "2100-01-01", "--db", db];
    vendor.json(arguments)["total"].as_str().expect("a string").to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").mode() & 0o777
}

/// A copy of a vendor's folder, for one try.
fn copy_of(vendor: &Vendor) -> Vendor {
    let copy = Vendor::without_books();
    for name in names(vendor) {
        fs::copy(vendor.path(&name), copy.path(&name)).expect("copied");
    }
    copy
}

/// Books of 1 with a backup, then of 3, of which the last record is in the log of a server that was
/// killed.
fn with_backup_and_log() -> Vendor {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "a", "--at", "2026-10-10"]);
    vendor.ok(["backup", "backup.db"]);
    let mut server = vendor.serve();
    vendor.ok(["record", "p", "2", "--id", "b", "--at", "2026-10-10"]);
    server.kill();
    assert!(fs::metadata(vendor.path("agora-vendor.db-wal")).expect("a log").len() > 0);
    vendor
}

#[test]
fn a_restore_puts_the_backup_in_place_and_keeps_what_was_there_with_its_log() {
    let vendor = with_backup_and_log();
    let log = fs::read(vendor.path("agora-vendor.db-wal")).expect("a log");
    let books = fs::read(vendor.db()).expect("the books");
    let restored = vendor.at("2026-11-26T18:22:37Z").json(["restore", "backup.db"]);
    let kept = format!("{}.20261126T182237Z.replaced", vendor.db().display());
    assert_eq!(restored["db"], vendor.db().display().to_string());
    assert_eq!((&restored["from"], &restored["kept"]), (&"backup.db".into(), &kept.clone().into()));
    assert_eq!(restored["lastRecord"]["id"], "a");
    assert_eq!(restored["lastRecord"]["at"], "2026-10-10T12:00:00Z");
    assert_eq!(restored["replaced"]["lastRecord"]["id"], "b");
    // To the byte, the index too.
    assert_eq!(fs::read(&kept).expect("the books"), books);
    assert_eq!(fs::read(format!("{kept}-wal")).expect("the log"), log);
    for suffix in ["-shm", "-pages"] {
        assert!(Path::new(&format!("{kept}{suffix}")).exists(), "{suffix}");
    }
    assert_eq!(names(&vendor).iter().filter(|name| name.ends_with("-wal")).count(), 1);
    assert_eq!((vendor.total(), mode(&vendor.db())), ("1".into(), 0o600));
    assert_eq!(total_of(&vendor, &kept), "3");
    vendor.ok(["check"]);
    // The way back again. Two in a second have two names.
    let again = vendor.json(["restore", &kept]);
    assert_eq!(again["kept"], kept.replace("Z.", "Z-2."));
    assert_eq!(vendor.total(), "3");
    assert_eq!(drafts(&vendor), [""; 0]);
}

#[test]
fn a_restore_says_until_when_the_books_hold_and_what_to_feed_again() {
    let vendor = with_backup_and_log();
    let ended = vendor.at("2026-11-26T18:22:37Z").ok(["restore", "backup.db"]);
    assert!(ended.out.contains("last record         dated 2026-10-10T12:00:00Z"), "{}", ended.out);
    assert!(ended.out.contains("(a)") && ended.out.contains("(b)"), "{}", ended.out);
    assert!(ended.err.contains(".replaced export` writes their records"), "{}", ended.err);
    let kept = "agora-vendor.db.20261126T182237Z.replaced";
    let rows = vendor.ok(["export", "--db", kept]).out;
    fs::write(vendor.path("rows.jsonl"), rows).expect("a file");
    let fed = vendor.json(["import", "rows.jsonl"]);
    assert_eq!((&fed["recorded"], &fed["duplicates"]), (&1.into(), &1.into()));
    assert_eq!(vendor.total(), "3");
}

#[test]
fn a_restore_says_that_a_void_and_what_else_was_changed_are_lost_too() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "a", "--at", "2026-10-10", "--customer", "c"]);
    vendor.ok(["record", "p", "2", "--id", "b", "--at", "2026-10-10"]);
    vendor.ok(["backup", "backup.db"]);
    let again = copy_of(&vendor).ok(["restore", "backup.db"]);
    assert!(!again.err.contains("the replaced books"), "{}", again.err);
    vendor.ok(["void", "a", "--reason", "wrong"]);
    vendor.ok(["plan", "set", "gold", "--name", "Gold", "--unit", "Minute", "--price", "2"]);
    vendor.ok(["setting", "set", "late", "carry"]);
    let shown = copy_of(&vendor).ok(["restore", "backup.db"]);
    assert!(shown.out.contains("its last void       dated 2026-10-10T12:00:00Z"), "{}", shown.out);
    assert!(shown.err.contains("books took another record back: "), "{}", shown.err);
    assert!(shown.err.contains("differ in this as well: plans, settings; do"), "{}", shown.err);
    let restored = vendor.json(["restore", "backup.db"]);
    assert_eq!(restored["lastVoid"], serde_json::Value::Null);
    assert_eq!(restored["replaced"]["lastVoid"]["id"], "a");
    assert_eq!(restored["replaced"]["differs"], serde_json::json!(["plans", "settings"]));
    assert_eq!(vendor.total(), "3");
    let rows = vendor.ok(["export", "--db", restored["kept"].as_str().expect("a path")]).out;
    fs::write(vendor.path("rows.jsonl"), rows).expect("a file");
    vendor.ok(["import", "rows.jsonl"]);
    assert_eq!(vendor.total(), "2");
}

#[test]
fn a_restore_lists_the_statements_that_the_backup_lacks() {
    let vendor = Vendor::new();
    vendor.at("2026-11-02T00:00:00Z");
    vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
    let server = vendor.serve();
    let told = |date: &str| {
        let (from, to) = day(date);
        assert_eq!(server.usage(from, to).status, 200);
    };
    told("2026-10-10");
    server.log_with("/usage");
    while vendor.json(["statement", "list"])["statements"].as_array().expect("them").is_empty() {}
    vendor.ok(["backup", "backup.db"]);
    vendor.at("2026-11-02T00:10:00Z");
    told("2026-10-11");
    told("2026-10-12");
    server.signal("TERM");
    server.wait();
    let restored = copy_of(&vendor).ok(["restore", "backup.db"]);
    assert!(restored.err.contains("Agora received 2 statements"), "{}", restored.err);
    assert!(restored.out.contains("the restored books do not have them"), "{}", restored.out);
    let restored = vendor.json(["restore", "backup.db"]);
    assert_eq!(restored["lastStatement"]["from"], "2026-10-10T00:00:00Z");
    let untold = restored["replaced"]["untold"].as_array().expect("an array");
    let windows: Vec<_> = untold.iter().map(|told| told["from"].as_str().expect("text")).collect();
    assert_eq!(windows, ["2026-10-11T00:00:00Z", "2026-10-12T00:00:00Z"]);
    assert_eq!(untold[0]["firstAskedAt"], "2026-11-02T00:10:00Z");
}

#[test]
fn a_restore_is_refused_while_anything_has_the_database_open() {
    let vendor = with_backup_and_log();
    let refused = |what: &str| {
        let before = names(&vendor);
        let said = vendor.fails(75, ["restore", "backup.db"]);
        assert!(said.contains("is in use: stop the server"), "{what}: {said}");
        assert_eq!(names(&vendor), before, "{what}");
    };
    let server = vendor.serve();
    refused("a server");
    server.signal("TERM");
    server.wait();
    let sql = vendor.sql();
    sql.query_row("select count(*) from project", [], |_| Ok(())).expect("a read");
    refused("a connection that reads nothing now");
    drop(sql);
    assert_eq!(vendor.total(), "3");
    vendor.ok(["restore", "backup.db"]);
    assert_eq!(vendor.total(), "1");
}

#[test]
fn what_can_be_no_backup_is_refused_before_the_books_are_in_use() {
    let vendor = with_backup_and_log();
    let whole = fs::read(vendor.path("backup.db")).expect("a backup");
    fs::write(vendor.path("text"), "no database").expect("a file");
    fs::write(vendor.path("long"), "no database, and as long as one. ".repeat(99)).expect("a file");
    fs::write(vendor.path("empty"), "").expect("a file");
    for (name, sql) in
        [("newer.db", "pragma user_version = 99"), ("others.db", "pragma application_id = 7")]
    {
        fs::write(vendor.path(name), &whole).expect("a file");
        let connection = rusqlite::Connection::open(vendor.path(name)).expect("a backup");
        connection.execute_batch(sql).expect(sql);
    }
    assert!(Command::new("mkfifo").arg(vendor.path("pipe")).status().expect("it runs").success());
    let _server = vendor.serve();
    for (backup, words) in [
        ("missing.db", "there is no file at missing.db"),
        ("text", "text is not an agora-vendor database: name a file that"),
        ("long", "is not an agora-vendor database"),
        ("empty", "is not an agora-vendor database"),
        (".", "is not an agora-vendor database"),
        ("pipe", "is not an agora-vendor database"),
        ("others.db", "is not an agora-vendor database"),
        ("newer.db", "use a newer agora-vendor"),
        ("agora-vendor.db", "is the database itself"),
    ] {
        let said = vendor.fails(1, ["restore", backup]);
        assert!(said.contains(words) && !said.contains("in use"), "{backup}: {said}");
    }
    let said = vendor.fails(75, ["restore", "backup.db"]);
    assert!(said.contains("is in use: stop the server"), "{said}");
}

#[test]
fn a_restore_works_where_there_is_no_database_yet() {
    let vendor = with_backup_and_log();
    let elsewhere = Vendor::without_books();
    fs::copy(vendor.path("backup.db"), elsewhere.path("backup.db")).expect("copied");
    let restored = elsewhere.json(["restore", "backup.db"]);
    assert!(restored["kept"].is_null() && restored["replaced"].is_null(), "{restored}");
    assert_eq!(elsewhere.total(), "1");
    elsewhere.ok(["check"]);
    assert_eq!(names(&elsewhere), ["agora-vendor.db", "backup.db"]);
    // A log without its database is kept, and never played into the new one.
    fs::remove_file(vendor.db()).expect("removed");
    let ended = vendor.ok(["restore", "backup.db"]);
    assert!(ended.err.contains("files lay there without their database"), "{}", ended.err);
    assert_eq!(vendor.total(), "1");
    assert!(names(&vendor).iter().any(|name| name.ends_with(".replaced-wal")));
}

#[test]
fn a_backup_that_is_not_sound_is_refused_before_anything_is_moved() {
    let vendor = with_backup_and_log();
    let refused = |backup: &str, words: &str| {
        let before = names(&vendor);
        let said = vendor.fails(1, ["restore", backup]);
        assert!(said.contains(words), "{backup}: {said}");
        assert_eq!(names(&vendor), before);
        // The log was not touched either.
        assert_eq!(copy_of(&vendor).total(), "3", "{backup}");
    };
    fs::write(vendor.path("text"), "no database").expect("a file");
    fs::write(vendor.path("empty"), "").expect("a file");
    let whole = fs::read(vendor.path("backup.db")).expect("a backup");
    let mut damaged = whole.clone();
    for byte in &mut damaged[5_000..60_000] {
        *byte = 0x5a;
    }
    fs::write(vendor.path("damaged.db"), damaged).expect("a file");
    fs::write(vendor.path("short.db"), &whole[..whole.len() - 8192]).expect("a file");
    let tampered = [
        ("newer.db", "pragma user_version = 99"),
        ("sums.db", "update usage_rollup set amount = '9'"),
        ("others.db", "pragma application_id = 7"),
    ];
    for (name, sql) in tampered {
        fs::write(vendor.path(name), &whole).expect("a file");
        let connection = rusqlite::Connection::open(vendor.path(name)).expect("a backup");
        connection.execute_batch(sql).expect(sql);
    }
    for (backup, words) in [
        ("text", "text is not an agora-vendor database: name a file that"),
        ("empty", "is not an agora-vendor database"),
        ("others.db", "is not an agora-vendor database"),
        ("newer.db", "use a newer agora-vendor"),
        ("damaged.db", "is damaged"),
        ("short.db", "is damaged"),
        ("sums.db", "is not sound"),
        ("missing.db", "there is no file at missing.db"),
        ("agora-vendor.db", "is the database itself"),
        (".", "is not an agora-vendor database"),
    ] {
        refused(backup, words);
    }
    for path in ["file:backup.db", ":memory:"] {
        assert!(vendor.fails(2, ["restore", path]).contains("is not the path of a file"));
    }
}

#[test]
fn a_backup_of_an_earlier_version_is_migrated_and_stays_as_it_is() {
    for (version, old) in [(1, of_version_1()), (3, of_version_3())] {
        let vendor = Vendor::new();
        vendor.ok(["record", "p", "7"]);
        let backup = vendor.path("old.db");
        fs::copy(old.db(), &backup).expect("copied");
        if old.path("agora-vendor.db-wal").exists() {
            fs::copy(old.path("agora-vendor.db-wal"), vendor.path("old.db-wal")).expect("copied");
        }
        let whole = fs::read(&backup).expect("a backup");
        let restored = vendor.json(["restore", "old.db"]);
        assert_eq!(restored["migratedFrom"], version);
        assert_eq!(fs::read(&backup).expect("a backup"), whole);
        vendor.ok(["check"]);
        old.ok(["migrate"]);
        assert_eq!(vendor.total(), old.total());
        assert_eq!(drafts(&vendor), [""; 0]);
    }
}

#[test]
fn a_backup_that_may_only_be_read_or_has_more_names_is_as_good() {
    let vendor = with_backup_and_log();
    fs::create_dir(vendor.path("box")).expect("a folder");
    fs::hard_link(vendor.path("backup.db"), vendor.path("box/hard.db")).expect("a link");
    symlink("hard.db", vendor.path("box/soft.db")).expect("a link");
    fs::set_permissions(vendor.path("box"), fs::Permissions::from_mode(0o555)).expect("a mode");
    vendor.ok(["restore", "box/soft.db"]);
    assert_eq!(vendor.total(), "1");
    // Nothing is written beside it.
    assert_eq!(fs::read_dir(vendor.path("box")).expect("a folder").count(), 2);
    fs::set_permissions(vendor.path("box"), fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn a_database_behind_a_symbolic_link_is_replaced_where_it_is() {
    let vendor = with_backup_and_log();
    fs::create_dir(vendor.path("box")).expect("a folder");
    symlink("../agora-vendor.db", vendor.path("box/link.db")).expect("a link");
    vendor.ok(["restore", "backup.db", "--db", "box/link.db"]);
    assert_eq!((vendor.total(), replaced(&vendor).len()), ("1".into(), 1));
    assert_eq!(fs::read_dir(vendor.path("box")).expect("a folder").count(), 1);
    symlink("nowhere.db", vendor.path("lost.db")).expect("a link");
    let said = vendor.fails(1, ["restore", "backup.db", "--db", "lost.db"]);
    assert!(said.contains("is a symbolic link to nowhere.db"), "{said}");
}

#[test]
fn a_damaged_database_is_replaced_and_one_of_somebody_else_is_not() {
    let vendor = with_backup_and_log();
    for damage in ["", "garbage in the place of a header, and long enough to be one"] {
        let vendor = copy_of(&vendor);
        fs::write(vendor.db(), damage).expect("damaged");
        let ended = vendor.ok(["restore", "backup.db"]);
        assert!(ended.err.contains("the replaced database cannot be read"), "{}", ended.err);
        assert_eq!(vendor.total(), "1");
        let kept = vendor.path(&replaced(&vendor)[0]);
        assert_eq!(fs::read_to_string(&kept).expect("a file"), damage);
        assert!(Path::new(&format!("{}-wal", kept.display())).exists(), "its log");
    }
    let other = Vendor::without_books();
    fs::copy(vendor.path("backup.db"), other.path("backup.db")).expect("copied");
    let sql = other.sql();
    sql.execute_batch("create table t (a); insert into t values (1)").expect("another's");
    drop(sql);
    let said = other.fails(1, ["restore", "backup.db"]);
    assert!(said.contains("is not an agora-vendor database"), "{said}");
    assert_eq!(names(&other), ["agora-vendor.db", "backup.db"]);
}

#[test]
fn a_backup_copied_over_the_database_beside_an_old_log_is_told_so_and_restored() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "a"]);
    vendor.ok(["backup", "backup.db"]);
    let rows: String = (0..400)
        .map(|n| {
            let at = r#""amount":"1","at":"2026-10-10""#;
            format!("{{\"id\":\"r{n}\",\"projectId\":\"q{n}\",{at}}}\n")
        })
        .collect();
    fs::write(vendor.path("rows.jsonl"), rows).expect("a file");
    vendor.ok(["import", "rows.jsonl"]);
    let mut server = vendor.serve();
    vendor.ok(["record", "z", "1"]);
    server.kill();
    let log = fs::read(vendor.path("agora-vendor.db-wal")).expect("a log");
    fs::copy(vendor.path("backup.db"), vendor.db()).expect("the obvious wrong way");
    for verb in [&["totals"][..], &["check"], &["record", "p", "1"], &["serve"], &["bill"]] {
        let verb = if verb == ["bill"] { &["bill", "--month", "2026-10"] } else { verb };
        let said = vendor.fails(1, verb);
        let error = said.lines().last().expect("a line");
        for words in ["is damaged", "agora-vendor.db-wal lies beside it", "restore FILE` puts a"] {
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(fs::read(vendor.path("agora-vendor.db-wal")).expect("its log"), log);
    }
    vendor.ok(["restore", "backup.db"]);
    assert_eq!(vendor.total(), "1");
    vendor.ok(["check"]);
    let kept = format!("{}-wal", replaced(&vendor)[0]);
    assert_eq!(fs::read(vendor.path(&kept)).expect("its log"), log);
}

#[test]
fn a_restore_killed_at_any_step_leaves_the_old_books_or_the_new_ones_whole() {
    let vendor = with_backup_and_log();
    let restore = ["restore", "backup.db"];
    let steps = steps(&copy_of(&vendor), &restore);
    assert!(steps > 40, "{steps}");
    let mut left = [0, 0];
    for step in tried(steps) {
        let vendor = copy_of(&vendor);
        let ended = at_step(&vendor, &restore, Fate::Killed, step);
        assert_eq!(ended.code, -1, "step {step}: {}", ended.err);
        for draft in drafts(&vendor) {
            assert_eq!(mode(&vendor.path(&draft)), 0o600, "step {step}: {draft}");
        }
        // Whoever comes next finds books that are whole.
        let total = vendor.total();
        vendor.ok(["check"]);
        left[usize::from(total == "1")] += 1;
        let names_then = names(&vendor);
        if total == "3" {
            // As if it had never been.
            assert_eq!(replaced(&vendor), [""; 0], "step {step}: {names_then:?}");
            vendor.ok(restore);
        } else {
            assert_eq!(total, "1", "step {step}");
        }
        assert_eq!(vendor.total(), "1", "step {step}");
        let kept = replaced(&vendor);
        assert_eq!(kept.len(), 1, "step {step}: {names_then:?}");
        assert_eq!(total_of(&vendor, &kept[0]), "3", "step {step}: {names_then:?}");
        vendor.ok(["check", "--db", &kept[0]]);
        vendor.ok(["backup", "after.db"]);
        assert_eq!(drafts(&vendor), [""; 0], "step {step}: {names_then:?}");
    }
    assert!(left.iter().all(|left| *left > 0), "{left:?}");
}

#[test]
fn a_restore_whose_disk_fails_at_any_step_says_so_and_the_old_books_are_there() {
    let vendor = with_backup_and_log();
    let restore = ["restore", "backup.db"];
    let steps = steps(&copy_of(&vendor), &restore);
    let mut failed = 0;
    for step in tried(steps) {
        let vendor = copy_of(&vendor);
        let ended = at_step(&vendor, &restore, Fate::Fails, step);
        let total = vendor.total();
        vendor.ok(["check"]);
        if ended.code == 0 {
            assert_eq!(total, "1", "step {step}: {}", ended.err);
            continue;
        }
        failed += 1;
        assert!(ended.err.contains("error: "), "step {step}: {}", ended.err);
        // The last step brings the new name to the disk.
        let is_new = ended.err.contains("the new file is in its place");
        assert_eq!(total, if is_new { "1" } else { "3" }, "step {step}: {}", ended.err);
        assert_eq!(replaced(&vendor).len(), usize::from(is_new), "step {step}");
        vendor.ok(restore);
        assert_eq!(vendor.total(), "1", "step {step}");
        let kept = replaced(&vendor);
        assert!(kept.iter().any(|kept| total_of(&vendor, kept) == "3"), "step {step}: {kept:?}");
    }
    assert!(failed > 20, "{failed}");
}

/// What `arguments` make is whole, or is not there, wherever the disk fails.
fn is_whole_or_not_there(vendor: &Vendor, arguments: &[&str], made: &str) {
    let before = names(vendor);
    let steps = steps(&copy_of(vendor), arguments);
    let mut failed = 0;
    for step in tried(steps) {
        let vendor = copy_of(vendor);
        let ended = at_step(&vendor, arguments, Fate::Fails, step);
        let left = names(&vendor);
        if ended.code == 0 {
            vendor.ok(["check", "--db", made]);
            continue;
        }
        failed += 1;
        // Where the name's way to the disk fails, the whole file is there all the same.
        if left.iter().any(|name| name == made) && made != "agora-vendor.db" {
            vendor.ok(["check", "--db", made]);
        } else {
            let left: Vec<_> = left.iter().filter(|name| !name.contains(".draft")).collect();
            assert!(left.iter().all(|name| before.contains(name)), "step {step}: {left:?}");
        }
    }
    assert!(failed > 10, "{arguments:?}: {failed} of {steps}");
}

#[test]
fn what_init_and_backup_make_opens_wherever_the_disk_fails() {
    is_whole_or_not_there(&Vendor::without_books(), &["init", "--db", "made.db"], "made.db");
    is_whole_or_not_there(&with_backup_and_log(), &["backup", "made.db"], "made.db");
}

#[test]
fn a_migration_whose_disk_fails_or_that_is_killed_is_done_by_the_next_one() {
    let old = of_version_3();
    let steps = steps(&copy_of(&old), &["migrate"]);
    let with = |fate| tried(steps).into_iter().map(move |step| (fate, step));
    for (fate, step) in with(Fate::Fails).chain(with(Fate::Killed)) {
        let vendor = copy_of(&old);
        let ended = at_step(&vendor, &["migrate"], fate, step);
        if ended.code == 0 {
            vendor.ok(["check"]);
        }
        vendor.ok(["migrate"]);
        vendor.ok(["check"]);
        // One copy of what it was, and no drafts.
        let mut copies = names(&vendor);
        copies.retain(|name| name.ends_with(".version-3"));
        assert_eq!(copies.len(), 1, "{fate:?} at {step}: {:?}", names(&vendor));
        vendor.ok(["backup", "after.db"]);
        assert_eq!(drafts(&vendor), [""; 0], "{fate:?} at {step}");
    }
}

#[test]
fn drafts_that_killed_processes_left_are_cleared_and_nothing_of_anybody_else_is() {
    let vendor = with_backup_and_log();
    let id = "0190c0ffee00700080000123456789ab";
    let left = [
        format!("agora-vendor.db.{id}.draft"),
        format!("other.db.{id}.draft"),
        format!("other.db.{id}.draft-wal"),
        format!("gone.db.{id}.draft-journal"),
    ];
    let kept = [
        format!("mine.{id}.draft.txt"),
        "notes.draft".to_owned(),
        // Another one's text, and an id that was not made here.
        format!("text.{id}.draft"),
        "x.db.0190c0ffee00400080000123456789ab.draft".to_owned(),
        format!("linked.{id}.draft"),
    ];
    for name in &left {
        fs::copy(vendor.path("backup.db"), vendor.path(name)).expect("a draft");
    }
    for name in &kept {
        fs::write(vendor.path(name), "of somebody else").expect("a file");
    }
    fs::copy(vendor.path("backup.db"), vendor.path(&kept[4])).expect("a file");
    fs::hard_link(vendor.path(&kept[4]), vendor.path("another name")).expect("a link");
    vendor.ok(["totals"]);
    assert!(vendor.path(&left[0]).exists(), "a reader clears nothing");
    vendor.ok(["backup", "new.db"]);
    let there = names(&vendor);
    assert!(!left.iter().any(|name| there.contains(name)), "{there:?}");
    assert!(kept.iter().all(|name| there.contains(name)), "{there:?}");
}

/// They had the same names, gave a draft its name by a link, and were built with another SQLite.
#[test]
fn what_killed_migrations_of_earlier_executables_left_is_cleared_by_the_next_one() {
    let old = of_version_3();
    let vendor = copy_of(&old);
    vendor.ok(["migrate"]);
    let copies = || {
        let mut names = names(&vendor);
        names.retain(|name| name.contains(".version-3"));
        names
    };
    let mut copy = fs::read(vendor.path(&copies()[0])).expect("a copy");
    let ids = ["0190c0ffee00700080000123456789ab", "0190c0ffee00700080000123456789ac"];
    let left = format!("agora-vendor.db.{}.version-3", ids[0]);
    for other_sqlite in [false, true] {
        fs::copy(old.db(), vendor.db()).expect("old books");
        fs::remove_file(vendor.path(&copies()[0])).expect("a copy");
        if other_sqlite {
            copy[96..100].copy_from_slice(&3_051_004_u32.to_be_bytes());
        }
        fs::write(vendor.path(&left), &copy).expect("a copy");
        let draft = format!("{left}.{}.draft", ids[1]);
        fs::hard_link(vendor.path(&left), vendor.path(&draft)).expect("a link");
        fs::write(vendor.path(&format!("{left}.{}.draft", ids[0])), &copy[..8_192]).expect("it");
        vendor.ok(["migrate"]);
        let there = copies();
        assert!(there.len() == 1 && there[0] != left, "{there:?}");
        vendor.ok(["check"]);
    }
    // One that holds something else stays.
    fs::copy(old.db(), vendor.db()).expect("old books");
    *copy.last_mut().expect("bytes") ^= 1;
    fs::write(vendor.path(&left), &copy).expect("a copy");
    vendor.ok(["migrate"]);
    assert!(copies().contains(&left));
}

#[test]
fn a_draft_that_somebody_makes_is_not_cleared_by_the_next() {
    let vendor = with_backup_and_log();
    fs::write(vendor.path("gate"), "").expect("a gate");
    let mut restore = vendor.command(["restore", "backup.db"]);
    restore.env("LD_PRELOAD", &*STEPS).env("TEST_LINK_WAITS", vendor.path("gate"));
    let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    while drafts(&vendor).is_empty() {}
    vendor.ok(["init", "--db", "other.db"]);
    assert!(!drafts(&vendor).is_empty());
    fs::remove_file(vendor.path("gate")).expect("removed");
    let ended: Ended = restore.wait_with_output().expect("an end").into();
    assert_eq!((ended.code, vendor.total()), (0, "1".into()), "{}", ended.err);
}

#[test]
fn who_waits_while_the_file_is_replaced_never_writes_beside_the_new_one() {
    let vendor = with_backup_and_log();
    fs::write(vendor.path("gate"), "").expect("a gate");
    let mut restore = vendor.command(["restore", "backup.db"]);
    restore.env("LD_PRELOAD", &*STEPS).env("TEST_LINK_WAITS", vendor.path("gate"));
    let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // The books are held once they are to be linked: before, a reader gets through.
    let is_held = || {
        let sql = rusqlite::Connection::open(vendor.db()).expect("the books");
        sql.busy_timeout(std::time::Duration::ZERO).expect("none");
        sql.query_row("select count(*) from project", [], |_| Ok(())).is_err()
    };
    while drafts(&vendor).is_empty() || !is_held() {}
    let mut record = vendor.command(["record", "p", "5", "--id", "c", "--at", "2026-10-10"]);
    let mut record = record.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // It has the old file open, and waits.
    let files = format!("/proc/{}/fd", record.id());
    let has_it_open = || {
        let files = fs::read_dir(&files).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target == vendor.db().canonicalize().expect("a path"))
    };
    while record.try_wait().expect("a state").is_none() && !has_it_open() {}
    fs::remove_file(vendor.path("gate")).expect("removed");
    let restored: Ended = restore.wait_with_output().expect("an end").into();
    assert_eq!(restored.code, 0, "{}", restored.err);
    let recorded: Ended = record.wait_with_output().expect("an end").into();
    assert_eq!(recorded.code, 75, "{}{}", recorded.out, recorded.err);
    assert!(recorded.err.contains("try again"), "{}", recorded.err);
    vendor.ok(["record", "p", "5", "--id", "c", "--at", "2026-10-10"]);
    assert_eq!(vendor.total(), "6");
    assert_eq!(total_of(&vendor, &replaced(&vendor)[0]), "3");
    vendor.ok(["check"]);
}

#[test]
fn what_is_made_is_readable_by_its_owner_alone_whatever_the_umask() {
    let vendor = with_backup_and_log();
    for (umask, name) in [("0000", "open.db"), ("0777", "closed.db"), ("0222", "odd.db")] {
        for verb in [&["backup", name][..], &["restore", "backup.db"]] {
            let script = format!("umask {umask}; exec \"$0\" \"$@\"");
            let mut shell = Command::new("sh");
            shell.args(["-c", &script, env!("CARGO_BIN_EXE_agora-vendor")]).args(verb);
            shell.current_dir(vendor.path(".")).env("AGORA_VENDOR_DB", vendor.db());
            let ended: Ended = shell.output().expect("a shell").into();
            assert_eq!(ended.code, 0, "{}", ended.err);
        }
        assert_eq!((mode(&vendor.path(name)), mode(&vendor.db())), (0o600, 0o600), "{umask}");
        vendor.ok(["record", "p", "1"]);
    }
}

#[test]
fn a_file_system_without_hard_links_has_backups_and_restores_too() {
    let vendor = with_backup_and_log();
    // strace lets the calls fail as such file systems do.
    let traced = |calls: &str, arguments: &[&str]| {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=linkat,link,renameat2"]);
        for call in calls.split(' ') {
            let (call, error) = call.split_once('=').expect("a call and its error");
            strace.args(["-e", &format!("inject={call}:error={error}")]);
        }
        strace.arg(env!("CARGO_BIN_EXE_agora-vendor")).args(arguments);
        strace.current_dir(vendor.path(".")).env("AGORA_VENDOR_DB", vendor.db());
        strace.stdin(Stdio::null()).output().ok().map(Ended::from)
    };
    let without = "linkat=EPERM link=EPERM renameat2=EINVAL";
    let Some(ended) = traced(without, &["backup", "fat.db"]).filter(|ended| ended.code == 0) else {
        skipped("this machine has no strace that may trace");
        return;
    };
    assert_eq!(ended.out, "copied to fat.db\n");
    assert_eq!((total_of(&vendor, "fat.db"), drafts(&vendor).len()), ("3".into(), 0));
    let ended = traced(without, &["init", "--db", "fat.db"]).expect("strace");
    assert!(ended.code == 1 && ended.err.contains("exists already"), "{}", ended.err);
    for (number, calls) in ["linkat=EPERM", without].into_iter().enumerate() {
        let total = vendor.total();
        let ended = traced(calls, &["restore", "backup.db"]).expect("strace");
        assert_eq!((ended.code, vendor.total()), (0, "1".into()), "{}", ended.err);
        let kept = replaced(&vendor);
        assert_eq!(kept.len(), number + 1);
        assert!(kept.iter().any(|kept| total_of(&vendor, kept) == total));
        vendor.ok(["check"]);
    }
}

#[test]
fn a_restore_by_root_leaves_the_database_to_its_owner() {
    if !rustix::process::getuid().is_root() {
        skipped("only root can give a file to somebody else");
        return;
    }
    let vendor = with_backup_and_log();
    let nobody = 65_534;
    std::os::unix::fs::chown(vendor.db(), Some(nobody), Some(nobody)).expect("an owner");
    vendor.ok(["restore", "backup.db"]);
    let owner = |path: PathBuf| fs::metadata(path).expect("a file").uid();
    assert_eq!(owner(vendor.db()), nobody);
    let empty = Vendor::without_books();
    fs::copy(vendor.path("backup.db"), empty.path("backup.db")).expect("copied");
    std::os::unix::fs::chown(empty.path("."), Some(nobody), Some(nobody)).expect("an owner");
    empty.ok(["restore", "backup.db"]);
    assert_eq!(owner(empty.db()), nobody);
}

#[test]
fn copies_in_a_folder_are_named_by_their_time_and_the_newest_are_kept() {
    let vendor = with_backup_and_log();
    fs::create_dir(vendor.path("d")).expect("a folder");
    let there = || {
        let mut there: Vec<_> = fs::read_dir(vendor.path("d"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        there.sort();
        there
    };
    let copy = |second: &str| format!("agora-vendor-{second}Z.db");
    // What has other names, and what only looks like a copy, is somebody's.
    let others = ["agora-vendor-20200101.db", "agora-vendor-20200101T000000Z.db.gz", "notes"];
    for other in others {
        fs::write(vendor.path("d").join(other), "mine").expect("a file");
    }
    let keep = ["backup", "--dir", "d", "--keep", "2"];
    for minute in ["00", "01"] {
        let ended = vendor.at(&format!("2026-11-23T10:{minute}:00Z")).ok(keep);
        assert_eq!(ended.out, format!("copied to d/{}\n", copy(&format!("20261123T10{minute}00"))));
    }
    let made = vendor.at("2026-11-23T10:02:00Z").json(keep);
    let file = |second| json!(format!("d/{}", copy(second)));
    let removed = json!([file("20261123T100000")]);
    assert_eq!(made, json!({"file": file("20261123T100200"), "removed": removed, "left": []}));
    // The clock went back: what was just made stays.
    let back = vendor.at("2026-11-22T10:00:00Z").json(keep);
    assert_eq!(back["removed"], json!([file("20261123T100100")]));
    let two = [copy("20261122T100000"), copy("20261123T100200")];
    assert!(two.iter().all(|name| there().contains(name)), "{:?}", there());
    assert!(others.iter().all(|name| there().iter().any(|there| there == name)));
    assert_eq!(there().len(), 5);
    // Without --keep nothing goes, and a second holds one copy.
    vendor.at("2026-11-24T10:00:00Z").ok(["backup", "--dir", "d"]);
    assert_eq!(there().len(), 6);
    assert!(vendor.fails(1, ["backup", "--dir", "d"]).contains("exists already"));
    for (arguments, words) in [
        (&["backup"][..], "FILE"),
        (&["backup", "x.db", "--dir", "d"], "--dir"),
        (&["backup", "x.db", "--keep", "1"], "--keep"),
        (&["backup", "--dir", "d", "--keep", "0"], "at least 1"),
    ] {
        let said = vendor.fails(2, arguments);
        assert!(said.contains(words), "{said}");
    }
    assert!(vendor.fails(1, ["backup", "--dir", "none"]).contains("none is not a folder"));
}

#[test]
fn copies_of_other_books_and_those_that_are_open_are_left() {
    let (vendor, other) = (with_backup_and_log(), Vendor::new());
    fs::create_dir(vendor.path("d")).expect("a folder");
    let folder = vendor.path("d").display().to_string();
    // The same live pair: Agora gives one for all extensions of a vendor.
    other.at("2026-11-20T10:00:00Z").ok(["backup", "--dir", &folder]);
    vendor.at("2026-11-21T10:00:00Z").ok(["backup", "--dir", "d"]);
    fs::write(vendor.path("d/agora-vendor-20261101T000000Z.db"), "text").expect("a file");
    let used = vendor.path("d/agora-vendor-20261121T100000Z.db");
    let reader = rusqlite::Connection::open(&used).expect("a copy");
    reader.execute_batch("update setting set value = value").expect("a write");
    reader.execute_batch("insert into setting values ('unit', 'x')").expect("a write");
    vendor.at("2026-11-22T10:00:00Z");
    let ended = vendor.ok(["backup", "--dir", "d", "--keep", "1"]);
    for words in [
        "agora-vendor-20261120T100000Z.db is left: it is of other books",
        "agora-vendor-20261101T000000Z.db is left: ",
        "agora-vendor-20261121T100000Z.db is left: a log lies beside it",
    ] {
        assert!(ended.err.contains(words), "{}", ended.err);
    }
    assert!(!ended.out.contains("removed"), "{}", ended.out);
    drop(reader);
    let ended = vendor.at("2026-11-23T10:00:00Z").ok(["backup", "--dir", "d", "--keep", "1"]);
    assert_eq!(ended.out.matches("removed").count(), 2, "{}", ended.out);
    // Books that have more keys by now know their copies.
    vendor.ok(["key", "add", "--test"]);
    let ended = vendor.at("2026-11-24T10:00:00Z").ok(["backup", "--dir", "d", "--keep", "1"]);
    assert_eq!(ended.out.matches("removed").count(), 1, "{}", ended.out);
}

#[test]
fn the_timer_starts_the_backup_that_is_there() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let read = |name: &str| fs::read_to_string(packaging.join(name)).expect("a unit");
    let (server, backup) = (read("agora-vendor.service"), read("agora-vendor-backup.service"));
    let timer = read("agora-vendor-backup.timer");
    assert!(timer.contains("\nOnCalendar=") && timer.contains("\nPersistent=true\n"), "{timer}");
    // As hard as the server, but for what opens a port.
    let hardening = server.lines().skip_while(|line| !line.starts_with("# Hardening"));
    let settings = hardening.filter(|line| line.contains('=') && !line.starts_with('#'));
    for setting in settings {
        let is_of_network = ["RestrictAddressFamilies", "IPAddress", "WantedBy", "Also"];
        if !is_of_network.iter().any(|start| setting.starts_with(start)) {
            assert!(backup.lines().any(|line| line == setting), "{setting}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, unit) in
        [("agora-vendor-backup.service", &backup), ("agora-vendor-backup.timer", &timer)]
    {
        let unit = unit.replace("/usr/bin/agora-vendor", "/bin/true");
        fs::write(folder.path().join(name), unit).expect("a unit");
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(folder.path().join("agora-vendor-backup.timer"));
    match verify.arg(folder.path().join("agora-vendor-backup.service")).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(_) => skipped("this machine has no systemd-analyze"),
    }
}

#[test]
fn a_backup_whose_disk_hangs_keeps_nobody_waiting() {
    let vendor = with_backup_and_log();
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    fs::write(vendor.path("hangs"), "").expect("a file");
    let mut backup = vendor.command(["backup", "slow.db"]);
    backup.env("LD_PRELOAD", &*DISK).env("TEST_DISK_HANGS", vendor.path("hangs"));
    let mut backup = backup.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // It copies into its draft, and waits for the disk.
    while drafts(&vendor).is_empty() {
        assert!(backup.try_wait().expect("a state").is_none(), "it came to its end");
    }
    for n in 1..=20 {
        let id = format!("beside-{n}");
        vendor.ok(["record", "p", "1", "--at", "2026-10-10", "--id", &id]);
        assert_eq!(server.usage(from, to).entries()[0].1, (3 + n).to_string());
        let account = format!(r#""planId":"gold","customerId":"c{n}""#);
        assert_eq!(server.call("POST", "/customers/new", &account).status, 200);
    }
    assert!(backup.try_wait().expect("a state").is_none(), "it waits still");
    fs::remove_file(vendor.path("hangs")).expect("removed");
    let ended: Ended = backup.wait_with_output().expect("an end").into();
    assert_eq!(ended.code, 0, "{}", ended.err);
    // Of one state: that of its begin, or of a commit since.
    let total: u32 = total_of(&vendor, "slow.db").parse().expect("a number");
    assert!((3..=23).contains(&total), "{total}");
    vendor.ok(["check", "--db", "slow.db"]);
    assert_eq!(vendor.total(), "23");
}
