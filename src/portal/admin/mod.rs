//! `/.auth/admin` and below: what administrators see and decide. One file a page.

mod account;
mod accounts;
mod audit;
mod change;
mod export;
mod invitations;
mod locks;
mod mails;
mod overview;
pub(super) mod template_filters;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Response};

use super::Portal;
use super::forms::Fields;
use super::login::{refusal_of_store, unavailable};
use super::reauthenticate::PageDisplay;
use super::request_context::RequestContext;
use super::signed_in::{NavSection, SignedInUser};
use crate::model::Email;
use crate::refusal::{Problem, Refusal};
use crate::route::AdminPage;
use crate::services::{AccountError, Actor, Event, Kind};

#[cfg(test)]
pub(super) use account::{AccountDetails, PageMessage};
#[cfg(test)]
pub(super) use accounts::Search;
#[cfg(test)]
pub(super) use audit::AuditSearch;
#[cfg(test)]
pub(super) use invitations::InvitationsView;
#[cfg(test)]
pub(super) use mails::MailSearch;
#[cfg(test)]
pub(super) use overview::Overview;

pub(super) static AREA: NavSection = NavSection {
    title: "admin.nav",
    pages: &[
        ("/.auth/admin", "admin.nav-overview"),
        ("/.auth/admin/accounts", "admin.nav-accounts"),
        ("/.auth/admin/invitations", "admin.nav-invitations"),
        ("/.auth/admin/audit", "admin.nav-audit"),
        ("/.auth/admin/locks", "admin.nav-locks"),
        ("/.auth/admin/mails", "admin.nav-mails"),
    ],
};

/// Rows of a page.
const A_PAGE: usize = 50;

impl Portal {
    /// A page of the administrators; `fields` are those of a form that was sent. A change needs a proof of the
    /// password that is not old.
    pub(super) async fn admin(
        &self,
        page: AdminPage,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: Option<Fields>,
    ) -> Response<Bytes> {
        let place = AREA.at(match page {
            AdminPage::Overview => overview::PATH,
            AdminPage::Accounts | AdminPage::Account => accounts::PATH,
            AdminPage::Invitations => invitations::PATH,
            AdminPage::Audit => audit::PATH,
            AdminPage::Locks => locks::PATH,
            AdminPage::Mails => mails::PATH,
        });
        if let Some(mut fields) = fields {
            if let Err(asked) = self
                .require_reauthentication(context, user, place, &mut fields)
                .await
            {
                return asked;
            }
            match self.renderer.shown_after_proof(context, &fields) {
                Some(PageDisplay::AtOnce) => {}
                Some(PageDisplay::Elsewhere(response)) => return response,
                None => return self.administer(page, context, user, &fields).await,
            }
        } else if let Some(asked) = self.asked_first(context, user, place) {
            return asked;
        }
        match page {
            AdminPage::Overview => self.overview_page(context, user).await,
            AdminPage::Accounts => self.accounts_page(context, user).await,
            AdminPage::Account => self.account_page(context, user).await,
            AdminPage::Invitations => self.invitations_page(context, user).await,
            AdminPage::Audit => self.audit_page(context, user).await,
            AdminPage::Locks => self.locks_page(context, user).await,
            AdminPage::Mails => self.mails_page(context, user).await,
        }
    }
}

impl Portal {
    /// Does what a form asks for.
    async fn administer(
        &self,
        page: AdminPage,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let by =
            Actor::administrator(user.session, &self.renderer.administrators).because(fields.text("reason"));
        let response = match page {
            AdminPage::Account => self.change_account(context, user, fields, &by).await,
            AdminPage::Invitations => self.change_invitations(context, user, fields, &by).await,
            AdminPage::Mails => self.send_again(context, fields, &by).await,
            // They take the password alone.
            AdminPage::Overview | AdminPage::Accounts | AdminPage::Audit | AdminPage::Locks => {
                let refusal = Refusal::new(Problem::MethodNotAllowed);
                let mut response = self.renderer.refuse_visit(context, &refusal);
                let allow = HeaderValue::from_static("GET, HEAD");
                response.headers_mut().insert(ALLOW, allow);
                response
            }
        };
        self.note_refused(page, context, fields, &by, &response).await;
        response
    }

    /// Records an act that was refused, whatever refused it; one that was done is recorded where it is done.
    async fn note_refused(
        &self,
        page: AdminPage,
        context: &RequestContext<'_>,
        fields: &Fields,
        by: &Actor,
        response: &Response<Bytes>,
    ) {
        let (Some(problem), Some(kind)) = (response.extensions().get::<Problem>(), act(page, fields)) else {
            return;
        };
        let who = match page {
            AdminPage::Account => fields.text("account"),
            AdminPage::Mails => fields.text("to"),
            _ => fields.text("email"),
        };
        let who: String = who.trim().chars().take(Email::MAX_LENGTH).collect();
        let event = match self.services.accounts.find(&who).await {
            Ok(account) => Event::about(kind, &account),
            Err(_) => Event::success(kind, who),
        };
        let event = event.failed_because(problem.slug()).by(by);
        self.services.audit.note(&context.origin(), &event);
    }
}

/// What a form asks for; `None` if that is nothing that anybody does.
fn act(page: AdminPage, fields: &Fields) -> Option<Kind> {
    Some(match (page, fields.text("action")) {
        (AdminPage::Account, "approve") => Kind::Approve,
        (AdminPage::Account, "decline") => Kind::Decline,
        (AdminPage::Account, "disable") => Kind::Disable,
        (AdminPage::Account, "enable") => Kind::Enable,
        (AdminPage::Account, "unlock") => Kind::Unlock,
        (AdminPage::Account, "set-groups") => Kind::GroupsChange,
        (AdminPage::Account, "reset-link") => Kind::ResetLink,
        (AdminPage::Account, "end-session" | "end-sessions") => Kind::SessionEnd,
        (AdminPage::Account, "delete") => Kind::AccountDelete,
        (AdminPage::Invitations, "revoke") => Kind::InvitationRevoke,
        (AdminPage::Invitations, "" | "create") => Kind::InvitationCreate,
        (AdminPage::Mails, _) => Kind::MailAgain,
        _ => return None,
    })
}

/// What is answered where no field is to blame.
fn refusal_of(error: &AccountError) -> Refusal {
    match error {
        AccountError::NotFound(_) => Refusal::new(Problem::NotFound),
        AccountError::Store(error) => refusal_of_store(error),
        AccountError::Busy => unavailable(error.to_string()),
        _ => Refusal::because(Problem::InvalidInput, error.to_string()),
    }
}

/// A query of these parameters, without those that are empty.
fn query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        pairs.append_pair(name, value);
    }
    match pairs.finish() {
        pairs if pairs.is_empty() => path.to_owned(),
        pairs => format!("{path}?{pairs}"),
    }
}
