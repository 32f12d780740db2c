//! One file, one name: two names of a database have two logs, and each loses what the other
//! commits.

use crate::vendor::{Vendor, day, skipped};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A verb of each kind, as it works on books of this name.
const VERBS: [&[&str]; 10] = [
    &["totals"],
    &["record", "p", "1"],
    &["check"],
    &["key", "list"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["serve", "--init", "--listen", "127.0.0.1:0"],
    &["backup", "copy.db"],
    &["migrate"],
    &["export"],
    &["restore", "backup.db"],
];

fn links(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").nlink()
}

fn names(vendor: &Vendor) -> Vec<String> {
    let entries = fs::read_dir(vendor.path(".")).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

#[test]
fn a_database_with_a_second_hard_link_is_refused_by_every_verb() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "one"]);
    fs::hard_link(vendor.db(), vendor.path("hard.db")).expect("a link");
    for name in ["agora-vendor.db", "hard.db"] {
        for verb in VERBS {
            let said = vendor.fails(1, [&["--db", name], verb].concat());
            let error = said.lines().last().expect("a line");
            assert!(error.contains(&format!("{name} has 2 names (hard links)")), "{error}");
            assert!(error.contains("-samefile") && error.contains("cp "), "{error}");
        }
    }
    assert!(!vendor.path("copy.db").exists());
    // A copy in its place is a file of its own, and so is what is left when the other name goes.
    fs::remove_file(vendor.path("hard.db")).expect("removed");
    vendor.ok(["record", "p", "1", "--id", "two"]);
    assert_eq!(vendor.total(), "2");
}

#[test]
fn a_server_that_runs_warns_once_of_a_second_name_and_goes_on() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    assert_eq!(server.usage(from, to).status, 200);
    for round in 1..=2 {
        fs::hard_link(vendor.db(), vendor.path("hard.db")).expect("a link");
        for _ in 0..3 {
            assert_eq!(server.usage(from, to).status, 200);
        }
        let said = "agora-vendor.db has 2 names (hard links)";
        let log = server.log();
        let warned = log.lines().filter(|line| line.contains(said) && line.contains(" WARN "));
        assert_eq!(warned.count(), round, "{log}");
        fs::remove_file(vendor.path("hard.db")).expect("removed");
        assert_eq!(server.usage(from, to).status, 200);
    }
}

#[test]
fn a_database_that_is_mounted_by_itself_is_refused_by_every_verb() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "one"]);
    fs::create_dir(vendor.path("box")).expect("a folder");
    fs::write(vendor.path("box/r.db"), "").expect("a file");
    // In a mount namespace of its own, which the machine has to let us make.
    let inside = |script: &str| {
        let script = format!("mount --bind agora-vendor.db box/r.db || exit 99\n{script}");
        let mut unshare = Command::new("unshare");
        unshare.args(["-rm", "sh", "-c", &script, env!("CARGO_BIN_EXE_agora-vendor")]);
        let unshare = unshare.current_dir(vendor.path(".")).stdin(Stdio::null());
        unshare.output().ok().filter(|output| output.status.code().is_some_and(|code| code < 90))
    };
    if inside("exit 0").is_none() {
        skipped("this machine lets no bind mount be made (unshare -rm, mount --bind)");
        return;
    }
    for verb in VERBS {
        let script = format!("\"$0\" --db box/r.db {}", verb.join(" "));
        let ended = inside(&script).expect("a mount");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{verb:?}: {said}");
        assert!(said.contains("box/r.db is a file that is mounted by itself"), "{said}");
        assert!(said.contains("mount the folder"), "{said}");
    }
    // A mount of the folder is a name like any other.
    let script = "mount --bind . box && \"$0\" --db box/agora-vendor.db record p 1 --id two";
    assert!(inside(script).expect("a mount").status.success());
    assert_eq!(vendor.total(), "2");
}

#[test]
fn a_symbolic_link_that_leads_nowhere_is_named_as_such() {
    let vendor = Vendor::without_books();
    symlink("nowhere.db", vendor.path("link.db")).expect("a link");
    for verb in [&["init"][..], &["totals"], &["record", "p", "1"], &["serve", "--init"]] {
        let said = vendor.fails(1, ["--db", "link.db"].iter().chain(verb));
        assert!(said.contains("is a symbolic link to nowhere.db, and there is nothing"), "{said}");
    }
    assert!(!vendor.path("nowhere.db").exists());
}

#[test]
fn a_symbolic_link_is_no_second_name() {
    let vendor = Vendor::new();
    fs::create_dir(vendor.path("box")).expect("a folder");
    symlink("../agora-vendor.db", vendor.path("box/a.db")).expect("a link");
    symlink("box/a.db", vendor.path("b.db")).expect("a link");
    let server = vendor.serve_with(["--db", "b.db"]);
    let (from, to) = day("2026-10-10");
    for (name, id) in [("agora-vendor.db", "1"), ("box/a.db", "2"), ("b.db", "3")] {
        vendor.ok(["--db", name, "record", "p", "1", "--at", "2026-10-10", "--id", id]);
        assert_eq!(server.usage(from, to).entries()[0].1, id);
    }
    // One log, beside the file itself.
    let logs = ["box/a.db-wal", "b.db-wal"].map(|name| vendor.path(name).exists());
    assert_eq!((vendor.path("agora-vendor.db-wal").exists(), logs), (true, [false, false]));
    vendor.ok(["check"]);
}

