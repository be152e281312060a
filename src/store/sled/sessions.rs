//! Sessions.

use std::ops::ControlFlow;

use jiff::Timestamp;

use super::engine::Engine;
use super::key::{self, Kind};
use super::record;
use super::rows::{self, Group, Rows};
use crate::ids::AccountId;
use crate::model::{AccessKey, AccessKeyId, Account, Session, Standing, TokenDigest};
use crate::store::{Loaded, PutSession, SessionsToEnd, StoreError, rules};

/// Keeps a session of an account that may sign in. If the account was removed or disabled since the caller looked, or the
/// access key, their sessions were ended then, and this one must not outlive that.
pub(super) fn put(
    group: &mut Group<'_>,
    session: &Session,
    replaces: Option<TokenDigest>,
) -> Result<PutSession, StoreError> {
    let account: Option<Account> = group.read(&key::account(session.account))?;
    if account.is_none_or(|account| account.standing != Standing::Active) {
        return Ok(PutSession::ShutOut);
    }
    if let Some(id) = session.access_key {
        let access_key: Option<AccessKey> = group.read(&key::access_key(id))?;
        if !access_key.is_some_and(|key| key.account == session.account && !key.disabled) {
            return Ok(PutSession::ShutOut);
        }
    }
    for digest in replaces.iter().chain([&session.digest]) {
        end(group, digest)?;
    }
    insert(group, session)?;
    Ok(PutSession::Kept)
}

/// Keeps a session that is new, with all that it is found by.
pub(super) fn insert(group: &mut Group<'_>, session: &Session) -> Result<(), StoreError> {
    group.put(key::session(&session.digest), session)?;
    group.put(key::session_id(session.id), &session.digest)?;
    group.put(key::session_of(session.account, &session.digest), &())
}

pub(super) fn all(engine: &Engine) -> Result<Loaded<Session>, StoreError> {
    rows::load(engine, Kind::Session, Kind::SessionOf)
}

/// The tokens of sessions made before `time`. One that cannot be read is left for `verify` to tell of.
pub(super) fn made_before(engine: &Engine, time: Timestamp) -> Result<Vec<TokenDigest>, StoreError> {
    let mut digests = Vec::new();
    engine.pieces(&Kind::Session.prefix(), None, |_, rows| {
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

/// Notes when sessions were last used, never back in time.
pub(super) fn touch(group: &mut Group<'_>, seen: &[(TokenDigest, Timestamp)]) -> Result<(), StoreError> {
    for (digest, at) in seen {
        let key = key::session(digest);
        if let Some(mut session) = group.read::<Session>(&key)?
            && rules::is_later_use(*at, session.last_seen_at)
        {
            session.last_seen_at = *at;
            group.put(key, &session)?;
        }
    }
    Ok(())
}

/// Notes when the owner of a session proved to know the password, and which.
pub(super) fn prove(
    group: &mut Group<'_>,
    digest: &TokenDigest,
    at: Timestamp,
    password_changed_at: Timestamp,
) -> Result<(), StoreError> {
    let key = key::session(digest);
    if let Some(mut session) = group.read::<Session>(&key)? {
        session.proved_at = Some(at);
        session.password_changed_at = Some(password_changed_at);
        group.put(key, &session)?;
    }
    Ok(())
}

pub(super) fn end_some(group: &mut Group<'_>, which: SessionsToEnd) -> Result<usize, StoreError> {
    match which {
        SessionsToEnd::Token(digest) => end(group, &digest).map(usize::from),
        SessionsToEnd::Id(id) => match group.read::<TokenDigest>(&key::session_id(id))? {
            Some(digest) => end(group, &digest).map(usize::from),
            None => Ok(0),
        },
        SessionsToEnd::Account(id, except) => end_of_account(group, id, except),
        SessionsToEnd::AccessKey(account, id) => end_of_access_key(group, account, id),
        SessionsToEnd::All => end_listed(group, &Kind::Session.prefix(), None),
    }
}

/// Ends the sessions of an account, except perhaps one. How many there were.
pub(super) fn end_of_account(
    group: &mut Group<'_>,
    id: AccountId,
    except: Option<TokenDigest>,
) -> Result<usize, StoreError> {
    end_listed(group, &key::sessions_of(id), except)
}

/// Ends the sessions of an account that end with this access key. How many there were. One that cannot be read stands in
/// no key's way: it serves nobody.
pub(super) fn end_of_access_key(
    group: &mut Group<'_>,
    account: AccountId,
    id: AccessKeyId,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for digest in listed(group, &key::sessions_of(account))? {
        let ends = match group.read::<Session>(&key::session(&digest)) {
            Ok(session) => session.is_some_and(|session| session.ends_with(id)),
            Err(StoreError::Corrupt(_)) => false,
            Err(error) => return Err(error),
        };
        if ends {
            ended += usize::from(end(group, &digest)?);
        }
    }
    Ok(ended)
}

/// Ends the sessions whose tokens are at the ends of the keys that begin with `prefix`.
fn end_listed(
    group: &mut Group<'_>,
    prefix: &[u8],
    except: Option<TokenDigest>,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for digest in listed(group, prefix)? {
        if except != Some(digest) {
            ended += usize::from(end(group, &digest)?);
        }
    }
    Ok(ended)
}

/// The tokens at the ends of the keys that begin with `prefix`.
fn listed(group: &Group<'_>, prefix: &[u8]) -> Result<Vec<TokenDigest>, StoreError> {
    group
        .scan(prefix)
        .filter_map(|row| row.map(|(key, _)| key::trailing_digest(&key)).transpose())
        .collect()
}

/// Ends the sessions with these tokens.
pub(super) fn end_these(group: &mut Group<'_>, digests: &[TokenDigest]) -> Result<(), StoreError> {
    for digest in digests {
        end(group, digest)?;
    }
    Ok(())
}

/// Ends the session with this token. Whether there was one.
fn end(group: &mut Group<'_>, digest: &TokenDigest) -> Result<bool, StoreError> {
    let key = key::session(digest);
    let Some(session) = group.read::<Session>(&key)? else {
        return Ok(false);
    };
    group.remove(key);
    group.remove(key::session_id(session.id));
    group.remove(key::session_of(session.account, digest));
    Ok(true)
}
