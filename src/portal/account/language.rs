//! `/.auth/account/language`: in which language mails speak to me, and pages in this browser.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{AREA, Member, refusal_of};
use crate::portal::Portal;
use crate::portal::alert::Errors;
use crate::portal::forms::Fields;
use crate::portal::site::Site;
use crate::portal::visit::{Visit, Wants};
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
struct Document<'a> {
    language: Option<&'a str>,
}

impl Portal {
    pub(super) async fn language_page(&self, visit: &Visit<'_>, member: Member<'_>) -> Response<Bytes> {
        match self.services.own_account.find(member.principal.account).await {
            Ok(account) => self
                .site
                .language_page(visit, member, account.language.as_deref()),
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
        }
    }

    /// `language`
    pub(super) async fn change_language(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        fields: &Fields,
    ) -> Response<Bytes> {
        let texts = &self.site.texts;
        let chosen = |lang: &Lang| texts.tag(*lang) == fields.text("language");
        let Some(lang) = texts.languages().find(chosen) else {
            let refusal = Refusal::new(Problem::InvalidInput);
            if visit.wants == Wants::Html {
                return self.site.refuse_visit(visit, &refusal);
            }
            let message = self.site.texts.get(visit.lang, "account.language-refused");
            let errors = Errors::from([("language", message.to_owned())]);
            return self.site.refuse_fields(visit, &refusal, errors);
        };
        let own = &self.services.own_account;
        match own
            .change_language(member.session, texts.tag(lang), &visit.origin())
            .await
        {
            Err(error) => self.site.refuse_visit(visit, &refusal_of(&error)),
            Ok(account) if visit.wants == Wants::Json => {
                let language = account.language.as_deref();
                self.site.json(visit, StatusCode::OK, &Document { language })
            }
            Ok(_) => {
                let to = "/.auth/account/language?done=language";
                let mut response = self.site.see_other(visit, to);
                self.site.remember_language(&mut response, lang);
                response
            }
        }
    }
}

impl Site {
    pub(in crate::portal) fn language_page(
        &self,
        visit: &Visit<'_>,
        member: Member<'_>,
        language: Option<&str>,
    ) -> Response<Bytes> {
        if visit.wants == Wants::Json {
            return self.json(visit, StatusCode::OK, &Document { language });
        }
        let chosen = language.unwrap_or(visit.tag);
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
            saved: visit.parameter("done") == "language",
        };
        self.member_page(
            visit,
            member,
            AREA.at(PATH),
            StatusCode::OK,
            "account-language.html",
            &view,
        )
    }
}
