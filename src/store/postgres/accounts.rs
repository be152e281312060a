//! Accounts, their usernames and search terms.

use std::collections::HashSet;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::error::{OperationError, unavailable};
use super::row::{decode, encode, execute, load, micros, query, query_opt, query_value, uuid};
use super::{invitations, mails, sessions, tokens};
use crate::ids::AccountId;
use crate::model::{Account, AccountStatus, Email, Mail, Purpose, TokenDigest, Username};
use crate::store::rules::{AccountTransition, GuardedGroup, TakenNames};
use crate::store::{
    AccountEdit, AccountFilter, AccountStore, CreateAccount, DeleteAccount, EditAccount, LoadedRows,
    SessionsToEnd, StoreError, rules,
};

#[async_trait]
impl AccountStore for PostgresStore {
    async fn create_account_and_mail(
        &self,
        account: Account,
        invitation: Option<TokenDigest>,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<CreateAccount, StoreError> {
        self.database
            .transact(
                (
                    account,
                    invitation,
                    self.database.administrators.clone(),
                    mails,
                    now,
                ),
                |tx, (account, invitation, administrators, mails, now)| {
                    let verified_only = administrators.verified_only();
                    Box::pin(create(tx, account, *invitation, verified_only, mails, *now))
                },
            )
            .await
    }

    async fn create_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError> {
        self.database
            .transact(accounts, |tx, accounts| Box::pin(create_all(tx, accounts)))
            .await
    }

    async fn preview_accounts(&self, accounts: Vec<Account>) -> Result<Vec<CreateAccount>, StoreError> {
        self.database
            .with(async |client| {
                let mut taken = taken_names(client, &accounts).await?;
                Ok(accounts.iter().map(|account| taken.take(account)).collect())
            })
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.database.with(async |client| by_id(client, id).await).await
    }

    async fn settled_account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.database
            .transact(id, |tx, id| Box::pin(share(tx, *id)))
            .await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.database
            .with(async |client| by_email(client, email).await)
            .await
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<Account>, StoreError> {
        self.database
            .with(async |client| by_username(client, username).await)
            .await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.database
            .with(async |client| list(client, after, limit).await)
            .await
    }

    async fn group_has_active_members(&self, group: &str) -> Result<bool, StoreError> {
        let guarded = GuardedGroup {
            group: group.to_owned(),
            verified_only: self.database.administrators.verified_only(),
        };
        self.database
            .with(async |client| has_active_members(client, &guarded).await)
            .await
    }

    async fn group_members(&self, group: &str) -> Result<LoadedRows<Account>, StoreError> {
        self.database
            .with(async |client| members(client, group).await)
            .await
    }

    async fn edit_account(&self, id: AccountId, edit: AccountEdit) -> Result<EditAccount, StoreError> {
        let spared = self.database.spared_session(id);
        self.database
            .transact(
                (id, edit, self.database.administrators.clone(), spared),
                |tx, (id, edit, administrators, spared)| {
                    let guarded = GuardedGroup::from(administrators);
                    Box::pin(async move { self::edit(tx, *id, edit, &guarded, *spared).await })
                },
            )
            .await
    }

    async fn delete_account_with_password(
        &self,
        id: AccountId,
        password_changed_at: Option<Timestamp>,
    ) -> Result<DeleteAccount, StoreError> {
        self.database
            .transact(
                (id, password_changed_at, self.database.administrators.clone()),
                |tx, (id, password_changed_at, administrators)| {
                    let guarded = GuardedGroup::from(administrators);
                    Box::pin(async move { delete(tx, *id, *password_changed_at, &guarded).await })
                },
            )
            .await
    }
}

/// The advisory lock on the guarded group's membership: `vest`, and the second of Vestibule's locks.
const GUARD: (i32, i32) = (0x7665_7374, 2);

async fn create(
    tx: &Transaction<'_>,
    account: &Account,
    invitation: Option<TokenDigest>,
    verified_only: bool,
    new_mails: &[Mail],
    now: Timestamp,
) -> Result<CreateAccount, OperationError> {
    // Checked first: without a valid invitation the outcome must not reveal which addresses and usernames
    // exist (S16).
    if let Some(digest) = invitation
        && !invitations::lock_if_it_serves(tx, &digest, &account.email, verified_only, now).await?
    {
        return Ok(CreateAccount::InvitationVoid);
    }
    // If one of them is taken concurrently, the insertion fails on a unique constraint, and the retry finds
    // it here.
    if is_address_taken(tx, &account.email).await? {
        return Ok(CreateAccount::EmailTaken);
    }
    let named = "SELECT EXISTS (SELECT FROM username WHERE username = $1)";
    if query_value(tx, named, &[&account.username.as_str()]).await? {
        return Ok(CreateAccount::UsernameTaken);
    }
    let made = "SELECT EXISTS (SELECT FROM account WHERE id = $1)";
    if query_value(tx, made, &[&uuid(account.id.as_bytes())]).await? {
        return Err(unavailable("the new account's id is taken"));
    }
    if let Some(digest) = invitation {
        invitations::remove(tx, &digest).await?;
    }
    insert(tx, &rules::new_account(account)).await?;
    mails::enqueue(tx, new_mails).await?;
    Ok(CreateAccount::Created)
}

/// Creates accounts with as many statements as for one.
async fn create_all(
    tx: &Transaction<'_>,
    accounts: &[Account],
) -> Result<Vec<CreateAccount>, OperationError> {
    // As above: somebody who takes one of them at this moment makes the insertion fail.
    let mut taken = taken_names(tx, accounts).await?;
    let mut created = Vec::with_capacity(accounts.len());
    let outcomes = accounts.iter().map(|account| {
        let outcome = taken.take(account);
        if outcome == CreateAccount::Created {
            created.push(rules::new_account(account));
        }
        outcome
    });
    let outcomes = outcomes.collect();
    insert_all(tx, &created).await?;
    Ok(outcomes)
}

/// Those of their addresses and usernames that others have.
async fn taken_names(
    client: &impl GenericClient,
    accounts: &[Account],
) -> Result<TakenNames, OperationError> {
    let addresses: Vec<_> = accounts.iter().map(|account| account.email.key()).collect();
    let sql = "SELECT email FROM account WHERE email = ANY($1)";
    let addresses = column_of(client, sql, &addresses).await?;
    let names: Vec<_> = accounts.iter().map(|account| account.username.as_str()).collect();
    let sql = "SELECT username FROM username WHERE username = ANY($1)";
    let usernames = column_of(client, sql, &names).await?;
    Ok(TakenNames { addresses, usernames })
}

async fn column_of(
    client: &impl GenericClient,
    sql: &str,
    wanted: &[&str],
) -> Result<HashSet<String>, OperationError> {
    let rows = query(client, sql, &[&wanted]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Inserts new accounts that have no former usernames.
async fn insert_all(tx: &Transaction<'_>, accounts: &[Account]) -> Result<(), OperationError> {
    let ids: Vec<_> = accounts
        .iter()
        .map(|account| uuid(account.id.as_bytes()))
        .collect();
    let made = "SELECT EXISTS (SELECT FROM account WHERE id = ANY($1))";
    if query_value(tx, made, &[&ids]).await? {
        return Err(unavailable("a new account's id is taken"));
    }
    let emails: Vec<_> = accounts.iter().map(|account| account.email.key()).collect();
    let usernames: Vec<_> = accounts.iter().map(|account| account.username.as_str()).collect();
    let statuses: Vec<_> = accounts.iter().map(|account| account.status.as_str()).collect();
    let active: Vec<_> = accounts
        .iter()
        .map(|account| micros(account.last_active_at()))
        .collect();
    let (mut versions, mut records) = (Vec::new(), Vec::new());
    let (mut grouped, mut groups_of) = (Vec::new(), Vec::new());
    let (mut found, mut terms_of) = (Vec::new(), Vec::new());
    for (account, id) in accounts.iter().zip(&ids) {
        let (version, record) = encode(account)?;
        versions.push(version);
        records.push(record);
        for group in groups(account) {
            grouped.push(*id);
            groups_of.push(group);
        }
        for term in AccountFilter::terms(account) {
            found.push(*id);
            terms_of.push(term);
        }
    }
    execute(
        tx,
        "WITH grouped AS (
             SELECT id, array_agg(name ORDER BY place) AS groups
             FROM unnest($7::uuid[], $8::text[]) WITH ORDINALITY AS given (id, name, place) GROUP BY id
         ), made AS (
             INSERT INTO account (id, email, status, groups, last_active_at, version, record)
             SELECT id, email, status, coalesce(groups, '{}'), last_active_at, version, record
             FROM unnest($1::uuid[], $2::text[], $4::text[], $11::bigint[], $5::smallint[], $6::json[])
                 AS given (id, email, status, last_active_at, version, record) LEFT JOIN grouped USING (id)
         ), named AS (
             INSERT INTO username (username, account) SELECT * FROM unnest($3::text[], $1)
         )
         INSERT INTO account_term (term, account) SELECT * FROM unnest($10::text[], $9::uuid[])",
        &[
            &ids, &emails, &usernames, &statuses, &versions, &records, &grouped, &groups_of, &found,
            &terms_of, &active,
        ],
    )
    .await?;
    Ok(())
}

/// Inserts a new account with its usernames and search terms, in one statement.
pub(super) async fn insert(client: &impl GenericClient, account: &Account) -> Result<(), OperationError> {
    let (version, record) = encode(account)?;
    let usernames = account.former_usernames.iter().chain([&account.username]);
    execute(
        client,
        "WITH made AS (
             INSERT INTO account (id, email, status, groups, version, record, last_active_at)
             VALUES ($1, $2, $3, $4, $5, $6, $9)
         ), named AS (
             INSERT INTO username (username, account) SELECT unnest($7::text[]), $1
         )
         INSERT INTO account_term (term, account) SELECT unnest($8::text[]), $1",
        &[
            &uuid(account.id.as_bytes()),
            &account.email.key(),
            &account.status.as_str(),
            &groups(account),
            &version,
            &record,
            &usernames.map(Username::as_str).collect::<Vec<_>>(),
            &AccountFilter::terms(account),
            &micros(account.last_active_at()),
        ],
    )
    .await?;
    Ok(())
}

async fn by_id(client: &impl GenericClient, id: AccountId) -> Result<Option<Account>, OperationError> {
    let sql = "SELECT version, record FROM account WHERE id = $1";
    let row = query_opt(client, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row, id)).transpose()
}

