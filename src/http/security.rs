//! How connections are secured: not at all, by a pair of files, or by ACME.

use crate::http::acme::Acme;
use crate::http::tls::Tls;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How connections are secured.
pub enum Security {
    /// Plain HTTP.
    Clear,
    /// TLS by a pair of files.
    Files(Arc<Tls>),
    /// TLS by certificates that the server gets itself.
    Acme(Arc<Acme>),
}

impl Security {
    /// What an address of the server begins with.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Clear => "http",
            Self::Files(_) | Self::Acme(_) => "https",
        }
    }

    /// Takes a connection's handshake; none in clear.
    pub(super) fn acceptor(&self) -> Option<&TlsAcceptor> {
        match self {
            Self::Clear => None,
            Self::Files(tls) => Some(tls.acceptor()),
            Self::Acme(acme) => Some(acme.acceptor()),
        }
    }

    /// The last second in which the certificate in use is good.
    pub(super) fn ends_at_s(&self) -> Option<i64> {
        match self {
            Self::Clear => None,
            Self::Files(tls) => tls.ends_at_s(),
            Self::Acme(acme) => acme.ends_at_s(),
        }
    }

    /// Looks whether there is another certificate; `asked` says that somebody wants it now. Where
    /// that takes a while, the task that does it is returned.
    pub(super) fn look(&self, asked: bool) -> Option<JoinHandle<()>> {
        match self {
            Self::Files(tls) => {
                let tls = Arc::clone(tls);
                // On a thread that may wait for a disk; what goes wrong is logged.
                Some(tokio::task::spawn_blocking(move || tls.reload(asked)))
            }
            Self::Acme(acme) if asked => {
                acme.try_again();
                None
            }
            Self::Clear | Self::Acme(_) => None,
        }
    }

    /// Does what has to be done beside the answers, for as long as the server runs.
    pub(super) async fn work(&self) {
        if let Self::Acme(acme) = self {
            Arc::clone(acme).work().await;
        }
    }
}
