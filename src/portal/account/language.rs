//! `/.auth/account/language`: in which language mails speak to me, and pages in this browser.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, SignedInUser, refusal_of};
use crate::portal::Portal;
use crate::portal::form_errors::Errors;
use crate::portal::forms::Fields;
use crate::portal::renderer::PageRenderer;
use crate::portal::request_context::{RequestContext, ResponseFormat};
use crate::refusal::{Problem, Refusal};
use crate::text::Lang;

const PATH: &str = "/.auth/account/language";

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

impl Portal {
    pub(super) async fn language_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
    ) -> Response<Bytes> {
        match self.services.account_settings.find(user.principal.account).await {
            Ok(account) => self
                .renderer
                .language_page(context, user, account.language.as_deref()),
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
        }
    }

    /// `language`
    pub(super) async fn change_language(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let texts = &self.renderer.texts;
        let chosen = |lang: &Lang| texts.tag(*lang) == fields.text("language");
        let Some(lang) = texts.languages().find(chosen) else {
            let refusal = Refusal::new(Problem::InvalidInput);
            if context.wants == ResponseFormat::Html {
                return self.renderer.refuse_visit(context, &refusal);
            }
            let message = self.renderer.texts.get(context.lang, "account.language-refused");
            let errors = Errors::from([("language", message.to_owned())]);
            return self.renderer.refuse_fields(context, &refusal, errors);
        };
        let own = &self.services.account_settings;
        match own
            .change_language(user.session, texts.tag(lang), &context.origin())
            .await
        {
            Err(error) => self.renderer.refuse_visit(context, &refusal_of(&error)),
            Ok(account) if context.wants == ResponseFormat::Json => {
                let language = account.language.as_deref();
                self.renderer
                    .json(context, StatusCode::OK, &LanguageDocument { language })
            }
            Ok(_) => {
                let to = "/.auth/account/language?done=language";
                let mut response = self.renderer.see_other(context, to);
                self.renderer.remember_language(&mut response, lang);
                response
            }
        }
    }
}

impl PageRenderer {
    pub(in crate::portal) fn language_page(
        &self,
        context: &RequestContext<'_>,
        user: SignedInUser<'_>,
        language: Option<&str>,
    ) -> Response<Bytes> {
        if context.wants == ResponseFormat::Json {
            return self.json(context, StatusCode::OK, &LanguageDocument { language });
        }
        let chosen = language.unwrap_or(context.tag);
        let view = LanguageView {
            languages: self
                .texts
                .languages()
                .map(|lang| Choice {
                    tag: self.texts.tag(lang),
                    name: self.texts.get(lang, "language.name"),
                    chosen: self.texts.tag(lang) == chosen,
                })
                .collect(),
            saved: context.parameter("done") == "language",
        };
        self.member_page(
            context,
            user,
            AREA.at(PATH),
            StatusCode::OK,
            "account-language.html",
            &view,
        )
    }
}
