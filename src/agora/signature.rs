//! The signature of a request: `Base64(HMAC-SHA1(apiSecret + "&", SourceString))`.
//!
//! `SourceString = METHOD & enc(path) & enc("k1=v1&k2=v2…")`, the pairs sorted by name, `signature`
//! left out. Agora's page leaves open how `enc` treats a space, `*` and `~`; both usual ways are
//! accepted, since a vendor must never turn Agora away over an encoding. Source: Agora's page
//! "Encrypted signature".

use crate::billing::key::ApiSecret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use ring::rand::SystemRandom;

/// The parameter that carries the signature and is no part of what is signed.
pub const SIGNATURE: &str = "signature";
/// The parameter that names the key pair.
pub const API_KEY: &str = "apiKey";

/// A request's parameters as they are signed: names and values, decoded, in any order.
pub type Fields = Vec<(String, String)>;

/// A way to URL-encode the path and the joined pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`, as Java's `URLEncoder` does it: space is `+`, `*`
    /// stays, `~` is `%7E`.
    Form,
    /// RFC 3986: space is `%20`, `*` is `%2A`, `~` stays.
    Rfc3986,
}

impl Encoding {
    /// Both ways, Agora's own first.
    pub const ALL: [Self; 2] = [Self::Form, Self::Rfc3986];

    /// Encodes a text.
    pub fn encode(self, text: &str) -> String {
        let mut encoded = String::with_capacity(text.len() + text.len() / 4);
        self.encode_to(&mut encoded, text);
        encoded
    }

    fn encode_to(self, encoded: &mut String, text: &str) {
        const UNRESERVED: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        match self {
            Self::Form => encoded.extend(form_urlencoded::byte_serialize(text.as_bytes())),
            Self::Rfc3986 => encoded.extend(utf8_percent_encode(text, UNRESERVED)),
        }
    }

    /// Tells whether both ways encode a text alike.
    fn agree_on(text: &str) -> bool {
        !text.contains([' ', '*', '~'])
    }
}

/// The text that is signed. `path` is what stands between host and `?`, as it is sent; of `fields`
/// all but `signature` are part of it, sorted bytewise by name.
pub fn source_string(method: &str, path: &str, fields: &Fields, encoding: Encoding) -> String {
    source_of(method, path, &joined(fields), encoding)
}

/// The signed fields as `k1=v1&k2=v2…`, sorted by name.
fn joined(fields: &Fields) -> String {
    let mut signed: Vec<&(String, String)> =
        fields.iter().filter(|(name, _)| name != SIGNATURE).collect();
    signed.sort();
    let length = signed.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut joined = String::with_capacity(length);
    for (name, value) in signed {
        let and = if joined.is_empty() { "" } else { "&" };
        joined.extend([and, name, "=", value]);
    }
    joined
}

fn source_of(method: &str, path: &str, joined: &str, encoding: Encoding) -> String {
    let mut source = String::with_capacity(method.len() + 2 * (path.len() + joined.len()));
    source.push_str(method);
    for text in [path, joined] {
        source.push('&');
        encoding.encode_to(&mut source, text);
    }
    source
}

/// A secret made ready to sign and to verify with. Shows nothing of it.
pub struct Key(hmac::Key);

impl From<&ApiSecret> for Key {
    fn from(secret: &ApiSecret) -> Self {
        let text = format!("{}&", secret.reveal());
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
    }
}

/// Signs a source string; the answer is plain Base64, 28 characters.
pub fn sign(secret: &ApiSecret, source: &str) -> String {
    STANDARD.encode(hmac::sign(&Key::from(secret).0, source.as_bytes()))
}

/// Tells whether a plain Base64 signature belongs to a request, in either encoding. The signature
/// is decoded strictly, so that no second spelling of it passes, and compared in constant time.
pub fn verify(key: &Key, method: &str, path: &str, fields: &Fields, signature: &str) -> bool {
    // A signature that does not decode is still compared, so that a refusal takes the same time.
    let given = STANDARD.decode(signature).unwrap_or_default();
    let joined = joined(fields);
    let is_signed = |encoding| {
        let source = source_of(method, path, &joined, encoding);
        hmac::verify(&key.0, source.as_bytes(), &given).is_ok()
    };
    // The encodings mostly agree; whether they do depends on the request alone, never on the
    // secret.
    let agree = Encoding::agree_on(path) && Encoding::agree_on(&joined);
    is_signed(Encoding::Form) | (!agree && is_signed(Encoding::Rfc3986))
}

