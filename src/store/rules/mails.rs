//! The rules of the mail queue: state changes, and when a mail may get a token.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock;
use crate::ids::MailId;
use crate::model::{Account, Email, EmailToken, Mail, MailState, Purpose, QueuedMail};
use crate::store::{ClaimMail, MailOutcome};

/// How long a failed mail is kept for administrators.
const KEEP_FAILED: Duration = Duration::from_hours(30 * 24);

/// The longest delay of a mail that the mail server refuses for now.
const LONGEST_DELAY: Duration = Duration::from_hours(24);

/// Makes a queued mail, due at once.
pub(in crate::store) fn queued(mail: &Mail) -> QueuedMail {
    QueuedMail {
        mail: mail.clone(),
        attempts: 0,
        state: MailState::Due(mail.cause.at),
        reason: None,
    }
}

/// Leases a mail: counts an attempt and makes it due again after `lease`.
pub(in crate::store) fn taken(queued: QueuedMail, now: Timestamp, lease: Duration) -> QueuedMail {
    QueuedMail {
        attempts: queued.attempts.saturating_add(1),
        state: MailState::Due(now.checked_add(lease).unwrap_or(Timestamp::MAX)),
        ..queued
    }
}

/// The result of applying an outcome to a mail.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) enum CompletedMail {
    /// The mail is to be removed.
    Removed,
    /// The mail is to be replaced.
    Kept(Box<QueuedMail>),
    /// The outcome does not apply to this mail.
    Unchanged,
}

/// Applies an outcome to a mail.
pub(in crate::store) fn complete(queued: QueuedMail, outcome: MailOutcome) -> CompletedMail {
    let (state, reason) = match outcome {
        MailOutcome::Done => return CompletedMail::Removed,
        MailOutcome::Postponed { until, reason } => (MailState::Due(until), Some(reason)),
        MailOutcome::Failed { at, reason } => (MailState::Failed(at), Some(reason)),
        MailOutcome::Again { at } => match queued.state {
            MailState::Due(due) if due <= at => return CompletedMail::Unchanged,
            MailState::Due(_) | MailState::Failed(_) => (MailState::Due(at), queued.reason),
        },
    };
    CompletedMail::Kept(Box::new(QueuedMail {
        state,
        reason,
        ..queued
    }))
}

/// Returns why a mail may not get this token at `now`; `None` if it may. `account` is the token's account,
/// `current` its present token for this purpose.
pub(in crate::store) fn refuse_claim(
    mail: &Mail,
    token: &EmailToken,
    account: Option<&Account>,
    current: Option<&EmailToken>,
    now: Timestamp,
) -> Option<ClaimMail> {
    if !account.is_some_and(|account| may_carry(mail, token, account)) {
        Some(ClaimMail::Gone)
    } else if current.is_some_and(|current| supersedes(current, mail.id, now)) {
        Some(ClaimMail::Superseded)
    } else {
        None
    }
}

/// Returns whether the token still fits its account: the account has its address or, to change that, this
/// mail is the one of the pending change. Mails from before a new password are gone already: see
/// [`withdrawn_with`].
fn may_carry(mail: &Mail, token: &EmailToken, account: &Account) -> bool {
    match (token.purpose, &account.pending_email) {
        (Purpose::ChangeEmail, pending) => pending.as_ref().is_some_and(|pending| pending.mail == mail.id),
        _ => account.email == token.email,
    }
}

/// Returns whether the account's present token belongs to a later mail. One that was made in the future, by a
/// clock that was ahead, does not count.
fn supersedes(current: &EmailToken, mail: MailId, now: Timestamp) -> bool {
    current.mail > Some(mail) && !current.is_ahead(now)
}

/// The address with whose account the mail is withdrawn when that gets a new password or address; `None` for
/// mails without a reset link (S77). The withdrawal is part of the change's transaction, so no clock decides
/// which came first.
pub(in crate::store) fn withdrawn_with(mail: &Mail) -> Option<&Email> {
    mail.topic.may_carry_reset().then_some(&mail.to)
}

/// Returns whether a mail's due time can only come from a clock that was ahead.
pub(in crate::store) fn waits_for_the_future(queued: &QueuedMail, now: Timestamp) -> bool {
    let delay = if queued.attempts == 0 {
        Duration::ZERO
    } else {
        LONGEST_DELAY
    };
    let latest = now.checked_add(delay).unwrap_or(Timestamp::MAX);
    matches!(queued.state, MailState::Due(due) if clock::is_ahead(due, latest))
}

