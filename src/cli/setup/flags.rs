//! What `setup` is told on the command line.

use crate::billing::id::Label;
use crate::cli::acme::Host;
use crate::cli::failure::Failure;
use crate::cli::key::GivenPair;
use crate::cli::plan::PriceFlags;
use crate::cli::serve::Listen;
use std::path::PathBuf;

/// Set up the database, the service and its configuration, and say what to tell Agora
///
/// Asks on a terminal what is not given by flags. Run as root where the package is installed: it
/// creates the database as the service's user, writes the configuration, starts the service, and
/// ends with `doctor`. Elsewhere it creates the database, and says what it did not do. Run again,
/// it changes only what is asked for: what a flag says, or an answer that differs.
#[derive(clap::Args)]
#[command(after_help = "Example: sudo agora-vendor setup --yes --tls acme --host \
                  extension.example.com --late carry --plan Standard --unit Minute --price 0.01")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    pub(super) pair: GivenPair,

    /// The name under which Agora reaches the server, e.g. extension.example.com
    #[arg(long)]
    pub(super) host: Option<Host>,

    /// Who speaks TLS: a proxy in front of the server, or the server, with a certificate that it
    /// gets from Let's Encrypt (whose terms you agree to by this) or that you renew
    #[arg(long, value_name = "WAY", value_enum)]
    pub(super) tls: Option<TlsArg>,

    /// The certificate of --tls files, a PEM file
    #[arg(long, value_name = "F", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,

    /// Its key, a PEM file
    #[arg(long, value_name = "F", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// Where to listen; by default 127.0.0.1:8080 behind a proxy, else port 443 of all addresses
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Option<Listen>,

    /// What becomes of usage that is recorded after its month was billed: it is reported to you,
    /// and no bill has its price; or the next month's bill carries it
    #[arg(long, value_enum)]
    pub(super) late: Option<LateArg>,

    /// Set up the plan `default` under this name; its price as `plan set` takes it
    #[arg(long, value_name = "NAME")]
    pub(super) plan: Option<Label>,

    /// One unit of usage in words, by default Minute
    #[arg(long, value_name = "TEXT", requires = "plan")]
    pub(super) unit: Option<Label>,

    #[command(flatten)]
    pub(super) price: PriceFlags,

    /// Ask nothing: what no flag says is as the questions propose
    #[arg(long)]
    pub(super) yes: bool,

    /// Write below this folder in place of /
    #[arg(long, value_name = "DIR", hide = true)]
    pub(super) root: Option<PathBuf>,

    /// Carry out an order of `setup` in the books
    #[arg(long, hide = true)]
    pub(super) only_books: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TlsArg {
    Proxy,
    Acme,
    Files,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LateArg {
    Report,
    Carry,
}

impl Args {
    /// Tells whether it opens the books itself, and so does it as their owner.
    pub(in crate::cli) fn opens_books(&self) -> bool {
        self.only_books
    }

    /// Tells whether a flag says what is to be.
    pub(super) fn says_anything(&self) -> bool {
        let says_books = self.pair.is_given() || self.late.is_some() || self.plan.is_some();
        says_books || self.says_connections()
    }

    /// The same of connections.
    pub(super) fn says_connections(&self) -> bool {
        self.host.is_some()
            || self.tls.is_some()
            || self.tls_cert.is_some()
            || self.listen.is_some()
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        match (self.plan.is_some(), self.price.is_given()) {
            (true, false) => Err(Failure::words(
                "--plan has no price: add --price AMOUNT, or another of those that plan set takes",
            )),
            (false, true) => {
                Err(Failure::words("the price has no plan: name it by --plan, such as Standard"))
            }
            _ => Ok(()),
        }
    }
}

impl LateArg {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Carry => "carry",
        }
    }
}
