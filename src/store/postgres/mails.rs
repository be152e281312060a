//! Queued and failed mails, and the quota of mails to an address. A sent mail is removed.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::error::OperationError;
use super::row::{decode, encode, execute, micros, query, query_opt, query_value, readable, uuid};
use super::{accounts, invitations, tokens};
use crate::ids::MailId;
use crate::model::{Email, Mail, MailState, QueuedMail};
use crate::store::record::MailQuota;
use crate::store::rules::mails::{self as rules, CompletedMail};
use crate::store::{
    ClaimMail, ClaimToken, MailAllowance, MailBatch, MailClaim, MailOutcome, MailStore, StoreError,
};

#[async_trait]
impl MailStore for PostgresStore {
    async fn enqueue_mails(&self, mails: Vec<Mail>) -> Result<(), StoreError> {
        self.database
            .transact(mails, |tx, mails| Box::pin(enqueue(tx, mails)))
            .await
    }

    async fn take_due_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError> {
        self.database
            .transact((now, lease), |tx, (now, lease)| {
                Box::pin(take_due(tx, *now, *lease))
            })
            .await
    }

    async fn claim_mail(
        &self,
        id: MailId,
        claim: MailClaim,
        now: Timestamp,
    ) -> Result<ClaimMail, StoreError> {
        self.database
            .transact((id, claim, now), |tx, (id, claim, now)| {
                Box::pin(self::claim(tx, *id, claim, *now))
            })
            .await
    }

    async fn complete_mail(&self, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError> {
        self.database
            .transact((id, outcome), |tx, (id, outcome)| {
                Box::pin(complete(tx, *id, outcome))
            })
            .await
    }

    async fn mails(&self, after: Option<MailId>, limit: usize) -> Result<MailBatch, StoreError> {
        self.database
            .with(async |client| list(client, after, limit).await)
            .await
    }

    async fn count_waiting_mails(&self, at_most: usize) -> Result<usize, StoreError> {
        self.database
            .with(async |client| count_waiting(client, at_most).await)
            .await
    }
}

/// Enqueues mails, due at once.
pub(super) async fn enqueue(tx: &Transaction<'_>, mails: &[Mail]) -> Result<(), OperationError> {
    for mail in mails {
        insert(tx, &rules::queued(mail)).await?;
    }
    Ok(())
}

/// Inserts a new mail.
pub(super) async fn insert(client: &impl GenericClient, queued: &QueuedMail) -> Result<(), OperationError> {
    let (version, record) = encode(queued)?;
    let (due, failed) = times(queued.state);
    execute(
        client,
        "INSERT INTO mail (id, due_at, failed_at, reset_to, version, record) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &uuid(queued.mail.id.as_bytes()),
            &due,
            &failed,
            &reset_to(&queued.mail),
            &version,
            &record,
        ],
    )
    .await?;
    Ok(())
}

