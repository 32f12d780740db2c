//! `GET /customers/{customerId}/license`: until when a customer's license is good, and what remains of it.

use crate::agora::reply::{self, Envelope, Refusal, Reply};
use crate::agora::request;
use crate::billing::id::CustomerId;
use crate::billing::license::{License, Residue, fold};
use crate::billing::period;
use crate::billing::setting::Settings;
use crate::http::Failure;
use crate::store::{self, ReadTx, license, setting};

/// Reads the customer id in the path.
pub(super) fn parse(customer_id: &str) -> Result<CustomerId, Refusal> {
    customer_id.parse().map_err(|_| {
        Refusal::Parameter(request::Error::Bad {
            name: "customerId",
            value: customer_id.to_owned(),
            wanted: "1 to 64 bytes of printable ASCII without space are wanted",
        })
    })
}

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

    let residue_count = match standing.residue {
        Residue::Unlimited => settings.unlimited_as().to_string(),
        Residue::Count(count) => count.to_string(),
    };
    let expire_date = period::date(standing.expires_at_s).to_string();
    Ok(reply::license(&expire_date, &residue_count, envelope))
}
