//! What `setup` makes in the books: a process of its own, which works as their owner. It reads an
//! order on standard input and prints what stands then. All that is new comes in one transaction.

use crate::billing::id::{ApiKey, PlanId};
use crate::billing::key::{KeyPair, Purpose};
use crate::billing::setting::SettingName;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::init;
use crate::cli::key as pairs;
use crate::cli::moment::month;
use crate::cli::plan::set_from_document;
use crate::cli::plan_file::PlanFile;
use crate::cli::start::settle;
use crate::http::tls::Tls;
use crate::store::{ReadTx, WriteTx, key, plan, setting};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::PathBuf;

/// What is to be made or changed; nothing of what is not named.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Order {
    /// Make the books where there are none.
    pub(super) create: bool,
    /// A live pair that was agreed with Agora, with its secret.
    pub(super) pair: Option<(String, String)>,
    pub(super) late: Option<String>,
    /// The plan `default`, as `plan set --file` reads it.
    pub(super) plan: Option<String>,
    /// A certificate and its key, which the owner of the books must be able to use.
    pub(super) tls_files: Option<(PathBuf, PathBuf)>,
}

impl Order {
    /// Only that the certificate's files are looked at.
    pub(super) fn check_alone(&self) -> Self {
        Self { tls_files: self.tls_files.clone(), ..Self::default() }
    }

    /// Tells whether something in the books may change by it.
    pub(super) fn changes_books(&self) -> bool {
        self.pair.is_some() || self.late.is_some() || self.plan.is_some()
    }
}

/// What stands in the books.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BooksState {
    pub(super) exists: bool,
    pub(super) created: bool,
    /// The live pair that was added last: it signs.
    pub(super) api_key: String,
    /// Where it was made just now.
    pub(super) api_secret: Option<String>,
    pub(super) test_api_key: String,
    pub(super) late: String,
    /// The name, the unit and the price of the plan `default`.
    pub(super) plan: Option<Vec<String>>,
    /// What was changed, in words.
    pub(super) changes: Vec<String>,
}

/// Carries an order out, and prints what stands.
pub(super) fn run(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    let order = read
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str::<Order>(&text).map_err(|error| error.to_string()));
    let order = order.map_err(|error| Failure::words(format!("this is no order: {error}")))?;
    if let Some((certificate, key)) = &order.tls_files {
        Tls::load(certificate, key).map_err(|error| {
            Failure::failed(format!(
                "the certificate cannot be used by the owner of the books: {error}"
            ))
            .with("let that user read both files, or copies of them; nothing was changed")
        })?;
    }
    let standing = carry_out(&order, shell)?;
    let printed = serde_json::to_string(&standing).expect("texts are JSON");
    shell.say(&printed)?;
    Ok(Exit::Done)
}

fn carry_out(order: &Order, shell: &mut Shell<'_>) -> Result<BooksState, Failure> {
    let now_s = shell.now_s;
    let pair = order.pair.as_ref().map(|(api_key, api_secret)| given(api_key, api_secret, now_s));
    let pair = pair.transpose()?;
    let exists = shell.database.path().symlink_metadata().is_ok();
    if !exists && !order.create {
        return Ok(BooksState::default());
    }
    let mut changes = Vec::new();
    if exists {
        let mut store = shell.open()?;
        if !order.changes_books() {
            return store.read(|tx| standing(tx, Vec::new()));
        }
        store.write(|tx| {
            changes
                .extend(pair.as_ref().map(|pair| add_pair(tx, pair, shell)).transpose()?.flatten());
            changes.extend(fill(order, tx, shell)?);
            Ok::<_, Failure>(())
        })?;
        settle(shell)?;
        return store.read(|tx| standing(tx, changes));
    }
    let is_made = pair.is_none();
    let (live, _) = init::create(shell, pair, |tx| fill(order, tx, shell).map(|_| ()))?;
    let standing = shell.open()?.read(|tx| standing(tx, changes))?;
    let api_secret = is_made.then(|| live.api_secret.reveal().to_owned());
    Ok(BooksState { created: true, api_secret, ..standing })
}

fn given(api_key: &str, api_secret: &str, now_s: i64) -> Result<KeyPair, Failure> {
    let wrong = |what: &str, error| Failure::words(format!("the {what} cannot be so: {error}"));
    Ok(KeyPair {
        api_key: api_key.parse::<ApiKey>().map_err(|error| wrong("apiKey", error))?,
        api_secret: api_secret.parse().map_err(|error| wrong("apiSecret", error))?,
        purpose: Purpose::Live,
        created_at_s: now_s,
        revoked_at_s: None,
    })
}

fn add_pair(
    tx: &WriteTx<'_>,
    pair: &KeyPair,
    shell: &Shell<'_>,
) -> Result<Option<String>, Failure> {
    let (_, is_added) = pairs::add_unless_there(tx, pair, &shell.stamp().actor)?;
    Ok(is_added.then(|| format!("the key pair {} is valid, with those before it", pair.api_key)))
}

/// Puts in what is ordered beside the keys; tells what that changes.
fn fill(order: &Order, tx: &WriteTx<'_>, shell: &Shell<'_>) -> Result<Vec<String>, Failure> {
    let mut changes = Vec::new();
    if let Some(late) = &order.late {
        let mut settings = setting::read(tx)?;
        let before = settings.get(SettingName::Late).to_owned();
        settings.set(SettingName::Late, late).map_err(|error| {
            Failure::words(format!("the setting late cannot be {late:?}: {error}"))
        })?;
        if before != *late {
            setting::set(tx, SettingName::Late, &settings, &shell.stamp())?;
            changes.push(format!("late usage: {late}, before {before}"));
        }
    }
    if let Some(document) = &order.plan {
        let document = PlanFile::read(document)
            .map_err(|error| Failure::words(format!("the plan cannot be so: {error}")))?;
        let (is_news, from_s) =
            set_from_document(tx, &PlanId::fallback(), document, &shell.stamp())?;
        let since = if from_s > 0 { format!(", from {} on", month(from_s)) } else { String::new() };
        changes.extend(is_news.then(|| format!("the plan default has a new price{since}")));
    }
    Ok(changes)
}

fn standing(tx: &ReadTx<'_>, changes: Vec<String>) -> Result<BooksState, Failure> {
    let pairs = key::accepted(tx)?;
    let newest = |purpose| {
        let last = pairs.iter().rev().find(|pair| pair.purpose == purpose);
        last.map(|pair| pair.api_key.to_string())
    };
    let versions = plan::versions(tx, &PlanId::fallback())?;
    let plan = versions.last().map(|said| {
        let plan = &said.value;
        let mut words = vec![format!("{}, a price for each {}", plan.name, plan.unit)];
        words.extend(plan.terms());
        words
    });
    Ok(BooksState {
        exists: true,
        created: false,
        api_key: newest(Purpose::Live).unwrap_or_default(),
        api_secret: None,
        test_api_key: newest(Purpose::Test).unwrap_or_default(),
        late: setting::read(tx)?.get(SettingName::Late).to_owned(),
        plan,
        changes,
    })
}
