//! `serve`: answers Agora.

use crate::agora::reply::Envelope;
use crate::cli::acme::AcmeFlags;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::init;
use crate::cli::log::{LineForm, LogFlags};
use crate::cli::migrate;
use crate::cli::rights::started_by;
use crate::http::acme;
use crate::http::listener::{Entrance, PassedSockets};
use crate::http::security::Security;
use crate::http::server::{Addresses, Entrances};
use crate::http::tls::Tls;
use crate::http::{BasePath, Options, Service, server, supervisor, threads};
use crate::store::{Readers, Writer};
use log::Level;
use nix::unistd::Uid;
use signal_hook::consts::SIGHUP;
use signal_hook::flag;
use std::fmt::{self, Display};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Where to listen, where nothing is told.
const DEFAULT: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);

/// Answer Agora's requests until SIGTERM or Ctrl-C
///
/// When ready, the first line on standard output is `listening on http://ADDR:PORT`, or https://;
/// the log goes to standard error. Requests in flight are answered before it ends. What stands in
/// the environment holds where the flag is not given; a variable that is empty counts as none.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen: an address, or the name of this machine; port 0 picks a free one
    /// [default: 127.0.0.1:8080]
    ///
    /// Sockets that systemd passes (agora-vendor.socket) are listened on in its place.
    #[arg(long, value_name = "ADDR:PORT", env = "AGORA_VENDOR_LISTEN")]
    listen: Option<Listen>,

    /// Where to answer /healthz, /readyz and /metrics, for those who run it; off by default
    ///
    /// Plain HTTP that asks for no password: an address of this machine, or of a private network. A
    /// socket named admin that systemd passes is listened on in its place.
    #[arg(long, value_name = "ADDR:PORT", env = "AGORA_VENDOR_ADMIN")]
    admin: Option<Listen>,

    /// Create the database first where there is none (not for a service: a wrong path must fail
    /// there, not start empty books)
    #[arg(long)]
    init: bool,

    /// Which of Agora's two printed forms usage, bill and license answers have: its examples'
    /// (nested), or its field tables' (flat)
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        env = "AGORA_VENDOR_ENVELOPE",
        default_value_t = EnvelopeArg::Nested
    )]
    envelope: EnvelopeArg,

    /// The path that the server is mounted under, e.g. /agora; it is part of what is signed
    #[arg(
        long,
        value_name = "/P",
        env = "AGORA_VENDOR_BASE_PATH",
        default_value = "",
        hide_default_value = true
    )]
    base_path: BasePath,

    /// The TLS certificate, a PEM file with those that sign it: HTTPS in place of plain HTTP
    ///
    /// It is read again when it changes, and on SIGHUP; one that cannot be used leaves the old one
    /// in its place. The file must be readable for the user that serves.
    #[arg(long, value_name = "F", env = "AGORA_VENDOR_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The key of the TLS certificate, a PEM file
    #[arg(long, value_name = "F", env = "AGORA_VENDOR_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    #[command(flatten)]
    acme: AcmeFlags,

    #[command(flatten)]
    log: LogFlags,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EnvelopeArg {
    Nested,
    Flat,
}

