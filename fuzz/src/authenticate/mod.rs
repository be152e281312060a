//! Mirrors the program's module path.

#[path = "../../../src/authenticate/signature/mod.rs"]
pub mod signature;
