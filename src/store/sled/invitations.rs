//! Invitations and their index by id. A used one is removed.

use std::ops::ControlFlow;

use ::sled::IVec;
use async_trait::async_trait;
use jiff::Timestamp;

use super::engine::Engine;
use super::record;
use super::rows::{Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{SledStore, accounts, mails};
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, Mail, TokenDigest};
use crate::store::{InvitationBatch, InvitationStore, LoadedRows, StoreError, UnreadableRow, rules};

#[async_trait]
impl InvitationStore for SledStore {
    async fn create_invitations(
        &self,
        invitations: Vec<Invitation>,
        mails: Vec<Mail>,
    ) -> Result<Vec<Invitation>, StoreError> {
        self.change(move |group| create_all(group, &invitations, &mails))
            .await
    }

    async fn replace_invitation(
        &self,
        earlier: InvitationId,
        invitation: Invitation,
        mails: Vec<Mail>,
    ) -> Result<Option<Vec<Invitation>>, StoreError> {
        self.change(move |group| {
            if by_id(group, earlier)?.is_none() {
                return Ok(None);
            }
            create_all(group, std::slice::from_ref(&invitation), &mails).map(Some)
        })
        .await
    }

    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError> {
        self.open
            .engine
            .with(|tree| tree.read(&schema::invitation(&digest)))
    }

    async fn invitation_by_id(&self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        self.open.engine.with(|tree| by_id(tree, id))
    }

    async fn invitations_after(
        &self,
        after: Option<InvitationId>,
        limit: usize,
    ) -> Result<InvitationBatch, StoreError> {
        let after = after.map(|id| schema::invitation_id(id).into());
        self.read_all(move |engine| list(engine, after, limit)).await
    }

    async fn invitations(&self) -> Result<LoadedRows<Invitation>, StoreError> {
        self.read_all(all).await
    }

    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError> {
        self.change(move |group| revoke(group, id)).await
    }
}

/// Goes through all of them, since none is found by its address: so few are waiting, and so seldom is one made.
fn create_all(
    batch: &mut WriteBatch<'_>,
    invitations: &[Invitation],
    new_mails: &[Mail],
) -> Result<Vec<Invitation>, StoreError> {
    let replacing = rules::Replacing::new(invitations);
    let mut replaced = Vec::new();
    if !replacing.is_empty() {
        for row in batch.scan(&RowKind::Invitation.prefix()) {
            let (key, value) = row?;
            // An unreadable one is void, and is left for `verify` to report.
            let Ok(earlier) = record::decode::<Invitation>(&key, &value) else {
                continue;
            };
            if replacing.replaces(&earlier) {
                replaced.push(earlier);
            }
        }
    }
    for earlier in &replaced {
        remove(batch, &earlier.digest)?;
    }
    for invitation in invitations {
        create(batch, invitation)?;
    }
    mails::enqueue(batch, new_mails)?;
    Ok(replaced)
}

pub(super) fn create(batch: &mut WriteBatch<'_>, invitation: &Invitation) -> Result<(), StoreError> {
    remove(batch, &invitation.digest)?;
    batch.put(schema::invitation(&invitation.digest), invitation)?;
    batch.put(schema::invitation_id(invitation.id), &invitation.digest)
}

/// Returns whether the invitation is valid for a new account with this address.
pub(super) fn serves(
    rows: &impl Rows,
    digest: &TokenDigest,
    email: &Email,
    verified_only: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(invitation) = rows.read::<Invitation>(&schema::invitation(digest))? else {
        return Ok(false);
    };
    for guarded in rules::groups_to_be_empty(&invitation, verified_only) {
        if accounts::has_active_members(rows, &guarded, None)? {
            return Ok(false);
        }
    }
    Ok(rules::serves_address(&invitation, email, now))
}