/// Leases the mail that has been due longest; skips one that a concurrent transaction has locked.
async fn take_due(
    tx: &Transaction<'_>,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<QueuedMail>, OperationError> {
    let sql = "SELECT id, version, record FROM mail WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1
        FOR UPDATE SKIP LOCKED";
    let kept = loop {
        let Some(row) = query_opt(tx, sql, &[&micros(now)]).await? else {
            return Ok(None);
        };
        match read(&row) {
            Ok(kept) => break kept,
            // Marked as failed, so that it does not block all others; `verify` reports the rest of it.
            Err(OperationError::Store(StoreError::Corrupt(what))) => {
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
    let taken = rules::taken(kept, now, lease);
    update(tx, &taken).await?;
    Ok(Some(taken))
}

/// Saves a leased mail's token and counts the mail against the allowance.
async fn claim(
    tx: &Transaction<'_>,
    id: MailId,
    claim: &MailClaim,
    now: Timestamp,
) -> Result<ClaimMail, OperationError> {
    // Locks the account before the mail, as operations that withdraw mails do.
    let account = match &claim.token {
        Some(ClaimToken::Account(token)) => accounts::lock(tx, token.account).await?,
        _ => None,
    };
    let Some(QueuedMail { mail, .. }) = lock(tx, id).await? else {
        return Ok(ClaimMail::Gone);
    };
    let mut invitation = None;
    match &claim.token {
        Some(ClaimToken::Account(token)) => {
            let current = tokens::current(tx, token.account, token.purpose).await?;
            if let Some(refused) = rules::refuse_claim(&mail, token, account.as_ref(), current.as_ref(), now)
            {
                return Ok(refused);
            }
        }
        Some(ClaimToken::Invitation(invited, _)) => {
            invitation = invitations::lock(tx, *invited).await?;
            if invitation.is_none() {
                return Ok(ClaimMail::Gone);
            }
        }
        None => {}
    }
    if let Some(allowance) = &claim.allowance
        && !count(tx, id, allowance, now).await?
    {
        return Ok(ClaimMail::OverAllowance);
    }
    match (&claim.token, invitation) {
        (Some(ClaimToken::Account(token)), _) => tokens::put(tx, token).await?,
        (Some(ClaimToken::Invitation(_, digest)), Some(invitation)) => {
            invitations::replace_token(tx, invitation, *digest).await?;
        }
        _ => {}
    }
    Ok(ClaimMail::Claimed)
}

/// Removes the mails that would carry a password reset link for this address, whose account has a new
/// password or another address. Locks them in one order against deadlocks.
pub(super) async fn withdraw_resets(tx: &Transaction<'_>, address: &Email) -> Result<(), OperationError> {
    let sql = "DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE reset_to = $1 ORDER BY id FOR UPDATE)";
    execute(tx, sql, &[&address.key()]).await?;
    Ok(())
}

/// The column `reset_to`: the address with whose account the mail is withdrawn.
pub(super) fn reset_to(mail: &Mail) -> Option<&str> {
    rules::withdrawn_with(mail).map(Email::key)
}

/// Makes mails due at `now` whose due time only a clock that was ahead can have set.
pub(super) async fn hasten(tx: &Transaction<'_>, now: Timestamp) -> Result<(), OperationError> {
    let sql = "SELECT id, version, record FROM mail WHERE due_at > $1 ORDER BY id FOR UPDATE";
    for row in query(tx, sql, &[&micros(now)]).await? {
        match read(&row) {
            Ok(mut kept) => {
                if rules::waits_for_the_future(&kept, now) {
                    kept.state = MailState::Due(now);
                    update(tx, &kept).await?;
                }
            }
            Err(OperationError::Store(StoreError::Corrupt(_))) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Applies an outcome to a mail. Returns whether that changed it.
async fn complete(tx: &Transaction<'_>, id: MailId, outcome: &MailOutcome) -> Result<bool, OperationError> {
    let Some(queued) = lock(tx, id).await? else {
        return Ok(false);
    };
    match rules::complete(queued, outcome.clone()) {
        CompletedMail::Unchanged => return Ok(false),
        CompletedMail::Removed => {
            execute(tx, "DELETE FROM mail WHERE id = $1", &[&uuid(id.as_bytes())]).await?;
        }
        CompletedMail::Kept(mail) => update(tx, &mail).await?,
    }
    Ok(true)
}

/// Up to `limit` mails ordered by id, starting after `after`.
async fn list(
    client: &impl GenericClient,
    after: Option<MailId>,
    limit: usize,
) -> Result<MailBatch, OperationError> {
    let sql = "SELECT id, version, record FROM mail WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2";
    let after = after.map(|id| uuid(id.as_bytes()));
    let rows = query(client, sql, &[&after, &i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
    let mut batch = MailBatch::default();
    for row in &rows {
        let id: uuid::Uuid = row.try_get("id")?;
        let id = MailId::from_bytes(id.into_bytes());
        match readable(read(row))? {
            Ok(mail) => batch.mails.push(mail),
            Err(error) => batch.unreadable.push((id, error.reason())),
        }
        batch.next = Some(id).filter(|_| rows.len() == limit);
    }
    Ok(batch)
}

pub(super) async fn by_id(
    client: &impl GenericClient,
    id: MailId,
) -> Result<Option<QueuedMail>, OperationError> {
    let sql = "SELECT id, version, record FROM mail WHERE id = $1";
    let row = query_opt(client, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Counts the mails that wait, up to `at_most`.
async fn count_waiting(client: &impl GenericClient, at_most: usize) -> Result<usize, OperationError> {
    let sql = "SELECT count(*) FROM (SELECT FROM mail WHERE due_at IS NOT NULL LIMIT $1) AS waiting";
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    let count: i64 = query_value(client, sql, &[&at_most]).await?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Inserts the quota of an address that has none.
pub(super) async fn insert_postage(
    client: &impl GenericClient,
    address: &str,
    postage: &MailQuota,
) -> Result<(), OperationError> {
    let (version, record) = encode(postage)?;
    let until = postage.counts_until().map_or(i64::MIN, micros);
    let sql = "INSERT INTO address_mails (address, counts_until, version, record) VALUES ($1, $2, $3, $4)";
    execute(client, sql, &[&address, &until, &version, &record]).await?;
    Ok(())
}

/// The columns `due_at` and `failed_at`.
pub(super) fn times(state: MailState) -> (Option<i64>, Option<i64>) {
    match state {
        MailState::Due(at) => (Some(micros(at)), None),
        MailState::Failed(at) => (None, Some(micros(at))),
    }
}

async fn lock(tx: &Transaction<'_>, id: MailId) -> Result<Option<QueuedMail>, OperationError> {
    let sql = "SELECT id, version, record FROM mail WHERE id = $1 FOR UPDATE";
    let row = query_opt(tx, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row)).transpose()
}

async fn update(tx: &Transaction<'_>, queued: &QueuedMail) -> Result<(), OperationError> {
    let (version, record) = encode(queued)?;
    let (due, failed) = times(queued.state);
    let sql = "UPDATE mail SET due_at = $2, failed_at = $3, version = $4, record = $5 WHERE id = $1";
    execute(
        tx,
        sql,
        &[&uuid(queued.mail.id.as_bytes()), &due, &failed, &version, &record],
    )
    .await?;
    Ok(())
}

/// Counts a mail against the allowance of its address. Returns false if it is one too many; a mail counts
/// once.
async fn count(
    tx: &Transaction<'_>,
    id: MailId,
    allowance: &MailAllowance,
    now: Timestamp,
) -> Result<bool, OperationError> {
    let address = allowance.address.key();
    let sql = "SELECT version, record FROM address_mails WHERE address = $1 FOR UPDATE";
    let found = query_opt(tx, sql, &[&address]).await?;
    let mut postage: MailQuota = match &found {
        Some(row) => decode(row, || format!("the mails to {address}"))?,
        None => MailQuota::default(),
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

fn read(row: &Row) -> Result<QueuedMail, OperationError> {
    let id: uuid::Uuid = row.try_get("id")?;
    decode(row, || format!("mail {id}"))
}