/// Where to listen: an address or a name, and a port.
#[derive(Clone, Debug)]
pub(super) struct Listen(String);

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_named = text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(':') && port.parse::<u16>().is_ok()
        });
        if is_named || text.parse::<SocketAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err("write an address and a port, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080")
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Listen {
    /// The address; of a name its first one, and rather one of IPv4, which proxies are told mostly.
    fn address(&self) -> Result<SocketAddr, Failure> {
        let none = |reason: &dyn Display| {
            Failure::failed(format!("cannot listen on {}: {reason}", self.0))
        };
        let found = self.0.to_socket_addrs().map_err(|error| none(&error))?;
        let found: Vec<SocketAddr> = found.collect();
        let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
        address.copied().ok_or_else(|| none(&"the name has no address"))
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let form = args.log.form();
    // Whatever is logged: who looks for figures that are missing has to know which database it is.
    let db = shell.database.path().display().to_string();
    shell.note(&form.line(Level::Info, &shell.database.choice(), &("db", db.as_str())));
    args.log.start(form);
    match serve(args, form, shell) {
        Err(failure) if form.is_for_programs() => {
            let said = failure.sentence().said(|command| shell.database.command(command));
            log::error!("{said}");
            Ok(failure.exit())
        }
        ended => ended,
    }
}

fn serve(args: &Args, form: LineForm, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    // Until the server listens to it, which a migration may delay, SIGHUP would end the process.
    flag::register(SIGHUP, Arc::default())
        .map_err(|error| Failure::failed(format!("signals cannot be heard: {error}")))?;
    let entrances = args.entrances()?;
    if args.init && !shell.database.path().exists() {
        let (live, test) = init::create(shell, None, |_| Ok(()))?;
        log::info!(
            "created {}; its apiKey is {}, and {} for tests; {} shows a secret",
            shell.database.path().display(),
            live.api_key,
            test.api_key,
            shell.database.command("key show K --secret")
        );
    }
    if let Some(migrated) = supervisor::starting(|| migrate::migrate(shell))? {
        log::info!("{}", migrate::words(&migrated));
    }
    // The admin listener reads beside the answers, twice at a time.
    let count = server::reader_count() + 2 * u32::from(entrances.admin.is_some());
    threads::check(usize::try_from(count).unwrap_or(usize::MAX))
        .map_err(|error| Failure::failed(format!("cannot serve: {error}")))?;
    let readers = Readers::open(shell.database.path(), count);
    let readers = readers.map_err(|error| shell.database.explain(error))?;
    let writer =
        Writer::open(shell.database.path()).map_err(|error| shell.database.explain(error))?;
    let envelope = match args.envelope {
        EnvelopeArg::Nested => Envelope::Nested,
        EnvelopeArg::Flat => Envelope::Flat,
    };
    let service =
        Service::new(readers, writer, Options { envelope, base_path: args.base_path.clone() });
    let security = args.security(shell)?;
    let scheme = security.scheme();
    let serving = format!(
        "agora-vendor {} serves {} with SQLite {}",
        env!("CARGO_PKG_VERSION"),
        shell.database.path().display(),
        crate::store::sqlite_version()
    );
    let ready = |addresses: &Addresses| {
        for address in &addresses.public {
            let address = format!("{scheme}://{address}{}", args.base_path);
            log::info!(address = address.as_str(); "{serving} on {address}");
        }
        for address in &addresses.admin {
            // Whatever is logged: port 0 is known by this alone.
            let said = format!("/healthz, /readyz and /metrics are on http://{address}");
            let address = address.to_string();
            shell.note(&form.line(Level::Info, &said, &("admin", address.as_str())));
        }
        // Whoever does not listen to the address is served all the same.
        let first = addresses.public.first().map(|address| format!("{scheme}://{address}"));
        if let Err(error) = shell.say(&format!("listening on {}", first.unwrap_or_default())) {
            log::warn!("the address could not be told on standard output: {error}");
        }
    };
    server::serve(entrances, service, security, ready).map_err(|error| cannot_serve(&error))?;
    Ok(Exit::Done)
}

fn cannot_serve(error: &io::Error) -> Failure {
    let failure = Failure::failed(error.to_string());
    if error.kind() == io::ErrorKind::PermissionDenied {
        return failure.with(
            "a port below 1024 needs the capability CAP_NET_BIND_SERVICE, or systemd opens it: \
             `systemctl edit agora-vendor.socket`, as in packaging/agora-vendor-443.conf",
        );
    }
    failure
}

impl Args {
    /// Where connections are to come in: on sockets that the service manager has passed, else on
    /// the addresses that are told.
    fn entrances(&self) -> Result<Entrances, Failure> {
        let PassedSockets { public, admin } =
            PassedSockets::take().map_err(|error| Failure::failed(error.to_string()))?;
        let public = if !public.is_empty() {
            if let Some(Listen(listen)) = &self.listen {
                log::info!("listening on sockets that were passed, and not on --listen {listen}");
            }
            Entrance::Passed(public)
        } else if let Some(listen) = &self.listen {
            Entrance::Address(listen.address()?)
        } else if self.acme.options().is_some() {
            return Err(Failure::words(
                "--acme needs --listen, such as 0.0.0.0:443, or a socket that systemd passes",
            ));
        } else {
            Entrance::Address(SocketAddr::from(DEFAULT))
        };
        let admin = match &self.admin {
            _ if !admin.is_empty() => Some(Entrance::Passed(admin)),
            None => None,
            Some(admin) => Some(Entrance::Address(admin.address()?)),
        };
        Ok(Entrances { public, admin })
    }

    /// How connections are secured.
    fn security(&self, shell: &Shell<'_>) -> Result<Security, Failure> {
        let failed = |error: &dyn Display| {
            let failure = Failure::failed(format!("cannot serve over TLS: {error}"));
            if started_by() == Uid::current() {
                failure
            } else {
                // They are read again when they change, and root is gone by then.
                failure
                    .with("the server runs as the owner of the books, who must be able to read it")
            }
        };
        if let Some(options) = self.acme.options() {
            let acme = acme::Acme::open(shell.database.path(), options);
            return Ok(Security::Acme(Arc::new(acme.map_err(|error| failed(&error))?)));
        }
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(Security::Clear);
        };
        let tls = Tls::load(certificate, key).map_err(|error| failed(&error))?;
        tls.tell_expiry("TLS certificate");
        Ok(Security::Files(Arc::new(tls)))
    }
}
