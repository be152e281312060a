//! Invitations. A used one is removed.

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::error::OperationError;
use super::row::{bytes, decode, encode, execute, load, micros, query, query_opt, readable, uuid};
use super::{PostgresStore, accounts, mails};
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, Mail, TokenDigest};
use crate::store::{InvitationBatch, InvitationStore, LoadedRows, StoreError, rules};

#[async_trait]
impl InvitationStore for PostgresStore {
    async fn create_invitations(
        &self,
        invitations: Vec<Invitation>,
        mails: Vec<Mail>,
    ) -> Result<Vec<Invitation>, StoreError> {
        self.database
            .transact((invitations, mails), |tx, (invitations, mails)| {
                Box::pin(create_all(tx, invitations, mails))
            })
            .await
    }

    async fn replace_invitation(
        &self,
        earlier: InvitationId,
        invitation: Invitation,
        mails: Vec<Mail>,
    ) -> Result<Option<Vec<Invitation>>, StoreError> {
        self.database
            .transact(
                (earlier, invitation, mails),
                |tx, (earlier, invitation, mails)| Box::pin(replace(tx, *earlier, invitation, mails)),
            )
            .await
    }

    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError> {
        self.database
            .with(async |client| by_digest(client, &digest).await)
            .await
    }

    async fn invitation_by_id(&self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        self.database.with(async |client| by_id(client, id).await).await
    }

    async fn invitations_after(
        &self,
        after: Option<InvitationId>,
        limit: usize,
    ) -> Result<InvitationBatch, StoreError> {
        self.database
            .with(async |client| list(client, after, limit).await)
            .await
    }

    async fn invitations(&self) -> Result<LoadedRows<Invitation>, StoreError> {
        self.database.with_all(async |client| all(client).await).await
    }

    async fn revoke_invitation(&self, id: InvitationId) -> Result<bool, StoreError> {
        self.database
            .transact(id, |tx, id| Box::pin(revoke(tx, *id)))
            .await
    }
}

/// The lock on making invitations to addresses: `vest`, and the third of what Vestibule locks.
const MAKING: (i32, i32) = (0x7665_7374, 3);

/// Goes through all of them, since none is found by its address: so few are waiting, and so seldom is one made.
async fn create_all(
    tx: &Transaction<'_>,
    invitations: &[Invitation],
    new_mails: &[Mail],
) -> Result<Vec<Invitation>, OperationError> {
    let replacing = rules::Replacing::new(invitations);
    let mut replaced = Vec::new();
    if !replacing.is_empty() {
        lock_making(tx).await?;
        for row in query(tx, "SELECT id, version, record FROM invitation", &[]).await? {
            match read(&row) {
                Ok(earlier) if replacing.replaces(&earlier) => replaced.push(earlier),
                // An unreadable one is void, and is left for `verify` to report.
                Ok(_) | Err(OperationError::Store(StoreError::Corrupt(_))) => {}
                Err(fault) => return Err(fault),
            }
        }
        let over: Vec<_> = replaced
            .iter()
            .map(|earlier| uuid(earlier.id.as_bytes()))
            .collect();
        // By their ids: a mail that goes out meanwhile gives one another token.
        execute(tx, "DELETE FROM invitation WHERE id = ANY ($1)", &[&over]).await?;
    }
    for invitation in invitations {
        create(tx, invitation).await?;
    }
    mails::enqueue(tx, new_mails).await?;
    Ok(replaced)
}

async fn replace(
    tx: &Transaction<'_>,
    earlier: InvitationId,
    invitation: &Invitation,
    mails: &[Mail],
) -> Result<Option<Vec<Invitation>>, OperationError> {
    // Before the row, in the order in which others take both.
    lock_making(tx).await?;
    let sql = "SELECT FROM invitation WHERE id = $1 FOR UPDATE";
    if query_opt(tx, sql, &[&uuid(earlier.as_bytes())]).await?.is_none() {
        return Ok(None);
    }
    create_all(tx, std::slice::from_ref(invitation), mails)
        .await
        .map(Some)
}

async fn lock_making(tx: &Transaction<'_>) -> Result<(), OperationError> {
    let sql = "SELECT pg_advisory_xact_lock($1, $2)";
    query_opt(tx, sql, &[&MAKING.0, &MAKING.1]).await?;
    Ok(())
}

/// Inserts an invitation, replacing one with the same token.
async fn create(tx: &Transaction<'_>, invitation: &Invitation) -> Result<(), OperationError> {
    remove(tx, &invitation.digest).await?;
    insert(tx, invitation).await
}

