//! What the executable's promises are worth on a machine that fails: power cuts, calls of the
//! system that fail, and changed bytes. `docs/reliability.md` says what is shown here.
//!
//! `shim.c` stands between the executable as it ships and the disk, and keeps an account of every
//! call that changes a file. Out of the account, `disk` works out what a disk may hold after a
//! power cut, `judge` has the executable open it, and says what is wrong with what is found.
//!
//! Where `AGORA_VENDOR_LONG_TESTS` is set, all of the cuts and failures are tried, else some of
//! each.

#[path = "../it/clock.rs"]
#[expect(dead_code, reason = "the other tests have more libraries")]
mod clock;
#[path = "../it/vendor.rs"]
#[expect(dead_code, reason = "the fixture is shared with the other tests, which use more of it")]
mod vendor;

mod cuts;
mod damage;
mod disk;
mod failures;
mod judge;
mod plants;
mod shim;
mod stage;
