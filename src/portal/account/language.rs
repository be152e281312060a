//! `/.auth/account/language`: the language of mails, and of pages in this browser.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{done, find_account, place};
use crate::portal::forms::Fields;
use crate::portal::page_context::{PageResult, SignedInContext};
use crate::portal::signed_in::SignedInRequest;
use crate::refusal::{Problem, Refusal};
use crate::route::AccountPage;
use crate::text::Lang;

#[derive(Serialize)]
struct LanguageView<'a> {
    languages: Vec<Choice<'a>>,
    saved: bool,
}

#[derive(Serialize)]
struct Choice<'a> {
    tag: &'a str,
    name: &'a str,
    chosen: bool,
}

#[derive(Serialize)]
struct LanguageDocument<'a> {
    language: Option<&'a str>,
}

pub(super) async fn get(cx: &SignedInContext<'_>) -> PageResult {
    Ok(page(cx, find_account(cx).await?.language.as_deref()))
}

/// Fields: `language`.
pub(super) async fn post(cx: &SignedInContext<'_>, fields: &Fields) -> PageResult {
    let texts = &cx.renderer.texts;
    let chosen = |lang: &Lang| texts.tag(*lang) == fields.text("language");
    let Some(lang) = texts.languages().find(chosen) else {
        let refusal = Refusal::new(Problem::InvalidInput);
        if !cx.wants_json() {
            return Err(refusal.into());
        }
        let errors = cx.field_error("language", "account.language-refused");
        return Ok(cx.refuse_fields(&refusal, errors));
    };
    let settings = &cx.services.account_settings;
    let account = settings
        .change_language(cx.user.session, texts.tag(lang), &cx.origin())
        .await?;
    if cx.wants_json() {
        let language = account.language.as_deref();
        return Ok(cx.json(StatusCode::OK, &LanguageDocument { language }));
    }
    let mut response = cx.see_other(&done(AccountPage::Language, "language"));
    cx.renderer.remember_language(&mut response, lang);
    Ok(response)
}

pub(in crate::portal) fn page(cx: &SignedInRequest<'_>, language: Option<&str>) -> Response<Bytes> {
    if cx.wants_json() {
        return cx.json(StatusCode::OK, &LanguageDocument { language });
    }
    let (texts, chosen) = (&cx.renderer.texts, language.unwrap_or(cx.tag));
    let choice = |lang| Choice {
        tag: texts.tag(lang),
        name: texts.get(lang, "language.name"),
        chosen: texts.tag(lang) == chosen,
    };
    let view = LanguageView {
        languages: texts.languages().map(choice).collect(),
        saved: cx.parameter("done") == "language",
    };
    cx.page_with_nav(
        place(AccountPage::Language),
        StatusCode::OK,
        "account-language.html",
        &view,
    )
}
