//! What is printed on a terminal: tables that fit it, little color, and a pager.

use crate::vendor::Vendor;
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

/// What a command prints on a terminal of so many columns and lines, with these variables.
fn on_terminal(
    vendor: &Vendor,
    arguments: &[&str],
    (columns, lines): (u16, u16),
    variables: &[(&str, &str)],
) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let name = OsStr::from_bytes(name.as_bytes());
    let slave = File::options().read(true).write(true).open(name).expect("a terminal");
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
    let mut master = File::from(master);
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
