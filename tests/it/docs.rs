//! Runs every command of README.md and docs/, in order, with the executable as it ships.
//!
//! Blocks marked `sh` are run, page by page, each page in a fresh folder. A block marked `text` or
//! `json` right behind one is its output. `tests/it/shims` stand for the machine that a page
//! administers. `<!-- test: clock TIME -->` sets the clock, `<!-- test: after PAGE -->` runs
//! another page first, and `<!-- test: new machine -->` takes the books away.
//! `AGORA_VENDOR_WRITE_DOCS=1 cargo test --test it docs` writes the output into the pages.

use crate::clock;
use crate::vendor::second;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

const PAGES: [&str; 12] = [
    "README.md",
    "docs/capacity.md",
    "docs/json.md",
    "docs/licenses.md",
    "docs/operations.md",
    "docs/prices.md",
    "docs/protocol.md",
    "docs/recording.md",
    "docs/reliability.md",
    "docs/report.md",
    "docs/review.md",
    "docs/statements.md",
];

/// The time at which a page begins.
const NOW: &str = "2026-11-23T10:00:00Z";

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(page: &str) -> String {
    fs::read_to_string(checkout().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"))
}

/// What a page asks of the test, in order.
#[derive(Clone, Debug)]
enum Step {
    Clock(String),
    After(String),
    NewMachine,
    Run(Block),
}

/// Commands, and what they print where the page shows it.
#[derive(Clone, Debug)]
struct Block {
    /// The line on which the commands begin, from 1.
    line: usize,
    heading: String,
    commands: String,
    /// The lines of the page that hold the output, and whether it is JSON.
    printed: Option<(usize, String, bool)>,
}

fn steps(page: &str) -> Vec<Step> {
    let text = text_of(page);
    let mut steps = Vec::new();
    let mut heading = String::new();
    let mut lines = text.lines().enumerate().peekable();
    // Whether nothing but blank lines stands between the last block of commands and here.
    let mut behind_commands = false;
    while let Some((number, line)) = lines.next() {
        if let Some(directive) = line.strip_prefix("<!-- test: ") {
            let directive = directive.trim_end_matches(" -->");
            steps.push(match directive.split_once(' ') {
                Some(("clock", time)) => Step::Clock(time.to_owned()),
                Some(("after", page)) => Step::After(page.to_owned()),
                Some(("new", "machine")) => Step::NewMachine,
                _ => panic!("{page}: {line}"),
            });
        } else if let Some(language) = line.strip_prefix("```") {
            let mut held = String::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                held.push_str(line);
                held.push('\n');
            }
            if language == "sh" {
                let (line, heading) = (number + 2, heading.clone());
                steps.push(Step::Run(Block { line, heading, commands: held, printed: None }));
            } else if behind_commands
                && let Some(Step::Run(block)) = steps.last_mut()
                && ["text", "json"].contains(&language)
            {
                block.printed = Some((number + 2, held, language == "json"));
            }
            behind_commands = language == "sh";
            continue;
        } else if let Some(words) = line.strip_prefix("## ") {
            words.clone_into(&mut heading);
        }
        behind_commands &= line.is_empty();
    }
    steps
}

/// A port that nobody uses, below those that the system gives out.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).expect("small");
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A reader's folder, and the machine that it stands on.
struct Reader {
    folder: tempfile::TempDir,
    ports: [u16; 2],
}

