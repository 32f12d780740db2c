//! The books that are asked: made through the crate's own store, filled by the import.

use crate::Outcome;
use crate::report::EXECUTABLE;
use crate::row::{project_id, whole};
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::key::{KeyPair, Purpose};
use agora_vendor::billing::license::{NewLicense, Operation};
use agora_vendor::billing::period::{DAY_S, Period};
use agora_vendor::store::{Store, key, license, project};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// Projects of one customer.
const PROJECTS_PER_CUSTOMER: usize = 4;
/// Licenses that are issued in one transaction.
const SLICE: usize = 10_000;
/// 2026-09-01T00:00:00Z.
pub const SEPTEMBER_S: i64 = 1_788_220_800;
/// 2026-10-01T00:00:00Z.
pub const OCTOBER_S: i64 = SEPTEMBER_S + 30 * DAY_S;
/// 2026-11-01T00:00:00Z.
pub const NOVEMBER_S: i64 = OCTOBER_S + 31 * DAY_S;
/// 2030-12-31T23:59:59Z, when licenses expire.
const EXPIRY_S: i64 = 1_924_991_999;

/// The key pairs of all the books, so that one signature is good everywhere.
pub struct Keys {
    /// Agora's.
    pub live: KeyPair,
    /// The operator's own: what is asked with it leaves nothing in the books.
    pub test: KeyPair,
}

impl Keys {
    /// Makes new ones.
    pub fn make() -> Self {
        Self {
            live: key::make(Purpose::Live, SEPTEMBER_S),
            test: key::make(Purpose::Test, SEPTEMBER_S),
        }
    }
}

/// Makes books with the keys, a price for everybody, and so many projects.
pub fn create(path: &Path, keys: &Keys, projects: usize) -> Outcome {
    Store::create(path, |tx| -> Outcome {
        key::add(tx, &keys.live)?;
        key::add(tx, &keys.test)?;
        for n in 0..projects {
            let customer_id = (120_000 + n / PROJECTS_PER_CUSTOMER).to_string().parse()?;
            project::announce(tx, &project_id(n).parse()?, &customer_id, None, &stamp())?;
        }
        Ok(())
    })?;
    set_price(path)
}

/// Issues a license each to so many customers that have no projects, so that no usage draws from
/// them.
pub fn issue_licenses(path: &Path, customers: usize) -> Outcome {
    let mut store = Store::open(path)?;
    let all: Vec<usize> = (0..customers).collect();
    for slice in all.chunks(SLICE) {
        store.write(|tx| -> Outcome {
            for n in slice {
                let new = NewLicense {
                    id: Some(format!("order-{n}").parse()?),
                    customer_id: licensed(*n).parse()?,
                    kind: None,
                    platforms: None,
                    starts_at_s: None,
                    expires_at_s: EXPIRY_S - whole(n % 365) * DAY_S,
                    granted: Some((1 + n).to_string().parse()?),
                    unlimited: false,
                };
                license::operate(tx, &Operation::Issue(new), None, &stamp())?
                    .map_err(|refusal| format!("{refusal:?}"))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// A customer that has a license, from 0.
pub fn licensed(n: usize) -> String {
    (200_000 + n).to_string()
}

/// The days of a stretch of whole days.
pub fn days(seconds: Range<i64>) -> Vec<Period> {
    let days = (seconds.end - seconds.start) / DAY_S;
    (0..days).map(|n| window(seconds.start + n * DAY_S, DAY_S)).collect()
}

/// A window that starts at a second and has so many.
pub fn window(first_s: i64, length_s: i64) -> Period {
    Period::new(first_s, first_s + length_s - 1).expect("seconds in order")
}

/// Prices everybody, so that descriptions have their long form.
fn set_price(path: &Path) -> Outcome {
    let words =
        ["plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "0.0099"];
    let done = Command::new(EXECUTABLE).arg("--db").arg(path).args(words).output()?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("no price: {}", String::from_utf8_lossy(&done.stderr)).into())
    }
}

/// When all of it was written, as it says.
pub fn stamp() -> Stamp {
    Stamp { at_s: NOVEMBER_S, actor: Actor::Agora }
}
