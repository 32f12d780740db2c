//! TLS for the listener: a certificate and its key, read from files and read again when they
//! change. TLS 1.2 and 1.3, HTTP/1.1 alone.
//!
//! A pair that cannot be used never takes the place of one that can: the old one stays, and the log
//! says why. Connections that stand are not touched by a new pair.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How many days before its end a certificate is warned of.
pub const WARN_DAYS: i64 = 14;
const DAY_S: i64 = 86_400;
/// What a certificate authority offers to speak where it checks a host (RFC 8737), and nobody else.
const CHALLENGE: &[u8] = b"acme-tls/1";

/// Why a pair of files cannot be used. Prints as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("{}: {problem}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The two do not belong together, or the key is of a kind that TLS does not know.
    #[error("{} and {} cannot be used together: {source}", .certificate.display(), .key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// Why a text is no certificate, no key, or not the two together.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("{0}")]
    Chain(String),
    #[error("{0}")]
    Key(String),
    #[error("the certificate and the key cannot be used together: {0}")]
    Together(rustls::Error),
}

/// A certificate with those that sign it, and its key.
pub(super) struct Certificate {
    certified: Arc<CertifiedKey>,
    /// The hosts that it is for.
    names: Vec<String>,
    /// The first second in which it is good, in Unix seconds.
    begins_at_s: i64,
    /// The last one.
    expires_at_s: i64,
}

impl Certificate {
    /// Reads a chain and its key, both PEM, and checks that they belong together.
    pub(super) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Unusable> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| Unusable::Chain(error.to_string()))?;
        let first = chain.first().ok_or_else(|| {
            let none = "it holds no certificate: a PEM file with CERTIFICATE is needed";
            Unusable::Chain(none.to_owned())
        })?;
        let (_, parsed) = X509Certificate::from_der(first)
            .map_err(|error| Unusable::Chain(format!("its certificate is broken: {error}")))?;
        let (begins_at_s, expires_at_s) =
            (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        let names = names(&parsed);
        let private = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            Unusable::Key(if matches!(error, pem::Error::NoItemsFound) {
                "it holds no key: a PEM file with PRIVATE KEY is needed".to_owned()
            } else {
                error.to_string()
            })
        })?;
        let certified = CertifiedKey::from_der(chain, private, &ring::default_provider());
        let certified = Arc::new(certified.map_err(Unusable::Together)?);
        Ok(Self { certified, names, begins_at_s, expires_at_s })
    }

    /// Reads a pair of files, and checks that they belong together.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let file = |path: &Path, problem: String| Error::File { path: path.to_owned(), problem };
        let read = |path: &Path| fs::read(path).map_err(|error| file(path, error.to_string()));
        Self::from_pem(&read(certificate)?, &read(key)?).map_err(|unusable| match unusable {
            Unusable::Chain(problem) => file(certificate, problem),
            Unusable::Key(problem) => file(key, problem),
            Unusable::Together(source) => {
                Error::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source }
            }
        })
    }

    /// Tells whether it is for a host.
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// The first second in which it is good.
    pub(super) fn begins_at_s(&self) -> i64 {
        self.begins_at_s
    }

    /// The last second in which it is good.
    pub(super) fn expires_at_s(&self) -> i64 {
        self.expires_at_s
    }

    /// The certificate itself, without those that sign it.
    pub(super) fn der(&self) -> &CertificateDer<'static> {
        self.certified.cert.first().expect("a certificate was read")
    }

    /// Until when it is good, in words.
    pub(super) fn end(&self, now_s: i64) -> String {
        let days = (self.expires_at_s - now_s).div_euclid(DAY_S);
        let day = day(self.expires_at_s);
        if days < 0 {
            format!("expired on {day}: clients refuse it")
        } else {
            format!("is good until {day}, for {days} days")
        }
    }
}

/// The hosts that a certificate is for.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(host) => Some((*host).to_owned()),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    };
    names.value.general_names.iter().filter_map(host).collect()
}

/// The last second in which the certificate of a PEM file is good, in Unix seconds.
///
/// # Errors
/// When the file cannot be read, or holds no certificate.
pub fn expires_at_s(certificate: &Path) -> Result<i64, Error> {
    let file = |problem: String| Error::File { path: certificate.to_owned(), problem };
    let der = CertificateDer::from_pem_file(certificate).map_err(|e| file(e.to_string()))?;
    last_second(&der).map_err(file)
}

/// The last second in which a certificate is good, in Unix seconds.
pub(super) fn last_second(der: &CertificateDer<'_>) -> Result<i64, String> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    Ok(parsed.validity().not_after.timestamp())
}

