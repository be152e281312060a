//! Queued and failed mails, their indexes, and the quota of mails to an address. A sent mail is removed.

use std::ops::ControlFlow;
use std::time::Duration;

use ::sled::IVec;
use async_trait::async_trait;
use jiff::Timestamp;

use super::SledStore;
use super::engine::Engine;
use super::record::{self, MailQuota};
use super::rows::{Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{invitations, tokens};
use crate::ids::MailId;
use crate::model::{Account, Email, Mail, MailState, QueuedMail};
use crate::store::rules::mails::{self as rules, CompletedMail};
use crate::store::{
    ClaimMail, ClaimToken, MailAllowance, MailBatch, MailClaim, MailOutcome, MailStore, StoreError,
};

#[async_trait]
impl MailStore for SledStore {
    async fn enqueue_mails(&self, mails: Vec<Mail>) -> Result<(), StoreError> {
        self.change(move |group| enqueue(group, &mails)).await
    }

    async fn take_due_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError> {
        self.change(move |group| take_due(group, now, lease)).await
    }

    async fn claim_mail(
        &self,
        id: MailId,
        claim: MailClaim,
        now: Timestamp,
    ) -> Result<ClaimMail, StoreError> {
        self.change(move |group| self::claim(group, id, &claim, now))
            .await
    }

    async fn complete_mail(&self, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError> {
        self.change(move |group| complete(group, id, outcome)).await
    }

    async fn mails(&self, after: Option<MailId>, limit: usize) -> Result<MailBatch, StoreError> {
        let after = after.map(|id| schema::mail(id).into());
        self.read_all(move |engine| list(engine, after, limit)).await
    }

    async fn count_waiting_mails(&self, at_most: usize) -> Result<usize, StoreError> {
        self.read_all(move |engine| count_waiting(engine, at_most)).await
    }
}

/// Enqueues mails, due at once.
pub(super) fn enqueue(batch: &mut WriteBatch<'_>, mails: &[Mail]) -> Result<(), StoreError> {
    for mail in mails {
        put(batch, &rules::queued(mail))?;
    }
    Ok(())
}

/// Leases the mail that has been due longest.
fn take_due(
    batch: &mut WriteBatch<'_>,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<QueuedMail>, StoreError> {
    let (index, kept) = loop {
        let Some((index, _)) = batch.first(&RowKind::MailDue.prefix())? else {
            return Ok(None);
        };
        let read = match schema::trailing_mail(&index) {
            Some(id) => batch.indexed::<QueuedMail>(&index, &schema::mail(id)),
            None => Err(StoreError::Corrupt(format!(
                "{} names no mail",
                record::name(&index)
            ))),
        };
        match read {
            Ok(kept) => break (index, kept),
            // Removed from the index, so that it does not block all others; `verify` reports the rest of it.
            Err(StoreError::Corrupt(what)) => {
                tracing::error!(
                    what,
                    "a mail cannot be read and is not sent; `vestibule store verify` tells of it"
                );
                batch.remove(index.to_vec());
            }
            Err(error) => return Err(error),
        }
    };
    if !matches!(kept.state, MailState::Due(due) if due <= now) {
        return Ok(None);
    }
    batch.remove(index.to_vec());
    let taken = rules::taken(kept, now, lease);
    put(batch, &taken)?;
    Ok(Some(taken))
}

/// Saves a leased mail's token and counts the mail against the allowance.
fn claim(
    batch: &mut WriteBatch<'_>,
    id: MailId,
    claim: &MailClaim,
    now: Timestamp,
) -> Result<ClaimMail, StoreError> {
    let Some(QueuedMail { mail, .. }) = batch.read(&schema::mail(id))? else {
        return Ok(ClaimMail::Gone);
    };
    match &claim.token {
        Some(ClaimToken::Account(token)) => {
            let account: Option<Account> = batch.read(&schema::account(token.account))?;
            let current = tokens::current(batch, token.account, token.purpose)?;
            if let Some(refused) = rules::refuse_claim(&mail, token, account.as_ref(), current.as_ref(), now)
            {
                return Ok(refused);
            }
        }
        Some(ClaimToken::Invitation(invitation, _))
            if batch.value(&schema::invitation_id(*invitation))?.is_none() =>
        {
            return Ok(ClaimMail::Gone);
        }
        Some(ClaimToken::Invitation(..)) | None => {}
    }
    if let Some(allowance) = &claim.allowance
        && !count(batch, id, allowance, now)?
    {
        return Ok(ClaimMail::OverAllowance);
    }
    match &claim.token {
        Some(ClaimToken::Account(token)) => tokens::put(batch, token)?,
        Some(ClaimToken::Invitation(invitation, digest)) => {
            invitations::replace_token(batch, *invitation, *digest)?;
        }
        None => {}
    }
    Ok(ClaimMail::Claimed)
}

/// Removes the mails that would carry a password reset link for this address, whose account has a new
/// password or another address. An unreadable mail stays; it is not sent either.
pub(super) fn withdraw_resets(batch: &mut WriteBatch<'_>, address: &Email) -> Result<(), StoreError> {
    let listed = batch.scan(&schema::reset_mails(address));
    let listed: Vec<IVec> = listed
        .map(|row| row.map(|(key, _)| key))
        .collect::<Result<_, _>>()?;
    for id in listed.iter().filter_map(|index| schema::trailing_mail(index)) {
        match batch.read::<QueuedMail>(&schema::mail(id)) {
            Ok(Some(kept)) => remove(batch, &kept),
            Ok(None) | Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The mails with a due time that only a clock that was ahead can have set.
pub(super) fn ahead(engine: &Engine, now: Timestamp) -> Result<Vec<MailId>, StoreError> {
    let mut ahead = Vec::new();
    let after = IVec::from(schema::mails_due(now));
    engine.pieces(&RowKind::MailDue.prefix(), Some(after), |tree, rows| {
        for id in rows.iter().filter_map(|(index, _)| schema::trailing_mail(index)) {
            match tree.read::<QueuedMail>(&schema::mail(id)) {
                Ok(Some(kept)) if rules::waits_for_the_future(&kept, now) => ahead.push(id),
                Ok(_) | Err(StoreError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(ahead)
}

/// Makes waiting mails due at `now`.
pub(super) fn hasten(batch: &mut WriteBatch<'_>, ids: &[MailId], now: Timestamp) -> Result<(), StoreError> {
    for id in ids {
        if let Some(kept) = batch.read::<QueuedMail>(&schema::mail(*id))?
            && let MailState::Due(due) = kept.state
        {
            batch.remove(schema::mail_due(due, *id));
            let state = MailState::Due(now);
            put(batch, &QueuedMail { state, ..kept })?;
        }
    }
    Ok(())
}

/// Applies an outcome to a mail. Returns whether that changed it.
fn complete(batch: &mut WriteBatch<'_>, id: MailId, outcome: MailOutcome) -> Result<bool, StoreError> {
    let Some(queued) = batch.read::<QueuedMail>(&schema::mail(id))? else {
        return Ok(false);
    };
    match rules::complete(queued.clone(), outcome) {
        CompletedMail::Unchanged => return Ok(false),
        CompletedMail::Removed => remove(batch, &queued),
        CompletedMail::Kept(mail) => {
            remove(batch, &queued);
            put(batch, &mail)?;
        }
    }
    Ok(true)
}

/// Up to `limit` mails ordered by id, starting after the key `after`.
fn list(engine: &Engine, after: Option<IVec>, limit: usize) -> Result<MailBatch, StoreError> {
    let (mut batch, mut read) = (MailBatch::default(), 0);
    engine.pieces(&RowKind::Mail.prefix(), after, |_, rows| {
        for (key, value) in rows.iter().take(limit - read) {
            read += 1;
            let id = schema::trailing_mail(key);
            match (record::decode(key, value), id) {
                (Ok(mail), _) => batch.mails.push(mail),
                (Err(error), Some(id)) => batch.unreadable.push((id, error.reason())),
                (Err(error), None) => return Err(error),
            }
            batch.next = id.filter(|_| read == limit);
        }
        Ok(if read < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(batch)
}

/// Counts the mails that wait, up to `at_most`.
fn count_waiting(engine: &Engine, at_most: usize) -> Result<usize, StoreError> {
    let mut count = 0;
    engine.pieces(&RowKind::MailDue.prefix(), None, |_, rows| {
        count += rows.len();
        Ok(if count < at_most {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    Ok(count.min(at_most))
}

/// The keys of expired rows: mails that failed long ago, and quotas whose window is over. Unreadable rows are
/// left for `verify` to report.
pub(super) fn stale(engine: &Engine, now: Timestamp) -> Result<Vec<IVec>, StoreError> {
    let failed_by = rules::kept_failures_end(now);
    let mut stale = Vec::new();
    engine.pieces(&RowKind::Mail.prefix(), None, |_, rows| {
        stale.extend(rows.iter().filter_map(|(key, value)| {
            let queued: QueuedMail = record::decode(key, value).ok()?;
            matches!(queued.state, MailState::Failed(at) if at <= failed_by).then(|| key.clone())
        }));
        Ok(ControlFlow::Continue(()))
    })?;
    engine.pieces(&RowKind::MailQuota.prefix(), None, |_, rows| {
        stale.extend(rows.iter().filter_map(|(key, value)| {
            let quota: MailQuota = record::decode(key, value).ok()?;
            quota.is_over(now).then(|| key.clone())
        }));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(stale)
}

/// Removes the rows with these keys, unless they have changed back since.
pub(super) fn remove_stale(
    batch: &mut WriteBatch<'_>,
    keys: &[IVec],
    now: Timestamp,
) -> Result<(), StoreError> {
    for key in keys {
        if RowKind::of(key) == Some(RowKind::MailQuota) {
            let quota = batch.read::<MailQuota>(key)?;
            if quota.is_none_or(|quota| quota.is_over(now)) {
                batch.remove(key.to_vec());
            }
        } else if let Some(kept) = batch.read::<QueuedMail>(key)?
            && matches!(kept.state, MailState::Failed(_))
        {
            remove(batch, &kept);
        }
    }
    Ok(())
}

/// Inserts or replaces a mail and its index rows.
pub(super) fn put(batch: &mut WriteBatch<'_>, queued: &QueuedMail) -> Result<(), StoreError> {
    if let Some(index) = reset_index(&queued.mail) {
        batch.put(index, &())?;
    }
    if let MailState::Due(due) = queued.state {
        batch.put(schema::mail_due(due, queued.mail.id), &())?;
    }
    batch.put(schema::mail(queued.mail.id), queued)
}

/// Removes a mail and its index rows.
fn remove(batch: &mut WriteBatch<'_>, queued: &QueuedMail) {
    if let MailState::Due(due) = queued.state {
        batch.remove(schema::mail_due(due, queued.mail.id));
    }
    if let Some(index) = reset_index(&queued.mail) {
        batch.remove(index);
    }
    batch.remove(schema::mail(queued.mail.id));
}

/// The key of the index row of a mail that may carry a password reset link; `None` for other mails.
pub(super) fn reset_index(mail: &Mail) -> Option<Vec<u8>> {
    rules::withdrawn_with(mail).map(|address| schema::reset_mail(address, mail.id))
}

/// Counts a mail against the allowance of its address. Returns false if it is one too many; a mail counts
/// once.
fn count(
    batch: &mut WriteBatch<'_>,
    id: MailId,
    allowance: &MailAllowance,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let key = schema::mail_quota(&allowance.address);
    let mut quota: MailQuota = batch.read(&key)?.unwrap_or_default();
    if !quota.count(id, now, allowance.mails, allowance.window) {
        return Ok(false);
    }
    batch.put(key, &quota)?;
    Ok(true)
}
