//! `key`: the key pairs whose signatures are accepted.

use crate::billing::event::Actor;
use crate::billing::id::ApiKey;
use crate::billing::key::{ApiSecret, KeyPair, Purpose};
use crate::cli::command::Shell;
use crate::cli::database::shell_quoted;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::named::NamedFile;
use crate::cli::near::near;
use crate::cli::secret;
use crate::cli::sentence::Sentence;
use crate::cli::table::{Columns, or_dash, print_properties};
use crate::store::key::{self, KeyActors};
use crate::store::{ReadTx, WriteTx};
use serde::Serialize;
use std::path::PathBuf;

/// Key pairs: add one, list them, show or revoke one
///
/// Two live pairs may be valid at a time, for rotating: add the new one, tell Agora, revoke the old
/// one.
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// Add a live pair, or with --test one for your own requests
    Add(AddArgs),
    /// List all pairs
    List,
    /// Show a pair
    Show(ShowArgs),
    /// Take a pair out of use, from the next request on; the last live one stays
    Revoke(RevokeArgs),
}

#[derive(clap::Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    pair: GivenPair,

    /// A pair for your own requests, kept apart from Agora's
    #[arg(long)]
    test: bool,
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The apiKey
    #[arg(value_name = "K")]
    api_key: ApiKey,

    /// Print the secret
    #[arg(long)]
    secret: bool,
}

#[derive(clap::Args)]
pub(super) struct RevokeArgs {
    /// The apiKey
    #[arg(value_name = "K")]
    api_key: ApiKey,
}

/// A key pair that was agreed elsewhere.
#[derive(clap::Args)]
pub(super) struct GivenPair {
    /// The apiKey agreed with Agora, instead of one made here
    #[arg(long, value_name = "K", requires = "api_secret_file")]
    api_key: Option<ApiKey>,

    /// The file that holds its apiSecret and nothing else (- for standard input; a terminal does
    /// not show what is typed); a newline at its end is dropped
    #[arg(long, value_name = "F", requires = "api_key")]
    api_secret_file: Option<PathBuf>,
}

impl GivenPair {
    /// Tells whether there is one.
    pub(super) fn is_given(&self) -> bool {
        self.api_key.is_some()
    }

    /// The file that its secret is read from.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        self.api_secret_file.iter().cloned().map(NamedFile::Input).collect()
    }

    /// The pair as given, its secret read from where it is; or `None` where one is to be made.
    pub(super) fn read(&self, purpose: Purpose, now_s: i64) -> Result<Option<KeyPair>, Failure> {
        let pair = |(api_key, api_secret)| KeyPair {
            api_key,
            api_secret,
            purpose,
            created_at_s: now_s,
            revoked_at_s: None,
        };
        Ok(self.read_both()?.map(pair))
    }

    /// The apiKey and its secret, where they are given.
    pub(super) fn read_both(&self) -> Result<Option<(ApiKey, ApiSecret)>, Failure> {
        let (Some(api_key), Some(file)) = (&self.api_key, &self.api_secret_file) else {
            return Ok(None);
        };
        Ok(Some((api_key.clone(), secret::read(file, "the apiSecret")?)))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyPairView {
    api_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_secret: Option<String>,
    purpose: &'static str,
    created_at: String,
    /// Null: an earlier version did not keep it.
    created_by: Option<String>,
    revoked_at: Option<String>,
    /// Null too while the pair is valid.
    revoked_by: Option<String>,
}

/// Who added and who revoked one pair.
fn actors_of(tx: &ReadTx<'_>, api_key: &ApiKey) -> Result<KeyActors, Failure> {
    Ok(key::actors(tx)?.remove(api_key).unwrap_or_default())
}

impl KeyPairView {
    fn new(pair: &KeyPair, (created_by, revoked_by): &KeyActors) -> Self {
        let words = |actor: &Option<Actor>| actor.as_ref().map(ToString::to_string);
        Self {
            api_key: pair.api_key.to_string(),
            api_secret: None,
            purpose: pair.purpose.as_str(),
            created_at: rfc3339(pair.created_at_s),
            created_by: words(created_by),
            revoked_at: pair.revoked_at_s.map(rfc3339),
            revoked_by: words(revoked_by),
        }
    }

    fn print(self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(&self, |out| {
            let mut properties = vec![
                ("apiKey", self.api_key.clone()),
                ("purpose", self.purpose.to_owned()),
                ("created", self.created_at.clone()),
            ];
            let by = |by: &Option<String>, words| by.clone().map(|by| (words, by));
            properties.extend(by(&self.created_by, "by"));
            properties.extend(self.revoked_at.clone().map(|revoked_at| ("revoked", revoked_at)));
            properties.extend(by(&self.revoked_by, "revoked by"));
            print_properties(out, &properties)
        })?;
        Ok(Exit::Done)
    }
}

impl Args {
    /// The files that are named.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        match self {
            Self::Add(args) => args.pair.files(),
            Self::List | Self::Show(_) | Self::Revoke(_) => Vec::new(),
        }
    }

    /// The command that shows whether this was done; `None` where it may be done again.
    pub(super) fn to_look(&self) -> Option<String> {
        match self {
            // Each time another pair is made.
            Self::Add(args) if !args.pair.is_given() => Some("key list".to_owned()),
            Self::Add(_) | Self::List | Self::Show(_) | Self::Revoke(_) => None,
        }
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::Add(args) => add(args, shell),
        Args::List => list(shell),
        Args::Show(args) => show(args, shell),
        Args::Revoke(args) => revoke(args, shell),
    }
}

