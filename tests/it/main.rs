//! The integration tests.

mod commands;
mod config;
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test rests on must be there, or the test fails"
)]

mod layering;
mod security_map;
