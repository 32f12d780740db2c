//! What every answer has to be, whatever it is about: its HTTP status, its type, JSON, and whether
//! it refuses.

use crate::agora::received::{Received, Scalar};
use crate::probe::client::Reaction;
use crate::probe::session::Exchanged;

/// How many characters of a body are shown.
const SHOWN: usize = 80;

/// The beginning of a body, for people.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    match text.char_indices().nth(SHOWN) {
        _ if text.is_empty() => "nothing".to_owned(),
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

impl Exchanged {
    /// The answer in short: its status and how it begins; where a redirect leads.
    pub(super) fn got(&self) -> String {
        let Reaction { status, location, body, .. } = &self.reaction;
        match location {
            Some(place) if (300..400).contains(status) => {
                format!("HTTP {status} to {place}, which is not followed")
            }
            Some(_) | None => format!("HTTP {status}: {}", excerpt(body)),
        }
    }

    /// Whether the HTTP status says that all is well.
    pub(super) fn is_2xx(&self) -> bool {
        (200..300).contains(&self.reaction.status)
    }

    /// Whether the type of the body is JSON; else what it is.
    pub(super) fn is_json(&self) -> Result<(), String> {
        let Some(given) = &self.reaction.content_type else {
            return Err("no Content-Type".to_owned());
        };
        let media = given.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/json") {
            Ok(())
        } else {
            Err(format!("Content-Type: {given}"))
        }
    }

    /// Whether a request that must be refused was answered as if it were right.
    pub(super) fn is_answered(&self) -> bool {
        let says_failed = |body: &Received| body.is_success() == Some(false);
        let is_refusal = self.body.as_ref().is_some_and(says_failed) || !self.is_2xx();
        let tells = self.body.as_ref().is_some_and(Received::tells);
        !is_refusal || tells
    }

    /// Whether a call whose status is a word was answered with success; else what is wrong.
    pub(super) fn is_success(&self) -> Result<&Received, String> {
        let body = self.body.as_ref().filter(|_| self.is_2xx()).ok_or_else(|| self.got())?;
        match body.top("status").and_then(Scalar::text) {
            Some("success") => Ok(body),
            Some(_) | None => Err(self.got()),
        }
    }
}
