//! Certificates by ACME (RFC 8555): ordered when there is none that fits, kept beside the database,
//! and renewed while the server runs. Nothing of it stands in the way of an answer: what fails is
//! logged and tried again, and the certificate in use stays.

mod client;
mod failed;
mod kept;
mod order;
mod renewal;

use crate::http::client::Roots;
use crate::http::tls::{Certificate, Current, acceptor, day};
use client::AuthorityClient;
use failed::Failed;
use instant_acme::{Account, AccountBuilder, CertificateIdentifier, Key};
use kept::AcmeFolder;
use order::Issued;
use renewal::{Span, due_s, wait_after};
use ring::digest::{SHA256, digest};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// How often the clock is looked at: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(2);
/// How long an order may take in all.
const ATTEMPT: Duration = Duration::from_secs(300);
/// How long a new certificate is used at least: whatever the clock or the authority says, there is
/// no end of orders.
const USED: Duration = Duration::from_secs(3_600);
/// How soon the authority is asked for its advice again: as it says itself, within these bounds.
const ADVICE: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(86_400));

/// The flag that names who signs the authority's own certificate.
const CA_FLAG: &str = "--acme-ca";

/// What a server is told of ACME.
#[derive(Clone, Debug)]
pub struct AcmeOptions {
    /// The hosts that the certificate is for.
    pub hosts: Vec<String>,
    /// The authority's directory, an https:// address.
    pub directory: String,
    /// Who signs the authority's own certificate, a PEM file; none: whoever this system trusts.
    pub ca: Option<PathBuf>,
}

/// Why a server cannot begin to serve by ACME. Prints as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// Nothing can be kept beside the database.
    #[error("certificates cannot be kept beside {}: {source}", .database.display())]
    Folder {
        /// The database.
        database: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The file of the authority's signer cannot be used.
    #[error("{0}")]
    Ca(String),
}

/// Certificates by ACME.
pub struct Acme {
    options: AcmeOptions,
    roots: Roots,
    kept: AcmeFolder,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    /// Told when an attempt shall be made at once.
    again: Notify,
}

impl Acme {
    /// Takes the certificate that is kept beside the database, if one is. Asks nobody.
    ///
    /// # Errors
    /// When nothing can be kept beside the database, or the file of the CA cannot be used.
    pub fn open(database: &Path, options: AcmeOptions) -> Result<Self, AcmeError> {
        let roots = options.ca.clone().map_or(Roots::System, Roots::File);
        if options.ca.is_some() {
            roots.read(CA_FLAG).map_err(AcmeError::Ca)?;
        }
        let kept = AcmeFolder::open(database, &options.directory)
            .map_err(|source| AcmeError::Folder { database: database.to_owned(), source })?;
        let current = Arc::<Current>::default();
        let acceptor = acceptor(&current, true);
        let acme = Self { options, roots, kept, current, acceptor, again: Notify::new() };
        acme.take_kept();
        acme.tell_start();
        Ok(acme)
    }

    /// The last second in which the certificate in use is good.
    pub(super) fn ends_at_s(&self) -> Option<i64> {
        Some(self.current.certificate()?.expires_at_s())
    }

    /// Takes a connection's handshake.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Has what waits out a failure tried again at once.
    pub(super) fn try_again(&self) {
        self.again.notify_one();
    }

    /// Orders and renews, for as long as the server runs.
    pub(super) async fn work(self: Arc<Self>) {
        loop {
            // Ends with this one.
            let mut work = JoinSet::new();
            work.spawn(Arc::clone(&self).renew());
            if let Some(Err(error)) = work.join_next().await {
                log::error!("renewing the TLS certificate broke off, and begins anew: {error}");
            }
            sleep(wait_after(1)).await;
        }
    }

    async fn renew(self: Arc<Self>) {
        let mut renewer = Renewer {
            acme: self,
            account: None,
            failures: 0,
            rest: Pause::none(),
            advised: None,
            unasked: Pause::none(),
        };
        loop {
            renewer.look().await;
            tokio::select! {
                () = sleep(LOOK) => {}
                () = renewer.acme.again.notified() => renewer.hurry(),
            }
        }
    }

    /// Takes the kept certificate, where it is better than the one in use; tells whether it is.
    fn take_kept(&self) -> bool {
        match self.kept.certificate() {
            Ok(Some(kept)) => {
                let is_better = self.current.certificate().is_none_or(|used| {
                    self.fits(&kept) && kept.expires_at_s() > used.expires_at_s()
                });
                if is_better {
                    self.current.put(kept);
                }
                is_better
            }
            Ok(None) => false,
            Err(error) => {
                log::error!("the kept TLS certificate is no good: {error}");
                false
            }
        }
    }

    /// Tells whether a certificate is for all hosts.
    fn fits(&self, certificate: &Certificate) -> bool {
        self.options.hosts.iter().all(|host| certificate.is_for(host))
    }