fn by_id(rows: &impl Rows, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
    let index = schema::invitation_id(id);
    match rows.read::<TokenDigest>(&index)? {
        Some(digest) => match rows.indexed(&index, &schema::invitation(&digest)) {
            // It was used, or got another token, between the two reads.
            Err(StoreError::Corrupt(_)) if rows.read::<TokenDigest>(&index)? != Some(digest) => {
                by_id(rows, id)
            }
            read => read.map(Some),
        },
        None => Ok(None),
    }
}

/// Up to `limit` invitations along the index of their ids, starting after the key `after`.
fn list(engine: &Engine, after: Option<IVec>, limit: usize) -> Result<InvitationBatch, StoreError> {
    let (mut batch, mut read) = (InvitationBatch::default(), 0);
    engine.pieces(&RowKind::InvitationId.prefix(), after, |tree, rows| {
        for (index, _) in rows.iter().take(limit - read) {
            read += 1;
            let id = schema::trailing_invitation(index);
            match id.map(|id| by_id(tree, id)) {
                Some(Ok(invitation)) => batch.invitations.extend(invitation),
                Some(Err(error @ StoreError::Corrupt(_))) => {
                    batch.unreadable.extend(id.map(|id| (id, error.reason())));
                }
                Some(Err(error)) => return Err(error),
                None => {}
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

/// All invitations, oldest first.
fn all(engine: &Engine) -> Result<LoadedRows<Invitation>, StoreError> {
    let mut loaded: LoadedRows<Invitation> = LoadedRows::default();
    engine.pieces(&RowKind::Invitation.prefix(), None, |_, rows| {
        for (key, value) in rows {
            match record::decode(key, value) {
                Ok(invitation) => loaded.sound.push(invitation),
                Err(error) => loaded.unreadable.push(UnreadableRow { account: None, error }),
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    loaded
        .sound
        .sort_by_key(|invitation| (invitation.created_at, invitation.id));
    Ok(loaded)
}

/// The digests of the invitations that match. Unreadable ones are left for `verify` to report.
pub(super) fn those(
    engine: &Engine,
    is_meant: impl Fn(&Invitation) -> bool,
) -> Result<Vec<TokenDigest>, StoreError> {
    let mut digests = Vec::new();
    engine.pieces(&RowKind::Invitation.prefix(), None, |_, rows| {
        let invitations = rows
            .iter()
            .filter_map(|(key, value)| record::decode::<Invitation>(key, value).ok());
        digests.extend(invitations.filter(&is_meant).map(|invitation| invitation.digest));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(digests)
}

pub(super) fn remove_these(batch: &mut WriteBatch<'_>, digests: &[TokenDigest]) -> Result<(), StoreError> {
    for digest in digests {
        remove(batch, digest)?;
    }
    Ok(())
}

/// Removes an invitation and its index row. Returns whether there was one.
pub(super) fn remove(batch: &mut WriteBatch<'_>, digest: &TokenDigest) -> Result<bool, StoreError> {
    let key = schema::invitation(digest);
    let Some(invitation) = batch.read::<Invitation>(&key)? else {
        return Ok(false);
    };
    batch.remove(key);
    batch.remove(schema::invitation_id(invitation.id));
    Ok(true)
}

/// Replaces the token of an invitation; the earlier token is void. Does nothing if the invitation is gone.
pub(super) fn replace_token(
    batch: &mut WriteBatch<'_>,
    id: InvitationId,
    digest: TokenDigest,
) -> Result<(), StoreError> {
    let index = schema::invitation_id(id);
    let Some(earlier) = batch.read::<TokenDigest>(&index)? else {
        return Ok(());
    };
    let invitation: Invitation = batch.indexed(&index, &schema::invitation(&earlier))?;
    batch.remove(schema::invitation(&earlier));
    batch.put(schema::invitation(&digest), &Invitation { digest, ..invitation })?;
    batch.put(index, &digest)
}

/// Removes an invitation by its id. Returns whether there was one.
fn revoke(batch: &mut WriteBatch<'_>, id: InvitationId) -> Result<bool, StoreError> {
    match batch.read::<TokenDigest>(&schema::invitation_id(id))? {
        Some(digest) => remove(batch, &digest),
        None => Ok(false),
    }
}
