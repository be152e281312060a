//! Import: fills a new store in a directory whose marker counts only when the import is finished.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::data_dir::DataDir;
use super::engine::Engine;
use super::record::{self, Failures, MailQuota, Meta, Run};
use super::reserved_space::ReservedSpace;
use super::rows::{Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{
    SledStore, access_keys, accounts, admin_queries, audit, invitations, mails, sessions, signatures, tokens,
    usernames,
};
use super::{attempts::Attempts, verify};
use crate::clock::Clock;
use crate::model::AuditCursor;
use crate::store::rules::import::{ImportOrder, given_up, require_sound};
use crate::store::{ExportedFailures, Import, PutError, Record, StoreError};

impl SledStore {
    /// Begins an import into the directory `path`, which must have no store or a blank one.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it has a store that is open or not blank; else as [`open`](Self::open).
    pub fn begin_import(path: &Path, clock: Clock) -> Result<Box<dyn Import>, StoreError> {
        let data_dir = DataDir::take_for_import(path, require_blank)?;
        let mut reserved_space = ReservedSpace::find(path);
        reserved_space.lay()?;
        let engine = Engine::new(path);
        engine.open()?;
        let order = ImportOrder::new();
        Ok(Box::new(SledImport(Some(OpenImport {
            engine: Arc::new(engine),
            data_dir,
            attempts: Attempts::new(clock.clone(), Run(1), order.names_key),
            clock,
            order,
            events: 0,
        }))))
    }
}

/// Refuses a store with rows other than those that every start creates.
fn require_blank(data_dir: &DataDir) -> Result<(), StoreError> {
    let path = data_dir.path();
    if data_dir.has_database() {
        let engine = Engine::new(path);
        engine.open()?;
        let is_blank = engine.with(|tree| {
            for row in tree {
                let made_at_a_start = [RowKind::Meta, RowKind::DataKey, RowKind::IndexForm];
                if !RowKind::of(&row?.0).is_some_and(|kind| made_at_a_start.contains(&kind)) {
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

/// `None` after an error or the end.
struct SledImport(Option<OpenImport>);

struct OpenImport {
    engine: Arc<Engine>,
    data_dir: DataDir,
    attempts: Attempts,
    clock: Clock,
    order: ImportOrder,
    /// The number of events so far, which numbers the next.
    events: u64,
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

impl OpenImport {
    fn put(&mut self, records: &[Record]) -> Result<(), PutError> {
        let engine = self.engine.clone();
        let mut refused = None;
        let changes = engine.with(|tree| {
            let mut batch = WriteBatch::new(tree);
            for (index, record) in records.iter().enumerate() {
                if let Err(why) = batch.run(|group| self.put_one(group, record))? {
                    refused = Some(PutError::Refused { index, why });
                    break;
                }
            }
            Ok(batch.into_changes())
        })?;
        match (refused, changes) {
            (Some(refused), _) => Err(refused),
            // No sync for each batch: only a finished import makes a store.
            (None, Some(changes)) => Ok(engine.apply(&changes)?),
            (None, None) => Ok(()),
        }
    }

    /// Inserts a record. The inner error says why it conflicts with the records before it.
    fn put_one(
        &mut self,
        batch: &mut WriteBatch<'_>,
        record: &Record,
    ) -> Result<Result<(), String>, StoreError> {
        if let Err(why) = self.order.admit(record) {
            return Ok(Err(why.to_owned()));
        }
        let owner = match record {
            Record::AccessKey(key) => Some(key.account),
            Record::Session(session) => Some(session.account),
            Record::MailedToken(token) => Some(token.account),
            _ => None,
        };
        if let Some(owner) = owner
            && batch.value(&schema::account(owner))?.is_none()
        {
            return Ok(Err(format!("its account {owner} is not among those before it")));
        }
        for key in rows_of(record) {
            if batch.value(&key)?.is_some() {
                return Ok(Err(format!(
                    "there is one before it with the same {}",
                    record::name(&key)
                )));
            }
        }
        match record {
            Record::NamesKey(given) => {
                self.attempts = Attempts::new(self.clock.clone(), Run(1), given.key);
            }
            Record::DataKey(wrapped) => batch.put(schema::data_key(), wrapped)?,
            Record::Account(account) => accounts::insert(batch, account)?,
            Record::RetiredUsername(username) => usernames::retire(batch, username)?,
            Record::AccessKey(key) => access_keys::insert(batch, key)?,
            Record::Failures(failures) => return self.put_failures(batch, failures),
            Record::Session(session) => sessions::insert(batch, session)?,
            Record::Invitation(invitation) => invitations::create(batch, invitation)?,
            Record::MailedToken(token) => tokens::put(batch, token)?,
            Record::Mail(kept) => mails::put(batch, kept)?,
            Record::AddressMails(sent) => {
                batch.put(
                    schema::mail_quota_of(&sent.address),
                    &MailQuota::of(sent.mails.clone()),
                )?;
            }
            Record::SpentSignature(spent) => signatures::insert(batch, &spent.digest, spent.until)?,
            Record::AuditEvent(event) => {
                let cursor = AuditCursor {
                    number: self.events,
                    ..AuditCursor::at(event.time)
                };
                self.events += 1;
                audit::insert(batch, cursor, event)?;
            }
        }
        Ok(Ok(()))
    }

    fn put_failures(
        &mut self,
        batch: &mut WriteBatch<'_>,
        kept: &ExportedFailures,
    ) -> Result<Result<(), String>, StoreError> {
        let failures = Failures::from(kept);
        Ok(if self.attempts.insert(batch, kept.of, &failures, kept.last)? {
            Ok(())
        } else {
            Err("they are there already, or nobody before them has them".to_owned())
        })
    }

    fn finish(mut self) -> Result<(), StoreError> {
        let mut changes = admin_queries::form_row()?;
        let meta = Meta {
            slot_key: self.order.names_key,
        };
        changes.insert(schema::meta(), Some(record::StoredRecord::encode(&meta)?.into()));
        self.engine.apply(&changes)?;
        require_sound(verify::run(&self.engine)?)?;
        self.engine.sync()?;
        self.data_dir.commit()?;
        Ok(())
    }
}

/// Removes what an unfinished import wrote.
impl Drop for OpenImport {
    fn drop(&mut self) {
        self.engine.close();
        if let Err(error) = self.data_dir.abandon() {
            tracing::warn!(folder = %self.data_dir.path().display(), %error, "what was imported cannot be removed");
        }
    }
}

/// The keys of a record that must be free.
fn rows_of(record: &Record) -> Vec<Vec<u8>> {
    match record {
        Record::DataKey(_) => vec![schema::data_key()],
        Record::Account(account) => {
            let own = account.former_usernames.iter().chain([&account.username]);
            let mut rows = vec![schema::account(account.id), schema::email(&account.email)];
            rows.extend(own.flat_map(usernames::keys));
            rows
        }
        Record::RetiredUsername(username) => usernames::keys(username).into(),
        Record::AccessKey(access_key) => vec![schema::access_key(access_key.id)],
        Record::Session(session) => vec![schema::session(&session.digest), schema::session_id(session.id)],
        Record::Invitation(invitation) => vec![
            schema::invitation(&invitation.digest),
            schema::invitation_id(invitation.id),
        ],
        Record::MailedToken(token) => {
            vec![
                schema::token(&token.digest),
                schema::token_of(token.account, token.purpose),
            ]
        }
        Record::Mail(kept) => vec![schema::mail(kept.mail.id)],
        Record::AddressMails(sent) => vec![schema::mail_quota_of(&sent.address)],
        Record::SpentSignature(spent) => vec![schema::signature(&spent.digest)],
        // The names key, failures and events have their own checks or need none.
        Record::NamesKey(_) | Record::Failures(_) | Record::AuditEvent(_) => Vec::new(),
    }
}
