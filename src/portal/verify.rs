//! `/.auth/verify?token=`: proving an address with a link, or asking for that link once more.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::Portal;
use super::forgot::refusal_of;
use super::forms::{Fields, token_in};
use super::notice::Notice;
use super::reset::token_of;
use super::site::Site;
use super::visit::{Visit, Wants};
use crate::model::Principal;
use crate::refusal::{Problem, Refusal};
use crate::services::{Confirmation, LinkError, SignUpNext};

#[derive(Serialize)]
struct VerifyView<'a> {
    token: &'a str,
    email: &'a str,
    moves: bool,
}

#[derive(Serialize)]
struct Done {
    next: SignUpNext,
}

#[derive(Serialize)]
struct VoidView<'a> {
    status: u16,
    slug: &'static str,
    title: &'a str,
    detail: String,
    request_id: String,
    /// A new link is to be had from the page for forgotten passwords.
    again: bool,
}

impl Portal {
    /// Whoever only looks, a mail scanner for one, uses nothing up (S20).
    pub(super) async fn verify_page(&self, visit: &Visit<'_>) -> Response<Bytes> {
        let token = token_in(&visit.parameter("token")).to_owned();
        match self.services.mailed_links.confirmation(&token).await {
            Ok(confirmation) => self.site.verify_form(visit, &token, &confirmation),
            Err(error) => self.site.refuse_link(visit, &refusal_of(&error), false),
        }
    }

    /// `token`; or `email` alone, to which the link is sent once more.
    pub(super) async fn verify(
        &self,
        visit: &Visit<'_>,
        principal: Option<&Principal>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let (token, links) = (token_of(visit, fields), &self.services.mailed_links);
        let email = fields.text("email");
        if token.is_empty() && !email.is_empty() {
            return match links.send_again(email, &visit.origin()).await {
                Ok(()) => self.site.sent_again(visit),
                Err(LinkError::Invalid(faults)) => {
                    let errors = self.site.messages(visit, &faults);
                    let refusal = Refusal::new(Problem::InvalidInput);
                    match visit.wants {
                        Wants::Json => self.site.refuse_fields(visit, &refusal, errors),
                        Wants::Html => self.site.refuse_visit(visit, &refusal),
                    }
                }
                Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
            };
        }
        match links.confirm(&token, &visit.origin()).await {
            Ok((_, next)) if visit.wants == Wants::Json => {
                self.site.json(visit, StatusCode::OK, &Done { next })
            }
            Ok((confirmation, _)) if confirmation.moves => {
                let mut response = self.site.see_other(visit, "/.auth/account?done=email");
                if principal.is_none() {
                    self.site.leave_notice(&mut response, Notice::EmailChanged);
                }
                response
            }
            Ok((_, next)) => self.site.signed_up(visit, next),
            Err(error) => self.site.refuse_link(visit, &refusal_of(&error), false),
        }
    }
}

impl Site {
    pub(super) fn verify_form(
        &self,
        visit: &Visit<'_>,
        token: &str,
        confirmation: &Confirmation,
    ) -> Response<Bytes> {
        let view = VerifyView {
            token,
            email: confirmation.email.as_str(),
            moves: confirmation.moves,
        };
        self.page(visit, StatusCode::OK, "verify.html", &view)
    }

    fn sent_again(&self, visit: &Visit<'_>) -> Response<Bytes> {
        let next = SignUpNext::Verify;
        match visit.wants {
            Wants::Json => self.json(visit, StatusCode::ACCEPTED, &Done { next }),
            Wants::Html => self.signed_up(visit, next),
        }
    }

    /// A link that does nothing is refused with a way to another one. `resets`: it would have set a new password.
    pub(super) fn refuse_link(&self, visit: &Visit<'_>, refusal: &Refusal, resets: bool) -> Response<Bytes> {
        if visit.wants == Wants::Json || refusal.problem != Problem::InvalidToken {
            return self.refuse_visit(visit, refusal);
        }
        let view = VoidView {
            status: refusal.problem.status().as_u16(),
            slug: refusal.problem.slug(),
            title: self.title(visit, refusal.problem),
            detail: self.detail(visit, refusal),
            request_id: visit.head.id.to_string(),
            again: resets && self.login.reset,
        };
        self.page(visit, refusal.problem, "link-void.html", &view)
    }
}
