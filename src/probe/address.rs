//! Where the probed server is.

use crate::agora::request::Url;
use std::str::FromStr;

/// The address of a server: where to connect to, and the path that it is mounted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether TLS is spoken.
    pub is_https: bool,
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as they were typed: the header `Host`.
    pub authority: String,
    /// The path before `/usage`; empty, or with a slash in front and none behind.
    pub base: String,
}

/// Why a text is no address of a server. Prints as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme, or none.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// A user or a password in it.
    #[error("it must not hold a user or a password")]
    Userinfo,
    /// A query or a fragment.
    #[error("it must end with the host, or with the path before /usage: leave out ? and #")]
    Query,
    /// The path of a call.
    #[error("it must end with the host, or with the path before /usage: leave out the call")]
    Call,
    /// No host, or no port behind a colon.
    #[error("it must name a host, such as https://vendor.example or http://127.0.0.1:8080")]
    Host,
    /// A path that no client sends as it is.
    #[error("its path must be printable ASCII without spaces")]
    Path,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(AddressError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        let whole = if rest.contains('/') { text.to_owned() } else { format!("{text}/") };
        let Url { origin, path, .. } = Url::split(&whole).ok_or(AddressError::Host)?;
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        if authority.contains('@') {
            return Err(AddressError::Userinfo);
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AddressError::Path);
        }
        let (host, port) = split(authority).ok_or(AddressError::Host)?;
        let base = path.trim_end_matches('/');
        if ["/usage", "/bill"].iter().any(|call| base.ends_with(call)) {
            return Err(AddressError::Call);
        }
        Ok(Self {
            is_https,
            host,
            port: port.unwrap_or(if is_https { 443 } else { 80 }),
            authority: authority.to_owned(),
            base: base.to_owned(),
        })
    }
}

/// A host, and the port where there is one.
fn split(authority: &str) -> Option<(String, Option<u16>)> {
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|port| *port > 0);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        let host = host.parse::<std::net::Ipv6Addr>().ok()?.to_string();
        return match behind.strip_prefix(':') {
            Some(digits) => Some((host, Some(number(digits)?))),
            None => behind.is_empty().then_some((host, None)),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, digits)) => (host, Some(number(digits)?)),
        None => (authority, None),
    };
    let is_host = !host.is_empty() && host.chars().all(is_name);
    is_host.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (text, is_https, host, port, base) in [
            ("http://127.0.0.1:8080", false, "127.0.0.1", 8080, ""),
            ("https://vendor.example/", true, "vendor.example", 443, ""),
            ("HTTPS://vendor.example/a/b/", true, "vendor.example", 443, "/a/b"),
            ("http://[::1]:81/a", false, "::1", 81, "/a"),
            ("http://[::1]", false, "::1", 80, ""),
        ] {
            let read: Address = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                (read.is_https, read.host.as_str(), read.port, read.base.as_str()),
                (is_https, host, port, base)
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        for (text, error) in [
            ("127.0.0.1:8080", AddressError::Scheme),
            ("ftp://h", AddressError::Scheme),
            ("http://u:p@h/", AddressError::Userinfo),
            ("http://h/?a=1", AddressError::Query),
            ("http://h#a", AddressError::Query),
            ("http://", AddressError::Host),
            ("http:///usage", AddressError::Host),
            ("http://h:", AddressError::Host),
            ("http://h:99999", AddressError::Host),
            ("http://a b", AddressError::Host),
            ("http://[::1", AddressError::Host),
            ("http://h/a b", AddressError::Path),
            ("http://h/a/usage/", AddressError::Call),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
    }
}
