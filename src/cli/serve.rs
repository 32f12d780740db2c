//! `serve`: answers Agora.

use crate::agora::reply::Envelope;
use crate::cli::failure::{Exit, Failure};
use crate::cli::init;
use crate::cli::shell::Shell;
use crate::http::{BasePath, Options, Service, server};
use crate::store::Readers;
use log::{Level, LevelFilter};
use std::io::Write;
use std::net::SocketAddr;

/// Answer Agora's requests until SIGTERM or Ctrl-C
///
/// When ready, the first line on standard output is `listening on http://ADDR:PORT`; the log goes to
/// standard error. Requests in flight are answered before it ends.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Create the database first where there is none (not for a service: a wrong path must fail there,
    /// not start empty books)
    #[arg(long)]
    init: bool,

    /// Which of Agora's two printed forms usage, bill and license answers have: its examples' (nested),
    /// or its field tables' (flat)
    #[arg(long, value_enum, default_value_t = EnvelopeArg::Nested)]
    envelope: EnvelopeArg,

    /// The path that the server is mounted under, e.g. /agora; it is part of what is signed
    #[arg(long, value_name = "/P", default_value = "")]
    base_path: BasePath,

    /// What is logged: errors alone, warnings too, the start and the stop, or a line for each request
    #[arg(long, value_enum, env = "AGORA_VENDOR_LOG", default_value_t = LogArg::Info)]
    log: LogArg,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EnvelopeArg {
    Nested,
    Flat,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogArg {
    Error,
    Warn,
    Info,
    Debug,
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    start_log(args.log);
    if args.init && !shell.database.path().exists() {
        let (live, test) = init::create(shell, None)?;
        log::info!(
            "created {}; its apiKey is {}, and {} for tests; {} shows a secret",
            shell.database.path().display(),
            live.api_key,
            test.api_key,
            shell.database.command("key show K --secret")
        );
    }
    let readers = Readers::open(shell.database.path(), server::reader_count());
    let readers = readers.map_err(|error| shell.database.explain(error))?;
    let envelope = match args.envelope {
        EnvelopeArg::Nested => Envelope::Nested,
        EnvelopeArg::Flat => Envelope::Flat,
    };
    let service = Service::new(readers, Options { envelope, base_path: args.base_path.clone() });
    log::info!("serving {}", shell.database.path().display());
    let ready = |address| shell.say(&format!("listening on http://{address}"));
    server::serve(args.listen, service, ready)
        .map_err(|error| Failure::failed(format!("cannot serve on {}: {error}", args.listen)))?;
    Ok(Exit::Done)
}

/// Logs to standard error: for journald, which tells time and sender itself, with the priority that it
/// reads off the start of a line (sd-daemon(3)); elsewhere with the time and the level in words.
fn start_log(level: LogArg) {
    let level = match level {
        LogArg::Error => LevelFilter::Error,
        LogArg::Warn => LevelFilter::Warn,
        LogArg::Info => LevelFilter::Info,
        LogArg::Debug => LevelFilter::Debug,
    };
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level).format(move |out, record| {
        // A line each, whatever is in it.
        let said = record.args().to_string().replace(['\n', '\r'], " ");
        match to_journal {
            true => writeln!(out, "<{}>{said}", priority(record.level())),
            false => {
                let now = jiff::Timestamp::now();
                writeln!(out, "{now:.3} {:5} {said}", record.level())
            }
        }
    });
    builder.init();
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
