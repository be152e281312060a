//! Mails that wait, or failed. One that was sent is removed.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::fault::Fault;
use super::row::{decode, encode, execute, micros, query, query_opt, query_value, uuid};
use super::{accounts, invitations, tokens};
use crate::ids::MailId;
use crate::model::{Email, KeptMail, Mail, MailState};
use crate::store::record::Postage;
use crate::store::{Allowance, MailOutcome, Stamp, StampMail, StampedToken, StoreError, rules};

/// Lets mails wait, due at once.
pub(super) async fn enqueue(tx: &Transaction<'_>, mails: &[Mail]) -> Result<(), Fault> {
    for mail in mails {
        let kept = KeptMail {
            mail: mail.clone(),
            attempts: 0,
            state: MailState::Due(mail.cause.at),
            reason: None,
        };
        insert(tx, &kept).await?;
    }
    Ok(())
}

/// Keeps a mail that is new.
pub(super) async fn insert(client: &impl GenericClient, kept: &KeptMail) -> Result<(), Fault> {
    let (version, record) = encode(kept)?;
    let (due, failed) = times(kept.state);
    execute(
        client,
        "INSERT INTO mail (id, due_at, failed_at, reset_to, version, record) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &uuid(kept.mail.id.as_bytes()),
            &due,
            &failed,
            &reset_to(&kept.mail),
            &version,
            &record,
        ],
    )
    .await?;
    Ok(())
}

/// Takes the mail that has been due for the longest time, and that nobody else is taking.
pub(super) async fn take_due(
    tx: &Transaction<'_>,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<KeptMail>, Fault> {
    let sql = "SELECT id, version, record FROM mail WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1
        FOR UPDATE SKIP LOCKED";
    let mut kept = loop {
        let Some(row) = query_opt(tx, sql, &[&micros(now)]).await? else {
            return Ok(None);
        };
        match read(&row) {
            Ok(kept) => break kept,
            // It must not stand before all others. What is left of it is for `verify` to tell of.
            Err(Fault::Store(StoreError::Corrupt(what))) => {
                tracing::error!(
                    what,
                    "a mail cannot be read and is not sent; `vestibule store verify` tells of it"
                );
                let id: uuid::Uuid = row.try_get("id")?;
                let sql = "UPDATE mail SET due_at = NULL, failed_at = $2 WHERE id = $1";
                execute(tx, sql, &[&id, &micros(now)]).await?;
            }
            Err(error) => return Err(error),
        }
    };
    kept.attempts = kept.attempts.saturating_add(1);
    kept.state = MailState::Due(now.checked_add(lease).unwrap_or(Timestamp::MAX));
    update(tx, &kept).await?;
    Ok(Some(kept))
}

/// Counts a taken mail and keeps its token.
pub(super) async fn stamp(
    tx: &Transaction<'_>,
    id: MailId,
    stamp: &Stamp,
    now: Timestamp,
) -> Result<StampMail, Fault> {
    // The account before its mail, as in whatever withdraws mails.
    let account = match &stamp.token {
        Some(StampedToken::Account(token)) => accounts::lock(tx, token.account).await?,
        _ => None,
    };
    let Some(KeptMail { mail, .. }) = lock(tx, id).await? else {
        return Ok(StampMail::Gone);
    };
    let mut invitation = None;
    match &stamp.token {
        Some(StampedToken::Account(token)) => {
            if !account.is_some_and(|account| rules::may_carry(&mail, token, &account)) {
                return Ok(StampMail::Gone);
            }
            let current = tokens::current(tx, token.account, token.purpose).await?;
            if current.is_some_and(|current| rules::supersedes(&current, id, now)) {
                return Ok(StampMail::Superseded);
            }
        }
        Some(StampedToken::Invitation(invited, _)) => {
            invitation = invitations::lock(tx, *invited).await?;
            if invitation.is_none() {
                return Ok(StampMail::Gone);
            }
        }
        None => {}
    }
    if let Some(allowance) = &stamp.allowance
        && !count(tx, id, allowance, now).await?
    {
        return Ok(StampMail::OverAllowance);
    }
    match (&stamp.token, invitation) {
        (Some(StampedToken::Account(token)), _) => tokens::put(tx, token).await?,
        (Some(StampedToken::Invitation(_, digest)), Some(invitation)) => {
            invitations::replace_token(tx, invitation, *digest).await?;
        }
        _ => {}
    }
    Ok(StampMail::Stamped)
}

/// Withdraws the mails that would let somebody into the account with this address by a link: it has another password, or
/// leaves the address. Locked in one order, so that two who do this do not wait for each other.
pub(super) async fn withdraw_resets(tx: &Transaction<'_>, address: &Email) -> Result<(), Fault> {
    let sql = "DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE reset_to = $1 ORDER BY id FOR UPDATE)";
    execute(tx, sql, &[&address.key()]).await?;
    Ok(())
}

/// With whose password a mail is withdrawn, as its column says.
pub(super) fn reset_to(mail: &Mail) -> Option<&str> {
    rules::withdrawn_with(mail).map(Email::key)
}

