//! The store: state that survives a restart, behind one trait for each kind of record. It never knows HTTP.
//!
//! Each operation is atomic, and durable when it returns. Outcomes are return values; an error means that the
//! operation could not be decided. Two implementations, `sled` and `postgres`, pass one conformance suite.

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

use crate::model::Administrators;

pub use access_keys::{AccessKeyStore, CreateAccessKey};
pub use accounts::{AccountEdit, AccountStore, CreateAccount, DeleteAccount, EditAccount, UpdateAccount};
pub use admin_queries::{
    AccountFilter, AccountOrder, AccountPage, AccountQuery, AccountSort, AdminQueryStore, Locks, OrderError,
};
pub use attempts::{AttemptOutcome, AttemptStore};
pub use audit::{AuditFilter, AuditOrder, AuditPage, AuditStore, AuditSubject};
pub use error::StoreError;
pub use invitations::{InvitationBatch, InvitationStore};
pub use loaded_rows::{LoadedRows, UnreadableRow};
pub use mails::{ClaimMail, ClaimToken, MailAllowance, MailBatch, MailClaim, MailOutcome, MailStore};
pub use portable::{
    AddressMails, Counts, DamagedStore, Export, ExportReader, ExportWriter, ExportedFailures, ExportedLock,
    Header, Import, Losses, NamesKey, PortableStore, PutError, ReadError, Record, RecordKind, Salvage,
    SpentSignature, Summary,
};
pub use precondition::{LastDecision, Precondition, PreconditionError};
pub use sessions::{PutSession, SessionStore, SessionsToEnd};
pub use signatures::{SignatureStore, SpendSignature};
pub use tokens::{ConsumeToken, TokenEffect, TokenStore};

/// The store: the sum of the traits for each kind of record, and the operations on the whole.
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
    /// Makes a handle on this store whose changing operations fail with [`StoreError::Precondition`],
    /// changing nothing, once the precondition no longer holds. Reads are not restricted, nor are the
    /// operations on signatures and [`sweep`](Self::sweep).
    fn with_precondition(&self, precondition: Precondition) -> Arc<dyn Store>;

    /// Makes a handle on this store, which keeps the last of these administrators, by their rule at the moment of a change. Its
    /// active members of a group are those that may sign in by that rule.
    fn with_administrators(&self, administrators: Administrators) -> Arc<dyn Store>;

    /// Removes what is expired at `now`: invitations, tokens, spent signatures, mails that failed a month
    /// ago, and sessions made before `sessions_before`.
    async fn sweep(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError>;

    /// Repairs the work of a clock that was ahead, at a start: removes invitations and e-mail tokens that
    /// were made in the future of `now`, and makes mails due that wait for it.
    async fn forget_future(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Fails while another process may have changed the store: then nothing may be served from memory either.
    fn require_lock(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns a sentence for the operator if acknowledged changes are known to be lost. Reads a small file
    /// at most.
    fn lost_changes(&self) -> Option<String> {
        None
    }

    /// Reads all rows and checks that each one decodes and agrees with its indexes.
    async fn verify(&self) -> Result<Verification, StoreError>;
}

/// The result of [`Store::verify`].
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
    /// The number of faults.
    #[serde(default)]
    pub fault_count: usize,
    /// A sentence for each fault, at most [`FAULTS_TOLD`](Self::FAULTS_TOLD).
    pub faults: Vec<String>,
}

impl Verification {
    /// Faults reported one by one; bounded, so that a store full of faults takes little memory.
    pub const FAULTS_TOLD: usize = 100;

    fn add_fault(&mut self, fault: String) {
        self.fault_count += 1;
        if self.faults.len() < Self::FAULTS_TOLD {
            self.faults.push(fault);
        }
    }
}
