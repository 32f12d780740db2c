//! What `packaging/` promises: units that systemd takes, and a configuration that the server reads.
//! `.ci/deb` installs the package itself.

use crate::vendor::{Vendor, skipped};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

fn read(name: &str) -> String {
    fs::read_to_string(packaging().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The units, by the names of their files.
fn units() -> Vec<String> {
    let entries = fs::read_dir(packaging()).expect("a folder").map(|entry| entry.expect("one"));
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ends = [".service", ".socket", ".timer"];
    names.filter(|name| ends.iter().any(|end| name.ends_with(end))).collect()
}

/// Runs systemd-analyze on the units as they are, but for executables that this machine lacks.
fn analyze(arguments: &[&str], names: &[String]) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    for name in units() {
        let unit = read(&name);
        let unit = unit.replace("/usr/bin/agora-vendor", "/bin/true");
        fs::write(folder.path().join(&name), unit.replace("/usr/bin/litestream", "/bin/true"))
            .expect("a unit");
    }
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(arguments).args(names.iter().map(|name| folder.path().join(name)));
    let output = analyze.output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Tells whether a service is open no wider than 1.0 with a drop-in, and what of it is open.
pub fn is_closed_with(name: &str, drop_in: &str) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let unit = read(name).replace("/usr/bin/agora-vendor", "/bin/true");
    let file = folder.path().join(name);
    fs::write(&file, format!("{unit}\n{drop_in}")).expect("a unit");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--threshold=10"]).arg(file);
    let output = analyze.output().ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[test]
fn a_drop_in_of_ours_opens_the_server_no_wider_than_1() {
    match is_closed_with("agora-vendor.service", &read("agora-vendor-acme.conf")) {
        Some((is_closed, said)) => assert!(is_closed, "{said}"),
        None => skipped("this machine has no systemd-analyze"),
    }
}

#[test]
fn systemd_takes_every_unit() {
    match analyze(&["verify", "--man=no"], &units()) {
        // A word on a key that it does not know is no failure to it.
        Some((success, said)) => assert!(success && said.is_empty(), "{said}"),
        None => skipped("this machine has no systemd-analyze"),
    }
}

#[test]
fn each_service_of_ours_is_open_no_wider_than_1() {
    for name in units().into_iter().filter(|name| name.ends_with(".service")) {
        // It dials out, to wherever its configuration says.
        if name == "agora-vendor-litestream.service" {
            continue;
        }
        let security = ["security", "--offline=true", "--threshold=10"];
        match analyze(&security, std::slice::from_ref(&name)) {
            Some((success, said)) => assert!(success, "{name}: {said}"),
            None => return skipped("this machine has no systemd-analyze"),
        }
    }
}

#[test]
fn the_server_is_told_to_systemd_as_the_code_behaves() {
    for name in ["agora-vendor.service", "agora-vendor@.service"] {
        let unit = read(name);
        for line in ["Type=notify", "NotifyAccess=main", "WatchdogSec=30", "LimitCORE=0"] {
            assert!(unit.lines().any(|known| known == line), "{name}: {line}");
        }
        let start = unit.lines().find(|line| line.starts_with("ExecStart="));
        assert_eq!(start, Some("ExecStart=/usr/bin/agora-vendor serve"), "{name}");
    }
    let (service, socket) = (read("agora-vendor.service"), read("agora-vendor.socket"));
    // Without its socket it would listen where nobody comes.
    assert!(service.contains("\nPrivateNetwork=yes\n"));
    assert!(service.contains("\nRequires=agora-vendor.socket\n"));
    assert!(socket.contains("\nFileDescriptorName=public\n"));
    assert!(socket.contains("\nListenStream=127.0.0.1:8080\n"));
    let admin = read("agora-vendor-admin.socket");
    assert!(admin.contains("\nFileDescriptorName=admin\nService=agora-vendor.service\n"));
    // Who stopped the server for good, to restore or to move, is not undone by a scrape.
    assert!(admin.contains("\nPartOf=agora-vendor.socket\n"));
    assert!(admin.contains("\nWantedBy=agora-vendor.service\n"));
    // Either both have nothing to do before there are books, or the server would be unreachable.
    let conditions = |unit: &str| -> Vec<String> {
        unit.lines().filter(|line| line.starts_with("Condition")).map(str::to_owned).collect()
    };
    assert_eq!(conditions(&service), conditions(&socket));
    assert_eq!(conditions(&service), conditions(&admin));
    assert_eq!(conditions(&service).len(), 2);
}

#[test]
fn the_units_run_and_read_what_the_package_installs() {
    for name in units() {
        let unit = read(&name);
        assert!(!unit.contains("/usr/local/"), "{name}");
        // As it was called before there was a package.
        assert!(!unit.contains("/etc/agora-vendor/env\n"), "{name}");
        // Timers run from the installation on; what they start waits for books.
        let Some(timed) = name.strip_suffix(".timer").filter(|name| !name.ends_with('@')) else {
            continue;
        };
        let service = read(&format!("{timed}.service"));
        let condition = "\nConditionDirectoryNotEmpty=|/var/lib/agora-vendor\n";
        assert!(service.contains(condition), "{timed}.service lacks{condition}");
    }
}

#[test]
fn a_further_extensions_backup_and_doctor_are_the_first_ones_with_its_name() {
    let keys = |name: &str| -> Vec<String> {
        let unit = read(name);
        let lines = unit.lines().filter(|line| line.contains('=') && !line.starts_with('#'));
        // Enabled by its name, it is there; and the folder of its copies it makes itself.
        let is_common = |line: &&str| !line.starts_with("Condition") && !line.contains("mkdir -p");
        lines.filter(is_common).map(str::to_owned).collect()
    };
    for timed in ["backup", "doctor"] {
        for end in ["service", "timer"] {
            let further = keys(&format!("agora-vendor-{timed}@.{end}"));
            let named: Vec<String> = further
                .iter()
                .map(|line| line.replace("/%i.env", "/agora-vendor.env").replace(" (%i)", ""))
                .map(|line| line.replace("/%i", "").replace("@%i", ""))
                .collect();
            assert_eq!(named, keys(&format!("agora-vendor-{timed}.{end}")), "{timed}@.{end}");
            let is_named = further.iter().any(|line| line.contains("%i"));
            assert!(is_named, "{further:?}");
        }
    }
}

/// The variables that a text names.
fn variables(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c| !is_name(c));
    words.filter(|word| word.starts_with("AGORA_VENDOR_")).map(str::to_owned).collect()
}

#[test]
fn the_example_configuration_has_every_variable_of_serve_and_changes_nothing() {
    let example = read("agora-vendor.env");
    let vendor = Vendor::without_books();
    let mut help = variables(&vendor.ok(["serve", "--help"]).out);
    help.extend(variables(&vendor.ok(["doctor", "--help"]).out));
    // Nobody's flag, and written by `setup`.
    help.insert("AGORA_VENDOR_HOST".to_owned());
    assert!(help.contains("AGORA_VENDOR_DB") && help.contains("AGORA_VENDOR_LOG"), "{help:?}");
    let example_has = variables(&example);
    let missing: Vec<&String> = help.difference(&example_has).collect();
    assert!(missing.is_empty(), "packaging/agora-vendor.env lacks {missing:?}");
    assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')), "{example}");
}

#[test]
fn a_further_extension_listens_where_its_variable_says() {
    let vendor = Vendor::new();
    let mut command = vendor.command(["serve"]);
    command.env("AGORA_VENDOR_LISTEN", "127.0.0.1:0");
    assert_eq!(vendor.serve_by(command).get("/healthz").status, 200);
    assert!(read("agora-vendor@.service").contains("\n#     AGORA_VENDOR_LISTEN=127.0.0.1:8081\n"));
}

#[test]
fn lines_have_at_most_100_columns() {
    let kept = [".service", ".socket", ".timer", ".conf", ".env", ".sysusers", ".tmpfiles"];
    for entry in fs::read_dir(packaging()).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if kept.iter().any(|end| name.ends_with(end)) {
            for line in read(&name).lines() {
                assert!(line.chars().count() <= 100, "{name}: {line}");
            }
        }
    }
}

