//! Plays Agora against a vendor's server, whoever made it: signed as Agora signs, with its
//! patience, over HTTP or HTTPS. It needs no books.
//!
//! `address`, `trust` and `client` send one request; `session` asks as Agora does and keeps what is
//! found; `check` says what a finding is. The checks: `pages` and `page` (usage and bill),
//! `signing`, `parameters`, `license`, `provisioning`, `load`. `refusal`, `reply_form` and
//! `decimal` judge single answers. `secrets` keeps the secret out of what is shown.

mod address;
mod check;
mod client;
mod decimal;
mod license;
mod load;
mod page;
mod pages;
mod parameters;
mod provisioning;
mod refusal;
mod reply_form;
mod secrets;
mod session;
mod signing;
mod trust;

pub use address::{Address, AddressError};
pub use check::{CheckFinding, Grade};
pub use load::{Latencies, milliseconds};
pub use provisioning::{Dialect, Trial};
pub use trust::Trust;

use crate::agora::outgoing::{Outgoing, Signer};
use crate::agora::reply::StatusForm;
use crate::billing::id::CustomerId;
use crate::billing::statement::ListingKind;
use check::{Asker, Demand};
use client::Caller;
use session::Session;
use std::io;
use tokio::runtime::Builder;

/// The customer whose license is asked for where none is named.
pub const STRANGER: &str = "probe";

const REACHED: Demand = Demand {
    name: "reached",
    wanted: "a connection, over HTTPS with a certificate that is trusted",
    asker: Asker::Usage,
};

/// What is probed, and how.
pub struct ProbeOrder {
    /// Where the server is.
    pub address: Address,
    /// Whose certificates are taken; `None` for HTTP.
    pub trust: Option<Trust>,
    /// What requests are signed with.
    pub signer: Signer,
    /// A customer who has a license.
    pub customer: Option<CustomerId>,
    /// What is provisioned; `None`: nothing is written.
    pub trial: Option<Trial>,
    /// How many seconds of load.
    pub load_s: Option<u32>,
    /// The clock as it begins, in Unix seconds.
    pub now_s: i64,
}

/// What a probing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Each check, in the order in which they were made.
    pub checks: Vec<CheckFinding>,
    /// Of the load, where there was one.
    pub latencies: Option<Latencies>,
}

impl Findings {
    /// How many checks ended so.
    pub fn count(&self, result: Grade) -> usize {
        self.checks.iter().filter(|finding| finding.result == result).count()
    }
}

/// Probes a server.
///
/// # Errors
/// When the system has no means to.
pub fn run(order: ProbeOrder) -> io::Result<Findings> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(probe(order));
    // A name that is still looked for is not waited for.
    runtime.shutdown_background();
    Ok(findings)
}

/// The most characters of what is shown of a server's answer.
const MOST_SHOWN: usize = 400;

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

async fn probe(order: ProbeOrder) -> Findings {
    let ProbeOrder { address, trust, signer, customer, trial, load_s, now_s } = order;
    let (base, authority) = (address.base.clone(), address.authority.clone());
    let sent = format!("a connection to {authority}");
    let client = match Caller::reach(address, trust).await {
        Ok(client) => client,
        Err(problem) => {
            let checks = vec![REACHED.found("", Grade::Fail, &sent, &problem)];
            return Findings { checks, latencies: None };
        }
    };
    let mut session = Session::new(client, signer);
    session.add(REACHED.found("", Grade::Pass, &sent, "connected"));
    for kind in ListingKind::ALL {
        pages::check(&mut session, &base, kind, now_s).await;
        let [closed, _] = pages::windows(kind, now_s);
        let asked = Outgoing::listing(&base, kind, closed, 1, None);
        signing::check_call(
            &mut session,
            kind.as_str(),
            &asked,
            signing::shape(StatusForm::Listing),
        )
        .await;
        signing::check_altered(&mut session, &base, kind, &asked).await;
        if kind == ListingKind::Usage {
            signing::check_encodings(&mut session, &asked).await;
            parameters::check_places(&mut session, &base, &asked).await;
        }
        parameters::check(&mut session, kind.as_str(), &asked).await;
    }
    if let Some(trial) = &trial {
        provisioning::begin(&mut session, &base, trial, now_s).await;
    }
    let stranger = || STRANGER.parse().expect("it is an id");
    let tried = trial.as_ref().map(|trial| trial.customer.clone());
    let is_named = customer.is_some();
    let licensed = customer.or(tried).unwrap_or_else(stranger);
    license::check(&mut session, &base, (&licensed, is_named)).await;
    if let Some(trial) = &trial {
        provisioning::end(&mut session, &base, trial).await;
    }
    session.judge_times();
    let mut latencies = None;
    if let Some(seconds) = load_s {
        let [closed, _] = pages::windows(ListingKind::Usage, now_s);
        let asked = Outgoing::listing(&base, ListingKind::Usage, closed, 1, None);
        latencies = load::check(&mut session, &asked, seconds).await;
    }
    let Session { findings, secrets, .. } = session;
    let hidden = |finding: CheckFinding| CheckFinding {
        sent: cut(&secrets.hide(&finding.sent)),
        got: cut(&secrets.hide(&finding.got)),
        ..finding
    };
    Findings { checks: findings.into_iter().map(hidden).collect(), latencies }
}
