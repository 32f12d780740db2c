//! `setting`: what changes an answer or a figure, kept in the database for shell and server alike.

use crate::billing::setting::{SettingName, Settings};
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::near::near;
use crate::cli::table::Columns;
use crate::store::setting;
use serde::Serialize;

/// Settings that change an answer or a figure: list them, set one, show what they were
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// List all settings
    List,
    /// Set one
    Set(SetArgs),
    /// Show who set what, when, and what it was before
    History(HistoryArgs),
}

#[derive(clap::Args)]
pub(super) struct SetArgs {
    /// Its name, as `setting list` shows it
    #[arg(value_parser = name)]
    name: SettingName,

    /// Its value
    #[arg(allow_hyphen_values = true)]
    value: String,
}

#[derive(clap::Args)]
pub(super) struct HistoryArgs {
    /// Of this setting alone
    #[arg(value_parser = name)]
    name: Option<SettingName>,
}

/// Reads a setting's name.
fn name(text: &str) -> Result<SettingName, String> {
    let near = || near(text, SettingName::ALL.map(SettingName::as_str));
    text.parse::<SettingName>().map_err(|unknown| format!("{unknown}{}", near()))
}

#[derive(Serialize)]
struct SettingView {
    name: &'static str,
    value: String,
    default: bool,
    purpose: &'static str,
}

impl SettingView {
    fn new(name: SettingName, settings: &Settings) -> Self {
        let value = settings.get(name);
        Self {
            name: name.as_str(),
            value: value.to_string(),
            default: value == Settings::default().get(name),
            purpose: name.purpose(),
        }
    }
}

/// A setting that got another value.
#[derive(Serialize)]
struct SettingChangeView {
    at: String,
    by: String,
    name: String,
    from: String,
    to: String,
}

fn history(args: &HistoryArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let changes = shell.open()?.read(|tx| setting::history(tx, args.name))?;
    let shown = changes.into_iter().map(|change| SettingChangeView {
        at: rfc3339(change.stamp.at_s),
        by: change.stamp.actor.to_string(),
        name: change.name,
        from: change.was,
        to: change.value,
    });
    let shown: Vec<SettingChangeView> = shown.collect();
    shell.print(&shown, |out| {
        let mut columns = Columns::new(&["at", "by", "name", "from", "to"]);
        for change in &shown {
            let SettingChangeView { at, by, name, from, to } = change;
            columns.row([at, by, name, from, to].map(Clone::clone));
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::List => {
            let settings = shell.open()?.read(setting::read)?;
            let shown: Vec<SettingView> = SettingName::ALL
                .into_iter()
                .map(|name| SettingView::new(name, &settings))
                .collect();
            shell.print(&shown, |out| {
                let mut columns = Columns::new(&["name", "value", "default", "purpose"]);
                for setting in &shown {
                    let default = if setting.default { "yes" } else { "no" };
                    let cells = [setting.name, &setting.value, default, setting.purpose];
                    columns.row(cells.map(str::to_owned));
                }
                columns.print(out)
            })?;
        }
        Args::Set(args) => {
            let settings = shell.open()?.write(|tx| {
                let mut settings = setting::read(tx)?;
                settings.set(args.name, &args.value).map_err(|reason| {
                    Failure::words(format!(
                        "the setting {} cannot be {:?}: {reason}",
                        args.name.as_str(),
                        args.value
                    ))
                })?;
                setting::set(tx, args.name, &settings, &shell.stamp())?;
                Ok::<_, Failure>(settings)
            })?;
            let shown = SettingView::new(args.name, &settings);
            shell.print(&shown, |out| writeln!(out, "{} is {}", shown.name, shown.value))?;
        }
        Args::History(args) => return history(args, shell),
    }
    Ok(Exit::Done)
}
