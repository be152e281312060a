//! `/.auth/admin` and below: what administrators see and decide. One file a page.

mod overview;

use bytes::Bytes;
use http::Response;

use super::Portal;
use super::forms::Fields;
use super::member::{Area, Member};
use super::visit::Visit;
use crate::route::AdminPage;

#[cfg(test)]
pub(super) use overview::Overview;

static AREA: Area = Area {
    title: "admin.nav",
    pages: &[("/.auth/admin", "admin.nav-overview")],
};

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
        match (page, fields) {
            (AdminPage::Overview, None) => self.overview_page(visit, member),
            (AdminPage::Overview, Some(mut fields)) => {
                match self
                    .require_proof(visit, member, AREA.at("/.auth/admin"), &mut fields)
                    .await
                {
                    Ok(()) => self.overview_page(visit, member),
                    Err(asked) => asked,
                }
            }
        }
    }
}
