//! The stores.

mod conformance;
mod crash;
mod damage;
mod folder;
mod full_disk;
pub(crate) mod ledger;
mod samples;
mod scale;
mod sled;

/// Whether everything is to be proven, however long it takes: `tests/run --full`.
fn in_full() -> bool {
    std::env::var_os("VESTIBULE_FULL").is_some_and(|value| value == "1")
}
