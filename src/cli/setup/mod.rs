//! `setup`: from an installed package to a server that Agora can ask.
//!
//! Answers first (`answers`, `ask`): until the last one nothing is changed. Then the books, by a
//! process of their owner's (`books`), the configuration (`configuration`), the service
//! (`service`), a look at all of it (`checkup`), and what Agora's console is to be told
//! (`console`). Each file comes to stand whole, and a run that was killed is simply run again.

mod answers;
mod ask;
mod books;
mod checkup;
mod child;
pub(super) mod configuration;
mod console;
pub(super) mod extension;
mod flags;
mod machine;
mod service;

use crate::cli::command::Shell;
use crate::cli::database::shell_quoted;
use crate::cli::failure::{Exit, Failure};
use answers::SetupAnswers;
use books::{BooksState, Order};
use checkup::Checkup;
use child::command_books;
use configuration::{BASE_PATH, Configuration, Connections};
use console::Console;
use machine::{Machine, command_for};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{IsTerminal, stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use flags::Args;

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if args.only_books {
        return books::run(shell);
    }
    args.check()?;
    let machine = Machine::find(args, shell);
    machine.check_user()?;
    let before = command_books(&machine.books, &Order::default(), shell)?;
    let configuration = Configuration::read(&machine.root)?;
    let stands = configuration.connections().filter(|_| machine.configures);
    let is_set_up = before.exists && (stands.is_some() || !machine.configures);
    if is_set_up {
        point_out_standing(&machine, &before, stands.as_ref(), shell);
    }
    let is_answered = args.yes || (is_set_up && args.says_anything());
    let asks = !is_answered;
    if asks && !stdin().is_terminal() {
        return Err(Failure::words(
            "standard input is no terminal, so nothing can be asked: answer by flags, and add \
             --yes",
        ));
    }
    let SetupAnswers { order, connections } =
        answers::gather(args, &before, stands.as_ref(), asks)?;
    if asks && !ask::is_agreed("\nSet it up so")? {
        shell.note("nothing was changed");
        return Ok(Exit::Failed);
    }
    let stop = stop_by_signal()?;
    check_certificate(&machine, &order, shell)?;
    let is_same = is_set_up && stands.as_ref() == Some(&connections) && !args.says_connections();
    let changes = if machine.configures && !is_same {
        configuration.prepare(&connections)?
    } else {
        Vec::new()
    };
    machine.make_folder()?;
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::failed("stopped: nothing was changed"));
    }
    let is_due = !before.exists || order.changes_books();
    let standing = if is_due { command_books(&machine.books, &order, shell)? } else { before };
    let mut done = standing.changes.clone();
    if standing.created {
        done.push(format!("created {}", machine.books.display()));
    }
    let is_changed = !changes.is_empty();
    for change in changes {
        done.push(change.make()?);
    }
    // Where it is about the books alone, a service that was stopped stays so.
    let starts = is_changed || !is_set_up || args.says_connections() || !args.says_anything();
    let started = finish(&machine, &configuration, (starts, is_changed), &connections, shell);
    let is_running = matches!(started, Ok(true));
    let look = || Checkup::make(&machine.books, &connections, is_changed, &stop, shell);
    // The console's values are printed whatever failed here: all else stands.
    let (checkup, failure) = match started.and_then(|runs| runs.then(look).transpose()) {
        Ok(checkup) => (checkup, None),
        Err(failure) => (None, Some(failure)),
    };
    let base_path = configuration.value(BASE_PATH).filter(|_| machine.configures);
    let books = &machine.books;
    let console = Console { books, standing, connections, base_path, done, is_running };
    console.print(machine.configures, checkup.as_ref(), shell)?;
    shell.flush()?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(checkup.map_or(Exit::Done, |checkup| checkup.end(shell))),
    }
}

/// Refuses, before anything is written, the files of a certificate that the service, or the owner
/// of the books, cannot use.
fn check_certificate(
    machine: &Machine,
    order: &Order,
    shell: &mut Shell<'_>,
) -> Result<(), Failure> {
    let Some((certificate, key)) = &order.tls_files else { return Ok(()) };
    if machine.configures {
        service::check_seen(&machine.root, [certificate, key])?;
    }
    command_books(&machine.books, &order.check_alone(), shell)?;
    Ok(())
}

/// Becomes true with the first Ctrl-C, or where the process is asked to end.
fn stop_by_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop))
            .map_err(|error| Failure::failed(format!("signals cannot be heard: {error}")))?;
    }
    Ok(stop)
}

/// Starts the service, or says why not. Tells whether it runs.
fn finish(
    machine: &Machine,
    configuration: &Configuration,
    (starts, is_changed): (bool, bool),
    connections: &Connections,
    shell: &mut Shell<'_>,
) -> Result<bool, Failure> {
    if !machine.configures {
        let flags = connections.flags();
        let flags: Vec<String> = flags.iter().map(|flag| shell_quoted(flag)).collect();
        let command = format!("serve {}", flags.join(" "));
        let command = command_for(&machine.books, shell, &command);
        shell.note(&format!(
            "no service was set up, since these are not its books, or this is not root: {command} \
             serves them"
        ));
        return Ok(false);
    }
    if !is_changed && service::is_running(configuration) {
        return Ok(true);
    }
    match starts {
        true => service::start(configuration, shell),
        false => Ok(service::point_out_stopped(configuration, shell)),
    }
}

fn point_out_standing(
    machine: &Machine,
    standing: &BooksState,
    connections: Option<&Connections>,
    shell: &mut Shell<'_>,
) {
    let plan = standing.plan.as_ref().map_or_else(|| "none".to_owned(), |plan| plan.join("; "));
    let how = connections.map_or_else(String::new, |Connections { way, host, listen }| {
        let host = host.as_deref().unwrap_or("a host that is not known yet");
        format!("; TLS by {} for {host}, listening on {listen}", way.as_str())
    });
    shell.note(&format!(
        "set up already: {} with the apiKey {}{how}; late usage: {}; plan: {plan}",
        machine.books.display(),
        standing.api_key,
        standing.late
    ));
}
