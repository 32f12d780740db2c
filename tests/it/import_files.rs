//! What an import makes of the files that people have: other separators, typed names, archives,
//! several at once, times without a zone.

use crate::imports::import;
use crate::vendor::{Ended, Vendor, signal};
use rustix::pty::{self, OpenptFlags};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

const HEADER: &str = "id,projectId,amount,at";

fn write(vendor: &Vendor, name: &str, content: impl AsRef<[u8]>) {
    fs::write(vendor.path(name), content).expect("a file");
}

fn gzip(content: &[u8], level: u32) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    gz.write_all(content).expect("compressed");
    gz.finish().expect("compressed")
}

/// The ids of all records, in the order in which they were recorded.
fn ids(vendor: &Vendor) -> Vec<String> {
    let exported = vendor.ok(["export", "--format", "csv"]).out;
    exported.lines().skip(1).map(|row| row.split(',').next().expect("an id").to_owned()).collect()
}

#[test]
fn one_content_is_one_set_of_records_whatever_it_is_packed_in() {
    let plain = "projectId,amount,at\np,10,2026-11-20\np,5,2026-11-21\n";
    let crlf = plain.replace('\n', "\r\n");
    let forms: [(&str, Vec<u8>); 11] = [
        ("u.csv", plain.into()),
        ("u.csv.gz", gzip(plain.as_bytes(), 1)),
        ("best.csv.gz", gzip(plain.as_bytes(), 9)),
        ("crlf.csv", crlf.clone().into_bytes()),
        ("bom.csv", format!("\u{feff}{plain}").into_bytes()),
        ("boms.csv", format!("\u{feff}\u{feff}{plain}").into_bytes()),
        ("cut.csv", plain.trim_end().into()),
        ("u.csv.zst", zstd::encode_all(plain.as_bytes(), 1).expect("compressed")),
        ("best.csv.zst", zstd::encode_all(crlf.as_bytes(), 19).expect("compressed")),
        ("blank.csv", format!("{plain},,\n\n").into_bytes()),
        ("padded.csv.gz", [gzip(plain.as_bytes(), 6), vec![0; 512]].concat()),
    ];
    let vendor = Vendor::new();
    for (name, content) in &forms {
        write(&vendor, name, content);
        vendor.ok(["import", name, "--ids-from-file"]);
        assert_eq!(vendor.total(), "15", "{name}");
        let tally = vendor.json(["import", name, "--ids-from-file", "--rejects", "bad.csv"]);
        assert_eq!((&tally["recorded"], &tally["duplicates"]), (&json!(0), &json!(2)), "{name}");
        fs::remove_file(vendor.path("bad.csv")).expect("a file");
    }
    // Whichever comes first.
    for (name, content) in &forms {
        let vendor = Vendor::new();
        write(&vendor, "u.csv", plain);
        write(&vendor, name, content);
        vendor.ok(["import", name, "u.csv", "--ids-from-file"]);
        assert_eq!(vendor.total(), "15", "{name}");
    }
    // Two rows that are alike are two records; a file that has grown has another content.
    write(&vendor, "twice.csv", "projectId,amount,at\nq,1,2026-11-20\nq,1,2026-11-20\n");
    vendor.ok(["import", "twice.csv", "--ids-from-file"]);
    assert_eq!(vendor.total(), "17");
    write(&vendor, "u.csv", format!("{plain}p,1,2026-11-22\n"));
    vendor.ok(["import", "u.csv", "--ids-from-file"]);
    assert_eq!(vendor.total(), "33");
}

