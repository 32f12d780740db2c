//! `probe`: plays Agora against a vendor's server, before Agora does.

use crate::agora::outgoing::Signer;
use crate::billing::escape::escape;
use crate::billing::id::{ApiKey, CustomerId, ProjectId};
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::secret;
use crate::cli::table::{Columns, print_wrapped};
use crate::cli::visible::ForPeople;
use crate::probe::{
    self, Address, CheckFinding, Dialect, Findings, Grade, Latencies, ProbeOrder, Trial, Trust,
    milliseconds,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Seek, Write as _};
use std::path::{Path, PathBuf};

/// Ask a vendor's server what Agora asks, and tell what is wrong with its answers
///
/// Works against any vendor's server, over http:// and https://, and needs no database. Each check
/// says what was sent, what came, and what Agora's pages ask for; what they leave open is a warning
/// at most. Ends with 1 where a check fails.
///
/// Probe your own server with its test pair: what the live pair asks counts as told to Agora.
/// Usage and bills are asked for the last whole day and month, and for those that run. Without
/// --provision nothing is written.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor key show TESTKEY --secret | agora-vendor probe \
                  https://vendor.example --api-key TESTKEY --api-secret-file -")]
pub(super) struct Args {
    /// Where the server is, with the path that it is mounted under, e.g. `https://vendor.example`
    url: String,

    /// The apiKey to sign with; of your own server, the test pair's
    #[arg(long, value_name = "K")]
    api_key: ApiKey,

    /// The file that holds its apiSecret and nothing else (- for standard input)
    #[arg(long, value_name = "F")]
    api_secret_file: PathBuf,

    /// Also create this account and this project, twice at once and again, and deactivate both;
    /// use ids that nobody has
    #[arg(long, num_args = 2, value_names = ["CUSTOMER", "PROJECT"])]
    provision: Option<Vec<String>>,

    /// In which order --provision calls: as Agora's English pages say (create account, create
    /// project) or as its Chinese ones (configure license, create project)
    #[arg(long, value_enum, default_value_t = DialectArg::En, requires = "provision")]
    dialect: DialectArg,

    /// A customer who has a license; else the one of --provision, else `probe`, who needs none
    #[arg(long, value_name = "C")]
    customer: Option<CustomerId>,

    /// At the end, ask a hundred times a second for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    load: Option<u32>,

    /// Who signs the server's certificate, a PEM file; by default whoever this system trusts
    #[arg(long, value_name = "F")]
    ca: Option<PathBuf>,

    /// Also write the result to this file, as Markdown for the review; a page of before is
    /// replaced, and any other file is left as it is
    #[arg(long, value_name = "F")]
    markdown: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum DialectArg {
    En,
    Cn,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProbeView<'a> {
    url: &'a str,
    checks: Vec<ProbeCheckView<'a>>,
    /// Null without --load.
    latency_ms: Option<LatenciesView>,
}

#[derive(Serialize)]
struct ProbeCheckView<'a> {
    name: &'a str,
    result: &'static str,
    sent: &'a str,
    got: &'a str,
    wanted: &'a str,
}

impl<'a> From<&'a CheckFinding> for ProbeCheckView<'a> {
    fn from(finding: &'a CheckFinding) -> Self {
        let CheckFinding { name, result, sent, got, wanted } = finding;
        Self { name, result: result.as_str(), sent, got, wanted }
    }
}

#[derive(Serialize)]
struct LatenciesView {
    p50: Box<RawValue>,
    p95: Box<RawValue>,
    p99: Box<RawValue>,
    max: Box<RawValue>,
}

