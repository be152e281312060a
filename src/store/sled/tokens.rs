//! E-mail tokens. A used one is removed; an account has one at most for each purpose.

use std::ops::ControlFlow;

use async_trait::async_trait;
use jiff::Timestamp;

use super::SledStore;
use super::engine::Engine;
use super::record;
use super::rows::{Rows, WriteBatch};
use super::schema::{self, RowKind};
use super::{accounts, mails, sessions};
use crate::ids::AccountId;
use crate::model::{Account, EmailToken, Mail, Purpose, TokenDigest};
use crate::store::rules::AccountTransition;
use crate::store::{ConsumeToken, StoreError, TokenEffect, TokenStore};

#[async_trait]
impl TokenStore for SledStore {
    async fn save_token(&self, token: EmailToken) -> Result<(), StoreError> {
        self.change(move |group| put(group, &token)).await
    }

    async fn token(&self, digest: TokenDigest) -> Result<Option<EmailToken>, StoreError> {
        self.open.engine.with(|tree| tree.read(&schema::token(&digest)))
    }

    async fn consume_token(
        &self,
        digest: TokenDigest,
        effect: TokenEffect,
        mails: Vec<Mail>,
        now: Timestamp,
    ) -> Result<ConsumeToken, StoreError> {
        self.change(move |group| consume(group, digest, effect, &mails, now))
            .await
    }
}

/// Saves a token in place of the account's earlier one for its purpose. Does nothing if the account is gone.
pub(super) fn put(batch: &mut WriteBatch<'_>, token: &EmailToken) -> Result<(), StoreError> {
    if batch.value(&schema::account(token.account))?.is_none() {
        return Ok(());
    }
    let index = schema::token_of(token.account, token.purpose);
    if let Some(earlier) = batch.read::<TokenDigest>(&index)? {
        batch.remove(schema::token(&earlier));
    }
    batch.put(index, &token.digest)?;
    batch.put(schema::token(&token.digest), token)
}

/// The account's token for a purpose.
pub(super) fn current(
    rows: &impl Rows,
    account: AccountId,
    purpose: Purpose,
) -> Result<Option<EmailToken>, StoreError> {
    let index = schema::token_of(account, purpose);
    let digest: Option<TokenDigest> = rows.read(&index)?;
    digest
        .map(|digest| rows.indexed(&index, &schema::token(&digest)))
        .transpose()
}

pub(super) fn void_all(batch: &mut WriteBatch<'_>, account: AccountId) -> Result<(), StoreError> {
    for purpose in schema::PURPOSES {
        void(batch, account, purpose)?;
    }
    Ok(())
}

/// Voids an account's token for a purpose, if it has one.
pub(super) fn void(
    batch: &mut WriteBatch<'_>,
    account: AccountId,
    purpose: Purpose,
) -> Result<(), StoreError> {
    if let Some(token) = current(batch, account, purpose)? {
        remove(batch, &token);
    }
    Ok(())
}

fn consume(
    batch: &mut WriteBatch<'_>,
    digest: TokenDigest,
    effect: TokenEffect,
    mails: &[Mail],
    now: Timestamp,
) -> Result<ConsumeToken, StoreError> {
    let Some(token) = batch.read::<EmailToken>(&schema::token(&digest))? else {
        return Ok(ConsumeToken::Void);
    };
    let Some(account) = batch.read::<Account>(&schema::account(token.account))? else {
        return Ok(ConsumeToken::Void);
    };
    let sets_password = effect.sets_password();
    let Some(change) = AccountTransition::by_token(&token, effect, account, now) else {
        return Ok(ConsumeToken::Void);
    };
    if let Some(email) = change.new_email()
        && batch.value(&schema::email(email))?.is_some()
    {
        return Ok(ConsumeToken::EmailTaken);
    }
    if sets_password {
        sessions::end_of_account(batch, token.account, None)?;
        batch.remove(schema::attempts(token.account));
    }
    remove(batch, &token);
    accounts::replace(batch, &change)?;
    mails::enqueue(batch, mails)?;
    Ok(change.into())
}

/// The digests of the tokens that match. Unreadable ones are left for `verify` to report.
pub(super) fn those(
    engine: &Engine,
    is_meant: impl Fn(&EmailToken) -> bool,
) -> Result<Vec<TokenDigest>, StoreError> {
    let mut digests = Vec::new();
    engine.pieces(&RowKind::Token.prefix(), None, |_, rows| {
        let tokens = rows
            .iter()
            .filter_map(|(key, value)| record::decode::<EmailToken>(key, value).ok());
        digests.extend(tokens.filter(&is_meant).map(|token| token.digest));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(digests)
}

pub(super) fn remove_these(batch: &mut WriteBatch<'_>, digests: &[TokenDigest]) -> Result<(), StoreError> {
    for digest in digests {
        if let Some(token) = batch.read::<EmailToken>(&schema::token(digest))? {
            remove(batch, &token);
        }
    }
    Ok(())
}

/// Removes a stored token and its index row: a stored token is always the current one for its purpose.
fn remove(batch: &mut WriteBatch<'_>, token: &EmailToken) {
    batch.remove(schema::token(&token.digest));
    batch.remove(schema::token_of(token.account, token.purpose));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_token_whose_account_is_gone_is_void() {
        let db = ::sled::Config::new().temporary(true).open().unwrap();
        let mut batch = WriteBatch::new(&db);
        let (now, random) = (Timestamp::UNIX_EPOCH, Random::system());
        let token = EmailToken {
            digest: TokenDigest::of("token"),
            purpose: Purpose::VerifyEmail,
            account: AccountId::new(now, &random),
            email: "ann@example.com".parse().unwrap(),
            mail: None,
            maker: None,
            expires_at: now + std::time::Duration::from_hours(1),
        };
        let consumed = batch.run(|batch| {
            batch.put(schema::token(&token.digest), &token)?;
            consume(batch, token.digest, TokenEffect::VerifyEmail, &[], now)
        });
        assert_eq!(consumed.unwrap(), ConsumeToken::Void);
    }
}
