//! TLS for the listener: a certificate and its key, read from files and read again when they
//! change. TLS 1.2 and 1.3, HTTP/1.1 alone.
//!
//! A pair that cannot be used never takes the place of one that can: the old one stays, and the log
//! says why. Connections that stand are not touched by a new pair.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How many days before its end a certificate is warned of.
const WARN_DAYS: i64 = 14;
const DAY_S: i64 = 86_400;

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

/// A certificate in use.
struct Certificate {
    certified: Arc<CertifiedKey>,
    /// The last second in which it is good, in Unix seconds.
    expires_at_s: i64,
}

/// The pair that new connections are answered with.
struct Current(RwLock<Certificate>);

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.certified))
    }
}

/// What tells that a file has another content than before, as far as it can be told without reading
/// it.
type Stamp = Option<(u64, u64, i64, i64)>;

/// TLS by a pair of files.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    /// Of the files as they were last read, whether they could be used or not.
    read: Mutex<[Stamp; 2]>,
}

impl Tls {
    /// Reads a pair of PEM files: the certificate with those that sign it, and its key.
    ///
    /// # Errors
    /// When a file cannot be read, or the two cannot be used together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let read = [stamp(certificate), stamp(key)];
        let current = Arc::new(Current(RwLock::new(pair(certificate, key)?)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider knows both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            read: Mutex::new(read),
        })
    }

    /// Takes a connection's handshake.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again where they have changed, or where that is `asked` for; a pair that
    /// cannot be used leaves the old one in its place.
    pub fn reload(&self, asked: bool) {
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if *read == stamps && !asked {
                return;
            }
            *read = stamps;
        }
        match pair(&self.certificate, &self.key) {
            Ok(pair) => {
                *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
                self.tell_expiry("TLS certificate read again");
            }
            Err(error) => {
                log::error!(
                    "the TLS certificate in use stays, since the new one is no good: {error}"
                );
            }
        }
    }

    /// Logs until when the certificate is good: a warning where that is soon.
    pub fn tell_expiry(&self, what: &str) {
        let expires_at_s =
            self.current.0.read().unwrap_or_else(PoisonError::into_inner).expires_at_s;
        let now_s = jiff::Timestamp::now().as_second();
        let day = jiff::Timestamp::from_second(expires_at_s)
            .map_or_else(|_| "a far day".to_owned(), |end| end.strftime("%Y-%m-%d").to_string());
        let file = self.certificate.display();
        match (expires_at_s - now_s).div_euclid(DAY_S) {
            ..0 => log::error!("{what}: {file} expired on {day}: clients refuse it"),
            days if days < WARN_DAYS => {
                log::warn!("{what}: {file} expires on {day}, in {days} days: renew it");
            }
            days => log::info!("{what}: {file} is good until {day}, for {days} days"),
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Reads a pair of files, and checks that they belong together.
fn pair(certificate: &Path, key: &Path) -> Result<Certificate, Error> {
    let file = |path: &Path, problem: String| Error::File { path: path.to_owned(), problem };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| file(certificate, error.to_string()))?;
    let first = chain.first().ok_or_else(|| {
        file(certificate, "it holds no certificate: a PEM file with CERTIFICATE is needed".into())
    })?;
    let (_, parsed) = X509Certificate::from_der(first)
        .map_err(|error| file(certificate, format!("its certificate is broken: {error}")))?;
    let expires_at_s = parsed.validity().not_after.timestamp();
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            file(key, "it holds no key: a PEM file with PRIVATE KEY is needed".to_owned())
        } else {
            file(key, error.to_string())
        }
    })?;
    let certified = CertifiedKey::from_der(chain, private, &ring::default_provider());
    let certified = certified.map_err(|source| Error::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    Ok(Certificate { certified: Arc::new(certified), expires_at_s })
}