/// A day in UTC, of Unix seconds.
pub(super) fn day(at_s: i64) -> String {
    jiff::Timestamp::from_second(at_s)
        .map_or_else(|_| "a far day".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// What handshakes are answered with: the certificate in use, if there is one, and the certificates
/// by which an authority checks hosts.
#[derive(Default)]
pub(super) struct Current {
    certificate: RwLock<Option<Arc<Certificate>>>,
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Current {
    /// The certificate in use.
    pub(super) fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a certificate into use.
    pub(super) fn put(&self, certificate: Certificate) {
        let mut current = self.certificate.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(certificate));
    }

    /// Has an authority's check of a host answered by this certificate.
    pub(super) fn challenge(&self, host: &str, answer: Arc<CertifiedKey>) {
        let mut challenges = self.challenges.write().unwrap_or_else(PoisonError::into_inner);
        challenges.insert(host.to_ascii_lowercase(), answer);
    }

    /// Forgets how checks are answered.
    pub(super) fn end_challenges(&self) {
        self.challenges.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_check =
            hello.alpn().is_some_and(|offered| offered.into_iter().all(|one| one == CHALLENGE));
        if is_check {
            let host = hello.server_name()?.to_ascii_lowercase();
            let challenges = self.challenges.read().unwrap_or_else(PoisonError::into_inner);
            return challenges.get(&host).cloned();
        }
        self.certificate().map(|certificate| Arc::clone(&certificate.certified))
    }
}

/// Tells whether a handshake was an authority's check of a host: nothing is said after it.
pub(super) fn was_check(connection: &rustls::ServerConnection) -> bool {
    connection.alpn_protocol() == Some(CHALLENGE)
}

/// Takes handshakes, an authority's checks of hosts too where `checks` says so.
pub(super) fn acceptor(current: &Arc<Current>, checks: bool) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider knows both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(current) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if checks {
        config.alpn_protocols.push(CHALLENGE.to_vec());
    }
    TlsAcceptor::from(Arc::new(config))
}

/// What tells that a file has another content than before, as far as it can be told without reading
/// it.
type FileStamp = Option<(u64, u64, i64, i64)>;

/// TLS by a pair of files.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    /// Of the files as they were last read, whether they could be used or not.
    read: Mutex<[FileStamp; 2]>,
    /// The day on which the certificate's end was last told, counted from 1970.
    told_on: AtomicI64,
}

impl Tls {
    /// Reads a pair of PEM files: the certificate with those that sign it, and its key.
    ///
    /// # Errors
    /// When a file cannot be read, or the two cannot be used together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let read = [stamp(certificate), stamp(key)];
        let current = Arc::<Current>::default();
        current.put(Certificate::read(certificate, key)?);
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            acceptor: acceptor(&current, false),
            current,
            read: Mutex::new(read),
            told_on: AtomicI64::new(0),
        })
    }

    /// Takes a connection's handshake.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// The last second in which the certificate in use is good.
    pub(super) fn ends_at_s(&self) -> Option<i64> {
        Some(self.current.certificate()?.expires_at_s)
    }

    /// Reads the files again where they have changed, or where that is `asked` for; a pair that
    /// cannot be used leaves the old one in its place.
    pub fn reload(&self, asked: bool) {
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if *read == stamps && !asked {
                return self.remind();
            }
            *read = stamps;
        }
        match Certificate::read(&self.certificate, &self.key) {
            Ok(pair) => {
                self.current.put(pair);
                self.tell_expiry("TLS certificate read again");
            }
            Err(error) => {
                log::error!(
                    "the TLS certificate in use stays, since the new one is no good: {error}"
                );
            }
        }
    }

    /// Tells once a day of a certificate that ends soon.
    fn remind(&self) {
        let now_s = jiff::Timestamp::now().as_second();
        let is_told = self.told_on.load(Ordering::Relaxed) == now_s.div_euclid(DAY_S);
        let ends_soon = |used: Arc<Certificate>| used.expires_at_s - now_s < WARN_DAYS * DAY_S;
        if !is_told && self.current.certificate().is_some_and(ends_soon) {
            self.tell_expiry("TLS certificate");
        }
    }

    /// Logs until when the certificate is good: a warning where that is soon.
    pub fn tell_expiry(&self, what: &str) {
        let Some(certificate) = self.current.certificate() else { return };
        let now_s = jiff::Timestamp::now().as_second();
        self.told_on.store(now_s.div_euclid(DAY_S), Ordering::Relaxed);
        let day = day(certificate.expires_at_s);
        let file = self.certificate.display();
        match (certificate.expires_at_s - now_s).div_euclid(DAY_S) {
            ..0 => log::error!("{what}: {file} {}", certificate.end(now_s)),
            days if days < WARN_DAYS => {
                log::warn!("{what}: {file} expires on {day}, in {days} days: renew it");
            }
            _ => log::info!("{what}: {file} {}", certificate.end(now_s)),
        }
    }
}

fn stamp(path: &Path) -> FileStamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}
