//! The integration tests.
mod commands;
