//! Export and salvage: all records as of one moment, from a read-only transaction.

use async_trait::async_trait;
use deadpool_postgres::Object;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;

use super::PostgresStore;
use super::attempts::name_failures;
use super::connection::{Connector, DatabaseServer};
use super::database::Database;
use super::error::OperationError;
use super::instance_lock::InstanceLock;
use super::paging::PagedQuery;
use super::row::{account_of, decode};
use super::{audit, error};
use crate::model::{AccessKeyId, LockoutSubject, SignatureDigest, Username};
use crate::store::record::{Failures, MailQuota, Meta, SpentUntil};
use crate::store::{
    AddressMails, DamagedStore, Export, ExportedFailures, ExportedLock, NamesKey, PortableStore, Record,
    SpentSignature, StoreError,
};

/// A query and the conversion of its rows to records.
type ExportKind = (&'static str, fn(&Row) -> Result<Record, OperationError>);

const RETIRED_USERNAMES: &str = "SELECT username FROM username WHERE account IS NULL ORDER BY username";
const ALL_USERNAMES: &str = "SELECT username FROM username ORDER BY username";

/// In the order of [`RecordKind::ALL`](crate::store::RecordKind::ALL); rows of one kind ordered by key.
const KINDS: [ExportKind; 15] = [
    ("SELECT version, record FROM store", |row| {
        let Meta { slot_key } = decode(row, || "the names' key".to_owned())?;
        Ok(Record::NamesKey(NamesKey { key: slot_key }))
    }),
    ("SELECT version, record FROM data_key", |row| {
        Ok(Record::DataKey(decode(row, || "the data key".to_owned())?))
    }),
    (
        "SELECT id::text AS name, version, record FROM account ORDER BY id",
        |row| Ok(Record::Account(decode(row, named(row, "account")?)?)),
    ),
    (RETIRED_USERNAMES, |row| {
        Ok(Record::RetiredUsername(username(row)?))
    }),
    (
        "SELECT id AS name, version, record FROM access_key ORDER BY id",
        |row| Ok(Record::AccessKey(decode(row, named(row, "access key")?)?)),
    ),
    (
        "SELECT account, version, record FROM account_failures ORDER BY account",
        |row| {
            let of = account_of(row, "account")?;
            let kept = decode(row, || format!("the failures of account {of}"))?;
            Ok(failures(LockoutSubject::Account(of), kept, None))
        },
    ),
    (
        "SELECT access_key, version, record FROM access_key_failures ORDER BY access_key",
        |row| {
            let of = row.try_get::<_, &str>("access_key")?;
            let kept = decode(row, || format!("the failures of access key {of}"))?;
            let id = AccessKeyId::parse(of.as_bytes()).map_err(|_| corrupt("an access key's id is none"))?;
            Ok(failures(LockoutSubject::AccessKey(id), kept, None))
        },
    ),
    (
        "SELECT digest, version, record FROM name_failures ORDER BY set, digest",
        |row| {
            let name = name_failures(row)?;
            let of = LockoutSubject::Unknown(digest(row)?);
            Ok(failures(of, name.failures, Some(name.last)))
        },
    ),
    (
        "SELECT id::text AS name, version, record FROM session ORDER BY digest",
        |row| Ok(Record::Session(decode(row, named(row, "session")?)?)),
    ),
    (
        "SELECT id::text AS name, version, record FROM invitation ORDER BY digest",
        |row| Ok(Record::Invitation(decode(row, named(row, "invitation")?)?)),
    ),
    (
        "SELECT account::text AS name, version, record FROM mailed_token ORDER BY digest",
        |row| {
            Ok(Record::MailedToken(decode(
                row,
                named(row, "a mailed token of account")?,
            )?))
        },
    ),
    (
        "SELECT id::text AS name, version, record FROM mail ORDER BY id",
        |row| Ok(Record::Mail(decode(row, named(row, "mail")?)?)),
    ),
    (
        "SELECT address AS name, version, record FROM address_mails ORDER BY address",
        |row| {
            let postage: MailQuota = decode(row, named(row, "the mails to")?)?;
            Ok(Record::AddressMails(AddressMails {
                address: row.try_get("name")?,
                mails: postage.into_mails(),
            }))
        },
    ),
    (
        "SELECT digest, version, record FROM spent_signature ORDER BY digest",
        |row| {
            let SpentUntil(until) = decode(row, || "a signature".to_owned())?;
            let digest = SignatureDigest::from_bytes(digest(row)?);
            Ok(Record::SpentSignature(SpentSignature { digest, until }))
        },
    ),
    (
        "SELECT micros, number, version, record FROM audit_event ORDER BY micros, number",
        |row| {
            let place = audit::place(row)?;
            Ok(Record::AuditEvent(decode(row, || audit::cursor_name(place))?))
        },
    ),
];

#[async_trait]
impl PortableStore for PostgresStore {
    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        Ok(Box::new(PostgresExport {
            client: Some(self.database.snapshot().await?),
            kinds: KINDS,
            kind: 0,
            scan: PagedQuery::new(0, KINDS[0].0),
        }))
    }
}

