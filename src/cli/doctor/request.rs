//! One request through the real listener, signed with a test pair: it leaves nothing in the books.

use crate::agora::signature::{self, API_KEY, Encoding, SIGNATURE, source_string};
use crate::billing::key::{KeyPair, Purpose};
use crate::billing::period::Grain;
use crate::cli::database::shell_quoted;
use crate::cli::doctor::finding::{Finding, Ours};
use crate::cli::setup::configuration::{ACME, BASE_PATH, Configuration, HOST, LISTEN, TLS_CERT};
use crate::http::inquiry::{Inquiry, Unheard, inquire};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

const NAME: &str = "request";
const URL: &str = "AGORA_VENDOR_URL";
/// Where a server listens that is told nothing else.
const DEFAULT: &str = "http://127.0.0.1:8080";
/// Agora gives up after this. Source: Agora's page "Provide usage data to Agora".
const AGORA_WAITS_MS: u128 = 500;

/// The address of a server, without a path of a call.
#[derive(Clone, Debug)]
pub(super) struct ServerUrl {
    url: String,
    /// Whether somebody named it.
    is_named: bool,
}

/// What the server is told by variables: those of this process, else those of the service.
pub(super) struct ToldVariables(Option<Configuration>);

impl ToldVariables {
    /// Those of the service are looked at where these are its books.
    pub(super) fn find(books: &Path) -> Self {
        Self(Configuration::of_books(books))
    }

    /// One of them; empty ones count as none.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let own = std::env::var(name).ok().filter(|value| !value.is_empty());
        own.or_else(|| self.0.as_ref()?.value(name))
    }
}

impl ServerUrl {
    /// Where the variables that `serve` goes by too have it listen, or else where a server listens
    /// that is told nothing. A certificate is for a name, so one is asked by its host's name.
    pub(super) fn told(told: &ToldVariables) -> Self {
        if let Some(url) = told.value(URL).and_then(|url| url.parse().ok()) {
            return url;
        }
        let listen = told.value(LISTEN);
        let named = match (told.value(ACME), told.value(TLS_CERT)) {
            // The authority asks at port 443, wherever that leads.
            (Some(hosts), _) => Some(format!("https://{}", first(&hosts))),
            (None, Some(_)) => told.value(HOST).map(|hosts| {
                let port = listen.as_deref().and_then(|listen| listen.rsplit(':').next());
                let port = port.filter(|port| *port != "443").map(|port| format!(":{port}"));
                format!("https://{}{}", first(&hosts), port.unwrap_or_default())
            }),
            (None, None) => listen.map(|address| format!("http://{}", reachable(&address))),
        };
        let path = told.value(BASE_PATH).unwrap_or_default();
        Self {
            is_named: named.is_some(),
            url: named.unwrap_or_else(|| DEFAULT.to_owned()) + path.trim_end_matches('/'),
        }
    }
}

/// An address at which a server is asked that listens on all of the machine's.
fn reachable(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(address) if address.ip() == Ipv4Addr::UNSPECIFIED => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())).to_string()
        }
        Ok(address) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())).to_string()
        }
        Ok(_) | Err(_) => listen.to_owned(),
    }
}

fn first(hosts: &str) -> &str {
    hosts.split(',').next().unwrap_or_default().trim()
}

impl std::str::FromStr for ServerUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_address = rest.is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#')
        });
        if !is_address {
            return Err(
                "write the address that Agora calls, such as https://extension.example.com \
                        or http://127.0.0.1:8080",
            );
        }
        Ok(Self { url: text.trim_end_matches('/').to_owned(), is_named: true })
    }
}

/// Asks for the usage of the hour before this one, and tells what came of it; with when the
/// certificate ends that the server showed.
pub(super) fn request(
    ours: &Ours<'_>,
    server: &ServerUrl,
    ca: Option<&Path>,
    pairs: &[KeyPair],
    now_s: i64,
) -> (Finding, Option<i64>) {
    let Some(pair) = pairs.iter().rfind(|pair| pair.purpose == Purpose::Test) else {
        let says = "there is no test pair to sign a request with";
        return (Finding::warning(NAME, says).ours(ours, "key add --test"), None);
    };
    match inquire(&signed(server, pair, now_s), ca) {
        Ok(answer) => (answered(ours, server, &answer), answer.certificate_ends_at_s),
        Err(error) => (unheard(ours, server, &error), None),
    }
}

