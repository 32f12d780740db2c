//! Agora's calls as a client makes them: method, path, parameters, and the signature in its place.
//!
//! What signs here is what verifies in the server (`agora/signature`), so both sides have one
//! description.

use crate::agora::signature::{self, API_KEY, Encoding, Fields, SIGNATURE, source_string};
use crate::billing::id::{ApiKey, CustomerId, ProjectId};
use crate::billing::key::ApiSecret;
use crate::billing::period::Period;
use crate::billing::statement::ListingKind;
use serde_json::Value;

/// A request of Agora that is not signed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// What stands between host and `?`.
    pub path: String,
    /// The parameters, without key and signature: of the query of a GET, else of the body.
    pub fields: Fields,
    /// Whether a `projectId` of digits is a JSON number, as in the table of Agora's page.
    pub has_number: bool,
}

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// The JSON body of a POST or a PUT.
    pub body: Option<String>,
}

/// What a request is signed with.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Sent in every request.
    pub api_key: ApiKey,
    /// Never sent.
    pub api_secret: ApiSecret,
}

impl Outgoing {
    /// A request with neither key nor signature.
    pub fn new(method: &'static str, path: String, fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { method, path, fields: fields.iter().map(owned).collect(), has_number: true }
    }

    /// Asks for a page of the usage or the bill of a window.
    pub fn listing(
        base: &str,
        kind: ListingKind,
        window: Period,
        page_num: u32,
        limit: Option<usize>,
    ) -> Self {
        let (from_ts, to_ts) = (window.first_s().to_string(), window.last_s().to_string());
        let (page_num, limit) = (page_num.to_string(), limit.map(|limit| limit.to_string()));
        let mut fields = vec![("fromTs", &*from_ts), ("toTs", &to_ts), ("pageNum", &page_num)];
        fields.extend(limit.as_deref().map(|limit| ("limit", limit)));
        Self::new("GET", format!("{base}/{}", kind.as_str()), &fields)
    }

    /// Asks for a customer's license.
    pub fn license(base: &str, customer: &CustomerId) -> Self {
        Self::new("GET", format!("{base}/customers/{}/license", segment(customer)), &[])
    }

    /// Creates an account.
    pub fn new_account(base: &str, customer: &CustomerId, contact: &[(&str, &str)]) -> Self {
        let fields = [("customerId", customer.as_str()), ("planId", "probe")];
        let fields: Vec<_> = fields.iter().chain(contact).copied().collect();
        Self::new("POST", format!("{base}/customers/new"), &fields)
    }

    /// Creates a project.
    pub fn new_project(base: &str, customer: &CustomerId, project: &ProjectId) -> Self {
        let path = format!("{base}/customers/{}/projects/new", segment(customer));
        Self::new("POST", path, &[("projectId", project.as_str())])
    }

    /// Configures a license, which is good within a window.
    pub fn new_license(base: &str, customer: &CustomerId, window: Period) -> Self {
        let path = format!("{base}/license/customers/{}/activate", segment(customer));
        let expire = format!("{}-{}", window.first_s(), window.last_s());
        Self::new("PUT", path, &[("platform", "android|ios"), ("expire", &expire)])
    }

    /// Deactivates an account.
    pub fn end_account(base: &str, customer: &CustomerId) -> Self {
        Self::new("PUT", format!("{base}/customers/{}/deactivate", segment(customer)), &[])
    }

    /// Deactivates a project.
    pub fn end_project(base: &str, customer: &CustomerId, project: &ProjectId) -> Self {
        let (customer, project) = (segment(customer), segment(project));
        let path = format!("{base}/customers/{customer}/projects/{project}/deactivate");
        Self::new("PUT", path, &[])
    }

