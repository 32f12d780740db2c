//! A machine that fails: its disk, its files and its threads. What is said of it is true, and says
//! what to do.

use crate::clock::{DISK, THREADS};
use crate::vendor::{
    API_KEY, API_SECRET, Ended, Vendor, read_answer, signal, signed_body, skipped, with_body,
};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command on a disk that has a fault while the file `fault` is there; see `disk.c`.
fn on_disk(vendor: &Vendor, fault: &str, arguments: &[&str]) -> Command {
    let mut command = vendor.command(arguments);
    command.env("LD_PRELOAD", &*DISK).env(fault, vendor.path(fault));
    command
}

/// Runs a command with that fault.
fn with_fault(vendor: &Vendor, fault: &str, arguments: &[&str]) -> Ended {
    std::fs::write(vendor.path(fault), "").expect("a file");
    let ended = on_disk(vendor, fault, arguments).output().expect("it runs").into();
    std::fs::remove_file(vendor.path(fault)).expect("it is there");
    ended
}

/// The word behind `before` in a text.
fn word_after<'t>(text: &'t str, before: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} in {text}"));
    rest.split([':', ' ', '\n', ';']).next().expect("a first part")
}

#[test]
fn serve_does_not_start_on_books_that_it_cannot_write() {
    let vendor = Vendor::new();
    let one = vendor.path("TEST_DISK_ONE_OPEN");
    // Whichever of its openings fails: SQLite opens the file to read it alone then.
    let (mut refused, mut served) = (0, 0);
    for before in 0.. {
        std::fs::write(&one, before.to_string()).expect("a file");
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let mut serve = on_disk(&vendor, "TEST_DISK_ONE_OPEN", &serve);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("a line or the end");
        if line.is_empty() {
            let ended: Ended = child.wait_with_output().expect("an end").into();
            assert_eq!(ended.code, 75, "{}", ended.err);
            let said = ended.err.lines().last().expect("a line");
            assert!(said.contains("was opened for reading alone, although"), "{}", ended.err);
            refused += 1;
            continue;
        }
        let port = line.trim().rsplit(':').next().expect("a port");
        let fields = format!(r#""customerId":"c{before}","planId":"p""#);
        let path = "/customers/new";
        let body = signed_body(API_KEY, API_SECRET, "POST", path, &fields);
        let request = with_body("POST", path, &body);
        let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).expect("it");
        stream.write_all(request.as_bytes()).expect("sent");
        let answer = read_answer(&mut BufReader::new(stream)).expect("an answer");
        assert_eq!(answer.status, 200, "{before}: {answer:?}");
        signal("TERM", &child.id().to_string());
        child.wait().expect("an end");
        served += 1;
        if one.exists() {
            break;
        }
    }
    // The readers' watch and the writer, at least; and what only reads is served.
    assert!(refused >= 2 && served >= 1, "{refused} {served}");
}

