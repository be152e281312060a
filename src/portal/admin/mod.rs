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
pub(super) mod words;

use bytes::Bytes;
use http::Response;

use super::Portal;
use super::forms::Fields;
use super::login::{refusal_of_store, unavailable};
use super::member::{Area, Member};
use super::visit::Visit;
use crate::refusal::{Problem, Refusal};
use crate::route::AdminPage;
use crate::services::{AccountError, Actor};

#[cfg(test)]
pub(super) use account::{AccountDetails, Said};
#[cfg(test)]
pub(super) use accounts::Search;
#[cfg(test)]
pub(super) use audit::Wanted;
#[cfg(test)]
pub(super) use invitations::InvitationsView;
#[cfg(test)]
pub(super) use mails::MailSearch;
#[cfg(test)]
pub(super) use overview::Overview;

pub(super) static AREA: Area = Area {
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
        visit: &Visit<'_>,
        member: Member<'_>,
        fields: Option<Fields>,
    ) -> Response<Bytes> {
        if let Some(mut fields) = fields {
            let place = AREA.at(match page {
                AdminPage::Invitations => invitations::PATH,
                AdminPage::Mails => mails::PATH,
                _ => accounts::PATH,
            });
            if let Err(asked) = self.require_proof(visit, member, place, &mut fields).await {
                return asked;
            }
            let by = Actor::administrator(member.session, &self.site.administrators)
                .because(fields.text("reason"));
            return match page {
                AdminPage::Account => self.change_account(visit, member, &fields, &by).await,
                AdminPage::Invitations => self.change_invitations(visit, member, &fields, &by).await,
                AdminPage::Mails => self.send_again(visit, &fields, &by).await,
                // The route lets no form get to the others.
                _ => self
                    .site
                    .refuse_visit(visit, &Refusal::new(Problem::MethodNotAllowed)),
            };
        }
        match page {
            AdminPage::Overview => self.overview_page(visit, member).await,
            AdminPage::Accounts => self.accounts_page(visit, member).await,
            AdminPage::Account => self.account_page(visit, member).await,
            AdminPage::Invitations => self.invitations_page(visit, member).await,
            AdminPage::Audit => self.audit_page(visit, member).await,
            AdminPage::Locks => self.locks_page(visit, member).await,
            AdminPage::Mails => self.mails_page(visit, member).await,
        }
    }
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