async fn by_email(client: &impl GenericClient, email: &Email) -> Result<Option<Account>, OperationError> {
    let sql = "SELECT id, version, record FROM account WHERE email = $1";
    let row = query_opt(client, sql, &[&email.key()]).await?;
    row.map(|row| read_found(&row)).transpose()
}

async fn by_username(
    client: &impl GenericClient,
    username: &Username,
) -> Result<Option<Account>, OperationError> {
    let sql = "SELECT id, version, record FROM account JOIN username ON account = id WHERE username = $1";
    let row = query_opt(client, sql, &[&username.as_str()]).await?;
    let owner = row.map(|row| read_found(&row)).transpose()?;
    Ok(owner.filter(|owner| owner.username == *username))
}

/// Up to `limit` accounts ordered by id, starting after `after`.
async fn list(
    client: &impl GenericClient,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<Account>, OperationError> {
    let sql =
        "SELECT id, version, record FROM account WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2";
    let after = after.map(|id| uuid(id.as_bytes()));
    let rows = query(client, sql, &[&after, &i64::try_from(limit).unwrap_or(i64::MAX)]).await?;
    rows.iter().map(read_found).collect()
}

/// Returns whether the group has an active member.
pub(super) async fn has_active_members(
    client: &impl GenericClient,
    guarded: &GuardedGroup,
) -> Result<bool, OperationError> {
    let sql = "SELECT EXISTS (SELECT FROM account WHERE groups @> ARRAY[$1::text] AND status = $2
        AND ((record ->> 'email_verified')::boolean OR NOT $3))";
    let active = AccountStatus::Active.as_str();
    query_value(client, sql, &[&guarded.group, &active, &guarded.verified_only]).await
}

