//! Sessions: inserting, touching and ending rows of the table `session`.

use std::collections::HashMap;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::error::OperationError;
use super::row::{Json, bytes, decode, encode, execute, load, micros, query, query_opt, uuid};
use super::{PostgresStore, TOGETHER, access_keys, accounts};
use crate::ids::AccountId;
use crate::model::{AccessKeyId, AccountStatus, Session, TokenDigest};
use crate::store::{LoadedRows, PutSession, SessionStore, SessionsToEnd, StoreError, rules};

#[async_trait]
impl SessionStore for PostgresStore {
    async fn put_session(
        &self,
        session: Session,
        replaces: Option<TokenDigest>,
    ) -> Result<PutSession, StoreError> {
        self.database
            .transact((session, replaces), |tx, (session, replaces)| {
                Box::pin(put(tx, session, *replaces))
            })
            .await
    }

    async fn load_sessions(&self) -> Result<LoadedRows<Session>, StoreError> {
        self.database.with_all(async |client| all(client).await).await
    }

    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError> {
        for piece in seen.chunks(TOGETHER) {
            self.database
                .transact(piece.to_vec(), |tx, seen| Box::pin(touch(tx, seen)))
                .await?;
        }
        Ok(())
    }

    async fn mark_reauthenticated(
        &self,
        digest: TokenDigest,
        at: Timestamp,
        password_changed_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.database
            .transact(
                (digest, at, password_changed_at),
                |tx, (digest, at, password_changed_at)| {
                    Box::pin(mark_reauthenticated(tx, digest, *at, *password_changed_at))
                },
            )
            .await
    }

    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError> {
        self.database
            .transact(which, |tx, which| Box::pin(end(tx, *which)))
            .await
    }
}

/// Inserts a session if its account, and the access key that began it, still may sign in. If not, their
/// sessions were ended after the caller looked, and this one must not outlive that. Locks both until the
/// transaction ends.
async fn put(
    tx: &Transaction<'_>,
    session: &Session,
    replaces: Option<TokenDigest>,
) -> Result<PutSession, OperationError> {
    let account = accounts::lock(tx, session.account).await?;
    let Some(mut account) = account.filter(|account| account.status == AccountStatus::Active) else {
        return Ok(PutSession::ShutOut);
    };
    if let Some(id) = session.access_key
        && !access_keys::is_switched_on(tx, id, session.account).await?
    {
        return Ok(PutSession::ShutOut);
    }
    let over: Vec<_> = replaces.iter().chain([&session.digest]).map(bytes).collect();
    execute(tx, "DELETE FROM session WHERE digest = ANY ($1)", &[&over]).await?;
    insert(tx, session).await?;
    if rules::note_sign_in(&mut account, session) {
        accounts::note_sign_in(tx, &account).await?;
    }
    Ok(PutSession::Kept)
}

/// Inserts a new session.
pub(super) async fn insert(client: &impl GenericClient, session: &Session) -> Result<(), OperationError> {
    let (version, record) = encode(session)?;
    execute(
        client,
        "INSERT INTO session (digest, id, account, created_at, version, record) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &bytes(&session.digest),
            &uuid(session.id.as_bytes()),
            &uuid(session.account.as_bytes()),
            &micros(session.created_at),
            &version,
            &record,
        ],
    )
    .await?;
    Ok(())
}

async fn all(client: &impl GenericClient) -> Result<LoadedRows<Session>, OperationError> {
    let rows = query(client, "SELECT id, account, version, record FROM session", &[]).await?;
    load(&rows, Some("account"), read)
}

