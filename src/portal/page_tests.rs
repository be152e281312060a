//! Snapshots of every state of every page, rendered without services in each language, and files to look at.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Response};

use super::login::LoginView;
use super::signup::SignUpView;
use super::*;
use crate::clock::Clock;
use crate::ids::{AccountId, SessionId};
use crate::model::SignInMethod;
use crate::random::Random;
use crate::request::{ClientAddress, RequestIds};
use crate::services::{FieldError, PasswordRule, SignUpField};
use crate::text::Lang;
use jiff::Timestamp;

mod administration;
mod keys;
mod links;
mod members;
mod samples;

fn site() -> PageRenderer {
    let mut config = Config::default();
    config.branding.name = "Harbour & Sons".to_owned();
    config.branding.contact = "it@harbour.example".to_owned();
    config.branding.links = vec![crate::config::Link {
        text: "Status".to_owned(),
        url: "https://status.example".to_owned(),
    }];
    config.login.iam = true;
    config.login.change_username = true;
    config.signup.terms_url = "https://harbour.example/terms".to_owned();
    config.signup.privacy_url = "https://harbour.example/privacy".to_owned();
    let hosts = vec!["localhost".parse().unwrap(), "app.example.com".parse().unwrap()];
    PageRenderer::new(&config, hosts).unwrap()
}

fn principal() -> Principal {
    let random = Random::seeded(1);
    let (clock, _) = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    Principal {
        account: AccountId::new(clock.now(), &random),
        username: "mina".parse().unwrap(),
        former_usernames: Vec::new(),
        email: "mina@harbour.example".parse().unwrap(),
        email_verified: true,
        name: "<Mina> 김".to_owned(),
        groups: ["ops".to_owned(), "staff".to_owned()].into(),
        method: SignInMethod::Password,
        session: Some(SessionId::new(clock.now(), &random)),
        expires_at: clock.now() + Duration::from_hours(24 * 7),
    }
}