#[test]
fn ids_that_an_earlier_version_made_of_a_file_are_kept() {
    // As the version before made them: of a plain file, of one with CRLF, of a compressed one.
    let plain = "projectId,amount,at\np,1,2026-10-10\np,1,2026-10-10\n";
    let crlf = plain.replace('\n', "\r\n").replace("p,1", "q,1");
    let compressed = "1f8b08000000000004032b28cacf4a4d2ef14cd149cccd2fcd2bd1492ce1aad231d431323032\
                      d335340022742e003a9c28d532000000";
    let compressed: Vec<u8> = (0..compressed.len() / 2)
        .map(|n| u8::from_str_radix(&compressed[2 * n..2 * n + 2], 16).expect("a byte"))
        .collect();
    let vendor = Vendor::new();
    for (project, prefix) in
        [("p", "159b88d20d7a814a"), ("q", "2a6b4aad0c4b9f2d"), ("z", "0a277e3a93c0a57a")]
    {
        for line in ["2", "3"] {
            let id = format!("{prefix}:{line}");
            vendor.ok(["record", project, "1", "--id", &id, "--at", "2026-10-10"]);
        }
    }
    write(&vendor, "plain.csv", plain);
    write(&vendor, "crlf.csv", &crlf);
    write(&vendor, "lf.csv", crlf.replace('\r', ""));
    write(
        &vendor,
        "lf.csv.zst",
        zstd::encode_all(&*crlf.replace('\r', "").into_bytes(), 3).expect("compressed"),
    );
    write(&vendor, "z.csv.gz", compressed);
    for name in ["plain.csv", "crlf.csv", "lf.csv", "lf.csv.zst", "z.csv.gz"] {
        let tally = vendor.json(["import", name, "--ids-from-file"]);
        assert_eq!((&tally["recorded"], &tally["duplicates"]), (&json!(0), &json!(2)), "{name}");
    }
    // A plain file has the same ids in fresh books.
    let fresh = Vendor::new();
    write(&fresh, "plain.csv", plain);
    fresh.ok(["import", "plain.csv", "--ids-from-file"]);
    assert_eq!(ids(&fresh), ["159b88d20d7a814a:2", "159b88d20d7a814a:3"]);
}

#[test]
fn a_compressed_file_that_breaks_off_has_no_content_to_make_ids_of() {
    let vendor = Vendor::new();
    let gz = gzip(&b"projectId,amount,at\np,10,2026-11-20\n".repeat(500), 6);
    write(&vendor, "u.csv.gz", &gz[..gz.len() / 2]);
    for more in [&[][..], &["--rejects", "bad.csv"], &["--dry-run"]] {
        let said = vendor.fails(1, [&["import", "u.csv.gz", "--ids-from-file"], more].concat());
        assert!(said.contains("breaks off") && said.contains("nothing was recorded"), "{said}");
    }
    assert_eq!(vendor.total(), "0");
}

#[test]
fn a_name_that_is_nearly_a_fields_is_refused_and_its_right_spelling_named() {
    let vendor = Vendor::new();
    let rest = [("id", "\"a\""), ("projectId", "\"p\""), ("amount", "1"), ("at", "\"2026-11-20\"")];
    for (name, field) in [
        ("customer_id", "customerId"),
        ("custmerId", "customerId"),
        ("customerID", "customerId"),
        ("project", "projectId"),
        ("timestamp", "at"),
        ("Amount", "amount"),
        ("void_reason", "voidReason"),
        ("voidedReason", "voidReason"),
        ("record_id", "id"),
    ] {
        let others: Vec<(&str, &str)> = rest
            .into_iter()
            .filter(|(known, _)| *known != field)
            .chain([(name, "\"x\"")])
            .collect();
        let members: Vec<String> =
            others.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let object = format!("{{{}}}\n", members.join(","));
        let right = format!("\"{name}\" is unknown: its name is {field}");
        let said = import(&vendor, &["-", "--format", "jsonl"], object.as_bytes());
        assert!(said.code == 1 && said.err.contains(&right), "{name}: {}", said.err);
        assert!(said.err.contains("standard input, line 1: the member"), "{name}: {}", said.err);
        let said = import(&vendor, &["-", "--format", "jsonl", "--dry-run"], object.as_bytes());
        assert!(said.code == 1 && said.err.contains(&right), "{name}: {}", said.err);
        let names: Vec<&str> = others.iter().map(|(name, _)| *name).collect();
        let header = names.join(",");
        let said = import(&vendor, &["-", "--format", "csv"], format!("{header}\n").as_bytes());
        let is_quoted = said.err.contains(&format!("line 1 is \"{header}\""));
        assert!(said.code == 1 && said.err.contains(&right) && is_quoted, "{name}: {}", said.err);
    }
    // Beside the right name it says something else, and is pointed out.
    let both = r#"{"id":"a","projectId":"p","project":"My app","amount":1,"at":"2026-11-20"}"#;
    let said = import(&vendor, &["-", "--format", "jsonl"], both.as_bytes());
    assert!(said.code == 0 && said.err.contains("passed over: project (in 1 row)"), "{}", said.err);
    assert_eq!(vendor.total(), "1");
}

