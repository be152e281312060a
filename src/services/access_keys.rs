//! Access keys: held in memory for the verification of requests, persisted in the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::account_name::{AccountName, TypedName};
use super::active_key::{ActiveKey, KeyState};
use super::change_rate_limiter::ChangeRateLimiter;
use super::dual_time::DualTime;
use super::pending_revocations::PendingRevocations;
use super::refresh_locks::RefreshLocks;
use super::secret_encryption::{SecretCipher, SecretCipherError};
use super::unsettled_accounts::UnsettledAccounts;
use super::unsettled_change::OnAbandoned;
use super::{Actor, Audit, Event, Kind, Mailer, Origin, Sessions, TooManyChanges};
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::ids::AccountId;
use crate::model::{
    AccessKey, AccessKeyId, Account, AccountStatus, AuditDetail, DetailKey, KeyScope, Mail, MailKind,
    SecretKey, is_blank, turns_text,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::{CreateAccessKey, LoadedRows, Store, StoreError, UnreadableRow};

mod change;
mod maintenance;

/// How long keys older than a new password are listed: a week.
const OLDER_SHOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The longest name of an access key, in characters.
const NAME_LENGTH: usize = 64;

/// A request to create an access key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NewAccessKey {
    /// Its label; may be empty.
    pub name: String,
    /// Its lifetime; `None`: until it is revoked.
    pub ttl: Option<Duration>,
    /// What it may be used for.
    pub scope: KeyScope,
}

/// A change of an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessKeyChange {
    /// Switches it off.
    Disable,
    /// Switches it on again.
    Enable,
    /// Removes it for ever.
    Revoke,
}

impl AccessKeyChange {
    /// Returns the kind of the event that records the change.
    pub fn kind(self) -> Kind {
        match self {
            Self::Disable => Kind::AccessKeyDisable,
            Self::Enable => Kind::AccessKeyEnable,
            Self::Revoke => Kind::AccessKeyRevoke,
        }
    }
}

/// An access key with what lists show beside the stored fields.
#[derive(Clone, Debug)]
pub struct AccessKeyInfo {
    /// The key, its last use included.
    pub key: AccessKey,
    /// The e-mail address of its owner, or the account's id if the address is unknown.
    pub email: String,
    /// Whether it is accepted now.
    pub is_live: bool,
}

/// Why a key was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeyError {
    /// There is no such key, or another account owns it.
    #[error("there is no access key {0}")]
    NotFound(AccessKeyId),
    /// The account has as many as it may have.
    #[error("the account has {0} access keys already, and may have no more")]
    TooMany(usize),
    /// The account was deleted meanwhile.
    #[error("the account is gone")]
    NoAccount,
    /// The name is too long or invisible, or has a control or a direction character.
    #[error("a name has at most {NAME_LENGTH} characters, and no control character")]
    Name,
    /// Its owner changed keys too often.
    #[error(transparent)]
    TooOften(#[from] TooManyChanges),
    /// The secret cannot be encrypted, or the master key cannot be replaced.
    #[error(transparent)]
    SecretCipher(#[from] SecretCipherError),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Access keys of all accounts.
///
/// Memory holds the active ones: enabled, with an owner whose account is active. A change of a key or of an
/// account calls [`Self::refresh`], which rebuilds the account's keys from the store, one account at a time.
#[derive(Debug)]
pub struct AccessKeys {
    store: Arc<dyn Store>,
    cipher: SecretCipher,
    audit: Arc<Audit>,
    mailer: Arc<Mailer>,
    changes: Arc<ChangeRateLimiter>,
    clock: Clock,
    random: Random,
    sessions: Arc<Sessions>,
    /// Revocations that the store does not have yet.
    revocations: Arc<PendingRevocations>,
    /// `signup.verify_email`
    verified_only: AtomicBool,
    /// `login.access_keys`
    at_most: AtomicUsize,
    dummy: SecretKey,
    live: papaya::HashMap<AccessKeyId, Arc<ActiveKey>>,
    /// The owner of each stored key, active or not.
    owners: papaya::HashMap<AccessKeyId, AccountId>,
    by_account: tokio::sync::Mutex<HashMap<AccountId, HashSet<AccessKeyId>>>,
    refreshing: RefreshLocks,
    /// Accounts whose keys may allow less than the store says.
    unsettled: UnsettledAccounts,
}

/// The dependencies of [`AccessKeys`].
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) cipher: SecretCipher,
    pub(super) audit: Arc<Audit>,
    pub(super) mailer: Arc<Mailer>,
    pub(super) changes: Arc<ChangeRateLimiter>,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) sessions: Arc<Sessions>,
    pub(super) revocations: Arc<PendingRevocations>,
}

