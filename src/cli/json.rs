//! Values as they stand in JSON documents.

use crate::billing::amount::Amount;

/// An amount as it stands in JSON documents: a string, so that no tool in a pipe rounds it.
pub(super) fn exact<S: serde::Serializer>(
    amount: &Amount,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}
