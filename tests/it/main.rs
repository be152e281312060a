//! The integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test rests on must be there, or the test fails"
)]

mod commands;
mod config;
mod layering;
mod listener;
mod security_map;
mod store;
