//! The decision on a change of an account: what it makes of the account, and what it voids.

use jiff::Timestamp;

use super::{GuardedGroup, serves_account};
use crate::model::{Account, AccountStatus, Email, EmailToken, Purpose, Username};
use crate::store::{ConsumeToken, EditAccount, TokenEffect};

/// A change of an account. It checks nothing but the account; the store checks that the address and username
/// are free, and that the guarded group keeps a member.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct AccountTransition {
    pub(in crate::store) before: Account,
    pub(in crate::store) after: Account,
}

impl AccountTransition {
    /// Makes a change; keeps the id and the former usernames. A new password or address, disabling and declining
    /// cancel a pending change of address.
    pub(in crate::store) fn new(before: Account, mut after: Account) -> Self {
        after.id = before.id;
        after.former_usernames.clone_from(&before.former_usernames);
        if after.username != before.username {
            let own = &after.username;
            after.former_usernames.retain(|former| former != own);
            after.former_usernames.push(before.username.clone());
        }
        let mut change = Self { before, after };
        if change.voids_tokens() {
            change.after.pending_email = None;
        }
        change
    }

    /// Makes the change that a token's effect is; `None` if the token is void at `now`.
    pub(in crate::store) fn by_token(
        token: &EmailToken,
        effect: TokenEffect,
        account: Account,
        now: Timestamp,
    ) -> Option<Self> {
        if !effect.serves(token.purpose) || !serves_account(token, &account, now) {
            return None;
        }
        let mut after = account.clone();
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
            }
            TokenEffect::ChangeEmail => {
                after.email = token.email.clone();
                after.email_verified = true;
            }
        }
        Some(Self::new(account, after))
    }

    /// The new username, which no other account may ever have had; `None` if it stays.
    pub(in crate::store) fn new_username(&self) -> Option<&Username> {
        Some(&self.after.username).filter(|username| **username != self.before.username)
    }

    /// The new address, which no other account may have; `None` if it stays.
    pub(in crate::store) fn new_email(&self) -> Option<&Email> {
        Some(&self.after.email).filter(|email| **email != self.before.email)
    }

    /// Returns whether an active member leaves the group, which then must not be the last one.
    pub(in crate::store) fn leaves(&self, guarded: &GuardedGroup) -> bool {
        guarded.is_active_member(&self.before) && !guarded.is_active_member(&self.after)
    }

    /// When a new password was set; `None` if it stays. Ends the account's sessions.
    pub(in crate::store) fn new_password_at(&self) -> Option<Timestamp> {
        Some(self.after.password_changed_at).filter(|at| *at != self.before.password_changed_at)
    }

    /// Returns whether all tokens of the account are voided, and the mails that would carry a reset link
    /// withdrawn.
    pub(in crate::store) fn voids_tokens(&self) -> bool {
        let is_shut_out =
            |account: &Account| matches!(account.status, AccountStatus::Disabled | AccountStatus::Declined);
        self.new_password_at().is_some()
            || self.new_email().is_some()
            || is_shut_out(&self.after) && !is_shut_out(&self.before)
    }

    /// Returns whether the pending change of address is another one or none, which voids its token.
    pub(in crate::store) fn replaces_pending_email(&self) -> bool {
        self.after.pending_email != self.before.pending_email
    }
}

impl From<AccountTransition> for EditAccount {
    fn from(AccountTransition { before, after }: AccountTransition) -> Self {
        Self::Edited {
            before: Box::new(before),
            after: Box::new(after),
        }
    }
}