#[test]
fn a_record_whose_commit_failed_may_have_been_written_and_is_repeated_by_the_id_that_is_told() {
    let vendor = Vendor::new();
    // Somebody has the books open, so that their log stays; and it is begun.
    let open = vendor.sql();
    open.query_row("select count(*) from project", [], |_| Ok(())).expect("a read");
    vendor.ok(["record", "p", "1", "--id", "first"]);
    let record = ["record", "p", "2"];
    let Ended { code, err, .. } = with_fault(&vendor, "TEST_DISK_FAILS", &record);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("the change may have been written"), "{err}");
    assert!(!err.contains("nothing was written"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    // It is not there for those who have the index of the log, and it is for whoever reads the log
    // anew, as after a fall of the machine. By its id it counts once in either case.
    for suffix in ["", "-wal"] {
        let file = |name: &str| vendor.path(&format!("{name}{suffix}"));
        std::fs::copy(file("agora-vendor.db"), file("fallen.db")).expect("a copy");
    }
    let id = word_after(&err, "again with --id ").to_owned();
    let totals = ["totals", "--from", "2001-09-09", "--to", "2100-01-01"];
    for (db, before) in [("agora-vendor.db", "1"), ("fallen.db", "3")] {
        let total = || vendor.json([&totals[..], &["--db", db]].concat())["total"].clone();
        assert_eq!(total(), before, "{db}");
        let again = vendor.ok(["record", "p", "2", "--id", &id, "--db", db]).out;
        assert_eq!(again.contains("already recorded"), db == "fallen.db", "{again}");
        assert_eq!(total(), "3", "{db}");
    }
    // With an id of its own there is none to tell.
    let record = ["record", "p", "4", "--id", "mine"];
    let err = with_fault(&vendor, "TEST_DISK_FAILS", &record).err;
    assert!(err.contains("run the same command again: by its --id it counts once"), "{err}");
    vendor.ok(record);
    assert_eq!(vendor.total(), "7");
    vendor.ok(["check"]);
}

#[test]
fn what_else_may_have_been_written_says_whether_it_may_be_repeated() {
    let vendor = Vendor::new();
    let usage = vendor.path("usage.csv");
    std::fs::write(&usage, "id,projectId,amount,at\ni,p,8,2026-10-10\n").expect("a file");
    vendor.ok(["record", "p", "1", "--id", "r"]);
    vendor.ok([
        "license",
        "issue",
        "c",
        "--new",
        "--expires",
        "2099-12-31",
        "--count",
        "9",
        "--id",
        "l",
    ]);
    let open = vendor.sql();
    open.query_row("select 1 from project", [], |_| Ok(())).expect("a read");
    let again = "run the same command again: what was done is not done twice";
    let look = "the same command again might do it twice: look first; ";
    let license = ["license", "issue", "c", "--expires", "2099-12-31", "--count", "5"];
    let grant = ["license", "adjust", "l", "3", "--reason", "x"];
    for (arguments, advice, safe) in [
        (&["void", "r", "--reason", "x"][..], again.to_owned(), true),
        (&["import", "usage.csv"], again.to_owned(), true),
        (&["setting", "set", "unit", "Call"], again.to_owned(), true),
        (&["project", "add", "q", "--customer", "c"], again.to_owned(), true),
        (&["customer", "add", "d", "--name", "D"], again.to_owned(), true),
        (
            &["plan", "set", "default", "--name", "S", "--unit", "U", "--price", "1"],
            again.into(),
            true,
        ),
        (&[&license[..], &["--id", "m"]].concat(), again.to_owned(), true),
        (&license, format!("{look}`agora-vendor license list c`"), false),
        (&[&grant[..], &["--op-id", "o"]].concat(), again.to_owned(), true),
        (&grant, format!("{look}`agora-vendor license history l`"), false),
        (&["license", "consume", "c", "1"], format!("{look}`agora-vendor license list c`"), false),
        (&["license", "revoke", "l"], again.to_owned(), true),
        (&["key", "add"], format!("{look}`agora-vendor key list`"), false),
    ] {
        let Ended { code, err, .. } = with_fault(&vendor, "TEST_DISK_FAILS", arguments);
        assert_eq!(code, 1, "{arguments:?}: {err}");
        assert!(err.contains("may have been written"), "{arguments:?}: {err}");
        assert!(err.contains(&advice), "{arguments:?}: {err}");
        assert!(!err.contains("nothing was"), "{arguments:?}: {err}");
        let dump = || {
            let sql = vendor.sql();
            let count = |table: &str| {
                let select = format!("select count(*) from {table}");
                sql.query_row(&select, [], |row| row.get::<_, i64>(0)).expect("a count")
            };
            ["usage_ledger", "license", "license_ledger", "plan_version", "customer", "project"]
                .map(count)
        };
        if safe {
            vendor.ok(arguments);
            let once = dump();
            vendor.ok(arguments);
            assert_eq!(dump(), once, "{arguments:?} was done twice");
        }
    }
    vendor.ok(["check"]);
}

#[test]
fn a_full_disk_without_room_for_the_index_is_told_as_full() {
    let vendor = Vendor::new();
    for arguments in [&["record", "p", "1"][..], &["totals"], &["serve", "--listen", "127.0.0.1:0"]]
    {
        let ended = with_fault(&vendor, "TEST_DISK_NO_INDEX", arguments);
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert!(ended.err.contains("the disk is full"), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(vendor.total(), "0");
}

#[test]
fn a_file_whose_folder_cannot_be_flushed_is_told_to_stand() {
    let vendor = Vendor::without_books();
    for arguments in [&["init"][..], &["backup", "copy.db"]] {
        let Ended { code, err, .. } = with_fault(&vendor, "TEST_DISK_NO_FOLDER", arguments);
        assert_eq!(code, 1, "{err}");
        assert!(err.contains(".db is made and whole, but may be gone"), "{arguments:?}: {err}");
        assert!(!err.contains("exists already"), "{err}");
    }
    for db in ["agora-vendor.db", "copy.db"] {
        vendor.ok(["check", "--db", db]);
    }
    assert_eq!(vendor.json(["key", "list"]).as_array().map(Vec::len), Some(2));
}

/// Runs a script in a mount namespace of its own, in this vendor's folder; `None` where the machine
/// refuses that.
fn in_namespace(vendor: &Vendor, script: &str) -> Option<Ended> {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script, env!("CARGO_BIN_EXE_agora-vendor")]);
    command.current_dir(vendor.path("."));
    let may = Command::new("unshare").args(["-m", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        skipped("this machine gives no mount namespace");
        return None;
    }
    Some(command.output().expect("it runs").into())
}

#[test]
fn a_disk_that_is_mounted_read_only_is_told_as_such_and_is_read() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1.5", "--at", "2026-10-10"]);
    std::fs::create_dir(vendor.path("disk")).expect("a folder");
    let mounted = "mount -t tmpfs -o size=8m,mode=755 books disk && cp agora-vendor.db disk/b.db";
    let run = |then: &str, verb: &str| {
        let script = format!(
            "{mounted} && {then} && mount -o remount,ro disk
            AGORA_VENDOR_DB=disk/b.db exec \"$0\" {verb}"
        );
        in_namespace(&vendor, &script)
    };
    let Some(read) = run("true", "totals --month 2026-10") else { return };
    assert_eq!((read.code, read.err.as_str()), (0, ""), "{}", read.out);
    for verb in ["record p 1", "serve --listen 127.0.0.1:0", "setting set unit x"] {
        let Ended { code, err, .. } = run("true", verb).expect("it ran before");
        assert_eq!(code, 1, "{verb}: {err}");
        let said = err.lines().last().expect("a line");
        assert!(said.contains("lies on a disk that is mounted read-only"), "{verb}: {err}");
        assert!(!said.contains("run as the user"), "{verb}: {err}");
    }
    let Ended { code, err, .. } = run("touch disk/b.db-wal", "totals --month 2026-10").expect("it");
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("its disk may only be read") && err.contains("copy both to"), "{err}");
}

