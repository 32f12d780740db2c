#![doc = include_str!("../ARCHITECTURE.md")]

pub mod agora;
pub mod billing;
pub mod cli;
pub mod http;
pub mod store;