impl From<AccountTransition> for ConsumeToken {
    fn from(AccountTransition { before, after }: AccountTransition) -> Self {
        Self::Consumed {
            before: Box::new(before),
            after: Box::new(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::samples::ann;
    use super::*;
    use crate::ids::AccountId;
    use crate::model::TokenDigest;
    use crate::random::Random;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn soon() -> Timestamp {
        NOW + Duration::from_mins(1)
    }

    fn change(edit: impl FnOnce(&mut Account)) -> AccountTransition {
        let mut after = ann();
        edit(&mut after);
        AccountTransition::new(ann(), after)
    }

    fn token(purpose: Purpose) -> EmailToken {
        EmailToken {
            digest: TokenDigest::of("token"),
            purpose,
            account: ann().id,
            email: match purpose {
                Purpose::ChangeEmail => "new@example.com".parse().unwrap(),
                _ => ann().email,
            },
            mail: None,
            maker: None,
            expires_at: soon(),
        }
    }

    fn use_token(purpose: Purpose, effect: TokenEffect, now: Timestamp) -> Option<AccountTransition> {
        AccountTransition::by_token(&token(purpose), effect, ann(), now)
    }

    fn set_password() -> TokenEffect {
        TokenEffect::SetPassword {
            password_hash: "new".to_owned(),
            at: soon(),
            disowns: false,
        }
    }

    #[test]
    fn an_account_keeps_its_id_and_the_usernames_that_it_had() {
        let renamed = change(|account| {
            account.id = AccountId::new(NOW, &Random::seeded(3));
            account.username = "annie".parse().unwrap();
            account.former_usernames.clear();
        });
        assert_eq!(renamed.after.id, renamed.before.id);
        assert_eq!(renamed.new_username().unwrap().as_str(), "annie");
        let former = |change: &AccountTransition| -> Vec<String> {
            change
                .after
                .former_usernames
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(former(&renamed), ["anna", "ann"]);
        let again = change(|account| account.username = "anna".parse().unwrap());
        assert_eq!(former(&again), ["ann"], "it takes one of them back");
        assert_eq!(change(|_| {}), AccountTransition::new(ann(), ann()));
        assert_eq!(change(|_| {}).new_username(), None);
    }

    #[test]
    fn a_new_password_or_address_disabling_and_declining_void_tokens_and_a_pending_address() {
        let password = change(|account| account.password_changed_at = soon());
        let address = change(|account| account.email = "other@example.com".parse().unwrap());
        let disabled = change(|account| account.status = AccountStatus::Disabled);
        let declined = change(|account| account.status = AccountStatus::Declined);
        for voids in [&password, &address, &disabled, &declined] {
            assert!(voids.voids_tokens() && voids.after.pending_email.is_none());
        }
        assert_eq!(password.new_password_at(), Some(soon()));
        assert_eq!(address.new_password_at(), None);
        let case = change(|account| account.email = "ANN@example.com".parse().unwrap());
        let hash = change(|account| account.password_hash = "upgraded".to_owned());
        for stays in [case, hash] {
            assert!(!stays.voids_tokens() && stays.new_email().is_none());
            assert!(stays.after.pending_email.is_some() && !stays.replaces_pending_email());
        }
        let taken_back = change(|account| account.pending_email = None);
        assert!(taken_back.replaces_pending_email() && !taken_back.voids_tokens());
    }

    #[test]
    fn an_active_member_leaves_when_it_may_not_sign_in_any_more() {
        let guarded = |verified_only| GuardedGroup {
            group: "admins".to_owned(),
            verified_only,
        };
        let disabled = change(|account| account.status = AccountStatus::Disabled);
        let steps_down = change(|account| account.groups.clear());
        for leaves in [&disabled, &steps_down] {
            assert!(leaves.leaves(&guarded(false)));
            assert!(!leaves.leaves(&guarded(true)), "who is not verified was none");
        }
        assert!(!change(|account| account.name = Some("Ann".to_owned())).leaves(&guarded(false)));
    }

    #[test]
    fn a_token_serves_its_purpose_until_it_expires() {
        assert!(use_token(Purpose::VerifyEmail, TokenEffect::VerifyEmail, NOW).is_some());
        assert!(use_token(Purpose::VerifyEmail, TokenEffect::VerifyEmail, soon()).is_none());
        assert!(use_token(Purpose::VerifyEmail, set_password(), NOW).is_none());
        assert!(use_token(Purpose::Reset, TokenEffect::ChangeEmail, NOW).is_none());
    }

    #[test]
    fn s19_a_link_serves_the_address_alone_that_it_was_made_for() {
        for (purpose, effect) in [
            (Purpose::VerifyEmail, TokenEffect::VerifyEmail),
            (Purpose::Reset, set_password()),
            (Purpose::ResetByAdministrator, set_password()),
        ] {
            let token = EmailToken {
                email: "former@example.com".parse().unwrap(),
                ..token(purpose)
            };
            assert!(AccountTransition::by_token(&token, effect, ann(), NOW).is_none());
        }
    }

    #[test]
    fn s19_a_link_sets_no_password_of_an_account_that_is_shut_out() {
        for (status, serves) in [
            (AccountStatus::Active, true),
            (AccountStatus::AwaitingApproval, true),
            (AccountStatus::Declined, false),
            (AccountStatus::Disabled, false),
        ] {
            for purpose in [Purpose::Reset, Purpose::ResetByAdministrator] {
                let account = Account { status, ..ann() };
                let token = token(purpose);
                let reset = AccountTransition::by_token(&token, set_password(), account, NOW);
                assert_eq!(reset.is_some(), serves, "{purpose:?} {status:?}");
            }
        }
    }

    #[test]
    fn a_token_verifies_resets_or_moves() {
        let verified = use_token(Purpose::VerifyEmail, TokenEffect::VerifyEmail, NOW).unwrap();
        assert!(verified.after.email_verified && !verified.voids_tokens());
        for (purpose, proves) in [(Purpose::Reset, true), (Purpose::ResetByAdministrator, false)] {
            let reset = use_token(purpose, set_password(), NOW).unwrap();
            assert_eq!(reset.after.password_hash, "new");
            assert_eq!(reset.new_password_at(), Some(soon()));
            assert_eq!(reset.after.email_verified, proves);
        }
        let moved = use_token(Purpose::ChangeEmail, TokenEffect::ChangeEmail, NOW).unwrap();
        assert_eq!(moved.new_email().unwrap().as_str(), "new@example.com");
        assert!(moved.after.email_verified && moved.after.pending_email.is_none());
    }
}
