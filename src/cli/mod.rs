//! The command line: one file a noun. Parsing does not act, and acting does not parse.

mod acme;
mod backup;
mod bill;
mod check;
mod clock;
mod command;
mod completions;
mod csv_out;
mod customer;
mod database;
mod doctor;
mod events;
mod export;
mod failure;
mod import;
mod init;
mod input;
mod json;
mod key;
#[cfg(any(test, fuzzing))]
pub mod law;
mod ledger;
mod license;
mod log;
mod man;
mod migrate;
mod moment;
mod named;
mod near;
mod outlet;
mod plan;
mod plan_file;
mod probe;
mod project;
mod record;
mod report;
mod restore;
mod rights;
mod screen;
mod secret;
mod sentence;
mod serve;
mod setting;
mod setup;
mod sign;
mod start;
mod statement;
mod table;
mod totals;
mod user;
mod visible;
mod warnings;
mod window;
mod wording;

use crate::billing::escape::escape;
use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};
use command::Shell;
use failure::Failure;
use named::NamedFile;
use sentence::Sentence;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use wording::RefusedCommand;

pub use failure::Exit;

/// Answers the Agora Extensions Marketplace about usage, bills and licenses, out of one SQLite
/// file.
///
/// `serve` answers Agora; the other verbs keep the books from the shell, at the same time if need
/// be.
#[derive(Parser)]
#[command(name = "agora-vendor", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    everywhere: Everywhere,

    #[command(subcommand)]
    verb: Verb,
}

/// The options of all verbs.
#[derive(clap::Args)]
struct Everywhere {
    /// The database; else $AGORA_VENDOR_DB, else /var/lib/agora-vendor/agora-vendor.db where that
    /// directory exists, else ./agora-vendor.db
    #[arg(long, global = true, value_name = "PATH", display_order = 900)]
    db: Option<PathBuf>,

    /// Print one JSON document instead of a table; amounts are strings in it, times RFC 3339
    #[arg(long, global = true, display_order = 901)]
    json: bool,
}

/// `record` alone. It is called by the thousand, a process for each record, and describing all
/// verbs to the parser takes a fifth of the processor time of one.
#[derive(Parser)]
#[command(name = "agora-vendor")]
struct RecordAlone {
    #[command(flatten)]
    everywhere: Everywhere,

    #[command(subcommand)]
    verb: RecordVerb,
}

#[derive(clap::Subcommand)]
enum RecordVerb {
    Record(record::RecordArgs),
}