/// Loads a session and locks it against removal until the transaction ends.
pub(super) async fn share(
    tx: &Transaction<'_>,
    digest: &TokenDigest,
) -> Result<Option<Session>, OperationError> {
    let sql = "SELECT id, version, record FROM session WHERE digest = $1 FOR SHARE";
    let row = query_opt(tx, sql, &[&bytes(digest)]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Records last uses; an earlier use never replaces a later one.
async fn touch(tx: &Transaction<'_>, seen: &[(TokenDigest, Timestamp)]) -> Result<(), OperationError> {
    let mut uses: HashMap<TokenDigest, Vec<Timestamp>> = HashMap::new();
    for (digest, at) in seen {
        uses.entry(*digest).or_default().push(*at);
    }
    let digests: Vec<_> = uses.keys().map(bytes).collect();
    change(tx, &digests, |session| {
        let known = session.last_seen_at;
        for at in uses.get(&session.digest).into_iter().flatten() {
            if rules::is_later_use(*at, session.last_seen_at) {
                session.last_seen_at = *at;
            }
        }
        session.last_seen_at != known
    })
    .await
}

/// Records a re-authentication: when, and the version of the password.
pub(super) async fn mark_reauthenticated(
    tx: &Transaction<'_>,
    digest: &TokenDigest,
    at: Timestamp,
    password_changed_at: Timestamp,
) -> Result<(), OperationError> {
    change(tx, &[bytes(digest)], |session| {
        session.proved_at = Some(at);
        session.password_changed_at = Some(password_changed_at);
        true
    })
    .await
}

pub(super) async fn end(tx: &Transaction<'_>, which: SessionsToEnd) -> Result<usize, OperationError> {
    match which {
        SessionsToEnd::Token(digest) => {
            execute(tx, "DELETE FROM session WHERE digest = $1", &[&bytes(&digest)]).await
        }
        SessionsToEnd::Id(id) => {
            execute(tx, "DELETE FROM session WHERE id = $1", &[&uuid(id.as_bytes())]).await
        }
        SessionsToEnd::Account(id, except) => {
            let sql = "DELETE FROM session WHERE account = $1 AND digest IS DISTINCT FROM $2";
            execute(tx, sql, &[&uuid(id.as_bytes()), &except.as_ref().map(bytes)]).await
        }
        SessionsToEnd::AccessKey(account, id) => end_of_access_key(tx, account, id).await,
        SessionsToEnd::All => execute(tx, "DELETE FROM session", &[]).await,
    }
}

/// Ends the sessions of an account that end with this access key. Returns how many. An unreadable session is
/// skipped: it authenticates no request.
pub(super) async fn end_of_access_key(
    tx: &Transaction<'_>,
    account: AccountId,
    id: AccessKeyId,
) -> Result<usize, OperationError> {
    let sql = "SELECT digest, id, version, record FROM session WHERE account = $1 ORDER BY digest FOR UPDATE";
    let mut ending: Vec<Vec<u8>> = Vec::new();
    for row in query(tx, sql, &[&uuid(account.as_bytes())]).await? {
        match read(&row) {
            Ok(session) if session.ends_with(id) => ending.push(row.try_get("digest")?),
            Ok(_) | Err(OperationError::Store(StoreError::Corrupt(_))) => {}
            Err(fault) => return Err(fault),
        }
    }
    execute(tx, "DELETE FROM session WHERE digest = ANY ($1)", &[&ending]).await
}

/// Applies `change` to the sessions that exist, and writes those for which it returns true. Locks them in one
/// order against deadlocks.
async fn change(
    tx: &Transaction<'_>,
    digests: &[&[u8]],
    mut change: impl FnMut(&mut Session) -> bool + Send,
) -> Result<(), OperationError> {
    let sql = "SELECT id, version, record FROM session WHERE digest = ANY ($1) ORDER BY digest FOR UPDATE";
    let (mut changed, mut versions, mut records) = (Vec::new(), Vec::<i16>::new(), Vec::<Json>::new());
    for row in query(tx, sql, &[&digests]).await? {
        let mut session = read(&row)?;
        if change(&mut session) {
            let (version, record) = encode(&session)?;
            changed.push(session.digest);
            versions.push(version);
            records.push(record);
        }
    }
    let digests: Vec<_> = changed.iter().map(bytes).collect();
    let sql = "UPDATE session SET version = new.version, record = new.record
        FROM unnest($1::bytea[], $2::smallint[], $3::json[]) AS new (digest, version, record)
        WHERE session.digest = new.digest";
    execute(tx, sql, &[&digests, &versions, &records]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Session, OperationError> {
    let id: uuid::Uuid = row.try_get("id")?;
    decode(row, || format!("session {id}"))
}