/// The panels of the dashboard, rows among them.
fn panels() -> Vec<serde_json::Value> {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("agora-vendor-dashboard.json")).expect("JSON");
    dashboard["panels"].as_array().expect("panels").clone()
}

/// The queries of a panel.
fn queries(panel: &serde_json::Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.map(|target| target["expr"].as_str().expect("a query")).collect()
}

#[test]
fn the_first_row_of_the_dashboard_says_whether_money_is_safe() {
    let panels = panels();
    assert_eq!(panels[0]["title"], "Is money safe today?");
    let of_row = panels[1..].iter().take_while(|panel| panel["type"] != "row");
    let asked: Vec<_> = of_row.flat_map(queries).collect();
    for metric in [
        r#"books_read{instance=~"$instance"}"#,
        r#"last_asked_timestamp_seconds{instance=~"$instance", kind="usage"}"#,
        r#"last_asked_timestamp_seconds{instance=~"$instance", kind="bill"}"#,
        r#"never_asked{instance=~"$instance", kind="usage"}"#,
        r#"never_asked{instance=~"$instance", kind="bill"}"#,
        "late_money_too_little",
        "backup_age_seconds",
        "unpriced_projects",
    ] {
        assert!(asked.iter().any(|query| query.contains(metric)), "{metric}: {asked:?}");
    }
}