impl Reader {
    fn new() -> Self {
        let reader = Self {
            folder: tempfile::tempdir().expect("a folder"),
            ports: [free_port(), free_port()],
        };
        for folder in [
            "here",
            "bin",
            "out",
            "machine/etc/systemd/system",
            "machine/etc/sudoers.d",
            "machine/etc/sysusers.d",
            "machine/run/systemd/system",
        ] {
            fs::create_dir_all(reader.path(folder)).expect("a folder");
        }
        for folder in ["usr/bin", "var/lib", "var/backups"] {
            fs::create_dir_all(reader.path("machine").join(folder)).expect("a folder");
        }
        fs::write(reader.path("machine/users"), "").expect("a file");
        reader.link_packaging();
        let executable = reader.path("bin/agora-vendor");
        let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_agora-vendor"));
        fs::write(&executable, script).expect("a file");
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).expect("a mode");
        reader
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The files of `packaging/`. What makes the package takes a release build: a shim stands for
    /// it.
    fn link_packaging(&self) {
        let folder = self.path("here/packaging");
        fs::create_dir(&folder).expect("a folder");
        for entry in fs::read_dir(checkout().join("packaging")).expect("a folder") {
            let file = entry.expect("an entry").path();
            let shim = checkout().join("tests/it/shims").join(file.file_name().expect("a name"));
            let target = if shim.exists() { shim } else { file.clone() };
            let link = folder.join(file.file_name().expect("a name"));
            std::os::unix::fs::symlink(target, link).expect("a link");
        }
    }

    /// The commands as they run here: on ports that are free.
    fn placed(&self, commands: &str) -> String {
        let address = format!("127.0.0.1:{}", self.ports[0]);
        let second = format!("127.0.0.1:{}", self.ports[1]);
        commands
            .replace("serve --init", &format!("serve --init --listen {address}"))
            .replace("127.0.0.1:8080", &address)
            .replace("127.0.0.1:8081", &second)
    }

    /// All steps as one script, since a reader's shell keeps its variables from block to block.
    fn script(&self, steps: &[Step]) -> String {
        let mut script = "set -euo pipefail\n".to_owned();
        for (number, step) in steps.iter().enumerate() {
            script += &match step {
                Step::Clock(time) => {
                    let clock = self.path("clock");
                    let (clock, second) = (clock.display(), second(time));
                    format!("printf {second} > {clock}.new && mv {clock}.new {clock}\n")
                }
                Step::NewMachine => {
                    let books = "\"$MACHINE\"/var/lib/agora-vendor/*";
                    format!("systemctl stop agora-vendor && rm -r {books}\n")
                }
                Step::After(page) => panic!("the steps of {page} come first"),
                Step::Run(block) => self.run_block(number, &block.commands),
            };
        }
        script + "echo done > \"$MACHINE/../step\"\n"
    }

    /// The commands of a block, with their output in files. A server runs on in the background.
    fn run_block(&self, number: usize, commands: &str) -> String {
        let (step, out) = (self.path("step"), self.path("out").join(number.to_string()));
        let (step, out) = (step.display(), out.display());
        let commands = self.placed(commands);
        if commands.contains("serve --init") {
            format!(
                "echo {number} > {step}\nmkfifo {out}.ready\n\
                 {{\n{commands}}} > {out}.ready 2> {out}.err < /dev/null &\n\
                 read -r line < {out}.ready; echo $line > {out}.out\n"
            )
        } else {
            format!(
                "echo {number} > {step}\n\
                 {{\n{commands}}} > {out}.out 2> {out}.err < /dev/null\n"
            )
        }
    }

    /// Runs steps, and gives what each block printed.
    fn run(&self, page: &str, steps: &[Step]) -> Vec<String> {
        fs::write(self.path("clock"), second(NOW).to_string()).expect("a file");
        let script = self.script(steps);
        let shims = checkout().join("tests/it/shims");
        let path = format!("{}:{}:/usr/bin:/bin", self.path("bin").display(), shims.display());
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &script])
            .current_dir(self.path("here"))
            .env("PATH", path)
            .env("MACHINE", self.path("machine"))
            .env("EXECUTABLE", self.path("bin"))
            .env("ADDRESS", format!("127.0.0.1:{}", self.ports[0]))
            .env("AGORA_VENDOR_DB", "./agora-vendor.db")
            .env("SECRET", "s".repeat(44))
            .env("KEY", "k".repeat(32))
            .env("TEST_CLOCK", self.path("clock"))
            .env("LD_PRELOAD", &*clock::LIBRARY)
            .env_remove("AGORA_VENDOR_LOG")
            .stdin(Stdio::null())
            .stderr(fs::File::create(self.path("stderr")).expect("a file"))
            .process_group(0);
        let mut child = shell.spawn().expect("bash");
        let group = format!("-{}", child.id());
        let status = child.wait().expect("an end");
        // The servers that the page started.
        let kill = ["-c", "kill -s KILL -- \"$0\" 2> /dev/null || true", &group];
        Command::new("sh").args(kill).status().expect("a shell");
        let read = |name: String| fs::read_to_string(self.path(&name)).unwrap_or_default();
        let step = read("step".to_owned());
        let step = step.trim();
        if !status.success() || step != "done" {
            let (line, commands) = match step.parse::<usize>().map(|step| &steps[step]) {
                Ok(Step::Run(block)) => (block.line, block.commands.as_str()),
                _ => (0, ""),
            };
            panic!(
                "{page}, line {line}, fails:\n{commands}\n{}\n{}\n{}",
                read(format!("out/{step}.out")),
                read(format!("out/{step}.err")),
                read("stderr".to_owned())
            );
        }
        (0..steps.len()).map(|number| read(format!("out/{number}.out"))).collect()
    }
}

