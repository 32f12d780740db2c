#![doc = include_str!("../ARCHITECTURE.md")]

pub mod agora;
pub mod billing;
pub mod cli;
pub mod http;
#[cfg(any(test, fuzzing))]
pub mod laws;
pub mod probe;
pub mod store;
