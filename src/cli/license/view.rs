//! A license as it is printed, for people and as JSON.

use crate::billing::license::{License, Platforms};
use crate::billing::period;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::table::print_properties;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LicenseView {
    pub(super) id: String,
    pub(super) customer_id: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    platforms: Vec<String>,
    pub(super) issued_at: String,
    pub(super) starts: String,
    starts_at: String,
    pub(super) expires: String,
    expires_at: String,
    /// Null where unlimited.
    count: Option<String>,
    /// What is left of the count, whatever its state; null where unlimited.
    residue: Option<String>,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl LicenseView {
    pub(super) fn new(license: &License, now_s: i64) -> Self {
        let platforms = license.platforms.as_ref().map_or("", Platforms::as_str);
        Self {
            id: license.id.to_string(),
            customer_id: license.customer_id.to_string(),
            kind: license.kind.as_ref().map(ToString::to_string),
            platforms: platforms
                .split('|')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            issued_at: rfc3339(license.issued_at_s),
            starts: period::date(license.starts_at_s).to_string(),
            starts_at: rfc3339(license.starts_at_s),
            expires: period::date(license.expires_at_s).to_string(),
            expires_at: rfc3339(license.expires_at_s),
            count: license.granted.as_ref().map(ToString::to_string),
            residue: license.balance.as_ref().map(ToString::to_string),
            state: license.state(now_s).as_str(),
            revoked_at: license.revoked.as_ref().map(|revoked| rfc3339(revoked.at_s)),
            reason: license
                .revoked
                .as_ref()
                .and_then(|revoked| revoked.reason.as_ref())
                .map(ToString::to_string),
        }
    }

    pub(super) fn count_words(&self) -> String {
        self.count.clone().unwrap_or_else(|| "unlimited".to_owned())
    }

    pub(super) fn residue_words(&self) -> String {
        self.residue.clone().unwrap_or_else(|| "unlimited".to_owned())
    }

    pub(super) fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            let mut properties =
                vec![("id", self.id.clone()), ("customer", self.customer_id.clone())];
            properties.extend(self.kind.clone().map(|kind| ("type", kind)));
            properties.extend(
                (!self.platforms.is_empty()).then(|| ("platforms", self.platforms.join(", "))),
            );
            properties.extend([
                ("issued", self.issued_at.clone()),
                ("starts", self.starts_at.clone()),
                ("expires", self.expires_at.clone()),
                ("count", self.count_words()),
                ("residue", self.residue_words()),
                ("state", self.state.to_owned()),
            ]);
            properties.extend(self.revoked_at.clone().map(|at| ("revoked", at)));
            properties.extend(self.reason.clone().map(|reason| ("reason", reason)));
            print_properties(out, &properties)
        })?;
        Ok(Exit::Done)
    }
}
