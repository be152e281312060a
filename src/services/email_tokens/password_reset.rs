//! Password resets: asking for a link by mail, the link that an administrator hands over, and the new password.
//!
//! The link in a mail is made when the mail is sent, by the mail worker.

use std::time::Duration;

use jiff::Timestamp;

use super::{EmailTokens, LinkError, parse};
use crate::model::{Account, EmailToken, MailKind, PlainToken, Purpose, TokenDigest};
use crate::route::Page;
use crate::secret::Secret;
use crate::services::input::parse_new_password;
use crate::services::{Actor, Event, Kind, Origin};
use crate::store::{SessionsToEnd, TokenEffect};

/// How long a reset link that an administrator hands over serves.
const HANDED_OVER: Duration = Purpose::ResetByAdministrator.lifetime();

impl EmailTokens {
    /// Enqueues a reset mail. Whether the address has an account is looked up at delivery, so that the
    /// request takes as long for every address (S18).
    pub async fn forgot(&self, email: &str, origin: &Origin) -> Result<(), LinkError> {
        if !self.reset {
            return Err(LinkError::ResetDisabled);
        }
        let email = parse(email)?;
        self.record(origin, &Event::success(Kind::ResetRequest, email.as_str()))
            .await?;
        self.ask(&email, MailKind::Reset, origin).await
    }

    /// Checks a reset link without consuming it (S20).
    pub async fn resets(&self, token: &str) -> Result<(), LinkError> {
        self.reset_token(token).await.map(drop)
    }

    /// Sets a new password, ends all sessions and clears a lock (S12, S21). Does not sign in.
    pub async fn reset(
        &self,
        token: &str,
        password: &Secret<String>,
        again: &Secret<String>,
        origin: &Origin,
    ) -> Result<(), LinkError> {
        let reset = self.try_reset(token, password, again, origin).await;
        self.note_void(Kind::PasswordReset, token, &reset, origin).await;
        reset
    }

    async fn try_reset(
        &self,
        token: &str,
        password: &Secret<String>,
        again: &Secret<String>,
        origin: &Origin,
    ) -> Result<(), LinkError> {
        let (digest, good) = self.reset_token(token).await?;
        self.revocations.settle_if_pending(good.account).await?;
        let account = self.store.account(good.account).await?.ok_or(LinkError::Void)?;
        let password = parse_new_password(
            &self.policy,
            password,
            again,
            Some(&account.email),
            Some(&account.username),
        )
        .map_err(LinkError::Invalid)?;
        let password_hash = self.hasher.try_acquire()?.hash(password).await?;
        self.announce(origin, Kind::PasswordReset, &good).await?;
        let now = self.clock.now();
        let mut mails = vec![self.mailer.mail(&account.email, MailKind::PasswordReset, origin)];
        if good.purpose == Purpose::Reset {
            mails.extend(self.asks_for_approval(&account, origin).await?);
        }
        let effect = TokenEffect::SetPassword {
            password_hash,
            at: now,
            disowns: good.purpose == Purpose::Reset && self.verify && !account.email_verified,
        };
        // The link's maker must still be the administrator who made it.
        let store = self.makers.store(self.makers.of_token(&good)).await?;
        let consumed = store.consume_token(digest, effect, mails, self.now_for(&good));
        let wanted = Account {
            password_changed_at: now,
            ..account
        };
        let kind = Kind::PasswordReset;
        let (after, change) = self.consume(kind, wanted, consumed, origin).await?;
        let ended = self.sessions.end(SessionsToEnd::Account(after.id, None)).await;
        self.access_keys.refresh(after.id).await;
        change.finish();
        ended?;
        self.mailer.announce();
        self.audit
            .note(origin, &Event::about(Kind::PasswordReset, &after));
        Ok(())
    }

    /// Creates a reset link for an administrator to hand over, whatever `login.reset` is and beside a mailed
    /// one. Returns the link and its expiry.
    pub async fn reset_link(
        &self,
        account: &Account,
        by: &Actor,
        origin: &Origin,
    ) -> Result<(Secret<String>, Timestamp), LinkError> {
        self.revocations.settle_if_pending(account.id).await?;
        let token = PlainToken::new(&self.random);
        self.mailer.lifetimes.begin(token.digest(), HANDED_OVER);
        let expires_at = self
            .clock
            .now()
            .checked_add(HANDED_OVER)
            .unwrap_or(Timestamp::MAX);
        let kept = EmailToken {
            digest: token.digest(),
            purpose: Purpose::ResetByAdministrator,
            account: account.id,
            email: account.email.clone(),
            mail: None,
            maker: self.makers.maker(by).await?,
            expires_at,
        };
        by.act_on(&self.store).save_token(kept).await?;
        self.audit
            .note(origin, &Event::about(Kind::ResetLink, account).by(by));
        let base = self.public_url.as_str().trim_end_matches('/');
        let link = format!("{base}{}?token={}", Page::Reset.path(), token.expose());
        Ok((Secret::new(link), expires_at))
    }

    /// Returns the token of a valid reset link. With `login.reset` off, only links from administrators are
    /// valid.
    async fn reset_token(&self, token: &str) -> Result<(TokenDigest, EmailToken), LinkError> {
        let found = match self.valid_token(token).await {
            Ok((digest, token)) => match token.purpose {
                Purpose::ResetByAdministrator => {
                    if let Some(right) = self.makers.of_token(&token)
                        && !self.makers.holds(&right).await?
                    {
                        return Err(LinkError::Void);
                    }
                    return Ok((digest, token));
                }
                Purpose::Reset => Ok((digest, token)),
                Purpose::VerifyEmail | Purpose::ChangeEmail => Err(LinkError::Void),
            },
            Err(error) => Err(error),
        };
        match found {
            Ok(_) | Err(LinkError::Void) if !self.reset => Err(LinkError::ResetDisabled),
            found => found,
        }
    }
}