#[test]
fn what_is_made_has_one_name_whenever_it_is_killed() {
    let vendor = Vendor::without_books();
    let mut made = 0;
    for round in 0..40_u32 {
        let name = format!("{round}.db");
        let mut init = vendor.command(["init", "--db", &name]);
        let mut child =
            init.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let path = vendor.path(&name);
        // Killed as soon as the name is there, or earlier.
        while round % 4 != 0 && !path.exists() && child.try_wait().expect("a state").is_none() {}
        child.kill().expect("it may be killed");
        child.wait().expect("an end");
        if path.exists() {
            assert_eq!(links(&path), 1);
            vendor.ok(["check", "--db", &name]);
            made += 1;
        }
    }
    assert!(made >= 20, "{made}");
}

#[test]
fn a_drafts_name_that_was_left_behind_is_removed_and_nothing_else_is() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1"]);
    let left = "agora-vendor.db.0190c0ffee00700080000123456789ab.draft";
    let others = [
        "agora-vendor.db.0190c0ffee00700080000123456789ac.draft",
        "other.db.0190c0ffee00700080000123456789ab.draft",
    ];
    for other in others {
        fs::write(vendor.path(other), "of somebody else").expect("a file");
    }
    for verb in [&["totals"][..], &["record", "p", "1"], &["check"]] {
        fs::hard_link(vendor.db(), vendor.path(left)).expect("a link");
        assert_eq!(links(&vendor.db()), 2);
        vendor.ok(verb);
        assert_eq!((links(&vendor.db()), vendor.path(left).exists()), (1, false));
    }
    fs::hard_link(vendor.db(), vendor.path(left)).expect("a link");
    let server = vendor.serve();
    drop(server);
    assert_eq!(links(&vendor.db()), 1);
    let kept = names(&vendor);
    assert!(others.iter().all(|other| kept.iter().any(|name| name == other)), "{kept:?}");
    // A name that no draft has is somebody's.
    for name in ["agora-vendor.db.draft", "agora-vendor.db.0190.draft", "mine.db"] {
        fs::hard_link(vendor.db(), vendor.path(name)).expect("a link");
        fs::hard_link(vendor.db(), vendor.path(left)).expect("a link");
        let said = vendor.fails(1, ["totals"]);
        assert!(said.contains("has 2 names"), "{said}");
        assert!(vendor.path(name).exists() && !vendor.path(left).exists());
        fs::remove_file(vendor.path(name)).expect("removed");
    }
}

#[test]
fn where_a_file_system_cannot_rename_without_replacing_a_link_does_and_is_mended() {
    let vendor = Vendor::without_books();
    // strace makes the call fail as such file systems do, and ends the process as it removes the
    // draft.
    let traced = |inject: &[&str], arguments: &[&str]| {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null"]).args(inject);
        strace.arg(env!("CARGO_BIN_EXE_agora-vendor")).args(arguments);
        strace.current_dir(vendor.path(".")).env("AGORA_VENDOR_DB", vendor.db());
        strace.stdin(Stdio::null()).output().ok()
    };
    let fails = "inject=renameat2:error=EINVAL";
    let works = traced(&["-e", "trace=renameat2", "-e", fails], &["init", "--db", "try.db"]);
    if !works.is_some_and(|output| output.status.success()) {
        skipped("this machine has no strace that may trace");
        return;
    }
    assert_eq!(links(&vendor.path("try.db")), 1);
    let ended = traced(&["-e", "trace=renameat2", "-e", fails], &["init", "--db", "try.db"]);
    let said = String::from_utf8(ended.expect("it runs").stderr).expect("UTF-8");
    assert!(said.contains("exists already"), "{said}");
    vendor.ok(["init"]);
    vendor.ok(["record", "p", "1"]);
    for (name, arguments) in
        [("a.db", &["init", "--db", "a.db"][..]), ("b.db", &["backup", "b.db"])]
    {
        // Ended at the first, second, … time that something is made durable; once that is when the
        // link stands and the draft has not gone.
        let is_cut_between = |number: u32| {
            let end = format!("inject=fsync:signal=KILL:when={number}");
            let trace = ["-e", "trace=renameat2,fsync", "-e", fails, "-e", &end];
            assert!(!traced(&trace, arguments).expect("it runs").status.success());
            vendor.path(name).exists()
        };
        assert!((1..20).any(is_cut_between), "{:?}", names(&vendor));
        assert_eq!(links(&vendor.path(name)), 2, "{:?}", names(&vendor));
        vendor.ok(["check", "--db", name]);
        assert_eq!(links(&vendor.path(name)), 1, "{:?}", names(&vendor));
    }
}

