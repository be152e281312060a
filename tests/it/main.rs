//! The integration tests.

mod commands;
mod config;
