//! Agora's own signed request over a real socket, and what becomes of it when a byte changes.

use crate::vendor::{API_KEY, Server, Vendor, long, read_answer, second, signed};
use std::io::{BufReader, Write};
use std::net::TcpStream;

/// The GET of Agora's page, its signature URL-encoded once more as the page says.
const TARGET: &str = "/usage?apiKey=pzD5XinRSlmA64tZx81fL92YcBsJK0gd&fromTs=1619913600&pageNum=1&toTs=1619917200&signature=SFVnCVlRbrZcjMPGTWVxAE4QWZ8%3D";

fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.ok(["record", "430892", "1.5", "--at", "2021-05-02T00:30:00Z"]);
    vendor
}

#[test]
fn agoras_own_vector_is_answered_to_the_byte() {
    let vendor = vendor();
    let answer = vendor.serve().get(TARGET);
    assert_eq!(second("2021-05-02T00:00:00Z"), 1_619_913_600);
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (
            200,
            r#"{"status":0,"statusReason":"Success getting usage data","data":{"totalSize":1,"pageNum":1,"hasNext":false,"data":[{"projectId":"430892","amount":1.5,"description":"1.5 Minute"}]}}"#
        )
    );
}

#[test]
fn the_order_of_the_parameters_and_a_lower_case_escape_do_not_matter() {
    let vendor = vendor();
    let server = vendor.serve();
    for target in [
        TARGET.replace("%3D", "%3d"),
        "/usage?signature=SFVnCVlRbrZcjMPGTWVxAE4QWZ8=&toTs=1619917200&pageNum=1&fromTs=1619913600&apiKey=pzD5XinRSlmA64tZx81fL92YcBsJK0gd".to_owned(),
        TARGET.replace("apiKey", "api%4Bey").replace("1619913600", "161991360%30"),
    ] {
        assert_eq!(server.get(&target).status, 200, "{target}");
    }
}

#[test]
fn a_changed_value_is_refused() {
    let vendor = vendor();
    let server = vendor.serve();
    for (name, other) in [
        ("apiKey=p", "apiKey=q"),
        ("1619913600", "1619913601"),
        ("1619917200", "1619917201"),
        ("pageNum=1", "pageNum=2"),
        ("signature=S", "signature=T"),
        ("WZ8%3D", "WZ9%3D"),
        ("WZ8%3D", "WZ8"),
        ("&toTs", "&more=1&toTs"),
        ("&signature=SFVnCVlRbrZcjMPGTWVxAE4QWZ8%3D", ""),
        ("apiKey=pzD5XinRSlmA64tZx81fL92YcBsJK0gd&", ""),
    ] {
        assert!(TARGET.contains(name));
        let answer = server.get(&TARGET.replace(name, other));
        assert_eq!(answer.status, 401, "{other}");
        assert!(answer.head.contains("www-authenticate: Agora-HMAC-SHA1\r\n"), "{}", answer.head);
    }
    let unknown_key = server.get(&TARGET.replace(API_KEY, "x")).body;
    assert_eq!(
        unknown_key,
        server.get(&TARGET.replace("QWZ8", "QWZ4")).body,
        "both are told alike"
    );
}

/// A connection that is kept as long as the server keeps it.
struct Keeper<'a> {
    server: &'a Server,
    stream: Option<BufReader<TcpStream>>,
}

impl Keeper<'_> {
    /// The status of the answer to `bytes`; none where the server waits for more or hangs up.
    fn status(&mut self, bytes: &[u8]) -> Option<u16> {
        let mut stream =
            self.stream.take().unwrap_or_else(|| BufReader::new(self.server.connect()));
        stream.get_mut().write_all(bytes).expect("sent");
        let answer = read_answer(&mut stream)?;
        if !answer.head.contains("connection: close") && answer.status != 400 {
            self.stream = Some(stream);
        }
        Some(answer.status)
    }
}

#[test]
fn no_single_byte_change_of_the_request_is_answered() {
    let vendor = vendor();
    let server = vendor.serve();
    let line = format!("GET {TARGET} HTTP/1.1\r\n");
    // Not the version behind it, which nobody signs: HTTP/1.0 is answered like HTTP/1.1.
    let signed_part = 0..line.len() - " HTTP/1.1\r\n".len();
    let few = b"\0\t\n\r !\"#%&+-./0123456789:;<=?@ABFGSZ[\\]^_`abfgz{|}~\x7f\x80\xc3\xff";
    let all: Vec<u8> = (0..=255).collect();
    let others: &[u8] = if long() { &all } else { few };
    let mut keeper = Keeper { server: &server, stream: None };
    let mut tried = 0;
    for place in signed_part {
        for other in others.iter().filter(|other| **other != line.as_bytes()[place]) {
            let mut changed = line.clone().into_bytes();
            changed[place] = *other;
            changed.extend_from_slice(b"Host: vendor\r\n\r\n");
            let status = keeper.status(&changed);
            let in_escape = line[..place].ends_with("%3")
                && other.eq_ignore_ascii_case(&line.as_bytes()[place]);
            if in_escape {
                assert_eq!(status, Some(200))
            } else {
                assert!(matches!(status, Some(400..=405)), "{place} {other:#x}: {status:?}")
            }
            tried += 1;
        }
    }
    assert!(tried > 5_000);
}

#[test]
fn both_encodings_and_both_readings_of_a_plus_are_accepted() {
    use agora_vendor::agora::signature::{Encoding, sign, source_string};
    let vendor = vendor();
    let server = vendor.serve();
    let secret = crate::vendor::API_SECRET.parse().expect("a secret");
    for encoding in Encoding::ALL {
        for value in ["a b", "a+b", "a*b~c", "é/%&="] {
            let mut fields: Vec<(String, String)> = [
                ("x", value),
                ("fromTs", "1619913600"),
                ("toTs", "1619917200"),
                ("pageNum", "1"),
                ("apiKey", API_KEY),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
            fields.push((
                "signature".into(),
                sign(&secret, &source_string("GET", "/usage", &fields, encoding)),
            ));
            for sent in Encoding::ALL {
                let pairs: Vec<String> =
                    fields.iter().map(|(n, v)| format!("{n}={}", sent.encode(v))).collect();
                assert_eq!(
                    server.get(&format!("/usage?{}", pairs.join("&"))).status,
                    200,
                    "{value} {encoding:?} {sent:?}"
                );
            }
            // A bare + is a space or itself, whichever was signed.
            let bare: Vec<String> = fields
                .iter()
                .map(|(n, v)| match n.as_str() {
                    "x" => format!(
                        "{n}={}",
                        Encoding::Rfc3986.encode(v).replace("%20", "+").replace("%2B", "+")
                    ),
                    "signature" => format!("{n}={}", v.replace('=', "%3D").replace('/', "%2F")),
                    _ => format!("{n}={v}"),
                })
                .collect();
            assert_eq!(
                server.get(&format!("/usage?{}", bare.join("&"))).status,
                200,
                "{value} {encoding:?}"
            );
        }
    }
}

#[test]
fn a_target_in_absolute_form_is_the_same_request() {
    let vendor = vendor();
    let server = vendor.serve();
    assert_eq!(server.get(&format!("http://vendor{TARGET}")).status, 200);
    assert_eq!(server.get(&signed(API_KEY, crate::vendor::API_SECRET, "//usage", &[])).status, 404);
}
