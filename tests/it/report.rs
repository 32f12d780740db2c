//! `report`: the figures of a month's page beside those of the verbs that it is made of, and the
//! file that it stands in.

use crate::vendor::{Vendor, month_s};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// October of 2026 and what came after: two customers with plans and licenses, a project of
/// nobody's, one without a price, one that is free, days that Agora did not ask for, a bill with an
/// adjustment, and usage that was recorded after it.
fn books() -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-09-20T09:00:00Z");
    vendor.ok(["setting", "set", "late", "carry"]);
    plan(&vendor, "default", "Standard", &["--flat", "5", "--price", "0.1"]);
    plan(&vendor, "gold", "Gold", &["--graduated", "1000:0.01,rest:0.005"]);
    plan(&vendor, "free", "Free", &["--price", "0"]);
    let ann = ["--plan", "gold", "--name", "Ann", "--email", "ann@example.com"];
    vendor.ok(["customer", "add", "a"].into_iter().chain(ann));
    vendor.ok(["customer", "add", "b", "--name", "Böb", "--phone", "+49 555"]);
    vendor.ok(["customer", "add", "f", "--plan", "free"]);
    vendor.ok(["customer", "add", "c", "--plan", "silver", "--new"]);
    for (project, customer) in [("p1", "a"), ("p2", "a"), ("q", "b"), ("f", "f"), ("u", "c")] {
        vendor.ok(["project", "add", project, "--customer", customer]);
    }
    let license = ["license", "issue", "b", "--expires", "2026-12-31", "--id"];
    vendor.ok(license.into_iter().chain(["l1", "--count", "100.5"]));
    vendor.ok(license.into_iter().chain(["l2", "--unlimited", "--starts", "2026-10-20"]));
    record(&vendor, "n", "40", "2026-09-10", "s1");
    vendor.at("2026-10-01T09:00:00Z");
    let server = vendor.serve();
    assert_eq!(server.listing("/bill", month_s(8), month_s(9) - 1, 1).status, 200);
    record(&vendor, "n", "12.5", "2026-09-30", "s2");
    for day in 1..=31_usize {
        vendor.at(&format!("2026-10-{day:02}T20:00:00Z"));
        let mut rows = "id,projectId,amount,at\n".to_owned();
        for (project, each) in [("p1", 97), ("p2", 13), ("q", 7), ("n", 3), ("f", 1)] {
            if day % each != 2 {
                let (amount, at) = (day * each, format!("2026-10-{day:02}T12:00:00Z"));
                rows += &format!("{project}-{day},{project},{amount}.{},{at}\n", 10 + day);
            }
        }
        fs::write(vendor.path("day.csv"), rows).expect("a file");
        vendor.ok(["import", "day.csv", "--quiet"]);
        vendor.at(&format!("2026-10-{day:02}T23:00:00Z"));
        if ![4, 17, 18].contains(&day) {
            let from = month_s(9) + 86_400 * (i64::try_from(day).expect("small") - 1);
            vendor.at(&jiff::Timestamp::from_second(from + 90_000).expect("a time").to_string());
            assert_eq!(server.usage(from, from + 86_399).status, 200);
        }
    }
    vendor.at("2026-11-01T02:00:00Z");
    assert_eq!(server.listing("/bill", month_s(9), month_s(10) - 1, 1).status, 200);
    // What it was asked last is kept before it ends.
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    record(&vendor, "p2", "17.5", "2026-10-31", "late-1");
    vendor.ok(["void", "n-6", "--reason", "counted twice"]);
    record(&vendor, "u", "4", "2026-10-30T01:00:00Z", "u1");
    vendor.at("2026-11-03T10:00:00Z");
    vendor
}

fn plan(vendor: &Vendor, id: &str, name: &str, price: &[&str]) {
    let words = ["plan", "set", id, "--name", name, "--unit", "Minute"];
    vendor.ok(words.iter().chain(price));
}

