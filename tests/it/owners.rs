//! Whose the files of the books are: what another could have a hand in is refused, and what is made
//! is the owner's alone.

use crate::vendor::{API_KEY, API_SECRET, Ended, Vendor, skipped};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Books in a folder of nobody's, of which nobody else may know anything; and beside it a folder of
/// root's.
fn books_of_nobody() -> Vendor {
    let vendor = Vendor::without_books();
    for folder in ["data", "roots"] {
        fs::create_dir(vendor.path(folder)).expect("a folder");
        set_mode(&vendor.path(folder), 0o700);
    }
    set_mode(&vendor.path("."), 0o755);
    give(&vendor.path("data"), NOBODY);
    vendor
}

/// A command of root's on these books, as nobody's sudo has started it.
fn root_on(vendor: &Vendor, arguments: &[&str]) -> Command {
    let mut command = vendor.command(arguments);
    command.env("AGORA_VENDOR_DB", vendor.path("data/agora-vendor.db"));
    command.env_remove("SUDO_UID").env_remove("SUDO_USER");
    command
}

fn root_ok(vendor: &Vendor, arguments: &[&str]) -> Ended {
    let ended: Ended = root_on(vendor, arguments).output().expect("it runs").into();
    assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
    ended
}

/// Whose the files in a folder are, by their names.
fn owners(vendor: &Vendor, folder: &str) -> Vec<(String, u32)> {
    let entries = fs::read_dir(vendor.path(folder)).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let owner = entry.metadata().expect("it is there").uid();
        (entry.file_name().to_string_lossy().into_owned(), owner)
    });
    entries.collect()
}

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
fn books_of_another_than_the_owner_of_their_folder_are_refused() {
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
        assert!(err.contains("run as nobody, or"), "{err}");
    }
    // Root becomes the owner of the folder, and is refused as that.
    let said = vendor.fails(1, ["record", "p", "1"]);
    assert!(said.contains("belongs to nobody, and is used by uid 65533 here"), "{said}");
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

#[test]
fn root_opens_what_is_named_and_becomes_the_owner_before_it_opens_the_books() {
    if !is_root() {
        return;
    }
    let vendor = books_of_nobody();
    let usage = "id,projectId,amount,at\na,p,2,2026-10-01\nb,p,x,2026-10-01\n";
    let plan = r#"{"name": "Standard", "unit": "Call", "parts": [{"perUnit": "0.5"}]}"#;
    for (name, content) in [
        ("secret", API_SECRET),
        ("usage.csv", usage),
        ("more.csv", "id,projectId,amount,at\nc,p,3,2026-10-02\n"),
        ("plain.csv", "projectId,amount,at\np,1,2026-10-03\n"),
        ("plan.json", plan),
        ("body.json", "{}"),
    ] {
        fs::write(vendor.path("roots").join(name), content).expect("a file");
    }
    root_ok(&vendor, &["init", "--api-key", API_KEY, "--api-secret-file", "roots/secret"]);
    let import = ["import", "roots/usage.csv", "roots/more.csv", "--rejects", "roots/rejects"];
    let ended: Ended = root_on(&vendor, &import).output().expect("it runs").into();
    assert!(ended.code == 1 && ended.err.lines().count() == 1, "{}", ended.err);
    assert!(ended.out.contains("recorded 2"), "{}", ended.out);
    root_ok(&vendor, &["import", "--ids-from-file", "roots/plain.csv"]);
    root_ok(&vendor, &["plan", "set", "default", "--file", "roots/plan.json"]);
    let url = "http://127.0.0.1/customers/new";
    root_ok(&vendor, &["sign", "--method", "POST", "--data", "roots/body.json", url]);
    root_ok(&vendor, &["key", "add", "--api-key", "k2", "--api-secret-file", "roots/secret"]);
    root_ok(&vendor, &["backup", "roots/copy.db"]);
    root_ok(&vendor, &["backup", "data/copy.db"]);
    root_ok(&vendor, &["restore", "roots/copy.db"]);
    root_ok(&vendor, &["check"]);
    for (name, owner) in owners(&vendor, "data") {
        assert_eq!(owner, NOBODY, "{name}");
    }
    // The owner's too, though the owner could not have made it there.
    for (name, owner) in owners(&vendor, "roots") {
        let is_made = ["rejects", "copy.db"].contains(&name.as_str());
        assert_eq!(owner, if is_made { NOBODY } else { 0 }, "{name}");
        assert!(!name.contains("draft"), "{name}");
    }
    let copied = root_ok(&vendor, &["--db", "roots/copy.db", "totals", "--month", "2026-10"]);
    assert!(copied.out.contains(" 6"), "{}", copied.out);
    // What is there already is never touched, and what was made for nothing does not stay.
    let twice: Ended = root_on(&vendor, &["backup", "roots/copy.db"]).output().expect("it").into();
    assert!(twice.code == 1 && twice.err.contains("exists already"), "{}", twice.err);
    let missing = ["--db", "data/none.db", "backup", "data/other.db"];
    let missing: Ended = root_on(&vendor, &missing).output().expect("it runs").into();
    assert!(missing.code == 1 && !vendor.path("data/other.db").exists(), "{}", missing.err);
    let none: Ended = root_on(&vendor, &["restore", "roots/none"]).output().expect("it").into();
    assert!(none.code == 1 && none.err.contains("there is no file at"), "{}", none.err);
    // A page is new there once; the next one would be the owner's to put in its place.
    let report = ["report", "--month", "2026-10", "--out", "roots/oct.html"];
    root_ok(&vendor, &report);
    let again: Ended = root_on(&vendor, &report).output().expect("it runs").into();
    assert!(again.code == 1 && again.err.contains("remove that page first"), "{}", again.err);
    fs::remove_file(vendor.path("roots/oct.html")).expect("root may");
    root_ok(&vendor, &report);
    let into = ["backup", "--dir", "roots"];
    let into: Ended = root_on(&vendor, &into).output().expect("it runs").into();
    assert!(into.code == 1 && into.err.contains("`chown --reference="), "{}", into.err);
}

