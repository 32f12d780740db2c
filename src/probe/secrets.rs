//! What must not be shown, whoever sends it back: the secret that signs, and the keys that a server
//! gives out.

use crate::agora::outgoing::Signer;
use crate::agora::signature::{Encoding, SIGNATURE};

/// Texts that are hidden where they stand in what is printed.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(signer: &Signer) -> Self {
        let mut secrets = Self(Vec::new());
        secrets.add(signer.api_secret.reveal());
        secrets
    }

    /// Hides one more text of at least four bytes (less stands in any word), also where it stands
    /// URL-encoded or in JSON.
    pub(super) fn add(&mut self, secret: &str) {
        let encoded = Encoding::ALL.map(|encoding| encoding.encode(secret));
        let in_json = secret.replace('\\', "\\\\").replace('"', "\\\"");
        for form in encoded.into_iter().chain([secret.to_owned(), in_json]) {
            // The longest first: a part of one is not left over.
            if form.len() >= 4 && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// A text without them.
    pub(super) fn hide(&self, text: &str) -> String {
        let hidden = self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"));
        without_signatures(&hidden)
    }
}

/// A text without the signatures in it, such as a redirect sends back: a signed request works for
/// ever.
fn without_signatures(text: &str) -> String {
    let mut parts = text.split(SIGNATURE);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept += SIGNATURE;
        let value = part.trim_start_matches(['"', '=', ':', ' ']);
        let is_value = value.len() < part.len();
        let end = |c: char| !(c.is_ascii_alphanumeric() || "+/=%".contains(c));
        let length = value.find(end).unwrap_or(value.len());
        // Base64 of 20 bytes; a word of a sentence is shorter.
        if is_value && length >= SIGNATURE_BYTES {
            kept += &part[..part.len() - value.len()];
            kept += "…";
            kept += &value[length..];
        } else {
            kept += part;
        }
    }
    kept
}

/// The characters of a signature in Base64.
const SIGNATURE_BYTES: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let signer = Signer {
            api_key: "k".parse().expect("a key"),
            api_secret: "a+b/\"c".parse().expect("a secret"),
        };
        let mut secrets = Secrets::of(&signer);
        secrets.add("other");
        let text = r#"x a+b/"c a+b/\"c a%2Bb%2F%22c other y"#;
        assert_eq!(secrets.hide(text), "x … … … … y");
        let text = "the signature is wrong: /u?a=1&signature=SFVnCVlRbrZcjMPGTWVxAE4QWZ8%3D&b=2 \
                    {\"signature\":\"SFVnCVlRbrZcjMPGTWVxAE4QWZ8=\"}";
        assert_eq!(
            secrets.hide(text),
            "the signature is wrong: /u?a=1&signature=…&b=2 {\"signature\":\"…\"}"
        );
    }
}
