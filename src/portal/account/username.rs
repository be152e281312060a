//! `/.auth/account/username`: another username, where `login.change_username` allows it.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::profile::Profile;
use super::{AREA, Member, refusal_of};
use crate::model::{Account, Username};
use crate::portal::Portal;
use crate::portal::alert::{Alert, Errors};
use crate::portal::forms::Fields;
use crate::portal::proof::CURRENT_PASSWORD;
use crate::portal::render::Outcome;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::{MOST_FORMER_USERNAMES, OwnAccountError, SignUpField};

pub(super) const PATH: &str = "/.auth/account/username";

/// The order of the form.
const ORDER: &[&str] = &["username", CURRENT_PASSWORD];

#[derive(Serialize)]
struct UsernameView<'a> {
    current: &'a str,
    former: &'a [Username],
    /// As it was typed.
    username: &'a str,
    saved: bool,
    errors: Errors,
    alert: Option<Alert>,
}

impl Portal {
    pub(super) async fn username_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        match self.services.own_account.find(member.principal.account).await {
            Ok(account) => self.site.username_page(visit, member, &account),
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
        }
    }

    /// `username`, `current_password`
    pub(super) async fn change_username(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mut fields: Fields,
    ) -> Response<Bytes> {
        let password = fields.secret(CURRENT_PASSWORD);
        let username = fields.text("username");
        let own = &self.services.own_account;
        let invalid = Refusal::new(Problem::InvalidInput);
        let (refusal, errors) = if password.expose().is_empty() {
            (invalid, self.site.proof_errors(visit, "proof.required"))
        } else {
            let origin = visit.origin();
            let changed = own.change_username(member.session, username, &password, &origin);
            match changed.await {
                Ok(account) if visit.wants == Wants::Json => {
                    return self.site.json(visit, StatusCode::OK, &Profile::of(&account));
                }
                Ok(_) => {
                    return self
                        .site
                        .see_other(visit, "/.auth/account/username?done=username");
                }
                Err(OwnAccountError::Username(fault)) => {
                    let faults = [(SignUpField::Username, fault)];
                    (invalid, self.site.messages(visit, &faults))
                }
                Err(OwnAccountError::TooManyUsernames) => (invalid, self.site.too_many_usernames(visit)),
                Err(OwnAccountError::NotProved(error)) => self.site.proof_refusal(visit, &error),
                Err(error) => (refusal_of(&error), Errors::new()),
            }
        };
        match own.find(member.principal.account).await {
            Ok(account) => {
                let site = &self.site;
                site.refused_username(visit, member, &account, username, &refusal, errors)
            }
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
        }
    }
}

impl Site {
    pub(in crate::portal) fn username_page(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        account: &Account,
    ) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            return self.json(visit, StatusCode::OK, &Profile::of(account));
        }
        let view = UsernameView {
            current: account.username.as_str(),
            former: &account.former_usernames,
            username: "",
            saved: visit.parameter("done") == "username",
            errors: Errors::new(),
            alert: None,
        };
        self.username_form(visit, member, StatusCode::OK, &view)
    }

    pub(in crate::portal) fn refused_username(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        account: &Account,
        username: &str,
        refusal: &Refusal,
        errors: Errors,
    ) -> Response<Bytes> {
        self.refuse_form(visit, refusal, errors, ORDER, |errors, alert| {
            let view = UsernameView {
                current: account.username.as_str(),
                former: &account.former_usernames,
                username,
                saved: false,
                alert: Some(alert),
                errors,
            };
            self.username_form(visit, member, refusal.problem, &view)
        })
    }

    fn username_form(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        outcome: impl Into<Outcome>,
        view: &UsernameView<'_>,
    ) -> Response<Bytes> {
        let place = AREA.at(PATH);
        self.member_page(visit, member, place, outcome, "account-username.html", view)
    }

    fn too_many_usernames(&self, visit: &Visit<'_>) -> Errors {
        let text = self.texts.get(visit.lang, "account.username-too-many");
        let count = MOST_FORMER_USERNAMES.to_string();
        Errors::from([("username", crate::text::fill(text, &[("count", &count)]))])
    }
}
