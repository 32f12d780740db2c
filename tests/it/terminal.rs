//! What is printed on a terminal: tables that fit it, little color, and a pager.

use crate::vendor::{Vendor, month_s};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

/// Books with ten records with long notes.
fn books() -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T09:00:00Z");
    for number in 1..=10 {
        let (id, note) = (format!("r{number}"), format!("note {number}:{}", " long".repeat(30)));
        vendor.ok(["record", "p", "1.5", "--id", &id, "--at", "2026-11-01", "--note", &note]);
    }
    vendor
}

/// A terminal: the end at which a person types and reads, and the one that a command has.
pub fn open_terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let name = OsStr::from_bytes(name.as_bytes());
    let slave = File::options().read(true).write(true).open(name).expect("a terminal");
    (master.into(), slave)
}

/// What a command prints on a terminal of so many columns and lines, with these variables.
pub fn on_terminal(
    vendor: &Vendor,
    arguments: &[&str],
    (columns, lines): (u16, u16),
    variables: &[(&str, &str)],
) -> String {
    let (mut master, slave) = open_terminal();
    let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size).expect("a size");
    let mut command = vendor.command(arguments);
    command.env("TERM", "xterm").env_remove("PAGER").env_remove("LESS");
    command.env_remove("NO_COLOR").env_remove("CLICOLOR");
    command.envs(variables.iter().copied());
    let child = command.stdout(slave).stderr(Stdio::null()).spawn();
    let mut child = child.expect("it runs");
    // The command holds the terminal's other end too.
    drop(command);
    let (mut text, mut bytes) = (Vec::new(), [0; 4_096]);
    // Once nobody holds the other end, reading fails.
    while let Ok(read @ 1..) = master.read(&mut bytes) {
        text.extend_from_slice(&bytes[..read]);
    }
    assert!(child.wait().expect("an end").success());
    String::from_utf8(text).expect("text").replace("\r\n", "\n")
}

const BOLD: &str = "\u{1b}[1m";

#[test]
fn a_table_fits_the_terminal_and_is_whole_in_a_pipe() {
    let vendor = books();
    for width in [60, 100, 160] {
        let shown = on_terminal(&vendor, &["ledger", "list"], (width, 50), &[("NO_COLOR", "1")]);
        assert_eq!(shown.lines().count(), 11, "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= width.into(), "{width}: {line}");
        }
        assert!(shown.contains("…"), "{shown}");
    }
    let piped = vendor.ok(["ledger", "list"]).out;
    let whole = format!("note 10:{}", " long".repeat(30));
    assert!(piped.contains(&whole) && !piped.contains('…'), "{piped}");
}

#[test]
fn only_a_terminal_that_takes_color_gets_it() {
    let vendor = books();
    let shown = |variables: &[(&str, &str)]| {
        on_terminal(&vendor, &["ledger", "list"], (100, 50), variables)
    };
    let colored = shown(&[]);
    assert!(colored.starts_with(BOLD) && colored.matches('\u{1b}').count() == 2, "{colored:?}");
    for off in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        assert!(!shown(&[off]).contains('\u{1b}'), "{off:?}");
    }
    assert!(!vendor.ok(["ledger", "list"]).out.contains('\u{1b}'));
    for way in ["--json", "--csv"] {
        let shown = on_terminal(&vendor, &["ledger", "list", way], (100, 50), &[]);
        assert!(!shown.contains('\u{1b}') && shown.contains("long long"), "{shown}");
    }
}

#[test]
fn what_is_higher_than_the_terminal_goes_to_the_pager() {
    let vendor = books();
    let shown = |lines, pager| {
        let variables = [("NO_COLOR", "1"), ("PAGER", pager)];
        on_terminal(&vendor, &["ledger", "list"], (100, lines), &variables)
    };
    assert!(shown(8, "sed 's/^/paged: /'").lines().all(|line| line.starts_with("paged: ")));
    assert!(!shown(50, "sed 's/^/paged: /'").contains("paged"));
    // Without one, or with one that is not there, it is shown all the same.
    for pager in ["", "no-such-pager"] {
        assert_eq!(shown(8, pager).lines().count(), 11, "{pager}");
    }
    // Whoever leaves the pager early has read enough.
    assert_eq!(shown(8, "head -n 1").lines().count(), 1);
}

#[test]
fn ctrl_c_is_left_to_the_pager() {
    let vendor = books();
    // What a terminal sends to both of them.
    let pager = "cat > /dev/null; kill -INT $PPID; echo the pager has ended";
    let variables = [("NO_COLOR", "1"), ("PAGER", pager)];
    let shown = on_terminal(&vendor, &["ledger", "list"], (100, 8), &variables);
    assert_eq!(shown, "the pager has ended\n");
}

