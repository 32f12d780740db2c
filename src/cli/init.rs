//! `init`: new books.

use crate::billing::key::{KeyPair, Purpose};
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::key::{GivenPair, show_secret};
use crate::cli::named::NamedFile;
use crate::cli::sentence::Sentence;
use crate::cli::table::print_properties;
use crate::store::{self, Store, WriteTx, key};
use serde::Serialize;
use std::io::IsTerminal;

/// Create the database, with a live key pair for Agora and a test pair for your own requests
///
/// Never overwrites. The file is readable by its owner alone (mode 0600). A secret that is made is
/// shown on a terminal and in --json; `key show K --secret` shows it again.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pair: GivenPair,
}

impl Args {
    /// The files that are named.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        self.pair.files()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewBooksView<'a> {
    db: String,
    api_key: &'a str,
    /// Null where the secret was handed in.
    api_secret: Option<&'a str>,
    test_api_key: &'a str,
}

/// Why books are not created: because of the file, or of what was to be in it.
enum NotCreated {
    File(store::Error),
    Content(Failure),
}

impl From<store::Error> for NotCreated {
    fn from(error: store::Error) -> Self {
        Self::File(error)
    }
}

/// Creates the database with a live and a test pair, the live one as given or made; `more` puts
/// further things in.
pub(super) fn create(
    shell: &Shell<'_>,
    given: Option<KeyPair>,
    more: impl FnOnce(&WriteTx<'_>) -> Result<(), Failure>,
) -> Result<(KeyPair, KeyPair), Failure> {
    let live = given.unwrap_or_else(|| key::make(Purpose::Live, shell.now_s));
    let test = key::make(Purpose::Test, shell.now_s);
    let created = Store::create(shell.database.path(), |tx| {
        let actor = shell.stamp().actor;
        key::add_by(tx, &live, Some(&actor))?;
        key::add_by(tx, &test, Some(&actor))?;
        more(tx).map_err(NotCreated::Content)
    });
    created.map_err(|not_created| match not_created {
        NotCreated::File(error) => shell.database.explain(error),
        NotCreated::Content(failure) => failure,
    })?;
    Ok((live, test))
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let given = args.pair.read(Purpose::Live, shell.now_s)?;
    let made = given.is_none();
    let (live, test) = create(shell, given, |_| Ok(()))?;
    let db = shell.database.path().display().to_string();
    let secret = live.api_secret.reveal();
    let shown = made && (shell.wants_json() || std::io::stdout().is_terminal());
    let created = NewBooksView {
        db: db.clone(),
        api_key: live.api_key.as_str(),
        api_secret: shown.then_some(secret),
        test_api_key: test.api_key.as_str(),
    };
    shell.print(&created, |out| {
        let mut properties = vec![("database", db), ("apiKey", live.api_key.to_string())];
        if shown {
            properties.push(("apiSecret", secret.to_owned()));
        }
        properties.push(("testApiKey", test.api_key.to_string()));
        print_properties(out, &properties)
    })?;
    if made {
        let sentence = Sentence::from("give the apiKey and its secret to Agora");
        let show_secret = show_secret(&live.api_key);
        shell.point_out(sentence.hint(show_secret, "shows the secret again"));
    }
    Ok(Exit::Done)
}
