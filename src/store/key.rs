//! Key pairs.

use crate::billing::event::{Actor, Stamp};
use crate::billing::id::{ApiKey, CustomerId, ProjectId};
use crate::billing::key::{ApiSecret, AppKeys, KeyPair, Purpose};
use crate::store::{ReadTx, Result, WriteTx};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Row, named_params};
use std::collections::HashMap;

/// The length of the halves of a pair made here, as Agora's are, and of a project's `appKey`.
const LEN: usize = 32;
/// The length of a project's `appSecret`.
const APP_SECRET_LEN: usize = 44;

/// Makes a key pair out of the system's randomness; it is not in the books yet.
pub fn make(purpose: Purpose, now_s: i64) -> KeyPair {
    KeyPair {
        api_key: random_text(LEN).parse::<ApiKey>().expect("letters and digits are a key"),
        api_secret: random_text(LEN).parse::<ApiSecret>().expect("letters and digits are a secret"),
        purpose,
        created_at_s: now_s,
        revoked_at_s: None,
    }
}

/// Makes a project's keys out of the system's randomness; they are not in the books yet.
pub(super) fn make_app_keys() -> AppKeys {
    AppKeys {
        app_key: random_text(LEN).parse().expect("letters and digits are a key"),
        app_secret: random_text(APP_SECRET_LEN).parse().expect("letters and digits are a secret"),
    }
}

/// The keys of a project that exists only in the answer to a test call: derived from the test
/// pair's secret and the ids, so that a repeated call gives the same. Never in the books.
pub fn derive_app_keys(
    secret: &ApiSecret,
    customer_id: &CustomerId,
    project_id: &ProjectId,
) -> AppKeys {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let text = |half: &str, len| {
        let mut block = 0_u32;
        text_of(len, |bytes| {
            // Ids hold no space: no two messages are alike.
            let message = format!("{half} {customer_id} {project_id} {block}");
            bytes.copy_from_slice(hmac::sign(&key, message.as_bytes()).as_ref());
            block += 1;
        })
    };
    AppKeys {
        app_key: text("appKey", LEN).parse().expect("letters and digits are a key"),
        app_secret: text("appSecret", APP_SECRET_LEN)
            .parse()
            .expect("letters and digits are a secret"),
    }
}

/// So many letters and digits out of the system's randomness.
fn random_text(len: usize) -> String {
    let random = SystemRandom::new();
    text_of(len, |bytes| random.fill(bytes).expect("the system has randomness to give"))
}

/// So many letters and digits, each as likely as the others where `fill` gives random bytes.
fn text_of(len: usize, mut fill: impl FnMut(&mut [u8; 32])) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // The largest multiple of the alphabet's length that a byte reaches; what is above would favour
    // its start.
    const EVEN: u8 = 248;
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let mut bytes = [0; 32];
        fill(&mut bytes);
        let fair = bytes
            .iter()
            .filter(|byte| **byte < EVEN)
            .map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        text.extend(fair.take(len - text.len()));
    }
    text
}

/// Puts a key pair into the books; tells whether its public half was new. One that is there stays
/// as it is.
///
/// # Errors
/// When SQLite fails.
pub fn add(tx: &WriteTx<'_>, pair: &KeyPair) -> Result<bool> {
    add_by(tx, pair, None)
}

/// The same with who adds it.
///
/// # Errors
/// When SQLite fails.
pub fn add_by(tx: &WriteTx<'_>, pair: &KeyPair, actor: Option<&Actor>) -> Result<bool> {
    const INSERT: &str = "
        insert into api_key (api_key, api_secret, purpose, created_at_s, created_by)
        values (:api_key, :api_secret, :purpose, :created_at_s, :created_by)
        on conflict (api_key) do nothing";
    let inserted = tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":api_key": pair.api_key,
        ":api_secret": pair.api_secret,
        ":purpose": pair.purpose,
        ":created_at_s": pair.created_at_s,
        ":created_by": actor,
    })?;
    Ok(inserted == 1)
}

/// All key pairs, revoked ones too, in the order in which they were written: that decides which is
/// the newer one, since two may be made in the same second, and a clock may be set back.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<KeyPair>> {
    const SELECT: &str = "
        select api_key, api_secret, purpose, created_at_s, revoked_at_s
        from api_key
        order by seq";
    let pair = |row: &Row<'_>| {
        Ok(KeyPair {
            api_key: row.get(0)?,
            api_secret: row.get(1)?,
            purpose: row.get(2)?,
            created_at_s: row.get(3)?,
            revoked_at_s: row.get(4)?,
        })
    };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], pair)?.collect::<rusqlite::Result<_>>()?)
}

/// The key pairs whose signatures are accepted, the oldest first.
///
/// # Errors
/// When SQLite fails.
pub fn accepted(tx: &ReadTx<'_>) -> Result<Vec<KeyPair>> {
    let mut pairs = list(tx)?;
    pairs.retain(|pair| pair.revoked_at_s.is_none());
    Ok(pairs)
}

/// Takes a key pair out of use; one that was revoked before stays as it is.
///
/// # Errors
/// When SQLite fails.
pub fn revoke(tx: &WriteTx<'_>, api_key: &ApiKey, stamp: &Stamp) -> Result<()> {
    const UPDATE: &str = "
        update api_key
        set revoked_at_s = :now_s,
            revoked_by = :revoked_by
        where api_key = :api_key
          and revoked_at_s is null";
    tx.sql().prepare_cached(UPDATE)?.execute(named_params! {
        ":api_key": api_key, ":now_s": stamp.at_s, ":revoked_by": stamp.actor,
    })?;
    Ok(())
}

/// Who added and who revoked a pair, as far as that was kept.
pub type KeyActors = (Option<Actor>, Option<Actor>);

/// Who added and who revoked each pair.
///
/// # Errors
/// When SQLite fails.
pub fn actors(tx: &ReadTx<'_>) -> Result<HashMap<ApiKey, KeyActors>> {
    const SELECT: &str = "
        select api_key, created_by, revoked_by
        from api_key";
    let actors = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map([], actors)?.collect::<rusqlite::Result<_>>()?)
}