fn record(vendor: &Vendor, project: &str, amount: &str, at: &str, id: &str) {
    vendor.ok(["record", project, amount, "--at", at, "--id", id]);
}

fn page(vendor: &Vendor, month: &str) -> String {
    vendor.ok(["report", "--month", month, "--out", "-"]).out
}

/// The rows of a table as they are read: its cells' texts, without the header.
fn table(page: &str, id: &str) -> Vec<Vec<String>> {
    let start = format!("<caption id=\"{id}\">");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no table {id}"));
    let (table, _) = rest.split_once("</table>").expect("a table ends");
    let (_, body) = table.split_once("</thead>").expect("a table has a head");
    let cell = |cell: &str| {
        let (_, held) = cell.split_once('>').expect("a tag ends");
        let (held, _) = held.split_once("</t").expect("a cell ends");
        text(held)
    };
    let row = |row: &str| {
        let cells = row.replace("<th", "<td");
        cells.split("<td").skip(1).map(cell).collect()
    };
    body.split("<tr>").skip(1).map(row).collect()
}

/// What is read of a piece of HTML.
fn text(html: &str) -> String {
    let mut text = String::new();
    let mut parts = html.split('<');
    text += parts.next().expect("a first part");
    for part in parts {
        text += part.split_once('>').expect("a tag ends").1;
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

/// What is read of a list's items.
fn items(html: &str) -> Vec<String> {
    html.split("<li>").skip(1).map(|item| text(item.split("</li>").next().expect("one"))).collect()
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn array<'a>(document: &'a Value, key: &str) -> &'a Vec<Value> {
    document[key].as_array().unwrap_or_else(|| panic!("{key}: {document}"))
}

/// Some columns of each row, without the last one that has the total.
fn columns(rows: &[Vec<String>], places: &[usize]) -> Vec<Vec<String>> {
    rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect()
}

fn keys(rows: &[Value], keys: &[&str]) -> Vec<Vec<String>> {
    rows.iter().map(|row| keys.iter().map(|key| told(&row[*key])).collect()).collect()
}

#[test]
fn usage_is_told_to_the_letter_as_totals_does() {
    let vendor = books();
    let page = page(&vendor, "2026-10");
    let totals =
        |by: &str| vendor.json(["totals", "--month", "2026-10", "--by", by].map(str::to_owned));
    for (id, by, key, places) in
        [("by-project", "project", "projectId", [0, 2, 4]), ("by-day", "day", "day", [0, 1, 3])]
    {
        let totals = totals(by);
        let mut rows = table(&page, id);
        let last = rows.pop().expect("a total");
        assert_eq!(
            columns(&rows, &places),
            keys(array(&totals, "rows"), &[key, "amount", "records"])
        );
        assert_eq!(last[places[1]], told(&totals["total"]));
    }
    let by_customer = totals("customer");
    let mut rows = table(&page, "customers");
    let total = rows.pop().expect("a total");
    let wanted = keys(array(&by_customer, "rows"), &["customerId", "amount"]);
    let name = |id: &str| match id {
        "-" => "no customer".to_owned(),
        "a" => "a Ann".to_owned(),
        "b" => "b Böb".to_owned(),
        other => other.to_owned(),
    };
    let wanted: Vec<_> =
        wanted.into_iter().map(|row| vec![name(&row[0]), row[1].clone()]).collect();
    assert_eq!(columns(&rows, &[0, 2]), wanted);
    assert_eq!(total[2], told(&by_customer["total"]));

    // Each figure of a project and a day.
    let mut found = BTreeMap::new();
    let mut first = 1;
    for (id, days) in [("days-1", 8), ("days-2", 8), ("days-3", 8), ("days-4", 7)] {
        let mut rows = table(&page, id);
        rows.pop().expect("a total");
        for row in rows {
            for (place, amount) in row[1..].iter().enumerate().filter(|(_, text)| !text.is_empty())
            {
                let day = format!("2026-10-{:02}", first + place);
                found.insert((day, row[0].clone()), amount.clone());
            }
        }
        first += days;
    }
    let by_both = totals("day,project");
    let by_both = keys(array(&by_both, "rows"), &["day", "projectId", "amount"]);
    let wanted: BTreeMap<_, _> =
        by_both.into_iter().map(|row| ((row[0].clone(), row[1].clone()), row[2].clone())).collect();
    assert!(wanted.len() > 130);
    assert_eq!(found, wanted);
}

#[test]
fn the_bill_is_told_to_the_letter_with_its_lines_and_adjustments() {
    let vendor = books();
    let page = page(&vendor, "2026-10");
    let ended = vendor.run(["bill", "--month", "2026-10", "--json"]);
    assert_eq!(ended.code, 1, "a project has no price");
    let bill: Value = serde_json::from_str(&ended.out).expect("JSON");
    let mut rows = table(&page, "charges");
    let last = rows.pop().expect("a total");
    assert_eq!(last[4], told(&bill["total"]));
    let wanted = array(&bill, "rows");
    let row_keys = ["projectId", "usage", "covered", "amount"];
    assert_eq!(columns(&rows, &[0, 2, 3, 4]), keys(wanted, &row_keys));

    let mut adjusted = Vec::new();
    let (_, charges) = page.split_once("<caption id=\"charges\">").expect("a table");
    for row in wanted {
        let lines = array(row, "lines");
        let start = format!(">{}</th>", told(&row["projectId"]));
        let (_, rest) = charges.split_once(&start).expect("a row");
        let (html, _) = rest.split_once("</tr>").expect("a row ends");
        let words =
            |line: &Value| format!("{} {}", told(&line["description"]), told(&line["amount"]));
        match lines.as_slice() {
            [_] => assert!(html.contains(&told(&row["description"])), "{html}"),
            lines => assert_eq!(items(html), lines.iter().map(words).collect::<Vec<_>>()),
        }
        let carried = lines.iter().filter(|line| told(&line["description"]).contains("carried"));
        adjusted.extend(carried.map(|line| vec![told(&row["projectId"]), told(&line["amount"])]));
    }
    assert_eq!(adjusted, [["n", "1.25"]]);
    let mut rows = table(&page, "adjustments");
    rows.pop().expect("a total");
    assert_eq!(columns(&rows, &[1, 3]), adjusted);
    assert_eq!(rows[0][0], "2026-09");

    let left_out = ["projectId", "usage", "covered"];
    let uncharged = table(&page, "uncharged");
    assert_eq!(columns(&uncharged, &[0, 2, 3]), keys(array(&bill, "uncharged"), &left_out));
    let unpriced = table(&page, "unpriced");
    let left_out = ["projectId", "usage", "covered", "reason"];
    assert_eq!(columns(&unpriced, &[0, 2, 3, 4]), keys(array(&bill, "unpriced"), &left_out));
    assert_eq!((uncharged.len(), unpriced.len()), (1, 1));

    // What was told, and that the page and the command point out what has no price.
    let statements = vendor.json(["statement", "list", "--month", "2026-10", "--kind", "bill"]);
    let statement = &statements["statements"][0];
    let (seq, total) = (told(&statement["seq"]), told(&statement["total"]));
    assert!(page.contains(&format!("told {total} on 2026-11-01 in statement {seq}")), "{seq}");
    assert!(page.contains("left out of the bill: 1 project."));
    let said = vendor.ok(["report", "--month", "2026-10", "--out", "-"]).err;
    assert!(said.contains("projects without a price: 1"), "{said}");
}

#[test]
fn the_lines_of_a_charge_add_up_where_a_later_bill_has_to_take_something_off() {
    let vendor = Vendor::new();
    vendor.at("2026-11-03T10:00:00Z");
    vendor.ok(["setting", "set", "late", "carry"]);
    plan(&vendor, "default", "Standard", &["--price", "0.01"]);
    let server = vendor.serve();
    let billed = |month: usize| {
        assert_eq!(server.listing("/bill", month_s(month), month_s(month + 1) - 1, 1).status, 200);
    };
    record(&vendor, "p", "100", "2026-08-10", "august");
    record(&vendor, "p", "10", "2026-09-10", "september");
    billed(7);
    billed(8);
    // October's bill tells 0.5 of September, which is taken back; and August costs 1 more.
    record(&vendor, "p", "50", "2026-09-30", "mistake");
    billed(9);
    vendor.ok(["void", "mistake", "--reason", "counted twice"]);
    record(&vendor, "p", "100", "2026-08-31", "late");
    let bill = vendor.json(["bill", "--month", "2026-09"]);
    let row = &bill["rows"][0];
    let line = |line: &Value| format!("{} {}", told(&line["description"]), told(&line["amount"]));
    let lines: Vec<String> = array(row, "lines").iter().map(line).collect();
    let page = page(&vendor, "2026-09");
    let (_, charges) = page.split_once("<caption id=\"charges\">").expect("a table");
    let (charges, _) = charges.split_once("</tbody>").expect("a table ends");
    assert_eq!(items(charges), lines);
    assert_eq!(
        (told(&row["amount"]).as_str(), lines.as_slice()),
        (
            "1",
            [
                "10 Minute × Standard (0.01 each) 0.1",
                "-0.5 told by later bills -0.5",
                "0.4 to be taken off by a later bill 0.4",
                "1 carried from 2026-08 1",
            ]
            .map(str::to_owned)
            .as_slice()
        )
    );
}

#[test]
fn statements_missing_days_and_late_usage_are_told_as_their_verbs_do() {
    let vendor = books();
    let page = page(&vendor, "2026-10");
    let listed = vendor.json(["statement", "list", "--month", "2026-10"]);
    let rows = table(&page, "statements-table");
    let wanted = ["seq", "kind", "firstAskedAt", "lastAskedAt", "asked", "totalSize", "total"];
    let found = columns(&rows, &[0, 1, 3, 4, 5, 6, 7]);
    assert_eq!(found, keys(array(&listed, "statements"), &wanted));
    assert_eq!(rows.len(), 29);
    let missing = "Never asked for, or not in whole: 2026-10-04, 2026-10-17 to 2026-10-18.";
    assert!(page.contains("Agora was told the usage of 28 of 31 days."));
    assert!(page.contains(missing));

    let late = vendor.json(["statement", "late", "--month", "2026-10"]);
    let rows = table(&page, "late-table");
    let of = |row: &Value, kind: &str, key: &str| told(&row[kind][key]);
    let wanted: Vec<Vec<String>> = array(&late, "rows")
        .iter()
        .map(|row| {
            vec![
                told(&row["projectId"]),
                of(row, "usage", "amount"),
                of(row, "usage", "records"),
                of(row, "bill", "amount"),
                of(row, "bill", "covered"),
                of(row, "bill", "records"),
                told(&row["due"]),
            ]
        })
        .collect();
    assert_eq!(columns(&rows, &[0, 2, 3, 4, 5, 6, 7]), wanted);
    assert_eq!(wanted.len(), 3);
}

#[test]
fn what_was_left_of_licenses_is_told_day_by_day_as_their_history_does() {
    let vendor = books();
    vendor.ok(["license", "adjust", "l1", "+50", "--reason", "a gift"]);
    let page = page(&vendor, "2026-10");
    let rows = table(&page, "licenses-table");
    let listed = vendor.json(["license", "list"]);
    let listed = listed.as_array().expect("an array");
    assert_eq!(columns(&rows, &[0, 2]), keys(listed, &["id", "expires"]));
    // The gift was made after the month.
    assert_eq!((told(&listed[0]["residue"]), rows[0][9].as_str()), ("50".to_owned(), "50"));
    let told_of_l1 = &rows[0][4..8];
    assert_eq!(told_of_l1, ["100.5", "0", "100.5", "0"], "at start, added, drawn, at end");
    assert_eq!(rows[1][3..6], ["unlimited", "unlimited", "-"]);

    let history = vendor.json(["license", "history", "l1"]);
    let mut ends: BTreeMap<String, String> = BTreeMap::new();
    for entry in history.as_array().expect("an array") {
        let (at, balance) = (told(&entry["at"]), told(&entry["balance"]));
        if at.starts_with("2026-10") {
            ends.insert(at[..10].to_owned(), balance);
        }
    }
    let found = table(&page, "residues").into_iter().map(|row| (row[1].clone(), row[3].clone()));
    assert!(ends.len() > 2);
    assert_eq!(found.collect::<BTreeMap<_, _>>(), ends);
}

#[test]
fn what_others_wrote_is_text_and_contacts_are_left_out() {
    let vendor = Vendor::new();
    vendor.at("2026-10-10T10:00:00Z");
    let name = "</td><script>alert(1)</script>\"'&\u{202e}";
    let name = ["--name", &name[..name.len() - 3], "--email", "mail@example.com"];
    let phone = ["--phone", "+49 171 5550199"];
    vendor.ok(["customer", "add", "<b>c</b>"].into_iter().chain(name).chain(phone));
    plan(&vendor, "default", "<i>Standard</i>", &["--flat", "1", "--price", "2"]);
    vendor.ok(["project", "add", "\"><img/src=x>", "--customer", "<b>c</b>"]);
    record(&vendor, "\"><img/src=x>", "3", "2026-10-05", "r");
    let page = page(&vendor, "2026-10");
    for not_there in ["<script", "<img", "<b>c", "<i>", "example.com", "5550199", "src=x>\""] {
        assert!(!page.contains(not_there), "{not_there}");
    }
    let rows = table(&page, "charges");
    assert_eq!(rows[0][0], "\"><img/src=x>");
    assert_eq!(rows[0][1], "<b>c</b> </td><script>alert(1)</script>\"'&");
    // Nothing is loaded from anywhere, and nothing could be.
    for not_there in ["http:", "https:", "url(", "src=\"", "@import", "<link", "<iframe", "onload"]
    {
        assert!(!page.contains(not_there), "{not_there}");
    }
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'"));
}

/// The values of an attribute, in the order of the page.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let start = format!(" {name}=\"");
    page.split(start.as_str()).skip(1).map(|rest| rest.split('"').next().expect("one")).collect()
}