#[test]
fn csv_on_a_terminal_hides_nothing() {
    let vendor = Vendor::new();
    vendor
        .sql()
        .execute_batch("insert into customer (customer_id, first_seen_at_s) values ('c', 0)")
        .expect("a row");
    vendor.ok(["record", "p", "1", "--id", "r", "--note", "a\u{200f}b"]);
    let shown = on_terminal(&vendor, &["ledger", "list", "--csv"], (100, 50), &[]);
    assert!(shown.contains("a\\u{200f}b"), "{shown}");
    let piped = vendor.ok(["ledger", "list", "--csv"]).out;
    assert!(piped.contains("a\u{200f}b"), "{piped}");
}

/// Books of a year, with long names, figures with many digits, and months that were told.
fn long_books() -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-09-01T08:00:00Z");
    vendor.ok(["setting", "set", "late", "carry"]);
    let tiers = ["--graduated", "1000:0.0125,rest:0.00875", "--flat", "10.5", "--minimum", "20"];
    let named = ["--name", "Standard plan of this year", "--unit", "Minute"];
    vendor.ok(["plan", "set", "default"].into_iter().chain(named).chain(tiers));
    vendor.ok(["plan", "set", "default", "--price", "0.25", "--from", "2026-12"]);
    let customer = "customer-of-the-marketplace-000042";
    let contacts = ["--name", "東京のとても長い名前の会社", "--email", "billing@a.example.com"];
    vendor.ok(["customer", "add", customer].into_iter().chain(contacts).chain(["--phone", "1"]));
    let project = "project-with-a-rather-long-name-0001";
    vendor.ok(["project", "add", project, "--customer", customer]);
    let issue = ["license", "issue", customer, "--expires", "2026-12-31", "--count", "1234.56789"];
    vendor.ok(issue.into_iter().chain(["--id", "order-of-the-first-of-september-2026"]));
    vendor.ok(["license", "issue", customer, "--expires", "2027-12-31", "--unlimited"]);
    vendor.ok(["license", "type", "set", "video", "--name", "Video", "--count", "12345.6789"]);
    for (id, amount, at) in [("a1", "12345.678912345", "2026-09-03"), ("a2", "0.001", "2026-09-04")]
    {
        vendor.at(&format!("{at}T12:00:00Z"));
        vendor.ok(["record", project, amount, "--id", id, "--at", at]);
        let note = "a long note, ".repeat(9);
        vendor.ok(["record", "p", "7.5", "--at", at, "--note", note.trim_end()]);
    }
    vendor.ok([
        "void",
        "a1",
        "--reason",
        "it was a test call, which nobody but the developers made, and which was found late",
    ]);
    vendor.at("2026-10-01T00:05:00Z");
    let server = vendor.serve();
    let month = |number| (month_s(number), month_s(number + 1) - 1);
    for path in ["/usage", "/bill"] {
        server.listing(path, month(8).0, month(8).1, 1);
    }
    server.listing("/usage", month(8).0 + 7, month(8).0 + 77_777, 1);
    vendor.ok(["record", "p", "1234567.125", "--id", "late", "--at", "2026-09-30"]);
    vendor.at("2026-11-01T00:05:00Z");
    server.listing("/bill", month(9).0, month(9).1, 1);
    vendor.ok(["record", "p", "0.5", "--at", "2026-10-30"]);
    vendor
}

/// How many columns a line takes, of the characters that are used here.
fn width(line: &str) -> usize {
    line.chars().map(|c| if ('\u{3000}'..'\u{a000}').contains(&c) { 2 } else { 1 }).sum()
}

#[test]
fn every_table_fits_a_terminal_of_eighty_columns() {
    let vendor = long_books();
    let (customer, project) =
        ("customer-of-the-marketplace-000042", "project-with-a-rather-long-name-0001");
    let mut wide = String::new();
    for arguments in [
        &["ledger", "list"][..],
        &["ledger", "list", "--voided"],
        &["totals", "--month", "2026-09"],
        &["totals", "--month", "2026-09", "--by", "customer,day"],
        &["totals", "--month", "2026-09", "--compare", "2026-10"],
        &["totals", "--month", "2026-09", "--reconcile"],
        &["bill", "--month", "2026-09"],
        &["bill", "--month", "2026-10"],
        &["bill", "--month", "2026-09", "--by", "customer"],
        &["bill", "--month", "2026-09", "--project", project, "--explain"],
        &["bill", "--month", "2026-10", "--project", "p", "--explain"],
        &["statement", "list"],
        &["statement", "show", "1"],
        &["statement", "show", "2"],
        &["statement", "late"],
        &["license", "list"],
        &["license", "type", "list"],
        &["license", "history", "order-of-the-first-of-september-2026"],
        &["plan", "list"],
        &["plan", "show", "default"],
        &["project", "list"],
        &["project", "show", project],
        &["customer", "list"],
        &["customer", "show", customer],
        &["setting", "list"],
        &["setting", "history"],
        &["key", "list"],
    ] {
        let shown = on_terminal(&vendor, arguments, (80, 200), &[("NO_COLOR", "1")]);
        for line in shown.lines().filter(|line| width(line) > 80) {
            wide += &format!("{arguments:?}: {line}\n");
        }
    }
    assert_eq!(wide, "");
}