#[test]
fn no_panel_of_the_dashboard_is_green_where_there_is_no_data() {
    for panel in panels().iter().filter(|panel| panel["options"]["colorMode"] == "background") {
        let mappings = panel["fieldConfig"]["defaults"]["mappings"].as_array();
        let mut special = mappings.into_iter().flatten().filter(|map| map["type"] == "special");
        let of_none = special.find(|map| map["options"]["match"] == "null+nan");
        let color = of_none.map(|map| &map["options"]["result"]["color"]);
        let color = color.and_then(serde_json::Value::as_str);
        assert!(color.is_some_and(|color| color != "green"), "{}: {color:?}", panel["title"]);
    }
}

#[test]
fn figures_of_the_dashboard_have_the_unit_of_their_metric() {
    for panel in panels().iter().filter(|panel| panel["type"] != "row") {
        let queries = queries(panel);
        let is_of = |unit: &str| queries[0].contains(unit);
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().expect("a unit");
        let is_time = is_of("_seconds{") || is_of("_seconds_bucket{");
        assert_eq!(unit == "s", is_time, "{}: {queries:?}", panel["title"]);
        assert_eq!(unit == "bytes", is_of("_bytes{"), "{}: {queries:?}", panel["title"]);
        // A count beside times has an axis of its own.
        let overrides = panel["fieldConfig"]["overrides"].as_array().expect("overrides");
        for target in panel["targets"].as_array().expect("targets").iter().skip(1) {
            let counts = target["expr"].as_str().is_some_and(|query| query.contains("_total{"));
            let own =
                overrides.iter().any(|own| own["matcher"]["options"] == target["legendFormat"]);
            assert!(!(is_time && counts) || own, "{}: {target}", panel["title"]);
        }
    }
}

#[test]
fn panels_of_the_dashboard_lie_beside_each_other_with_room_for_their_titles() {
    let panels = panels();
    let sides = |panel: &serde_json::Value| {
        ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a side"))
    };
    for (n, panel) in panels.iter().enumerate() {
        let [x, y, w, h] = sides(panel);
        // At 800 pixels a title has 25 for each column.
        assert!(w >= 6 && x + w <= 24, "{}: {w} wide at {x}", panel["title"]);
        for other in &panels[..n] {
            assert_ne!(panel["id"], other["id"], "{}", panel["title"]);
            let [left, top, width, height] = sides(other);
            let apart = x + w <= left || left + width <= x || y + h <= top || top + height <= y;
            assert!(apart, "{} lies over {}", panel["title"], other["title"]);
        }
    }
}
