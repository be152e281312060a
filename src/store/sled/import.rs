//! A new store that is being filled, in a folder that is none until it is full.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::ballast::Ballast;
use super::engine::Engine;
use super::folder::Folder;
use super::key::{self, Kind};
use super::record::{self, Failures, Lock, Meta, Postage, Run};
use super::rows::{Group, Rows};
use super::{
    SledStore, access_keys, accounts, audit, inspection, invitations, mails, sessions, signatures, tokens,
};
use super::{attempts::Attempts, verify};
use crate::clock::Clock;
use crate::ids::AccountId;
use crate::model::{Account, AuditPlace, Subject};
use crate::random::Random;
use crate::store::{Import, KeptFailures, PutError, Record, StoreError};

/// Faults that are told of one import.
const FAULTS_TOLD: usize = 5;

impl SledStore {
    /// Begins to fill a new store in the folder `path`, which has none, or one in which nothing was ever kept.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if there is a store with something in it, or one that is open; else as
    /// [`open`](Self::open).
    pub fn begin_import(path: &Path, clock: Clock) -> Result<Box<dyn Import>, StoreError> {
        let folder = Folder::take_for_import(path, require_blank)?;
        let mut ballast = Ballast::find(path);
        ballast.lay()?;
        let engine = Engine::new(path);
        engine.open()?;
        let slot_key = Random::system().bytes();
        Ok(Box::new(SledImport(Some(Filling {
            engine: Arc::new(engine),
            folder,
            attempts: Attempts::new(clock.clone(), Run(1), slot_key),
            clock,
            slot_key,
            names_key: NamesKeyIs::Ours,
            events: 0,
        }))))
    }
}

