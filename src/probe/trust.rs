//! Whose certificates the probe takes.

use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// What checks a server's certificate.
#[derive(Clone)]
pub struct Trust(pub(super) TlsConnector);

impl Trust {
    /// Takes certificates that the system trusts, or those that one in a PEM file has signed.
    ///
    /// # Errors
    /// What is wrong with the file, or that the system trusts nobody; in words.
    pub fn read(ca: Option<&Path>) -> Result<Self, String> {
        let roots = match ca {
            None => system()?,
            Some(path) => {
                file(path).map_err(|problem| format!("--ca {}: {problem}", path.display()))?
            }
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider knows both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

fn system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("this system trusts no certificate authority: install the package \
                    ca-certificates, or name a file with --ca"
            .to_owned());
    }
    Ok(roots)
}

fn file(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let all = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for one in all {
        let one = one.map_err(|error| error.to_string())?;
        roots.add(one).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate: a PEM file with CERTIFICATE is needed".to_owned());
    }
    Ok(roots)
}
