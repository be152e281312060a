//! States of the administrators' pages.

use super::members::{account, key_list, live_session, sessions};
use super::*;
use crate::api::{
    AccessKeyList, AccountDetails, ChangedAccounts, LoggedRequest, RecentRequest, RequestReport, SessionList,
    UnchangedAccount,
};
use crate::ids::{InvitationId, MailId};
use crate::model::{
    Account, AccountStatus, AuditCursor, AuditEvent, AuditKind, AuditOutcome, Decision, Invitation,
    InvitationKind, Mail, MailKind, MailOrigin, MailState, QueuedMail, TokenDigest,
};
use crate::portal::account::activity;
use crate::portal::admin;
use crate::portal::admin::account::PageMessage;
use crate::portal::admin::accounts::{ListMessage, Search, TypedBatch};
use crate::portal::admin::add::AddForm;
use crate::portal::admin::audit::AuditSearch;
use crate::portal::admin::invitations::InvitationsView;
use crate::portal::admin::mails::MailSearch;
use crate::portal::admin::overview::Overview;
use crate::portal::admin::sessions::SessionSearch;
use crate::portal::signed_in::{SignedInRequest, SignedInUser};
use crate::route::AdminPage;
use crate::secret::Secret;
use crate::services::{
    AccountPage, AccountVersion, AuditPage, GroupSummary, InvitationPage, LoadedRows, LocksInForce, MailPage,
    SessionPage, SignInError,
};

fn at() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn waiting() -> Account {
    Account {
        status: AccountStatus::AwaitingApproval,
        email_verified: false,
        ..account()
    }
}

fn declined() -> Account {
    Account {
        status: AccountStatus::Declined,
        decision: Some(Decision {
            by: "<Mina> root".to_owned(),
            at: at(),
            reason: Some("<Mina> is not one of us".to_owned()),
        }),
        ..account()
    }
}

fn events() -> AuditPage {
    let event = |number: u64, event, outcome| {
        let failed = outcome == AuditOutcome::Failure;
        let place = AuditCursor {
            number,
            ..AuditCursor::at(at())
        };
        let event = AuditEvent {
            time: at(),
            event,
            outcome,
            reason: failed.then(|| "invalid-credentials".to_owned()),
            who: "<Mina>@harbour.example".to_owned(),
            account: None,
            by: (!failed).then(|| "root@harbour.example".to_owned()),
            why: (!failed).then(|| "<Mina> left".to_owned()),
            address: Some([192, 0, 2, 1].into()),
            request_id: Some("0190-request".to_owned()),
            user_agent: "Firefox".to_owned(),
            detail: Some("groups ops,dev".to_owned()),
        };
        (place, event)
    };
    let (place, invited) = event(3, AuditKind::InvitationCreate, AuditOutcome::Success);
    let invited = AuditEvent {
        by: Some("command (uid 0)".to_owned()),
        detail: Some("invitation 0190-id, groups <ops>, until 2027-01-15T08:00:00Z".to_owned()),
        ..invited
    };
    let (place_of_key, key) = event(0, AuditKind::SignIn, AuditOutcome::Failure);
    let key = AuditEvent {
        who: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        detail: Some("<no facts>".to_owned()),
        ..key
    };
    AuditPage {
        events: vec![
            (place, invited),
            event(2, AuditKind::GroupsChange, AuditOutcome::Success),
            event(1, AuditKind::SignIn, AuditOutcome::Failure),
            (place_of_key, key),
        ],
        unreadable: vec!["event 7 of the audit log: unknown version 9".to_owned()],
        next: Some(AuditCursor::at(at())),
    }
}

