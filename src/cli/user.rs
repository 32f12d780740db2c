//! The user who runs a command.

use crate::billing::id::Label;
use nix::unistd::{Uid, User};
use std::sync::OnceLock;

/// The user of this process; under sudo, with the one who called it, as sudo says.
pub(super) fn user() -> Label {
    static USER: OnceLock<Label> = OnceLock::new();
    USER.get_or_init(look_up_user).clone()
}

/// The system's number of the user, which takes no look into any file; under sudo with that of the
/// one who called it.
pub(super) fn user_number() -> String {
    let uid = Uid::current();
    match std::env::var("SUDO_UID") {
        Ok(caller) if caller != uid.to_string() => format!("{caller} as {uid}"),
        Ok(_) | Err(_) => uid.to_string(),
    }
}

fn look_up_user() -> Label {
    let uid = Uid::current();
    let name =
        User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name);
    let is_sudo = std::env::var("SUDO_UID").is_ok_and(|caller| caller != uid.to_string());
    let caller = std::env::var("SUDO_USER").ok().filter(|_| is_sudo);
    let both = caller.and_then(|caller| format!("{caller} as {name}").parse().ok());
    both.or_else(|| name.parse().ok())
        .unwrap_or_else(|| "unknown".parse().expect("a word is a label"))
}
