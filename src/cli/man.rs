//! `man`: the manual pages, made from the help of the verbs.

use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Write the manual pages: one for agora-vendor, and one for each verb
///
/// Without --out the page agora-vendor(1) is printed alone: `agora-vendor man | man -l -` shows it.
/// The pages carry today's date, or that of the variable SOURCE_DATE_EPOCH where it is set.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor man --out /usr/local/share/man/man1")]
pub(super) struct Args {
    /// The folder for all pages; it is created if it is missing, and pages in it are replaced
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// The variables that more than one verb reads, or that the help of a verb does not name.
const VARIABLES: [(&str, &str); 4] = [
    ("AGORA_VENDOR_DB", "The database, if --db is not given."),
    ("AGORA_VENDOR_LOG", "What serve logs: error, warn, info or debug, if --log is not given."),
    ("PAGER", "Shows what is higher than the terminal; less, if it is not set."),
    ("NO_COLOR", "If it is set, no output has color."),
];

const FILES: [(&str, &str); 4] = [
    ("/var/lib/agora-vendor/agora-vendor.db", "The database, where this folder exists."),
    (
        "/var/lib/agora-vendor/agora-vendor.db-wal",
        "Its newest commits, while a server runs. Never copy one file without the other: \
         agora-vendor-backup(1) makes a copy.",
    ),
    ("/etc/agora-vendor/agora-vendor.env", "The variables of the service."),
    ("/usr/share/doc/agora-vendor", "The whole documentation, from README.md on."),
];

/// The exit codes.
const EXITS: [(Exit, &str); 6] = [
    (Exit::Done, "Done."),
    (Exit::Failed, "Failed."),
    (Exit::Words, "Wrong words."),
    (Exit::NotFound, "Not found."),
    (Exit::Conflict, "Conflict: the same id with other content."),
    (Exit::Busy, "Busy: run the command again."),
];

/// What stands before the first of several examples, and before the others.
const EXAMPLES: &str = "Examples: ";
const BLANKS: &str = "          ";

/// Prints the main page of `root`, the command with all its verbs, or writes all pages.
pub(super) fn run(args: &Args, root: Command, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    // `help` is no verb of its own: each page says what its help does.
    let mut root = root.disable_help_subcommand(true);
    root.build();
    let date = date(shell.now_s);
    let Some(folder) = &args.out else {
        let page = page(&root, None, &date);
        shell.print(&json!({ "page": page }), |out| write!(out, "{page}"))?;
        return Ok(Exit::Done);
    };
    let cannot = |path: &Path, error: &std::io::Error| {
        Failure::failed(format!("{} could not be written: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let mut files = Vec::new();
    for (name, page) in pages(&root, None, &date) {
        let file = folder.join(name);
        fs::write(&file, page).map_err(|error| cannot(&file, &error))?;
        files.push(file.display().to_string());
    }
    shell.print(&json!({ "files": files }), |out| {
        files.iter().try_for_each(|file| writeln!(out, "wrote {file}"))
    })?;
    Ok(Exit::Done)
}

/// The date of the pages: packages that are built from the same source are the same to the byte.
fn date(now_s: i64) -> String {
    let source = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|epoch| epoch.parse().ok());
    let second = jiff::Timestamp::from_second(source.unwrap_or(now_s)).unwrap_or_default();
    second.strftime("%Y-%m-%d").to_string()
}

/// What a page is called: `agora-vendor-license-issue`.
fn title(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// The pages of a command and of all below it, by the names of their files.
fn pages(command: &Command, above: Option<&Command>, date: &str) -> Vec<(String, String)> {
    let mut pages = vec![(format!("{}.1", title(command)), page(command, above, date))];
    for below in command.get_subcommands() {
        pages.extend(self::pages(below, Some(command), date));
    }
    pages
}

/// One page.
fn page(command: &Command, above: Option<&Command>, date: &str) -> String {
    let mut shown = command.clone().subcommand_help_heading("VERBS").subcommand_value_name("verb");
    if let Some(more) = more(command) {
        shown = shown.long_about(more);
    }
    let man = Man::new(shown)
        .title(title(command).to_uppercase())
        .date(date)
        .source(concat!("agora-vendor ", env!("CARGO_PKG_VERSION")))
        .manual("agora-vendor");
    let mut page = Vec::new();
    let done = (|| {
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        if command.has_subcommands() {
            man.render_subcommands_section(&mut page)?;
        }
        further(command, above).to_writer(&mut page)
    })();
    done.expect("memory takes everything");
    tidy(&String::from_utf8(page).expect("help is text"))
}

/// What the long help says beyond its first sentence, which is the page's name section.
fn more(command: &Command) -> Option<String> {
    let (about, long) = (command.get_about()?.to_string(), command.get_long_about()?.to_string());
    let rest = long.strip_prefix(&about)?.trim_start_matches('.').trim_start();
    Some(rest.to_owned()).filter(|rest| !rest.is_empty())
}

/// The sections that help does not have.
fn further(command: &Command, above: Option<&Command>) -> Roff {
    let mut roff = Roff::new();
    if above.is_none() {
        section(&mut roff, "ENVIRONMENT", VARIABLES);
        section(&mut roff, "FILES", FILES);
    }
    let exits = EXITS.map(|(exit, means)| (exit.code().to_string(), means));
    section(&mut roff, "EXIT STATUS", exits);
    if let Some(help) = command.get_after_help() {
        roff.control("SH", ["EXAMPLES"]);
        examples(&mut roff, &help.to_string());
    }
    if let Some(above) = above {
        roff.control("SH", ["SEE ALSO"]).text([bold(title(above)), roman("(1)")]);
    }
    roff
}

/// A section of names and what each means.
fn section<N: Into<String>>(
    roff: &mut Roff,
    heading: &str,
    rows: impl IntoIterator<Item = (N, &'static str)>,
) {
    roff.control("SH", [heading]);
    for (name, means) in rows {
        roff.control("TP", []).text([bold(name)]).text([roman(means)]);
    }
}

/// What stands below the help of a verb: commands and files, line by line, and prose between.
fn examples(roff: &mut Roff, help: &str) {
    for (number, paragraph) in help.split("\n\n").enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        if paragraph.starts_with(char::is_uppercase) && number > 0 {
            roff.text([roman(paragraph.replace('\n', " "))]);
            continue;
        }
        roff.control("nf", []);
        for line in paragraph.lines() {
            let command = line.strip_prefix("Example: ").or(line.strip_prefix(EXAMPLES));
            roff.text([roman(command.unwrap_or(line.strip_prefix(BLANKS).unwrap_or(line)))]);
        }
        roff.control("fi", []);
    }
}

/// The same page in lines that old formatters take, without what adds nothing.
fn tidy(page: &str) -> String {
    let mut lines = page.lines();
    // How an apostrophe is made: each part of the page brings it.
    let start: Vec<&str> = lines.by_ref().take(2).collect();
    let lines: Vec<&str> = lines.filter(|line| !start.contains(line)).collect();
    let mut tidy = start.join("\n") + "\n";
    for (at, line) in lines.iter().enumerate() {
        let is_gap = |at: usize| lines.get(at).is_some_and(|line| line.is_empty());
        match *line {
            ".br" if is_gap(at + 1) || (at > 0 && is_gap(at - 1)) => {}
            "" => tidy.push_str(".sp\n"),
            line if line.starts_with('.') => tidy.extend([line, "\n"]),
            line => wrap(line.trim_end(), &mut tidy),
        }
    }
    tidy
}

/// How long a formatter takes a text to be: mandoc spells other characters than ASCII out first, as
/// in `\[u2713]`.
fn length(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { "\\[u2713]".len() }).sum()
}

/// Adds a line of text; where it is longer than 80 bytes, it goes on in the next after `\`.
fn wrap(mut line: &str, page: &mut String) {
    const LONGEST: usize = 79;
    while length(line) > LONGEST {
        let is_break = |(at, _): &(usize, &str)| *at > 0 && length(&line[..*at]) < LONGEST;
        let last = line.match_indices(' ').rfind(is_break).map(|(at, _)| at + 1);
        // A word that is longer than a line stays whole.
        let Some(end) = last.or_else(|| line.find(' ').map(|at| at + 1)) else { break };
        let (before, after) = line.split_at(end);
        page.extend([before, "\\\n"]);
        line = after;
    }
    page.extend([line, "\n"]);
}