fn is_live(pair: &KeyPair) -> bool {
    pair.purpose == Purpose::Live && pair.revoked_at_s.is_none()
}

/// The command that shows a pair's secret.
pub(super) fn show_secret(api_key: &ApiKey) -> String {
    format!("key show {} --secret", shell_quoted(api_key.as_str()))
}

fn find(tx: &ReadTx<'_>, api_key: &ApiKey) -> Result<KeyPair, Failure> {
    let pairs = key::list(tx)?;
    let found = pairs.iter().find(|pair| pair.api_key == *api_key);
    found.cloned().ok_or_else(|| {
        let near = near(api_key, pairs.iter().map(|pair| &pair.api_key));
        Failure::not_found(format!("there is no key pair {api_key}{near}"))
            .hint("key list", "shows them")
    })
}

fn add(args: &AddArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let now_s = shell.now_s;
    let purpose = if args.test { Purpose::Test } else { Purpose::Live };
    let mut store = shell.open()?;
    let given = args.pair.read(purpose, now_s)?;
    let pair = given.unwrap_or_else(|| key::make(purpose, now_s));
    let (pair, added, actors) = store.write(|tx| {
        let (pair, added) = add_unless_there(tx, &pair, &shell.stamp().actor)?;
        let actors = actors_of(tx, &pair.api_key)?;
        Ok::<_, Failure>((pair, added, actors))
    })?;
    if added {
        shell.point_out(Sentence::from("").hint(show_secret(&pair.api_key), "shows the secret"));
    } else {
        shell.note("the pair stands already; nothing was changed");
    }
    KeyPairView::new(&pair, &actors).print(shell)
}

/// Adds a pair; gives it as it stands, and whether it is new. At most two live pairs are valid.
pub(super) fn add_unless_there(
    tx: &WriteTx<'_>,
    pair: &KeyPair,
    actor: &Actor,
) -> Result<(KeyPair, bool), Failure> {
    let pairs = key::list(tx)?;
    if let Some(stands) = pairs.iter().find(|stands| stands.api_key == pair.api_key) {
        return match (&stands.api_secret, stands.purpose, stands.revoked_at_s) {
            (secret, purpose, None) if *secret == pair.api_secret && purpose == pair.purpose => {
                Ok((stands.clone(), false))
            }
            (_, purpose, revoked_at_s) => Err(Failure::conflict(format!(
                "the key pair {} stands already, as a {} one{}, and is not changed",
                pair.api_key,
                purpose.as_str(),
                revoked_at_s.map_or(String::new(), |at_s| format!(" revoked at {}", rfc3339(at_s)))
            ))),
        };
    }
    if let (Purpose::Live, [one, other, ..]) =
        (pair.purpose, pairs.iter().filter(|pair| is_live(pair)).collect::<Vec<_>>().as_slice())
    {
        return Err(Failure::failed(format!(
            "two live pairs are valid already, {} and {}: revoke one before adding another",
            one.api_key, other.api_key
        )));
    }
    key::add_by(tx, pair, Some(actor))?;
    Ok((pair.clone(), true))
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let read = |tx: &ReadTx<'_>| Ok::<_, Failure>((key::list(tx)?, key::actors(tx)?));
    let (pairs, actors) = shell.open()?.read(read)?;
    let shown = |pair: &KeyPair| {
        KeyPairView::new(pair, actors.get(&pair.api_key).unwrap_or(&KeyActors::default()))
    };
    let pairs: Vec<KeyPairView> = pairs.iter().map(shown).collect();
    let mut left_out = Vec::new();
    shell.print(&pairs, |out| {
        let mut columns = Columns::new(&["key!", "purpose", "created", "by", "revoked", "by"]);
        for pair in &pairs {
            columns.row([
                pair.api_key.clone(),
                pair.purpose.to_owned(),
                pair.created_at.clone(),
                or_dash(pair.created_by.as_ref()),
                or_dash(pair.revoked_at.as_ref()),
                or_dash(pair.revoked_by.as_ref()),
            ]);
        }
        left_out = columns.leave_out(&["by", "created"], None, out.screen);
        columns.print(out)
    })?;
    shell.point_out_left_out(&left_out, "key show K", "shows all of a pair");
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let read = |tx: &ReadTx<'_>| {
        Ok::<_, Failure>((find(tx, &args.api_key)?, actors_of(tx, &args.api_key)?))
    };
    let (pair, actors) = shell.open()?.read(read)?;
    if !args.secret {
        return KeyPairView::new(&pair, &actors).print(shell);
    }
    let secret = pair.api_secret.reveal();
    let shown =
        KeyPairView { api_secret: Some(secret.to_owned()), ..KeyPairView::new(&pair, &actors) };
    shell.print(&shown, |out| writeln!(out, "{secret}"))?;
    Ok(Exit::Done)
}

fn revoke(args: &RevokeArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let api_key = &args.api_key;
    let (pair, before, actors) = shell.open()?.write(|tx| {
        let pair = find(tx, api_key)?;
        let live = key::list(tx)?.iter().filter(|pair| is_live(pair)).count();
        if is_live(&pair) && live == 1 {
            return Err(Failure::failed(format!(
                "{api_key} is the last live pair, without which Agora would be turned \
                 away: add another first"
            ))
            .hint("key add", "does"));
        }
        key::revoke(tx, api_key, &shell.stamp())?;
        Ok::<_, Failure>((find(tx, api_key)?, pair, actors_of(tx, api_key)?))
    })?;
    if before.revoked_at_s.is_some() {
        shell.note("already revoked; nothing was changed");
    }
    KeyPairView::new(&pair, &actors).print(shell)
}
