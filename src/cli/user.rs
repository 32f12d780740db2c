//! The user who runs a command.

use crate::billing::id::Label;
use crate::cli::rights::started_by;
use nix::unistd::{Uid, User};
use std::sync::OnceLock;

/// The user of this process. Where another one started it, with that one before: who called sudo,
/// as sudo says, else root, who became the owner of the books.
pub(super) fn user() -> Label {
    static USER: OnceLock<Label> = OnceLock::new();
    USER.get_or_init(look_up_user).clone()
}

/// The same by the system's numbers, which takes no look into any file.
pub(super) fn user_number() -> String {
    let uid = Uid::current();
    match caller() {
        Some(caller) => format!("{caller} as {uid}"),
        None => uid.to_string(),
    }
}

/// The number of who started this process, where that is another user than it has.
fn caller() -> Option<String> {
    let caller = std::env::var("SUDO_UID").unwrap_or_else(|_| started_by().to_string());
    (caller != Uid::current().to_string()).then_some(caller)
}

fn look_up_user() -> Label {
    let uid = Uid::current();
    let name = name(uid);
    let both = caller().and_then(|_| {
        let caller = std::env::var("SUDO_USER").unwrap_or_else(|_| self::name(started_by()));
        format!("{caller} as {name}").parse().ok()
    });
    both.or_else(|| name.parse().ok())
        .unwrap_or_else(|| "unknown".parse().expect("a word is a label"))
}

fn name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
}
