//! `GET /customers/{customerId}/license`: until when a customer's license is good, and what remains of it.

use crate::agora::reply::{self, Envelope, Refusal, Reply};
use crate::billing::id::CustomerId;
use crate::billing::license::{License, fold};
use crate::billing::setting::Settings;
use crate::http::Failure;
use crate::store::{self, ReadTx, license, setting};

/// Reads what the answer depends on.
pub(super) fn read(tx: &ReadTx<'_>, customer_id: &CustomerId) -> store::Result<(Vec<License>, Settings)> {
    Ok((license::of(tx, customer_id)?, setting::read(tx)?))
}

/// Answers out of what was read.
pub(super) fn answer(
    (licenses, settings): &(Vec<License>, Settings),
    now_s: i64,
    envelope: Envelope,
) -> Result<Reply, Failure> {
    let standing = fold(licenses, now_s).ok_or(Refusal::NoLicense)?;

    Ok(reply::license(&standing.expire_date(), &standing.residue_count(settings), envelope))
}