    fn hosts(&self) -> String {
        self.options.hosts.join(", ")
    }

    fn tell_start(&self) {
        let Some(certificate) = self.current.certificate() else {
            return log::warn!(
                "there is no TLS certificate for {} yet: until it comes from {}, no connection \
                 succeeds",
                self.hosts(),
                self.options.directory
            );
        };
        let (file, end) = (self.kept.certificate_file(), certificate.end(now_s()));
        let file = file.display();
        if !self.fits(&certificate) {
            log::warn!(
                "TLS certificate: {file} is not for all of {}: another one is ordered",
                self.hosts()
            );
        } else if certificate.expires_at_s() < now_s() {
            log::error!("TLS certificate: {file} {end}");
        } else {
            log::info!("TLS certificate: {file} {end}");
        }
    }
}

/// The files of the certificates that are kept beside a database, each with its key.
///
/// # Errors
/// When the folder cannot be read.
pub fn kept_certificates(database: &Path) -> io::Result<Vec<PathBuf>> {
    kept::certificates(database)
}

/// Who keeps the certificate good.
struct Renewer {
    acme: Arc<Acme>,
    /// The account at the authority, once it was asked for.
    account: Option<Account>,
    /// How often a certificate was asked for in vain since the last one came.
    failures: u32,
    /// How long nothing is ordered.
    rest: Pause,
    /// When the authority would have the certificate renewed.
    advised: Option<Span>,
    /// How long it is not asked again.
    unasked: Pause,
}

impl Renewer {
    /// Does what is due.
    async fn look(&mut self) {
        if self.is_due() && self.rest.is_over() {
            if block_in_place(|| self.acme.take_kept()) {
                self.advised = None;
                self.unasked = Pause::none();
                log::info!("another server has got a TLS certificate for {}", self.acme.hosts());
                self.tell_due();
            }
            if self.is_due() {
                self.attempt().await;
            }
        } else if self.unasked.is_over() {
            self.ask_advice().await;
        }
    }

    /// Forgets what was waited for.
    fn hurry(&mut self) {
        self.rest = Pause::none();
        if !self.is_due() {
            self.tell_due();
        }
    }

    /// The certificate in use, if it is for all hosts.
    fn fitting(&self) -> Option<Arc<Certificate>> {
        self.acme.current.certificate().filter(|certificate| self.acme.fits(certificate))
    }

    /// The second from which a certificate is renewed.
    fn due_s(&self, certificate: &Certificate) -> i64 {
        let life = Span { from_s: certificate.begins_at_s(), until_s: certificate.expires_at_s() };
        due_s(life, self.advised, share(certificate))
    }

    fn is_due(&self) -> bool {
        self.fitting().is_none_or(|certificate| self.due_s(&certificate) <= now_s())
    }

    fn tell_due(&self) {
        if let Some(certificate) = self.fitting() {
            let end = certificate.end(now_s());
            let due = day(self.due_s(&certificate));
            log::info!("the TLS certificate {end}; it is renewed from {due} on");
        }
    }

    /// Orders a certificate, and takes it.
    async fn attempt(&mut self) {
        let ordered = timeout(ATTEMPT, self.order()).await;
        let late = || Err(Failed::new("the authority has not come to an end within 5 minutes"));
        match ordered.unwrap_or_else(|_| late()).and_then(|issued| self.take(&issued)) {
            Ok(()) => {
                self.advised = None;
                self.unasked = Pause::none();
                log::info!("there is a new TLS certificate for {}", self.acme.hosts());
                self.tell_due();
                if self.is_due() {
                    let wait = self.rest_longer(USED);
                    log::error!(
                        "the new TLS certificate should be renewed already: is the clock of this \
                         machine right? It is used for {} min",
                        wait.as_secs() / 60
                    );
                } else {
                    self.failures = 0;
                    self.rest = Pause::of(USED);
                }
            }
            Err(failed) => self.tell_failure(&failed),
        }
    }

    async fn order(&mut self) -> Result<Issued, Failed> {
        block_in_place(|| self.acme.kept.try_to_write()).map_err(|error| {
            let file = self.acme.kept.certificate_file();
            Failed::new(format!("{} cannot be written: {error}", file.display()))
        })?;
        let account = self.account().await?;
        let used = self.acme.current.certificate().filter(|_| self.advised.is_some());
        let replaces =
            used.as_ref().and_then(|used| CertificateIdentifier::try_from(used.der()).ok());
        order::order(&account, &self.acme.options.hosts, replaces, &self.acme.current).await
    }

