//! A new store that is being filled: one transaction, from the first record to the last check.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::error::SqlState;

use super::attempts::AttemptKey;
use super::connection::{Connector, DatabaseServer};
use super::error::OperationError;
use super::instance_lock::InstanceLock;
use super::row::{encode, execute, query_value};
use super::{
    PostgresStore, access_keys, accounts, audit, invitations, mails, sessions, signatures, tokens, verify,
};
use crate::model::{AuditEvent, LockoutSubject, Username};
use crate::random::Random;
use crate::store::attempt_counter::{WAYS, set_of};
use crate::store::record::{Failures, MailQuota, Meta, StoredLock};
use crate::store::{Import, KeptFailures, PutError, Record, StoreError};

/// Faults that are told of one import.
const FAULTS_TOLD: usize = 5;

/// Whether there is more in the store than what a start makes.
const HAS_SOMETHING: &str = "SELECT EXISTS (SELECT FROM account) OR EXISTS (SELECT FROM username)
    OR EXISTS (SELECT FROM name_failures) OR EXISTS (SELECT FROM invitation) OR EXISTS (SELECT FROM mail)
    OR EXISTS (SELECT FROM address_mails) OR EXISTS (SELECT FROM spent_signature)
    OR EXISTS (SELECT FROM audit_event)";

impl PostgresStore {
    /// Begins to fill a new store in a database that has none, or one in which nothing was ever kept.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if there is a store with something in it, or one that is in use; else as
    /// [`open`](Self::open).
    pub async fn begin_import(server: &DatabaseServer) -> Result<Box<dyn Import>, StoreError> {
        let connector = Connector::new(server)?;
        let lock = InstanceLock::begin(connector.clone()).await?;
        let client = connector.connect().await?;
        client
            .batch_execute("BEGIN; DELETE FROM data_key")
            .await
            .map_err(OperationError::from)?;
        if query_value(&client, HAS_SOMETHING, &[]).await? {
            return Err(StoreError::Refused(
                "the store is not empty; an import makes a new one: name another database in store.url"
                    .to_owned(),
            ));
        }
        Ok(Box::new(PostgresImport(Some(OpenImport {
            client,
            lock,
            key: Random::system().bytes(),
            names_key: NamesKeySource::Ours,
            has_data_key: false,
        }))))
    }
}

/// `None` after it was given up.
struct PostgresImport(Option<OpenImport>);

/// Dropped before it is committed, the transaction never was.
struct OpenImport {
    client: Object,
    lock: InstanceLock,
    /// Decides where names are that belong to nobody.
    key: [u8; 32],
    names_key: NamesKeySource,
    has_data_key: bool,
}

/// Whose that key is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NamesKeySource {
    /// Made here; it may still be replaced.
    Ours,
    /// That of the store from which the records come.
    Theirs,
    /// Made here, and there are names.
    InUse,
}

#[async_trait]
impl Import for PostgresImport {
    async fn put(&mut self, records: Vec<Record>) -> Result<(), PutError> {
        let mut filling = self.0.take().ok_or_else(given_up)?;
        filling.put(&records).await?;
        self.0 = Some(filling);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let filling = self.0.take().ok_or_else(given_up)?;
        filling.finish().await
    }
}

fn given_up() -> StoreError {
    StoreError::Unavailable("the import was given up".to_owned())
}

