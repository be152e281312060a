//! `/.auth/admin/mails`: queued and failed mails; sends them now, and drops them.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{A_PAGE, place};
use crate::api::{MailList, ResentMails};
use crate::ids::MailId;
use crate::model::{MailKind, QueuedMail};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::response::with_query;
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::request::parse_decimal;
use crate::route::AdminPage;
use crate::services::{Actor, MailFilter, MailPage};

/// The search, as typed.
#[derive(Default, Serialize)]
pub(in crate::portal) struct MailSearch {
    to: String,
    topic: String,
    /// "waiting" or "failed".
    state: String,
}

impl MailSearch {
    fn filter(&self) -> Result<MailFilter, Refusal> {
        let topic = MailKind::NAMES.iter().find(|name| **name == self.topic).copied();
        let failed = match self.state.as_str() {
            "" => None,
            "waiting" => Some(false),
            "failed" => Some(true),
            _ => return Err(not_understood()),
        };
        if topic.is_none() && !self.topic.is_empty() {
            return Err(not_understood());
        }
        Ok(MailFilter {
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
        with_query(AdminPage::Mails.path(), &[&own, more].concat())
    }
}

#[derive(Serialize)]
struct MailsView<'a> {
    search: &'a MailSearch,
    topics: &'static [&'static str],
    /// The key of the text for what was done.
    done: Option<&'static str>,
    /// The message after sending all again.
    all_again: Option<String>,
    /// Whether one of the listed mails failed.
    failed: bool,
    found: MailList,
    next: Option<String>,
}

/// Parameters: `to`, `topic`, `state`, `after`.
pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    let search = MailSearch {
        to: cx.parameter("to").trim().to_owned(),
        topic: cx.parameter("topic"),
        state: cx.parameter("state"),
    };
    let (filter, after) = (search.filter()?, cx.cursor("after")?);
    let queries = &cx.services.admin_queries;
    let found = queries.find_mails(&filter, after, A_PAGE).await?;
    Ok(page(cx, &search, found))
}

/// Fields: `mail`, the id of a failed or waiting mail, with `action` none or "send", or "drop"; or `which`
/// "all", for the failed mails that match `to`, `topic` and `state`; `reason`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields, by: &Actor) -> PageResult {
    let (mails, origin) = (&cx.services.failed_mails, cx.origin());
    let search = MailSearch {
        to: fields.text("to").trim().to_owned(),
        topic: fields.text("topic").to_owned(),
        state: fields.text("state").to_owned(),
    };
    if fields.text("which") == "all" {
        let filter = search.filter()?;
        let wanted = |mail: &QueuedMail| filter.passes(mail);
        let again_count = mails.send_all_again(wanted, by, &origin).await?;
        let to = search.query(&[("done", "all"), ("count", &again_count.to_string())]);
        return Ok(cx.json_or_see_other(StatusCode::OK, &ResentMails { again_count }, &to));
    }
    let id = fields.text("mail").parse::<MailId>();
    let id = id.map_err(|_| Problem::NotFound)?;
    let (acted, done) = match fields.text("action") {
        "" | "send" => (mails.send_now(id, by, &origin).await?, "again"),
        "drop" => (mails.drop_mail(id, by, &origin).await?, "drop"),
        _ => return Err(Problem::InvalidInput.into()),
    };
    // In a browser, which shows the list, a mail that was sent meanwhile is told of.
    if !acted && cx.wants_json() {
        return Err(Problem::NotFound.into());
    }
    let done = if acted { done } else { "gone" };
    Ok(cx.nothing_or_see_other(&search.query(&[("done", done)])))
}

fn not_understood() -> Refusal {
    Refusal::because(
        Problem::InvalidInput,
        "no kind of mail, or no state of one, is called so",
    )
}

pub(in crate::portal) fn page(
    cx: &SignedInRequest<'_>,
    search: &MailSearch,
    found: MailPage,
) -> Response<Bytes> {
    let found = MailList::from(found);
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &found);
    }
    let done = cx.parameter("done");
    let count = parse_decimal(&cx.parameter("count")).filter(|_| done == "all");
    let texts = &cx.renderer.texts;
    let view = MailsView {
        search,
        topics: MailKind::NAMES,
        done: match done.as_str() {
            "again" => Some("admin.done-again"),
            "drop" => Some("admin.done-drop"),
            "gone" => Some("admin.done-gone"),
            _ => None,
        },
        all_again: count.map(|count| texts.count(cx.lang, "admin.done-all-again", count)),
        failed: found.mails.iter().any(|mail| mail.failed),
        next: found
            .next
            .map(|next| search.query(&[("after", &next.to_string())])),
        found,
    };
    let place = place(AdminPage::Mails);
    cx.page_with_nav(place, StatusCode::OK, "admin-mails.html", &view)
}
