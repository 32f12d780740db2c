//! What is asked: targets signed beforehand, and requests as they are sent.

use agora_vendor::agora::signature::{self, API_KEY, Encoding, SIGNATURE};
use agora_vendor::billing::key::KeyPair;
use agora_vendor::billing::period::Period;

/// Signs a GET.
pub fn signed(pair: &KeyPair, path: &str, fields: &[(&str, String)]) -> String {
    let mut fields: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    fields.push((API_KEY.to_owned(), pair.api_key.to_string()));
    let source = signature::source_string("GET", path, &fields, Encoding::Form);
    let signature = Encoding::Form.encode(&signature::sign(&pair.api_secret, &source));
    let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{path}?{}&{SIGNATURE}={signature}", query.join("&"))
}

/// A page of a window's usage (`/usage`) or bill (`/bill`).
pub fn page(pair: &KeyPair, path: &str, period: Period, page: usize, limit: usize) -> String {
    let fields = [
        ("fromTs", period.first_s().to_string()),
        ("toTs", period.last_s().to_string()),
        ("pageNum", page.to_string()),
        ("limit", limit.to_string()),
    ];
    signed(pair, path, &fields)
}

/// A customer's license.
pub fn license(pair: &KeyPair, customer_id: &str) -> String {
    signed(pair, &format!("/customers/{customer_id}/license"), &[])
}

/// The request for a target, as it is sent to whichever server.
pub fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// So many of the pages of these days' usage, no two alike, in no order: whole pages of all
/// projects with limits from 50 to 150, and each listing's last.
pub fn pages(pair: &KeyPair, days: &[Period], projects: usize, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for day in days {
        for limit in 50..=150 {
            all.extend((1..=projects.div_ceil(limit)).map(|number| (*day, number, limit)));
        }
    }
    shuffle(&mut all);
    all.into_iter()
        .take(count)
        .map(|(day, number, limit)| page(pair, "/usage", day, number, limit))
        .collect()
}

/// Page 1 of each of these days' usage: before it is asked for there are no later pages.
pub fn first_pages(pair: &KeyPair, days: &[Period]) -> Vec<String> {
    days.iter().map(|day| page(pair, "/usage", *day, 1, 100)).collect()
}

/// Puts items into an order that is the same in every run and else like chance (a linear
/// congruential generator, after Knuth's MMIX).
pub fn shuffle<T>(items: &mut [T]) {
    let mut state = 1_u64;
    for last in (1..items.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let upper = usize::try_from(state >> 33).expect("31 bits");
        items.swap(last, upper % (last + 1));
    }
}
