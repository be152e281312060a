//! Accounts and everything about them: sign-in, sign-up, sessions, access keys, invitations, lockout, mail,
//! audit.
//!
//! Services know the model and the store, never HTTP. Pages, signature schemes and the admin socket call the
//! same functions, so that no caller has rules of its own.

mod access_key_auth;
mod access_keys;
mod account_edit;
mod account_name;
mod account_settings;
mod accounts;
mod active_key;
mod active_session;
mod actor;
mod admin_queries;
mod approval;
mod audit;
mod challenges;
mod change_rate_limiter;
mod cookies;
mod deferred_revocations;
mod derived_key_cache;
mod dual_time;
mod email_tokens;
mod failed_mails;
mod hasher;
mod input;
mod invitations;
mod ip_rate_limiter;
mod key_sign_in;
mod link_lifetimes;
mod lockout;
mod mail;
mod maker_rights;
mod master_keys;
mod password_hash;
mod password_policy;
mod pending_revocations;
mod refresh_locks;
mod replay_guard;
mod reserved_usernames;
mod secret_encryption;
mod session_expiry;
mod sessions;
mod settled_time;
mod shown_once;
mod sign_in;
mod sign_in_policy;
mod sign_up;
mod terms;
#[cfg(test)]
mod test_support;
mod unsettled_accounts;
mod unsettled_change;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::model::{Administrators, LockoutPolicy};
use crate::random::Random;
use crate::store::{SessionsToEnd, Store};
use approval::Approval;
use change_rate_limiter::ChangeRateLimiter;
use ip_rate_limiter::IpRateLimiter;
use lockout::{Gates, Lockout};
use maker_rights::{MakerRights, MakerRule};
use pending_revocations::PendingRevocations;
use secret_encryption::SecretCipher;
use settled_time::SettledTime;
use sign_in_policy::SignInPolicy;
use terms::Terms;

pub use access_key_auth::{AccessKeyAuthError, AccessKeyVerifier};
pub use access_keys::{AccessKeyChange, AccessKeyError, AccessKeyInfo, AccessKeys, NewAccessKey};
pub use account_name::AccountName;
pub use account_settings::{AccountSettings, AccountSettingsError, MOST_FORMER_USERNAMES, PasswordForm};
pub use accounts::{
    AccountChange, AccountError, AccountPart, AccountVersion, Accounts, ChosenAccount, HtpasswdDefaults,
    HtpasswdLine, ImportedLine, InitialPassword, NewAccount, NewPassword, PasswordLink,
};
pub use active_key::ActiveKey;
pub use active_session::ActiveSession;
pub use actor::Actor;
pub use admin_queries::{AdminQueries, GroupSummary, LocksInForce, MailFilter, MailPage};
pub use audit::{Audit, AuditError, Event, EventOutcome, Kind, Origin, USER_AGENT_LENGTH};
pub use change_rate_limiter::TooManyChanges;
pub use cookies::{GatewayCookies, PresentedCookie};
pub use deferred_revocations::DeferredRevocations;
pub use derived_key_cache::DerivedKeyCache;
pub use email_tokens::{Confirmation, EmailTokens, LinkError};
pub use failed_mails::FailedMails;
pub use hasher::{Busy, HashPermit, Hasher, PasswordCheck};
pub use input::{DisplayNameError, FieldError, LONGEST_NAME, SignUpField};
pub use invitations::{
    ImpossibleInvitation, InvitationError, InvitationFilter, InvitationOutcome, InvitationPage, Invitations,
    Invitee, Invitees, IssuedInvitation, LONGEST_INVITATION, NewInvitations,
};
pub use key_sign_in::{KeyCredential, KeySignIn, KeySignInError};
pub use mail::{LETTER, LETTER_TEMPLATE, MailError, MailProbe, Mailer, ProbeError, WINDOW as MAIL_WINDOW};
pub use master_keys::MasterKeyError;
pub use password_policy::{PasswordPolicy, PasswordRule};
pub use replay_guard::{ReplayError, ReplayGuard};
pub use secret_encryption::{SecretCipherError, check_master_key, require_master_key};
pub use sessions::{SessionCursor, SessionInfo, SessionPage, Sessions};
pub use shown_once::{ShownOn, ShownOnce};
pub use sign_in::{SignIn, SignInError, SignedIn};
pub use sign_up::{SignUp, SignUpError, SignUpForm, SignUpNext};

/// Filters and results of queries, which pages share with the store.
pub use crate::store::{
    AccountFilter, AccountOrder, AccountPage, AccountQuery, AccountSort, AuditFilter, AuditOrder, AuditPage,
    AuditSubject, LoadedRows, PreconditionError, StoreError, UnreadableRow,
};

