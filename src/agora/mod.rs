//! Agora's protocol as data, for the server and for whoever plays Agora: signatures, requests,
//! replies.
//!
//! Wire shapes stay in here; nothing here reads a socket or a database. Source: the pages "Provide
//! usage data to Agora", "Provision your extension" and "Encrypted signature" of the Agora
//! Extensions Marketplace.

#[cfg(any(test, fuzzing))]
pub mod law;
pub mod outgoing;
pub mod provisioning;
pub mod readiness;
pub mod received;
pub mod reply;
pub mod request;
pub mod signature;
