//! Sessions and their indexes by id and by account.

use std::ops::ControlFlow;

use async_trait::async_trait;
use jiff::Timestamp;

use super::engine::Engine;
use super::record;
use super::rows::{self, Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{SledStore, admin_queries};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, Account, AccountStatus, Session, TokenDigest};
use crate::store::{LoadedRows, PutSession, SessionStore, SessionsToEnd, StoreError, rules};

#[async_trait]
impl SessionStore for SledStore {
    async fn put_session(
        &self,
        session: Session,
        replaces: Option<TokenDigest>,
    ) -> Result<PutSession, StoreError> {
        self.change(move |group| put(group, &session, replaces)).await
    }

    async fn load_sessions(&self) -> Result<LoadedRows<Session>, StoreError> {
        self.read_all(all).await
    }

    async fn touch_sessions(&self, seen: Vec<(TokenDigest, Timestamp)>) -> Result<(), StoreError> {
        self.change(move |group| touch(group, &seen)).await
    }

    async fn mark_reauthenticated(
        &self,
        digest: TokenDigest,
        at: Timestamp,
        password_changed_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(move |group| mark_reauthenticated(group, &digest, at, password_changed_at))
            .await
    }

    async fn end_sessions(&self, which: SessionsToEnd) -> Result<usize, StoreError> {
        self.change(move |group| end_some(group, which)).await
    }
}

/// Inserts a session if its account, and the access key that began it, still may sign in. If not, their
/// sessions were ended after the caller looked, and this one must not outlive that.
fn put(
    batch: &mut WriteBatch<'_>,
    session: &Session,
    replaces: Option<TokenDigest>,
) -> Result<PutSession, StoreError> {
    let owner = schema::account(session.account);
    let account: Option<Account> = batch.read(&owner)?;
    let Some(account) = account.filter(|account| account.status == AccountStatus::Active) else {
        return Ok(PutSession::ShutOut);
    };
    if let Some(id) = session.access_key {
        let access_key: Option<AccessKey> = batch.read(&schema::access_key(id))?;
        if !access_key.is_some_and(|key| key.account == session.account && !key.disabled) {
            return Ok(PutSession::ShutOut);
        }
    }
    for digest in replaces.iter().chain([&session.digest]) {
        end(batch, digest)?;
    }
    insert(batch, session)?;
    let mut signed_in = account.clone();
    if rules::note_sign_in(&mut signed_in, session) {
        admin_queries::index(batch, Some(&account), Some(&signed_in))?;
        batch.put(owner, &signed_in)?;
    }
    Ok(PutSession::Kept)
}

/// Inserts a new session and its index rows.
pub(super) fn insert(batch: &mut WriteBatch<'_>, session: &Session) -> Result<(), StoreError> {
    batch.put(schema::session(&session.digest), session)?;
    batch.put(schema::session_id(session.id), &session.digest)?;
    batch.put(schema::session_of(session.account, &session.digest), &())
}

fn all(engine: &Engine) -> Result<LoadedRows<Session>, StoreError> {
    rows::load(engine, RowKind::Session, RowKind::SessionOf)
}

