//! `serve --acme`: for which hosts a certificate is got, and from whom.

use crate::http::acme::AcmeOptions;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Certificates that the server gets itself.
#[derive(clap::Args)]
pub(super) struct AcmeFlags {
    /// HTTPS for this host, with a certificate that the server gets and renews itself; it needs
    /// --listen, such as 0.0.0.0:443, and may be given several times, or hosts with commas between
    ///
    /// The certificate comes from Let's Encrypt, whose terms of service you agree to by this flag:
    /// see letsencrypt.org/repository. Let's Encrypt checks the host by TLS-ALPN-01: the host's
    /// address must be this machine's, and its port 443 must lead to --listen. Certificate and
    /// account are kept beside the database, for its owner alone. Until the first certificate is
    /// there no connection succeeds; the log says why it does not come. SIGHUP tries again at once.
    #[arg(
        long,
        value_name = "HOST",
        env = "AGORA_VENDOR_ACME",
        value_delimiter = ',',
        conflicts_with_all = ["tls_cert", "tls_key"]
    )]
    acme: Vec<Host>,

    /// The directory of another authority than Let's Encrypt, whose terms --acme then agrees to
    #[arg(
        long,
        value_name = "URL",
        requires = "acme",
        default_value = "https://acme-v02.api.letsencrypt.org/directory"
    )]
    acme_directory: Directory,

    /// Who signs the authority's own certificate, a PEM file; by default whoever this system trusts
    #[arg(long, value_name = "F", requires = "acme")]
    acme_ca: Option<PathBuf>,
}

impl AcmeFlags {
    /// What the server is told; `None` where it is to get no certificate.
    pub(super) fn options(&self) -> Option<AcmeOptions> {
        let mut hosts: Vec<String> = Vec::new();
        for Host(host) in &self.acme {
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        let directory = self.acme_directory.0.clone();
        (!hosts.is_empty()).then(|| AcmeOptions { hosts, directory, ca: self.acme_ca.clone() })
    }
}

/// The name of a host, in small letters.
#[derive(Clone, Debug)]
pub(super) struct Host(String);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('*') {
            return Err("TLS-ALPN-01 gives no certificate for a wildcard: name each host");
        }
        let is_label = |label: &str| {
            let is_plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            is_plain && (1..=63).contains(&label.len()) && !label.starts_with('-')
        };
        let is_name = text.len() <= 253 && text.split('.').all(is_label);
        let is_number = text.rsplit('.').next().is_some_and(|last| last.parse::<u32>().is_ok());
        if !is_name || is_number {
            return Err("write a host's name alone, such as extension.example.com");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// The address of an authority's directory.
#[derive(Clone, Debug)]
struct Directory(String);

impl FromStr for Directory {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").unwrap_or_default();
        let is_address = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && rest.bytes().all(|b| b.is_ascii_graphic());
        if !is_address {
            return Err("write an https:// address, such as \
                        https://acme-staging-v02.api.letsencrypt.org/directory");
        }
        Ok(Self(text.to_owned()))
    }
}
