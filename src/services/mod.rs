//! What the gateway can do for people: accounts, passwords, sessions, invitations, lockout, the record.
//!
//! Services know the model and the store; they never know HTTP. The pages, the signature schemes and the
//! administrator's commands are all callers of the same few functions, so that no path has rules of its own.

mod access_keys;
mod account_edit;
mod account_name;
mod accounts;
mod actor;
mod address_limit;
mod admission;
mod allowance;
mod approval;
mod audit;
mod challenges;
mod change_limit;
mod derived_keys;
mod failed_mails;
mod hasher;
mod inspection;
mod invitations;
mod kept;
mod key_proof;
mod key_sign_in;
mod link_lifetimes;
mod live_key;
mod live_session;
mod lockout;
mod mail;
mod mailed_links;
mod master_keys;
mod new_password;
mod own_account;
mod password_hash;
mod password_policy;
mod pending_shut_outs;
mod session_cookie;
mod sessions;
mod settled_time;
mod shut_outs;
mod sign_in;
mod sign_up;
mod spent_signatures;
mod terms;
mod vault;
#[cfg(test)]
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::model::LockoutPolicy;
use crate::random::Random;
use crate::store::Store;
use address_limit::AddressLimit;
use admission::Admission;
use approval::Approval;
use change_limit::ChangeLimit;
use kept::Kept;
use lockout::{Gates, Lockout};
use pending_shut_outs::PendingShutOuts;
use terms::Terms;
use vault::Vault;

pub use access_keys::{AccessKeyChange, AccessKeyError, AccessKeyInfo, AccessKeys, NewAccessKey};
pub use account_name::{LONGEST_NAME, NotAName};
pub use accounts::{
    AccountChange, AccountError, AccountPart, AccountVersion, Accounts, HtpasswdLine, ImportedLine,
    NewAccount, NewPassword,
};
pub use actor::Actor;
pub use audit::{Audit, AuditError, Event, Kind, Origin, Outcome};
pub use change_limit::TooManyChanges;
pub use derived_keys::DerivedKeys;
pub use failed_mails::FailedMails;
pub use hasher::{Busy, Hasher, Place, Verdict};
pub use inspection::{Inspection, LocksInForce, MailFilter, MailPage};
pub use invitations::Invitations;
pub use key_proof::{KeyProof, KeyRefusal};
pub use key_sign_in::{KeyAnswer, KeySignIn, KeySignInError};
pub use live_key::LiveKey;
pub use live_session::LiveSession;
pub use mail::{LETTER, MailError, Mailer, Probe, ProbeError};
pub use mailed_links::{Confirmation, LinkError, MailedLinks};
pub use master_keys::MasterKeyError;
pub use own_account::{MOST_FORMER_USERNAMES, OwnAccount, OwnAccountError, PasswordForm};
pub use password_policy::{PasswordPolicy, PasswordRule};
pub use session_cookie::{Presented, SessionCookie};
pub use sessions::{SessionInfo, Sessions};
pub use shut_outs::ShutOuts;
pub use sign_in::{SignIn, SignInError, SignedIn};
pub use sign_up::{FieldError, SignUp, SignUpError, SignUpField, SignUpForm, SignUpNext};
pub use spent_signatures::{SpendError, SpentSignatures};
pub use vault::{VaultError, check_master_key, require_master_key};

/// What accounts and events are looked for by, and what is found: the questions of the pages are those of the store.
pub use crate::store::{
    AccountFilter, AccountPage, AuditFilter, AuditOrder, AuditPage, AuditSubject, PreconditionError,
    StoreError,
};