#[test]
fn members_that_say_nothing_are_pointed_out_once_with_the_rows_that_have_them() {
    let vendor = Vendor::new();
    let row = |id: &str, more: &str| {
        format!(
            "{{\"id\":\"{id}\",\"projectId\":\"p\",\"amount\":1,\"at\":\"2026-11-20\"{more}}}\n"
        )
    };
    let rows = [
        row("a", ",\"region\":1,\"vat\":{\"customer_id\":1}"),
        row("b", ",\"region\":2,\"\\u001b[2J\":0"),
        row("c", ""),
        row("d", ",\"region\":null"),
    ];
    let said = import(&vendor, &["-", "--format", "jsonl"], rows.concat().as_bytes());
    let wanted = "members that say nothing here are passed over: region (in 3 rows), \
                  vat (in 1 row), \\u{1b}[2J (in 1 row)\n";
    assert!(said.code == 0 && said.err.contains(wanted), "{}", said.err);
    // However many there are, a few are shown.
    let many: String = (0..5_000).map(|n| format!(",\"m{n}\":1")).collect();
    let said = import(&vendor, &["-", "--format", "jsonl"], row("e", &many).as_bytes());
    assert!(said.code == 0 && said.err.contains("m19 (in 1 row), …"), "{}", said.err);
    assert!(said.err.len() < 1_000, "{}", said.err.len());
}

#[test]
fn separators_are_read_where_the_header_says_so() {
    let vendor = Vendor::new();
    for (number, (name, header, row)) in [
        ("semicolon.csv", "id;projectId;amount;at", "a0;p;1.5;2026-11-20"),
        ("tab.tsv", "id\tprojectId\tamount\tat", "a1\tp\t1.5\t2026-11-20"),
        ("pipe.csv", "id|projectId|amount|at", "a2|p|1.5|2026-11-20"),
        ("quoted.csv", "\"id\";\"projectId\";\"amount\";\"at\"", "\"a3\";\"p\";1.5;2026-11-20"),
        ("more.csv", "id;projectId;amount;at;more", "a4;p;1.5;2026-11-20;\"x;\ny\""),
    ]
    .into_iter()
    .enumerate()
    {
        write(&vendor, name, format!("{header}\r\n{row}\r\n"));
        let tally = vendor.json(["import", name]);
        assert_eq!(tally["recorded"], 1, "{name}");
        assert_eq!(vendor.total(), ["1.5", "3", "4.5", "6", "7.5"][number], "{name}");
    }
    write(&vendor, "comma.csv", "id;projectId;amount;at\nc1;p;1,5;2026-11-20T10:00:00Z\n");
    let said = vendor.fails(1, ["import", "comma.csv"]);
    assert!(said.contains("line 2: amount is \"1,5\""), "{said}");
    // A bad row of it is mended like any other.
    let said = vendor.fails(1, ["import", "comma.csv", "--rejects", "bad.csv"]);
    let bad = fs::read_to_string(vendor.path("bad.csv")).expect("a file");
    assert!(bad.ends_with(",c1,p,\"1,5\",2026-11-20T10:00:00Z\n"), "{bad}{said}");
    write(&vendor, "short.csv", "id;projectId;amount\n");
    let said = vendor.fails(1, ["import", "short.csv"]);
    assert!(
        said.contains("does not name the column at")
            && said.contains("line 1 is \"id;projectId;amount\" (separated by \";\")"),
        "{said}"
    );
}

#[test]
fn blank_rows_are_passed_over_and_counted() {
    let vendor = Vendor::new();
    let blank = "\n,,,\n , ,\t,\n\"\",,,\"\"\n   \n";
    let rows = format!("\n,,,\n{HEADER}\ng4,p,1,2026-11-20T10:00:00Z\n{}\n", blank.trim_start());
    write(&vendor, "u.csv", rows);
    for more in [&["--dry-run"][..], &[]] {
        let ended = vendor.run([&["import", "u.csv"], more].concat());
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(ended.out.contains("rejected 0, blank 7; dated 2026-11-20T10:00"), "{}", ended.out);
    }
    let tally = vendor.json(["import", "u.csv"]);
    assert_eq!((&tally["read"], &tally["blank"]), (&json!(1), &json!(7)));
    // A quote that is not closed is none.
    let open = format!("{HEADER}\n\"\n");
    let said = import(&vendor, &["-", "--format", "csv"], open.as_bytes());
    assert!(said.code == 1 && said.err.contains("never closed"), "{}", said.err);
}