#[test]
fn times_and_ids_of_records_are_never_cut() {
    let vendor = long_books();
    let list = vendor.json(["ledger", "list"]);
    let rows = list["rows"].as_array().expect("rows");
    assert!(rows.len() > 4, "{list}");
    for width in [80, 100, 120, 160, 200] {
        let shown = on_terminal(&vendor, &["ledger", "list"], (width, 200), &[("NO_COLOR", "1")]);
        let (head, lines) = shown.split_once('\n').expect("a header");
        assert_eq!(lines.lines().count(), rows.len(), "{shown}");
        for (row, line) in rows.iter().zip(lines.lines()) {
            assert!(self::width(line) <= width.into(), "{width}: {line}");
            for key in ["id", "at", "amount"] {
                let whole = row[key].as_str().expect("text");
                assert!(line.split_whitespace().any(|cell| cell == whole), "{width}: {line}");
            }
        }
        // That a record is void is never left out.
        assert!(head.contains("  VO"), "{width}: {shown}");
        assert_eq!(head.contains("  PR"), width > 80, "{width}: {shown}");
        assert_eq!(head.contains("  NOTE"), width > 120, "{width}: {shown}");
        assert_eq!(head.contains("  RECORDED"), width > 120, "{width}: {shown}");
    }
    // Where not even these have room, no more is left out than helps.
    let shown = on_terminal(&vendor, &["ledger", "list"], (50, 200), &[("NO_COLOR", "1")]);
    assert!(shown.contains("  PR") && !shown.contains("  NOTE"), "{shown}");
    let piped = vendor.ok(["ledger", "list"]);
    assert!(piped.out.lines().next().is_some_and(|head| head.contains("RECORDED")));
    assert_eq!(piped.err, "");
}

/// Books of many records, of which those after the first thousands have longer cells and notes.
fn many_records(count: usize) -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T09:00:00Z");
    let mut rows = "id,projectId,amount,at,note\n".to_owned();
    for number in 0..count {
        let (day, seconds) = (1 + number / 10_000, number % 10_000);
        let at = month_s(10) + i64::try_from(86_400 * day + seconds).expect("small");
        let (more, note) =
            if number > 4_500 { ("-of-the-longer-ones", "a note") } else { ("", "") };
        rows += &format!("r{number}{more},p,{number}.5,{at},{note}\n");
    }
    std::fs::write(vendor.path("rows.csv"), rows).expect("a file");
    vendor.ok(["import", "rows.csv", "--quiet"]);
    vendor
}

#[test]
fn a_list_of_any_length_has_one_header_and_its_columns_stay_below_it() {
    let vendor = many_records(5_000);
    let list = ["ledger", "list", "--limit", "0"];
    let wanted: Vec<String> = (0..5_000).map(|number| format!("{number}.5")).collect();
    let piped = vendor.ok(list).out;
    let shown = on_terminal(&vendor, &list, (120, 30), &[("PAGER", "cat"), ("NO_COLOR", "1")]);
    for text in [&piped, &shown] {
        let (head, rows) = text.split_once('\n').expect("a header");
        assert!(head.starts_with("AT") && head.ends_with("NOTE"), "{head}");
        let amounts: Vec<&str> =
            rows.lines().map(|line| line.split_whitespace().nth(3).expect("an amount")).collect();
        assert_eq!(amounts, wanted);
        // What is longer than all before moves its column once, and no further.
        let places: Vec<usize> = rows.lines().map(|line| line.find(".5").expect("it")).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(places[2_000], places[4_999]);
        assert!(rows.ends_with("a note\n"));
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn a_list_needs_no_memory_for_its_length() {
    let vendor = many_records(40_000);
    let executable = env!("CARGO_BIN_EXE_agora-vendor");
    let limited = format!("ulimit -v 120000; exec {executable} ledger list --limit 0");
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &limited]).current_dir(vendor.path("")).env("AGORA_VENDOR_DB", vendor.db());
    vendor.set_clock(&mut command);
    let ended = command.output().expect("bash");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.stdout.iter().filter(|byte| **byte == b'\n').count(), 40_001);
}