/// Has those that wait for a moment in the future, by a clock that was ahead, be due at `now`.
pub(super) async fn hasten(tx: &Transaction<'_>, now: Timestamp) -> Result<(), Fault> {
    let sql = "SELECT id, version, record FROM mail WHERE due_at > $1 ORDER BY id FOR UPDATE";
    for row in query(tx, sql, &[&micros(now)]).await? {
        match read(&row) {
            Ok(mut kept) => {
                if rules::waits_for_the_future(&kept, now) {
                    kept.state = MailState::Due(now);
                    update(tx, &kept).await?;
                }
            }
            Err(Fault::Store(StoreError::Corrupt(_))) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Says what became of a mail. Whether it was there.
pub(super) async fn settle(tx: &Transaction<'_>, id: MailId, outcome: &MailOutcome) -> Result<bool, Fault> {
    let Some(mut kept) = lock(tx, id).await? else {
        return Ok(false);
    };
    let is_failed = matches!(kept.state, MailState::Failed(_));
    (kept.state, kept.reason) = match outcome.clone() {
        MailOutcome::Done => {
            execute(tx, "DELETE FROM mail WHERE id = $1", &[&uuid(id.as_bytes())]).await?;
            return Ok(true);
        }
        MailOutcome::Postponed { until, reason } => (MailState::Due(until), Some(reason)),
        MailOutcome::Failed { at, reason } => (MailState::Failed(at), Some(reason)),
        MailOutcome::Again { at } if is_failed => (MailState::Due(at), kept.reason),
        MailOutcome::Again { .. } => return Ok(false),
    };
    update(tx, &kept).await?;
    Ok(true)
}

/// Up to `limit` mails in the order of their ids, from the one after `after`.
pub(super) async fn list(
    client: &impl GenericClient,
    after: Option<MailId>,
    limit: usize,
) -> Result<Vec<KeptMail>, Fault> {
    let sql = "SELECT id, version, record FROM mail WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2";
    let after = after.map(|id| uuid(id.as_bytes()));
    let rows = query(client, sql, &[&after, &i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn by_id(client: &impl GenericClient, id: MailId) -> Result<Option<KeptMail>, Fault> {
    let sql = "SELECT id, version, record FROM mail WHERE id = $1";
    let row = query_opt(client, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row)).transpose()
}

/// How many mails wait, up to `at_most`.
pub(super) async fn count_waiting(client: &impl GenericClient, at_most: usize) -> Result<usize, Fault> {
    let sql = "SELECT count(*) FROM (SELECT FROM mail WHERE due_at IS NOT NULL LIMIT $1) AS waiting";
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    let count: i64 = query_value(client, sql, &[&at_most]).await?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Keeps what an address was sent of late, which is new.
pub(super) async fn insert_postage(
    client: &impl GenericClient,
    address: &str,
    postage: &Postage,
) -> Result<(), Fault> {
    let (version, record) = encode(postage)?;
    let until = postage.counts_until().map_or(i64::MIN, micros);
    let sql = "INSERT INTO address_mails (address, counts_until, version, record) VALUES ($1, $2, $3, $4)";
    execute(client, sql, &[&address, &until, &version, &record]).await?;
    Ok(())
}

/// When a mail is due, and when it failed, as their columns say.
pub(super) fn times(state: MailState) -> (Option<i64>, Option<i64>) {
    match state {
        MailState::Due(at) => (Some(micros(at)), None),
        MailState::Failed(at) => (None, Some(micros(at))),
    }
}

async fn lock(tx: &Transaction<'_>, id: MailId) -> Result<Option<KeptMail>, Fault> {
    let sql = "SELECT id, version, record FROM mail WHERE id = $1 FOR UPDATE";
    let row = query_opt(tx, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row)).transpose()
}

async fn update(tx: &Transaction<'_>, kept: &KeptMail) -> Result<(), Fault> {
    let (version, record) = encode(kept)?;
    let (due, failed) = times(kept.state);
    let sql = "UPDATE mail SET due_at = $2, failed_at = $3, version = $4, record = $5 WHERE id = $1";
    execute(
        tx,
        sql,
        &[&uuid(kept.mail.id.as_bytes()), &due, &failed, &version, &record],
    )
    .await?;
    Ok(())
}

/// Counts a mail to an address, unless it would be one too many. One that is counted already is within the allowance.
async fn count(
    tx: &Transaction<'_>,
    id: MailId,
    allowance: &Allowance,
    now: Timestamp,
) -> Result<bool, Fault> {
    let address = allowance.address.key();
    let sql = "SELECT version, record FROM address_mails WHERE address = $1 FOR UPDATE";
    let found = query_opt(tx, sql, &[&address]).await?;
    let mut postage: Postage = match &found {
        Some(row) => decode(row, || format!("the mails to {address}"))?,
        None => Postage::default(),
    };
    if !postage.count(id, now, allowance.mails, allowance.window) {
        return Ok(false);
    }
    if found.is_some() {
        execute(tx, "DELETE FROM address_mails WHERE address = $1", &[&address]).await?;
    }
    insert_postage(tx, address, &postage).await?;
    Ok(true)
}

fn read(row: &Row) -> Result<KeptMail, Fault> {
    let id: uuid::Uuid = row.try_get("id")?;
    decode(row, || format!("mail {id}"))
}
