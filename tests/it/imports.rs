//! Import and export: exactly once, whatever the file and however often it is cut short.

use crate::vendor::{Ended, Vendor, days_from_now, long, second, signal};
use agora_vendor::billing::amount::Amount;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustix::pty::{self, OpenptFlags};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The dates of an import of rows of one day, as they stand in its summary.
const NOON: &str = r#""from":"2026-10-10T12:00:00Z","to":"2026-10-10T12:00:00Z""#;

/// How many rows stand behind a quote that is not closed.
const QUOTED: usize = 10_000;

/// A row of JSON by its number: some projects, over two months, two records of each in the same
/// second, with amounts that floats would round.
fn row(n: u64) -> String {
    let (project, tenths, at) = (n % 7, 1 + n % 9, 1_790_812_800 + n / 14 * 36_107 % 4_000_000);
    format!(r#"{{"id":"r{n}","projectId":"p{project}","amount":{}.{tenths},"at":{at}}}"#, n % 50)
}

fn rows(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|n| row(n) + "\n").collect()
}

fn totals(vendor: &Vendor) -> Value {
    vendor.json(["totals", "--from", "2001-09-09", "--to", "2100-01-01"])
}

pub fn import(vendor: &Vendor, arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = vendor.command([&["import"], arguments].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // It may stop before it has read everything.
    let _written = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("an end").into()
}

#[test]
fn a_file_is_the_same_records_in_every_form() {
    let vendor = Vendor::new();
    let jsonl = "\u{feff}{\"id\":\"a\",\"projectId\":\"p\",\"amount\":0.1,\"at\":\"2026-10-10T10:00:00Z\",\"customerId\":\"c\"}\r\n\
        \r\n\
        {\"at\":1791626400,\"amount\":\"0.20\",\"note\":\"a \\\"note\\\"\",\"projectId\":7,\"id\":\"b\",\"more\":{\"x\":[1]}}\n\
        {\"id\":\"c\",\"projectId\":\"p\",\"amount\":12345678901234567890.123456789,\"at\":\"2026-10-11\",\"note\":null}";
    let csv = "\u{feff}at,note,id,amount,projectId,customerId,more\r\n\
        2026-10-10T10:00:00Z,,a,0.1,p,c,x\r\n\
        1791626400,\"a \"\"note\"\"\",b,0.20,7,,\r\n\
        2026-10-11,,c,12345678901234567890.123456789,p,,\"x\ny\"\r\n";
    fs::write(vendor.path("u.jsonl"), jsonl).expect("a file");
    fs::write(vendor.path("u.CSV"), csv).expect("a file");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(jsonl.as_bytes()).expect("compressed");
    fs::write(vendor.path("u.ndjson.gz"), gz.finish().expect("compressed")).expect("a file");
    fs::write(vendor.path("u.csv.zst"), zstd::encode_all(csv.as_bytes(), 1).expect("compressed"))
        .expect("a file");
    let first = vendor.json(["import", "u.jsonl"]);
    let (from, to) = ("2026-10-10T10:00:00Z", "2026-10-11T12:00:00Z");
    assert_eq!(
        first,
        json!({
            "read": 3, "recorded": 3, "duplicates": 0, "rejected": 0, "blank": 1,
            "from": from, "to": to
        })
    );
    let before = totals(&vendor);
    assert_eq!(before["total"], "12345678901234567890.423456789");
    for file in ["u.jsonl", "u.CSV", "u.ndjson.gz", "u.csv.zst"] {
        let mut again = vendor.json(["import", file]);
        again.as_object_mut().expect("an object").remove("blank");
        let wanted = json!({
            "read": 3, "recorded": 0, "duplicates": 3, "rejected": 0, "from": null, "to": null
        });
        assert_eq!(again, wanted, "{file}");
    }
    assert_eq!(import(&vendor, &["-", "--format", "csv"], csv.as_bytes()).code, 0);
    assert_eq!(totals(&vendor), before);
    assert_eq!(vendor.json(["project", "show", "p"])["customerId"], "c");
    let exported = vendor.ok(["export"]).out;
    assert!(
        exported.contains(
            r#""projectId":"7","amount":"0.2","at":"2026-10-10T10:00:00Z","note":"a \"note\""}"#
        ),
        "{exported}"
    );
    vendor.ok(["check"]);
}

#[test]
fn csv_whose_last_line_has_no_end_is_taken_and_pointed_out() {
    let vendor = Vendor::new();
    let csv = b"id,projectId,at,amount\na,p,2026-10-10,10\nb,p,2026-10-10,10";
    for (end, is_told) in
        [(csv.len(), true), (csv.len() - 1, true), (csv.len() - 2, false), (csv.len() - 17, false)]
    {
        // Cut in its last amount it is another record, which nothing but the missing end tells.
        let text = String::from_utf8_lossy(&csv[..end]).replace("b,", &format!("b{end},"));
        let ended = import(&vendor, &["-", "--format", "csv"], text.as_bytes());
        assert_eq!(
            ended.err.contains("its last line has no end"),
            is_told,
            "{text}: {}",
            ended.err
        );
        assert_eq!(ended.code, if end == csv.len() - 2 { 1 } else { 0 }, "{text}: {}", ended.err);
    }
    let jsonl = import(&vendor, &["-", "--format", "jsonl"], row(1).as_bytes());
    assert!(jsonl.code == 0 && !jsonl.err.contains("its last line"), "{}", jsonl.err);
}

#[test]
fn a_bad_row_stops_the_import_after_what_is_before_it() {
    let vendor = Vendor::new();
    let file = "id,projectId,amount,at\na,p,1,2026-10-10\nb,p,1e3,2026-10-10\nc,p,2,2026-10-10\n";
    fs::write(vendor.path("u.csv"), file).expect("a file");
    let said = vendor.fails(1, ["import", "u.csv"]);
    assert!(
        said.contains("u.csv, line 3: amount is \"1e3\"") && said.contains("before it is recorded"),
        "{said}"
    );
    assert_eq!(vendor.total(), "1");
    let ended = vendor.run(["import", "u.csv", "--rejects", "bad.csv", "--json"]);
    assert_eq!(
        (ended.code, ended.out.trim()),
        (1, &*format!(r#"{{"read":3,"recorded":1,"duplicates":1,"rejected":1,{NOON}}}"#))
    );
    assert_eq!(vendor.total(), "3");
    let bad = fs::read_to_string(vendor.path("bad.csv")).expect("a file");
    assert!(
        bad.starts_with("line,reason,id,projectId,amount,at\n3,\"amount is")
            && bad.ends_with(",b,p,1e3,2026-10-10\n"),
        "{bad}"
    );
    // Mended, it is a file to import.
    fs::write(vendor.path("bad.csv"), bad.replace(",1e3,", ",1000,")).expect("a file");
    vendor.ok(["import", "bad.csv"]);
    assert_eq!(vendor.total(), "1003");
    // Of JSON lines the row is a text, which may be anything.
    fs::write(vendor.path("u.jsonl"), row(1).replace(':', ": ").replace("r1", "r 1") + "\r\n")
        .expect("a file");
    assert_eq!(vendor.run(["import", "u.jsonl", "--rejects", "bad.jsonl"]).code, 1);
    let bad: Value =
        serde_json::from_slice(&fs::read(vendor.path("bad.jsonl")).expect("a file")).expect("JSON");
    let mended = bad["row"].as_str().expect("a text").replace("r 1", "r1");
    assert_eq!(
        (mended.as_str(), bad["line"].as_u64()),
        (row(1).replace(':', ": ").as_str(), Some(1))
    );
    // What is there already is never written over: not the file itself, nor the books.
    for there in ["u.csv", "bad.csv", "agora-vendor.db"] {
        let before = fs::read(vendor.path(there)).expect("a file");
        assert!(
            vendor.fails(1, ["import", "u.csv", "--rejects", there]).contains("name a new file")
        );
        assert_eq!(fs::read(vendor.path(there)).expect("a file"), before);
    }
}

#[test]
fn a_pipe_that_says_no_more_is_not_waited_for_where_a_row_is_bad() {
    let vendor = Vendor::new();
    let mut command = vendor.command(["import", "-", "--format", "jsonl"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(b"nonsense\n").expect("written");
    assert_eq!(child.wait().expect("an end").code(), Some(1));
    drop(pipe);
}

#[test]
fn what_a_slow_pipe_has_given_is_recorded_while_it_is_still_open() {
    let vendor = Vendor::new();
    for (format, rows) in [
        ("jsonl", [row(1), row(2)]),
        ("csv", ["a,p,1,2026-10-10".into(), "b,p,1,2026-10-10".into()]),
    ] {
        let mut command = vendor.command(["import", "-", "--format", format, "--json"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut pipe = child.stdin.take().expect("piped");
        if format == "csv" {
            pipe.write_all(b"id,projectId,amount,at\n").expect("written");
        }
        for row in rows {
            let (before, began) = (vendor.total(), Instant::now());
            pipe.write_all(format!("{row}\n").as_bytes()).expect("written");
            while vendor.total() == before {
                assert!(began.elapsed() < Duration::from_secs(10), "{row}");
            }
        }
        drop(pipe);
        let ended: Ended = child.wait_with_output().expect("an end").into();
        assert!(ended.out.starts_with(r#"{"read":2,"recorded":2,"#), "{}", ended.out);
    }
}

#[test]
fn on_a_terminal_there_is_a_bar_and_what_is_said_meanwhile_has_a_line_of_its_own() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (from_ts, to_ts) = (second("2026-10-01T00:00:00Z"), second("2026-10-31T23:59:59Z"));
    assert_eq!(server.listing("/bill", from_ts, to_ts, 1).status, 200);
    let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    pty::grantpt(&terminal).expect("a terminal");
    pty::unlockpt(&terminal).expect("a terminal");
    let name = pty::ptsname(&terminal, Vec::new()).expect("a name");
    let stderr = fs::OpenOptions::new()
        .write(true)
        .open(name.to_str().expect("a path"))
        .expect("a terminal");
    let mut command = vendor.command(["import", "-", "--format", "jsonl"]);
    command.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr);
    let mut child = command.spawn().expect("it runs");
    // So that nobody but the import holds the terminal.
    drop(command);
    let mut pipe = child.stdin.take().expect("piped");
    let mut terminal = fs::File::from(terminal);
    let mut shown = String::new();
    let mut read_until = |word: &str| {
        let mut buffer = [0; 4096];
        while !shown.contains(word) {
            let count = terminal.read(&mut buffer).expect("what is shown");
            shown += &String::from_utf8_lossy(&buffer[..count]);
        }
        let before = shown.split(word).next().unwrap_or_default();
        before.rsplit(['\n', '\r']).next().unwrap_or_default().to_owned()
    };
    pipe.write_all(br#"{"id":"a","projectId":"p","amount":1,"at":"2026-11-01"}"#).expect("written");
    pipe.write_all(b"\n").expect("written");
    read_until("1 records, ");
    pipe.write_all(br#"{"id":"b","projectId":"p","amount":1,"at":"2026-10-10"}"#).expect("written");
    pipe.write_all(b"\n").expect("written");
    let line = read_until("usage of 2026-10 was billed");
    assert!(!line.contains("records"), "{line:?}");
    drop(pipe);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn an_id_twice_in_a_file_is_one_record_or_a_bad_row() {
    let vendor = Vendor::new();
    let twice = [row(1), row(2), row(1), row(1).replace("r1", "r2")].join("\n");
    let ended = import(&vendor, &["-", "--format", "jsonl"], twice.as_bytes());
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("line 4: the id r2 stands for another record"), "{}", ended.err);
    assert!(!ended.err.contains("nothing was recorded"), "what is before it is: {}", ended.err);
    assert!(
        ended.out.starts_with("rows 4: recorded 2, there already 1, rejected 1"),
        "{}",
        ended.out
    );
    vendor.ok(["check"]);
}

#[test]
fn what_is_wrong_with_a_row_is_told_by_its_field() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "there", "--at", "2026-10-10", "--customer", "c"]);
    let whole = totals(&vendor);
    let far = days_from_now(3);
    for (row, word) in [
        (r#"{"projectId":"p","amount":1,"at":"2026-10-10"}"#, "id is missing"),
        (r#"{"id":"","projectId":"p","amount":1,"at":"2026-10-10"}"#, "id is missing"),
        (r#"{"id":"x","projectId":null,"amount":1,"at":"2026-10-10"}"#, "projectId is missing"),
        (r#"{"id":"x y","projectId":"p","amount":1,"at":"2026-10-10"}"#, r#"id is "x y""#),
        (r#"{"id":"x","projectId":"p","amount":0,"at":"2026-10-10"}"#, "it must be above zero"),
        (r#"{"id":"x","projectId":"p","amount":-1,"at":"2026-10-10"}"#, "must not be negative"),
        (r#"{"id":"x","projectId":"p","amount":1E2,"at":"2026-10-10"}"#, r#"amount is "1E2""#),
        (
            r#"{"id":"x","projectId":"p","amount":true,"at":"2026-10-10"}"#,
            "amount is true: only a text or a number",
        ),
        (
            r#"{"id":"x","projectId":"p","amount":[1],"at":"2026-10-10"}"#,
            "amount is [1]: only a text or a number",
        ),
        (r#"{"id":"x","projectId":"p","amount":1,"at":"soon"}"#, r#"at is "soon""#),
        (r#"{"id":"x","projectId":"p","amount":1,"at":1791626400.5}"#, "at is"),
        (
            &format!(r#"{{"id":"x","projectId":"p","amount":1,"at":"{far}"}}"#),
            "ahead of this machine's clock",
        ),
        (
            r#"{"id":"x","id":"y","projectId":"p","amount":1,"at":"2026-10-10"}"#,
            "duplicate field `id`",
        ),
        (
            r#"{"id":"there","projectId":"p","amount":2,"at":"2026-10-10"}"#,
            "stands for another record",
        ),
        (
            r#"{"id":"x","projectId":"p","amount":1,"at":"2026-10-10","customerId":"d"}"#,
            "is customer c's, not d",
        ),
        (r#"[1]"#, "not a JSON object"),
        (r#"{"id":"x""#, "not a JSON object that can be read"),
        (
            "{\"id\":\"x\u{0}\",\"projectId\":\"p\",\"amount\":1,\"at\":\"2026-10-10\"}",
            "not a JSON object that can be read",
        ),
    ] {
        let ended = import(&vendor, &["-", "--format", "jsonl"], row.as_bytes());
        assert_eq!(ended.code, 1, "{row}");
        assert!(
            ended.err.contains("standard input, line 1: ") && ended.err.contains(word),
            "{row}: {}",
            ended.err
        );
    }
    assert_eq!(totals(&vendor), whole);
    assert_eq!(vendor.json(["customer", "list"]).as_array().map(Vec::len), Some(1));
}

/// Texts that are no rows, by the names of their files, with what is said of them.
fn malformed_texts() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let (header, good) = ("id,projectId,amount,at", row(1));
    let long_line = format!("{good}\n{}\n{}\n", "x".repeat(10 << 20), row(2));
    // Of few long rows, since each is read again where the bad one is passed over.
    let quoted = format!("{},p,1,2026-10-10\n", "c".repeat(100)).repeat(QUOTED);
    let quote = format!("{header}\na,p,1,2026-10-10\n\"b,p,1,2026-10-10\n{quoted}");
    assert!(quoted.len() > 1 << 20, "longer than a row may be");
    let utf16 = |mark: u16| [mark].into_iter().chain(header.encode_utf16());
    vec![
        (
            "empty.csv",
            Vec::new(),
            "empty.csv cannot be read: it is empty: the first line must name the columns \
             id,projectId",
        ),
        ("blank.csv", b"\r\n\r\n".to_vec(), "cannot be read: it is empty"),
        (
            "short.csv",
            b"id,amount,at\na,1,2026-10-10\n".to_vec(),
            "cannot be read: its first line does not name the column projectId",
        ),
        ("twice.csv", b"id,id,projectId,amount,at\n".to_vec(), "names the column id twice"),
        (
            "columns.csv",
            format!("{header}\na,p,1,2026-10-10\nb,p,1\n").into_bytes(),
            "line 3: the row has 3 columns",
        ),
        (
            "latin.csv",
            [header.as_bytes(), b"\na,p,1,2026-10-10\nb\xe9,p,1,2026-10-10\n"].concat(),
            "line 3: id is not UTF-8",
        ),
        (
            "utf16.csv",
            header.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "it is UTF-16LE, and not UTF-8: `iconv -f UTF-16LE -t UTF-8`",
        ),
        ("utf16-le.csv", utf16(0xfeff).flat_map(u16::to_le_bytes).collect(), "it is UTF-16LE"),
        ("utf16-be.csv", utf16(0xfeff).flat_map(u16::to_be_bytes).collect(), "it is UTF-16BE"),
        (
            "mac.csv",
            format!("{header}\ra,p,1,2026-10-10\r").into_bytes(),
            "no row: it holds a bare CR",
        ),
        (
            "quote.csv",
            quote.into_bytes(),
            "line 3: the row is longer than 1 MiB: is a quote not closed?",
        ),
        (
            "nul.csv",
            format!("{header}\na,p,1,2026-10-10\nb\0,p,1,2026-10-10\n").into_bytes(),
            "line 3: id is",
        ),
        (
            "latin.jsonl",
            [good.as_bytes(), b"\n{\"id\":\"\xe9\"}\n"].concat(),
            "line 2: the row is not UTF-8",
        ),
        ("long.jsonl", long_line.into_bytes(), "line 2: the row is longer than 1 MiB"),
    ]
}

/// The same of compressed files.
fn malformed_streams() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(rows(1..20_000).as_bytes()).expect("compressed");
    let gz = gz.finish().expect("compressed");
    let zst = zstd::encode_all(rows(1..20_000).as_bytes(), 1).expect("compressed");
    // A frame's head that asks for a window of 256 MiB, and an empty last block.
    let wide = b"\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00".to_vec();
    vec![
        (
            "cut.jsonl.gz",
            gz[..gz.len() / 2].to_vec(),
            "breaks off in the middle of its compressed data",
        ),
        (
            "bad.jsonl.gz",
            [&gz[..gz.len() / 2], b"nonsense", &gz[gz.len() / 2..]].concat(),
            "before it is recorded",
        ),
        (
            "cut.jsonl.zst",
            zst[..zst.len() / 2].to_vec(),
            "breaks off in the middle of its compressed data",
        ),
        (
            "wide.csv.zst",
            wide,
            "with a window of more than 128 MiB: compress it again with --long=27",
        ),
        ("empty.csv.gz", gz[..5].to_vec(), "breaks off in the middle of its compressed data"),
        ("bad.csv.zst", b"\x28\xb5\x2f\xfdnonsense".to_vec(), "bad.csv.zst cannot be read: "),
    ]
}

#[test]
fn a_malformed_file_gets_a_sentence_and_loses_nothing() {
    let vendor = Vendor::new();
    fs::create_dir(vendor.path("folder.csv")).expect("a folder");
    for (name, content, word) in malformed_texts().into_iter().chain(malformed_streams()) {
        fs::write(vendor.path(name), content).expect("a file");
        let said = vendor.fails(1, ["import", name]);
        assert!(said.contains(word) && said.contains(name), "{name}: {said}");
        assert!(
            !word.contains("cannot be read: ") || !said.contains("before it is recorded"),
            "{name}: {said}"
        );
        vendor.ok(["check"]);
    }
    for (arguments, code, word) in [
        (&["import", "nothing.csv"][..], 1, "nothing.csv cannot be read"),
        (&["import", "folder.csv"], 1, "folder.csv cannot be read: is a directory"),
        (&["import", "u.txt"], 2, "does not tell its format"),
        (&["import"], 2, "does not tell its format"),
        (&["import", "-", "--format", "jsonl", "--ids-from-file"], 2, "cannot be read twice"),
    ] {
        let said = vendor.fails(code, arguments);
        assert!(said.contains(word), "{said}");
    }
    // The same where the bad row is passed over: every other row of it is in.
    let ended = vendor.run(["import", "quote.csv", "--rejects", "bad.csv", "--json"]);
    let tally = format!(
        r#"{{"read":{},"recorded":1,"duplicates":{QUOTED},"rejected":1,{NOON}}}"#,
        QUOTED + 2
    );
    assert_eq!((ended.code, ended.out.trim()), (1, &*tally));
    assert!(
        fs::read_to_string(vendor.path("bad.csv"))
            .expect("a file")
            .ends_with(",\"b,p,1,2026-10-10\n\"\n")
    );
    // What was whole before the end is in, and what is bad is passed over where it may be.
    let (first, second) = (vendor.path("long.jsonl"), vendor.path("bad.jsonl"));
    let ended = vendor.run([
        "import",
        &first.to_string_lossy(),
        "--rejects",
        &second.to_string_lossy(),
        "--json",
    ]);
    let tally: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!((ended.code, &tally["read"], &tally["rejected"]), (1, &json!(3), &json!(1)));
    assert!(fs::metadata(second).expect("a file").len() < 4_000);
    assert!(
        vendor.json(["totals", "--month", "2026-10"])["rows"]
            .as_array()
            .is_some_and(|rows| rows.len() > 5)
    );
}

#[test]
fn rows_without_ids_get_them_of_the_file_and_the_line() {
    let vendor = Vendor::new();
    fs::write(vendor.path("u.csv"), "projectId,amount,at\np,1,2026-10-10\np,1,2026-10-10\n")
        .expect("a file");
    vendor.fails(1, ["import", "u.csv"]);
    for recorded in [2, 0] {
        let tally = vendor.json(["import", "u.csv", "--ids-from-file"]);
        assert_eq!((&tally["recorded"], &tally["read"]), (&json!(recorded), &json!(2)));
    }
    assert_eq!(vendor.total(), "2");
    // A row that has an id would count again under another.
    fs::write(
        vendor.path("own.csv"),
        "id,projectId,amount,at\n,q,1,2026-10-10\nown,q,1,2026-10-10\n",
    )
    .expect("a file");
    fs::write(vendor.path("own.jsonl"), row(1) + "\n").expect("a file");
    for (file, word) in
        [("own.csv", "line 3: id is \"own\""), ("own.jsonl", "line 1: id is \"r1\"")]
    {
        let said = vendor.fails(1, ["import", file, "--ids-from-file"]);
        assert!(said.contains(word) && said.contains("nothing was recorded"), "{said}");
    }
    // A bad row is told before anything is recorded: mended, it would be another file.
    fs::write(vendor.path("bad.csv"), "projectId,amount,at\nq,1,2026-10-10\nq,x,2026-10-10\n")
        .expect("a file");
    let said = vendor.fails(1, ["import", "bad.csv", "--ids-from-file"]);
    assert!(said.contains("line 3: amount is") && said.contains("nothing was recorded"), "{said}");
    fs::write(vendor.path("cr.csv"), "projectId,amount,at\rq,1,2026-10-10\rq,2,2026-10-10\r")
        .expect("a file");
    assert!(
        vendor
            .fails(1, ["import", "cr.csv", "--ids-from-file"])
            .contains("lines must end in LF or CRLF")
    );
    let fifo = ["import", "/dev/stdin", "--format", "csv", "--ids-from-file"];
    assert_eq!(import(&vendor, &fifo[1..], b"projectId,amount,at\nq,1,2026-10-10\n").code, 2);
    assert_eq!(vendor.total(), "2");
    // printf 'projectId,amount,at\np,1,2026-10-10\np,1,2026-10-10\n' | sha256sum
    let exported = vendor.ok(["export"]).out;
    let ids: Vec<String> = exported
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["id"]
                .as_str()
                .expect("a text")
                .to_owned()
        })
        .collect();
    let prefix = ids[0].split(':').next().expect("a prefix").to_owned();
    assert_eq!((prefix.len(), ids), (16, vec![format!("{prefix}:2"), format!("{prefix}:3")]));
    // The line is the one on which an editor shows the row, however lines end.
    fs::write(
        vendor.path("crlf.csv"),
        "projectId,amount,at\r\n\r\nr,1,2026-10-10\r\nr,1,2026-10-10\r\n",
    )
    .expect("a file");
    vendor.ok(["import", "crlf.csv", "--ids-from-file"]);
    let exported = vendor.ok(["export"]).out;
    let lines: Vec<&str> =
        exported.lines().skip(2).map(|row| row.split([':', '"']).nth(5).expect("a line")).collect();
    assert_eq!(lines, ["3", "4"], "{exported}");
}

#[test]
fn a_dry_run_checks_every_row_and_changes_nothing() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "r1", "--at", "2026-10-10"]);
    let whole = fs::read(vendor.db()).expect("a file");
    // The last row has the id of one that is many slices before it.
    fs::write(vendor.path("u.jsonl"), rows(1..10_000) + &row(10_000).replace("r10000", "r2"))
        .expect("a file");
    // Whoever writes meanwhile is not in its way, nor it in theirs.
    let mut writer = vendor.sql();
    let writing = writer
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .expect("the lock");
    let ended = vendor.run(["import", "u.jsonl", "--dry-run", "--json"]);
    drop(writing);
    let tally = concat!(
        r#"{"read":10000,"recorded":9998,"duplicates":0,"rejected":2,"#,
        r#""from":"2026-10-01T00:00:00Z","to":"2026-11-16T05:50:01Z"}"#
    );
    assert_eq!((ended.code, ended.out.trim()), (1, tally), "{}", ended.err);
    for word in [
        "line 1: the id r1 stands for another",
        "line 10000: the id r2 stands for another",
        "would be registered: 7",
    ] {
        assert!(ended.err.contains(word), "{}", ended.err);
    }
    assert_eq!(fs::read(vendor.db()).expect("a file"), whole);
    assert_eq!(vendor.json(["project", "list"]).as_array().map(Vec::len), Some(1));
    // As the import finds it.
    let ended = vendor.run(["import", "u.jsonl", "--rejects", "bad.jsonl", "--json"]);
    assert_eq!((ended.code, ended.out.trim()), (1, tally));
    let ended = vendor.run(["import", "u.jsonl", "--dry-run", "--json"]);
    let tally =
        r#"{"read":10000,"recorded":0,"duplicates":9998,"rejected":2,"from":null,"to":null}"#;
    assert_eq!(ended.out.trim(), tally);
}

#[test]
fn a_dry_run_lists_the_first_bad_rows_and_counts_them_all() {
    let vendor = Vendor::new();
    let rows: String =
        (2..40).map(|line| format!("p,{},2026-10-10\n", ["1", "x"][line % 2])).collect();
    fs::write(
        vendor.path("u.csv"),
        format!("projectId,amount,at\n{rows}p,x,2026-10-10\np,x,2026-10-10\n"),
    )
    .expect("a file");
    let ended = vendor.run(["import", "u.csv", "--dry-run", "--ids-from-file"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.out.starts_with("rows 40: to record 19, there already 0, rejected 21"),
        "{}",
        ended.out
    );
    let listed: Vec<&str> =
        ended.err.lines().filter(|line| line.contains(": amount is \"x\"")).collect();
    assert_eq!(
        (listed.len(), listed[0].starts_with("line 3:"), listed[19].starts_with("line 40:")),
        (20, true, true)
    );
    assert!(
        ended.err.contains("1 more rows are bad: --rejects FILE takes all of them"),
        "{}",
        ended.err
    );
}

#[test]
fn a_dry_run_judges_every_row_as_the_import_does() {
    let rows = || {
        let customer = prop_oneof![2 => Just(None), 1 => (0..2).prop_map(Some)];
        let amount = prop_oneof![8 => 1..3, 1 => Just(0)];
        let field = (
            0..12,
            0..4,
            amount,
            prop_oneof![9 => Just("2026-10-10"), 1 => Just("2026-10-11"), 1 => Just("2099-01-01")],
        );
        prop::collection::vec((field, customer, prop::bool::weighted(0.2)), 0..40).prop_map(
            |rows| {
                let row = |((id, project, amount, at), customer, voided): (_, Option<i32>, _)| {
                    let named = |customer| format!(r#","customerId":"c{customer}""#);
                    let customer = customer.map_or(String::new(), named);
                    let void = if voided { r#","voidReason":"so""# } else { "" };
                    let plain =
                        format!(r#""id":"r{id}","projectId":"p{project}","amount":{amount}"#);
                    format!(r#"{{{plain},"at":"{at}"{customer}{void}}}"#) + "\n"
                };
                rows.into_iter().map(row).collect::<String>()
            },
        )
    };
    let mut runner = TestRunner::new(ProptestConfig {
        cases: if long() { 300 } else { 12 },
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let held = runner.run(&(rows(), rows()), |(before, file)| {
        let vendor = Vendor::new();
        vendor.ok(["project", "add", "p0", "--customer", "c0"]);
        import(&vendor, &["-", "--format", "jsonl", "--rejects", "0"], before.as_bytes());
        let check = import(
            &vendor,
            &["-", "--format", "jsonl", "--dry-run", "--rejects", "1", "--json"],
            file.as_bytes(),
        );
        let done = import(
            &vendor,
            &["-", "--format", "jsonl", "--rejects", "2", "--json"],
            file.as_bytes(),
        );
        prop_assert_eq!(check.code, done.code);
        prop_assert_eq!(check.out, done.out);
        // A row that is taken back by the file is taken back when the file is read.
        let rejects = |name| {
            let text = fs::read_to_string(vendor.path(name)).expect("a file");
            let parts = text.split("voided at ").enumerate();
            parts
                .map(|(n, part)| {
                    if n == 0 { part } else { &part["2026-10-10T10:10:10Z".len()..] }.to_owned()
                })
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(rejects("1"), rejects("2"));
        prop_assert_eq!(
            check.err,
            done.err.replace(
                "were not known and are registered",
                "are not known and would be registered"
            )
        );
        Ok(())
    });
    if let Err(failed) = held {
        panic!("{failed}");
    }
}

#[test]
fn what_is_exported_and_imported_into_new_books_adds_up_alike() {
    let vendor = Vendor::new();
    fs::write(vendor.path("u.jsonl"), rows(0..2_000)).expect("a file");
    vendor.ok(["import", "u.jsonl"]);
    vendor.ok([
        "record",
        "mine",
        "2.5",
        "--customer",
        "c",
        "--note",
        "a \"note\", with a comma",
        "--at",
        "2026-10-10",
    ]);
    for id in ["r3", "r700", "r1999"] {
        vendor.ok(["void", id, "--reason", "it was, \"so\""]);
    }
    for format in ["jsonl", "csv"] {
        let other = Vendor::new();
        let file = format!("e.{format}");
        fs::write(other.path(&file), vendor.ok(["export", "--format", format]).out)
            .expect("a file");
        for _ in 0..2 {
            let tally = other.json(["import", &file]);
            assert_eq!((&tally["read"], &tally["rejected"]), (&json!(2_001), &json!(0)));
        }
        for by in ["project", "customer", "day", "month"] {
            let all = ["totals", "--from", "2001-09-09", "--to", "2100-01-01", "--by", by];
            assert_eq!(other.json(all), vendor.json(all), "{format} {by}");
        }
        assert_eq!(
            other.ok(["export", "--format", format]).out,
            vendor.ok(["export", "--format", format]).out
        );
        assert!(other.run(["void", "r700", "--reason", "x"]).out.starts_with("already voided"));
        other.ok(["check"]);
    }
    let october =
        vendor.ok(["export", "--from", "2026-10-01", "--to", "2026-10-31"]).out.lines().count();
    let november = vendor.ok(["export", "--from", "2026-11-01"]).out.lines().count();
    assert!(october > 100 && november > 100 && october + november == 2_001, "{october} {november}");
    vendor.fails(2, ["export", "--from", "2026-11-01", "--to", "2026-10-31"]);
}

#[test]
fn an_export_is_one_state_and_holds_nothing_up_however_slowly_it_is_read() {
    let vendor = Vendor::new();
    fs::write(vendor.path("u.jsonl"), rows(0..6_000)).expect("a file");
    vendor.ok(["import", "u.jsonl"]);
    vendor.ok(["project", "add", "p1", "--customer", "before"]);
    vendor.ok(["void", "r5000", "--reason", "before"]);
    let whole = vendor.ok(["export"]).out;
    let mut child = vendor.command(["export"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut text = String::new();
    // It has begun, and cannot go on: a pipe holds less than it has to write.
    out.read_line(&mut text).expect("a line");
    vendor.ok(["project", "add", "p1", "--customer", "after"]);
    vendor.ok(["project", "add", "p2", "--customer", "after"]);
    vendor.ok(["void", "r5900", "--reason", "after"]);
    vendor.ok(["record", "p1", "1", "--id", "after", "--at", "2026-10-10"]);
    let checkpoint = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let state: (i64, i64) =
        vendor.sql().query_row("pragma wal_checkpoint(truncate)", [], checkpoint).expect("a state");
    assert_eq!(state, (0, 0), "the write-ahead log cannot be emptied");
    assert!(child.try_wait().expect("a state").is_none(), "it was not slow");
    out.read_to_string(&mut text).expect("the rest");
    assert!(child.wait().expect("an end").success());
    assert!(text == whole, "it is not the state in which it began");
}

/// A usage record of a file, with its amount in millionths.
#[derive(Clone, Debug)]
struct Usage {
    project: u8,
    millionths: u64,
    at_s: i64,
    voided: bool,
}

impl Usage {
    fn any() -> impl Strategy<Value = Self> {
        // Crowded seconds, one after the other over the ends of hours, days and months; and any
        // over some months.
        let at_s = prop_oneof![1_793_491_190_i64..1_793_491_210, 1_785_000_000_i64..1_795_000_000];
        let millionths = prop_oneof![1_u64..10, 1_u64..100_000_000, Just(u64::MAX / 1_000)];
        (0_u8..6, millionths, at_s, prop::bool::weighted(0.1)).prop_map(
            |(project, millionths, at_s, voided)| Self { project, millionths, at_s, voided },
        )
    }

    fn amount(millionths: u128) -> String {
        format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
    }

    /// A row of its file; a project of an even number is a customer's, which not every row tells.
    fn row(&self, n: usize, is_csv: bool) -> String {
        let Self { project, millionths, at_s, voided } = self;
        let amount = Self::amount((*millionths).into());
        let customer = if project % 2 == 0 && n.is_multiple_of(2) {
            format!("c{project}")
        } else {
            String::new()
        };
        let reason = if *voided { "so" } else { "" };
        if is_csv {
            format!("{at_s},r{n},\"{reason}\",p{project},{amount},{customer}\r\n")
        } else {
            format!(
                r#"{{"projectId":"p{project}","amount":{amount},"customerId":"{customer}","id":"r{n}","voidReason":"{reason}","at":"{at_s}"}}"#
            ) + "\n"
        }
    }
}

#[test]
fn any_file_in_any_parts_in_any_order_with_repetitions_adds_up_alike() {
    let file = prop::collection::vec((Usage::any(), 0_usize..5), 1..150);
    // In which order the parts are taken, some of them again, and how each of them is written.
    let order = (
        prop::collection::vec(0_usize..5, 0..6),
        Just([0, 1, 2, 3, 4]).prop_shuffle(),
        prop::array::uniform5(0_u8..4),
    );
    let mut runner = TestRunner::new(ProptestConfig {
        cases: if long() { 200 } else { 8 },
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let held = runner.run(&(file, order), |(file, (again, parts, forms))| {
        let vendor = Vendor::new();
        for part in again.iter().chain(&parts).chain(&again) {
            let is_csv = forms[*part] % 2 == 0;
            let of_part = file.iter().enumerate().filter(|(_, (_, of))| of == part);
            let rows: String = of_part.map(|(n, (usage, _))| usage.row(n, is_csv)).collect();
            let text = if is_csv {
                format!("at,id,voidReason,projectId,amount,customerId\r\n{rows}")
            } else {
                rows
            };
            let content = if forms[*part] < 2 {
                text.into_bytes()
            } else {
                zstd::encode_all(text.as_bytes(), 1).expect("compressed")
            };
            let ended =
                import(&vendor, &["-", "--format", if is_csv { "csv" } else { "jsonl" }], &content);
            prop_assert_eq!(ended.code, 0, "{}", ended.err);
        }
        // Added up by hand.
        let mut sums: BTreeMap<(String, String), u128> = BTreeMap::new();
        for (usage, _) in file.iter().filter(|(usage, _)| !usage.voided) {
            let day = agora_vendor::billing::period::date(usage.at_s).to_string();
            for key in [("projectId", format!("p{}", usage.project)), ("day", day)] {
                *sums.entry((key.0.to_owned(), key.1)).or_default() += u128::from(usage.millionths);
            }
        }
        let mut found = BTreeMap::new();
        for (by, name) in [("project", "projectId"), ("day", "day")] {
            let all =
                vendor.json(["totals", "--from", "2001-09-09", "--to", "2100-01-01", "--by", by]);
            for row in all["rows"].as_array().expect("rows") {
                let (key, amount) = (
                    row[name].as_str().expect("a name"),
                    row["amount"].as_str().expect("an amount"),
                );
                found.insert(
                    (name.to_owned(), key.to_owned()),
                    amount.parse::<Amount>().expect("an amount"),
                );
            }
        }
        let exact = |millionths| Usage::amount(millionths).parse::<Amount>().expect("an amount");
        let wanted: BTreeMap<_, _> =
            sums.into_iter().map(|(key, millionths)| (key, exact(millionths))).collect();
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(vendor.run(["check"]).code, 0);
        Ok(())
    });
    if let Err(failed) = held {
        panic!("{failed}");
    }
}

#[test]
fn an_import_that_is_stopped_at_the_keyboard_has_recorded_what_it_had_and_is_run_again() {
    let vendor = Vendor::new();
    let mut child = vendor
        .command(["import", "-", "--format", "jsonl", "--rejects", "bad.jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all((rows(0..500) + "nonsense\n" + &rows(500..1_000)).as_bytes()).expect("written");
    let recorded = || vendor.ok(["export"]).out.lines().count();
    let (bad, began) = (vendor.path("bad.jsonl"), Instant::now());
    while recorded() < 1_000 || fs::metadata(&bad).expect("a file").len() == 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    signal("INT", &child.id().to_string());
    assert!(!child.wait().expect("an end").success());
    drop(pipe);
    assert_eq!((recorded(), vendor.ok(["check"]).code), (1_000, 0));
    let bad = fs::read_to_string(bad).expect("a file");
    assert!(bad.starts_with(r#"{"line":501,"#) && bad.ends_with("\"nonsense\"}\n"), "{bad}");
    let again = import(&vendor, &["-", "--format", "jsonl", "--json"], rows(0..1_500).as_bytes());
    assert!(
        again.out.starts_with(r#"{"read":1500,"recorded":500,"duplicates":1000,"#),
        "{}",
        again.out
    );
}

#[test]
fn a_file_for_rejects_that_cannot_be_written_stops_the_import_and_loses_nothing() {
    let vendor = Vendor::new();
    let long = "x".repeat(900_000);
    let file: String = (0..20).map(|n| row(n) + "\n" + &long + "\n").collect();
    fs::write(vendor.path("u.jsonl"), file).expect("a file");
    // A limit on the size of files that all that goes into the books keeps far below.
    let limited = r#"trap "" XFSZ; ulimit -f 8192; exec "$0" import u.jsonl --rejects bad.jsonl"#;
    let mut command = Command::new("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_agora-vendor")]).current_dir(vendor.path("."));
    let ended: Ended =
        command.env("AGORA_VENDOR_DB", vendor.db()).output().expect("a shell").into();
    assert_eq!(ended.code, 1, "{}", ended.err);
    let said = "the file bad.jsonl cannot be written: ";
    assert!(
        ended.err.contains(said) && ended.err.contains("run the import again"),
        "{}",
        ended.err
    );
    vendor.ok(["check"]);
    let again = vendor.run(["import", "u.jsonl", "--rejects", "again.jsonl", "--json"]);
    assert!(
        again.out.starts_with(r#"{"read":40,"#) && again.out.contains(r#""rejected":20"#),
        "{}",
        again.out
    );
    assert_eq!(vendor.ok(["export"]).out.lines().count(), 20);
}

#[test]
fn a_quiet_import_says_nothing_of_its_progress() {
    let vendor = Vendor::new();
    vendor.at("2026-10-02T00:00:00Z").ok(["project", "add", "p1", "--customer", "c"]);
    fs::write(vendor.path("u.jsonl"), row(1)).expect("a file");
    let ended = vendor.ok(["import", "u.jsonl", "--quiet"]);
    assert_eq!(
        (ended.out.as_str(), ended.err.as_str()),
        (
            "rows 1: recorded 1, there already 0, rejected 0; \
             dated 2026-10-01T00:00:00Z to 2026-10-01T00:00:00Z\n",
            ""
        )
    );
}

#[test]
fn an_import_killed_at_any_moment_and_run_again_counts_every_row_once() {
    let kills = if long() { 300 } else { 12 };
    let vendor = Vendor::new();
    // A license, so that what is drawn is cut short with the rest.
    let far = days_from_now(9);
    let licensed = |vendor: &Vendor| {
        vendor.ok([
            "license",
            "issue",
            "--new",
            "c",
            "--expires",
            &far,
            "--starts",
            "2026-01-01",
            "--count",
            "100000",
        ]);
        for project in 0..7 {
            vendor.ok(["project", "add", &format!("p{project}"), "--customer", "c"]);
        }
    };
    licensed(&vendor);
    let recorded = || -> u64 {
        let count = "select coalesce(max(seq), 0) from usage_ledger";
        let count: i64 = vendor.sql().query_row(count, [], |row| row.get(0)).expect("a number");
        count.unsigned_abs()
    };
    let (mut interrupted, mut at_work) = (0, 0);
    for kill in 0..kills {
        // Of what is there already only the end: else it would be killed while it passes over that,
        // and write nothing.
        let before = recorded();
        let start = before.saturating_sub(300);
        fs::write(vendor.path("u.jsonl"), rows(start..start + 20_000)).expect("a file");
        let _server = (kill % 2 == 0).then(|| vendor.serve());
        let mut child = vendor
            .command(["import", "u.jsonl", "--quiet"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        // Half of them at whatever moment, from its start on; half once it has committed something.
        let started = Instant::now();
        while kill % 4 > 1 && recorded() == before && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let earliest = if kill % 4 > 1 { 0 } else { 8_000 };
        std::thread::sleep(Duration::from_micros(earliest + kill * 7_919 % 90_000));
        interrupted += u64::from(child.try_wait().expect("a state").is_none());
        child.kill().expect("killed");
        child.wait().expect("an end");
        at_work += u64::from(recorded() > before);
        if kill % 10 == 0 {
            vendor.ok(["check"]);
        }
    }
    let count = recorded() + 1_000;
    fs::write(vendor.path("u.jsonl"), rows(0..count)).expect("a file");
    assert_eq!(vendor.json(["import", "u.jsonl"])["recorded"], json!(1_000));
    assert_eq!(vendor.json(["import", "u.jsonl"])["duplicates"], json!(count));
    assert!(interrupted > kills / 2 && at_work >= kills / 2, "{interrupted} {at_work}");
    let once = Vendor::new();
    licensed(&once);
    once.ok(["import", &vendor.path("u.jsonl").to_string_lossy()]);
    assert_eq!(totals(&vendor), totals(&once));
    let residue = |vendor: &Vendor| vendor.json(["license", "list"])[0]["residue"].clone();
    assert_ne!(residue(&once), json!("100000"));
    assert_eq!(residue(&vendor), residue(&once));
    vendor.ok(["check"]);
}

#[test]
fn others_have_their_turn_while_an_import_runs() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    fs::write(vendor.path("u.jsonl"), rows(0..150_000)).expect("a file");
    let mut child = vendor
        .command(["import", "u.jsonl"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let (mut recorded, mut created, mut slowest) = (0, 0, Duration::ZERO);
    while child.try_wait().expect("a state").is_none() {
        let began = Instant::now();
        vendor.ok([
            "record",
            "mine",
            "1",
            "--id",
            &format!("mine-{recorded}"),
            "--at",
            "2026-10-10",
        ]);
        recorded += 1;
        slowest = slowest.max(began.elapsed());
        let fields = format!(r#""planId":"p","customerId":"c{created}""#);
        created += usize::from(server.call("POST", "/customers/new", &fields).status == 200);
        assert_eq!(server.usage(1_790_812_800, 1_790_899_199).status, 200);
    }
    assert!(child.wait().expect("an end").success());
    assert!(recorded > 3 && created == recorded, "{recorded} {created}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert_eq!(
        vendor.json(["totals", "--day", "2026-10-10", "--project", "mine"])["total"],
        json!(recorded.to_string())
    );
    vendor.ok(["check"]);
}