#[test]
fn what_cannot_be_imported_is_named_as_what_it_is() {
    let vendor = Vendor::new();
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, content, word) in [
        ("x.csv.xz", &b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46"[..], "compressed by xz: `xz -d`"),
        ("x.csv.zip", b"PK\x03\x04\x14\0\0\0\0\0\x08\x07z]", "a zip archive"),
        ("x.csv", b"PK\x03\x04\x14\0\0\0\0\0\x08\x07z]", "a zip archive"),
        ("x.csv.bz2", b"BZh91AY&SY", "compressed by bzip2"),
        ("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old Excel"),
        ("x.parquet", b"PAR1\x15\x04\x15", "a Parquet file"),
        ("x.jsonl", b"SQLite format 3\0\x10", "an SQLite database"),
        ("x.pdf", b"%PDF-1.7\n%", "a PDF"),
        ("x.7z", b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive"),
        ("x.json", b"<!doctype html>", "an HTML page"),
        ("utf16.csv", &utf16, "UTF-16LE, and not UTF-8: `iconv -f UTF-16LE"),
        ("zeros.csv", b"id\0\0\0\0,projectId\n", "it is no text"),
    ] {
        write(&vendor, name, content);
        let said = vendor.fails(1, ["import", name]);
        assert!(said.contains(&format!("{name} cannot be read: it is ")), "{name}: {said}");
        assert!(said.contains(word), "{name}: {said}");
    }
    // The line that was found in the place of the header.
    write(&vendor, "rows.csv", "a,p,1,2026-11-20\nb,p,1,2026-11-20\n");
    let said = vendor.fails(1, ["import", "rows.csv"]);
    assert!(said.contains("line 1 is \"a,p,1,2026-11-20\""), "{said}");
    // Without ids there is a way.
    write(&vendor, "noids.csv", "projectId,amount,at\np,10,2026-11-20\np,5,2026-11-21\n");
    let said = vendor.fails(1, ["import", "noids.csv"]);
    assert!(said.contains("for files without ids there is --ids-from-file"), "{said}");
    let row = br#"{"projectId":"p","amount":1,"at":"2026-11-20"}"#;
    let said = import(&vendor, &["-", "--format", "jsonl"], row);
    assert!(said.err.contains("id is missing; for files without ids"), "{}", said.err);
    vendor.ok(["import", "noids.csv", "--ids-from-file"]);
    assert_eq!(vendor.total(), "15");
}

#[test]
fn zeros_behind_compressed_data_are_padding_and_an_empty_file_is_empty_in_every_form() {
    let vendor = Vendor::new();
    let [one, two] = ["a", "b"].map(|id| format!("{id},p,1,2026-11-20\n"));
    let header = gzip(format!("{HEADER}\n{one}").as_bytes(), 6);
    let padded = [header, gzip(two.as_bytes(), 6), vec![0; 512]].concat();
    write(&vendor, "zeros.csv.gz", padded);
    assert_eq!(vendor.json(["import", "zeros.csv.gz"])["recorded"], 2);
    for (name, content) in [
        ("e.csv", Vec::new()),
        ("e.csv.gz", gzip(b"", 6)),
        ("bare.csv.gz", Vec::new()),
        ("padded.csv.gz", [gzip(b"", 6), vec![0; 9]].concat()),
        ("e.csv.zst", zstd::encode_all(&b""[..], 3).expect("compressed")),
        ("blank.csv", b"\xef\xbb\xbf\n".to_vec()),
    ] {
        write(&vendor, name, content);
        let said = vendor.fails(1, ["import", name]);
        assert!(said.contains(&format!("{name} cannot be read: it is empty")), "{said}");
    }
    for (name, content) in [
        ("e.jsonl", Vec::new()),
        ("e.jsonl.gz", gzip(b"", 6)),
        ("e.jsonl.zst", zstd::encode_all(&b""[..], 3).expect("compressed")),
        ("blank.jsonl", b"\n".to_vec()),
    ] {
        write(&vendor, name, content);
        let ended = vendor.ok(["import", name]);
        assert!(ended.err.contains(&format!("{name} is empty")), "{}", ended.err);
    }
}

#[test]
fn several_files_are_read_one_after_the_other_into_one_summary() {
    let vendor = Vendor::new();
    let rows = |from: u64, to: u64| -> String {
        (from..to).map(|n| format!("r{n},p,1,2026-11-{:02}\n", n + 1)).collect()
    };
    write(&vendor, "a.csv", format!("{HEADER}\n{}", rows(0, 3)));
    write(&vendor, "b.csv.gz", gzip(format!("{HEADER}\n{}", rows(2, 5)).as_bytes(), 6));
    write(&vendor, "c.jsonl", r#"{"id":"c","projectId":"p","amount":1,"at":"2026-11-09"}"#);
    assert_eq!(
        vendor.json(["import", "a.csv", "b.csv.gz", "c.jsonl"]),
        json!({
            "read": 7, "recorded": 6, "duplicates": 1, "rejected": 0,
            "from": "2026-11-01T12:00:00Z", "to": "2026-11-09T12:00:00Z"
        })
    );
    // Standard input among them, once.
    let input = format!("{HEADER}\n{}", rows(5, 7));
    let ended = import(&vendor, &["a.csv", "-", "--format", "csv"], input.as_bytes());
    assert!(ended.out.starts_with("rows 5: recorded 2, there already 3,"), "{}", ended.out);
    vendor.fails(2, ["import", "-", "-", "--format", "csv"]);
    // The first bad row stops all of it, and is told with its file.
    write(&vendor, "bad.csv", format!("{HEADER}\nx,p,1,2026-11-20\ny,p,1e3,2026-11-20\n"));
    write(&vendor, "last.csv", format!("{HEADER}\nz,p,1,2026-11-20\n"));
    let said = vendor.fails(1, ["import", "a.csv", "bad.csv", "last.csv"]);
    assert!(said.contains("error: bad.csv, line 3: amount is \"1e3\""), "{said}");
    assert_eq!(vendor.total(), "9");
    let ended = vendor.run(["import", "a.csv", "bad.csv", "last.csv", "--dry-run"]);
    assert!(ended.code == 1 && ended.err.contains("bad.csv, line 3: amount"), "{}", ended.err);
    // Bad rows of all of them go to one file, which is imported when it is mended.
    let files = ["import", "bad.csv", "last.csv", "bad.csv", "--rejects", "rejects.csv", "--json"];
    let ended = vendor.run(files);
    assert!(ended.out.starts_with(r#"{"read":5,"recorded":1,"duplicates":2,"rejected":2,"#));
    let rejects = fs::read_to_string(vendor.path("rejects.csv")).expect("a file");
    let lines: Vec<&str> = rejects.lines().collect();
    assert!(lines[0] == "file,line,reason,id,projectId,amount,at" && lines.len() == 3, "{rejects}");
    assert!(lines[1].starts_with("bad.csv,3,\"amount is"), "{rejects}");
    write(&vendor, "mended.csv", rejects.replace(",1e3,", ",1000,"));
    assert_eq!(vendor.json(["import", "mended.csv"])["recorded"], 1);
    // A file that is none is told before anything is recorded; so is one of other columns, since
    // its bad rows could not go to the same file.
    write(&vendor, "new.csv", format!("{HEADER}\nnew,p,1,2026-11-20\n"));
    write(&vendor, "other.csv", "projectId,id,amount,at\n");
    let total = vendor.total();
    for (files, code, word) in [
        (&["new.csv", "nothing.csv"][..], 1, "nothing.csv cannot be read"),
        (&["new.csv", "u.txt"], 2, "u.txt does not tell its format"),
        (&["new.csv", "other.csv", "--rejects", "r"], 2, "other.csv has other columns"),
        (&["new.csv", "c.jsonl", "--rejects", "r"], 2, "c.jsonl has other columns"),
    ] {
        let said = vendor.fails(code, [&["import"], files].concat());
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(vendor.total(), total);
    vendor.ok(["import", "new.csv", "other.csv"]);
    vendor.ok(["check"]);
}

#[test]
fn a_bad_row_of_any_file_is_told_before_ids_are_made_for_one() {
    let vendor = Vendor::new();
    write(&vendor, "a.csv", "projectId,amount,at\np,1,2026-11-20\n");
    write(&vendor, "b.csv", "projectId,amount,at\np,x,2026-11-20\n");
    let said = vendor.fails(1, ["import", "a.csv", "b.csv", "--ids-from-file"]);
    assert!(said.contains("b.csv, line 2: amount is \"x\""), "{said}");
    assert!(said.contains("nothing was recorded"), "{said}");
    assert_eq!(vendor.total(), "0");
}

#[test]
fn times_without_a_zone_are_read_in_the_one_that_is_named() {
    let vendor = Vendor::new();
    let file = |at: &str| format!("{HEADER}\na,p,1,{at}\n");
    let dated = |zone: &str, at: &str| {
        let arguments = ["-", "--format", "csv", "--dry-run", "--json", "--zone", zone];
        import(&vendor, &arguments, file(at).as_bytes())
    };
    for (zone, at, from) in [
        ("Europe/Berlin", "2026-11-20T10:00:00", "2026-11-20T09:00:00Z"),
        ("Europe/Berlin", "2026-10-20 10:00", "2026-10-20T08:00:00Z"),
        ("Europe/Berlin", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        ("America/New_York", "2026-11-20T10:00:00", "2026-11-20T15:00:00Z"),
        ("Asia/Kolkata", "2026-11-20T10:00:00", "2026-11-20T04:30:00Z"),
    ] {
        let ended = dated(zone, at);
        assert!(ended.out.contains(&format!(r#""from":"{from}""#)), "{at}: {}", ended.err);
    }
    for (at, word) in [
        ("2026-03-29T02:30:00", "has no such time, since its clocks go forward"),
        ("2026-10-25T02:30:00", "has this time twice, since its clocks go back"),
    ] {
        let ended = dated("Europe/Berlin", at);
        assert_eq!(ended.code, 1);
        let said = format!("at is \"{at}\": Europe/Berlin {word}");
        assert!(ended.err.contains(&said), "{at}: {}", ended.err);
    }
    let ended = import(&vendor, &["-", "--format", "csv"], file("2026-11-20T10:00:00").as_bytes());
    assert!(ended.code == 1 && ended.err.contains("--zone ZONE"), "{}", ended.err);
    let said = vendor.fails(2, ["import", "u.csv", "--zone", "Europe/Berln"]);
    assert!(said.contains("did you mean Europe/Berlin?"), "{said}");
    // Also where the system knows no zones.
    write(&vendor, "u.csv", file("2026-11-20T10:00:00"));
    let mut command = vendor.command(["import", "u.csv", "--zone", "Europe/Berlin"]);
    let ended: Ended = command.env("TZDIR", vendor.path("none")).output().expect("it runs").into();
    assert!(ended.out.contains("dated 2026-11-20T09:00:00Z"), "{}{}", ended.out, ended.err);
}

#[test]
fn ctrl_c_ends_an_import_with_what_is_in() {
    let vendor = Vendor::new();
    let mut child = vendor
        .command(["import", "-", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut pipe = child.stdin.take().expect("piped");
    let rows: String = (0..500).map(|n| format!("r{n},p,1,2026-11-{:02}\n", 1 + n % 20)).collect();
    pipe.write_all(format!("{HEADER}\n{rows}").as_bytes()).expect("written");
    let began = Instant::now();
    while vendor.total() != "500" {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    // The pipe is still open, and silent.
    signal("INT", &child.id().to_string());
    let ended: Ended = child.wait_with_output().expect("an end").into();
    drop(pipe);
    assert_eq!(ended.code, 1);
    assert!(
        ended.out.starts_with(
            "rows 500: recorded 500, there already 0, rejected 0; \
             dated 2026-11-01T12:00:00Z to 2026-11-20T12:00:00Z"
        ),
        "{}",
        ended.out
    );
    let said = "stopped: 500 rows are in; the same command goes on with the rest";
    assert!(ended.err.contains(said), "{}", ended.err);
    vendor.ok(["check"]);
}

#[test]
fn a_terminal_as_standard_input_gets_a_hint() {
    let vendor = Vendor::new();
    let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    pty::grantpt(&terminal).expect("a terminal");
    pty::unlockpt(&terminal).expect("a terminal");
    let name = pty::ptsname(&terminal, Vec::new()).expect("a name");
    let open = || {
        let name = name.to_str().expect("a path");
        fs::OpenOptions::new().read(true).write(true).open(name).expect("a terminal")
    };
    let stdin = open();
    let mut keyboard = fs::File::from(terminal);
    // Ctrl-D on an empty line.
    keyboard
        .write_all(b"{\"id\":\"a\",\"projectId\":\"p\",\"amount\":1,\"at\":\"2026-11-20\"}\n\x04")
        .expect("typed");
    let mut command = vendor.command(["import", "--format", "jsonl"]);
    let ended: Ended = command.stdin(stdin).output().expect("it runs").into();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("standard input is a terminal: type rows"), "{}", ended.err);
    let mut command = vendor.command(["import"]);
    let ended: Ended = command.stdin(open()).output().expect("it runs").into();
    assert!(ended.code == 2 && ended.err.contains("or name a file"), "{}", ended.err);
    // A pipe gets none.
    let ended = import(&vendor, &["-", "--format", "jsonl"], b"");
    assert!(!ended.err.contains("terminal"), "{}", ended.err);
}

#[test]
fn records_dated_far_from_now_are_pointed_out_once_with_their_number() {
    let vendor = Vendor::new();
    vendor.at("2026-02-10T10:00:00Z");
    write(
        &vendor,
        "u.csv",
        format!(
            "{HEADER}\na,p,1,2026-02-09\nb,p,1,2025-12-10T10:00:00Z\n\
             c,p,1,2025-12-10T09:59:59Z\nd,p,1,2016-02-09\n"
        ),
    );
    let said = "2 of these records are dated more than 62 days back, or neither in this year nor \
                in the last: check their dates";
    for more in [&["--dry-run"][..], &[]] {
        let ended = vendor.ok([&["import", "u.csv"], more].concat());
        assert!(ended.err.contains(said), "{}", ended.err);
        assert!(ended.out.contains("dated 2016-02-09T12:00:00Z to 2026-02-09"), "{}", ended.out);
    }
    // What is there already was pointed out when it was recorded.
    assert!(!vendor.ok(["import", "u.csv"]).err.contains("days back"));
}

#[test]
fn nothing_that_a_file_holds_reaches_the_terminal_raw() {
    let vendor = Vendor::new();
    let (escape, c1, bidi) = ("\u{1b}[2J", "\u{9b}2J", "\u{202e}");
    let header = format!("id,projectId,amount,at,{escape}\u{1b}]0;pwned\u{7},x{bidi}evil{c1}");
    write(&vendor, "header.csv", format!("{header}\ni1,p,1,2026-11-20,x,y\n"));
    write(&vendor, "no-header.csv", format!("i1{escape},p{bidi}{c1}\n"));
    write(
        &vendor,
        "raw.jsonl",
        format!("{{\"id\":\"a\",\"projectId\":\"p\",\"amount\":1,\"at\":[\"{c1}{bidi}\"]}}\n"),
    );
    write(
        &vendor,
        "bad.jsonl",
        format!("{{\"id\":\"a\",\"projectId\":\"p\",\"amount\":\"1\",\"at\":[{escape}]}}\n"),
    );
    write(
        &vendor,
        "member.jsonl",
        format!(
            "{{\"id\":\"a\",\"projectId\":\"p\",\"amount\":1,\"at\":\"2026-11-20\",\"{bidi}\":1}}\n"
        ),
    );
    write(&vendor, "value.csv", format!("{HEADER}\ni1{bidi},p,1,2026-11-20\n"));
    write(&vendor, &format!("{bidi}{escape}.csv"), "");
    for arguments in [
        &["header.csv"][..],
        &["no-header.csv"],
        &["raw.jsonl"],
        &["bad.jsonl"],
        &["member.jsonl"],
        &["value.csv"],
        &["value.csv", "--dry-run"],
        &[&format!("{bidi}{escape}.csv")],
        &["raw.jsonl", "bad.jsonl", "--rejects", &format!("{escape}.rejects")],
    ] {
        let ended = vendor.run([&["import"], arguments].concat());
        let drives = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        let text = ended.out + &ended.err;
        assert!(!text.contains(drives), "{arguments:?}: {text:?}");
        // What is listed nowhere is in the file for rejects.
        let is_shown = text.contains("\\u{") || text.contains("at column ");
        assert!(is_shown || arguments.contains(&"--rejects"), "{arguments:?}: {text}");
    }
}