/// The accounts in a group, ordered by id.
async fn members(client: &impl GenericClient, group: &str) -> Result<LoadedRows<Account>, OperationError> {
    let sql = "SELECT id, version, record FROM account WHERE groups @> ARRAY[$1::text] ORDER BY id";
    load(&query(client, sql, &[&group]).await?, Some("id"), read_found)
}

/// Loads and locks an account until the transaction ends: against changes, and against new rows that refer to
/// it.
pub(super) async fn lock(tx: &Transaction<'_>, id: AccountId) -> Result<Option<Account>, OperationError> {
    let sql = "SELECT version, record FROM account WHERE id = $1 FOR UPDATE";
    let row = query_opt(tx, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row, id)).transpose()
}

/// Loads an account and locks it against changes until the transaction ends.
async fn share(tx: &Transaction<'_>, id: AccountId) -> Result<Option<Account>, OperationError> {
    let sql = "SELECT version, record FROM account WHERE id = $1 FOR SHARE";
    let row = query_opt(tx, sql, &[&uuid(id.as_bytes())]).await?;
    row.map(|row| read(&row, id)).transpose()
}

/// Applies an edit to the current account. A new password ends its sessions, except `spared`.
async fn edit(
    tx: &Transaction<'_>,
    id: AccountId,
    edit: &AccountEdit,
    guarded: &GuardedGroup,
    spared: Option<TokenDigest>,
) -> Result<EditAccount, OperationError> {
    let Some(current) = lock(tx, id).await? else {
        return Ok(EditAccount::Absent);
    };
    let mut changed = current.clone();
    let Some(new_mails) = edit(&mut changed) else {
        return Ok(EditAccount::Refused);
    };
    let change = AccountTransition::new(current, changed);
    if let Some(username) = change.new_username()
        && !is_own_or_free(tx, username, id).await?
    {
        return Ok(EditAccount::UsernameTaken(username.clone()));
    }
    if let Some(email) = change.new_email()
        && is_address_taken(tx, email).await?
    {
        return Ok(EditAccount::EmailTaken(email.clone()));
    }
    if change.leaves(guarded) && is_last(tx, id, guarded).await? {
        return Ok(EditAccount::LastMember);
    }
    if let Some(at) = change.new_password_at() {
        sessions::end(tx, SessionsToEnd::Account(id, spared)).await?;
        if let Some(spared) = spared {
            sessions::mark_reauthenticated(tx, &spared, at, at).await?;
        }
    }
    replace(tx, &change).await?;
    mails::enqueue(tx, &new_mails).await?;
    Ok(change.into())
}

