//! Completions and manual pages: read by the programs that they are made for.

use crate::vendor::{Vendor, skipped};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Tells whether a program is on this machine.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    found.is_ok()
}

/// Runs a program that must succeed, and gives what it printed.
fn printed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {err}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn script(vendor: &Vendor, shell: &str, file: &str) {
    fs::write(vendor.path(file), vendor.ok(["completions", shell]).out).expect("a file");
}

/// What bash offers for the last of some words, by the function that the script registers.
const ASK: &str = r#"
    source ./completion
    registered=$(complete -p agora-vendor)
    [[ $registered =~ -F\ ([^ ]+) ]]
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    "${BASH_REMATCH[1]}" agora-vendor "${@: -1}" "${@: -2:1}"
    printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_completes_verbs_flags_and_values() {
    let vendor = Vendor::without_books();
    script(&vendor, "bash", "completion");
    let offered = |words: &[&str]| -> BTreeSet<String> {
        let mut bash = Command::new("bash");
        bash.args(["-euc", ASK, "bash", "agora-vendor"]).args(words);
        let offered = printed(bash.current_dir(vendor.path(".")));
        offered.lines().map(str::to_owned).collect()
    };
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    assert_eq!(offered(&["re"]), set(&["record", "report", "restore"]));
    assert_eq!(offered(&["license", "is"]), set(&["issue"]));
    assert_eq!(offered(&["serve", "--envelope", ""]), set(&["flat", "nested"]));
    assert_eq!(offered(&["backup", "--k"]), set(&["--keep"]));
    assert_eq!(offered(&["completions", "f"]), set(&["fish"]));
    // Each verb, as the help has them.
    let all = offered(&[""]);
    let help = vendor.ok(["-h"]).out;
    let (_, verbs) = help.split_once("Commands:\n").expect("a list");
    for line in verbs.lines().take_while(|line| !line.is_empty()) {
        let verb = line.split_whitespace().next().expect("a verb");
        assert!(all.contains(verb) || line.starts_with("   "), "{verb}: {all:?}");
    }
}

#[test]
fn fish_completes_verbs_flags_and_values() {
    if !has("fish") {
        return skipped("fish is not installed");
    }
    let vendor = Vendor::without_books();
    script(&vendor, "fish", "completion");
    let offered = |line: &str| {
        let words = format!("source ./completion; complete -C '{line}'");
        let mut fish = Command::new("fish");
        // Its own settings have no place here.
        fish.args(["--no-config", "-c", &words]).env("HOME", vendor.path("."));
        printed(fish.current_dir(vendor.path(".")))
    };
    assert_eq!(offered("agora-vendor license is"), "issue\tIssue a license to a customer\n");
    assert_eq!(offered("agora-vendor serve --envelope "), "flat\nnested\n");
    assert!(offered("agora-vendor backup --k").starts_with("--keep\t"));
}

/// Types into a zsh that runs in a terminal, with a tab where a word is to be completed, and has it
/// print the line.
const TYPE: &str = r#"
    zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z "PS1=; fpath=($PWD \$fpath); autoload -U compinit; compinit -u -D; echo RE''ADY"
    zpty -r -m z out '*READY*'
    zpty -w -n z $'agora-vendor license iss\t1234 --exp\t2030-01-01\C-aprint -r \C-e > line\n'
    zpty -w z "echo DO''NE"
    zpty -r -m z out '*DONE*'
    zpty -d z
"#;

#[test]
fn zsh_completes_verbs_and_flags() {
    if !has("zsh") {
        return skipped("zsh is not installed");
    }
    let vendor = Vendor::without_books();
    // The name that zsh looks for in its folders.
    script(&vendor, "zsh", "_agora-vendor");
    let mut zsh = Command::new("zsh");
    zsh.args(["-f", "-c", TYPE]).env("TERM", "dumb").env("HOME", vendor.path("."));
    printed(zsh.current_dir(vendor.path(".")));
    let line = fs::read_to_string(vendor.path("line")).expect("a line");
    assert_eq!(line, "agora-vendor license issue 1234 --expires=2030-01-01\n");
}