/// The steps of a page. Those of the pages that it follows come first.
fn all_steps(page: &str) -> Vec<Step> {
    let mut all = Vec::new();
    for step in steps(page) {
        if let Step::After(other) = &step {
            let mut before = all_steps(other);
            for step in &mut before {
                if let Step::Run(block) = step {
                    // The other page's test compares its output.
                    block.printed = None;
                }
            }
            all.extend(before);
        } else {
            all.push(step);
        }
    }
    all
}

/// A text without what differs each time: keys, signatures, generated ids, the user.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut word = String::new();
    let close = |word: &mut String, masked: &mut String| {
        // Keys and secrets have 32 and 44 letters and digits, generated ids 32 hexadecimal ones.
        masked.push_str(if [32, 44].contains(&word.len()) { "…" } else { word });
        word.clear();
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            close(&mut word, &mut masked);
            masked.push(c);
        }
    }
    close(&mut word, &mut masked);
    for start in ["shell:", "signature="] {
        let mut parts = masked.split(start).map(str::to_owned);
        let first = parts.next().expect("a first part");
        masked = parts.fold(first, |text, part| {
            let end = part.find([' ', '"', '\n', '&']).unwrap_or(part.len());
            text + start + "…" + &part[end..]
        });
    }
    masked.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn values(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.collect::<Result<_, _>>().unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Runs a page, and compares the output that it shows. Gives each block with its output.
fn follow(page: &str) -> Vec<(Block, String)> {
    let steps = all_steps(page);
    let reader = Reader::new();
    let here = format!("{}", reader.folder.path().join("machine").display());
    let printed = reader.run(page, &steps);
    let mut blocks = Vec::new();
    let mut different = Vec::new();
    for (step, printed) in steps.into_iter().zip(printed) {
        let Step::Run(block) = step else { continue };
        let address = |port: u16| format!("127.0.0.1:{port}");
        let printed = printed
            .replace(&here, "")
            .replace(&address(reader.ports[0]), &address(8080))
            .replace(&address(reader.ports[1]), &address(8081));
        if let Some((line, shown, is_json)) = &block.printed {
            let (shown, told) = (masked(shown), masked(&printed));
            let same = if *is_json { values(&shown) == values(&told) } else { shown == told };
            if !same {
                different.push((*line, printed.clone(), format!("{shown}\n-- printed:\n{told}")));
            }
        }
        blocks.push((block, printed));
    }
    if std::env::var_os("AGORA_VENDOR_WRITE_DOCS").is_some() {
        write(page, &different);
    } else if let Some((line, _, both)) = different.first() {
        panic!("{page}, line {line}, shows:\n{both}");
    }
    blocks
}

/// Puts what is printed into the page.
fn write(page: &str, different: &[(usize, String, String)]) {
    let text = text_of(page);
    let mut lines: Vec<&str> = text.lines().collect();
    for (line, printed, _) in different.iter().rev() {
        let length = lines[line - 1..].iter().take_while(|line| **line != "```").count();
        lines.splice(line - 1..line - 1 + length, printed.trim_end().lines());
    }
    fs::write(checkout().join(page), lines.join("\n") + "\n").expect("a file");
}

#[test]
fn the_readme_works_as_printed() {
    follow("README.md");
}

#[test]
fn recording_works_as_printed() {
    follow("docs/recording.md");
}

#[test]
fn prices_work_as_printed() {
    follow("docs/prices.md");
}

#[test]
fn licenses_work_as_printed() {
    follow("docs/licenses.md");
}

#[test]
fn the_three_months_add_up_as_printed() {
    follow("docs/statements.md");
}

#[test]
fn the_way_to_the_review_works_as_printed() {
    follow("docs/review.md");
}

#[test]
fn a_month_is_reported_as_printed() {
    follow("docs/report.md");
}

#[test]
fn a_machine_is_administered_as_printed() {
    follow("docs/operations.md");
}

#[test]
fn replication_and_restoring_work_as_printed() {
    follow("docs/capacity.md");
}

#[test]
fn every_page_is_followed_or_has_no_commands() {
    let mut found: Vec<String> = fs::read_dir(checkout().join("docs"))
        .expect("a folder")
        .map(|entry| format!("docs/{}", entry.expect("an entry").file_name().to_string_lossy()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    found.push("README.md".to_owned());
    found.sort();
    assert_eq!(found, PAGES);
    assert!(steps("docs/protocol.md").is_empty());
}

/// The keys of the JSON that a section of docs/json.md describes: of each its type.
fn described() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections = BTreeMap::<String, BTreeMap<String, String>>::new();
    let mut heading = String::new();
    for line in text_of("docs/json.md").lines() {
        if let Some(words) = line.strip_prefix("## ") {
            words.clone_into(&mut heading);
        }
        if let Some((key, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once("` | ")) {
            let kind = rest.split(" |").next().expect("a type").to_owned();
            let section = sections.entry(heading.clone()).or_default();
            assert!(
                section.insert(key.to_owned(), kind).is_none(),
                "{heading}: {key} stands twice"
            );
        }
    }
    sections
}

/// Holds a value against its description, and notes the keys that it has.
fn compare(
    section: &BTreeMap<String, String>,
    path: &str,
    value: &Value,
    seen: &mut BTreeSet<String>,
) {
    if let Some(kind) = section.get(path) {
        let words: Vec<&str> = kind.split([' ', ',']).collect();
        let fits = match value {
            Value::Null => words.contains(&"null"),
            Value::Bool(_) => words.contains(&"boolean"),
            Value::Number(_) => words.contains(&"number"),
            Value::Array(_) => words.contains(&"array"),
            Value::Object(_) => words.contains(&"object"),
            Value::String(text) if words.contains(&"amount") => {
                text.parse::<bigdecimal::BigDecimal>().is_ok()
            }
            Value::String(text) if words.contains(&"time") => {
                text.parse::<jiff::Timestamp>().is_ok()
            }
            Value::String(_) => ["text", "day", "month"].iter().any(|kind| words.contains(kind)),
        };
        assert!(fits, "{path} is no {kind}: {value}");
    }
    match value {
        Value::Array(items) => {
            let path = if path.is_empty() { String::new() } else { format!("{path}[]") };
            items.iter().for_each(|item| compare(section, &path, item, seen));
        }
        Value::Object(members) => {
            let before = if path.is_empty() { String::new() } else { format!("{path}.") };
            for (key, kind) in section {
                let Some(name) = key.strip_prefix(&before) else { continue };
                let required = !name.contains('.') && !kind.contains("absent");
                assert!(!required || members.contains_key(name), "{key} is missing: {value}");
            }
            for (name, member) in members {
                let path = format!("{before}{name}");
                assert!(section.contains_key(&path), "{path} is not described: {value}");
                seen.insert(path.clone());
                compare(section, &path, member, seen);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn what_json_prints_is_described_key_by_key() {
    let described = described();
    let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
    for (block, printed) in follow("docs/json.md") {
        // `migrate` prints null here.
        if block.heading == "migrate" {
            continue;
        }
        let section = described.get(&block.heading);
        let section = section.unwrap_or_else(|| panic!("{} has no table", block.heading));
        // What other commands of the block print is for people.
        let documents: Vec<&str> =
            printed.lines().filter(|line| line.starts_with(['{', '['])).collect();
        for value in values(&documents.join("\n")) {
            compare(section, "", &value, seen.entry(block.heading.clone()).or_default());
        }
    }
    let mut differences = String::new();
    for (heading, section) in &described {
        let keys: BTreeSet<String> = section.keys().cloned().collect();
        let seen = seen.remove(heading).unwrap_or_default();
        for key in keys.difference(&seen) {
            differences += &format!("{heading}: no command prints {key}\n");
        }
    }
    assert_eq!(differences, "");
}

/// The verbs that a help text lists.
fn listed_verbs(words: &[&str]) -> Vec<String> {
    let executable = env!("CARGO_BIN_EXE_agora-vendor");
    let help = Command::new(executable).args(words).arg("-h").output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let Some((_, commands)) = help.split_once("Commands:\n") else { return Vec::new() };
    commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|verb| verb != "help")
        .collect()
}

#[test]
fn every_verb_that_prints_data_is_on_the_page_about_json() {
    let page = text_of("docs/json.md");
    // It prints one line and serves.
    let mut verbs: Vec<String> =
        listed_verbs(&[]).into_iter().filter(|verb| verb != "serve").collect();
    assert!(verbs.len() > 15, "{verbs:?}");
    while let Some(verb) = verbs.pop() {
        let words: Vec<&str> = verb.split(' ').collect();
        let below = listed_verbs(&words);
        if below.is_empty() {
            assert!(page.contains(&format!("agora-vendor {verb} ")), "{verb}");
        }
        verbs.extend(below.into_iter().map(|below| format!("{verb} {below}")));
    }
}

/// The Markdown of the project.
fn all_markdown() -> Vec<String> {
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "benches/README.md"];
    PAGES.iter().chain(&others).map(|page| (*page).to_owned()).collect()
}

/// A Markdown text without its blocks of code.
fn prose(page: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut prose = Vec::new();
    for (number, line) in text_of(page).lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push((number + 1, line.to_owned()));
        }
    }
    prose
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    let prose = prose(page);
    let headings = prose.iter().filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, heading)| anchor(heading)).collect()
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let mut links = 0;
    for page in all_markdown() {
        let folder = Path::new(&page).parent().expect("a folder").to_owned();
        for (number, line) in prose(&page) {
            for link in line.split("](").skip(1) {
                let link = link.split(')').next().expect("a link");
                if link.starts_with("https://") {
                    continue;
                }
                links += 1;
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { PathBuf::from(&page) } else { folder.join(file) };
                let there = checkout().join(&target);
                assert!(there.exists(), "{page}, line {number}: {link}");
                let target = fs::canonicalize(&there).expect("a path");
                if !anchor.is_empty() {
                    let root = fs::canonicalize(checkout()).expect("a path");
                    let target = target.strip_prefix(root).expect("within").to_string_lossy();
                    let anchors = anchors(&target);
                    assert!(anchors.contains(anchor), "{page}, line {number}: {link}: {anchors:?}");
                }
            }
        }
    }
    assert!(links > 30, "{links}");
}

#[test]
fn prose_keeps_within_100_columns() {
    let others = ["CHANGELOG.md", "CONTRIBUTING.md"];
    for page in PAGES.iter().chain(&others) {
        for (number, line) in prose(page) {
            let is_free = line.starts_with('|') || line.starts_with("http");
            assert!(is_free || line.chars().count() <= 100, "{page}, line {number}: {line}");
        }
    }
}

#[test]
fn no_page_names_the_home_folder_of_whoever_wrote_it() {
    let home = std::env::home_dir().expect("a home folder").display().to_string() + "/";
    assert!(home.len() > 2, "{home}");
    for page in all_markdown() {
        assert!(!text_of(&page).contains(&home), "{page}: {home}");
    }
}