impl From<Latencies> for LatenciesView {
    fn from(latencies: Latencies) -> Self {
        let number = |micros| {
            RawValue::from_string(milliseconds(micros)).expect("digits and a point are a number")
        };
        let Latencies { p50_us, p95_us, p99_us, max_us } = latencies;
        Self { p50: number(p50_us), p95: number(p95_us), p99: number(p99_us), max: number(max_us) }
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let order = args.order(shell)?;
    let page = args.markdown.as_deref().map(page_file).transpose()?;
    if let Some(seconds) = args.load {
        shell.note(&format!("the load takes {seconds} s after the checks"));
    }
    let found = probe::run(order)
        .map_err(|error| Failure::failed(format!("the system gives no means to ask: {error}")))?;
    let written = page.map_or(Ok(()), |mut file| {
        let text = markdown(&args.url, &found, shell.now_s);
        file.set_len(0).and_then(|()| file.rewind())?;
        file.write_all(text.as_bytes())
    });
    let probed = ProbeView {
        url: &args.url,
        checks: found.checks.iter().map(ProbeCheckView::from).collect(),
        latency_ms: found.latencies.map(LatenciesView::from),
    };
    shell.print(&probed, |out| print(&found, out))?;
    // What was found is not lost with the page.
    let path = args.markdown.as_deref().unwrap_or_else(|| "".as_ref());
    written.map_err(|error| unwritten(path, &error))?;
    Ok(if found.count(Grade::Fail) > 0 { Exit::Failed } else { Exit::Done })
}

/// What every page begins with.
const START: &str = "# Probe of ";

/// Opens the file of a page before anything is asked: a new one, an empty one, or a page of before.
/// Whatever else stands there stays, such as the secret or the books.
fn page_file(path: &Path) -> Result<File, Failure> {
    let opened = File::options().create(true).read(true).write(true).truncate(false).open(path);
    let file = opened.map_err(|error| unwritten(path, &error))?;
    let mut start = Vec::new();
    let length = u64::try_from(START.len()).unwrap_or(u64::MAX);
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if is_file {
        let read = (&file).take(length).read_to_end(&mut start);
        read.map_err(|error| unwritten(path, &error))?;
    }
    if !is_file || !(start.is_empty() || start == START.as_bytes()) {
        return Err(Failure::failed(format!(
            "{} is there and is no page of probe, and stays: name another file with --markdown, or \
             remove that one first",
            path.display()
        )));
    }
    Ok(file)
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

impl Args {
    fn order(&self, shell: &Shell<'_>) -> Result<ProbeOrder, Failure> {
        let address: Address = self.url.parse().map_err(|error| {
            Failure::words(format!("the URL {:?} cannot be probed: {error}", self.url))
        })?;
        if self.ca.is_some() && !address.is_https {
            return Err(Failure::words("--ca is about HTTPS: leave it out, or use https://"));
        }
        let trust = address.is_https.then(|| Trust::read(self.ca.as_deref())).transpose();
        let trust = trust.map_err(Failure::failed)?;
        let api_secret = secret::read(&self.api_secret_file, "the apiSecret")?;
        Ok(ProbeOrder {
            address,
            trust,
            signer: Signer { api_key: self.api_key.clone(), api_secret },
            customer: self.customer.clone(),
            trial: self.trial()?,
            load_s: self.load,
            now_s: shell.now_s,
        })
    }

    fn trial(&self) -> Result<Option<Trial>, Failure> {
        let Some([customer, project]) = self.provision.as_deref() else { return Ok(None) };
        let bad = |what: &str, typed: &str, error: crate::billing::id::Error| {
            Failure::words(format!("--provision: the {what} {typed:?} is no id: {error}"))
        };
        let customer = customer.parse().map_err(|error| bad("customer", customer, error))?;
        let parsed: Result<ProjectId, _> = project.parse();
        let project = parsed.map_err(|error| bad("project", project, error))?;
        let dialect = match self.dialect {
            DialectArg::En => Dialect::English,
            DialectArg::Cn => Dialect::Chinese,
        };
        Ok(Some(Trial { customer, project, dialect }))
    }
}

/// What all checks come to, on one line.
fn verdict(found: &Findings) -> String {
    let count = |result| found.count(result);
    let (failed, warned) = (count(Grade::Fail), count(Grade::Warn));
    let counts = format!(
        "{} passed, {warned} warned, {failed} failed, {} skipped",
        count(Grade::Pass),
        count(Grade::Skip)
    );
    let words = match (failed, warned) {
        (0, 0) => "ready, as far as this shows",
        (0, _) => "read the warnings",
        (_, _) => "not ready",
    };
    format!("verdict: {words} ({counts})")
}

fn print(found: &Findings, out: &mut ForPeople<'_>) -> io::Result<()> {
    let is_terminal = out.screen.is_some();
    let names: &[&str] = if is_terminal {
        &["result", "check", "got"]
    } else {
        &["result", "check", "sent", "got", "wanted"]
    };
    let mut columns = Columns::new(names);
    for CheckFinding { name, result, sent, got, wanted } in &found.checks {
        let result = result.as_str().to_owned();
        if is_terminal {
            columns.row([result, name.clone(), got.clone()]);
        } else {
            columns.row([result, name.clone(), sent.clone(), got.clone(), wanted.clone()]);
        }
    }
    columns.print(out)?;
    if is_terminal {
        // There is no room for all of it in a line, and it is read where something is wrong.
        for CheckFinding { name, result, sent, got, wanted } in &found.checks {
            if matches!(result, Grade::Warn | Grade::Fail) {
                writeln!(out)?;
                out.heading(&format!("{}: {name}", result.as_str()))?;
                let lines = [("sent", sent), ("got", got), ("wanted", wanted)];
                print_wrapped(out, &lines.map(|(label, text)| (label, text.as_str())))?;
            }
        }
    }
    writeln!(out, "\n{}", verdict(found))
}

/// The result as a page for the review.
fn markdown(url: &str, found: &Findings, now_s: i64) -> String {
    let mut page = format!(
        "{START}{}\n\n{}, by agora-vendor {}.\n\n**{}**\n\n",
        plain(url),
        rfc3339(now_s),
        env!("CARGO_PKG_VERSION"),
        plain(&verdict(found))
    );
    if let Some(latencies) = found.latencies {
        let Latencies { p50_us, p95_us, p99_us, max_us } = latencies;
        let [p50, p95, p99, max] = [p50_us, p95_us, p99_us, max_us].map(milliseconds);
        page += "| p50 ms | p95 ms | p99 ms | worst ms | allowed ms |\n|---|---|---|---|---|\n";
        // A text takes everything.
        let _written = writeln!(page, "| {p50} | {p95} | {p99} | {max} | 500 |\n");
    }
    page += "| result | check | sent | got | wanted |\n|---|---|---|---|---|\n";
    for CheckFinding { name, result, sent, got, wanted } in &found.checks {
        let result = result.as_str();
        let [name, sent, got, wanted] = [name, sent, got, wanted].map(|text| plain(text));
        let _written = writeln!(page, "| {result} | {name} | {sent} | {got} | {wanted} |");
    }
    page
}

/// A text that Markdown shows as it is, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '&' => plain += "&amp;",
            '<' => plain += "&lt;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => plain.extend(['\\', c]),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sends_is_shown_in_markdown_as_it_is() {
        assert_eq!(plain("a|b\n<i>`*"), "a\\|b\\\\n&lt;i>\\`\\*");
    }

    #[test]
    fn times_are_numbers_in_milliseconds() {
        let latencies = Latencies { p50_us: 1, p95_us: 1_500, p99_us: 20_000, max_us: 512_000 };
        let shown = serde_json::to_string(&LatenciesView::from(latencies)).expect("JSON");
        assert_eq!(shown, r#"{"p50":0.001,"p95":1.500,"p99":20.000,"max":512.000}"#);
    }
}
