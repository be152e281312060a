//! `/.auth/admin/mails`: what waits to be sent, and what could not be.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{A_PAGE, AREA, query};
use crate::ids::MailId;
use crate::model::{KeptMail, MailState};
use crate::portal::Portal;
use crate::portal::forms::Fields;
use crate::portal::login::refusal_of_store;
use crate::portal::member::Member;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
use crate::refusal::{Problem, Refusal};
use crate::services::Actor;

pub(super) const PATH: &str = "/.auth/admin/mails";

#[derive(Serialize)]
struct Mails<'a> {
    mails: Vec<Row<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: String,
    to: &'a str,
    topic: &'static str,
    attempts: u32,
    failed: bool,
    /// When it is tried, or failed for good.
    at: String,
    /// What the mail server said last.
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct MailsView<'a> {
    again: bool,
    found: Mails<'a>,
    next: Option<String>,
}

impl Portal {
    /// `after`
    pub(super) async fn mails_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        let after = visit.parameter("after").parse().ok();
        match self.services.inspection.mails(after, A_PAGE + 1).await {
            Ok(mails) => self.site.mails(visit, member, &mails),
            Err(error) => self.site.refuse_visit(visit, &refusal_of_store(&error)),
        }
    }

    /// `mail`: the id of one that failed; `reason`
    pub(super) async fn send_again(&self, visit: &Visit<'_>, fields: &Fields, by: &Actor) -> Response<Bytes> {
        let Ok(id) = fields.text("mail").parse::<MailId>() else {
            return self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound));
        };
        let failed = &self.services.failed_mails;
        match failed.send_again(id, by, &visit.origin()).await {
            Ok(true) if visit.wants == Wants::Json => self.site.nothing(visit),
            Ok(true) => self.site.see_other(visit, &query(PATH, &[("done", "again")])),
            Ok(false) => self.site.refuse_visit(visit, &Refusal::new(Problem::NotFound)),
            Err(error) => self.site.refuse_visit(visit, &refusal_of_store(&error)),
        }
    }
}

impl Site {
    /// One mail more than a page has tells that there is another page.
    pub(in crate::portal) fn mails(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        mails: &[KeptMail],
    ) -> Response<Bytes> {
        let rows: Vec<Row<'_>> = mails.iter().take(A_PAGE).map(Row::of).collect();
        let has_more = mails.len() > A_PAGE;
        let found = Mails {
            next: rows.last().filter(|_| has_more).map(|row| row.id.clone()),
            mails: rows,
        };
        if visit.wants == Wants::Json {
            return self.json(visit, StatusCode::OK, &found);
        }
        let view = MailsView {
            again: visit.parameter("done") == "again",
            next: found.next.as_deref().map(|next| query(PATH, &[("after", next)])),
            found,
        };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "admin-mails.html",
            &view,
        )
    }
}

impl<'a> Row<'a> {
    fn of(kept: &'a KeptMail) -> Self {
        let (failed, at) = match kept.state {
            MailState::Due(at) => (false, at),
            MailState::Failed(at) => (true, at),
        };
        Self {
            id: kept.mail.id.to_string(),
            to: kept.mail.to.as_str(),
            topic: kept.mail.topic.as_str(),
            attempts: kept.attempts,
            failed,
            at: at.to_string(),
            reason: kept.reason.as_deref(),
        }
    }
}
