//! The store: what must survive a restart. Domain operations, each one atomic; it never knows HTTP.
//!
//! Business outcomes are return values; an error means that the question could not be answered. Nothing is
//! acknowledged before it is on disk. The same conformance suite runs on every store.

mod access_keys;
mod admin_queries;
mod attempt_counter;
mod audit;
mod error;
mod loaded_rows;
mod mail_ops;
mod portable;
pub mod postgres;
mod precondition;
mod record;
mod rules;
pub mod sled;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use access_keys::{AccessKeyStore, CreateAccessKey};
pub use admin_queries::{AccountFilter, AccountPage, AdminQueryStore, Locks};
pub use audit::{AuditFilter, AuditOrder, AuditPage, AuditStore, AuditSubject};
pub use error::StoreError;
pub use loaded_rows::{LoadedRows, UnreadableRow};
pub use mail_ops::{ClaimMail, ClaimToken, ConsumeToken, MailAllowance, MailClaim, MailOutcome, TokenEffect};
pub use portable::{
    AddressMails, Counts, DamagedStore, Export, ExportFile, Header, Import, KeptFailures, KeptLock, Losses,
    NamesKey, PortableStore, PutError, ReadError, Record, RecordReader, Salvage, SpentSignature, Summary,
};
pub use precondition::{Precondition, PreconditionError};

use crate::ids::{AccountId, InvitationId, MailId, SessionId};
use crate::model::{
    AccessKeyId, Account, Email, Invitation, LockoutPolicy, LockoutSubject, Session, SignatureDigest,
    TokenDigest, Username,
};
use crate::model::{EmailToken, Mail, QueuedMail};

/// Everything that is kept.
#[async_trait]
pub trait Store: AccessKeyStore + AuditStore + AdminQueryStore + PortableStore {
    /// A handle on the same store whose changing operations fail with [`StoreError::Precondition`], and change nothing,
    /// once the precondition does not hold any more. Reads are those of this store.
    fn with_precondition(&self, precondition: Precondition) -> Arc<dyn Store>;

    /// The same store, for which an account counts as an active member of a group only if its address is verified, or
    /// whether or not it is: nobody else may sign in.
    fn with_verified_only(&self, verified_only: bool) -> Arc<dyn Store>;

    /// Makes an account and, in the same step, uses up the invitation that it came with.
    ///
    /// A username that any account ever had is taken (S53). Of many callers with one invitation, one gets an
    /// account (S16). An invitation bound to another address, or expired at `now`, is void and is not used up; it is
    /// judged first, so that without a good one nobody learns which addresses and usernames are taken.
    async fn create_account(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        self.create_account_and_mail(account, invitation, Vec::new(), now)
            .await
    }

