//! Access keys: in memory for every signed request, in the store for a restart.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::account_name::{AccountName, TypedName};
use super::active_key::{ActiveKey, KeyState};
use super::active_session::DualTime;
use super::change_rate_limiter::ChangeRateLimiter;
use super::deferred_revocations::HELD;
use super::pending_revocations::{KeyRevocation, PendingRevocations};
use super::secret_encryption::{SecretCipher, SecretCipherError};
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
use crate::store::{CreateAccessKey, SessionsToEnd, Store, StoreError, UnreadableRow};

mod maintenance;

/// For how long keys are shown that are older than a new password: a week.
const OLDER_SHOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The longest name of an access key, in characters.
const NAME_LENGTH: usize = 64;

/// An access key to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NewAccessKey {
    /// What its owner calls it; may be empty.
    pub name: String,
    /// How long it lasts; `None`: until it is revoked.
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
    /// The event that records it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Disable => Kind::AccessKeyDisable,
            Self::Enable => Kind::AccessKeyEnable,
            Self::Revoke => Kind::AccessKeyRevoke,
        }
    }
}

/// An access key, for a list.
#[derive(Clone, Debug)]
pub struct AccessKeyInfo {
    /// The key, its last use included.
    pub key: AccessKey,
    /// The address of its owner.
    pub email: String,
    /// Whether it proves anything now.
    pub is_live: bool,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeyError {
    /// There is no such key, or it is somebody else's.
    #[error("there is no access key {0}")]
    NotFound(AccessKeyId),
    /// The account has as many as it may have.
    #[error("the account has {0} access keys already, and may have no more")]
    TooMany(usize),
    /// The account was deleted at the same moment.
    #[error("the account is gone")]
    NoAccount,
    /// A name that is too long or has a control character.
    #[error("a name has at most {NAME_LENGTH} characters, and no control character")]
    Name,
    /// Its owner changed keys too often.
    #[error(transparent)]
    TooOften(#[from] TooManyChanges),
    /// It cannot be encrypted, or the master key cannot be replaced.
    #[error(transparent)]
    SecretCipher(#[from] SecretCipherError),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All access keys.
///
/// Memory holds those that prove something: switched on, and their owners may sign in. What changes a key or an
/// account comes by here, one change at a time, and builds the account's keys anew from the store.
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
    /// What is shut out though the store does not know of it.
    revocations: Arc<PendingRevocations>,
    /// `signup.verify_email`
    verified_only: AtomicBool,
    /// `login.access_keys`
    at_most: AtomicUsize,
    nobody: SecretKey,
    live: papaya::HashMap<AccessKeyId, Arc<ActiveKey>>,
    /// Whose a key is, whether or not it proves anything.
    owners: papaya::HashMap<AccessKeyId, AccountId>,
    by_account: tokio::sync::Mutex<HashMap<AccountId, HashSet<AccessKeyId>>>,
    /// Accounts of which the store could not tell what became of them: none of their keys is live.
    unsettled: Mutex<HashSet<AccountId>>,
}

/// What the service is made from.
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
    /// Reads them from the store.
    pub(super) async fn load(parts: Parts) -> Result<Self, StoreError> {
        let keys = Self {
            store: parts.store,
            cipher: parts.cipher,
            nobody: SecretKey::new(&parts.random),
            audit: parts.audit,
            mailer: parts.mailer,
            changes: parts.changes,
            clock: parts.clock,
            random: parts.random,
            sessions: parts.sessions,
            revocations: parts.revocations,
            // Nothing is served before `follow`.
            verified_only: AtomicBool::new(true),
            at_most: AtomicUsize::new(0),
            live: papaya::HashMap::new(),
            owners: papaya::HashMap::new(),
            by_account: tokio::sync::Mutex::default(),
            unsettled: Mutex::default(),
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

    /// Holds to another configuration from now on.
    pub fn reload(&self, config: &Config) {
        self.verified_only
            .store(config.signup.verify_email, Ordering::Relaxed);
        self.at_most.store(config.login.access_keys, Ordering::Relaxed);
    }

    /// An error while keys may have been revoked elsewhere: then none of these is good.
    pub fn require_store_lock(&self) -> Result<(), StoreError> {
        self.store.require_lock()
    }

    /// The key with this public half, if it proves something now. No lock, no store.
    pub fn find(&self, id: &AccessKeyId) -> Option<Arc<ActiveKey>> {
        let live = self.live.pin();
        let key = live.get(id)?;
        let may_sign_in = key.principal().email_verified || !self.verified_only.load(Ordering::Relaxed);
        let expires = key.expires();
        let is_over = expires.is_some_and(|end| end.has_come(DualTime::of(&self.clock)));
        (may_sign_in && !is_over).then(|| Arc::clone(key))
    }

    /// The account by this name, if it has a key that serves: for when the store cannot tell.
    pub(super) fn account_named(&self, name: &TypedName) -> Option<AccountName> {
        let live = self.live.pin();
        let mut accounts = live.values().map(|key| AccountName::from(&**key.principal()));
        accounts.find(|account| name.fits(account))
    }

    /// Whose it is, even if it proves nothing now. No lock, no store.
    pub(super) fn owner(&self, id: &AccessKeyId) -> Option<AccountId> {
        self.owners.pin().get(id).copied()
    }

    /// A secret that is no key's, for whatever must take as long for a key that does not exist.
    pub fn nobodys_secret(&self) -> &SecretKey {
        &self.nobody
    }

    /// A key for another purpose that all gateways over one store share.
    pub(super) fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        self.cipher.derive(purpose)
    }

    pub(super) fn may_have_failures(&self, id: &AccessKeyId) {
        if let Some(key) = self.live.pin().get(id) {
            key.life().may_have_failures.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that a request was made with it; the store hears of it every half minute.
    pub fn used(&self, key: &ActiveKey, address: Option<IpAddr>, client: &str) {
        key.note_use(self.clock.now(), address, client);
    }

    /// Makes one, and tells its owner by mail. The secret is in the answer and nowhere else.
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
        match store.create_access_key(key.clone(), at_most, mails).await? {
            CreateAccessKey::Created => {}
            CreateAccessKey::TooMany => return Err(AccessKeyError::TooMany(at_most)),
            CreateAccessKey::NoAccount => return Err(AccessKeyError::NoAccount),
        }
        self.mailer.announce();
        self.note(Kind::AccessKeyCreate, owner.email.as_str(), &key, by, origin);
        self.refresh(owner.id).await;
        Ok((key, secret))
    }

    /// What tells the owner of a new key. An address that nobody proved where it must be is nobody's.
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

    /// The keys of an account that serve and are older than its password, for some days after that was set: whoever
    /// knew the one before may have made them, or know them.
    pub async fn older_than_password(&self, account: &Account) -> Result<Vec<AccessKeyInfo>, StoreError> {
        let now = self.clock.now();
        // What lies in the future was told by a clock that was ahead: such a password was set before now, and of such a
        // key nobody knows that it is younger.
        let set = account.password_changed_at.min(now);
        if now.duration_since(set) > OLDER_SHOWN {
            return Ok(Vec::new());
        }
        let mut keys = self.store.access_keys(Some(account.id)).await?;
        let is_older = |key: &AccessKey| key.created_at < set || clock::is_ahead(key.created_at, now);
        keys.retain(|key| is_older(key) && !key.disabled && !key.is_expired(now));
        let info = |key: AccessKey| AccessKeyInfo {
            is_live: self.find(&key.id).is_some(),
            email: account.email.to_string(),
            key,
        };
        Ok(keys.into_iter().map(info).collect())
    }

    /// Revokes those. How many there were.
    pub async fn revoke_older(
        &self,
        account: &Account,
        by: &Actor,
        origin: &Origin,
    ) -> Result<usize, AccessKeyError> {
        let keys = self.older_than_password(account).await?;
        let mut revoked = 0;
        for AccessKeyInfo { key, .. } in keys {
            let revoke = AccessKeyChange::Revoke;
            match self.change(key.id, Some(account.id), revoke, by, origin).await {
                Ok(_) => revoked += 1,
                // Revoked at the same moment.
                Err(AccessKeyError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(revoked)
    }

    /// Refuses a key from a file that no other way in could have made.
    pub fn require_possible(key: &AccessKey) -> Result<(), AccessKeyError> {
        if key_name(&key.name)? == key.name {
            Ok(())
        } else {
            Err(AccessKeyError::Name)
        }
    }

    /// Changes one. With `owner`, only if it is theirs; one that is so already is not changed, and not recorded.
    pub async fn change(
        &self,
        id: AccessKeyId,
        owner: Option<AccountId>,
        change: AccessKeyChange,
        by: &Actor,
        origin: &Origin,
    ) -> Result<AccessKey, AccessKeyError> {
        if let Some(owner) = owner {
            match self.store.access_keys(Some(owner)).await {
                Ok(own) => {
                    let key = own.into_iter().find(|key| key.id == id);
                    let key = key.ok_or(AccessKeyError::NotFound(id))?;
                    match change {
                        AccessKeyChange::Disable if key.disabled => return Ok(key),
                        AccessKeyChange::Enable if !key.disabled => return Ok(key),
                        // Switching off is never refused, and takes as many times switching on.
                        AccessKeyChange::Enable if by.is_owner() => self.changes.admit(owner)?,
                        _ => {}
                    }
                }
                // What shuts out is not held up by a store that cannot be read: memory knows the owner.
                Err(_) if self.owner(&id) == Some(owner) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let store = by.act_on(&self.store);
        let turn = self.revocations.turn.lock().await;
        if self.revocations.has_revoked(&id) && change == AccessKeyChange::Enable {
            return Err(AccessKeyError::NotFound(id));
        }
        let kind = change.kind();
        let changed = match change {
            AccessKeyChange::Disable => store.set_access_key_disabled(id, true).await,
            AccessKeyChange::Enable => store.set_access_key_disabled(id, false).await,
            AccessKeyChange::Revoke => store.revoke_access_key(id).await,
        };
        let changed = match changed {
            Err(error) => {
                if change != AccessKeyChange::Enable && !error.is_refusal() && self.sessions.vouch_for(by) {
                    self.shut_out(id, kind, &error, by, origin).await;
                    return Err(error.with_note(HELD).into());
                }
                return Err(error.into());
            }
            Ok(changed) => changed.ok_or(AccessKeyError::NotFound(id))?,
        };
        self.revocations.remove_key(&id);
        if change != AccessKeyChange::Enable {
            let begun = SessionsToEnd::AccessKey(changed.account, id);
            self.sessions.forget(begun);
        }
        drop(turn);
        self.refresh(changed.account).await;
        let email = self.email_of(changed.account).await;
        self.note(kind, &email, &changed, by, origin);
        Ok(changed)
    }

    /// Has a key serve nobody from now on, though the store could not keep it for this reason.
    async fn shut_out(&self, id: AccessKeyId, kind: Kind, error: &StoreError, by: &Actor, origin: &Origin) {
        tracing::error!(
            %error,
            key = %id,
            event = kind.as_str(),
            "the store could not keep that an access key was shut out: it serves nobody, and the store is told again"
        );
        let owner = self.owner(&id);
        let email = self
            .live
            .pin()
            .get(&id)
            .map(|key| key.principal().email.to_string());
        let event = Event::success(kind, email.unwrap_or_default())
            .account(owner)
            .by(by)
            .detail(AuditDetail::of(DetailKey::AccessKey, &id));
        let revocation = KeyRevocation {
            is_revoked: kind == Kind::AccessKeyRevoke,
            event,
            origin: origin.clone(),
        };
        self.revocations.add_key(id, revocation);
        if let Some(owner) = owner {
            self.sessions.end_in_memory(SessionsToEnd::AccessKey(owner, id));
            self.refresh(owner).await;
        }
    }

    /// Those of an account, or all, in the order they were made.
    pub async fn list(&self, of: Option<AccountId>) -> Result<Vec<AccessKeyInfo>, StoreError> {
        let mut emails: HashMap<AccountId, String> = HashMap::new();
        let mut list = Vec::new();
        let stored = match of {
            Some(_) => self.store.access_keys(of).await?,
            None => self.store.load_access_keys().await?.sound,
        };
        for mut key in stored {
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
        Ok(list)
    }

    /// Seals the data key with another master key: see the manual. The fingerprint of the new one.
    pub async fn rotate_master(&self, by: &Actor) -> Result<String, SecretCipherError> {
        let master = self.cipher.rotate().await?;
        let event = Event::success(Kind::MasterKeyRotate, master.clone()).by(by);
        self.audit.note(&Origin::default(), &event);
        Ok(master)
    }

    /// Whether the master keys that the configuration names are others than those in use, or gone.
    pub fn is_master_key_changed(&self) -> bool {
        self.cipher.is_changed()
    }

    /// Builds the keys of an account anew: it, or one of them, was changed. One that may not sign in any more has
    /// none from now on. Nor has one of which the store cannot tell, until it can.
    pub async fn refresh(&self, id: AccountId) {
        let mut index = self.by_account.lock().await;
        let read = async {
            let account = self.store.account(id).await?;
            Ok::<_, StoreError>((account, self.store.access_keys(Some(id)).await?))
        };
        match read.await {
            Ok((account, stored)) => {
                self.replace(&mut index, id, account.as_ref(), stored);
                self.unsettled().remove(&id);
            }
            // What is damaged does not mend by itself.
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, account = %id, "no access key of this account serves anybody: a row cannot be read");
                self.replace(&mut index, id, None, Vec::new());
                self.unsettled().remove(&id);
            }
            Err(error) => {
                tracing::warn!(%error, account = %id, "its access keys serve nobody until the store answers");
                self.replace(&mut index, id, None, Vec::new());
                self.unsettled().insert(id);
            }
        }
    }

    /// Switches a key off that was made in the future, by a clock that was ahead: or each start would have it begin again.
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

    /// Puts the keys of an account in place of those that were in memory.
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
                // It serves again, and no longer than it would have.
                Some(ended) => Arc::new(ended.again()),
                None => {
                    let expires = key.believed_end(now.wall()).map(|end| now.by_wall(end));
                    Arc::new(KeyState::new(expires))
                }
            };
            serving.insert(key.id);
            live.insert(key.id, Arc::new(ActiveKey::new(key, secret, account, shared)));
        }
        for key in before.difference(&serving) {
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

    /// What is known of a key beside what the store has.
    pub async fn info(&self, key: AccessKey) -> AccessKeyInfo {
        AccessKeyInfo {
            is_live: self.find(&key.id).is_some(),
            email: self.email_of(key.account).await,
            key,
        }
    }

    /// The address of an account, or its id where that cannot be told.
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

    fn unsettled(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that is meant, without blanks around it; may be empty.
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