/// All services, made once from the configuration and shared.
#[derive(Clone, Debug)]
pub struct Services {
    /// Accounts, as an administrator handles them.
    pub accounts: Arc<Accounts>,
    /// What administrators look at.
    pub inspection: Arc<Inspection>,
    /// Mails that failed for good.
    pub failed_mails: Arc<FailedMails>,
    /// Invitations.
    pub invitations: Arc<Invitations>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Access keys.
    pub access_keys: Arc<AccessKeys>,
    /// Accounts that are shut out though the store could not keep it.
    pub shut_outs: Arc<ShutOuts>,
    /// Proving oneself with the secret of an access key.
    pub key_proof: Arc<KeyProof>,
    /// Signing in with an access key.
    pub key_sign_in: Arc<KeySignIn>,
    /// Signatures that served where they serve once.
    pub spent_signatures: Arc<SpentSignatures>,
    /// Signing in with a password.
    pub sign_in: Arc<SignIn>,
    /// What people do with their own account.
    pub own_account: Arc<OwnAccount>,
    /// Making an account.
    pub sign_up: Arc<SignUp>,
    /// What the links in mails do.
    pub mailed_links: Arc<MailedLinks>,
    /// Mail.
    pub mailer: Arc<Mailer>,
    /// The record of authentication events.
    pub audit: Arc<Audit>,
    /// What a new password must be.
    pub password_policy: Arc<PasswordPolicy>,
    /// The cookie that carries a session.
    pub session_cookie: Arc<SessionCookie>,
    /// The pool on which passwords are hashed.
    pub hasher: Arc<Hasher>,
    lasting: Lasting,
}

/// What lasts as long as the program does, whatever the configuration becomes.
#[derive(Clone, Debug)]
struct Lasting {
    store: Kept,
    hasher: Arc<Hasher>,
    sessions: Arc<Sessions>,
    access_keys: Arc<AccessKeys>,
    shut_outs: Arc<ShutOuts>,
    audit: Arc<Audit>,
    mailer: Arc<Mailer>,
    addresses: Arc<AddressLimit>,
    changes: Arc<ChangeLimit>,
    gates: Gates,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
}

/// Hashes that may wait or run at once (S6).
const HASHING_QUEUE: usize = 256;

impl Services {
    /// Makes them all over one store.
    pub async fn new(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServicesError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let hasher = Hasher::new(
            config.password.bcrypt_cost,
            cores - 1,
            HASHING_QUEUE,
            metrics.clone(),
        );
        let hasher = Arc::new(hasher.map_err(ServicesError::Hasher)?);
        Self::with_hasher(config, store, hasher, clock, random, metrics).await
    }