/// The time up to which failed mails are expired at `now`.
pub(in crate::store) fn kept_failures_end(now: Timestamp) -> Timestamp {
    now.checked_sub(KEEP_FAILED).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::super::samples::ann;
    use super::*;
    use crate::model::{MailKind, MailOrigin, TokenDigest};
    use crate::random::Random;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn waiting() -> QueuedMail {
        queued(&Mail {
            id: MailId::new(NOW, &Random::seeded(1)),
            to: "ann@example.com".parse().unwrap(),
            topic: MailKind::Reset,
            language: None,
            cause: MailOrigin {
                at: NOW,
                address: None,
                by_administrator: false,
            },
        })
    }

    fn failed() -> QueuedMail {
        QueuedMail {
            state: MailState::Failed(NOW),
            reason: Some("550".to_owned()),
            ..waiting()
        }
    }

    #[test]
    fn a_mail_that_is_taken_is_due_again_after_the_lease() {
        let mail = taken(waiting(), NOW, Duration::from_mins(1));
        assert_eq!(mail.attempts, 1);
        assert_eq!(mail.state, MailState::Due(NOW + Duration::from_mins(1)));
        let last = taken(waiting(), NOW, Duration::MAX);
        assert_eq!(last.state, MailState::Due(Timestamp::MAX));
    }

    #[test]
    fn a_mail_that_failed_or_waits_for_later_is_sent_again() {
        assert_eq!(complete(waiting(), MailOutcome::Done), CompletedMail::Removed);
        let again = || MailOutcome::Again { at: NOW };
        assert_eq!(complete(waiting(), again()), CompletedMail::Unchanged);
        let sent_again = QueuedMail {
            state: MailState::Due(NOW),
            ..failed()
        };
        assert_eq!(
            complete(failed(), again()),
            CompletedMail::Kept(Box::new(sent_again))
        );
        let postponed = QueuedMail {
            attempts: 1,
            state: MailState::Due(NOW + Duration::from_hours(8)),
            reason: Some("450".to_owned()),
            ..waiting()
        };
        let hastened = QueuedMail {
            state: MailState::Due(NOW),
            ..postponed.clone()
        };
        assert_eq!(
            complete(postponed, again()),
            CompletedMail::Kept(Box::new(hastened))
        );
        let fails = MailOutcome::Failed {
            at: NOW,
            reason: "550".to_owned(),
        };
        assert_eq!(
            complete(waiting(), fails),
            CompletedMail::Kept(Box::new(failed()))
        );
    }

    #[test]
    fn a_mail_takes_no_token_along_that_its_account_has_no_use_for() {
        let mail = waiting().mail;
        let token = |mail| EmailToken {
            digest: TokenDigest::of("token"),
            purpose: Purpose::Reset,
            account: ann().id,
            email: ann().email,
            mail: Some(mail),
            maker: None,
            expires_at: NOW + Duration::from_mins(1),
        };
        let own = token(mail.id);
        let refused = |account: Option<&Account>, current: Option<&EmailToken>| {
            refuse_claim(&mail, &own, account, current, NOW)
        };
        assert_eq!(refused(Some(&ann()), None), None);
        assert_eq!(refused(Some(&ann()), Some(&own)), None, "another attempt");
        assert_eq!(refused(None, None), Some(ClaimMail::Gone));
        let moved = Account {
            email: "other@example.com".parse().unwrap(),
            ..ann()
        };
        assert_eq!(refused(Some(&moved), None), Some(ClaimMail::Gone));
        let newer = token(MailId::new(NOW + Duration::from_secs(1), &Random::seeded(3)));
        assert_eq!(refused(Some(&ann()), Some(&newer)), Some(ClaimMail::Superseded));
        let ahead = EmailToken {
            expires_at: NOW + Duration::from_hours(1000),
            ..newer.clone()
        };
        assert_eq!(refused(Some(&ann()), Some(&ahead)), None);
    }

    #[test]
    fn an_account_moves_with_the_mail_of_its_pending_change() {
        let mut mail = waiting().mail;
        let moves = EmailToken {
            digest: TokenDigest::of("token"),
            purpose: Purpose::ChangeEmail,
            account: ann().id,
            email: "new@example.com".parse().unwrap(),
            mail: Some(mail.id),
            maker: None,
            expires_at: NOW + Duration::from_mins(1),
        };
        let refused = |mail: &Mail| refuse_claim(mail, &moves, Some(&ann()), None, NOW);
        assert_eq!(refused(&mail), Some(ClaimMail::Gone));
        mail.id = ann().pending_email.unwrap().mail;
        assert_eq!(refused(&mail), None);
    }

    #[test]
    fn a_mail_that_failed_a_month_ago_is_kept_no_longer() {
        let month = NOW + KEEP_FAILED;
        assert_eq!(kept_failures_end(month), NOW);
    }
}