/// The verbs that a help text lists.
fn verbs(vendor: &Vendor, words: &[String]) -> Vec<String> {
    let words = words.iter().map(String::as_str).chain(["-h"]);
    let help = vendor.ok(words).out;
    let Some((_, verbs)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = verbs.lines().take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with("   "));
    let words = lines.filter_map(|line| line.split_whitespace().next());
    words.filter(|verb| *verb != "help").map(str::to_owned).collect()
}

/// The pages that there have to be of a verb and what is below it.
fn pages(vendor: &Vendor, words: &[String]) -> BTreeSet<String> {
    let below = verbs(vendor, words);
    let below = below.into_iter().flat_map(|verb| pages(vendor, &[words, &[verb]].concat()));
    let own = ["agora-vendor"].into_iter().chain(words.iter().map(String::as_str));
    let own = own.collect::<Vec<_>>().join("-");
    below.chain([format!("{own}.1")]).collect()
}

/// All pages as files in the folder `man`, as of a day that is told.
fn all_pages() -> Vendor {
    let vendor = Vendor::without_books();
    let mut command = vendor.command(["man", "--out", "man"]);
    printed(command.env("SOURCE_DATE_EPOCH", "1795478400"));
    vendor
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_verb_has_a_page() {
    let vendor = all_pages();
    let files = files(&vendor.path("man"));
    assert!(files.contains("agora-vendor-license-type-set.1"), "{files:?}");
    assert_eq!(files, pages(&vendor, &[]));
    let page = fs::read_to_string(vendor.path("man/agora-vendor-serve.1")).expect("a page");
    assert!(page.contains(".TH AGORA-VENDOR-SERVE 1 2026-11-24 "), "{page}");
    assert!(page.contains("AGORA_VENDOR_LOG"), "{page}");
}

#[test]
fn the_main_page_is_printed_where_no_folder_is_given() {
    let vendor = all_pages();
    let mut command = vendor.command(["man"]);
    let page = printed(command.env("SOURCE_DATE_EPOCH", "1795478400"));
    assert_eq!(page, fs::read_to_string(vendor.path("man/agora-vendor.1")).expect("a page"));
    let dated = vendor.ok(["man"]).out;
    assert!(dated.lines().count() == page.lines().count() && dated.contains(".SH FILES"));
}

#[test]
fn pages_that_cannot_be_written_are_an_error_with_their_path() {
    let vendor = Vendor::without_books();
    fs::write(vendor.path("taken"), "").expect("a file");
    let err = vendor.fails(1, ["man", "--out", "taken"]);
    assert!(err.contains("taken could not be written: "), "{err}");
}

#[test]
fn mandoc_finds_nothing_wrong_with_a_page() {
    // It has no word for its version; that it ends in an error is all the same here.
    if Command::new("mandoc").arg("-V").output().is_err() {
        return skipped("mandoc is not installed");
    }
    let vendor = all_pages();
    let files = files(&vendor.path("man"));
    let mut mandoc = Command::new("mandoc");
    mandoc.args(["-Tlint", "-Wall"]).args(files).current_dir(vendor.path("man"));
    assert_eq!(printed(&mut mandoc), "");
}

#[test]
fn man_shows_a_page_whole() {
    if !has("man") {
        return skipped("man is not installed");
    }
    let vendor = all_pages();
    let mut man = Command::new("man");
    man.args(["--warnings", "-P", "cat", "-l", "man/agora-vendor-license-issue.1"]);
    man.env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8").current_dir(vendor.path("."));
    let output = man.stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for words in [
        "agora-vendor-license-issue - Issue a license to a customer",
        "--expires <DAY>",
        "agora-vendor license issue 123456 --expires 2030-12-31 --count 1000 --id order-17",
        "75     Busy: run the command again.",
        "agora-vendor-license(1)",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