    /// The same without a parameter.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self
    }

    /// The same with one more parameter.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with another value of a parameter, in its place.
    pub fn but(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(other, _)| other == name) {
            Some((_, before)) => value.clone_into(before),
            None => return self.with(name, value),
        }
        self
    }

    /// Signs it: plain Base64.
    pub fn signature(&self, signer: &Signer, encoding: Encoding) -> String {
        let mut fields = self.fields.clone();
        fields.push((API_KEY.to_owned(), signer.api_key.to_string()));
        let source = source_string(self.method, &self.path, &fields, encoding);
        signature::sign(&signer.api_secret, &source)
    }

    /// The request with a key and a signature, either of which may be left out.
    pub fn wire(&self, api_key: Option<&ApiKey>, signature: Option<&str>) -> Wire {
        let mut fields = self.fields.clone();
        fields.extend(api_key.map(|key| (API_KEY.to_owned(), key.to_string())));
        fields.extend(signature.map(|signature| (SIGNATURE.to_owned(), signature.to_owned())));
        if self.method == "GET" {
            let query = query(&fields);
            let join = if query.is_empty() { "" } else { "?" };
            let target = format!("{}{join}{query}", self.path);
            return Wire { method: self.method, target, body: None };
        }
        let body = Some(self.json(&fields));
        Wire { method: self.method, target: self.path.clone(), body }
    }

    /// The request, signed as Agora signs.
    pub fn signed(&self, signer: &Signer) -> Wire {
        self.signed_by(signer, Encoding::Form)
    }

    /// The request, signed over text that is URL-encoded in one of the two ways.
    pub fn signed_by(&self, signer: &Signer, encoding: Encoding) -> Wire {
        self.wire(Some(&signer.api_key), Some(&self.signature(signer, encoding)))
    }

    /// What is sent, for people: without key and signature, since a signed request works for ever.
    pub fn words(&self) -> String {
        if self.method == "GET" {
            let query = query(&self.fields);
            let join = if query.is_empty() { "" } else { "?" };
            return format!("GET {}{join}{query}", self.path);
        }
        format!("{} {} {}", self.method, self.path, self.json(&self.fields))
    }

    fn json(&self, fields: &Fields) -> String {
        let pair = |(name, value): &(String, String)| {
            let is_bare = self.has_number && name == "projectId" && is_number(value);
            let value =
                if is_bare { value.clone() } else { Value::from(value.as_str()).to_string() };
            format!("{}:{value}", Value::from(name.as_str()))
        };
        format!("{{{}}}", fields.iter().map(pair).collect::<Vec<_>>().join(","))
    }
}

/// Tells whether digits are a JSON number as they stand.
fn is_number(text: &str) -> bool {
    let is_plain = !text.starts_with('0') || text == "0";
    is_plain && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn query(fields: &Fields) -> String {
    let encode = |text: &str| Encoding::Rfc3986.encode(text);
    let pair = |(name, value): &(String, String)| format!("{}={}", encode(name), encode(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// An id as one segment of a path.
fn segment(id: &impl AsRef<str>) -> String {
    Encoding::Rfc3986.encode(id.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agora::request::{Body, Query};
    use crate::agora::signature::{Key, verify};

    fn signer() -> Signer {
        Signer {
            api_key: "pzD5XinRSlmA64tZx81fL92YcBsJK0gd".parse().expect("a key"),
            api_secret: "U1SXE6k57vxVRjTomgquwC2F3tH8ziOB".parse().expect("a secret"),
        }
    }

    #[test]
    fn agoras_own_example_is_sent_as_agora_prints_it() {
        let window = Period::new(1_619_913_600, 1_619_917_200).expect("a window");
        let asked = Outgoing::listing("", ListingKind::Usage, window, 1, None);
        assert_eq!(
            asked.signed(&signer()).target,
            "/usage?fromTs=1619913600&toTs=1619917200&pageNum=1\
             &apiKey=pzD5XinRSlmA64tZx81fL92YcBsJK0gd&signature=SFVnCVlRbrZcjMPGTWVxAE4QWZ8%3D"
        );
        assert_eq!(asked.words(), "GET /usage?fromTs=1619913600&toTs=1619917200&pageNum=1");
    }

    #[test]
    fn what_is_sent_verifies_as_the_server_reads_it() {
        let customer: CustomerId = "a/b~*%".parse().expect("an id");
        let project: ProjectId = "430892".parse().expect("an id");
        let contact = [("customerName", "Ann \"*~\" é")];
        let window = Period::new(1, 2).expect("a window");
        let key = Key::from(&signer().api_secret);
        for outgoing in [
            Outgoing::license("/p", &customer),
            Outgoing::license("", &customer).with("probe", "a b*c~d+"),
            Outgoing::new_account("", &customer, &contact),
            Outgoing::new_project("", &customer, &project),
            Outgoing::new_license("", &customer, window),
            Outgoing::end_project("", &customer, &project),
            Outgoing::end_account("", &customer),
        ] {
            for encoding in Encoding::ALL {
                let Wire { method, target, body } = outgoing.signed_by(&signer(), encoding);
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let is_right = match body {
                    None => {
                        let query = Query::parse(query).expect("a query");
                        let signature = query.signature().expect("a signature").to_owned();
                        query.readings().any(|read| verify(&key, method, path, read, &signature))
                    }
                    Some(body) => {
                        let body = Body::parse(body.as_bytes()).expect("a body");
                        let signature = body.signature().expect("a signature");
                        verify(&key, method, path, body.fields(), &signature)
                    }
                };
                assert!(is_right, "{outgoing:?}");
            }
            assert!(!outgoing.words().contains("signature"), "{}", outgoing.words());
        }
    }

    #[test]
    fn a_project_is_a_number_where_it_can_be_one() {
        let customer: CustomerId = "c".parse().expect("an id");
        for (project, shown) in [("430892", "430892"), ("007", "\"007\""), ("p", "\"p\"")] {
            let asked = Outgoing::new_project("", &customer, &project.parse().expect("an id"));
            let body = asked.wire(None, None).body.expect("a body");
            assert_eq!(body, format!("{{\"projectId\":{shown}}}"));
        }
    }
}
