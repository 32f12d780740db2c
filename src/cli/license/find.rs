//! The license of an id, or what to do where there is none.

use crate::billing::id::LicenseId;
use crate::billing::license::License;
use crate::cli::failure::Failure;
use crate::cli::near::near;
use crate::store::ReadTx;
use crate::store::license;

pub(super) fn find(tx: &ReadTx<'_>, id: &LicenseId) -> Result<License, Failure> {
    license::find(tx, id)?.ok_or_else(|| no_license(tx, id.as_str()))
}

pub(super) fn no_license(tx: &ReadTx<'_>, id: &str) -> Failure {
    match license::ids(tx) {
        Ok(ids) => Failure::not_found(format!("there is no license {id}{}", near(id, ids)))
            .hint("license list", "shows them"),
        Err(error) => error.into(),
    }
}
