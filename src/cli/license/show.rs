//! `license show`: one license, or what Agora is told of its customer's.

use crate::agora::reply::{self, Envelope};
use crate::billing::id::LicenseId;
use crate::billing::license::fold;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::license::find::find;
use crate::cli::license::view::LicenseView;
use crate::store::{license, setting};
use serde_json::value::RawValue;

#[derive(clap::Args)]
pub(in crate::cli) struct ShowArgs {
    /// The license's id
    id: LicenseId,

    /// Show what Agora is told of all licenses of its customer
    #[arg(long)]
    as_agora: bool,
}

pub(super) fn run(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if args.as_agora {
        return show_as_agora(args, shell);
    }
    let license = shell.open()?.read(|tx| find(tx, &args.id))?;
    LicenseView::new(&license, shell.now_s).print(shell)
}

fn show_as_agora(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let (licenses, settings) = shell.open()?.read(|tx| {
        let license = find(tx, &args.id)?;
        Ok::<_, Failure>((license::of(tx, &license.customer_id)?, setting::read(tx)?))
    })?;
    let standing = fold(&licenses, shell.now_s).expect("the license that was found is one of them");
    let reply = reply::license(
        &standing.expire_date(),
        &standing.residue_count(&settings),
        Envelope::Nested,
    );
    let body = String::from_utf8(reply.body).expect("JSON is UTF-8");
    let document = RawValue::from_string(body.clone()).expect("a reply's body is JSON");
    shell.print(&document, |out| writeln!(out, "{body}"))?;
    Ok(Exit::Done)
}