#[derive(clap::Subcommand)]
enum Verb {
    Setup(Box<setup::Args>),
    Init(init::Args),
    Serve(serve::Args),
    #[command(subcommand)]
    Key(key::Args),
    Record(record::RecordArgs),
    Void(record::VoidArgs),
    Import(import::Args),
    Export(export::Args),
    #[command(subcommand)]
    Ledger(ledger::Args),
    Totals(totals::Args),
    #[command(subcommand)]
    License(license::Args),
    #[command(subcommand)]
    Plan(plan::Args),
    #[command(subcommand)]
    Project(project::Args),
    #[command(subcommand)]
    Customer(customer::Args),
    Bill(bill::Args),
    Report(report::Args),
    #[command(subcommand)]
    Statement(statement::Args),
    Sign(sign::Args),
    Probe(probe::Args),
    #[command(subcommand)]
    Setting(setting::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Migrate(migrate::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the command that `arguments` (the executable's name first) say. Data goes to `out`, all
/// else to `err`.
pub fn run(
    arguments: impl Iterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let arguments: Vec<OsString> = arguments.collect();
    let Cli { everywhere: Everywhere { db, json }, verb } = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &arguments, out, err),
    };
    if !matches!(verb, Verb::Serve(_)) {
        warnings::print();
    }
    let mut shell = Shell::new(db, json, out, err);
    let advice = once_more(&verb);
    let files = files(&verb);
    let become_owner = || match files.clone() {
        Some(files) => rights::become_owner(&shell.database, files),
        None => Ok(()),
    };
    let done = become_owner().and_then(|()| act(verb, &mut shell));
    let done = done.map_err(|failure| failure.if_uncertain(|| advice));
    for left in named::clear() {
        shell.note(&format!("{} was made, and is left empty: remove it", left.display()));
    }
    match done.and_then(|exit| shell.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => {
            let words = shell.log_words().filter(|_| failure.met_damage());
            let to_named = shell.database.named_for_another();
            let files = files.unwrap_or_default();
            let folder = failure.is_denied().then(|| shell.database.folder());
            let as_another = folder
                .and_then(|folder| rights::as_owner(&folder, to_named, &arguments, &files))
                .or_else(|| rights::as_root(to_named, &arguments, &files));
            let more = words.into_iter().chain(as_another);
            let failure = more.fold(failure, |failure, words| failure.with(&words));
            shell.point_out(failure.sentence().after("error: "));
            failure.exit()
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    if arguments.iter().any(|argument| argument == "record")
        && let Ok(RecordAlone { everywhere, verb: RecordVerb::Record(args) }) =
            RecordAlone::try_parse_from(arguments)
    {
        return Ok(Cli { everywhere, verb: Verb::Record(args) });
    }
    // What else it is, and what is wrong with it, the whole tells.
    let mut whole = whole();
    let matches = whole.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut whole))
}

/// All verbs. A variable that is empty counts as none: a line of a service's configuration may be
/// left without a value.
fn whole() -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    ["serve", "doctor"].into_iter().fold(Cli::command(), |whole, verb| {
        whole.mut_subcommand(verb, |verb| {
            verb.mut_args(|flag| {
                if flag.get_env().is_some_and(is_empty) {
                    flag.env(Resettable::Reset)
                } else {
                    flag
                }
            })
        })
    })
}

/// The files that a verb names; `None` where it opens no books, so that root stays root.
fn files(verb: &Verb) -> Option<Vec<NamedFile>> {
    Some(match verb {
        Verb::Probe(_) | Verb::Completions(_) | Verb::Man(_) => return None,
        Verb::Setup(args) if !args.opens_books() => return None,
        Verb::Init(args) => args.files(),
        Verb::Key(args) => args.files(),
        Verb::Import(args) => args.files(),
        Verb::Plan(args) => args.files(),
        Verb::Project(args) => args.files(),
        Verb::Sign(args) => args.files(),
        Verb::Backup(args) => args.files(),
        Verb::Restore(args) => args.files(),
        Verb::Report(args) => args.files(),
        Verb::Setup(_)
        | Verb::Serve(_)
        | Verb::Record(_)
        | Verb::Void(_)
        | Verb::Export(_)
        | Verb::Totals(_)
        | Verb::Ledger(_)
        | Verb::License(_)
        | Verb::Customer(_)
        | Verb::Bill(_)
        | Verb::Statement(_)
        | Verb::Setting(_)
        | Verb::Check(_)
        | Verb::Doctor(_)
        | Verb::Migrate(_) => Vec::new(),
    })
}

/// What to do where a command may have been done although it failed.
fn once_more(verb: &Verb) -> Sentence {
    let to_look = match verb {
        Verb::Key(args) => args.to_look(),
        Verb::License(args) => args.to_look(),
        Verb::Setup(_)
        | Verb::Init(_)
        | Verb::Serve(_)
        | Verb::Record(_)
        | Verb::Void(_)
        | Verb::Import(_)
        | Verb::Export(_)
        | Verb::Totals(_)
        | Verb::Ledger(_)
        | Verb::Plan(_)
        | Verb::Project(_)
        | Verb::Customer(_)
        | Verb::Bill(_)
        | Verb::Report(_)
        | Verb::Statement(_)
        | Verb::Sign(_)
        | Verb::Probe(_)
        | Verb::Setting(_)
        | Verb::Check(_)
        | Verb::Doctor(_)
        | Verb::Backup(_)
        | Verb::Restore(_)
        | Verb::Migrate(_)
        | Verb::Completions(_)
        | Verb::Man(_) => None,
    };
    match to_look {
        None => "run the same command again: what was done is not done twice".into(),
        Some(command) => Sentence::from("the same command again might do it twice: look first")
            .hint(command, "shows whether it was done"),
    }
}

fn act(verb: Verb, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match verb {
        Verb::Setup(args) => setup::run(&args, shell),
        Verb::Init(args) => init::run(&args, shell),
        Verb::Serve(args) => serve::run(&args, shell),
        Verb::Key(args) => key::run(&args, shell),
        Verb::Record(args) => record::record(&args, shell),
        Verb::Void(args) => record::void(&args, shell),
        Verb::Import(args) => import::run(&args, shell),
        Verb::Export(args) => export::run(&args, shell),
        Verb::Ledger(args) => ledger::run(&args, shell),
        Verb::Totals(args) => totals::run(&args, shell),
        Verb::License(args) => license::run(&args, shell),
        Verb::Plan(args) => plan::run(&args, shell),
        Verb::Project(args) => project::run(&args, shell),
        Verb::Customer(args) => customer::run(&args, shell),
        Verb::Bill(args) => bill::run(&args, shell),
        Verb::Report(args) => report::run(&args, shell),
        Verb::Statement(args) => statement::run(&args, shell),
        Verb::Sign(args) => sign::run(&args, shell),
        Verb::Probe(args) => probe::run(&args, shell),
        Verb::Setting(args) => setting::run(&args, shell),
        Verb::Check(args) => check::run(&args, shell),
        Verb::Doctor(args) => doctor::run(&args, shell),
        Verb::Backup(args) => backup::run(&args, shell),
        Verb::Restore(args) => restore::run(&args, shell),
        Verb::Migrate(args) => migrate::run(&args, shell),
        Verb::Completions(args) => completions::run(&args, Cli::command(), shell),
        Verb::Man(args) => man::run(&args, Cli::command(), shell),
    }
}

/// Prints help where it was asked for; else one sentence: what is wrong, and where to read more.
fn explain(
    error: &clap::Error,
    arguments: &[OsString],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let kind = error.kind();
    let (exit, said) = if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        match write!(out, "{}", error.render()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                (Exit::Failed, writeln!(err, "error: the output could not be written: {error}"))
            }
            Ok(()) | Err(_) => (Exit::Done, Ok(())),
        }
    } else if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Nothing was asked for at all: the help says what can be.
        (Exit::Words, write!(err, "{}", error.render()))
    } else {
        let mut root = whole();
        root.build();
        let sentence = RefusedCommand { error, arguments, root }.sentence();
        (Exit::Words, writeln!(err, "error: {}", escape(&sentence)))
    };
    // Where stderr is gone there is nobody to tell.
    let _told = said;
    exit
}
