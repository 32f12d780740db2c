//! `completions`: scripts that let a shell complete verbs and flags.

use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use clap::Command;
use clap_complete::aot::{Bash, Fish, Zsh, generate};
use serde_json::json;

/// Print a script that makes a shell complete verbs, flags and their values
///
/// The Debian package installs it for all three shells. By hand, for bash:
/// `agora-vendor completions bash > ~/.local/share/bash-completion/completions/agora-vendor`
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor completions fish > \
    ~/.config/fish/completions/agora-vendor.fish")]
pub(super) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: CompletedShell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum CompletedShell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script for `root`, the command with all its verbs.
pub(super) fn run(args: &Args, mut root: Command, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let name = root.get_name().to_owned();
    let mut script = Vec::new();
    match args.shell {
        CompletedShell::Bash => generate(Bash, &mut root, name, &mut script),
        CompletedShell::Zsh => generate(Zsh, &mut root, name, &mut script),
        CompletedShell::Fish => generate(Fish, &mut root, name, &mut script),
    }
    // clap_complete 4.6 makes two different labels of a name with a hyphen, so that bash would
    // complete nothing below a verb (clap-rs/clap#6421).
    let script = String::from_utf8_lossy(&script).replace("agora__subcmd__vendor", "agora__vendor");
    shell.print(&json!({ "script": script }), |out| write!(out, "{script}"))?;
    Ok(Exit::Done)
}
