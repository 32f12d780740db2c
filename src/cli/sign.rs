//! `sign`: plays Agora's part with a request, or explains one.

use crate::agora::request::{Body, Query, Url, field};
use crate::agora::signature::{self, API_KEY, Encoding, Fields, Key, SIGNATURE, source_string};
use crate::billing::key::{KeyPair, Purpose};
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::read_text;
use crate::cli::named::NamedFile;
use crate::cli::table::{or_dash, print_properties};
use crate::cli::visible::json_text;
use crate::store::key;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

/// Sign a request as Agora does, or explain one that is signed
///
/// Prints the URL with apiKey and signature added; with a method other than GET, the body with them
/// added. A signed request works for ever: --curl prints it as `curl -K -` reads it, since words of
/// a command line are seen by everybody on the machine. Signs with the test pair unless told
/// otherwise.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor sign --curl \
                  \"http://127.0.0.1:8080/usage?fromTs=1795392000&toTs=1795478399&pageNum=1\" \
                  | curl -K -")]
pub(super) struct Args {
    /// The request's URL, e.g. "http://127.0.0.1:8080/usage?fromTs=…&toTs=…&pageNum=1" (- for
    /// standard input)
    url: String,

    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,

    /// The file with the JSON body (- for standard input), where the method is not GET
    #[arg(long, value_name = "F")]
    data: Option<PathBuf>,

    /// Sign with the live pair, as Agora itself
    #[arg(long)]
    live: bool,

    /// Print the signed request as a configuration of curl, for `curl -K -`
    #[arg(long, conflicts_with = "explain")]
    curl: bool,

    /// Show the SourceString of the request and whether its signature is right; ends with 1 if not
    #[arg(long, conflicts_with = "live")]
    explain: bool,
}

impl Args {
    /// The files that are named.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        self.data.iter().cloned().map(NamedFile::Input).collect()
    }
}

/// A request taken apart for signing.
struct RequestToSign<'a> {
    method: &'a str,
    url: Url<'a>,
    /// The ways to read its parameters, the likelier first.
    readings: Vec<Fields>,
    /// Its body, where the method has one.
    body: Option<String>,
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if args.curl && shell.wants_json() {
        return Err(Failure::words(
            "--curl and --json are two forms of one request: leave one out",
        ));
    }
    let url = read_url(args)?;
    let request = read(args, &url)?;
    let pairs = shell.open()?.read(key::accepted)?;
    if args.explain {
        return explain(&request, &pairs, shell);
    }
    let signed = sign(&request, &pairs, args.live)?;
    if args.curl { signed.print_for_curl(shell) } else { signed.print(shell) }
}

/// The URL as typed, or as it comes on standard input: what is signed already is no word for a
/// command line.
fn read_url(args: &Args) -> Result<String, Failure> {
    if args.url != "-" {
        return Ok(args.url.clone());
    }
    if args.data.as_ref().is_some_and(|file| file.as_os_str() == "-") {
        return Err(Failure::words("- stands twice, and standard input can be read once"));
    }
    let text = read_text("-".as_ref(), "the URL")?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn read<'a>(args: &'a Args, url: &'a str) -> Result<RequestToSign<'a>, Failure> {
    let typed = url;
    let url = Url::split(typed).ok_or_else(|| {
        Failure::words(format!(
            "the URL {typed:?} has no path: write one such as http://127.0.0.1:8080/usage"
        ))
    })?;
    let method = args.method.as_str();
    if !["GET", "POST", "PUT"].contains(&method) {
        return Err(Failure::words(format!(
            "the method {method:?} is none of Agora's: use GET, POST or PUT"
        )));
    }
    if !typed.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::words(
            "the URL holds a space or what is not ASCII: write it as %20 and the like",
        ));
    }
    if method == "GET" {
        if args.data.is_some() {
            return Err(Failure::words("a GET has no body: --data goes with --method POST or PUT"));
        }
        let query = Query::parse(url.query).map_err(|error| Failure::words(error.to_string()))?;
        return Ok(RequestToSign {
            method,
            url,
            readings: query.readings().cloned().collect(),
            body: None,
        });
    }
    if !url.query.is_empty() {
        return Err(Failure::words(format!(
            "a {method} is signed over its body's fields: leave the query out"
        )));
    }
    let body = args
        .data
        .as_deref()
        .map_or_else(|| Ok("{}".to_owned()), |file| read_text(file, "the body"))?;
    let fields = Body::parse(body.as_bytes()).map_err(|error| Failure::words(error.to_string()))?;
    Ok(RequestToSign { method, url, readings: vec![fields.fields().clone()], body: Some(body) })
}

/// A signed request.
#[derive(Serialize)]
struct SignedRequest<'a> {
    method: &'a str,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl SignedRequest<'_> {
    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| match &self.body {
            None => writeln!(out, "{}", self.url),
            Some(body) => writeln!(out, "{}", json_text(body)),
        })?;
        Ok(Exit::Done)
    }

    /// Prints it as a configuration file of curl. Source: curl(1), `--config`.
    fn print_for_curl(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        let quoted = |text: &str| {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
            format!("\"{}\"", text.replace('\n', "\\n").replace('\r', "\\r"))
        };
        shell.print(self, |out| {
            // Brackets and braces of a query are meant as they are.
            writeln!(out, "globoff\nurl = {}", quoted(&self.url))?;
            let Some(body) = &self.body else { return Ok(()) };
            writeln!(out, "request = {}", quoted(self.method))?;
            writeln!(out, "header = {}", quoted("Content-Type: application/json"))?;
            writeln!(out, "data-raw = {}", quoted(&json_text(body)))
        })?;
        Ok(Exit::Done)
    }
}

