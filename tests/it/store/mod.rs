//! The stores.

mod conformance;
mod crash;
mod damage;
mod exported;
mod folder;
mod full;
pub(crate) mod full_disk;
pub(crate) mod ledger;
mod lost_changes;
mod postgres;
mod salvage;
mod samples;
mod scale;
mod scale_search;
mod sled;