impl PostgresStore {
    /// Reads what is readable of the store in a database. Rows that the server itself cannot read need its
    /// own tools.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for errors of the records, which are not read yet.
    pub async fn salvage(server: &DatabaseServer) -> Result<Box<dyn DamagedStore>, StoreError> {
        let connector = Connector::new(server)?;
        let lock = InstanceLock::begin(connector.clone()).await?;
        let database = Database::new(connector, lock)?;
        let mut kinds = KINDS;
        for (sql, _) in &mut kinds {
            // The account of a username may be unreadable; the username still must not go to another account
            // (S53).
            if *sql == RETIRED_USERNAMES {
                *sql = ALL_USERNAMES;
            }
        }
        let from = PostgresExport {
            client: Some(database.snapshot().await?),
            kinds,
            kind: 0,
            scan: PagedQuery::new(0, KINDS[0].0),
        };
        Ok(Box::new(PostgresSalvage {
            from,
            _database: database,
        }))
    }
}

struct PostgresSalvage {
    from: PostgresExport,
    /// Holds the instance lock, so that no gateway uses the store meanwhile.
    _database: Database,
}

#[async_trait]
impl DamagedStore for PostgresSalvage {
    async fn next(&mut self) -> Result<Vec<Result<Record, String>>, StoreError> {
        let read = self.from.next_rows().await?;
        let found = read.into_iter().map(|record| match record {
            Ok(record) => Ok(Ok(record)),
            Err(OperationError::Store(StoreError::Corrupt(why))) => Ok(Err(why)),
            Err(fault) => Err(fault.into()),
        });
        found.collect()
    }
}

struct PostgresExport {
    /// In a repeatable-read transaction; `None` after an error.
    client: Option<Object>,
    kinds: [ExportKind; KINDS.len()],
    kind: usize,
    scan: PagedQuery,
}

#[async_trait]
impl Export for PostgresExport {
    async fn next(&mut self) -> Result<Vec<Record>, StoreError> {
        let read = self.next_rows().await?;
        let records = read.into_iter().collect::<Result<_, OperationError>>();
        if records.is_err() {
            self.client = None;
        }
        Ok(records?)
    }
}

impl PostgresExport {
    /// Converts the next rows to records, each with its own error.
    async fn next_rows(&mut self) -> Result<Vec<Result<Record, OperationError>>, StoreError> {
        let failed = || error::unavailable("what was to be exported cannot be read any more");
        let client = self.client.take().ok_or_else(failed)?;
        while let Some((_, read)) = self.kinds.get(self.kind) {
            let rows = self.scan.next(&client).await?;
            if rows.is_empty() {
                self.kind += 1;
                if let Some((sql, _)) = self.kinds.get(self.kind) {
                    self.scan = PagedQuery::new(self.kind, sql);
                }
                continue;
            }
            self.client = Some(client);
            return Ok(rows.iter().map(read).collect());
        }
        self.client = Some(client);
        Ok(Vec::new())
    }
}

/// The 32 bytes of the column `digest`.
pub(super) fn digest(row: &Row) -> Result<[u8; 32], OperationError> {
    let digest: &[u8] = row.try_get("digest")?;
    digest.try_into().map_err(|_| corrupt("a digest is none"))
}

/// The username in the column `username`.
pub(super) fn username(row: &Row) -> Result<Username, OperationError> {
    let text: &str = row.try_get("username")?;
    text.parse()
        .map_err(|_| corrupt(&format!("username {text:?} is none")))
}

fn named(row: &Row, what: &'static str) -> Result<impl FnOnce() -> String + use<>, OperationError> {
    let name: String = row.try_get("name")?;
    Ok(move || format!("{what} {name}"))
}

fn failures(of: LockoutSubject, failures: Failures, last: Option<Timestamp>) -> Record {
    let lock = failures.lock.map(|lock| ExportedLock {
        until: lock.until,
        lasts: SignedDuration::try_from(lock.lasts).unwrap_or(SignedDuration::MAX),
    });
    Record::Failures(ExportedFailures {
        of,
        count: failures.count,
        lock,
        last,
    })
}

fn corrupt(what: &str) -> OperationError {
    OperationError::Store(StoreError::Corrupt(what.to_owned()))
}
