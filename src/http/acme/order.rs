//! One order: the authority checks each host, and gives a certificate.

use crate::http::acme::failed::{Failed, LEAD_HERE};
use crate::http::tls::Current;
use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, ChallengeHandle,
    ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::sign::CertifiedKey;

/// How long an authority may take for its checks, or for a certificate.
const WORK: Duration = Duration::from_secs(90);

/// A certificate with those that sign it, and its key, both PEM.
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: String,
}

/// Orders a certificate for hosts. `replaces` is the one in use, where the authority wants to be
/// told of it.
pub(super) async fn order(
    account: &Account,
    hosts: &[String],
    replaces: Option<CertificateIdentifier<'_>>,
    current: &Current,
) -> Result<Issued, Failed> {
    let identifiers: Vec<Identifier> = hosts.iter().cloned().map(Identifier::Dns).collect();
    let mut order = place(account, &identifiers, replaces).await?;
    let answers = Answers(current);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        answers.answer(authorization?).await?;
    }
    let polling = RetryPolicy::new().timeout(WORK);
    match order.poll_ready(&polling).await {
        Ok(OrderStatus::Invalid) => {
            let unsaid = || Failed::new("the authority refuses the order").advise(LEAD_HERE);
            return Err(found(&mut order).await.unwrap_or_else(unsaid));
        }
        Err(Error::Api(problem)) => {
            return Err(found(&mut order).await.unwrap_or_else(|| Failed::refused(&problem)));
        }
        polled => polled?,
    };
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&polling).await?;
    Ok(Issued { chain, key })
}

/// Places the order. That a certificate cannot be told as replaced is no reason to have none.
async fn place(
    account: &Account,
    identifiers: &[Identifier],
    replaces: Option<CertificateIdentifier<'_>>,
) -> Result<Order, Failed> {
    if let Some(replaces) = replaces {
        match account.new_order(&NewOrder::new(identifiers).replaces(replaces)).await {
            Ok(order) => return Ok(order),
            Err(error) => log::debug!("an order that replaces a certificate fails: {error}"),
        }
    }
    Ok(account.new_order(&NewOrder::new(identifiers)).await?)
}

/// What an authority's checks are answered with, until the order ends.
struct Answers<'a>(&'a Current);

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        self.0.end_challenges();
    }
}

impl Answers<'_> {
    /// Has the check of a host answered, where the authority has not checked it lately.
    async fn answer(&self, mut authorization: AuthorizationHandle<'_>) -> Result<(), Failed> {
        match authorization.status {
            AuthorizationStatus::Valid => return Ok(()),
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Revoked
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated => {
                return Err(Failed::new("the authority took an order back"));
            }
        }
        let host = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(Failed::new(format!(
                "the authority does not check {host} by TLS-ALPN-01, which is all that --acme knows"
            )));
        };
        self.0.challenge(&host, Arc::new(answer_to(&host, &challenge)?));
        Ok(challenge.set_ready().await?)
    }
}

/// The certificate that answers the check of a host (RFC 8737).
fn answer_to(host: &str, challenge: &ChallengeHandle<'_>) -> Result<CertifiedKey, Failed> {
    let made = || {
        let mut params = CertificateParams::new([host.to_owned()])?;
        let digest = challenge.key_authorization().digest();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
        let key = KeyPair::generate()?;
        Ok::<_, rcgen::Error>((params.self_signed(&key)?, key))
    };
    let broken = |error: String| Failed::new(format!("{host} cannot be vouched for: {error}"));
    let (certificate, key) = made().map_err(|error| broken(error.to_string()))?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| broken(e.to_owned()))?;
    let chain = vec![certificate.der().clone()];
    // Not compared with the certificate: its extension is one that only authorities know.
    let signer = ring::sign::any_ecdsa_type(&private).map_err(|error| broken(error.to_string()))?;
    Ok(CertifiedKey::new(chain, signer))
}

/// What the authority has against a host, as it found it by its check.
async fn found(order: &mut Order) -> Option<Failed> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            break;
        }
        let found = authorization.challenges.iter().find_map(|one| one.error.as_ref());
        if let Some(problem) = found {
            return Some(Failed::refused(problem).of(&authorization.identifier().to_string()));
        }
    }
    None
}
