//! Import: fills a new store in one transaction, from the first record to the last check.

use async_trait::async_trait;
use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::error::SqlState;

use super::attempts::{AttemptKey, make_room};
use super::connection::{Connector, DatabaseServer};
use super::database::require_tenure;
use super::error::OperationError;
use super::instance_lock::InstanceLock;
use super::row::{encode, execute, query_value};
use super::{
    PostgresStore, access_keys, accounts, audit, invitations, mails, sessions, signatures, tokens, verify,
};
use crate::clock::Clock;
use crate::model::{AuditEvent, LockoutSubject, Username};
use crate::store::attempt_counter::{AttemptCounter, ELSEWHERE, set_of};
use crate::store::record::{MailQuota, Meta, Run};
use crate::store::rules::import::{ImportOrder, given_up, require_sound};
use crate::store::{ExportedFailures, Import, PutError, Record, StoreError};

/// Returns whether the store has rows other than those that every start creates.
const HAS_SOMETHING: &str = "SELECT EXISTS (SELECT FROM account) OR EXISTS (SELECT FROM username)
    OR EXISTS (SELECT FROM name_failures) OR EXISTS (SELECT FROM invitation) OR EXISTS (SELECT FROM mail)
    OR EXISTS (SELECT FROM address_mails) OR EXISTS (SELECT FROM spent_signature)
    OR EXISTS (SELECT FROM audit_event)";

impl PostgresStore {
    /// Begins an import into a database that has no store or a blank one.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it has a store that is in use or not blank; else as [`open`](Self::open).
    pub async fn begin_import(server: &DatabaseServer, clock: Clock) -> Result<Box<dyn Import>, StoreError> {
        let connector = Connector::new(server)?;
        let lock = InstanceLock::begin(connector.clone()).await?;
        let client = connector.connect().await?;
        client
            .batch_execute("BEGIN")
            .await
            .map_err(OperationError::from)?;
        require_tenure(&client, lock.tenure()).await?;
        client
            .batch_execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
                 DELETE FROM data_key",
            )
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
            counting: AttemptCounter::new(clock, Run(1)),
            order: ImportOrder::new(),
        }))))
    }
}

/// `None` after an error or the end.
struct PostgresImport(Option<OpenImport>);

/// A running import; the transaction is rolled back when this is dropped before `COMMIT`.
struct OpenImport {
    client: Object,
    lock: InstanceLock,
    counting: AttemptCounter,
    order: ImportOrder,
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

impl OpenImport {
    async fn put(&mut self, records: &[Record]) -> Result<(), PutError> {
        self.lock.require()?;
        // Events are most of the records and never refused, so each batch of them takes three statements.
        let mut events: Vec<AuditEvent> = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if let Record::AuditEvent(event) = record {
                events.push(event.clone());
                continue;
            }
            if let Err(why) = self.order.admit(record) {
                let why = why.to_owned();
                return Err(PutError::Refused { index, why });
            }
            if let Err(fault) = self.put_one(record).await {
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

    async fn put_one(&self, record: &Record) -> Result<(), OperationError> {
        let client = &self.client;
        match record {
            // The names key is written at the end; `put` inserts events.
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

    async fn put_failures(&self, kept: &ExportedFailures) -> Result<(), OperationError> {
        let place = match kept.of {
            LockoutSubject::Account(id) => AttemptKey::Account(id),
            LockoutSubject::AccessKey(id) => AttemptKey::AccessKey(id),
            LockoutSubject::Unknown(digest) => {
                let set = set_of(&self.order.names_key, &digest);
                make_room(&self.counting, &self.client, set, ELSEWHERE).await?;
                AttemptKey::Name(set, digest)
            }
        };
        let last = kept.last.unwrap_or(Timestamp::UNIX_EPOCH);
        place.insert(&self.client, kept.into(), last).await
    }

    async fn finish(self) -> Result<(), StoreError> {
        let client = &self.client;
        let (version, record) = encode(&Meta {
            slot_key: self.order.names_key,
        })?;
        let sql = "UPDATE store SET version = $1, record = $2";
        execute(client, sql, &[&version, &record]).await?;
        require_sound(verify::run(client).await?)?;
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

/// Explains a violated constraint as a conflict with the records before; `None` for other errors.
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