/// Inserts a new invitation.
pub(super) async fn insert(
    client: &impl GenericClient,
    invitation: &Invitation,
) -> Result<(), OperationError> {
    let (version, record) = encode(invitation)?;
    execute(
        client,
        "INSERT INTO invitation (digest, id, expires_at, version, record) VALUES ($1, $2, $3, $4, $5)",
        &[
            &bytes(&invitation.digest),
            &uuid(invitation.id.as_bytes()),
            &micros(invitation.expires_at),
            &version,
            &record,
        ],
    )
    .await?;
    Ok(())
}

async fn by_digest(
    client: &impl GenericClient,
    digest: &TokenDigest,
) -> Result<Option<Invitation>, OperationError> {
    let sql = "SELECT id, version, record FROM invitation WHERE digest = $1";
    let row = query_opt(client, sql, &[&bytes(digest)]).await?;
    row.map(|row| read(&row)).transpose()
}

async fn by_id(client: &impl GenericClient, id: InvitationId) -> Result<Option<Invitation>, OperationError> {
    let sql = "SELECT id, version, record FROM invitation WHERE id = $1";
    let row = query_opt(client, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Up to `limit` invitations ordered by id, starting after `after`.
async fn list(
    client: &impl GenericClient,
    after: Option<InvitationId>,
    limit: usize,
) -> Result<InvitationBatch, OperationError> {
    let sql =
        "SELECT id, version, record FROM invitation WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2";
    let after = after.map(|id| uuid(id.as_bytes()));
    let rows = query(client, sql, &[&after, &i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
    let mut batch = InvitationBatch::default();
    for row in &rows {
        let id: uuid::Uuid = row.try_get("id")?;
        let id = InvitationId::from_bytes(id.into_bytes());
        match readable(read(row))? {
            Ok(invitation) => batch.invitations.push(invitation),
            Err(error) => batch.unreadable.push((id, error.reason())),
        }
        batch.next = Some(id).filter(|_| rows.len() == limit);
    }
    Ok(batch)
}

/// Returns whether the invitation is valid for a new account with this address; locks it until the
/// transaction ends.
pub(super) async fn lock_if_it_serves(
    tx: &Transaction<'_>,
    digest: &TokenDigest,
    email: &Email,
    verified_only: bool,
    now: Timestamp,
) -> Result<bool, OperationError> {
    let sql = "SELECT id, version, record FROM invitation WHERE digest = $1 FOR UPDATE";
    let Some(row) = query_opt(tx, sql, &[&bytes(digest)]).await? else {
        return Ok(false);
    };
    let invitation = read(&row)?;
    for guarded in rules::groups_to_be_empty(&invitation, verified_only) {
        if accounts::has_active_members(tx, &guarded).await? {
            return Ok(false);
        }
    }
    Ok(rules::serves_address(&invitation, email, now))
}

/// All invitations, oldest first.
async fn all(client: &impl GenericClient) -> Result<LoadedRows<Invitation>, OperationError> {
    let rows = query(client, "SELECT id, version, record FROM invitation", &[]).await?;
    let mut loaded = load(&rows, None, read)?;
    loaded
        .sound
        .sort_by_key(|invitation| (invitation.created_at, invitation.id));
    Ok(loaded)
}

pub(super) async fn remove(tx: &Transaction<'_>, digest: &TokenDigest) -> Result<(), OperationError> {
    execute(tx, "DELETE FROM invitation WHERE digest = $1", &[&bytes(digest)]).await?;
    Ok(())
}

/// Removes an invitation by its id. Returns whether there was one.
async fn revoke(tx: &Transaction<'_>, id: InvitationId) -> Result<bool, OperationError> {
    let sql = "DELETE FROM invitation WHERE id = $1";
    Ok(execute(tx, sql, &[&uuid(id.as_bytes())]).await? > 0)
}

/// Loads and locks an invitation by its id.
pub(super) async fn lock(
    tx: &Transaction<'_>,
    id: InvitationId,
) -> Result<Option<Invitation>, OperationError> {
    let sql = "SELECT id, version, record FROM invitation WHERE id = $1 FOR UPDATE";
    let row = query_opt(tx, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Replaces the token of an invitation; the earlier token is void.
pub(super) async fn replace_token(
    tx: &Transaction<'_>,
    invitation: Invitation,
    digest: TokenDigest,
) -> Result<(), OperationError> {
    remove(tx, &invitation.digest).await?;
    insert(tx, &Invitation { digest, ..invitation }).await
}

fn read(row: &Row) -> Result<Invitation, OperationError> {
    let id: uuid::Uuid = row.try_get("id")?;
    decode(row, || format!("invitation {id}"))
}
