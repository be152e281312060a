//! Mailed tokens. One that is used up is removed; an account has at most one for a purpose.

use std::ops::ControlFlow;

use jiff::Timestamp;

use super::engine::Engine;
use super::key::{self, Kind};
use super::record;
use super::rows::{Group, Rows};
use super::{accounts, mails, sessions};
use crate::ids::AccountId;
use crate::model::{Account, Mail, MailedToken, Purpose, TokenDigest};
use crate::store::{ConsumeToken, StoreError, TokenEffect, rules};

/// Keeps a token in place of the account's earlier one for the same purpose; none of an account that is gone.
pub(super) fn put(group: &mut Group<'_>, token: &MailedToken) -> Result<(), StoreError> {
    if group.value(&key::account(token.account))?.is_none() {
        return Ok(());
    }
    let index = key::token_of(token.account, token.purpose);
    if let Some(earlier) = group.read::<TokenDigest>(&index)? {
        group.remove(key::token(&earlier));
    }
    group.put(index, &token.digest)?;
    group.put(key::token(&token.digest), token)
}

/// The account's token for a purpose.
pub(super) fn current(
    rows: &impl Rows,
    account: AccountId,
    purpose: Purpose,
) -> Result<Option<MailedToken>, StoreError> {
    let index = key::token_of(account, purpose);
    let digest: Option<TokenDigest> = rows.read(&index)?;
    digest
        .map(|digest| rows.indexed(&index, &key::token(&digest)))
        .transpose()
}

/// Voids all tokens of an account.
pub(super) fn void_all(group: &mut Group<'_>, account: AccountId) -> Result<(), StoreError> {
    for purpose in key::PURPOSES {
        void(group, account, purpose)?;
    }
    Ok(())
}

/// Voids the account's token for a purpose.
pub(super) fn void(group: &mut Group<'_>, account: AccountId, purpose: Purpose) -> Result<(), StoreError> {
    if let Some(token) = current(group, account, purpose)? {
        remove(group, &token);
    }
    Ok(())
}

pub(super) fn consume(
    group: &mut Group<'_>,
    digest: TokenDigest,
    effect: TokenEffect,
    mails: &[Mail],
    now: Timestamp,
) -> Result<ConsumeToken, StoreError> {
    let Some(token) = group.read::<MailedToken>(&key::token(&digest))? else {
        return Ok(ConsumeToken::Void);
    };
    let before: Account = group.indexed(&key::token(&digest), &key::account(token.account))?;
    if !rules::serves_account(&token, &before, now) || !effect.serves(token.purpose) {
        return Ok(ConsumeToken::Void);
    }
    let mut after = before.clone();
    match effect {
        TokenEffect::VerifyEmail => after.email_verified = true,
        TokenEffect::SetPassword {
            password_hash,
            at,
            disowns,
        } => {
            after.password_hash = password_hash;
            after.password_changed_at = at;
            if disowns {
                after.agreements.clear();
            }
            after.email_verified |= token.purpose == Purpose::Reset;
            sessions::end_of_account(group, token.account, None)?;
            group.remove(key::attempts(token.account));
        }
        TokenEffect::ChangeEmail => {
            let holder: Option<AccountId> = group.read(&key::email(&token.email))?;
            if holder.is_some_and(|holder| holder != token.account) {
                return Ok(ConsumeToken::EmailTaken);
            }
            after.email = token.email.clone();
            after.email_verified = true;
        }
    }
    rules::void_pending_email(&before, &mut after);
    remove(group, &token);
    accounts::replace(group, &before, &after)?;
    mails::enqueue(group, mails)?;
    Ok(ConsumeToken::Consumed {
        before: Box::new(before),
        after: Box::new(after),
    })
}

/// The digests of the tokens of which this is true. One that cannot be read is left for `verify` to tell of.
pub(super) fn those(
    engine: &Engine,
    is_meant: impl Fn(&MailedToken) -> bool,
) -> Result<Vec<TokenDigest>, StoreError> {
    let mut digests = Vec::new();
    engine.pieces(&Kind::Token.prefix(), None, |_, rows| {
        let tokens = rows
            .iter()
            .filter_map(|(key, value)| record::decode::<MailedToken>(key, value).ok());
        digests.extend(tokens.filter(&is_meant).map(|token| token.digest));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(digests)
}

/// Removes the tokens with these digests.
pub(super) fn remove_these(group: &mut Group<'_>, digests: &[TokenDigest]) -> Result<(), StoreError> {
    for digest in digests {
        if let Some(token) = group.read::<MailedToken>(&key::token(digest))? {
            remove(group, &token);
        }
    }
    Ok(())
}

/// A token that is kept is its account's current one for its purpose, so the index goes with it.
fn remove(group: &mut Group<'_>, token: &MailedToken) {
    group.remove(key::token(&token.digest));
    group.remove(key::token_of(token.account, token.purpose));
}