fn report() -> RequestReport {
    let request_id = "0190-request".to_owned();
    RequestReport {
        recent: Some(RecentRequest {
            request_id: request_id.clone(),
            time: at(),
            client: [192, 0, 2, 1].into(),
            method: Some("GET".to_owned()),
            host: "app.harbour.example".to_owned(),
            path: "/<ops>".to_owned(),
            user: Some("mina".to_owned()),
            groups: vec!["staff".to_owned()],
            route: Some("app.harbour.example/ops".to_owned()),
            status: 403,
            slug: Some("forbidden".to_owned()),
            reason: Some("<groups> ops".to_owned()),
        }),
        logged: Some(LoggedRequest {
            request_id,
            time: at(),
            client: [192, 0, 2, 1].into(),
            method: None,
            host: None,
            path: None,
            status: 403,
            user: None,
            route: None,
            upstream: Some("10.0.0.1:80".to_owned()),
            bytes: Some(1),
            duration_us: Some(1234),
        }),
        log_error: Some("access.log cannot be read".to_owned()),
        events: events().events.into_iter().map(|(_, event)| event).collect(),
    }
}

fn mails() -> MailPage {
    let random = Random::seeded(3);
    let mail = |topic, state| QueuedMail {
        mail: Mail {
            id: MailId::new(at(), &random),
            to: "mina@harbour.example".parse().unwrap(),
            topic,
            language: None,
            cause: MailOrigin {
                at: at(),
                address: None,
                by_administrator: true,
            },
        },
        attempts: 2,
        state,
        reason: Some("550 <Mina> unknown".to_owned()),
    };
    MailPage {
        mails: vec![
            mail(MailKind::Approved, MailState::Due(at())),
            mail(MailKind::Reset, MailState::Failed(at())),
        ],
        unreadable: vec!["mail 0190: unknown version 9".to_owned()],
        next: None,
    }
}

fn invitations() -> InvitationPage {
    let invitation = |n: u8, kind, email: Option<&str>| Invitation {
        email: email.map(|email| email.parse().unwrap()),
        groups: ["ops".to_owned()].into(),
        name: email.map(|_| "<Mina> 김".to_owned()),
        mailed: email.is_some(),
        created_by: Some(
            email
                .map_or("command (uid 0)", |_| "<root>@harbour.example")
                .to_owned(),
        ),
        ..Invitation::new(
            InvitationId::new(at(), &Random::seeded(n.into())),
            TokenDigest::from_bytes([n; 32]),
            kind,
            at(),
            at(),
        )
    };
    InvitationPage {
        invitations: vec![
            invitation(1, InvitationKind::FirstAdministrator, None),
            invitation(2, InvitationKind::Signup, Some("mina@harbour.example")),
        ],
        unreadable: vec!["invitation 0190: unknown version 9".to_owned()],
        next: Some(InvitationId::new(at(), &Random::seeded(3))),
    }
}

