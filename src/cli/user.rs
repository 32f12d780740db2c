//! The user who runs a command.

use crate::billing::id::Label;
use nix::unistd::{Uid, User};
use std::sync::OnceLock;

/// The user of this process; under sudo, with the one who called it, as sudo says.
pub(super) fn user() -> Label {
    static USER: OnceLock<Label> = OnceLock::new();
    USER.get_or_init(look_up_user).clone()
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
