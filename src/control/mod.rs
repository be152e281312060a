//! The control plane: administrators' commands, and the admin socket that carries them.
//!
//! [`Administration::execute`] alone executes a [`Command`]: a running gateway executes those that its admin
//! [`socket`] receives; without one, the program opens the store and executes the command itself.

mod administration;
pub mod bootstrap;
mod client;
mod command;
mod environment;
mod error;
mod execute;
mod export;
mod framing;
pub mod health;
mod import;
mod open;
mod owner;
mod protocol;
mod refusal_audit;
pub mod socket;

pub use administration::Administration;
pub use client::{ClientError, ExportStream, SocketClient};
pub use command::{
    AUDIT_EVENTS_A_PAGE, AuditQuery, Command, ExportPurpose, HtpasswdLines, ImportStep, SessionSelector,
    USERS_A_PAGE, by_command_of,
};
pub use environment::{EnvironmentError, GatewayEnvironment};
pub use error::CommandError;
pub use export::CommandResult;
pub use import::{ImportError, ImportResult, ImportScope, import_store};
pub use open::{OpenError, check_store_folder, is_made, open_store, salvage_store, sealing_master_key};
pub use owner::OwnerError;