#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn states(request: &RequestContext<'_>) -> Vec<(&'static str, Response<Bytes>)> {
    let principal = principal();
    let session = live_session(false);
    let cx = &SignedInRequest {
        request: *request,
        user: SignedInUser {
            principal: &principal,
            session: &session,
        },
    };
    let details = |account, locked_for| {
        let sessions = sessions();
        let list = SessionList::page(&sessions, Some(session.id()), None);
        let keys = AccessKeyList::from(LoadedRows {
            sound: key_list(),
            unreadable: Vec::new(),
        });
        AccountDetails::new(account, locked_for, &sessions, list, keys)
    };
    let groups: &[String] = &["<ops>".to_owned(), "staff".to_owned()];
    let link = Secret::new(format!(
        "https://localhost:8443/.auth/reset?token={}",
        "T".repeat(43)
    ));
    let invalid = Refusal::new(Problem::InvalidInput);
    let refused_for = |field, text| PageMessage {
        refused: Some(cx.field_error(field, text).into()),
        ..PageMessage::default()
    };
    let unconfirmed = refused_for("confirm", "admin.must-confirm");
    let last = refused_for("action", "admin.last-administrator");
    let found = AccountPage {
        accounts: vec![waiting(), account()],
        unreadable: vec!["account 0190: unknown version 9".to_owned()],
        next: Some("after".to_owned()),
        previous: Some("before".to_owned()),
        total: Some(1234),
    };
    let changed = || ListMessage {
        changed: Some(ChangedAccounts {
            done: vec![account().into()],
            done_count: 1,
            refused: vec![UnchangedAccount {
                account: "<nobody>".to_owned(),
                email: None,
                problem: "not-found".to_owned(),
                detail: "There is nothing here.".to_owned(),
            }],
            refused_count: 1,
        }),
        ..ListMessage::default()
    };
    let unchosen = || ListMessage {
        refused: Some(cx.field_error("groups", "admin.choose-groups").into()),
        typed: TypedBatch {
            accounts: vec![format!(
                "{}:{}",
                account().id,
                AccountVersion::of(&account()).as_str()
            )],
            groups: "<ops>".to_owned(),
            reason: "<Mina> left".to_owned(),
        },
        ..ListMessage::default()
    };
    let none_chosen = ListMessage {
        refused: Some(cx.field_error("accounts", "admin.choose-some").into()),
        ..ListMessage::default()
    };
    let unsorted = ListMessage {
        refused: Some(cx.field_error("sort", "admin.not-in-list").into()),
        ..ListMessage::default()
    };
    let opens = |name: &str, member_count, routes: &[&str], administers| GroupSummary {
        name: name.to_owned(),
        member_count,
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        administers,
    };
    let guarded = vec![
        opens("<ops>", 2, &["localhost/operators", "app.example.com/<b>"], false),
        opens("gateway-admin", 1, &[], true),
        opens("typo", 0, &[], false),
    ];
    let add = AddForm {
        can_send: true,
        send: true,
        ..AddForm::default()
    };
    let added_wrong = AddForm {
        email: "<mina>".to_owned(),
        groups: "<ops>".to_owned(),
        ..AddForm::default()
    };
    let search = Search {
        q: "<Mina>".to_owned(),
        status: Some(AccountStatus::AwaitingApproval),
        group: "ops".to_owned(),
        sort: "-name".to_owned(),
    };
    let links = InvitationsView {
        links: vec!["https://localhost:8443/.auth/signup?invitation=T".to_owned()],
        ..InvitationsView::empty(false)
    };
    let mailed = InvitationsView {
        can_send: true,
        done: Some("admin.done-send"),
        ..InvitationsView::empty(false)
    };
    let errors = cx.field_error("count", "admin.count-refused");
    let refused = InvitationsView {
        count: "1000".to_owned(),
        alert: Some(cx.form_alert(&invalid, &errors, &["count"])),
        errors,
        ..InvitationsView::empty(true)
    };
    let gone = InvitationsView {
        done: Some("admin.links-gone"),
        q: "<Mina>".to_owned(),
        ..InvitationsView::empty(false)
    };
    let sessions_page = SessionPage {
        sessions: sessions(),
        count: 120,
        previous: Some(SessionId::new(at(), &Random::seeded(4))),
        next: Some(SessionId::new(at(), &Random::seeded(5))),
    };
    let of_mina = SessionSearch {
        account: "mina".to_owned(),
        found: Some(("0190-id".to_owned(), "mina@harbour.example".to_owned())),
    };
    let nothing = RequestReport {
        recent: None,
        logged: None,
        log_error: None,
        events: Vec::new(),
    };
    let locks = LocksInForce {
        accounts: vec![(account(), Duration::from_secs(1199))],
        access_keys: Vec::new(),
        unknown: 3,
        unreadable: vec!["the failures of account 0190: unknown version 9".to_owned()],
    };
    let place = admin::place(AdminPage::Accounts);
    let sent: Fields =
        serde_json::from_str(r#"{ "account": "mina", "action": "disable", "reason": "<Mina> left" }"#)
            .unwrap();
    let ok = http::StatusCode::OK;
    vec![
        (
            "admin",
            admin::overview::page(
                cx,
                &Overview {
                    session_count: 3,
                    waiting_count: 2,
                    locked_count: 1,
                    failed_mail_count: 4,
                },
            ),
        ),
        ("proof", reauthenticate::ask(cx, place, Some(&sent), None)),
        (
            "proof-wrong",
            reauthenticate::ask(cx, place, Some(&sent), Some(&SignInError::InvalidCredentials)),
        ),
        (
            "admin-accounts",
            admin::accounts::page(cx, &search, found.clone(), groups, ListMessage::default()),
        ),
        (
            "admin-accounts-none",
            admin::accounts::page(
                cx,
                &Search::default(),
                AccountPage::default(),
                groups,
                ListMessage::default(),
            ),
        ),
        (
            "admin-accounts-changed",
            admin::accounts::page(cx, &Search::default(), found.clone(), groups, changed()),
        ),
        (
            "admin-accounts-no-groups",
            admin::accounts::page(cx, &Search::default(), found.clone(), groups, unchosen()),
        ),
        (
            "admin-accounts-unchosen",
            admin::accounts::page(cx, &Search::default(), found, groups, none_chosen),
        ),
        (
            "admin-accounts-unsorted",
            admin::accounts::page(cx, &Search::default(), AccountPage::default(), groups, unsorted),
        ),
        ("admin-account-add", admin::add::page(cx, &add, groups, None)),
        (
            "admin-account-add-refused",
            admin::add::page(
                cx,
                &added_wrong,
                groups,
                Some(cx.field_error("email", "field.email-malformed").into()),
            ),
        ),
        ("admin-groups", admin::groups::page(cx, guarded)),
        ("admin-groups-none", admin::groups::page(cx, Vec::new())),
        (
            "admin-account-waiting",
            admin::account::page(cx, &details(waiting(), None), groups, PageMessage::default()),
        ),
        (
            "admin-account-locked",
            admin::account::page(
                cx,
                &details(account(), Some(Duration::from_secs(1199))),
                groups,
                PageMessage {
                    link: Some(&link),
                    ..PageMessage::default()
                },
            ),
        ),
        (
            "admin-account-unconfirmed",
            admin::account::page(cx, &details(declined(), None), groups, unconfirmed),
        ),
        (
            "admin-account-last",
            admin::account::page(cx, &details(account(), None), groups, last),
        ),
        (
            "admin-invitations",
            admin::invitations::page(cx, ok, invitations(), &links),
        ),
        (
            "admin-invitations-sent",
            admin::invitations::page(cx, ok, invitations(), &mailed),
        ),
        (
            "admin-invitations-gone",
            admin::invitations::page(cx, ok, InvitationPage::default(), &gone),
        ),
        (
            "admin-sessions",
            admin::sessions::page(cx, &SessionSearch::default(), &sessions_page),
        ),
        (
            "admin-sessions-of",
            admin::sessions::page(cx, &of_mina, &sessions_page),
        ),
        (
            "admin-sessions-none",
            admin::sessions::page(cx, &of_mina, &SessionPage::default()),
        ),
        (
            "admin-sessions-refused",
            admin::sessions::refused(
                cx,
                "nobody".to_owned(),
                cx.field_error("account", "admin.no-account"),
            ),
        ),
        (
            "admin-request",
            admin::request::page(cx, "0190-request", Some(&report())),
        ),
        ("admin-request-none", admin::request::page(cx, "", None)),
        (
            "admin-request-unknown",
            admin::request::page(cx, "0190-<request>", Some(&nothing)),
        ),
        (
            "admin-invitations-refused",
            admin::invitations::page(cx, invalid.problem, InvitationPage::default(), &refused),
        ),
        (
            "admin-audit",
            admin::audit::page(cx, &AuditSearch::default(), events()),
        ),
        ("account-activity", activity::page(cx, &events())),
        ("admin-locks", admin::locks::page(cx, locks)),
        (
            "admin-mails",
            admin::mails::page(cx, &MailSearch::default(), mails()),
        ),
    ]
}