/// All services, built from the configuration and shared.
#[derive(Clone, Debug)]
pub struct Services {
    /// Account administration.
    pub accounts: Arc<Accounts>,
    /// Queries of administrators.
    pub admin_queries: Arc<AdminQueries>,
    /// Permanently failed mails.
    pub failed_mails: Arc<FailedMails>,
    /// Invitations.
    pub invitations: Arc<Invitations>,
    /// Secrets that pages show once.
    pub shown_once: Arc<ShownOnce>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Access keys.
    pub access_keys: Arc<AccessKeys>,
    /// Account revocations that the store does not have yet.
    pub revocations: Arc<DeferredRevocations>,
    /// Verification of access keys' secrets.
    pub access_key_auth: Arc<AccessKeyVerifier>,
    /// Sign-in with an access key.
    pub key_sign_in: Arc<KeySignIn>,
    /// Replay protection of signatures.
    pub replay_guard: Arc<ReplayGuard>,
    /// Sign-in with a password.
    pub sign_in: Arc<SignIn>,
    /// Account self-service.
    pub account_settings: Arc<AccountSettings>,
    /// Sign-up.
    pub sign_up: Arc<SignUp>,
    /// Links in mails.
    pub email_tokens: Arc<EmailTokens>,
    /// The mail queue.
    pub mailer: Arc<Mailer>,
    /// Audit.
    pub audit: Arc<Audit>,
    /// The rules for new passwords.
    pub password_policy: Arc<PasswordPolicy>,
    /// The names and attributes of the gateway's cookies.
    pub cookies: Arc<GatewayCookies>,
    /// Password hashing.
    pub hasher: Arc<Hasher>,
    shared: SharedServices,
}

/// What outlives a reload of the configuration.
#[derive(Clone, Debug)]
struct SharedServices {
    store: Arc<dyn Store>,
    hasher: Arc<Hasher>,
    sessions: Arc<Sessions>,
    access_keys: Arc<AccessKeys>,
    revocations: Arc<DeferredRevocations>,
    audit: Arc<Audit>,
    mailer: Arc<Mailer>,
    shown_once: Arc<ShownOnce>,
    addresses: Arc<IpRateLimiter>,
    changes: Arc<ChangeRateLimiter>,
    gates: Gates,
    /// The rule of who administers, as the configuration that runs has it.
    administrators: Administrators,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
}

/// The most hashes waiting or running (S6).
const HASHING_QUEUE: usize = 256;

/// How often it is looked whether another gateway has taken the store.
const LOCK_LOOKS_EVERY: Duration = Duration::from_secs(1);

impl Services {
    /// Ends all sessions and access keys in memory once another gateway or command has used the store: they may have been ended
    /// there, and what goes on by them would never end here. Returns at `stop`.
    pub async fn end_when_superseded(&self, stop: CancellationToken) {
        let superseded = async {
            while !matches!(self.sessions.require_store_lock(), Err(StoreError::Superseded(_))) {
                tokio::time::sleep(LOCK_LOOKS_EVERY).await;
            }
        };
        if stop.run_until_cancelled(superseded).await.is_some() {
            self.sessions.forget(SessionsToEnd::All);
            self.access_keys.suspend_all();
        }
    }