    async fn with_hasher(
        config: &Config,
        store: Arc<dyn Store>,
        hasher: Arc<Hasher>,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServicesError> {
        if let Err(error) = store.forget_future(clock.now()).await {
            tracing::warn!(%error, "what was made while the clock was ahead could not be removed");
        }
        let pending = Arc::new(PendingShutOuts::default());
        let sessions = Sessions::load(
            store.clone(),
            &config.session,
            clock.clone(),
            random.clone(),
            metrics.clone(),
            pending.clone(),
        )
        .await?;
        let sessions = Arc::new(sessions);
        let store = Kept::from(store);
        let audit = Audit::open(&config.audit, store.clone(), clock.clone(), metrics.clone());
        let audit = Arc::new(audit.map_err(|error| ServicesError::Audit {
            path: config.audit.file.clone(),
            error,
        })?);
        let changes = Arc::new(ChangeLimit::new(clock.clone()));
        let mailer = Mailer::new(
            config,
            store.clone(),
            clock.clone(),
            random.clone(),
            metrics.clone(),
        );
        let mailer = Arc::new(mailer?);
        let access_keys = AccessKeys::load(access_keys::Parts {
            vault: Vault::open(store.clone(), config.store.master_key.clone(), random.clone()).await?,
            store: store.clone(),
            audit: audit.clone(),
            mailer: mailer.clone(),
            changes: changes.clone(),
            clock: clock.clone(),
            random: random.clone(),
            sessions: sessions.clone(),
            shut_outs: pending.clone(),
        });
        let access_keys = Arc::new(access_keys.await?);
        let shut_outs = Arc::new(ShutOuts {
            pending,
            store: store.clone(),
            sessions: sessions.clone(),
            access_keys: access_keys.clone(),
            audit: audit.clone(),
        });
        let services = Self::over(
            Lasting {
                store,
                access_keys,
                shut_outs,
                mailer,
                hasher,
                sessions,
                audit,
                addresses: Arc::new(AddressLimit::new(&config.lockout, clock.clone())),
                changes,
                gates: Gates::default(),
                clock,
                random,
                metrics,
            },
            config,
        );
        services.follow(config);
        Ok(services)
    }

    /// Has what lasts hold to another configuration from now on.
    pub fn follow(&self, config: &Config) {
        self.access_keys.follow(config);
        self.mailer.follow(config);
        self.sessions.follow(config);
    }

    /// The same services under another configuration. Sessions, access keys, the record, the hashing pool and the
    /// counts of addresses stay, and with them what the configuration says of them.
    #[must_use]
    pub fn under(&self, config: &Config) -> Self {
        Self::over(self.lasting.clone(), config)
    }

    fn over(mut lasting: Lasting, config: &Config) -> Self {
        lasting.store = lasting.store.with_verified_only(config.signup.verify_email);
        let Lasting {
            store,
            hasher,
            sessions,
            access_keys,
            shut_outs,
            audit,
            mailer,
            addresses,
            changes: _,
            gates,
            clock,
            random,
            metrics,
        } = lasting.clone();
        let admission = Admission {
            verified_only: config.signup.verify_email,
        };
        let policy = Arc::new(PasswordPolicy::new(config.password.policy));
        let administrators = config.admin.group.clone();
        let approval = Approval::under(&lasting, config);
        let terms = Terms::new(&config.signup, clock.clone());
        let lockout_policy = lockout_policy(config);
        let sign_in = Arc::new(SignIn {
            store: store.clone(),
            hasher: hasher.clone(),
            lockout: Lockout::new(store.clone(), gates, lockout_policy),
            addresses: addresses.clone(),
            sessions: sessions.clone(),
            audit: audit.clone(),
            by_username: config.login.username,
            terms: terms.clone(),
            admission,
            guarded: administrators.clone(),
            metrics: metrics.clone(),
        });
        let key_proof = Arc::new(KeyProof::under(&lasting, lockout_policy));
        let spent_signatures = Arc::new(SpentSignatures::new(store.clone()));
        Self {
            accounts: Arc::new(Accounts::under(
                &lasting,
                policy.clone(),
                approval.clone(),
                config,
            )),
            inspection: Arc::new(Inspection {
                store: store.clone(),
                approval: approval.clone(),
                lockout: lockout_policy,
            }),
            failed_mails: Arc::new(FailedMails::under(&lasting)),
            invitations: Arc::new(Invitations::under(&lasting, config)),
            key_sign_in: Arc::new(KeySignIn::under(
                &lasting,
                &key_proof,
                &sign_in,
                &spent_signatures,
            )),
            key_proof,
            spent_signatures,
            own_account: Arc::new(OwnAccount::under(
                &lasting,
                policy.clone(),
                sign_in.clone(),
                config,
            )),
            mailed_links: Arc::new(MailedLinks::under(
                &lasting,
                policy.clone(),
                approval.clone(),
                config,
            )),
            access_keys,
            shut_outs,
            sign_in,
            sign_up: Arc::new(SignUp {
                store,
                mailer: mailer.clone(),
                hasher: hasher.clone(),
                policy: policy.clone(),
                addresses,
                audit: audit.clone(),
                approval,
                terms,
                clock,
                random,
                metrics: metrics.clone(),
                config: config.signup.clone(),
            }),
            mailer,
            sessions,
            audit,
            password_policy: policy,
            session_cookie: Arc::new(SessionCookie::new(&config.session)),
            hasher,
            lasting,
        }
    }
}

fn lockout_policy(config: &Config) -> LockoutPolicy {
    LockoutPolicy {
        max_failures: config.lockout.max_failures,
        duration: config.lockout.duration.0,
    }
}

/// Why the services cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record cannot be opened.
    #[error("audit.file {path} cannot be opened: {error}", path = .path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Mail cannot be sent as the configuration says.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Access keys cannot be decrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The threads that hash passwords cannot be started.
    #[error("the threads that hash passwords cannot be started: {0}")]
    Hasher(std::io::Error),
}
