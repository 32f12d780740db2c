//! `license type`: what the vendor's types of licenses grant.

use crate::billing::amount::Amount;
use crate::billing::id::{Label, LicenseType};
use crate::billing::license::TypeGrant;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::table::{Columns, or_dash, print_properties};
use crate::store::license;
use serde::Serialize;

/// What your types of licenses grant: set one up, list them
///
/// Agora names a type when a user buys a license. One that is not set up is sold without limit, and
/// the log points it out.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Args {
    /// Set a type up, or change it for licenses to come; those that are issued stay as they are
    Set(SetArgs),
    /// List the types that are set up
    List,
}

#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor license type set pro --count 1000 --name \"Professional\""
)]
pub(in crate::cli) struct SetArgs {
    /// Agora's name of the type, at most 32 characters
    #[arg(value_name = "T")]
    kind: LicenseType,

    #[command(flatten)]
    grant: GrantArgs,

    /// Your own words for it; without it, they stay as they are
    #[arg(long, value_name = "TEXT")]
    name: Option<Label>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct GrantArgs {
    /// How many units of usage a license of the type grants
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    count: Option<Amount>,

    /// It grants usage without limit
    #[arg(long)]
    unlimited: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LicenseTypeView {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    /// Null where unlimited.
    count: Option<String>,
}

impl LicenseTypeView {
    fn new(grant: &TypeGrant) -> Self {
        Self {
            kind: grant.kind.to_string(),
            name: grant.name.as_ref().map(ToString::to_string),
            count: grant.granted.as_ref().map(ToString::to_string),
        }
    }

    fn count_words(&self) -> String {
        self.count.clone().unwrap_or_else(|| "unlimited".to_owned())
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::Set(args) => set(args, shell),
        Args::List => list(shell),
    }
}

fn set(args: &SetArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if let Some(count) = args.grant.count.as_ref().filter(|count| !count.is_positive()) {
        return Err(Failure::words(format!(
            "--count is {count}: it must be above zero, or use --unlimited"
        )));
    }
    let new = TypeGrant {
        kind: args.kind.clone(),
        name: args.name.clone(),
        granted: args.grant.count.clone(),
    };
    let (before, stands) = shell.open()?.write(|tx| {
        let before = license::find_type(tx, &new.kind)?;
        license::set_type(tx, &new)?;
        Ok::<_, Failure>((before, license::find_type(tx, &new.kind)?.unwrap_or(new)))
    })?;
    match before {
        Some(before) if before == stands => shell.note("it is so already; nothing was changed"),
        Some(before) => {
            let before = LicenseTypeView::new(&before);
            let name = before.name.as_ref().map_or_else(String::new, |name| format!(" as {name}"));
            shell.note(&format!("before it granted {}{name}", before.count_words()));
        }
        None => {}
    }
    let shown = LicenseTypeView::new(&stands);
    shell.print(&shown, |out| {
        let properties = [
            ("type", shown.kind.clone()),
            ("name", or_dash(shown.name.as_ref())),
            ("count", shown.count_words()),
        ];
        print_properties(out, &properties)
    })?;
    Ok(Exit::Done)
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let types: Vec<LicenseTypeView> =
        shell.open()?.read(license::types)?.iter().map(LicenseTypeView::new).collect();
    shell.print(&types, |out| {
        let mut columns = Columns::new(&["type!", "name", "count#"]);
        for shown in &types {
            columns.row([shown.kind.clone(), or_dash(shown.name.as_ref()), shown.count_words()]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}