#[test]
fn a_page_can_be_read_by_keyboard_and_screen_reader() {
    let vendor = books();
    for month in ["2026-10", "2026-09", "2020-02"] {
        let page = page(&vendor, month);
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{month}");
        let ids = attributes(&page, "id");
        let known: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(known.len(), ids.len(), "ids are told once");
        let links = attributes(&page, "href").into_iter().map(|link| &link[1..]);
        let named = attributes(&page, "aria-labelledby");
        for id in links.chain(named) {
            assert!(known.contains(id), "{month}: {id}");
        }
        assert!(page.contains("<a class=\"skip\" href=\"#main\">"));
        for landmark in ["<header>", "<nav aria-label=", "<main ", "<footer>"] {
            assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
        }
        for table in page.split("<table>").skip(1) {
            assert!(table.starts_with("<caption id="));
            let (table, _) = table.split_once("</table>").expect("an end");
            assert_eq!(table.matches("<th").count() - 1, attributes(table, "scope").len());
        }
        for drawing in page.split("<svg").skip(1) {
            let (tag, _) = drawing.split_once('>').expect("an end");
            let is_told = tag.contains("role=\"img\"") && tag.contains("aria-label=\"");
            assert!(is_told || tag.contains("aria-hidden=\"true\""), "{tag}");
        }
        for tag in ["table", "tr", "section", "div", "details", "figure", "svg", "ul", "p", "g"] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

#[test]
fn a_month_that_is_not_over_or_empty_says_so() {
    let vendor = books();
    let now = page(&vendor, "2026-11");
    assert!(now.contains("The month is not over.") && now.contains("Nothing was used in November"));
    assert!(now.contains("2 never asked for"), "today is not missing yet");
    let empty = page(&vendor, "2020-02");
    assert!(empty.contains("Agora has asked for nothing of February 2020"));
    assert!(empty.contains("No license was good in February 2020."));
    assert!(empty.contains("29 never asked for"));
    let begun = page(&vendor, "2027-01");
    assert!(begun.contains("so far: the month is not over"));
}

#[test]
fn a_report_is_written_whole_and_replaces_no_other_file() {
    let vendor = books();
    let report =
        |month: &'static str, out: &'static str| ["report", "--month", month, "--out", out];
    let file = vendor.path("oct.html");
    let written = vendor.json(report("2026-10", "oct.html"));
    let first = fs::read_to_string(&file).expect("a page");
    assert_eq!(written["file"], "oct.html");
    assert_eq!(written["month"], "2026-10");
    assert_eq!(written["bytes"], first.len());
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(first, page(&vendor, "2026-10"));

    // Made again, through a link too; whoever reads the old one reads it whole.
    std::os::unix::fs::symlink(&file, vendor.path("link.html")).expect("a link");
    record(&vendor, "q", "1", "2026-10-31", "more");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    assert_eq!(vendor.ok(report("2026-10", "link.html")).out, "wrote link.html\n");
    let again = fs::read_to_string(&file).expect("a page");
    assert!(again != first && again.ends_with("</html>\n"));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(vendor.path("link.html").symlink_metadata().expect("a link").is_symlink());

    // Another month's, another file, a folder, a link that leads nowhere, no folder.
    fs::write(vendor.path("notes.html"), "<!DOCTYPE html><html lang=\"en\">mine").expect("a file");
    fs::create_dir(vendor.path("folder")).expect("a folder");
    std::os::unix::fs::symlink("nowhere", vendor.path("lost.html")).expect("a link");
    for (month, out, words) in [
        ("2026-09", "oct.html", "oct.html is the report of 2026-10, and stays"),
        ("2026-10", "notes.html", "notes.html is there and is no report, and stays"),
        ("2026-10", "agora-vendor.db", "is no report, and stays"),
        ("2026-10", "folder", "folder is not a file: name one with --out"),
        ("2026-10", "lost.html", "lost.html is a link that leads nowhere"),
        ("2026-10", "missing/oct.html", "missing/oct.html could not be written"),
    ] {
        let said = vendor.fails(1, report(month, out));
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(fs::read_to_string(&file).expect("a page"), again);
    let mine = fs::read_to_string(vendor.path("notes.html")).expect("a file");
    assert_eq!(mine, "<!DOCTYPE html><html lang=\"en\">mine");
    let names = fs::read_dir(vendor.path(""))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    assert!(names.into_iter().all(|name| !name.ends_with(".draft")), "no draft is left");
    assert!(vendor.fails(2, report("2026-13", "x.html")).contains("2026-13"));
    let said = vendor.fails(2, ["report", "--month", "2026-10", "--out", "-", "--json"]);
    assert!(said.contains("leave one of them out"), "{said}");
}

#[test]
fn a_report_clears_what_killed_ones_left_and_nothing_else() {
    let vendor = books();
    let report = ["report", "--month", "2026-10", "--out", "oct.html"];
    vendor.ok(report);
    let page = fs::read_to_string(vendor.path("oct.html")).expect("a page");
    let left = [(".report-AbC123.draft", &page[..9_000]), (".report-a0b1c2.draft", "")];
    let others = [
        (".report-AbC124.draft", "<!DOCTYPE html><html lang=\"de\">mine"),
        (".report-of a day.draft", ""),
        ("report-AbC123.draft", ""),
        (".report-AbC123.draft.html", ""),
    ];
    for (name, content) in left.iter().chain(&others) {
        fs::write(vendor.path(name), content).expect("a file");
    }
    // Somebody makes one in the folder, which may be any of them.
    let folder = fs::File::open(vendor.path("")).expect("a folder");
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockShared).expect("a lock");
    vendor.ok(report);
    assert!(left.iter().all(|(name, _)| vendor.path(name).exists()));
    drop(folder);
    vendor.ok(report);
    assert!(left.iter().all(|(name, _)| !vendor.path(name).exists()));
    for (name, content) in others {
        assert_eq!(fs::read_to_string(vendor.path(name)).expect("a file"), content);
    }
}

#[test]
fn a_report_that_cannot_be_written_leaves_what_was_there() {
    let vendor = books();
    let report = "report --month 2026-10 --out oct.html";
    vendor.ok(report.split(' '));
    let before = fs::read_to_string(vendor.path("oct.html")).expect("a page");
    record(&vendor, "q", "1", "2026-10-31", "more");
    // No file may be longer than 40 KiB: more than the log's index has, and less than the page.
    assert!(before.len() > 45_000);
    let executable = env!("CARGO_BIN_EXE_agora-vendor");
    let limited = format!("ulimit -f 40; trap '' XFSZ; exec {executable} {report}");
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &limited]).current_dir(vendor.path("")).env("AGORA_VENDOR_DB", vendor.db());
    vendor.set_clock(&mut command);
    let ended = command.output().expect("bash");
    let said = String::from_utf8(ended.stderr).expect("UTF-8");
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("oct.html could not be written: File too large"), "{said}");
    assert_eq!(fs::read_to_string(vendor.path("oct.html")).expect("a page"), before);
    let names = fs::read_dir(vendor.path(""))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    assert!(names.into_iter().all(|name| !name.ends_with(".draft")), "no draft is left");
}