/// Calls `look` with a request for this URL.
fn with_head<T>(
    method: &Method,
    address: &str,
    headers: &[(&'static str, &'static str)],
    look: impl FnOnce(&RequestHead<'_>) -> T,
) -> T {
    let headers: HeaderMap = headers
        .iter()
        .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
    let (path, query) = address
        .split_once('?')
        .map_or((address, None), |(p, q)| (p, Some(q)));
    let client = ClientAddress {
        address: "192.0.2.1".parse().unwrap(),
        through_trusted_proxy: false,
        is_known: true,
    };
    look(&RequestHead {
        method,
        host: &"localhost".parse().unwrap(),
        scheme: "https",
        authority: "localhost:8443",
        path,
        query,
        headers: &headers,
        client: &client,
        id: RequestIds::new(&Random::seeded(1)).next(),
    })
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn states(renderer: &PageRenderer, lang: &'static str) -> Vec<(&'static str, Response<Bytes>)> {
    with_head(
        &Method::GET,
        "/.auth/login?rd=%2Fa%3Fb",
        &[("accept-language", lang), ("accept", "text/html")],
        |head| {
            let cx = &renderer.request(head);
            let user = principal();
            let view = || LoginView {
                login: "mina@harbour.example".to_owned(),
                rd: "/a?b".to_owned(),
                signup: "open",
                reset: true,
                ..LoginView::default()
            };
            let signup = || SignUpView {
                terms: renderer.terms_url.clone(),
                privacy: renderer.privacy_url.clone(),
                ..SignUpView::default()
            };
            let locked = Refusal::new(Problem::Locked).retry_after(Duration::from_secs(1199));
            let faults = [
                (SignUpField::Email, FieldError::EmailTaken),
                (SignUpField::Username, FieldError::UsernameCharacters),
                (
                    SignUpField::Password,
                    FieldError::Password(PasswordRule::TooShort(8)),
                ),
                (SignUpField::Password, FieldError::Password(PasswordRule::NoDigit)),
                (SignUpField::PasswordConfirm, FieldError::PasswordsDiffer),
                (SignUpField::Agree, FieldError::MustAgree),
            ];
            let typed = SignUpView {
                email: "mina@harbour.example".to_owned(),
                username: "Mina!".to_owned(),
                ..signup()
            };
            let invited = SignUpView {
                email: "mina@harbour.example".to_owned(),
                email_bound: true,
                invitation: "T".repeat(43),
                administrator: true,
                ..signup()
            };
            let mut headers = HeaderMap::new();
            headers.insert("remote-user", "mina".parse().unwrap());
            headers.insert(
                "remote-name",
                HeaderValue::from_bytes("<Mina> 김".as_bytes()).unwrap(),
            );
            headers.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
            let admitted = |principal| DemoRequest {
                visitor: Visitor {
                    principal,
                    session: None,
                },
                upstream_headers: &headers,
                route: "localhost/".to_owned(),
                allow: "authenticated",
            };
            let refused = |problem| cx.refuse(&Refusal::because(problem, "SECRET CAUSE"));
            let labelled = LoginView {
                login: String::new(),
                iam: Some("/.auth/login/iam".to_owned()),
                iam_label: "Sign in with your <IAM> key".to_owned(),
                ..view()
            };
            let mut states = vec![
                (
                    "login",
                    cx.page(
                        http::StatusCode::OK,
                        "login.html",
                        &LoginView {
                            login: String::new(),
                            iam: Some("/.auth/login/iam?rd=%2Fa%3Fb".to_owned()),
                            ..view()
                        },
                    ),
                ),
                (
                    "login-incomplete",
                    login::refused(
                        cx,
                        LoginView {
                            login: String::new(),
                            by_username: true,
                            signup: "invite",
                            ..view()
                        },
                        login::missing(cx, "", "").into(),
                    ),
                ),
                (
                    "login-failed",
                    login::refused(cx, view(), Refusal::new(Problem::InvalidCredentials).into()),
                ),
                (
                    "login-labelled",
                    cx.page(http::StatusCode::OK, "login.html", &labelled),
                ),
                ("login-must-agree", login::must_agree(cx, view())),
                ("login-locked", login::refused(cx, view(), locked.into())),
                ("signed-in", login::signed_in_page(cx, &user, &cx.return_to("/a"))),
                ("logout", logout::page(cx, Some(&user))),
                ("signup", cx.page(http::StatusCode::OK, "signup.html", &signup())),
                (
                    "signup-administrator",
                    cx.page(http::StatusCode::OK, "signup.html", &invited),
                ),
                (
                    "signup-failed",
                    signup::refused(cx, typed, &faults, Refusal::new(Problem::InvalidInput)),
                ),
                ("signup-done", signup::get_done(cx)),
                ("closed", refused(Problem::SignupClosed)),
                (
                    "forbidden",
                    cx.refuse_as(&Refusal::because(Problem::Forbidden, "SECRET CAUSE"), Some(&user)),
                ),
                ("forbidden-by-key", refused(Problem::Forbidden)),
                ("unreachable", refused(Problem::UpstreamUnreachable)),
                ("problem", problem_pages::page(cx, Problem::Locked)),
                ("problems", problem_pages::list(cx)),
                ("demo", demo::page(cx, &admitted(Some(&user)))),
                ("demo-anonymous", demo::page(cx, &admitted(None))),
            ];
            states.extend(keys::states(cx));
            states.extend(members::states(cx));
            states.extend(links::states(cx));
            states.extend(administration::states(cx));
            states
        },
    )
}

fn body(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[test]
fn every_state_in_every_language() {
    let site = site();
    for lang in ["en", "ko"] {
        for (name, response) in states(&site, lang) {
            insta::assert_snapshot!(format!("{name}.{lang}"), body(&response));
        }
    }
}

#[test]
fn pages_are_escaped_complete_and_tell_no_cause() {
    let site = site();
    for (name, response) in states(&site, "en") {
        let page = body(&response);
        assert!(!page.contains("<Mina>"), "{name}: unescaped");
        assert!(!page.contains("SECRET CAUSE"), "{name}: tells the cause");
        assert!(
            !page.contains("style=") && !page.contains("<script>"),
            "{name}: inline"
        );
        assert_eq!(
            page.contains("<title>Error:"),
            !response.status().is_success(),
            "{name}: title"
        );
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.ends_with("form-action 'self' https://localhost:8443 https://app.example.com:8443"));
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}

#[test]
fn the_login_page_and_its_assets_are_small() {
    let site = site();
    let assets = [&site.assets.style, &site.assets.script, &site.assets.icon];
    let assets: usize = assets
        .iter()
        .map(|path| site.assets.at(path).unwrap().body().len())
        .sum();
    let login = states(&site, "ko").remove(0).1.body().len();
    assert!(assets + login < 30 * 1024, "{} bytes", assets + login);
}

#[test]
fn every_kind_of_problem_is_explained() {
    let site = site();
    for problem in Problem::ALL {
        let path = format!("/.auth/problems/{}", problem.slug());
        with_head(&Method::GET, &path, &[], |head| {
            let response = problem_pages::get(&site.request(head)).unwrap();
            assert_eq!(response.status(), 200);
            assert!(
                body(&response).contains(
                    site.texts
                        .find(Lang::default(), &format!("problem.{}.title", problem.slug()))
                        .unwrap()
                )
            );
        });
    }
    with_head(&Method::GET, "/.auth/problems/nothing", &[], |head| {
        let request = &site.request(head);
        let refused = problem_pages::get(request).unwrap_err();
        assert_eq!(refused.into_response(request).status(), 404);
    });
}

#[test]
fn a_browser_is_led_to_the_login_page_and_a_program_is_told() {
    let site = site();
    let refusal = Refusal::new(Problem::NotAuthenticated);
    for headers in [
        [("accept", "text/html,*/*;q=0.8")].as_slice(),
        &[("sec-fetch-mode", "navigate")],
    ] {
        with_head(&Method::GET, "/a%20b?c=d&e", headers, |head| {
            let response = site.refuse(head, &refusal, None);
            assert_eq!(response.status(), 303);
            assert_eq!(
                response.headers()["location"],
                "/.auth/login?rd=%2Fa%2520b%3Fc%3Dd%26e"
            );
        });
    }
    for (method, headers) in [
        (Method::GET, [("accept", "*/*")].as_slice()),
        (Method::OPTIONS, &[]),
        (Method::GET, &[("accept", "application/json")]),
    ] {
        with_head(&method, "/a", headers, |head| {
            let response = site.refuse(head, &refusal, None);
            assert_eq!(response.status(), 401);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            assert!(
                challenge.contains("Session realm=\"Harbour  Sons\""),
                "{challenge}"
            );
            let document: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(
                document["type"],
                "https://localhost:8443/.auth/problems/not-authenticated"
            );
            assert_eq!(document["status"], 401);
            assert_eq!(document["request_id"], head.id.to_string());
        });
    }
}

#[test]
fn a_wait_is_told_to_programs_and_to_people() {
    let site = site();
    let refusal = Refusal::new(Problem::Locked).retry_after(Duration::from_millis(1_199_500));
    with_head(&Method::GET, "/", &[("accept-language", "ko")], |head| {
        let response = site.refuse(head, &refusal, None);
        assert_eq!(response.headers()["retry-after"], "1200");
        assert!(body(&response).contains("20분 후에"));
    });
}

#[test]
fn a_chosen_language_is_remembered() {
    let site = site();
    with_head(
        &Method::GET,
        "/.auth/logout?lang=ko",
        &[("accept-language", "en")],
        |head| {
            let response = logout::page(&site.request(head), None);
            assert!(body(&response).contains("<html lang=\"ko\">"));
            assert!(
                response.headers()["set-cookie"]
                    .to_str()
                    .unwrap()
                    .starts_with("__Host-vestibule-lang=ko; Path=/")
            );
        },
    );
}

/// Writes the pages and their assets to the folder in `VESTIBULE_GALLERY`, to be looked at.
#[test]
fn gallery() {
    let Some(folder) = std::env::var_os("VESTIBULE_GALLERY").map(std::path::PathBuf::from) else {
        return;
    };
    let site = site();
    for path in [&site.assets.style, &site.assets.script, &site.assets.icon] {
        let file = folder.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, site.assets.at(path).unwrap().body()).unwrap();
    }
    for lang in ["en", "ko"] {
        for (name, response) in states(&site, lang) {
            std::fs::write(folder.join(format!("{name}.{lang}.html")), response.body()).unwrap();
        }
    }
}