    /// Takes a certificate into use, also where it cannot be kept.
    fn take(&self, issued: &Issued) -> Result<(), Failed> {
        let certificate = Certificate::from_pem(issued.chain.as_bytes(), issued.key.as_bytes())
            .map_err(|error| Failed::new(format!("what the authority gave is no good: {error}")))?;
        if !self.acme.fits(&certificate) {
            return Err(Failed::new("what the authority gave is not for all hosts"));
        }
        let kept = block_in_place(|| self.acme.kept.keep(&issued.chain, &issued.key));
        if let Err(error) = kept {
            let file = self.acme.kept.certificate_file();
            log::error!(
                "the new TLS certificate is used, and is lost with this process: {} cannot be \
                 written: {error}",
                file.display()
            );
        }
        self.acme.current.put(certificate);
        Ok(())
    }

    /// Orders nothing for a while, the longer the more attempts were in vain.
    fn rest_longer(&mut self, least: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = wait_after(self.failures).max(least);
        self.rest = Pause::of(wait);
        wait
    }

    fn tell_failure(&mut self, failed: &Failed) {
        // What is known of the authority may be what is wrong.
        self.account = None;
        let wait = self.rest_longer(Duration::ZERO);
        let used = match self.acme.current.certificate() {
            Some(used) => format!("the one in use {}", used.end(now_s())),
            None => "there is none, so no connection succeeds".to_owned(),
        };
        let advice = failed.advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        log::error!(
            "no new TLS certificate for {} from {}: {failed}{advice}; {used}; the next attempt is \
             after {} min, or at once on SIGHUP",
            self.acme.hosts(),
            self.acme.options.directory,
            wait.as_secs() / 60
        );
    }

    /// The account at the authority, made where there is none. That it is asked for says that the
    /// authority's terms are agreed to.
    async fn account(&mut self) -> Result<Account, Failed> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let roots = block_in_place(|| self.acme.roots.read(CA_FLAG)).map_err(Failed::new)?;
        let key = block_in_place(|| self.account_key())?;
        let http: AccountBuilder =
            Account::builder_with_http(Box::new(AuthorityClient::new(roots)));
        let directory = self.acme.options.directory.clone();
        let (account, _) = http.create_from_key(key, directory).await?;
        self.account = Some(account.clone());
        Ok(account)
    }

    /// The account's key: the kept one, else a new one, kept before the authority hears of it.
    fn account_key(&self) -> Result<(Key, PrivateKeyDer<'static>), Failed> {
        let broken = |error: String| {
            let file = self.acme.kept.account_file();
            Failed::new(format!("the account's key {} is no good: {error}", file.display()))
                .advise("remove that file, and the server makes another account")
        };
        let kept = self.acme.kept.account().map_err(|error| broken(error.to_string()))?;
        let pem = match kept {
            Some(kept) => kept,
            None => {
                let made = rcgen::KeyPair::generate().map_err(|e| broken(e.to_string()))?;
                let pem = made.serialize_pem();
                self.acme.kept.keep_account(&pem).map_err(|e| broken(e.to_string()))?;
                pem.into_bytes()
            }
        };
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|e| broken(e.to_string()))?;
        let key = Key::from_pkcs8_der(der.clone_key()).map_err(|e| broken(e.to_string()))?;
        Ok((key, PrivateKeyDer::Pkcs8(der)))
    }

    /// Asks the authority when it would have the certificate renewed (RFC 9773). Where it does not
    /// say, two thirds of the certificate's life count.
    async fn ask_advice(&mut self) {
        let Some(certificate) = self.fitting() else { return };
        let before = self.due_s(&certificate);
        let (least, most) = ADVICE;
        let wait = match timeout(ATTEMPT, self.advice(&certificate)).await {
            Ok(Ok((window, again))) => {
                self.advised = Some(window);
                again.clamp(least, most)
            }
            Ok(Err(failed)) => {
                log::debug!("the authority does not say when to renew: {failed}");
                self.account = None;
                most / 4
            }
            Err(_) => most / 4,
        };
        self.unasked = Pause::of(wait);
        if self.due_s(&certificate) != before {
            self.tell_due();
        }
    }

    async fn advice(&mut self, certificate: &Certificate) -> Result<(Span, Duration), Failed> {
        let named = CertificateIdentifier::try_from(certificate.der()).map_err(Failed::new)?;
        let (told, again) = self.account().await?.renewal_info(&named).await?;
        let window = told.suggested_window;
        let (from_s, until_s) = (window.start.unix_timestamp(), window.end.unix_timestamp());
        Ok((Span { from_s, until_s }, again))
    }
}

/// A while that is over when either clock says so: the one that stands still while a machine
/// sleeps, or the one that may be set.
struct Pause {
    until: Instant,
    until_s: i64,
}

impl Pause {
    fn none() -> Self {
        Self::of(Duration::ZERO)
    }

    fn of(length: Duration) -> Self {
        let length_s = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
        Self { until: Instant::now() + length, until_s: now_s().saturating_add(length_s) }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until || now_s() >= self.until_s
    }
}

/// A number that follows from a certificate as if it had been thrown.
fn share(certificate: &Certificate) -> u64 {
    let digest = digest(&SHA256, certificate.der());
    let first = digest.as_ref().first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