    /// Builds all services over one store.
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
        let administrators = Administrators::new(&config.admin.group, config.signup.verify_email);
        let store = store.with_administrators(administrators.clone());
        if let Err(error) = store.forget_future(clock.now()).await {
            tracing::warn!(%error, "what was made while the clock was ahead could not be removed");
        }
        let settled = Arc::new(SettledTime::load(&*store, &clock).await?);
        let pending = Arc::new(PendingRevocations::default());
        let sessions = Sessions::load(
            store.clone(),
            &config.session,
            clock.clone(),
            random.clone(),
            metrics.clone(),
            pending.clone(),
            settled.clone(),
        )
        .await?;
        let sessions = Arc::new(sessions);
        let audit = Audit::open(
            &config.audit,
            store.clone(),
            clock.clone(),
            settled,
            metrics.clone(),
        );
        let audit = Arc::new(audit.map_err(|error| ServicesError::Audit {
            path: config.audit.file.clone(),
            error,
        })?);
        let changes = Arc::new(ChangeRateLimiter::new(clock.clone()));
        let mailer = Mailer::new(
            config,
            store.clone(),
            MakerRule::new(administrators.clone()),
            clock.clone(),
            random.clone(),
            metrics.clone(),
        );
        let mailer = Arc::new(mailer?);
        let access_keys = AccessKeys::load(access_keys::Parts {
            cipher: SecretCipher::open(store.clone(), config.store.master_key.clone(), random.clone())
                .await?,
            store: store.clone(),
            audit: audit.clone(),
            mailer: mailer.clone(),
            changes: changes.clone(),
            clock: clock.clone(),
            random: random.clone(),
            sessions: sessions.clone(),
            revocations: pending.clone(),
        });
        let access_keys = Arc::new(access_keys.await?);
        let shut_outs = Arc::new(DeferredRevocations {
            pending,
            store: store.clone(),
            sessions: sessions.clone(),
            access_keys: access_keys.clone(),
            audit: audit.clone(),
        });
        let services = Self::build(
            SharedServices {
                store,
                access_keys,
                revocations: shut_outs,
                mailer,
                shown_once: Arc::new(ShownOnce::new(clock.clone())),
                hasher,
                sessions,
                audit,
                addresses: Arc::new(IpRateLimiter::new(&config.lockout, clock.clone())),
                changes,
                gates: Gates::default(),
                administrators,
                clock,
                random,
                metrics,
            },
            config,
        );
        services.apply_config(config);
        Ok(services)
    }

    /// Applies a configuration to the shared services.
    pub fn apply_config(&self, config: &Config) {
        self.shared
            .administrators
            .replace(&config.admin.group, config.signup.verify_email);
        self.access_keys.reload(config);
        self.mailer.reload(config);
        self.sessions.reload(config);
    }

    /// The actor of an administrator's changes in a session.
    pub fn administrator(&self, session: &ActiveSession) -> Actor {
        Actor::administrator(session, &self.shared.administrators)
    }

    /// Builds the services of another configuration over the shared ones. Sessions, access keys, audit, the
    /// hashing pool and the counts of addresses stay as they were configured.
    #[must_use]
    pub fn with_config(&self, config: &Config) -> Self {
        Self::build(self.shared.clone(), config)
    }

    fn build(shared: SharedServices, config: &Config) -> Self {
        let SharedServices {
            store,
            hasher,
            sessions,
            access_keys,
            revocations: shut_outs,
            audit,
            mailer,
            shown_once,
            addresses,
            changes: _,
            gates,
            administrators,
            clock,
            random,
            metrics,
        } = shared.clone();
        let admission = SignInPolicy {
            verified_only: config.signup.verify_email,
        };
        let policy = Arc::new(PasswordPolicy::new(config.password.policy));
        let makers = MakerRights::new(&shared);
        let approval = Approval::new(&shared, config);
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
            policy: admission,
            metrics: metrics.clone(),
        });
        let key_proof = Arc::new(AccessKeyVerifier::new(&shared, lockout_policy));
        let spent_signatures = Arc::new(ReplayGuard::new(store.clone()));
        Self {
            accounts: Arc::new(Accounts::new(&shared, policy.clone(), approval.clone(), config)),
            admin_queries: Arc::new(AdminQueries {
                store: store.clone(),
                approval: approval.clone(),
                lockout: lockout_policy,
                groups_of_routes: config.groups_of_routes(),
                administrators,
            }),
            failed_mails: Arc::new(FailedMails::new(&shared)),
            invitations: Arc::new(Invitations::new(&shared, config)),
            key_sign_in: Arc::new(KeySignIn::new(&shared, &key_proof, &sign_in, &spent_signatures)),
            access_key_auth: key_proof,
            replay_guard: spent_signatures,
            account_settings: Arc::new(AccountSettings::new(
                &shared,
                policy.clone(),
                sign_in.clone(),
                config,
            )),
            email_tokens: Arc::new(EmailTokens::new(
                &shared,
                policy.clone(),
                approval.clone(),
                config,
            )),
            access_keys,
            revocations: shut_outs,
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
                usernames_of_routes: config.usernames_of_routes(),
                makers,
            }),
            mailer,
            shown_once,
            sessions,
            audit,
            password_policy: policy,
            cookies: Arc::new(GatewayCookies::new(&config.session)),
            hasher,
            shared,
        }
    }
}

fn lockout_policy(config: &Config) -> LockoutPolicy {
    LockoutPolicy {
        max_failures: config.lockout.max_failures,
        duration: config.lockout.duration.0,
    }
}

/// Why the services could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of audit lines could not be opened.
    #[error("audit.file {path} cannot be opened: {error}", path = .path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The configuration of mail is not usable.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The data key could not be decrypted.
    #[error(transparent)]
    SecretCipher(#[from] SecretCipherError),
    /// The hashing threads could not be started.
    #[error("the threads that hash passwords cannot be started: {0}")]
    Hasher(std::io::Error),
}