/// Replaces a locked account and updates its search terms. Voids tokens and withdraws mails that the change
/// makes invalid.
pub(super) async fn replace(tx: &Transaction<'_>, change: &AccountTransition) -> Result<(), OperationError> {
    let AccountTransition { before, after } = change;
    let (id, (version, record)) = (uuid(after.id.as_bytes()), encode(after)?);
    execute(
        tx,
        "UPDATE account SET email = $2, status = $3, groups = $4, version = $5, record = $6, last_active_at = $7
         WHERE id = $1",
        &[
            &id,
            &after.email.key(),
            &after.status.as_str(),
            &groups(after),
            &version,
            &record,
            &micros(after.last_active_at()),
        ],
    )
    .await?;
    if let Some(username) = change.new_username()
        && !before.former_usernames.contains(username)
    {
        // The row of the former username stays, so that no other account can take it (S53).
        let sql = "INSERT INTO username (username, account) VALUES ($1, $2)";
        execute(tx, sql, &[&username.as_str(), &id]).await?;
    }
    let (old, new) = (AccountFilter::terms(before), AccountFilter::terms(after));
    if old != new {
        let sql = "DELETE FROM account_term WHERE account = $1 AND term <> ALL ($2)";
        execute(tx, sql, &[&id, &new]).await?;
        let added: Vec<_> = new.iter().filter(|term| !old.contains(term)).collect();
        let sql = "INSERT INTO account_term (term, account) SELECT unnest($2::text[]), $1";
        execute(tx, sql, &[&id, &added]).await?;
    }
    if change.voids_tokens() {
        tokens::void_all(tx, after.id).await?;
        mails::withdraw_resets(tx, &before.email).await?;
    } else if change.replaces_pending_email() {
        tokens::void(tx, after.id, Purpose::ChangeEmail).await?;
    }
    Ok(())
}