#[test]
fn bars_take_the_room_that_is_left_and_are_never_cut() {
    let vendor = long_books();
    let totals = ["totals", "--month", "2026-09", "--by", "day"];
    let bars = |width| {
        let shown = on_terminal(&vendor, &totals, (width, 200), &[("NO_COLOR", "1")]);
        for line in shown.lines().skip(1) {
            assert!(line.chars().count() <= width.into(), "{width}: {line}");
            assert!(!line.contains("█…"), "{width}: {line}");
        }
        assert!(shown.contains("1234567.125"), "{shown}");
        shown.lines().map(|line| line.matches('█').count()).max().unwrap_or_default()
    };
    assert_eq!([200, 80, 50, 42, 40].map(bars), [20, 20, 14, 6, 0]);
    // They are for the eye alone.
    assert!(!vendor.ok(totals).out.contains('█'));
}

#[test]
fn prose_is_broken_between_its_words_on_a_terminal_alone() {
    let vendor = long_books();
    let plan = ["plan", "show", "default"];
    let piped = vendor.ok(plan).out;
    let words = |text: &str| -> Vec<String> {
        let before = text.split("\n\n").next().expect("properties");
        before.split_whitespace().map(str::to_owned).collect()
    };
    for width in [40, 60, 80] {
        let shown = on_terminal(&vendor, &plan, (width, 200), &[("NO_COLOR", "1")]);
        assert_eq!(words(&shown), words(&piped));
        assert!(shown.lines().all(|line| line.chars().count() <= width.into()), "{shown}");
        let under = shown.lines().filter(|line| line.starts_with("       ")).count();
        assert!(under >= 3, "{shown}");
    }
    assert!(piped.lines().any(|line| line.chars().count() > 100), "{piped}");
}

#[test]
fn where_an_amount_comes_from_is_never_cut() {
    let vendor = books();
    let name = "minutes of recordings that were mixed for a whole customer";
    vendor.ok(["plan", "set", "default", "--name", name, "--unit", "Minute", "--price", "0.01"]);
    let explain = ["bill", "--month", "2026-11", "--project", "p", "--explain"];
    let from = |text: &str| {
        let (_, behind) = text.split_once("comes about:").expect("where it comes from");
        behind.split_once("recorded").expect("what it comes from").0.to_owned()
    };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let shown = on_terminal(&vendor, &explain, (80, 200), &[("NO_COLOR", "1")]);
    let (shown, piped) = (from(&shown), from(&vendor.ok(explain).out));
    assert_eq!(words(&shown), words(&piped));
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(piped.lines().any(|line| line.chars().count() > 80), "{piped}");
}

#[test]
fn ids_in_lists_are_whole_on_a_terminal_of_eighty_columns() {
    let vendor = Vendor::new();
    vendor.at("2026-09-01T08:00:00Z");
    vendor.ok(["plan", "set", "default", "--name", "S", "--unit", "Minute", "--price", "0.001"]);
    let (customer, project, record) = ("customer-430", "project-892", "call-7781");
    vendor.ok(["customer", "add", customer, "--name", "Example of the marketplace Ltd"]);
    vendor.ok(["project", "add", project, "--customer", customer]);
    vendor.ok(["project", "disable", project]);
    vendor.ok(["project", "enable", project]);
    let license = "order-of-september-17";
    let issue = ["license", "issue", customer, "--expires", "2027-12-31", "--count", "1000"];
    vendor.ok(issue.into_iter().chain(["--id", license]));
    vendor.ok(["record", project, "3152.936662", "--id", record]);
    vendor.ok(["license", "adjust", license, "5", "--reason", "bought more", "--op-id", "fix-9"]);
    let revoked = vendor.json(["key", "add", "--test"])["apiKey"].clone();
    let revoked = revoked.as_str().expect("a key");
    vendor.ok(["key", "revoke", revoked]);
    let server = vendor.serve();
    server.listing("/bill", month_s(7), month_s(8) - 1, 1);
    server.usage(month_s(8), month_s(8) + 86_399);
    for (arguments, ids) in [
        (&["key", "list"][..], &[revoked][..]),
        (&["statement", "list"], &["2026-08", "2026-09-01"]),
        (&["project", "list"], &[project, customer]),
        (&["customer", "list"], &[customer]),
        (&["license", "list"], &[license, customer, "2027-12-31"]),
        (&["license", "history", license], &[record]),
        (&["totals", "--reconcile", "--month", "2026-09"], &[project]),
        (&["bill", "--month", "2026-09"], &[project, customer]),
    ] {
        let shown = on_terminal(&vendor, arguments, (80, 200), &[("NO_COLOR", "1")]);
        for id in ids {
            assert!(shown.split_whitespace().any(|cell| cell == *id), "{id}: {shown}");
        }
        assert!(shown.lines().all(|line| width(line) <= 80), "{shown}");
        assert!(!vendor.ok(arguments).err.contains("no room"), "{arguments:?}");
    }
}