impl AccessKeys {
    /// Loads the keys from the store.
    pub(super) async fn load(parts: Parts) -> Result<Self, StoreError> {
        let keys = Self {
            store: parts.store,
            cipher: parts.cipher,
            dummy: SecretKey::new(&parts.random),
            audit: parts.audit,
            mailer: parts.mailer,
            changes: parts.changes,
            clock: parts.clock,
            random: parts.random,
            sessions: parts.sessions,
            revocations: parts.revocations,
            // No key is accepted before the first `reload`.
            verified_only: AtomicBool::new(true),
            at_most: AtomicUsize::new(0),
            live: papaya::HashMap::new(),
            owners: papaya::HashMap::new(),
            by_account: tokio::sync::Mutex::default(),
            refreshing: RefreshLocks::default(),
            unsettled: UnsettledAccounts::default(),
        };
        let loaded = keys.store.load_access_keys().await?;
        let mut damaged: HashSet<AccountId> = HashSet::new();
        for UnreadableRow { account, error } in &loaded.unreadable {
            damaged.extend(account);
            let account = account.as_ref().map(tracing::field::display);
            tracing::error!(%error, account, "an access key cannot be read: no key of its account serves anybody");
        }
        let mut stored: BTreeMap<AccountId, Vec<AccessKey>> = BTreeMap::new();
        for mut key in loaded.sound {
            keys.disable_if_ahead(&mut key).await?;
            stored.entry(key.account).or_default().push(key);
        }
        let mut index = keys.by_account.lock().await;
        for (id, stored) in stored {
            let account = match keys.store.account(id).await {
                Ok(account) => account.filter(|_| !damaged.contains(&id)),
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(%error, account = %id, "an account cannot be read: no access key of it serves anybody");
                    None
                }
                Err(error) => return Err(error),
            };
            keys.replace(&mut index, id, account.as_ref(), stored);
        }
        drop(index);
        Ok(keys)
    }

    /// Applies a reloaded configuration.
    pub fn reload(&self, config: &Config) {
        self.verified_only
            .store(config.signup.verify_email, Ordering::Relaxed);
        self.at_most.store(config.login.access_keys, Ordering::Relaxed);
    }

    /// Fails while another gateway may have revoked keys: then no key in memory may be trusted.
    pub fn require_store_lock(&self) -> Result<(), StoreError> {
        self.store.require_lock()
    }

    /// Returns the key with this id if it is active, not expired and its owner may sign in. Takes no lock and
    /// no store access.
    pub fn find(&self, id: &AccessKeyId) -> Option<Arc<ActiveKey>> {
        let live = self.live.pin();
        let key = live.get(id)?;
        let may_sign_in = key.principal().email_verified || !self.verified_only.load(Ordering::Relaxed);
        let expires = key.expires();
        let is_over = expires.is_some_and(|end| end.has_come(DualTime::of(&self.clock)));
        (may_sign_in && !is_over).then(|| Arc::clone(key))
    }

    /// Returns the account of this name if it has an active key; used when the store is unavailable.
    pub(super) fn account_named(&self, name: &TypedName) -> Option<AccountName> {
        let live = self.live.pin();
        let mut accounts = live.values().map(|key| AccountName::from(&**key.principal()));
        accounts.find(|account| name.fits(account))
    }

    /// Returns the owner of a key, active or not. Takes no lock and no store access.
    pub(super) fn owner(&self, id: &AccessKeyId) -> Option<AccountId> {
        self.owners.pin().get(id).copied()
    }

    /// A dummy secret, for computations that must take as long for a key that does not exist.
    pub fn dummy_secret(&self) -> &SecretKey {
        &self.dummy
    }

    /// Derives a key for another purpose, equal in all gateways on one store.
    pub(super) fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        self.cipher.derive(purpose)
    }

    pub(super) fn may_have_failures(&self, id: &AccessKeyId) {
        if let Some(key) = self.live.pin().get(id) {
            key.life().may_have_failures.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that a request used the key; the store gets it within half a minute.
    pub fn used(&self, key: &ActiveKey, address: Option<IpAddr>, client: &str) {
        key.note_use(self.clock.now(), address, client);
    }

    /// Creates a key and mails its owner. The secret is returned here and shown nowhere else.
    pub async fn create(
        &self,
        owner: &Account,
        new: NewAccessKey,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(AccessKey, SecretKey), AccessKeyError> {
        let name = key_name(&new.name)?;
        if by.is_owner() {
            self.changes.admit(owner.id)?;
        }
        let now = self.clock.now();
        let (id, secret) = (AccessKeyId::new(&self.random), SecretKey::new(&self.random));
        let key = AccessKey {
            id,
            account: owner.id,
            name,
            created_at: now,
            expires_at: new.ttl.map(|ttl| later(now, ttl)),
            disabled: false,
            last_use: None,
            scope: new.scope,
            secret: self.cipher.seal(&secret, id, owner.id)?,
        };
        let at_most = self.at_most.load(Ordering::Relaxed);
        let store = by.act_on(&self.store);
        let mails = self.told_of(&key, owner, by, origin);
        let abandoned = OnAbandoned::new(|| self.unsettled.mark(owner.id, || {}));
        let created = store.create_access_key(key.clone(), at_most, mails).await;
        if !created.as_ref().is_err_and(StoreError::is_outcome_unknown) {
            abandoned.disarm();
        }
        match created? {
            CreateAccessKey::Created => {}
            CreateAccessKey::TooMany => return Err(AccessKeyError::TooMany(at_most)),
            CreateAccessKey::NoAccount => return Err(AccessKeyError::NoAccount),
        }
        self.mailer.announce();
        self.note(Kind::AccessKeyCreate, owner.email.as_str(), &key, by, origin);
        self.refresh(owner.id).await;
        Ok((key, secret))
    }

    /// Returns the mail that tells the owner of a new key; none to an address that is unverified where it
    /// must be verified.
    fn told_of(&self, key: &AccessKey, owner: &Account, by: &Actor, origin: &Origin) -> Vec<Mail> {
        if self.verified_only.load(Ordering::Relaxed) && !owner.email_verified {
            return Vec::new();
        }
        let topic = MailKind::AccessKeyCreated(key.id);
        vec![match by.name() {
            Some(_) => self.mailer.mail_by_administrator(&owner.email, topic, origin),
            None => self.mailer.mail(&owner.email, topic, origin),
        }]
    }

    /// Lists the active keys that are older than the account's password, for a week after it was set: who
    /// knew the old password may have created or seen them.
    pub async fn older_than_password(&self, account: &Account) -> Result<Vec<AccessKeyInfo>, StoreError> {
        let now = self.clock.now();
        // A time in the future comes from a clock that was ahead: such a password counts as set now, and such
        // a key as older.
        let set = account.password_changed_at.min(now);
        if now.duration_since(set) > OLDER_SHOWN {
            return Ok(Vec::new());
        }
        let mut keys = self.stored(Some(account.id)).await?.sound;
        let is_older = |key: &AccessKey| key.created_at < set || clock::is_ahead(key.created_at, now);
        keys.retain(|key| is_older(key) && !key.disabled && !key.is_expired(now));
        let info = |key: AccessKey| AccessKeyInfo {
            is_live: self.find(&key.id).is_some(),
            email: account.email.to_string(),
            key,
        };
        Ok(keys.into_iter().map(info).collect())
    }

    /// Revokes the keys of [`Self::older_than_password`] and returns their number.
    pub async fn revoke_older(
        &self,
        account: &Account,
        by: &Actor,
        origin: &Origin,
    ) -> Result<usize, AccessKeyError> {
        let keys = self.older_than_password(account).await?;
        let changes = keys.iter().map(|AccessKeyInfo { key, .. }| {
            self.change(key.id, Some(account.id), AccessKeyChange::Revoke, by, origin)
        });
        // At once, since each waits for a store that is slow.
        let changes = join_all(changes).await;
        let (mut revoked, mut failure) = (0, None);
        for changed in changes {
            match changed {
                Ok(_) => revoked += 1,
                // Revoked meanwhile.
                Err(AccessKeyError::NotFound(_)) => {}
                // One that the store does not keep is held in memory; the others are to be, too.
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(revoked), Err)
    }

    /// Refuses an imported key that [`Self::create`] could not have made.
    pub fn require_possible(key: &AccessKey) -> Result<(), AccessKeyError> {
        if key_name(&key.name)? == key.name {
            Ok(())
        } else {
            Err(AccessKeyError::Name)
        }
    }

    /// Lists the keys of an account, or all, in the order of creation.
    pub async fn list(&self, of: Option<AccountId>) -> Result<LoadedRows<AccessKeyInfo>, StoreError> {
        let mut emails: HashMap<AccountId, String> = HashMap::new();
        let mut list = Vec::new();
        let stored = self.stored(of).await?;
        for mut key in stored.sound {
            if let Some(live) = self.live.pin().get(&key.id)
                && let Some(last_use) = live.life().unstored().clone()
            {
                key.last_use = Some(last_use);
            }
            let email = match emails.get(&key.account) {
                Some(email) => email.clone(),
                None => self.email_of(key.account).await,
            };
            emails.insert(key.account, email.clone());
            list.push(AccessKeyInfo {
                is_live: self.find(&key.id).is_some(),
                email,
                key,
            });
        }
        Ok(LoadedRows {
            sound: list,
            unreadable: stored.unreadable,
        })
    }

    /// What the store has of an account, or of all: a key that cannot be read stands in no other's way.
    async fn stored(&self, of: Option<AccountId>) -> Result<LoadedRows<AccessKey>, StoreError> {
        let Some(account) = of else {
            return self.store.load_access_keys().await;
        };
        match self.store.access_keys(of).await {
            // Which it is, only a look at all of them tells.
            Err(StoreError::Corrupt(_)) => {
                let mut loaded = self.store.load_access_keys().await?;
                loaded.sound.retain(|key| key.account == account);
                loaded.unreadable.retain(|row| row.account == of);
                Ok(loaded)
            }
            keys => Ok(LoadedRows {
                sound: keys?,
                unreadable: Vec::new(),
            }),
        }
    }

    /// Encrypts the data key with another master key, and returns the fingerprint of that.
    pub async fn rotate_master(&self, by: &Actor) -> Result<String, SecretCipherError> {
        let master = self.cipher.rotate().await?;
        let event = Event::success(Kind::MasterKeyRotate, master.clone()).by(by);
        self.audit.note(&Origin::default(), &event);
        Ok(master)
    }

    /// Returns whether the configured master keys differ from those in use, or are gone.
    pub fn is_master_key_changed(&self) -> bool {
        self.cipher.is_changed()
    }

    /// Rebuilds the active keys of an account after it, or one of its keys, changed. An account that is not
    /// active has none; nor has one that the store cannot read, until it can.
    pub async fn refresh(&self, id: AccountId) {
        let _in_order = self.refreshing.lock(id).await;
        loop {
            let restriction = self.unsettled.of(id);
            let (account, stored) = match self.read(id, restriction.is_some()).await {
                Ok(read) => read,
                // A corrupt row does not mend by itself: no retry.
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(%error, account = %id, "no access key of this account serves anybody: a row cannot be read");
                    (None, Vec::new())
                }
                Err(error) => {
                    tracing::warn!(%error, account = %id, "its access keys serve nobody until the store answers");
                    self.unsettled.mark(id, || self.suspend(id));
                    return;
                }
            };
            let mut index = self.by_account.lock().await;
            let replace = || self.replace(&mut index, id, account.as_ref(), stored);
            if self.unsettled.settle(id, restriction, replace) {
                return;
            }
        }
    }

    /// Reads an account and its keys; if `settled`, once no change of them is under way.
    async fn read(
        &self,
        id: AccountId,
        settled: bool,
    ) -> Result<(Option<Account>, Vec<AccessKey>), StoreError> {
        Ok(if settled {
            let account = self.store.settled_account(id).await?;
            (account, self.store.settled_access_keys(id).await?)
        } else {
            let account = self.store.account(id).await?;
            (account, self.store.access_keys(Some(id)).await?)
        })
    }

    /// Ends the keys of an account that serve. Whose they are stays known: an owner may revoke more of them.
    pub(super) fn suspend(&self, id: AccountId) {
        self.suspend_where(|key| key.principal().account == id);
    }

    /// Ends all keys that serve.
    pub(super) fn suspend_all(&self) {
        self.suspend_where(|_| true);
    }

    fn suspend_where(&self, is_over: impl Fn(&ActiveKey) -> bool) {
        let live = self.live.pin();
        for key in live.values().filter(|key| is_over(key)) {
            key.end();
            live.remove(&key.id());
        }
    }

    /// Ends the keys of an account that allow what `account`, as the store may have it by now, does not: groups,
    /// or anything if it is not active. They serve again once it was read.
    pub(super) fn restrict(&self, account: &Account) {
        self.unsettled.mark(account.id, || {
            self.suspend_where(|key| {
                let principal = key.principal();
                principal.account == account.id
                    && !(account.status == AccountStatus::Active
                        && principal.groups.is_subset(&account.groups))
            });
        });
    }

    /// Disables a key whose creation lies in the future (a clock was ahead), since its lifetime would begin
    /// again at each start.
    async fn disable_if_ahead(&self, key: &mut AccessKey) -> Result<(), StoreError> {
        if key.disabled || !key.is_ahead(self.clock.now()) {
            return Ok(());
        }
        self.store.set_access_key_disabled(key.id, true).await?;
        key.disabled = true;
        tracing::warn!(key = %key.id, account = %key.account, "an access key was made in the future, by a clock that was ahead: it is switched off");
        let email = self.email_of(key.account).await;
        self.note(
            Kind::AccessKeyDisable,
            &email,
            key,
            &Actor::operator("start"),
            &Origin::default(),
        );
        Ok(())
    }

    /// Replaces the keys of an account in memory by the stored ones.
    fn replace(
        &self,
        index: &mut HashMap<AccountId, HashSet<AccessKeyId>>,
        id: AccountId,
        account: Option<&Account>,
        stored: Vec<AccessKey>,
    ) {
        let account = account
            .filter(|account| account.status == AccountStatus::Active)
            .filter(|account| !self.revocations.has_account(account.id));
        let before = index.remove(&id).unwrap_or_default();
        let known: HashSet<AccessKeyId> = stored.iter().map(|key| key.id).collect();
        let (live, owners, now) = (self.live.pin(), self.owners.pin(), DualTime::of(&self.clock));
        for key in &known {
            owners.insert(*key, id);
        }
        let mut serving = HashSet::new();
        let may_serve = |key: &AccessKey| !key.disabled && !self.revocations.has_key(&key.id);
        for key in stored.into_iter().filter(may_serve) {
            let Some(account) = account else { break };
            let secret = match self.cipher.unseal(&key) {
                Ok(secret) => secret,
                Err(error) => {
                    tracing::error!(%error, key = %key.id, "an access key cannot be used");
                    continue;
                }
            };
            let before = live.get(&key.id).map(|before| Arc::clone(before.life()));
            let shared = match before {
                Some(shared) if !shared.is_ended() => shared,
                // An ended key that is active again expires when it would have.
                Some(ended) => Arc::new(ended.again()),
                None => {
                    let expires = key.believed_end(now.wall()).map(|end| now.by_wall(end));
                    Arc::new(KeyState::new(expires))
                }
            };
            serving.insert(key.id);
            live.insert(key.id, Arc::new(ActiveKey::new(key, secret, account, shared)));
        }
        // What was revoked between the look at it above and now was not found among those that serve.
        let is_revoked =
            |key: &AccessKeyId| self.revocations.has_account(id) || self.revocations.has_key(key);
        for key in before
            .difference(&serving)
            .chain(serving.iter().filter(|key| is_revoked(key)))
        {
            if let Some(key) = live.remove(key) {
                key.end();
            }
        }
        for key in before.difference(&known) {
            owners.remove(key);
        }
        if !known.is_empty() {
            index.insert(id, known);
        }
    }

    /// Adds to a key what the store does not hold.
    pub async fn info(&self, key: AccessKey) -> AccessKeyInfo {
        AccessKeyInfo {
            is_live: self.find(&key.id).is_some(),
            email: self.email_of(key.account).await,
            key,
        }
    }

    /// Returns the address of an account, or its id if the address is unknown.
    async fn email_of(&self, account: AccountId) -> String {
        match self.store.account(account).await {
            Ok(Some(account)) => account.email.to_string(),
            _ => account.to_string(),
        }
    }

    fn note(&self, kind: Kind, who: &str, key: &AccessKey, by: &Actor, origin: &Origin) {
        let event = Event::success(kind, who)
            .account(key.account)
            .by(by)
            .detail(AuditDetail::of(DetailKey::AccessKey, &key.id));
        self.audit.note(origin, &event);
    }
}

/// Returns the name without surrounding blanks; may be empty.
fn key_name(given: &str) -> Result<String, AccessKeyError> {
    let name = given.trim();
    let is_hidden = !name.is_empty() && is_blank(name);
    if is_hidden
        || name.chars().count() > NAME_LENGTH
        || name.chars().any(|c| c.is_control() || turns_text(c))
    {
        return Err(AccessKeyError::Name);
    }
    Ok(name.to_owned())
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| now.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