#[test]
fn a_path_is_a_path_and_never_a_uri_or_memory() {
    let vendor = Vendor::without_books();
    for path in [":memory:", "file:x.db", "file:x.db?mode=memory", "file::memory:"] {
        let restore = &["restore", "backup.db"];
        for verb in
            [&["init"][..], &["totals"], &["serve"], &["serve", "--init"], &["migrate"], restore]
        {
            let said = vendor.fails(2, [verb, &["--db", path]].concat());
            assert!(said.contains("is not the path of a file"), "{said}");
        }
    }
    assert_eq!(names(&vendor), [""; 0]);
    vendor.ok(["init", "--db", "./file:x.db"]);
    vendor.ok(["record", "p", "1", "--db", "./file:x.db"]);
    let copy = vendor.fails(2, ["backup", "file:copy.db", "--db", "./file:x.db"]);
    assert!(copy.contains("is not the path of a file"), "{copy}");
    vendor.ok(["backup", "./:memory:", "--db", "./file:x.db"]);
    vendor.ok(["init", "--db", "100%?mode=memory#[a-z]*.db"]);
    assert_eq!(names(&vendor), ["100%?mode=memory#[a-z]*.db", ":memory:", "file:x.db"]);
    let missing = vendor.fails(1, ["totals", "--db", "*.db"]);
    assert!(missing.contains("there is no database at *.db"), "{missing}");
}

/// A command that may only read: by another user where this one may do everything.
fn as_reader(vendor: &Vendor, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = vendor.command(arguments);
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn reading_verbs_read_what_may_only_be_read() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1.5", "--at", "2026-10-10", "--id", "r"]);
    vendor.ok(["backup", "odd ?#%é.db"]);
    for name in ["agora-vendor.db", "odd ?#%é.db"] {
        set_mode(&vendor.path(name), 0o444);
    }
    set_mode(&vendor.path("."), 0o555);
    for name in ["agora-vendor.db", "odd ?#%é.db"] {
        for verb in [
            &["totals", "--month", "2026-10"][..],
            &["check"],
            &["export"],
            &["bill", "--month", "2026-09"],
            &["project", "show", "p"],
            &["key", "list"],
            &["statement", "list"],
            &["sign", "http://h/usage?a=b"],
        ] {
            let (code, out, err) = as_reader(&vendor, &[&["--db", name], verb].concat());
            assert_eq!((code, err.as_str()), (Some(0), ""), "{verb:?}: {out}");
        }
        let (_, out, _) = as_reader(&vendor, &["export", "--db", name]);
        assert!(out.contains(r#""amount":"1.5""#), "{out}");
        for verb in [&["record", "p", "1"][..], &["setting", "set", "unit", "x"]] {
            let (code, _, err) = as_reader(&vendor, &[&["--db", name], verb].concat());
            assert_eq!(code, Some(1));
            assert!(err.contains("may only be read, as its folder: nothing was"), "{err}");
        }
        let serve = ["--db", name, "serve", "--listen", "127.0.0.1:0"];
        assert_eq!(as_reader(&vendor, &serve).0, Some(1));
    }
    set_mode(&vendor.path("."), 0o755);
    let left = names(&vendor);
    assert!(!left.iter().any(|name| name.ends_with("-wal") || name.ends_with("-shm")), "{left:?}");

    // With a log beside, what the file says is not all.
    fs::write(vendor.path("agora-vendor.db-wal"), "x").expect("a log");
    set_mode(&vendor.path("agora-vendor.db-wal"), 0o400);
    set_mode(&vendor.path("."), 0o555);
    let (code, out, err) = as_reader(&vendor, &["totals"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(
        err.contains("its folder may only be read, and ") && err.contains("-wal lies"),
        "{err}"
    );
    set_mode(&vendor.path("."), 0o755);
}

#[test]
fn books_that_root_made_in_anothers_folder_are_told_with_the_chown_that_helps() {
    if !rustix::process::getuid().is_root() {
        skipped("only root can make a file in another's folder that is not theirs");
        return;
    }
    let vendor = Vendor::without_books();
    std::os::unix::fs::chown(vendor.path("."), Some(65_534), Some(65_534)).expect("an owner");
    vendor.ok(["init"]);
    assert_eq!(as_reader(&vendor, &["totals"]).0, Some(0));
    // As a copy by hand leaves them, or root's `init` of an earlier version.
    std::os::unix::fs::chown(vendor.db(), Some(0), Some(0)).expect("an owner");
    let said = vendor.fails(1, ["totals"]);
    let owner = "it belongs to root, its folder to nobody: `chown nobody:nogroup ";
    assert!(said.contains(owner) || said.contains("`chown nobody:nobody "), "{said}");
    assert!(said.contains(&format!("{}`", vendor.db().display())), "{said}");
    let (code, _, err) = as_reader(&vendor, &["totals"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot be opened") && err.contains("`chown nobody:"), "{err}");
    std::os::unix::fs::chown(vendor.db(), Some(65_534), Some(65_534)).expect("an owner");
    assert_eq!(as_reader(&vendor, &["totals"]).0, Some(0));
}