#[test]
fn root_that_becomes_another_does_so_for_good_and_the_books_know_who_typed() {
    if !is_root() {
        return;
    }
    let vendor = books_of_nobody();
    root_ok(&vendor, &["init"]);
    root_ok(&vendor, &["record", "p", "1", "--id", "a"]);
    let mut typed = root_on(&vendor, &["record", "p", "1", "--id", "b"]);
    typed.env("SUDO_UID", "12345").env("SUDO_USER", "anna");
    assert!(typed.status().expect("it runs").success());
    let listed = root_ok(&vendor, &["ledger", "list", "--json"]).out;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let by = |id: &str| {
        let row = listed["rows"].as_array().expect("rows").iter().find(|row| row["id"] == id);
        row.expect("a record")["recordedBy"].clone()
    };
    assert_eq!((by("a"), by("b")), ("shell:root as nobody".into(), "shell:anna as nobody".into()));
    let mut server = Command::new("setpriv");
    server.args(["--groups", "0,4,6", env!("CARGO_BIN_EXE_agora-vendor"), "serve"]);
    server.args(["--listen", "127.0.0.1:0"]).current_dir(vendor.path("."));
    server.env("AGORA_VENDOR_DB", vendor.path("data/agora-vendor.db"));
    let server = vendor.serve_by(server);
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("a status");
    let group = "65534\t65534\t65534\t65534";
    for words in [format!("Uid:\t{group}"), format!("Gid:\t{group}"), "Groups:\t65534".into()] {
        assert!(status.lines().any(|line| line.trim_end() == words), "{words}: {status}");
    }
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    drop(server);
    // What only root may read cannot be read again when it changes.
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    fs::write(vendor.path("roots/cert.pem"), pair.cert.pem()).expect("a file");
    fs::write(vendor.path("roots/key.pem"), pair.signing_key.serialize_pem()).expect("a file");
    let tls = ["serve", "--tls-cert", "roots/cert.pem", "--tls-key", "roots/key.pem"];
    let refused: Ended = root_on(&vendor, &tls).output().expect("it runs").into();
    assert!(refused.code == 1, "{}", refused.err);
    assert!(refused.err.contains("must be able to read it"), "{}", refused.err);
    // A folder of root's own is worked in by root.
    let own = Vendor::new();
    let server = own.serve();
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("a status");
    assert!(status.contains("Uid:\t0\t0\t0\t0"), "{status}");
}

