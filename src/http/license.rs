//! `GET /customers/{customerId}/license`: until when a customer's license is good, and what remains of it.

use crate::agora::reply::{self, Envelope, Refusal, Reply};
use crate::billing::license::{License, fold};
use crate::billing::setting::Settings;

/// Answers out of a customer's licenses.
pub(super) fn answer(
    licenses: &[License],
    settings: &Settings,
    now_s: i64,
    envelope: Envelope,
) -> Result<Reply, Refusal> {
    let standing = fold(licenses, now_s).ok_or(Refusal::NoLicense)?;

    Ok(reply::license(&standing.expire_date(), &standing.residue_count(settings), envelope))
}