#[test]
fn a_thousand_projects_are_on_a_page_of_two_megabytes_and_their_tables_fold() {
    let vendor = Vendor::new();
    vendor.at("2026-11-02T00:00:00Z");
    plan(&vendor, "default", "Standard", &["--flat", "5", "--graduated", "100:0.01,rest:0.005"]);
    let mut rows = "id,projectId,amount,at,customerId\n".to_owned();
    for n in 0..31_000_usize {
        let (project, day) = (430_000 + n % 1_000, 1 + n / 1_000);
        let amount = format!("{}.{:03}", n * 7_919 % 60, 1 + n * 104_729 % 999);
        let customer = 120_000 + n % 250;
        rows += &format!("{n},{project},{amount},2026-10-{day:02},{customer}\n");
    }
    fs::write(vendor.path("usage.csv"), rows).expect("a file");
    vendor.ok(["import", "usage.csv", "--quiet", "--new"]);
    let page = page(&vendor, "2026-10");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    for (id, count) in [("by-project", 1_000), ("charges", 1_000), ("customers", 250)] {
        assert_eq!(table(&page, id).len(), count + 1, "{id}");
        assert_eq!(table(&page, &format!("{id}-largest")).len(), 16, "{id}");
    }
    assert_eq!(table(&page, "days-4").len(), 1_001);
    assert_eq!(page.matches("<summary>All ").count(), 3);
    // The largest are the largest.
    let bill = vendor.json(["bill", "--month", "2026-10"]);
    let of = |row: &Value| told(&row["amount"]);
    let mut amounts: Vec<String> = array(&bill, "rows").iter().map(of).collect();
    amounts.sort_by_key(|text| text.parse::<bigdecimal::BigDecimal>().expect("a decimal"));
    amounts.reverse();
    let largest = table(&page, "charges-largest");
    let largest: Vec<String> = largest[..15].iter().map(|row| row[4].clone()).collect();
    assert_eq!(largest, amounts[..15]);
}
