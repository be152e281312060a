//! The store: what must survive a restart. Domain operations, each one atomic; it never knows HTTP.
//!
//! Business outcomes are return values; an error means that the question could not be answered. Nothing is
//! acknowledged before it is on disk. The same conformance suite runs on every store.

mod access_keys;
mod accounts;
mod admin_queries;
mod attempt_counter;
mod attempts;
mod audit;
mod error;
mod invitations;
mod loaded_rows;
mod mails;
mod portable;
pub mod postgres;
mod precondition;
mod record;
mod rules;
mod sessions;
mod signatures;
pub mod sled;
mod tokens;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

pub use access_keys::{AccessKeyStore, CreateAccessKey};
pub use accounts::{AccountEdit, AccountStore, CreateAccount, DeleteAccount, EditAccount, UpdateAccount};
pub use admin_queries::{AccountFilter, AccountPage, AdminQueryStore, Locks};
pub use attempts::{AttemptOutcome, AttemptStore};
pub use audit::{AuditFilter, AuditOrder, AuditPage, AuditStore, AuditSubject};
pub use error::StoreError;
pub use invitations::InvitationStore;
pub use loaded_rows::{LoadedRows, UnreadableRow};
pub use mails::{ClaimMail, ClaimToken, MailAllowance, MailBatch, MailClaim, MailOutcome, MailStore};
pub use portable::{
    AddressMails, Counts, DamagedStore, Export, ExportFile, Header, Import, KeptFailures, KeptLock, Losses,
    NamesKey, PortableStore, PutError, ReadError, Record, RecordReader, Salvage, SpentSignature, Summary,
};
pub use precondition::{Precondition, PreconditionError};
pub use sessions::{PutSession, SessionStore, SessionsToEnd};
pub use signatures::{SignatureStore, SpendSignature};
pub use tokens::{ConsumeToken, TokenEffect, TokenStore};

/// Everything that is kept: the operations on each kind of thing, and those on the store as a whole.
#[async_trait]
pub trait Store:
    fmt::Debug
    + AccountStore
    + SessionStore
    + AccessKeyStore
    + InvitationStore
    + TokenStore
    + MailStore
    + AttemptStore
    + SignatureStore
    + AuditStore
    + AdminQueryStore
    + PortableStore
{
    /// A handle on the same store whose changing operations fail with [`StoreError::Precondition`], and change nothing,
    /// once the precondition does not hold any more. Reads are those of this store, and so is what nobody asks for: the
    /// operations on signatures, and [`sweep`](Self::sweep).
    fn with_precondition(&self, precondition: Precondition) -> Arc<dyn Store>;

    /// The same store, for which an account counts as an active member of a group only if its address is verified, or
    /// whether or not it is: nobody else may sign in.
    fn with_verified_only(&self, verified_only: bool) -> Arc<dyn Store>;

    /// Removes what is over at `now`: expired invitations and tokens, signatures that served, mails that failed a month
    /// ago, and sessions made before `sessions_before`.
    async fn sweep(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError>;

    /// Takes what lies in the future at `now`, at a start, for what it is, the work of a clock that was ahead: invitations
    /// and mailed tokens that were made there are removed, and mails are due.
    async fn forget_future(&self, now: Timestamp) -> Result<(), StoreError>;

    /// An error while others may have changed what was read of it: then nothing may be answered from memory either.
    fn require_lock(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What was promised once and is lost, as far as the store can tell: a sentence for the operator. Reads a small file
    /// at most.
    fn lost_changes(&self) -> Option<String> {
        None
    }

    /// Reads everything and checks that every record is sound and every index agrees with it.
    async fn verify(&self) -> Result<Verification, StoreError>;
}

/// What [`Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verification {
    /// Accounts read.
    pub accounts: usize,
    /// Sessions read.
    pub sessions: usize,
    /// Invitations read.
    pub invitations: usize,
    /// Access keys read.
    #[serde(default)]
    pub access_keys: usize,
    /// How many things are wrong.
    #[serde(default)]
    pub fault_count: usize,
    /// What is wrong, a sentence each, at most [`FAULTS_TOLD`](Self::FAULTS_TOLD); empty if all is well.
    pub faults: Vec<String>,
}

impl Verification {
    /// How many faults are told one by one, so that a store with nothing but faults takes no memory.
    pub const FAULTS_TOLD: usize = 100;

    fn add_fault(&mut self, fault: String) {
        self.fault_count += 1;
        if self.faults.len() < Self::FAULTS_TOLD {
            self.faults.push(fault);
        }
    }
}
