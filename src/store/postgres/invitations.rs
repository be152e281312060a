//! Invitations. One that is used up is removed.

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::error::OperationError;
use super::row::{bytes, decode, encode, execute, micros, query, query_opt, uuid};
use super::{PostgresStore, accounts, mails};
use crate::ids::InvitationId;
use crate::model::{Email, Invitation, Mail, TokenDigest};
use crate::store::{InvitationStore, StoreError, rules};

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

    async fn invitation(&self, digest: TokenDigest) -> Result<Option<Invitation>, StoreError> {
        self.database
            .with(async |client| by_digest(client, &digest).await)
            .await
    }

    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError> {
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
        query_opt(
            tx,
            "SELECT pg_advisory_xact_lock($1, $2)",
            &[&MAKING.0, &MAKING.1],
        )
        .await?;
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

/// Keeps one in place of one with the same token.
async fn create(tx: &Transaction<'_>, invitation: &Invitation) -> Result<(), OperationError> {
    remove(tx, &invitation.digest).await?;
    insert(tx, invitation).await
}

/// Keeps one that is new.
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

/// Whether it is good for an account with this address; then nobody else uses it until the transaction ends.
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
        if accounts::has_active_members(tx, &guarded, None).await? {
            return Ok(false);
        }
    }
    Ok(rules::serves_address(&invitation, email, now))
}

/// All of them, oldest first.
async fn all(client: &impl GenericClient) -> Result<Vec<Invitation>, OperationError> {
    let rows = query(client, "SELECT id, version, record FROM invitation", &[]).await?;
    let mut invitations: Vec<Invitation> = rows.iter().map(read).collect::<Result<_, _>>()?;
    invitations.sort_by_key(|invitation| (invitation.created_at, invitation.id));
    Ok(invitations)
}

/// Removes the invitation with this token.
pub(super) async fn remove(tx: &Transaction<'_>, digest: &TokenDigest) -> Result<(), OperationError> {
    execute(tx, "DELETE FROM invitation WHERE digest = $1", &[&bytes(digest)]).await?;
    Ok(())
}

/// Removes the invitation with this public name. Whether there was one.
async fn revoke(tx: &Transaction<'_>, id: InvitationId) -> Result<bool, OperationError> {
    let sql = "DELETE FROM invitation WHERE id = $1";
    Ok(execute(tx, sql, &[&uuid(id.as_bytes())]).await? > 0)
}

/// The invitation with this public name, which stays as it is until the transaction ends.
pub(super) async fn lock(
    tx: &Transaction<'_>,
    id: InvitationId,
) -> Result<Option<Invitation>, OperationError> {
    let sql = "SELECT id, version, record FROM invitation WHERE id = $1 FOR UPDATE";
    let row = query_opt(tx, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row)).transpose()
}

/// Gives an invitation another token; the earlier one is void.
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
