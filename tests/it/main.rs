//! The real executable and the real server, over real sockets and real files. Each test has its own books.
//!
//! Where `AGORA_VENDOR_LONG_TESTS` is set, crash loops and exhaustive changes run in their long form.

mod acme;
mod architecture;
mod books;
mod carries;
mod carry_histories;
mod carry_laws;
mod clock;
mod concurrency;
mod docs;
mod door;
mod failures;
mod firsts;
mod import_files;
mod imports;
mod keys;
mod ledger;
mod license_histories;
mod licenses;
mod listings;
mod manners;
mod migrations;
mod names;
mod openapi;
mod owners;
mod pages;
mod prices;
mod printing;
mod provisioning;
mod raw_requests;
mod recording;
mod records;
mod refusals;
mod restore;
mod signatures;
mod statement_histories;
mod statements;
mod terminal;
mod tls;
mod totals;
mod typing;
mod use_time;
mod vendor;
mod who;
