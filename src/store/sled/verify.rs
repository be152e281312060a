//! Verification: checks that each row decodes and that rows and their indexes agree.
//!
//! A row is checked against the rows that it names, so the whole store is read a piece at a time, between
//! commits, while in use.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::engine::Engine;
use super::lost_changes::LostChanges;
use super::record::{self, Failures, IndexForm, MailQuota, Meta, RowCount, SpentUntil, UnknownFailures};
use super::rows::Rows;
use super::schema::{self, RowKind};
use super::{admin_queries, mails, usernames};
use crate::ids::AccountId;
use crate::model::{
    AccessKey, Account, AuditCursor, AuditEvent, EmailToken, Invitation, MailState, QueuedMail, Session,
    TokenDigest, WrappedDataKey,
};
use crate::store::{AuditSubject, StoreError, Verification};

/// Counts the rows and collects the faults.
pub(super) fn run(engine: &Engine) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    if let Some(lost) = LostChanges::noticed(engine.folder()) {
        found.add_fault(lost.to_string());
    }
    let mut seen: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let read = engine.pieces(b"", None, |tree, rows| {
        for (key, value) in rows {
            match RowKind::of(key) {
                Some(RowKind::Account) => {
                    found.accounts += 1;
                    if let Ok(account) = record::decode::<Account>(key, value) {
                        for key in admin_queries::counts_of(&account) {
                            *seen.entry(key).or_default() += 1;
                        }
                    }
                }
                Some(RowKind::Session) => found.sessions += 1,
                Some(RowKind::Invitation) => found.invitations += 1,
                Some(RowKind::AccessKey) => found.access_keys += 1,
                _ => {}
            }
            if let Some(fault) = fault(tree, key, value)? {
                found.add_fault(fault);
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    match read {
        Err(StoreError::Corrupt(fault)) => found.add_fault(fault),
        outcome => {
            outcome?;
            counts(engine, &seen, &mut found)?;
        }
    }
    Ok(found)
}

fn fault(rows: &impl Rows, key: &[u8], value: &[u8]) -> Result<Option<String>, StoreError> {
    match check(rows, key, value) {
        Ok(()) => Ok(None),
        Err(StoreError::Corrupt(fault)) => Ok(Some(fault)),
        Err(error) => Err(error),
    }
}

fn check(rows: &impl Rows, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    match RowKind::of(key) {
        Some(RowKind::Meta) => record::decode::<Meta>(key, value).map(drop),
        Some(RowKind::Account) => account(rows, key, &record::decode(key, value)?),
        Some(RowKind::Email) => email(rows, key, record::decode(key, value)?),
        Some(RowKind::Username | RowKind::OtherUsername) => username(rows, key, record::decode(key, value)?),
        Some(RowKind::Member) => member(rows, key),
        Some(RowKind::Attempts) => attempts(rows, key, value),
        Some(RowKind::Unknown) => record::decode::<UnknownFailures>(key, value).map(drop),
        Some(RowKind::Session) => session(rows, key, &record::decode(key, value)?),
        Some(RowKind::SessionId) => session_id(rows, key, record::decode(key, value)?),
        Some(RowKind::SessionOf) => session_of(rows, key),
        Some(RowKind::Invitation) => invitation(rows, key, &record::decode(key, value)?),
        Some(RowKind::InvitationId) => invitation_id(rows, key, record::decode(key, value)?),
        Some(RowKind::Signature) => signature(rows, key, record::decode(key, value)?),
        Some(RowKind::SignatureEnd) => signature_end(rows, key),
        Some(RowKind::Token) => token(rows, key, &record::decode(key, value)?),
        Some(RowKind::TokenOf) => token_of(rows, key, record::decode(key, value)?),
        Some(RowKind::Mail) => mail(rows, key, &record::decode(key, value)?),
        Some(RowKind::MailDue) => mail_due(rows, key),
        Some(RowKind::ResetMail) => reset_mail(rows, key),
        Some(RowKind::MailQuota) => record::decode::<MailQuota>(key, value).map(drop),
        Some(RowKind::AccessKey) => access_key(rows, key, &record::decode(key, value)?),
        Some(RowKind::AccessKeyOf) => access_key_of(rows, key),
        Some(RowKind::KeyAttempts) => key_attempts(rows, key, value),
        Some(RowKind::DataKey) => record::decode::<WrappedDataKey>(key, value).map(drop),
        Some(RowKind::Audit) => audit(rows, key, &record::decode(key, value)?),
        Some(RowKind::AuditOf) => audit_of(rows, key),
        Some(RowKind::Term | RowKind::Status | RowKind::NameOrder | RowKind::SignInOrder) => {
            found_by(rows, key)
        }
        Some(RowKind::Count) => count(key, value),
        Some(RowKind::IndexForm) => record::decode::<IndexForm>(key, value).map(drop),
        None => wrong(key, "no such kind of row exists"),
    }
}

fn account(rows: &impl Rows, key: &[u8], account: &Account) -> Result<(), StoreError> {
    let id = account.id;
    require(key, schema::account(id) == key, "it holds another account")?;
    agree(rows, key, &schema::email(&account.email), &id)?;
    for username in usernames::keys_of(account) {
        agree(rows, key, &username, &Some(id))?;
    }
    for group in &account.groups {
        agree(rows, key, &schema::member(group, id), &())?;
    }
    match admin_queries::missing(rows, account)? {
        Some(index) => wrong(key, &format!("{} is missing", record::name(&index))),
        None => Ok(()),
    }
}

fn found_by(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(id) = schema::trailing_account(key) else {
        return wrong(key, "it names no account");
    };
    let account: Account = rows.indexed(key, &schema::account(id))?;
    require(
        key,
        admin_queries::is_found_by(&account, key),
        "its account is not found by this",
    )
}

fn count(key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    record::decode::<RowCount>(key, value)?;
    require(key, schema::counted_by(key).is_some(), "it counts nothing")
}

/// Checks the counts against `seen`, those of the accounts that were read. The store may have changed while
/// they were: one that differs is counted anew between two commits.
fn counts(
    engine: &Engine,
    seen: &BTreeMap<Vec<u8>, u64>,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let mut keys: BTreeSet<Vec<u8>> = seen.keys().cloned().collect();
    engine.pieces(&RowKind::Count.prefix(), None, |_, rows| {
        keys.extend(rows.iter().map(|(key, _)| key.to_vec()));
        Ok(ControlFlow::Continue(()))
    })?;
    for key in keys {
        let Some(prefix) = schema::counted_by(&key) else {
            continue;
        };
        let fault = engine.with(|tree| {
            // One that cannot be read is a fault of its row.
            let Ok(kept) = tree.read::<RowCount>(&key) else {
                return Ok(None);
            };
            let kept = kept.map_or(0, |RowCount(count)| count);
            if Some(kept) == seen.get(&key).copied() {
                return Ok(None);
            }
            let mut counted = 0;
            for row in tree.scan(prefix) {
                row?;
                counted += 1;
            }
            let name = record::name(&key);
            Ok((kept != counted).then(|| format!("{name}: it is {kept}, and there are {counted}")))
        })?;
        if let Some(fault) = fault {
            found.add_fault(fault);
        }
    }
    Ok(())
}

fn email(rows: &impl Rows, key: &[u8], id: AccountId) -> Result<(), StoreError> {
    let account: Account = rows.indexed(key, &schema::account(id))?;
    require(
        key,
        schema::email(&account.email) == key,
        "its account has another address",
    )
}

fn username(rows: &impl Rows, key: &[u8], id: Option<AccountId>) -> Result<(), StoreError> {
    let mut others = usernames::KINDS.into_iter().map(|kind| kind.with(&key[1..]));
    if let Some(other) = others.find(|other| other != key)
        && rows.value(&other)?.is_some()
    {
        return wrong(key, "the same username has a row of the other kind");
    }
    let Some(id) = id else {
        return Ok(());
    };
    let account: Account = rows.indexed(key, &schema::account(id))?;
    require(
        key,
        usernames::keys_of(&account).iter().any(|own| own == key),
        "its account never had this username, or is sorted by another index",
    )
}

fn member(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(id) = schema::trailing_account(key) else {
        return wrong(key, "it names no account");
    };
    let account: Account = rows.indexed(key, &schema::account(id))?;
    let is_in = account
        .groups
        .iter()
        .any(|group| schema::member(group, id) == key);
    require(key, is_in, "its account is not in the group")
}

fn attempts(rows: &impl Rows, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    record::decode::<Failures>(key, value)?;
    let Some(id) = schema::trailing_account(key) else {
        return wrong(key, "it names no account");
    };
    rows.indexed::<Account>(key, &schema::account(id)).map(drop)
}

fn session(rows: &impl Rows, key: &[u8], session: &Session) -> Result<(), StoreError> {
    let digest = session.digest;
    require(key, schema::session(&digest) == key, "it holds another session")?;
    rows.indexed::<Account>(key, &schema::account(session.account))?;
    agree(rows, key, &schema::session_id(session.id), &digest)?;
    agree(rows, key, &schema::session_of(session.account, &digest), &())
}

fn session_id(rows: &impl Rows, key: &[u8], digest: TokenDigest) -> Result<(), StoreError> {
    let session: Session = rows.indexed(key, &schema::session(&digest))?;
    require(
        key,
        schema::session_id(session.id) == key,
        "its session has another name",
    )
}

fn session_of(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(digest) = schema::trailing_digest(key) else {
        return wrong(key, "it names no session");
    };
    let session: Session = rows.indexed(key, &schema::session(&digest))?;
    require(
        key,
        schema::session_of(session.account, &digest) == key,
        "its session is another account's",
    )
}

fn invitation(rows: &impl Rows, key: &[u8], invitation: &Invitation) -> Result<(), StoreError> {
    let digest = invitation.digest;
    require(
        key,
        schema::invitation(&digest) == key,
        "it holds another invitation",
    )?;
    agree(rows, key, &schema::invitation_id(invitation.id), &digest)
}

fn invitation_id(rows: &impl Rows, key: &[u8], digest: TokenDigest) -> Result<(), StoreError> {
    let invitation: Invitation = rows.indexed(key, &schema::invitation(&digest))?;
    require(
        key,
        schema::invitation_id(invitation.id) == key,
        "its invitation has another name",
    )
}

fn signature(rows: &impl Rows, key: &[u8], SpentUntil(until): SpentUntil) -> Result<(), StoreError> {
    let Some(digest) = schema::trailing_signature(key) else {
        return wrong(key, "it names no signature");
    };
    agree(rows, key, &schema::signature_end(until, &digest), &())
}

fn signature_end(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(digest) = schema::trailing_signature(key) else {
        return wrong(key, "it names no signature");
    };
    let SpentUntil(until) = rows.indexed(key, &schema::signature(&digest))?;
    require(
        key,
        schema::signature_end(until, &digest) == key,
        "its signature ends at another time",
    )
}

fn token(rows: &impl Rows, key: &[u8], token: &EmailToken) -> Result<(), StoreError> {
    let digest = token.digest;
    require(key, schema::token(&digest) == key, "it holds another token")?;
    rows.indexed::<Account>(key, &schema::account(token.account))?;
    agree(
        rows,
        key,
        &schema::token_of(token.account, token.purpose),
        &digest,
    )
}

fn token_of(rows: &impl Rows, key: &[u8], digest: TokenDigest) -> Result<(), StoreError> {
    let token: EmailToken = rows.indexed(key, &schema::token(&digest))?;
    require(
        key,
        schema::token_of(token.account, token.purpose) == key,
        "its token is another account's, or for something else",
    )
}

fn mail(rows: &impl Rows, key: &[u8], queued: &QueuedMail) -> Result<(), StoreError> {
    let id = queued.mail.id;
    require(key, schema::mail(id) == key, "it holds another mail")?;
    if let Some(index) = mails::reset_index(&queued.mail) {
        agree(rows, key, &index, &())?;
    }
    match queued.state {
        MailState::Due(due) => agree(rows, key, &schema::mail_due(due, id), &()),
        MailState::Failed(_) => Ok(()),
    }
}

fn mail_due(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(id) = schema::trailing_mail(key) else {
        return wrong(key, "it names no mail");
    };
    let queued: QueuedMail = rows.indexed(key, &schema::mail(id))?;
    let is_due = matches!(queued.state, MailState::Due(due) if schema::mail_due(due, id) == key);
    require(key, is_due, "its mail is not due then")
}

fn reset_mail(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(id) = schema::trailing_mail(key) else {
        return wrong(key, "it names no mail");
    };
    let queued: QueuedMail = rows.indexed(key, &schema::mail(id))?;
    let is_listed = mails::reset_index(&queued.mail).is_some_and(|index| index == key);
    require(
        key,
        is_listed,
        "its mail is to somebody else, or brings no such link",
    )
}

fn access_key(rows: &impl Rows, key: &[u8], access_key: &AccessKey) -> Result<(), StoreError> {
    let (id, account) = (access_key.id, access_key.account);
    require(key, schema::access_key(id) == key, "it holds another access key")?;
    rows.indexed::<Account>(key, &schema::account(account))?;
    rows.indexed::<WrappedDataKey>(key, &schema::data_key())?;
    agree(rows, key, &schema::access_key_of(account, id), &())
}

fn access_key_of(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(id) = schema::trailing_access_key(key) else {
        return wrong(key, "it names no access key");
    };
    let access_key: AccessKey = rows.indexed(key, &schema::access_key(id))?;
    require(
        key,
        schema::access_key_of(access_key.account, id) == key,
        "its access key is another account's",
    )
}

fn key_attempts(rows: &impl Rows, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    record::decode::<Failures>(key, value)?;
    let Some(id) = schema::trailing_access_key(key) else {
        return wrong(key, "it names no access key");
    };
    rows.indexed::<AccessKey>(key, &schema::access_key(id)).map(drop)
}

fn audit(rows: &impl Rows, key: &[u8], event: &AuditEvent) -> Result<(), StoreError> {
    let Some(cursor) = schema::trailing_cursor(key) else {
        return wrong(key, "it has no cursor");
    };
    let own = AuditCursor::at(event.time).micros == cursor.micros && schema::audit(cursor) == key;
    require(key, own, "it holds an event of another moment")?;
    for subject in AuditSubject::of(event) {
        agree(rows, key, &schema::audit_of(&subject, cursor), &())?;
    }
    Ok(())
}

fn audit_of(rows: &impl Rows, key: &[u8]) -> Result<(), StoreError> {
    let Some(cursor) = schema::trailing_cursor(key) else {
        return wrong(key, "it names no event");
    };
    let event: AuditEvent = rows.indexed(key, &schema::audit(cursor))?;
    let is_of = AuditSubject::of(&event)
        .iter()
        .any(|subject| schema::audit_of(subject, cursor) == key);
    require(key, is_of, "its event is about somebody else")
}

/// Requires that the index row exists and has this value.
fn agree<T: record::StoredRecord + PartialEq>(
    rows: &impl Rows,
    key: &[u8],
    index: &[u8],
    expected: &T,
) -> Result<(), StoreError> {
    match rows.read::<T>(index)? {
        Some(found) if found == *expected => Ok(()),
        Some(_) => wrong(key, &format!("{} points elsewhere", record::name(index))),
        None => wrong(key, &format!("{} is missing", record::name(index))),
    }
}

fn require(key: &[u8], holds: bool, otherwise: &str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { wrong(key, otherwise) }
}

fn wrong(key: &[u8], what: &str) -> Result<(), StoreError> {
    Err(StoreError::Corrupt(format!("{}: {what}", record::name(key))))
}