/// What stands for sudo: another user, and none of the environment but the path.
const SUDO: &str = "#!/bin/sh
[ \"$1\" = -u ] || exit 9
user=$(id -u \"$2\") || exit 9
shift 2
exec env -i PATH=\"$PATH\" setpriv --reuid=\"$user\" --regid=\"$user\" --clear-groups \"$@\"
";

#[test]
fn anybody_else_is_given_the_command_to_paste() {
    if !is_root() {
        return;
    }
    let vendor = books_of_nobody();
    root_ok(&vendor, &["init"]);
    fs::write(vendor.path("sudo"), SUDO).expect("a file");
    set_mode(&vendor.path("sudo"), 0o755);
    let note = "it's $HOME, `id` \\ \"twice\" \u{fc}";
    let record = ["record", "p", "1.5", "--at", "2026-10-01", "--id", "a", "--note", note];
    for (mode, said_first) in [(0o700, "cannot be opened"), (0o755, "may only be read")] {
        set_mode(&vendor.path("data"), mode);
        set_mode(&vendor.path("data/agora-vendor.db"), 0o644);
        let mut command = root_on(&vendor, &record);
        let ended: Ended = command.uid(SOMEBODY).gid(SOMEBODY).output().expect("it runs").into();
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert!(ended.err.contains(said_first), "{}", ended.err);
        let pasted = ended.err.split("run it as nobody: ").nth(1).expect("a command").trim();
        assert!(pasted.starts_with("sudo -u nobody "), "{pasted}");
        let path = format!("{}:/usr/bin:/bin", vendor.path("").display());
        let done = Command::new("bash").args(["-c", pasted]).env("PATH", path).output();
        let done: Ended = done.expect("bash").into();
        assert_eq!(done.code, 0, "{pasted}: {}", done.err);
    }
    let listed = root_ok(&vendor, &["ledger", "show", "a", "--json"]).out;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((&listed["note"], &listed["amount"]), (&note.into(), &"1.5".into()));
    // Reading needs nobody's leave where the files may be read.
    let mut read = root_on(&vendor, &["totals"]);
    assert!(read.uid(SOMEBODY).gid(SOMEBODY).status().expect("it runs").success());
    // Where it is new, and where it cannot even be seen.
    set_mode(&vendor.path("data"), 0o700);
    for verb in [&["init", "--db", "data/new.db"][..], &["check"], &["migrate"]] {
        let mut command = root_on(&vendor, verb);
        let ended: Ended = command.uid(SOMEBODY).gid(SOMEBODY).output().expect("it runs").into();
        assert!(ended.err.contains(": sudo -u nobody /"), "{}", ended.err);
    }
    let mut command = root_on(&vendor, &["doctor", "--quick", "--json"]);
    let ended: Ended = command.uid(SOMEBODY).gid(SOMEBODY).output().expect("it runs").into();
    let found: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
    let checks = found["checks"].as_array().expect("checks");
    let open = checks.iter().find(|check| check["name"] == "open").expect("it cannot be opened");
    let path = vendor.path("data/agora-vendor.db").display().to_string();
    let remedy = format!("sudo -u nobody agora-vendor --db={path} doctor");
    assert_eq!(open["remedy"], remedy.as_str(), "{open}");
}

#[test]
fn who_names_files_is_told_to_run_it_as_root_which_opens_them() {
    if !is_root() {
        return;
    }
    let vendor = books_of_nobody();
    root_ok(&vendor, &["init"]);
    let rows = "{\"id\":\"a\",\"projectId\":\"p\",\"amount\":\"2\",\"at\":\"2026-10-01\"}\n";
    fs::create_dir(vendor.path("home")).expect("a folder");
    fs::write(vendor.path("home/rows.jsonl"), rows).expect("a file");
    for path in ["home/rows.jsonl", "home"] {
        give(&vendor.path(path), SOMEBODY);
    }
    set_mode(&vendor.path("home"), 0o700);
    fs::write(vendor.path("sudo"), "#!/bin/sh\nexec \"$@\"\n").expect("a file");
    set_mode(&vendor.path("sudo"), 0o755);
    // Their owner may read the file and not the books, and the books' owner the other way round.
    for user in [SOMEBODY, NOBODY] {
        let mut command = root_on(&vendor, &["import", "home/rows.jsonl"]);
        let ended: Ended = command.uid(user).gid(user).output().expect("it runs").into();
        let pasted = ended.err.trim().rsplit(": sudo ").next().expect("a command").to_owned();
        let path = format!("{}:/usr/bin:/bin", vendor.path("").display());
        let mut done = Command::new("bash");
        done.args(["-c", &format!("sudo {pasted}")])
            .env("PATH", path)
            .current_dir(vendor.path("."));
        let done: Ended = done.output().expect("bash").into();
        assert_eq!(done.code, 0, "{}{}", ended.err, done.err);
    }
    assert_eq!(root_ok(&vendor, &["ledger", "show", "a", "--json"]).code, 0);
}

#[test]
fn a_folder_for_copies_is_told_from_one_that_the_owner_may_not_reach() {
    if !is_root() {
        return;
    }
    let vendor = books_of_nobody();
    root_ok(&vendor, &["init"]);
    let ended: Ended = root_on(&vendor, &["backup", "--dir", "new"]).output().expect("run").into();
    let remedy = ended.err.split('`').nth(1).expect("a command");
    let mut made = Command::new("sh");
    assert!(made.args(["-c", remedy]).current_dir(vendor.path(".")).status().expect("").success());
    root_ok(&vendor, &["backup", "--dir", "new"]);
    fs::create_dir(vendor.path("roots/copies")).expect("a folder");
    let ended = root_on(&vendor, &["backup", "--dir", "roots/copies"]).output();
    let ended: Ended = ended.expect("it runs").into();
    assert!(ended.err.contains("cannot be reached by the owner of the books"), "{}", ended.err);
}

#[test]
fn root_is_told_which_folder_keeps_the_owner_from_the_books() {
    if !is_root() {
        return;
    }
    let vendor = books_of_nobody();
    let books = fs::canonicalize(vendor.path(".")).expect("a folder");
    root_ok(&vendor, &["init"]);
    std::os::unix::fs::symlink("../data/agora-vendor.db", vendor.path("roots/link")).expect("it");
    let data = "data/agora-vendor.db";
    for (shut, mode, group, db, right) in [
        ("", 0o700, 0, data, "o+x"),
        ("", 0o701, NOBODY, data, "g+x"),
        ("data", 0o600, NOBODY, data, "u+x"),
        ("roots", 0o700, 0, "roots/link", "o+x"),
    ] {
        let folder = books.join(shut);
        let folder = folder.display().to_string().trim_end_matches('/').to_owned();
        let before = fs::metadata(&folder).expect("a folder").mode();
        chown(&folder, None, Some(group)).expect("a group");
        set_mode(folder.as_ref(), mode);
        let verb = ["record", "p", "1"];
        for db in [db.to_owned(), vendor.path(db).display().to_string()] {
            let mut command = root_on(&vendor, &verb);
            let ended: Ended = command.env("AGORA_VENDOR_DB", db).output().expect("it").into();
            assert_eq!(ended.code, 1, "{}", ended.err);
            let words = format!("the owner of the books, nobody, may not enter {folder}: ");
            assert!(ended.err.contains(&words), "{}", ended.err);
            assert!(ended.err.contains(&format!("`chmod {right} {folder}` ")), "{}", ended.err);
            assert!(!ended.err.contains("sudo"), "{}", ended.err);
        }
        let helps = Command::new("chmod").args([right, &folder]).status().expect("it runs");
        assert!(helps.success());
        root_ok(&vendor, &[&["--db", db], &verb[..]].concat());
        set_mode(folder.as_ref(), before);
    }
}
