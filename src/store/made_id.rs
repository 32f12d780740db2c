//! Ids that are made here.

use ring::rand::{SecureRandom, SystemRandom};
use std::fmt::Debug;
use std::str::FromStr;

/// A new id that no other has, made so that later ones sort later: a UUID of version 7 without its
/// dashes.
pub fn made_id<T: FromStr<Err: Debug>>() -> T {
    let mut random = [0; 10];
    SystemRandom::new().fill(&mut random).expect("the system has randomness to give");
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid();
    id.simple().to_string().parse().expect("hexadecimal digits are an id")
}