/// Refuses a store in which there is more than what a start makes.
fn require_blank(folder: &Folder) -> Result<(), StoreError> {
    let path = folder.path();
    if folder.has_database() {
        let engine = Engine::new(path);
        engine.open()?;
        let is_blank = engine.with(|tree| {
            for row in tree {
                let made_at_a_start = [Kind::Meta, Kind::DataKey, Kind::IndexForm];
                if !Kind::of(&row?.0).is_some_and(|kind| made_at_a_start.contains(&kind)) {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        engine.close();
        if is_blank? {
            return Ok(());
        }
    }
    Err(StoreError::Refused(format!(
        "the store in {} is not empty; an import makes a new one: move that folder away, or name another one in store.url",
        path.display()
    )))
}

/// `None` after it was given up.
struct SledImport(Option<Filling>);

struct Filling {
    engine: Arc<Engine>,
    folder: Folder,
    attempts: Attempts,
    clock: Clock,
    slot_key: [u8; 32],
    names_key: NamesKeyIs,
    /// How many events there are.
    events: u64,
}

/// What decides where names are that belong to nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NamesKeyIs {
    /// Made here; it may still be replaced.
    Ours,
    /// That of the store from which the records come.
    Theirs,
    /// Made here, and there are names.
    InUse,
}

#[async_trait]
impl Import for SledImport {
    async fn put(&mut self, records: Vec<Record>) -> Result<(), PutError> {
        let mut filling = self.0.take().ok_or_else(given_up)?;
        let work = tokio::task::spawn_blocking(move || filling.put(&records).map(|()| filling));
        self.0 = Some(work.await.map_err(|_| given_up())??);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let filling = self.0.take().ok_or_else(given_up)?;
        tokio::task::spawn_blocking(move || filling.finish())
            .await
            .map_err(|_| given_up())?
    }
}

fn given_up() -> StoreError {
    StoreError::Unavailable("the import was given up".to_owned())
}

impl Filling {
    fn put(&mut self, records: &[Record]) -> Result<(), PutError> {
        let engine = self.engine.clone();
        let mut refused = None;
        let changes = engine.with(|tree| {
            let mut group = Group::new(tree);
            for (index, record) in records.iter().enumerate() {
                if let Err(why) = group.run(|group| self.put_one(group, record))? {
                    refused = Some(PutError::Refused { index, why });
                    break;
                }
            }
            Ok(group.into_changes())
        })?;
        match (refused, changes) {
            (Some(refused), _) => Err(refused),
            // Only a whole import makes a store, so its parts need not be on disk one by one.
            (None, Some(changes)) => Ok(engine.apply(&changes)?),
            (None, None) => Ok(()),
        }
    }

    /// Puts a record, or says why it cannot be beside those before it.
    fn put_one(&mut self, group: &mut Group<'_>, record: &Record) -> Result<Result<(), String>, StoreError> {
        let owner = match record {
            Record::AccessKey(key) => Some(key.account),
            Record::Session(session) => Some(session.account),
            Record::MailedToken(token) => Some(token.account),
            _ => None,
        };
        if let Some(owner) = owner
            && group.value(&key::account(owner))?.is_none()
        {
            return Ok(Err(format!("its account {owner} is not among those before it")));
        }
        for key in rows_of(record) {
            if group.value(&key)?.is_some() {
                return Ok(Err(format!(
                    "there is one before it with the same {}",
                    record::name(&key)
                )));
            }
        }
        match record {
            Record::NamesKey(given) => {
                if self.names_key != NamesKeyIs::Ours {
                    return Ok(Err("it comes after names, or for a second time".to_owned()));
                }
                self.names_key = NamesKeyIs::Theirs;
                self.slot_key = given.key;
                self.attempts = Attempts::new(self.clock.clone(), Run(1), given.key);
            }
            Record::DataKey(wrapped) => group.put(key::data_key(), wrapped)?,
            Record::Account(account) => {
                if has_a_username_twice(account) {
                    return Ok(Err("it has a username twice".to_owned()));
                }
                accounts::insert(group, account)?;
            }
            Record::RetiredUsername(username) => group.put(key::username(username), &None::<AccountId>)?,
            Record::AccessKey(key) => {
                if group.value(&key::data_key())?.is_none() {
                    return Ok(Err("there is no data-key before it".to_owned()));
                }
                access_keys::insert(group, key)?;
            }
            Record::Failures(failures) => return self.put_failures(group, failures),
            Record::Session(session) => sessions::insert(group, session)?,
            Record::Invitation(invitation) => invitations::create(group, invitation)?,
            Record::MailedToken(token) => tokens::put(group, token)?,
            Record::Mail(kept) => mails::put(group, kept)?,
            Record::AddressMails(sent) => {
                group.put(key::postage_of(&sent.address), &Postage::of(sent.mails.clone()))?;
            }
            Record::SpentSignature(spent) => signatures::insert(group, &spent.digest, spent.until)?,
            Record::AuditEvent(event) => {
                let place = AuditPlace {
                    number: self.events,
                    ..AuditPlace::at(event.time)
                };
                self.events += 1;
                audit::insert(group, place, event)?;
            }
        }
        Ok(Ok(()))
    }

    fn put_failures(
        &mut self,
        group: &mut Group<'_>,
        kept: &KeptFailures,
    ) -> Result<Result<(), String>, StoreError> {
        let failures = Failures {
            count: kept.count,
            lock: kept.lock.map(|lock| {
                Lock::from_elsewhere(Duration::try_from(lock.lasts).unwrap_or_default(), lock.until)
            }),
        };
        if matches!(kept.of, Subject::Unknown(_)) && self.names_key == NamesKeyIs::Ours {
            self.names_key = NamesKeyIs::InUse;
        }
        Ok(if self.attempts.insert(group, kept.of, &failures, kept.last)? {
            Ok(())
        } else {
            Err("they are there already, or nobody before them has them".to_owned())
        })
    }

    fn finish(mut self) -> Result<(), StoreError> {
        let mut changes = inspection::form_row()?;
        let meta = Meta {
            slot_key: self.slot_key,
        };
        changes.insert(key::meta(), Some(record::Record::encode(&meta)?.into()));
        self.engine.apply(&changes)?;
        let mut faults = verify::run(&self.engine)?.faults;
        if !faults.is_empty() {
            faults.truncate(FAULTS_TOLD);
            return Err(StoreError::Corrupt(faults.join("; ")));
        }
        self.engine.sync()?;
        self.folder.settle()?;
        Ok(())
    }
}

/// What was not finished leaves nothing behind.
impl Drop for Filling {
    fn drop(&mut self) {
        self.engine.close();
        if let Err(error) = self.folder.abandon() {
            tracing::warn!(folder = %self.folder.path().display(), %error, "what was imported cannot be removed");
        }
    }
}

/// The rows that a record takes, and that no other may have.
fn rows_of(record: &Record) -> Vec<Vec<u8>> {
    match record {
        Record::DataKey(_) => vec![key::data_key()],
        Record::Account(account) => {
            let usernames = account.former_usernames.iter().chain([&account.username]);
            let mut rows = vec![key::account(account.id), key::email(&account.email)];
            rows.extend(usernames.map(key::username));
            rows
        }
        Record::RetiredUsername(username) => vec![key::username(username)],
        Record::AccessKey(access_key) => vec![key::access_key(access_key.id)],
        Record::Session(session) => vec![key::session(&session.digest), key::session_id(session.id)],
        Record::Invitation(invitation) => vec![
            key::invitation(&invitation.digest),
            key::invitation_id(invitation.id),
        ],
        Record::MailedToken(token) => {
            vec![
                key::token(&token.digest),
                key::token_of(token.account, token.purpose),
            ]
        }
        Record::Mail(kept) => vec![key::mail(kept.mail.id)],
        Record::AddressMails(sent) => vec![key::postage_of(&sent.address)],
        Record::SpentSignature(spent) => vec![key::signature(&spent.digest)],
        // Looked for elsewhere, or as many as there are.
        Record::NamesKey(_) | Record::Failures(_) | Record::AuditEvent(_) => Vec::new(),
    }
}

fn has_a_username_twice(account: &Account) -> bool {
    let mut all: Vec<_> = account
        .former_usernames
        .iter()
        .chain([&account.username])
        .collect();
    let count = all.len();
    all.sort();
    all.dedup();
    all.len() < count
}
