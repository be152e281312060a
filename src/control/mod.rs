//! What administrators ask of the gateway, and how it reaches it.
//!
//! A [`Command`] is executed by [`Administration::execute`] and by nothing else: a running gateway executes what
//! comes in over its administrator's [`socket`], and where none runs, the program opens the store and executes
//! the same command itself.

mod administration;
mod client;
mod command;
mod environment;
mod error;
mod execute;
mod execute_keys;
mod execute_lists;
mod execute_mail;
mod export;
pub mod first_administrator;
mod import;
mod lists;
mod open;
pub mod ops;
mod owner;
mod protocol;
mod refused;
mod reply;
pub mod socket;
mod stream;

pub use administration::Administration;
pub use client::{Client, ClientError, Exporting};
pub use command::{
    AUDIT_EVENTS_A_PAGE, AuditQuery, BoundInvitations, Command, ExportPurpose, GivenPassword, HtpasswdLines,
    KeyChange, MAILS_A_PAGE, MailedInvitations, NewInvitations, NewKey, NewUser, USERS_A_PAGE, UserChange,
    UserQuery, WhichSessions, by_command_of,
};
pub use environment::{EnvironmentError, GatewayEnvironment};
pub use error::CommandError;
pub use export::Given;
pub use import::{ImportError, Imported, Wanted, import_store};
pub use lists::{FoundUsers, LockedAccount, LockedKey, LocksView, MailView, SentAgain};
pub use open::{OpenError, is_made, open_store, salvage_store, sealing_master_key};
pub use owner::OwnerError;
pub use reply::{
    AccountDetails, AccountView, EndedSessions, ImportReport, InvitationLink, InvitationView, KeyView,
    NewKeyView, RefusedLine, Reloaded, ResetLink, RotatedMaster, SessionView, Whereabouts,
};