    /// The same; if an account is made, `mails` wait from then on.
    async fn create_account_and_mail(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError>;

    /// Makes accounts, each as [`create_account`](Self::create_account) does without an invitation, in one step. What
    /// became of each, in their order.
    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError>;

    /// The account with this id.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// The account with this address, compared by [`Email::key`].
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// The account with this username now; one that it once had finds nobody.
    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError>;

    /// Up to `limit` accounts in the order they were made, from the one after `after`.
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError>;

    /// Whether anybody is in the group who may sign in.
    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError>;

    /// The accounts in the group, in the order they were made.
    async fn group_members(&self, group: &str) -> Result<Vec<Account>, StoreError>;

    /// Replaces the account if it still is what the caller read. Its `id` stays what it was.
    ///
    /// A username that any other account ever had is taken (S53). The one that the account had before joins its
    /// `former_usernames`, which are the store's to keep: it may take one of them back.
    ///
    /// `guarded` is the administrators' group: a change that takes its last active member out of it, or disables
    /// that member, is refused. Active is whoever may sign in: see [`with_verified_only`](Self::with_verified_only). A new
    /// password, told by its time, or a new address voids the account's mailed tokens. A new password ends the account's
    /// sessions in the same step, but the one in which its owner sets it: that one is proved by it.
    async fn update_account(
        &self,
        expected: &Account,
        changed: Account,
        guarded: &str,
    ) -> Result<UpdateAccount, StoreError>;

    /// Applies an edit to the account as it is, inside the operation: no other change comes between, however often the
    /// account is changed. The mails that the edit returns wait from then on. All else as in
    /// [`update_account`](Self::update_account).
    async fn edit_account(
        &self,
        id: AccountId,
        edit: AccountEdit,
        guarded: &str,
    ) -> Result<EditAccount, StoreError>;

    /// Removes the account, its sessions, its access keys, its attempts and its mailed tokens. Its usernames stay taken. `guarded` as
    /// above.
    async fn delete_account(&self, id: AccountId, guarded: &str) -> Result<DeleteAccount, StoreError>;

    /// Counts an attempt as a failure before anything is hashed, unless the subject is locked. An account that was
    /// removed meanwhile is counted like a name that belongs to nobody.
    ///
    /// Atomic: of any number of parallel calls exactly as many are [`AttemptOutcome::Counted`] as the policy allows.
    /// The attempt that uses up the allowance starts the lock (`max_failures` + 1). Attempts while locked change
    /// nothing. A lock is measured by the monotonic clock while this process runs, and never lasts longer than
    /// `policy.duration` after a restart (S11). When it is over, counting starts again at zero.
    async fn record_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<AttemptOutcome, StoreError>;

    /// Forgets the failures and the lock of a subject: it proved itself.
    async fn clear_attempts(&self, subject: LockoutSubject) -> Result<(), StoreError>;

    /// Takes back one counted attempt that was not evaluated, and a lock that it alone started.
    async fn withdraw_attempt(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<(), StoreError>;

    /// For how long a subject is still locked.
    async fn locked_for(
        &self,
        subject: LockoutSubject,
        policy: LockoutPolicy,
    ) -> Result<Option<Duration>, StoreError>;

    /// Keeps a session, and ends the one that the sign-in replaces.
    ///
    /// Not if the account is gone or not active, or the access key that it was begun with is gone or switched off: that
    /// came about while somebody signed in, and those sessions were ended then.
    async fn put_session(
        &self,
        session: Session,
        replaces: Option<TokenDigest>,
    ) -> Result<PutSession, StoreError>;

    /// Every session that is kept: read once, at start.
    async fn load_sessions(&self) -> Result<LoadedRows<Session>, StoreError>;

    /// The same; an error if any cannot be read.
    async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        self.load_sessions().await?.require_sound()
    }

    /// Notes when sessions were last used. Those that are gone stay gone.
    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError>;

    /// Notes when the owner of a session proved to know the password, and which, by when that was set. A session that is
    /// gone stays gone.
    async fn mark_reauthenticated(
        &self,
        digest: TokenDigest,
        at: Timestamp,
        password_changed_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends sessions. How many there were.
    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError>;

    /// Keeps an invitation.
    async fn create_invitation(&self, invitation: Invitation) -> Result<(), StoreError>;

    /// The invitation with this token, spent ones excepted, expired ones not.
    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError>;

    /// All invitations that are not used up, oldest first.
    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError>;

    /// Removes an invitation. Whether there was one.
    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError>;

    /// Spends a signature, unless it was spent before: it serves nobody again until `until`, when it is of no use by
    /// itself, and across a restart.
    ///
    /// Atomic: of any number of parallel calls one is [`SpendSignature::Spent`].
    async fn claim_signature(
        &self,
        digest: SignatureDigest,
        until: Timestamp,
    ) -> Result<SpendSignature, StoreError>;

    /// Takes it back: the request that it was on reached nobody. Whether it was spent.
    async fn release_signature(&self, digest: SignatureDigest) -> Result<bool, StoreError>;

    /// Keeps a mailed token in place of the account's earlier one for the same purpose.
    async fn save_token(&self, token: EmailToken) -> Result<(), StoreError>;

    /// The mailed token with this digest, expired or not; uses nothing up.
    async fn token(&self, digest: TokenDigest) -> Result<Option<EmailToken>, StoreError>;

    /// Uses up a token and does what it was for, in one step: of many callers one succeeds (S19). If it does, `mails`
    /// wait from then on.
    ///
    /// A token that is expired at `now`, or whose purpose is another than the effect's, is void and is not used up.
    async fn consume_token(
        &self,
        digest: TokenDigest,
        effect: TokenEffect,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<ConsumeToken, StoreError>;

    /// Lets mails wait, due at once.
    async fn enqueue_mails(&self, mails: Vec<Mail>) -> Result<(), StoreError>;

    /// Takes the mail that has been due for the longest time, and counts an attempt. Nobody else takes it for `lease`:
    /// so whoever took it may come back to nothing, and it is sent all the same.
    async fn take_due_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError>;

    /// Puts on record, in one step, that a taken mail goes out and with which token. A mail that is stamped again,
    /// because an attempt failed, counts once.
    async fn claim_mail(&self, id: MailId, claim: MailClaim, now: Timestamp)
    -> Result<ClaimMail, StoreError>;

    /// Says what became of a taken mail, or has one that failed sent again. Whether it was still there.
    async fn complete_mail(&self, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError>;

    /// Up to `limit` mails that wait or failed, in the order they were enqueued, from the one after `after`.
    async fn mails(&self, after: Option<MailId>, limit: usize) -> Result<Vec<QueuedMail>, StoreError>;

    /// How many mails wait, those that are being sent included; it counts no further than `at_most`.
    async fn count_waiting_mails(&self, at_most: usize) -> Result<usize, StoreError>;

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

/// What became of [`Store::create_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAccount {
    /// It exists now.
    Created,
    /// Another account has the address.
    EmailTaken,
    /// An account has the username, or once had it.
    UsernameTaken,
    /// The invitation is spent, expired, unknown or bound to another address.
    InvitationVoid,
}

/// What became of [`Store::update_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateAccount {
    /// It is what the caller wanted.
    Updated,
    /// Somebody changed it, or removed it, since the caller read it: read again.
    Changed,
    /// Another account has the address.
    EmailTaken,
    /// Another account has the username, or once had it.
    UsernameTaken,
    /// It would leave the guarded group without an active member.
    LastMember,
}

/// Changes an account and returns the mails that go with that; `None` refuses, and nothing is changed. A store may call
/// it more than once for one operation.
pub type AccountEdit = Arc<dyn Fn(&mut Account) -> Option<Vec<Mail>> + Send + Sync>;

/// What became of [`Store::edit_account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditAccount {
    /// It is changed.
    Edited {
        /// The account as it was.
        before: Box<Account>,
        /// The account as it is.
        after: Box<Account>,
    },
    /// The edit refused.
    Refused,
    /// There is none.
    Absent,
    /// Another account has the address.
    EmailTaken(Email),
    /// Another account has the username, or once had it.
    UsernameTaken(Username),
    /// It would leave the guarded group without an active member.
    LastMember,
}

impl From<EditAccount> for UpdateAccount {
    fn from(outcome: EditAccount) -> Self {
        match outcome {
            EditAccount::Edited { .. } => Self::Updated,
            EditAccount::Refused | EditAccount::Absent => Self::Changed,
            EditAccount::EmailTaken(_) => Self::EmailTaken,
            EditAccount::UsernameTaken(_) => Self::UsernameTaken,
            EditAccount::LastMember => Self::LastMember,
        }
    }
}

/// What became of [`Store::delete_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteAccount {
    /// It is gone.
    Deleted,
    /// There was none.
    Absent,
    /// It is the guarded group's last active member.
    LastMember,
}

/// What became of [`Store::record_attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Counted as a failure, the n-th in a row; may be evaluated.
    Counted(u32),
    /// Locked for so long; must not be evaluated.
    Locked(Duration),
}

/// What became of [`Store::put_session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutSession {
    /// It is kept.
    Kept,
    /// Its account, or its access key, may not sign in any more; nothing was changed.
    ShutOut,
}

/// What became of [`Store::claim_signature`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendSignature {
    /// It is spent now.
    Spent,
    /// It was spent before.
    SpentBefore,
    /// So many are remembered that there is no room for it.
    Full,
}

/// Which sessions [`Store::end_sessions`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsToEnd {
    /// The one with this token.
    Token(TokenDigest),
    /// The one with this public name.
    Id(SessionId),
    /// All of an account, except perhaps one.
    Account(AccountId, Option<TokenDigest>),
    /// Those of an account that end with this access key.
    AccessKey(AccountId, AccessKeyId),
    /// All.
    All,
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
