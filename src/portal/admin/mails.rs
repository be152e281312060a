//! `/.auth/admin/mails`: what waits to be sent, and what could not be.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{A_PAGE, AREA, query};
use crate::ids::MailId;
use crate::model::{MailKind, MailState, QueuedMail};
use crate::portal::Portal;
use crate::portal::forms::Fields;
use crate::portal::login::refusal_of_store;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::portal::signed_in::SignedInUser;
use crate::refusal::{Problem, Refusal};
use crate::services::{Actor, MailFilter, MailPage};

pub(super) const PATH: &str = "/.auth/admin/mails";

#[derive(Serialize)]
struct Mails<'a> {
    mails: Vec<MailRow<'a>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct MailRow<'a> {
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

/// What is looked for, as it was asked.
#[derive(Default, Serialize)]
pub(in crate::portal) struct MailSearch {
    to: String,
    topic: String,
    /// "waiting" or "failed"
    state: String,
}

impl MailSearch {
    /// What is looked for; `None` where it cannot be understood.
    fn filter(&self) -> Option<MailFilter> {
        let topic = MailKind::NAMES.iter().find(|name| **name == self.topic).copied();
        let failed = match self.state.as_str() {
            "" => None,
            "waiting" => Some(false),
            "failed" => Some(true),
            _ => return None,
        };
        (self.topic.is_empty() || topic.is_some()).then(|| MailFilter {
            to: self.to.clone(),
            topic,
            failed,
        })
    }

    fn query(&self, more: &[(&str, &str)]) -> String {
        let own = [
            ("to", &*self.to),
            ("topic", &*self.topic),
            ("state", &*self.state),
        ];
        query(PATH, &[&own, more].concat())
    }
}

#[derive(Serialize)]
struct ResentMails {
    again: usize,
}

#[derive(Serialize)]
struct MailsView<'a> {
    search: &'a MailSearch,
    topics: &'static [&'static str],
    again: bool,
    /// What all at once came to.
    all_again: Option<String>,
    /// One of those that are shown failed.
    failed: bool,
    found: Mails<'a>,
    next: Option<String>,
}

impl Portal {
    /// `to`, `topic`, `state`, `after`
    pub(super) async fn mails_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        let search = MailSearch {
            to: context.parameter("to").trim().to_owned(),
            topic: context.parameter("topic"),
            state: context.parameter("state"),
        };
        let Some(filter) = search.filter() else {
            return self.renderer.refuse_visit(context, &not_understood());
        };
        let after = context.parameter("after").parse().ok();
        match self
            .services
            .admin_queries
            .find_mails(&filter, after, A_PAGE)
            .await
        {
            Ok(page) => self.renderer.mails(context, user, &search, &page),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of_store(&error)),
        }
    }

    /// `which`: "all" of those that failed, among them that `to`, `topic` and `state` let through; `reason`
    async fn send_all_again(
        &self,
        context: &RequestContext<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        let search = MailSearch {
            to: fields.text("to").trim().to_owned(),
            topic: fields.text("topic").to_owned(),
            state: fields.text("state").to_owned(),
        };
        let Some(filter) = search.filter() else {
            return self.renderer.refuse_visit(context, &not_understood());
        };
        let failed = &self.services.failed_mails;
        match failed.send_all_again(&filter, by, &context.origin()).await {
            Ok(again) if context.wants == ResponseFormat::Json => {
                self.renderer
                    .json(context, StatusCode::OK, &ResentMails { again })
            }
            Ok(again) => {
                let done = [("done", "all"), ("count", &*again.to_string())];
                self.renderer.see_other(context, &search.query(&done))
            }
            Err(error) => self.renderer.refuse_visit(context, &refusal_of_store(&error)),
        }
    }

    /// `mail`: the id of one that failed; `reason`
    pub(super) async fn send_again(
        &self,
        context: &RequestContext<'_>,
        fields: &Fields,
        by: &Actor,
    ) -> Response<Bytes> {
        if fields.text("which") == "all" {
            return self.send_all_again(context, fields, by).await;
        }
        let Ok(id) = fields.text("mail").parse::<MailId>() else {
            return self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::NotFound));
        };
        let failed = &self.services.failed_mails;
        match failed.send_again(id, by, &context.origin()).await {
            Ok(true) if context.wants == ResponseFormat::Json => self.renderer.nothing(context),
            Ok(true) => self
                .renderer
                .see_other(context, &query(PATH, &[("done", "again")])),
            Ok(false) => self
                .renderer
                .refuse_visit(context, &Refusal::new(Problem::NotFound)),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of_store(&error)),
        }
    }
}

fn not_understood() -> Refusal {
    Refusal::because(
        Problem::InvalidInput,
        "no kind of mail, or no state of one, is called so",
    )
}

impl PageRenderer {
    pub(in crate::portal) fn mails(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        search: &MailSearch,
        page: &MailPage,
    ) -> Response<Bytes> {
        let found = Mails {
            next: page.next.map(|next| next.to_string()),
            mails: page.mails.iter().map(MailRow::of).collect(),
        };
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, &found);
        }
        let done = context.parameter("done");
        let count = context.parameter("count").parse().ok().filter(|_| done == "all");
        let view = MailsView {
            search,
            topics: MailKind::NAMES,
            again: done == "again",
            all_again: count.map(|count| self.texts.count(context.lang, "admin.done-all-again", count)),
            failed: found.mails.iter().any(|mail| mail.failed),
            next: found.next.as_deref().map(|next| search.query(&[("after", next)])),
            found,
        };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            StatusCode::OK,
            "admin-mails.html",
            &view,
        )
    }
}

impl<'a> MailRow<'a> {
    fn of(kept: &'a QueuedMail) -> Self {
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