#[test]
fn a_disk_without_room_is_told_as_full_and_goes_on_once_there_is_some() {
    let vendor = Vendor::new();
    std::fs::create_dir(vendor.path("disk")).expect("a folder");
    // What is left suffices for the log's beginning, or not even for its index.
    for left in ["0", "16", "40"] {
        let script = format!(
            "mount -t tmpfs -o size=1m,mode=755 books disk && cp agora-vendor.db disk/b.db
            dd if=/dev/zero of=disk/filler bs=1k 2>/dev/null || true
            truncate -s -{left}k disk/filler
            export AGORA_VENDOR_DB=disk/b.db
            code=0; \"$0\" record p 1 || code=$?
            test $code = 1 || {{ echo \"ended with $code\" >&2; exit 9; }}
            rm disk/filler
            \"$0\" record p 1 && \"$0\" check && \"$0\" totals --month $(date -u +%Y-%m)"
        );
        let Some(Ended { code, out, err }) = in_namespace(&vendor, &script) else { return };
        assert_eq!(code, 0, "{left}: {out}{err}");
        let said: Vec<&str> = err.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(said.len(), 1, "{left}: {err}");
        assert!(said[0].contains("the disk is full: nothing was written"), "{left}: {err}");
        assert!(out.lines().last().is_some_and(|total| total.contains(" 1 ")), "{left}: {out}");
    }
}

#[test]
fn contacts_whose_checkpoint_fails_are_told_to_be_forgotten_by_the_books_alone() {
    let vendor = Vendor::new();
    vendor.ok(["customer", "add", "c", "--name", "Somebody Particular"]);
    let open = vendor.sql();
    open.query_row("select 1 from customer", [], |_| Ok(())).expect("it is read");
    let forget = ["customer", "forget", "c"];
    let Ended { code, err, .. } = with_fault(&vendor, "TEST_DISK_NO_MOVE", &forget);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("have forgotten the contacts, but the bytes of the file"), "{err}");
    assert!(!err.contains("nothing was"), "{err}");
    let holds = || {
        let bytes = std::fs::read(vendor.db()).expect("the file");
        bytes.windows(19).any(|bytes| bytes == b"Somebody Particular")
    };
    assert!(holds());
    // Somebody reads what was there before.
    open.execute_batch("begin; select * from customer").expect("a read");
    open.query_row("select count(*) from customer", [], |_| Ok(())).expect("a read");
    vendor.ok(["record", "p", "1"]);
    let said = vendor.ok(forget).err;
    assert!(said.contains("(the database is being read): run the same command again"), "{said}");
    open.execute_batch("commit").expect("it ends");
    assert!(!vendor.ok(forget).err.contains("run the same command again"));
    assert!(!holds());
}

/// Runs a command by a shell that limits it first.
fn limited(vendor: &Vendor, limit: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_agora-vendor")]).args(arguments);
    command.current_dir(vendor.path(".")).env("AGORA_VENDOR_DB", vendor.db());
    command
}

/// How a server ended that did not start, or `None` where it listens; then it is ended.
fn not_served(mut serve: Command) -> Option<Ended> {
    let mut child =
        serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is started");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut line).expect("a line or the end");
    if !line.is_empty() {
        signal("TERM", &child.id().to_string());
    }
    let ended: Ended = child.wait_with_output().expect("an end").into();
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    line.is_empty().then_some(ended)
}

#[test]
fn a_server_without_its_threads_does_not_start_and_says_how_many_it_needs() {
    let vendor = Vendor::new();
    for threads in 0.. {
        let mut serve = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
        serve.env("LD_PRELOAD", &*THREADS).env("TEST_THREADS", threads.to_string());
        let Some(Ended { code, err, .. }) = not_served(serve) else {
            assert!(threads >= 8);
            return;
        };
        assert_eq!(code, 1, "{threads}: {err}");
        let said = err.lines().last().expect("a line");
        assert!(said.starts_with("error: cannot serve: ") && said.contains("ulimit -u"), "{err}");
        assert!(said.contains("threads are needed"), "{err}");
    }
}

#[test]
fn a_server_answers_by_the_threads_that_it_began_with() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
    // So many that it starts, and none more.
    let most = (0..).find(|threads: &i32| {
        let mut serve = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
        serve.env("LD_PRELOAD", &*THREADS).env("TEST_THREADS", threads.to_string());
        not_served(serve).is_none()
    });
    let mut serve = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
    serve.env("LD_PRELOAD", &*THREADS).env("TEST_THREADS", most.expect("some").to_string());
    let server = vendor.serve_by(serve);
    for n in 0..8 {
        let created =
            server.call("POST", "/customers/new", &format!(r#""customerId":"c{n}","planId":"p""#));
        assert_eq!(created.status, 200, "{created:?}");
        assert_eq!(server.usage(1_790_812_800 + n, 1_793_491_199).status, 200);
    }
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn an_import_without_a_thread_for_its_rows_may_be_run_again() {
    let vendor = Vendor::new();
    std::fs::write(vendor.path("u.csv"), "id,projectId,amount,at\ni,p,8,2026-10-10\n").expect("it");
    let mut import = vendor.command(["import", "u.csv"]);
    import.env("LD_PRELOAD", &*THREADS).env("TEST_THREADS", "0");
    let Ended { code, err, .. } = import.output().expect("it runs").into();
    assert_eq!(code, 75, "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("there is no thread to read the rows with"), "{err}");
    vendor.ok(["import", "u.csv"]);
}

#[test]
fn a_command_that_may_open_no_more_files_says_so() {
    let vendor = Vendor::new();
    std::fs::write(vendor.path("u.csv"), "id,projectId,amount,at\ni,p,8,2026-10-10\n").expect("it");
    let verbs =
        [&["record", "p", "1"][..], &["totals", "--month", "2026-10"], &["import", "u.csv"]];
    for verb in verbs {
        let mut refused = 0;
        for files in 4..32 {
            let command = limited(&vendor, &format!("-n {files}"), verb).output();
            let Ended { code, err, .. } = command.expect("it runs").into();
            if code == 0 {
                break;
            }
            assert_eq!(code, 1, "{verb:?} {files}: {err}");
            assert_eq!(err.lines().count(), 1, "{verb:?} {files}: {err}");
            assert!(err.contains("Too many open files"), "{verb:?} {files}: {err}");
            refused += 1;
        }
        assert!((1..28).contains(&refused), "{verb:?}: {refused}");
    }
    // The files of the readers, and the socket's.
    for files in [6, 12, 18] {
        let serve = limited(&vendor, &format!("-n {files}"), &["serve", "--listen", "127.0.0.1:0"]);
        let Ended { code, err, .. } = not_served(serve).expect("it does not start");
        assert_eq!(code, 1, "{files}: {err}");
        assert!(err.lines().last().is_some_and(|l| l.contains("Too many open files")), "{err}");
    }
}

#[test]
fn an_import_whose_disk_fills_up_says_what_is_taken_and_not_that_nothing_is() {
    let vendor = Vendor::new();
    std::fs::create_dir(vendor.path("disk")).expect("a folder");
    let rows: String = (0..60_000).map(|n| format!("id-{n},p{},1,2026-10-10\n", n % 50)).collect();
    std::fs::write(vendor.path("u.csv"), format!("id,projectId,amount,at\n{rows}")).expect("it");
    let script = "mount -t tmpfs -o size=4m,mode=755 books disk && cp agora-vendor.db disk/b.db
        AGORA_VENDOR_DB=disk/b.db exec \"$0\" import --quiet u.csv";
    let Some(Ended { code, out, err }) = in_namespace(&vendor, script) else { return };
    assert_eq!(code, 1, "{out}{err}");
    let said = err.lines().last().expect("a line");
    assert!(said.contains("the disk is full") && said.contains("rows before that are"), "{err}");
    assert!(!said.contains("nothing was written"), "{err}");
}

#[test]
fn a_stop_ends_in_time_although_a_change_hangs_on_the_disk() {
    let vendor = Vendor::new();
    let fault = "TEST_DISK_HANGS";
    let mut server =
        vendor.serve_by(on_disk(&vendor, fault, &["serve", "--listen", "127.0.0.1:0"]));
    let path = "/customers/new";
    let fields = r#""customerId":"c","planId":"p""#;
    let body = signed_body(API_KEY, API_SECRET, "POST", path, fields);
    let mut stream = server.connect();
    std::fs::write(vendor.path(fault), "").expect("a file");
    stream.write_all(with_body("POST", path, &body).as_bytes()).expect("sent");
    // Its commit hangs, and holds the lock.
    let sql = vendor.sql();
    sql.busy_timeout(Duration::ZERO).expect("a timeout");
    while sql.execute_batch("begin immediate; rollback").is_ok() {
        std::thread::yield_now();
    }
    let began = Instant::now();
    server.signal("TERM");
    while server.is_running() {
        assert!(began.elapsed() < Duration::from_secs(15), "it does not end: {}", server.log());
        std::thread::yield_now();
    }
    assert!(server.log().contains("some connections did not end in time"), "{}", server.log());
}
