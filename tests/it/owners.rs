//! Whose the files of the books are: what another could have a hand in is refused, and what is made
//! is the owner's alone.

use crate::vendor::{Ended, Vendor, skipped};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

/// Two users that are neither root nor each other.
const NOBODY: u32 = 65_534;
const SOMEBODY: u32 = 65_533;

fn is_root() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        skipped("only root can give files to others");
    }
    is_root
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), None).expect("an owner");
}

fn run_as(vendor: &Vendor, user: u32, arguments: &[&str]) -> Ended {
    vendor.command(arguments).uid(user).gid(user).output().expect("it runs").into()
}

#[test]
fn a_folder_in_which_anybody_may_write_is_refused_whether_sticky_or_not() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1"]);
    for mode in [0o777, 0o1777, 0o703] {
        set_mode(&vendor.path("."), mode);
        for verb in [
            &["record", "p", "1"][..],
            &["totals"],
            &["serve", "--listen", "127.0.0.1:0"],
            &["migrate"],
            &["init", "--db", "other.db"],
            &["serve", "--init", "--db", "./other.db"],
        ] {
            let said = vendor.fails(1, verb);
            let folder = vendor.path("").canonicalize().expect("a folder").display().to_string();
            let words = format!("anybody may write in {folder}, and could put a log beside");
            assert!(said.contains(&words), "{mode:o} {verb:?}: {said}");
            assert!(said.contains(&format!("such as {folder}/agora-vendor with mode 0700")));
        }
        assert!(!vendor.path("other.db").exists());
        set_mode(&vendor.path("."), 0o755);
        assert_eq!(vendor.total(), "1");
    }
}

#[test]
fn a_log_that_another_put_beside_the_books_is_refused_and_they_are_left_alone() {
    if !is_root() {
        return;
    }
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1"]);
    for suffix in ["-wal", "-shm", "-journal", "-pages"] {
        let planted = vendor.path(&format!("agora-vendor.db{suffix}"));
        fs::write(&planted, "planted").expect("a file");
        give(&planted, NOBODY);
        for verb in [&["totals"][..], &["record", "p", "1"], &["serve", "--listen", "127.0.0.1:0"]]
        {
            let said = vendor.fails(1, verb);
            let words = format!("{suffix} belongs to nobody, and is used by root here");
            assert!(said.contains(&words), "{verb:?}: {said}");
        }
        assert_eq!(fs::read(&planted).expect("it is left"), b"planted");
        fs::remove_file(&planted).expect("it was there");
    }
    // A name that leads elsewhere is its maker's, wherever it leads.
    let elsewhere = vendor.path("elsewhere");
    fs::write(&elsewhere, "mine").expect("a file");
    std::os::unix::fs::symlink(&elsewhere, vendor.path("agora-vendor.db-pages")).expect("a link");
    std::os::unix::fs::lchown(vendor.path("agora-vendor.db-pages"), Some(NOBODY), None)
        .expect("an owner");
    let said = vendor.fails(1, ["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("-pages belongs to nobody"), "{said}");
    assert_eq!(fs::read(elsewhere).expect("it is left"), b"mine");
}

#[test]
fn books_of_another_are_refused_and_root_counts_as_their_owner() {
    if !is_root() {
        return;
    }
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1"]);
    set_mode(&vendor.path("."), 0o755);
    set_mode(&vendor.db(), 0o666);
    give(&vendor.path("."), SOMEBODY);
    // Root's: whoever may write them, may.
    assert_eq!(run_as(&vendor, SOMEBODY, &["record", "p", "1"]).code, 0);
    give(&vendor.db(), NOBODY);
    for verb in [&["totals"][..], &["record", "p", "1"], &["serve", "--listen", "127.0.0.1:0"]] {
        let Ended { code, err, .. } = run_as(&vendor, SOMEBODY, verb);
        assert_eq!(code, 1, "{verb:?}: {err}");
        assert!(err.contains("belongs to nobody, and is used by uid 65533 here"), "{err}");
        assert!(err.contains("`sudo -u nobody agora-vendor …`"), "{err}");
    }
    vendor.ok(["record", "p", "1"]);
    give(&vendor.path("."), NOBODY);
    assert_eq!(run_as(&vendor, NOBODY, &["record", "p", "1"]).code, 0);
    // What cannot be written here at all is read, whoever's it is: nothing is played into it.
    let read = run_as(&vendor, SOMEBODY, &["totals", "--month", "2026-10"]);
    assert_eq!(read.code, 0, "{}", read.err);
    assert!(read.out.contains("total"), "{}", read.out);
}

#[test]
fn a_folder_in_which_a_group_may_write_is_warned_of_once_unless_it_is_the_owners_own() {
    if !is_root() {
        return;
    }
    let vendor = Vendor::new();
    set_mode(&vendor.path("."), 0o775);
    assert_eq!(vendor.ok(["record", "p", "1", "--id", "a"]).err.lines().count(), 1);
    chown(vendor.path("."), None, Some(NOBODY)).expect("a group");
    let said = vendor.ok(["totals"]).err;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("the group no") && said.contains("may write in "), "{said}");
    assert!(said.contains("`chmod g-w "), "{said}");
    let server = vendor.serve();
    assert_eq!(server.log().matches("may write in ").count(), 1, "{}", server.log());
}

#[test]
fn whatever_is_made_is_for_its_owner_alone_under_any_umask() {
    let vendor = Vendor::without_books();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "umask 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_agora-vendor")]);
        command.args(arguments).current_dir(vendor.path(".")).env("AGORA_VENDOR_DB", vendor.db());
        command.stdout(Stdio::piped());
        command
    };
    let ran = |arguments: &[&str]| run(arguments).output().expect("it runs").status.code();
    assert_eq!(ran(&["init"]), Some(0));
    let open = vendor.sql();
    open.query_row("select count(*) from project", [], |_| Ok(())).expect("a read");
    fs::write(vendor.path("usage.csv"), "id,projectId,amount,at\ni,p,x,2026-10-10\n").expect("it");
    set_mode(&vendor.path("usage.csv"), 0o600);
    assert_eq!(ran(&["import", "usage.csv", "--rejects", "rejects.csv"]), Some(1));
    assert_eq!(ran(&["record", "p", "1"]), Some(0));
    assert_eq!(ran(&["backup", "copy.db"]), Some(0));
    fs::write(vendor.path("log"), "").expect("a log");
    let server = vendor.serve_by(run(&["serve", "--listen", "127.0.0.1:0"]));
    set_mode(&vendor.path("log"), 0o600);
    set_mode(&vendor.path("server.log"), 0o600);
    let mut seen = Vec::new();
    for entry in fs::read_dir(vendor.path(".")).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("it is there").mode() & 0o777;
        seen.push(entry.file_name().to_string_lossy().into_owned());
        assert_eq!(mode, 0o600, "{seen:?}");
    }
    for made in ["agora-vendor.db", "-wal", "-shm", "-pages", "rejects.csv", "copy.db"] {
        assert!(seen.iter().any(|name| name.ends_with(made)), "{made}: {seen:?}");
    }
    drop(server);
}