/// The address with its parameters, key and signature.
fn signed(server: &ServerUrl, pair: &KeyPair, now_s: i64) -> String {
    let to_s = Grain::Hour.floor(now_s);
    let target = format!("{}/usage", server.url);
    let path_at = target.find("://").map_or(0, |at| at + 3);
    let path_at = target[path_at..].find('/').map_or(0, |at| path_at + at);
    let fields = [
        ("fromTs", (to_s - 3_600).to_string()),
        ("toTs", (to_s - 1).to_string()),
        ("pageNum", "1".to_owned()),
        ("limit", "1".to_owned()),
        (API_KEY, pair.api_key.to_string()),
    ];
    let mut fields = fields.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let source = source_string("GET", &target[path_at..], &fields, Encoding::Form);
    fields.push((SIGNATURE.to_owned(), signature::sign(&pair.api_secret, &source)));
    let encode = |text: &str| Encoding::Rfc3986.encode(text);
    let query = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    format!("{target}?{}", query.collect::<Vec<_>>().join("&"))
}

fn answered(ours: &Ours<'_>, server: &ServerUrl, answer: &Inquiry) -> Finding {
    let took_ms = answer.took.as_millis();
    let says =
        format!("{} answered a signed request with {} in {took_ms} ms", server.url, answer.status);
    let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let log = format!("journalctl -u {} --since -5min", ours.server());
    let Some(document) = document.filter(serde_json::Value::is_object) else {
        let says = format!("{says}, and what it said is not JSON: something else listens there");
        // The default may be anybody's.
        let finding = match server.is_named {
            true => Finding::failed(NAME, says),
            false => Finding::warning(NAME, says),
        };
        return finding.remedy("sudo ss -ltnp");
    };
    let reason = document.get("statusReason").and_then(|reason| reason.as_str());
    match (answer.status, reason) {
        (200, _) if took_ms > AGORA_WAITS_MS => {
            Finding::warning(NAME, format!("{says}: Agora waits {AGORA_WAITS_MS} ms")).remedy(log)
        }
        (200, _) => Finding::ok(NAME, says),
        (401, _) => {
            let says = format!(
                "{says}: it serves another database, or a proxy changes the path or the query"
            );
            Finding::failed(NAME, says)
                .remedy(format!("systemctl show {} -p Environment", ours.server()))
        }
        (_, reason) => {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            Finding::failed(NAME, format!("{says}{reason}")).remedy(log)
        }
    }
}

fn unheard(ours: &Ours<'_>, server: &ServerUrl, error: &Unheard) -> Finding {
    let says = format!("{} did not answer: {error}", server.url);
    // Books that systemd does not serve are served by hand.
    let start = |systemctl| if ours.has_unit() { systemctl } else { ours.typed("serve") };
    match error {
        Unheard::NoWay(_) if !server.is_named => Finding::warning(
            NAME,
            format!("{says}; name the server's address with --url, or start it"),
        )
        .remedy(start(format!("sudo systemctl start {}", ours.server()))),
        Unheard::NoWay(_) => {
            Finding::failed(NAME, says).remedy(start(format!("systemctl status {}", ours.server())))
        }
        Unheard::NoAnswer(_) => Finding::failed(NAME, says)
            .remedy(format!("curl -v {}/healthz", shell_quoted(&server.url))),
    }
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn a_server_on_all_addresses_is_asked_at_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("10.0.0.0:8080", "10.0.0.0:8080"),
            ("[::]:8443", "[::1]:8443"),
            ("localhost:8080", "localhost:8080"),
        ] {
            assert_eq!(reachable(listen), asked);
        }
    }
}
