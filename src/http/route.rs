//! Which call a path is, the URL beside each.

use crate::agora::reply::{Form, ListingKind, Refusal, Reply};
use crate::agora::request;

/// A call of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// `GET /usage` and `GET /bill`
    Listing(ListingKind),
    /// `GET /customers/{customerId}/license`
    License,
    /// `GET /healthz`, unsigned
    Health,
}

/// A path that is a call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// The call.
    pub call: Call,
    /// The customer's segment of the path, as sent; empty where the call has none.
    customer: &'a str,
}

/// A path and method that are no call's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unrouted {
    pub refusal: Refusal,
    pub form: Form,
}

impl Unrouted {
    pub(super) fn reply(&self) -> Reply {
        self.refusal.reply(self.form)
    }
}

impl Call {
    fn form(self) -> Form {
        match self {
            Self::Listing(_) => Form::Listing,
            Self::License | Self::Health => Form::Word,
        }
    }
}

impl Route<'_> {
    /// The form in which the call's refusals are told.
    pub(super) fn form(&self) -> Form {
        self.call.form()
    }

    /// The customer id in the path, decoded.
    pub(super) fn customer_id(&self) -> Result<String, request::Error> {
        request::decode_segment(self.customer, "customerId")
    }
}

/// The path that a server is mounted under: empty, or `/` and segments without a `/` at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl std::fmt::Display for BasePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for BasePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let path = text.trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_graphic() && !b"?#%".contains(&b);
        match path.is_empty() || (path.starts_with('/') && path.bytes().all(plain)) {
            true => Ok(Self(path.to_owned())),
            false => Err("a path such as /agora is wanted: it starts with / and has no space, ?, # or %"),
        }
    }
}

impl BasePath {
    /// Finds the call that a method and a path are.
    pub(super) fn find<'a>(&self, method: &str, path: &'a str) -> Result<Route<'a>, Unrouted> {
        let unknown = || Unrouted { refusal: Refusal::UnknownPath, form: Form::Word };
        let path = path.strip_prefix(self.0.as_str()).ok_or_else(unknown)?;
        let mut segments = path.split('/');
        let segments = [(); 5].map(|()| segments.next());
        let (call, customer) = match segments {
            [Some(""), Some("usage"), None, ..] => (Call::Listing(ListingKind::Usage), ""),
            [Some(""), Some("bill"), None, ..] => (Call::Listing(ListingKind::Bill), ""),
            [Some(""), Some("customers"), Some(customer), Some("license"), None] if !customer.is_empty() => {
                (Call::License, customer)
            }
            [Some(""), Some("healthz"), None, ..] => (Call::Health, ""),
            _ => return Err(unknown()),
        };
        match method {
            // HEAD is GET without the body, and is signed as HEAD.
            "GET" | "HEAD" => Ok(Route { call, customer }),
            _ => Err(Unrouted { refusal: Refusal::WrongMethod { allow: "GET, HEAD" }, form: call.form() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(base: &str, method: &str, path: &'a str) -> Result<(Call, &'a str), u16> {
        let base: BasePath = base.parse().expect("a base path");
        base.find(method, path).map(|route| (route.call, route.customer)).map_err(|e| e.refusal.status())
    }

    #[test]
    fn every_call_has_its_path_and_no_other() {
        for (path, call) in [
            ("/usage", Ok((Call::Listing(ListingKind::Usage), ""))),
            ("/bill", Ok((Call::Listing(ListingKind::Bill), ""))),
            ("/customers/12/license", Ok((Call::License, "12"))),
            ("/customers/a%2Fb/license", Ok((Call::License, "a%2Fb"))),
            ("/healthz", Ok((Call::Health, ""))),
            ("/", Err(404)),
            ("", Err(404)),
            ("*", Err(404)),
            ("/usage/", Err(404)),
            ("//usage", Err(404)),
            ("/Usage", Err(404)),
            ("/%75sage", Err(404)),
            ("/customers//license", Err(404)),
            ("/customers/12", Err(404)),
            ("/customers/12/license/", Err(404)),
            ("/customers/12/license/x/y", Err(404)),
        ] {
            assert_eq!(found("", "GET", path), call, "{path}");
        }
    }

    #[test]
    fn a_path_is_looked_at_before_the_method() {
        assert_eq!(found("", "POST", "/usage"), Err(405));
        assert_eq!(found("", "get", "/usage"), Err(405));
        assert_eq!(found("", "POST", "/nowhere"), Err(404));
    }

    #[test]
    fn a_base_path_stands_before_every_call() {
        assert_eq!(found("/agora", "GET", "/agora/usage"), Ok((Call::Listing(ListingKind::Usage), "")));
        assert_eq!(found("/agora/", "GET", "/agora/usage"), Ok((Call::Listing(ListingKind::Usage), "")));
        assert_eq!(found("/agora", "GET", "/usage"), Err(404));
        assert_eq!(found("/agora", "GET", "/agorausage"), Err(404));
        for bad in ["agora", "/a b", "/a?b", "/a%20b"] {
            assert!(bad.parse::<BasePath>().is_err(), "{bad}");
        }
    }
}
