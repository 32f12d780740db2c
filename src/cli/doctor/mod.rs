//! `doctor`: is all well with the database, its surroundings, the server, and what Agora asked for.
//! What cannot be looked at is told, and the other checks go on.
//!
//! `files` looks at what is around the database, `books` at the books themselves, `money` at what
//! may cost money, `request` at the server.

mod books;
mod files;
pub(super) mod finding;
mod money;
mod request;
mod words;

use crate::billing::key::KeyPair;
use crate::billing::statement::ListingKind;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::import::STEPS_BACK;
use crate::cli::setup::configuration::TLS_CERT;
use crate::store::condition::Condition;
use crate::store::surroundings::Surroundings;
use crate::store::survey::Survey;
use crate::store::{self, ReadTx, Store, key};
use finding::{Finding, Ours, Verdict};
use request::{ServerUrl, ToldVariables};
use serde::Serialize;
use std::path::PathBuf;

/// Check the database, its surroundings, the server, and what Agora asked for
///
/// One line a check: ✓ all is well; ! look at it some time; ✗ money, records or answers may be
/// lost. After → stands a command that mends it or shows more; words in capitals are yours to fill
/// in. Ends with 1 on any ✗. It changes nothing, and is safe while serving.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor doctor --url https://extension.example.com")]
pub(super) struct Args {
    /// The address that Agora calls, with the path that the server is mounted under, if any; by
    /// default where the service's configuration has it listen, else http://127.0.0.1:8080. One
    /// request, signed with a test pair, goes there
    #[arg(long, value_name = "URL", env = "AGORA_VENDOR_URL")]
    url: Option<ServerUrl>,

    /// Who signs the certificate of that address, a PEM file; by default whoever this system trusts
    #[arg(long, value_name = "F")]
    ca: Option<PathBuf>,

    /// The certificate of `serve --tls-cert`, to tell its end
    #[arg(long, value_name = "F", env = "AGORA_VENDOR_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// Leave out what takes long with many records: the file's integrity, and every sum against the
    /// ledgers
    #[arg(long)]
    quick: bool,
}

#[derive(Serialize)]
struct Shown {
    checks: Vec<Finding>,
}

/// What is read of the books at once.
struct BooksRead {
    condition: Condition,
    survey: Survey,
    pairs: Vec<KeyPair>,
}

impl BooksRead {
    fn of(tx: &ReadTx<'_>, now_s: i64) -> store::Result<Self> {
        let (condition, survey) = (Condition::read(tx)?, Survey::read(tx, now_s)?);
        Ok(Self { condition, survey, pairs: key::accepted(tx)? })
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if !args.quick
        && let Err(error) = rustix::process::nice(STEPS_BACK)
    {
        log::debug!("a doctor has the priority of all else: {error}");
    }
    let shown = Shown { checks: checks(args, shell) };
    shell.print(&shown, |out| {
        finding::lines(&shown.checks).try_for_each(|line| writeln!(out, "{line}"))
    })?;
    let is_ill = shown.checks.iter().any(|check| check.state == Verdict::Failed);
    Ok(if is_ill { Exit::Failed } else { Exit::Done })
}

fn checks(args: &Args, shell: &Shell<'_>) -> Vec<Finding> {
    let (database, now_s) = (&shell.database, shell.now_s);
    let told = ToldVariables::find(database.path());
    let server = args.url.clone().unwrap_or_else(|| ServerUrl::told(&told));
    let tls_cert = args.tls_cert.clone().or_else(|| told.value(TLS_CERT).map(PathBuf::from));
    // Before it is opened, since that makes a log and an index where none is.
    let before = Surroundings::look(database.path());
    let opened = Store::open(database.path());
    // And after, since that takes back what a killed process left, a second name among it.
    let seen = Surroundings::look(database.path());
    let (mut store, read) = match opened {
        Ok(mut store) => {
            let read = store.read(|tx| BooksRead::of(tx, now_s));
            (Some(store), read)
        }
        Err(error) => (None, Err(error)),
    };
    let owner = seen.as_ref().ok().map(|seen| seen.database.owner.as_str());
    let ours = &Ours::new(database, owner);
    let survey = read.as_ref().ok().map(|read| &read.survey);
    let mut checks = vec![files::database(ours, &seen)];
    if let (Ok(before), Ok(seen)) = (&before, &seen) {
        checks.extend([files::files(before), files::names(seen), files::space(seen, survey)]);
    }
    let is_read_alone = store.as_ref().is_some_and(Store::is_read_alone);
    let read = match read {
        Ok(read) => Some(read),
        // Of a file that is not there, everything is said.
        Err(store::Error::Missing(_)) => None,
        Err(error) => {
            checks.push(books::unopened(ours, error));
            None
        }
    };
    if let Some(read) = &read {
        checks.push(books::sqlite(ours, &read.condition, is_read_alone));
        checks.push(books::schema(ours, &read.condition));
    }
    if let Some(store) = store.as_mut().filter(|_| !args.quick) {
        checks.extend(books::soundness(ours, store.read(store::check::check)));
    }
    // Its pages may be needed, and nobody else's may wait for them.
    drop(store);
    let asked = read
        .as_ref()
        .map(|read| request::request(ours, &server, args.ca.as_deref(), &read.pairs, now_s));
    let (request, ends_at_s) = asked.map_or((None, None), |(finding, end)| (Some(finding), end));
    if let Some(BooksRead { survey, .. }) = &read {
        checks.push(books::clock(survey, now_s));
    }
    checks.push(files::certificate(ours, tls_cert.as_ref(), ends_at_s, now_s));
    if let Some(BooksRead { survey, .. }) = &read {
        checks.extend([
            books::backup(ours, survey, now_s),
            books::keys(ours, survey),
            money::plans(ours, survey),
            money::license_types(ours, survey),
            money::prices(ours, survey),
            money::asked(ours, survey, ListingKind::Usage, now_s),
            money::asked(ours, survey, ListingKind::Bill, now_s),
            money::silence(ours, survey, now_s),
            money::late(ours, survey),
            money::licenses(ours, survey),
        ]);
    }
    checks.extend(request);
    checks
}