/// The digests of sessions made before `time`. Unreadable ones are left for `verify` to report.
pub(super) fn made_before(engine: &Engine, time: Timestamp) -> Result<Vec<TokenDigest>, StoreError> {
    let mut digests = Vec::new();
    engine.pieces(&RowKind::Session.prefix(), None, |_, rows| {
        let sessions = rows
            .iter()
            .filter_map(|(key, value)| record::decode::<Session>(key, value).ok());
        digests.extend(
            sessions
                .filter(|session| session.created_at < time)
                .map(|session| session.digest),
        );
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(digests)
}

/// Records last uses; an earlier use never replaces a later one.
fn touch(batch: &mut WriteBatch<'_>, seen: &[(TokenDigest, Timestamp)]) -> Result<(), StoreError> {
    for (digest, at) in seen {
        let key = schema::session(digest);
        if let Some(mut session) = batch.read::<Session>(&key)?
            && rules::is_later_use(*at, session.last_seen_at)
        {
            session.last_seen_at = *at;
            batch.put(key, &session)?;
        }
    }
    Ok(())
}

/// Records a re-authentication: when, and the version of the password.
pub(super) fn mark_reauthenticated(
    batch: &mut WriteBatch<'_>,
    digest: &TokenDigest,
    at: Timestamp,
    password_changed_at: Timestamp,
) -> Result<(), StoreError> {
    let key = schema::session(digest);
    if let Some(mut session) = batch.read::<Session>(&key)? {
        session.proved_at = Some(at);
        session.password_changed_at = Some(password_changed_at);
        batch.put(key, &session)?;
    }
    Ok(())
}

fn end_some(batch: &mut WriteBatch<'_>, which: SessionsToEnd) -> Result<usize, StoreError> {
    match which {
        SessionsToEnd::Token(digest) => end(batch, &digest).map(usize::from),
        SessionsToEnd::Id(id) => match batch.read::<TokenDigest>(&schema::session_id(id))? {
            Some(digest) => end(batch, &digest).map(usize::from),
            None => Ok(0),
        },
        SessionsToEnd::Account(id, except) => end_of_account(batch, id, except),
        SessionsToEnd::AccessKey(account, id) => end_of_access_key(batch, account, id),
        SessionsToEnd::All => end_listed(batch, &RowKind::Session.prefix(), None),
    }
}

/// Ends the sessions of an account, except one if given. Returns how many.
pub(super) fn end_of_account(
    batch: &mut WriteBatch<'_>,
    id: AccountId,
    except: Option<TokenDigest>,
) -> Result<usize, StoreError> {
    end_listed(batch, &schema::sessions_of(id), except)
}

/// Ends the sessions of an account that end with this access key. Returns how many. An unreadable session is
/// skipped: it authenticates no request.
pub(super) fn end_of_access_key(
    batch: &mut WriteBatch<'_>,
    account: AccountId,
    id: AccessKeyId,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for digest in listed(batch, &schema::sessions_of(account))? {
        let ends = match batch.read::<Session>(&schema::session(&digest)) {
            Ok(session) => session.is_some_and(|session| session.ends_with(id)),
            Err(StoreError::Corrupt(_)) => false,
            Err(error) => return Err(error),
        };
        if ends {
            ended += usize::from(end(batch, &digest)?);
        }
    }
    Ok(ended)
}

/// Ends the sessions whose digests end the keys under `prefix`.
fn end_listed(
    batch: &mut WriteBatch<'_>,
    prefix: &[u8],
    except: Option<TokenDigest>,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for digest in listed(batch, prefix)? {
        if except != Some(digest) {
            ended += usize::from(end(batch, &digest)?);
        }
    }
    Ok(ended)
}

/// The digests that end the keys under `prefix`.
fn listed(batch: &WriteBatch<'_>, prefix: &[u8]) -> Result<Vec<TokenDigest>, StoreError> {
    batch
        .scan(prefix)
        .filter_map(|row| row.map(|(key, _)| schema::trailing_digest(&key)).transpose())
        .collect()
}

pub(super) fn end_these(batch: &mut WriteBatch<'_>, digests: &[TokenDigest]) -> Result<(), StoreError> {
    for digest in digests {
        end(batch, digest)?;
    }
    Ok(())
}

/// Ends a session. Returns whether there was one.
fn end(batch: &mut WriteBatch<'_>, digest: &TokenDigest) -> Result<bool, StoreError> {
    let key = schema::session(digest);
    let Some(session) = batch.read::<Session>(&key)? else {
        return Ok(false);
    };
    batch.remove(key);
    batch.remove(schema::session_id(session.id));
    batch.remove(schema::session_of(session.account, digest));
    Ok(true)
}
