//! As in the program.

#[path = "../../../src/authenticate/signature/mod.rs"]
pub mod signature;