impl OpenImport {
    async fn put(&mut self, records: &[Record]) -> Result<(), PutError> {
        self.lock.require()?;
        // There are more events than all else, and none of them is refused: together they take three statements.
        let mut events: Vec<AuditEvent> = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if let Record::AuditEvent(event) = record {
                events.push(event.clone());
                continue;
            }
            let put = match self.admit(record) {
                Ok(()) => self.put_one(record).await,
                Err(why) => return Err(PutError::Refused { index, why }),
            };
            if let Err(fault) = put {
                return Err(match refusal(&fault) {
                    Some(why) => PutError::Refused { index, why },
                    None => PutError::Store(fault.into()),
                });
            }
        }
        if !events.is_empty() {
            let inserted = audit::insert(&self.client, &events).await;
            inserted.map_err(|fault| PutError::Store(fault.into()))?;
        }
        Ok(())
    }

    /// Notes what of a record decides on those after it, or says why it cannot be beside those before it.
    fn admit(&mut self, record: &Record) -> Result<(), String> {
        match record {
            Record::NamesKey(given) => {
                if self.names_key != NamesKeySource::Ours {
                    return Err("it comes after names, or for a second time".to_owned());
                }
                (self.names_key, self.key) = (NamesKeySource::Theirs, given.key);
            }
            Record::DataKey(_) => self.has_data_key = true,
            Record::AccessKey(_) if !self.has_data_key => {
                return Err("there is no data-key before it".to_owned());
            }
            Record::Failures(kept)
                if matches!(kept.of, LockoutSubject::Unknown(_))
                    && self.names_key == NamesKeySource::Ours =>
            {
                self.names_key = NamesKeySource::InUse;
            }
            _ => {}
        }
        Ok(())
    }

    async fn put_one(&self, record: &Record) -> Result<(), OperationError> {
        let client = &self.client;
        match record {
            // At the end; events are put together.
            Record::NamesKey(_) | Record::AuditEvent(_) => Ok(()),
            Record::DataKey(wrapped) => access_keys::insert_data_key(client, wrapped).await,
            Record::Account(account) => accounts::insert(client, account).await,
            Record::RetiredUsername(username) => retire(client, username).await,
            Record::AccessKey(key) => access_keys::insert(client, key).await,
            Record::Failures(kept) => self.put_failures(kept).await,
            Record::Session(session) => sessions::insert(client, session).await,
            Record::Invitation(invitation) => invitations::insert(client, invitation).await,
            Record::MailedToken(token) => tokens::insert(client, token).await,
            Record::Mail(kept) => mails::insert(client, kept).await,
            Record::AddressMails(sent) => {
                mails::insert_postage(client, &sent.address, &MailQuota::of(sent.mails.clone())).await
            }
            Record::SpentSignature(spent) => signatures::insert_new(client, &spent.digest, spent.until).await,
        }
    }

    async fn put_failures(&self, kept: &KeptFailures) -> Result<(), OperationError> {
        let failures = Failures {
            count: kept.count,
            lock: kept.lock.map(|lock| {
                StoredLock::from_elsewhere(Duration::try_from(lock.lasts).unwrap_or_default(), lock.until)
            }),
        };
        let place = match kept.of {
            LockoutSubject::Account(id) => AttemptKey::Account(id),
            LockoutSubject::AccessKey(id) => AttemptKey::AccessKey(id),
            LockoutSubject::Unknown(digest) => AttemptKey::Name(set_of(&self.key, &digest), digest),
        };
        let last = kept.last.unwrap_or(Timestamp::UNIX_EPOCH);
        place.insert(&self.client, failures, last).await
    }

    async fn finish(self) -> Result<(), StoreError> {
        let client = &self.client;
        let (version, record) = encode(&Meta { slot_key: self.key })?;
        let sql = "UPDATE store SET version = $1, record = $2";
        execute(client, sql, &[&version, &record]).await?;
        // Of names that were not in sets elsewhere there may be more in one than there is room for.
        let sql = "DELETE FROM name_failures USING
            (SELECT set, digest, row_number() OVER (PARTITION BY set ORDER BY digest) AS place FROM name_failures) AS placed
            WHERE (name_failures.set, name_failures.digest) = (placed.set, placed.digest) AND place > $1";
        execute(client, sql, &[&i64::try_from(WAYS).unwrap_or(i64::MAX)]).await?;
        let mut faults = verify::run(client).await?.faults;
        if !faults.is_empty() {
            faults.truncate(FAULTS_TOLD);
            return Err(StoreError::Corrupt(faults.join("; ")));
        }
        self.lock.require()?;
        client
            .batch_execute("COMMIT")
            .await
            .map_err(OperationError::from)?;
        Ok(())
    }
}

async fn retire(client: &Object, username: &Username) -> Result<(), OperationError> {
    let sql = "INSERT INTO username (username) VALUES ($1)";
    execute(client, sql, &[&username.as_str()]).await?;
    Ok(())
}

/// What a record that the database does not take lacks or shares.
fn refusal(error: &OperationError) -> Option<String> {
    let code = error.code()?;
    if *code == SqlState::FOREIGN_KEY_VIOLATION {
        return Some("whose it is, is not among those before it".to_owned());
    }
    let constraint = error
        .constraint()
        .filter(|_| *code == SqlState::UNIQUE_VIOLATION)?;
    let what = match constraint {
        "account_email_key" | "address_mails_pkey" => "address",
        "username_pkey" => "username",
        "session_pkey" | "invitation_pkey" | "mailed_token_pkey" => "token",
        "mailed_token_account_purpose_key" => "account and purpose",
        "spent_signature_pkey" => "signature",
        "name_failures_pkey" => "name",
        "account_failures_pkey" => "account",
        "access_key_failures_pkey" => "access key",
        _ => "id",
    };
    Some(format!("there is one before it with the same {what}"))
}
