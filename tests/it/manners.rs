//! Help, exit codes, pipes and signals: what an operator meets.

use crate::vendor::{Ended, Vendor, signal};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

const VERBS: [&str; 16] = [
    "init", "serve", "key", "record", "void", "totals", "license", "plan", "project", "customer",
    "bill", "sign", "setting", "check", "backup", "restore",
];

#[test]
fn help_names_every_verb_and_each_verb_has_its_own() {
    let vendor = Vendor::without_books();
    let help = vendor.ok(["--help"]).out;
    for verb in VERBS {
        let line = help
            .lines()
            .find(|line| line.trim_start().starts_with(verb))
            .unwrap_or_else(|| panic!("{verb}"));
        assert!(line.split_whitespace().count() > 2, "{line}");
        assert!(vendor.ok([verb, "--help"]).out.contains("Usage: agora-vendor"), "{verb}");
    }
    assert_eq!(
        vendor.ok(["--version"]).out,
        format!("agora-vendor {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_words_end_with_2_and_change_nothing() {
    let vendor = Vendor::new();
    for arguments in [
        &[][..],
        &["nope"],
        &["--db", "x.db"],
        &["record", "--at"],
        &["record", "p", "1", "--id", "a", "--id", "b"],
        &["serve", "--envelope"],
        &["--json=1", "check"],
        &["record"],
        &["record", "p"],
        &["record", "p q", "1"],
        &["record", "p", "1", "--at", "yesterday"],
        &["record", "p", "1", "--nope"],
        &["totals", "--by", "week"],
        &["bill"],
        &["bill", "--month", "2026"],
        &["key", "add", "--api-key", "k"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--base-path", "agora"],
    ] {
        let said = vendor.fails(2, arguments);
        assert!(!said.is_empty(), "{arguments:?}");
        assert!(arguments.is_empty() || said.lines().count() == 1, "{said}");
    }
    assert_eq!(vendor.total(), "0");
}

#[test]
fn what_was_probably_meant_is_named() {
    let vendor = Vendor::new();
    for (words, meant) in [
        ("bill 2026-11", "unexpected argument \"2026-11\"; did you mean --month 2026-11?"),
        ("totals 2026-11", "did you mean --month 2026-11?"),
        ("totals 2026-11 p1", "did you mean --month 2026-11?"),
        ("totals 2026-11-23", "did you mean --day 2026-11-23?"),
        ("totals p1", "did you mean --project p1?"),
        ("totals customer", "did you mean --by customer?"),
        ("totals reconcile", "did you mean --reconcile?"),
        ("record p 1 2026-11-23", "did you mean --at 2026-11-23?"),
        ("license issue c 2030-12-31", "did you mean --expires 2030-12-31?"),
        ("license issue c --expires 2030-12-31 1000", "did you mean --count 1000?"),
        ("void x a'b", "did you mean --reason 'a'\\''b'?"),
        ("project add p c", "did you mean --customer c?"),
        ("key show K secret", "did you mean --secret?"),
        ("--db x.db statement list 2026-11", "did you mean --month 2026-11?"),
        ("serve localhost:8080", "did you mean --listen localhost:8080?"),
        ("license list --customer c", "the customer is given without it: license list [CUSTOMER]"),
        ("record --project p 1", "the project is given without it: record <PROJECT> <AMOUNT>"),
        ("totals --monht 2026-11", "there is no option --monht; did you mean --month?"),
        ("totls", "there is no verb \"totls\"; did you mean totals?"),
        ("key lst", "there is no verb \"key lst\"; did you mean key list?"),
        ("issue c", "there is no verb \"issue\"; did you mean license issue?"),
        ("usage", "there is no verb \"usage\"; --help lists them"),
        ("check now", "unexpected argument \"now\": check takes no more"),
        ("license list c d", "unexpected argument \"d\": license list takes no more"),
        ("totals --by weak", "is \"weak\", which is not one of project, customer, day, month"),
    ] {
        let said = vendor.fails(2, words.split(' '));
        assert!(said.contains(meant) && said.lines().count() == 1, "{words}: {said}");
    }
}

#[test]
fn hints_name_the_database_and_a_users_own_text_stays() {
    let vendor = Vendor::new();
    std::fs::rename(vendor.db(), vendor.path("x.db")).expect("moved");
    let fails =
        |code, arguments: &[&str]| vendor.fails(code, [&["--db", "x.db"], arguments].concat());
    let text = "`agora-vendor x`";
    assert_eq!(
        fails(3, &["plan", "show", text]),
        format!("error: there is no plan {text}; `agora-vendor --db=x.db plan list` shows them\n")
    );
    assert_eq!(
        fails(3, &["customer", "show", "`agora-vendor"]),
        "error: there is no customer `agora-vendor; \
         `agora-vendor --db=x.db customer list` shows them\n"
    );
    let added = vendor.ok([
        "--db",
        "x.db",
        "key",
        "add",
        "--api-key",
        "a`$b",
        "--api-secret-file",
        "secret",
        "--test",
    ]);
    let shown = "`agora-vendor --db=x.db key show 'a`$b' --secret` shows the secret\n";
    assert_eq!(added.err, shown);
    let bytes = std::ffi::OsStr::from_bytes(b"x\xff'.db");
    let made = vendor.ok(["--db".as_ref(), bytes, "init".as_ref()]).err;
    assert!(made.contains(r"`agora-vendor --db=$'x\xff\'.db' key show"), "{made}");
    assert!(vendor.fails(2, ["totals", "x.db"]).contains("did you mean --db x.db?"));
    let missing = vendor.fails(1, ["--db", "no `agora-vendor x`.db", "totals"]);
    assert!(missing.contains("at no `agora-vendor x`.db (named by --db)"), "{missing}");
    assert!(missing.contains("`agora-vendor --db='no `agora-vendor x`.db' init`"), "{missing}");
}

#[test]
fn arguments_that_are_not_utf8_are_named_as_such() {
    let vendor = Vendor::new();
    let broken = OsStr::from_bytes(b"p\xff\x1b1");
    for arguments in [
        vec![OsStr::new("record"), broken, OsStr::new("1")],
        vec![OsStr::new("totals"), OsStr::new("--project"), broken],
        vec![broken],
        vec![OsStr::new("key"), broken],
        vec![OsStr::new("check"), broken],
        vec![OsStr::new("plan"), OsStr::new("show"), broken],
    ] {
        let said = vendor.fails(2, &arguments);
        assert!(said.contains("not UTF-8: \"p\\xFF\\u{1b}1\""), "{said}");
    }
    // A path may have any bytes.
    let path = [OsStr::new("init"), OsStr::new("--db"), broken];
    vendor.ok(path);
    vendor.ok([OsStr::new("check"), OsStr::new("--db"), broken]);
}

#[test]
fn a_server_listens_on_a_name() {
    let vendor = Vendor::new();
    let mut serve = vendor.command(["serve", "--listen", "localhost:0"]);
    let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut line).expect("a line");
    crate::vendor::signal("TERM", &child.id().to_string());
    assert!(child.wait().expect("an end").success());
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    for bad in ["nowhere", ":8080", "8080", "localhost:", "localhost:65536", "::1:80", "a:b:1"] {
        let said = vendor.fails(2, ["serve", "--listen", bad]);
        assert!(said.contains("[::1]:8080 or localhost:8080"), "{said}");
    }
    let said = vendor.fails(1, ["serve", "--listen", "no-such-name.invalid:80"]);
    assert!(said.contains("cannot listen on no-such-name.invalid:80: "), "{said}");
}

#[test]
fn an_output_that_nobody_reads_is_no_failure_and_one_that_is_full_is() {
    let vendor = Vendor::new();
    let mut child = vendor
        .command(["totals"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    assert_eq!((child.wait().expect("an end").code(), said.as_str()), (Some(0), ""));

    let full = File::options().write(true).open("/dev/full").expect("a full device");
    let child = vendor
        .command(["record", "p", "1"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let ended: Ended = child.wait_with_output().expect("an end").into();
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("the output could not be written"), "{}", ended.err);
    assert_eq!(vendor.total(), "1");
    // By the id that is told it may be repeated.
    let (_, id) = ended.err.trim().rsplit_once("the record's id is ").expect("an id");
    vendor.ok(["record", "p", "1", "--id", id]);
    assert_eq!(vendor.total(), "1");

    // A command that only reads does not say that it did something.
    let full = File::options().write(true).open("/dev/full").expect("a full device");
    let read = vendor.command(["totals"]).stdout(full).output().expect("it runs");
    let read: Ended = read.into();
    assert!(
        read.code == 1 && read.err.contains("if the command changed something"),
        "{}",
        read.err
    );

    // What the command found is its end, whether anybody reads it or not.
    vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
    let mut child = vendor
        .command(["bill", "--month", "2026-10"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("an end").code(), Some(1));
    for words in ["--help", "--version"] {
        let full = File::options().write(true).open("/dev/full").expect("a full device");
        let status = vendor.command([words]).stdout(full).status().expect("it runs");
        assert_eq!(status.code(), Some(1), "{words}");
    }
}

#[test]
fn the_server_ends_with_0_on_either_signal() {
    let vendor = Vendor::new();
    for name in ["TERM", "INT"] {
        let server = vendor.serve();
        assert_eq!(server.get("/healthz").status, 200);
        let idle = server.connect();
        server.signal(name);
        assert_eq!(server.wait(), Some(0));
        drop(idle);
    }
}

#[test]
fn a_hangup_does_not_end_a_server_that_starts() {
    let vendor = Vendor::new();
    // A pipe keeps the start waiting for a certificate.
    let certificate = vendor.path("certificate.pem");
    let made = Command::new("mkfifo").arg(&certificate).status();
    assert!(made.expect("mkfifo").success());
    let mut server = vendor
        .command(["serve", "--listen", "127.0.0.1:0"])
        .args(["--tls-cert".as_ref(), certificate.as_os_str()])
        .args(["--tls-key".as_ref(), vendor.db().as_os_str()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut writer = File::options().write(true).open(&certificate).expect("it is read");
    signal("HUP", &server.id().to_string());
    writer.write_all(b"nothing").expect("it still reads");
    drop(writer);
    // It ends by itself, and not by the signal.
    assert_eq!(server.wait().expect("an end").code(), Some(1));
}

#[test]
fn a_hangup_never_ends_the_server() {
    let vendor = Vendor::new();
    let mut server = vendor.serve();
    for _ in 0..3 {
        server.signal("HUP");
        assert_eq!(server.get("/healthz").status, 200);
    }
    assert!(server.is_running());
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn serve_says_first_which_database_it_took_and_why() {
    let vendor = Vendor::new();
    let first = |arguments: &[&str]| {
        let server = vendor.serve_with(arguments);
        server.log().lines().next().expect("a line").to_owned()
    };
    let db = vendor.db().display().to_string();
    let line = first(&[]);
    assert!(line.contains(&format!("the database is {db} (named by AGORA_VENDOR_DB)")), "{line}");
    std::fs::remove_file(vendor.path("server.log")).expect("removed");
    let line = first(&["--db", "agora-vendor.db"]);
    assert!(line.contains("/agora-vendor.db (named by --db)"), "{line}");
    // Whatever is logged.
    let mut unnamed = vendor.command(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
    let unnamed = unnamed.env_remove("AGORA_VENDOR_DB").current_dir("/proc").output();
    let said: Ended = unnamed.expect("it runs").into();
    let line = said.err.lines().next().expect("a line");
    assert!(line.contains("the database is ") && line.contains("(the default"), "{line}");
}

#[test]
fn an_address_that_is_taken_is_told() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let address = server.origin().replace("http://", "");
    let said = vendor.fails(1, ["serve", "--listen", &address]);
    assert!(said.contains(&format!("cannot serve on {address}")), "{said}");
}

#[test]
fn serve_with_init_starts_without_books_and_keeps_those_there_are() {
    let vendor = Vendor::without_books();
    let server = vendor.serve_with(["--init"]);
    let keys = vendor.json(["key", "list"]);
    let secret =
        vendor.ok(["key", "show", keys[0]["apiKey"].as_str().expect("a key"), "--secret"]).out;
    assert!(!server.log().contains(secret.trim()));
    drop(server);
    let _again = vendor.serve_with(["--init"]);
    assert_eq!(vendor.json(["key", "list"]), keys);
}

#[test]
fn the_log_has_priorities_where_journald_reads_it() {
    let vendor = Vendor::new();
    let log = vendor.path("journal");
    let file = File::create(&log).expect("a log");
    let metadata = file.metadata().expect("an identity");
    let mut child = vendor
        .command(["serve", "--listen", "127.0.0.1:0", "--log", "debug"])
        .env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()))
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .expect("the server starts");
    let mut ready = [0; 9];
    child.stdout.as_mut().expect("piped").read_exact(&mut ready).expect("a line");
    crate::vendor::signal("TERM", &child.id().to_string());
    assert!(child.wait().expect("an end").success());
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.lines().all(|line| line.starts_with("<6>") || line.starts_with("<7>")), "{log}");
}