fn sign<'a>(
    request: &RequestToSign<'a>,
    pairs: &[KeyPair],
    live: bool,
) -> Result<SignedRequest<'a>, Failure> {
    let purpose = if live { Purpose::Live } else { Purpose::Test };
    let pair = pairs.iter().rfind(|pair| pair.purpose == purpose).ok_or_else(|| {
        let (which, add) = match purpose {
            Purpose::Live => ("live", "key add"),
            Purpose::Test => ("test", "key add --test"),
        };
        let missing = Failure::failed(format!("there is no {which} pair to sign with"));
        missing.hint(add, "makes one")
    })?;
    let mut fields = request.readings.first().cloned().unwrap_or_default();
    if let Some((name, _)) = fields.iter().find(|(name, _)| name == API_KEY || name == SIGNATURE) {
        return Err(Failure::words(format!(
            "the request has a parameter {name} already: leave it out, or use --explain"
        )));
    }
    fields.push((API_KEY.to_owned(), pair.api_key.to_string()));
    let source = source_string(request.method, request.url.path, &fields, Encoding::Form);
    let signature = signature::sign(&pair.api_secret, &source);

    let encode = |text: &str| Encoding::Rfc3986.encode(text);
    let Url { origin, path, query } = request.url;
    match &request.body {
        None => {
            let join = if query.is_empty() { "" } else { "&" };
            let (key, signature) = (encode(pair.api_key.as_str()), encode(&signature));
            let url =
                format!("{origin}{path}?{query}{join}{API_KEY}={key}&{SIGNATURE}={signature}");
            Ok(SignedRequest { method: request.method, url, body: None })
        }
        Some(body) => {
            // Added to the text as it is, since a body read and printed anew would not be the one
            // given.
            let object = body.trim_end();
            let open = object.strip_suffix('}').unwrap_or(object).trim_end();
            let join = if open.ends_with('{') { "" } else { "," };
            let added = json!({ API_KEY: pair.api_key.as_str(), SIGNATURE: signature }).to_string();
            let body = format!("{open}{join}{}", &added[1..]);
            let url = format!("{origin}{path}");
            Ok(SignedRequest { method: request.method, url, body: Some(body) })
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureExplanation<'a> {
    method: &'a str,
    path: &'a str,
    api_key: Option<&'a str>,
    signature: Option<&'a str>,
    /// Every string that a signature would be accepted for.
    source_strings: Vec<String>,
    valid: bool,
    reason: String,
}

fn explain(
    request: &RequestToSign<'_>,
    pairs: &[KeyPair],
    shell: &mut Shell<'_>,
) -> Result<Exit, Failure> {
    let (method, path) = (request.method, request.url.path);
    let mut source_strings: Vec<String> = Vec::new();
    for fields in &request.readings {
        for encoding in Encoding::ALL {
            let source = source_string(method, path, fields, encoding);
            if !source_strings.contains(&source) {
                source_strings.push(source);
            }
        }
    }
    let first = request.readings.first();
    let api_key = first.and_then(|fields| field(fields, API_KEY));
    let signature = first.and_then(|fields| field(fields, SIGNATURE));
    let pair_of = |fields: &Fields| {
        pairs.iter().find(|pair| field(fields, API_KEY) == Some(pair.api_key.as_str()))
    };
    let signer = |given: &str| {
        let verifies = |fields: &&Fields| {
            let pair = pair_of(fields);
            pair.is_some_and(|pair| {
                signature::verify(&Key::from(&pair.api_secret), method, path, fields, given)
            })
        };
        request.readings.iter().find(verifies).and_then(pair_of)
    };
    let (valid, reason) = match (api_key, signature) {
        (None, _) => (false, "the request has no apiKey".to_owned()),
        (Some(_), None) => (false, "the request has no signature".to_owned()),
        (Some(key), Some(signature)) => {
            match (signer(signature), request.readings.iter().find_map(pair_of)) {
                (Some(pair), _) => {
                    (true, format!("the signature is right, by the {} pair", pair.purpose.as_str()))
                }
                (None, None) => (false, format!("the apiKey {key} is unknown or revoked here")),
                (None, Some(_)) => (
                    false,
                    "the signature is not that of any of these strings with this key's secret"
                        .to_owned(),
                ),
            }
        }
    };
    let explained =
        SignatureExplanation { method, path, api_key, signature, source_strings, valid, reason };
    shell.print(&explained, |out| {
        let mut properties = vec![
            ("method", method.to_owned()),
            ("path", path.to_owned()),
            ("apiKey", or_dash(api_key.as_ref())),
            ("signature", or_dash(signature.as_ref())),
        ];
        properties
            .extend(explained.source_strings.iter().map(|source| ("SourceString", source.clone())));
        properties.push(("verdict", explained.reason.clone()));
        print_properties(out, &properties)
    })?;
    Ok(if valid { Exit::Done } else { Exit::Failed })
}