/// Compares a text from outside with the right one. How long that takes says nothing of how much
/// of it is right.
pub fn is_same(wanted: &str, given: &str) -> bool {
    let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
        .expect("the system has randomness to give");
    hmac::verify(&key, given.as_bytes(), hmac::sign(&key, wanted.as_bytes()).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "U1SXE6k57vxVRjTomgquwC2F3tH8ziOB";
    const API_KEY: &str = "pzD5XinRSlmA64tZx81fL92YcBsJK0gd";

    fn secret() -> ApiSecret {
        SECRET.parse().expect("a secret")
    }

    fn key() -> Key {
        Key::from(&secret())
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn agoras_own_vector_is_reproduced() {
        let fields = fields(&[
            ("toTs", "1619917200"),
            ("pageNum", "1"),
            ("fromTs", "1619913600"),
            ("apiKey", API_KEY),
        ]);
        for encoding in Encoding::ALL {
            let source = source_string("GET", "/usage", &fields, encoding);
            assert_eq!(
                source,
                "GET&%2Fusage&apiKey%3DpzD5XinRSlmA64tZx81fL92YcBsJK0gd\
                 %26fromTs%3D1619913600%26pageNum%3D1%26toTs%3D1619917200"
            );
            assert_eq!(sign(&secret(), &source), "SFVnCVlRbrZcjMPGTWVxAE4QWZ8=");
        }
    }

    #[test]
    fn the_post_vector_follows_from_the_algorithm_as_written() {
        let fields = fields(&[("projectId", "430892"), ("apiKey", API_KEY)]);
        let source =
            source_string("POST", "/customers/123456/projects/new", &fields, Encoding::Form);
        assert_eq!(sign(&secret(), &source), "QRJDBm3gGmlFb5ZF9XBqm7u4EkI=");
    }

    #[test]
    fn the_two_encodings_differ_where_java_and_the_rfc_do() {
        assert_eq!(Encoding::Form.encode("a b*c~d/é"), "a+b*c%7Ed%2F%C3%A9");
        assert_eq!(Encoding::Rfc3986.encode("a b*c~d/é"), "a%20b%2Ac~d%2F%C3%A9");
    }

    #[test]
    fn a_second_spelling_of_the_same_bytes_does_not_pass() {
        let fields = fields(&[("a", "b")]);
        let good = sign(&secret(), &source_string("GET", "/usage", &fields, Encoding::Form));
        assert!(verify(&key(), "GET", "/usage", &fields, &good));
        // The last character before the padding holds two bits that no byte uses.
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for other in alphabet.chars().filter(|c| !good.ends_with(&format!("{c}="))) {
            let spelled = format!("{}{other}=", &good[..26]);
            assert!(!verify(&key(), "GET", "/usage", &fields, &spelled), "{spelled}");
        }
        for spelled in [
            good.trim_end_matches('=').to_owned(),
            format!("{good}="),
            format!(" {good}"),
            String::new(),
        ] {
            assert!(!verify(&key(), "GET", "/usage", &fields, &spelled), "{spelled:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        assert!(!format!("{:?}", secret()).contains("U1SX"));
    }

    #[test]
    fn a_text_is_the_same_only_as_a_whole() {
        assert!(is_same("abc", "abc") && is_same("", ""));
        for other in ["", "ab", "abcd", "abd", "Abc"] {
            assert!(!is_same("abc", other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_parameters_does_not_matter(
            pairs in prop::collection::btree_map("[a-zA-Z*~ ]{1,8}", "\\PC{0,12}", 1..8),
            seed in any::<prop::sample::Index>(),
        ) {
            let ordered: Fields = pairs.into_iter().collect();
            let mut turned = ordered.clone();
            turned.rotate_left(seed.index(ordered.len()));
            for encoding in Encoding::ALL {
                let source = source_string("GET", "/bill", &ordered, encoding);
                prop_assert_eq!(&source, &source_string("GET", "/bill", &turned, encoding));
                prop_assert!(verify(&key(), "GET", "/bill", &turned, &sign(&secret(), &source)));
            }
        }

        #[test]
        fn the_encodings_agree_where_they_are_said_to(text in "[a-z é*~+%&=/ ]{0,6}") {
            let same = Encoding::Form.encode(&text) == Encoding::Rfc3986.encode(&text);
            prop_assert_eq!(Encoding::agree_on(&text), same);
        }

        #[test]
        fn an_encoded_text_is_plain_ascii_and_decodes_to_itself(text in "\\PC{0,40}") {
            for encoding in Encoding::ALL {
                let encoded = encoding.encode(&text);
                let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~*+%".contains(&b);
                prop_assert!(encoded.bytes().all(is_plain));
                let spaced = match encoding {
                    Encoding::Form => encoded.replace('+', "%20"),
                    Encoding::Rfc3986 => encoded,
                };
                let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
                prop_assert_eq!(decoded.expect("UTF-8"), text.as_str());
            }
        }

        #[test]
        fn a_changed_value_or_path_or_method_does_not_verify(
            value in "\\PC{1,10}",
            other in "\\PC{1,10}",
        ) {
            prop_assume!(value != other);
            let signed = fields(&[("a", &value)]);
            let source = source_string("GET", "/usage", &signed, Encoding::Rfc3986);
            let signature = sign(&secret(), &source);
            prop_assert!(verify(&key(), "GET", "/usage", &signed, &signature));
            prop_assert!(!verify(&key(), "GET", "/usage", &fields(&[("a", &other)]), &signature));
            prop_assert!(!verify(&key(), "GET", "/bill", &signed, &signature));
            prop_assert!(!verify(&key(), "PUT", "/usage", &signed, &signature));
        }
    }
}