/// Writes an account, which is locked, that differs by its last sign-in alone.
pub(super) async fn note_sign_in(tx: &Transaction<'_>, account: &Account) -> Result<(), OperationError> {
    let (version, record) = encode(account)?;
    let sql = "UPDATE account SET version = $2, record = $3, last_active_at = $4 WHERE id = $1";
    let at = micros(account.last_active_at());
    execute(tx, sql, &[&uuid(account.id.as_bytes()), &version, &record, &at]).await?;
    Ok(())
}

/// Deletes an account. Foreign keys remove what refers to it; its usernames stay, without an account (S53).
async fn delete(
    tx: &Transaction<'_>,
    id: AccountId,
    password_changed_at: Option<Timestamp>,
    guarded: &GuardedGroup,
) -> Result<DeleteAccount, OperationError> {
    let Some(account) = lock(tx, id).await? else {
        return Ok(DeleteAccount::Absent);
    };
    if password_changed_at.is_some_and(|at| at != account.password_changed_at) {
        return Ok(DeleteAccount::PasswordChanged);
    }
    if guarded.is_active_member(&account) && is_last(tx, id, guarded).await? {
        return Ok(DeleteAccount::LastMember);
    }
    execute(tx, "DELETE FROM account WHERE id = $1", &[&uuid(id.as_bytes())]).await?;
    Ok(DeleteAccount::Deleted)
}

/// Returns whether an account has the address; to be asked only for an address that the account at hand does
/// not have.
pub(super) async fn is_address_taken(tx: &Transaction<'_>, email: &Email) -> Result<bool, OperationError> {
    let sql = "SELECT EXISTS (SELECT FROM account WHERE email = $1)";
    query_value(tx, sql, &[&email.key()]).await
}

async fn is_own_or_free(
    tx: &Transaction<'_>,
    username: &Username,
    id: AccountId,
) -> Result<bool, OperationError> {
    let sql = "SELECT NOT EXISTS (SELECT FROM username WHERE username = $1 AND account IS DISTINCT FROM $2)";
    query_value(tx, sql, &[&username.as_str(), &uuid(id.as_bytes())]).await
}

/// Returns whether `member` is the group's last active member. Takes the advisory lock [`GUARD`] until the
/// transaction ends, so that two last members cannot leave at once.
async fn is_last(
    tx: &Transaction<'_>,
    member: AccountId,
    guarded: &GuardedGroup,
) -> Result<bool, OperationError> {
    let sql = "SELECT pg_advisory_xact_lock($1, $2)";
    query_opt(tx, sql, &[&GUARD.0, &GUARD.1]).await?;
    Ok(!has_readable_member(tx, guarded, member).await?)
}

/// Returns whether the group has an active member other than `but` whose row can be read: of another nobody can
/// sign in.
async fn has_readable_member(
    tx: &Transaction<'_>,
    guarded: &GuardedGroup,
    but: AccountId,
) -> Result<bool, OperationError> {
    let sql = "SELECT id, version, record FROM account WHERE groups @> ARRAY[$1::text] AND status = $2
        AND id <> $3 AND ($4::uuid IS NULL OR id > $4) ORDER BY id LIMIT 100";
    let (active, but) = (AccountStatus::Active.as_str(), uuid(but.as_bytes()));
    let mut after: Option<uuid::Uuid> = None;
    loop {
        let rows = query(tx, sql, &[&guarded.group, &active, &but, &after]).await?;
        for row in &rows {
            match read_found(row) {
                Ok(account) if guarded.is_active_member(&account) => return Ok(true),
                Ok(_) | Err(OperationError::Store(StoreError::Corrupt(_))) => {}
                Err(error) => return Err(error),
            }
        }
        match rows.last() {
            Some(last) => after = Some(last.try_get("id")?),
            None => return Ok(false),
        }
    }
}

/// The account's groups as its column has them.
pub(super) fn groups(account: &Account) -> Vec<&str> {
    account.groups.iter().map(String::as_str).collect()
}

/// Decodes the account of a row that has its id.
pub(super) fn read_found(row: &Row) -> Result<Account, OperationError> {
    read(row, super::row::account_of(row, "id")?)
}

fn read(row: &Row, id: AccountId) -> Result<Account, OperationError> {
    decode(row, || format!("account {id}"))
}
