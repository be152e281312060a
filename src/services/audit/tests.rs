use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::quota::{AT_ONCE as FLOOD, SUMMED_UP_EVERY};
use super::*;
use crate::model::AuditOutcome;
use crate::services::Actor;
use crate::services::test_support::{EMAIL, TestEnv, client, unwritable_audit_log};
use crate::store::AuditSubject;

impl TestEnv {
    async fn recorded(&self, filter: AuditFilter) -> Vec<AuditEvent> {
        let read = self
            .services
            .audit
            .read(filter, AuditOrder::OldestFirst, None, 100);
        read.await
            .unwrap()
            .events
            .into_iter()
            .map(|(_, event)| event)
            .collect()
    }
}

#[tokio::test]
async fn s51_one_line_an_event_whatever_is_in_it() {
    let world = TestEnv::with(|config| {
        config.audit.file = config.audit.file.with_file_name("sub").join("audit.jsonl");
        config.audit.mode = AuditMode::Required;
    })
    .await;
    let audit = &world.services.audit;
    let origin = Origin {
        user_agent: "é".repeat(300),
        ..client()
    };
    let event = Event::failure(Kind::SignIn, "a\r\n{\"forged\":1}\u{2028}", "locked");
    audit.record(&origin, &event).await.unwrap();
    let by = Actor::operator("root").because("asked for it");
    let second = Event::success(Kind::Unlock, "b").by(&by);
    audit.record(&Origin::default(), &second).await.unwrap();

    let file: PathBuf = world.config.audit.file.clone();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    let first: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(first["time"], "2026-01-01T00:00:00.000000Z");
    assert_eq!(first["event"], "sign-in");
    assert_eq!(first["outcome"], "failure");
    assert_eq!(first["reason"], "locked");
    assert_eq!(first["user"], event.who);
    assert_eq!(first["client"], "192.0.2.1");
    assert_eq!(first["user_agent"], "é".repeat(256));
    assert_eq!(
        lines[1],
        r#"{"time":"2026-01-01T00:00:00.000000Z","log":"audit","level":"info","request_id":null,"client":null,"user":"b","event":"unlock","outcome":"success","reason":null,"account":null,"by":"root","why":"asked for it","user_agent":null,"detail":null}"#
    );
    let permissions = std::fs::metadata(&file).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);

    let written: Vec<AuditEvent> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let recorded = world.recorded(AuditFilter::default()).await;
    assert_eq!(recorded, written, "the store has what the lines say");
}

#[tokio::test]
async fn s52_a_record_that_cannot_be_written() {
    let event = Event::success(Kind::SignOut, "a");
    let lenient = TestEnv::with(|config| config.audit.file = PathBuf::from("/dev/full")).await;
    let recorded = lenient.services.audit.record(&Origin::default(), &event).await;
    assert_eq!(recorded, Ok(()));
    // The line is lost, the row is not.
    assert_eq!(lenient.recorded(AuditFilter::default()).await.len(), 1);

    let strict = TestEnv::with(unwritable_audit_log).await;
    let recorded = strict.services.audit.record(&Origin::default(), &event).await;
    assert_eq!(recorded, Err(AuditError));
}

#[tokio::test]
async fn an_event_is_found_by_account_and_by_name() {
    let world = TestEnv::with_ann(|_| {}).await;
    world.fail("Ann@Example.com", 1).await;
    world
        .sign_in(EMAIL, crate::services::test_support::PASSWORD)
        .await
        .unwrap();
    let ann = world.services.accounts.find(EMAIL).await.unwrap();
    let about = |subject| AuditFilter {
        about: vec![subject],
        ..AuditFilter::default()
    };
    let seen: Vec<(Kind, AuditOutcome)> = world
        .recorded(about(AuditSubject::Account(ann.id)))
        .await
        .iter()
        .map(|event| (event.event, event.outcome))
        .collect();
    assert_eq!(
        seen,
        [
            (Kind::AccountAdd, AuditOutcome::Success),
            (Kind::SignIn, AuditOutcome::Failure),
            (Kind::SignIn, AuditOutcome::Success),
        ]
    );
    assert_eq!(world.recorded(about(AuditSubject::name(EMAIL))).await.len(), 3);
    assert_eq!(world.recorded(about(AuditSubject::name("test"))).await.len(), 1);
}

#[tokio::test]
async fn events_are_kept_as_long_as_the_configuration_says() {
    let world = TestEnv::with(|config| config.audit.keep.0 = Duration::from_hours(24)).await;
    let audit = &world.services.audit;
    audit.note(&client(), &Event::success(Kind::SignOut, "old"));
    audit.flush().await;
    world.hand.advance(Duration::from_hours(24));
    audit.note(&client(), &Event::success(Kind::SignOut, "new"));
    audit.flush().await;
    world.hand.advance(Duration::from_secs(1));
    // Old events are pruned when the services start, and periodically.
    world.restarted(4).await.audit.stop().await;
    let recorded = world.recorded(AuditFilter::default()).await;
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(recorded[0].who, "new");
}

#[tokio::test]
async fn s36_a_start_with_the_clock_ahead_removes_nothing_for_a_week() {
    const WEEK: Duration = Duration::from_hours(7 * 24);
    let world = TestEnv::with_ann(|_| ()).await;
    let audit = &world.services.audit;
    audit.note(&client(), &Event::success(Kind::SignOut, EMAIL));
    audit.flush().await;
    let kept = world.recorded(AuditFilter::default()).await.len();
    world
        .hand
        .set_wall(world.clock.now() + 800 * Duration::from_hours(24));
    let restarted = world.restarted(4).await;
    restarted.audit.stop().await;
    assert_eq!(world.recorded(AuditFilter::default()).await.len(), kept);

    // Where the clock stays for a week is the time.
    let settled = SettledTime::load(&*world.store, &world.clock).await.unwrap();
    assert!(settled.read() < world.clock.now() - 700 * Duration::from_hours(24));
    world.hand.advance(WEEK + Duration::from_secs(1));
    assert_eq!(settled.read(), world.clock.now());
}

#[tokio::test]
async fn a_flood_of_refusals_from_very_many_networks_pushes_out_nothing() {
    let world = TestEnv::with_ann(|config| config.audit.max_events = 800).await;
    let audit = &world.services.audit;
    let ann = world.services.accounts.find(EMAIL).await.unwrap();
    let signed_in = Event::success(Kind::SignIn, EMAIL).account(Some(ann.id));
    for _ in 0..100 {
        audit.note(&client(), &signed_in);
    }
    let flood = async |hours: u32| {
        for number in 0..2000_u32 {
            let origin = Origin {
                address: Some(number.to_be_bytes().into()),
                ..Origin::default()
            };
            audit.note(
                &origin,
                &Event::failure(Kind::SignIn, "nobody", "invalid-credentials"),
            );
            if number % 100 == 0 {
                audit.flush().await;
                world.hand.advance(Duration::from_hours(1) * hours / 20);
            }
        }
    };
    let kept = async |who: &str| {
        let filter = AuditFilter {
            about: vec![AuditSubject::name(who)],
            ..AuditFilter::default()
        };
        let read = audit.read(filter, AuditOrder::OldestFirst, None, 5000).await;
        read.unwrap().events.len()
    };
    flood(1).await;
    assert_eq!(kept("nobody").await, 100, "an eighth at once");
    // The log's `keep`, less a day.
    flood(24 * 364).await;
    let unknown = kept("nobody").await;
    assert!((380..=400).contains(&unknown), "{unknown}: never more than half");
    let known = kept(EMAIL).await;
    assert!(known >= 100, "{known}");
    audit.note(
        &client(),
        &Event::failure(Kind::SignIn, EMAIL, "locked").account(Some(ann.id)),
    );
    assert_eq!(kept(EMAIL).await, known + 1, "refusals of accounts are kept");
}

#[tokio::test]
async fn a_flood_of_refusals_from_one_address_stays_out_of_the_log() {
    let world = TestEnv::with(|_| {}).await;
    let audit = &world.services.audit;
    let note = |who: &str, address: [u8; 4]| {
        let origin = Origin {
            address: Some(address.into()),
            ..Origin::default()
        };
        audit.note(&origin, &Event::failure(Kind::SignIn, who, "locked"));
    };
    for _ in 0..FLOOD + 50 {
        note("flood", [192, 0, 2, 1]);
    }
    note("somebody", [192, 0, 2, 2]);
    audit.note(&client(), &Event::success(Kind::SignIn, "flood"));
    let kept = async |who: &str| {
        let filter = AuditFilter {
            about: vec![AuditSubject::name(who)],
            ..AuditFilter::default()
        };
        let read = audit.read(filter, AuditOrder::OldestFirst, None, 5000).await;
        read.unwrap().events.len()
    };
    assert_eq!(kept("flood").await, FLOOD + 1, "what went well is kept");
    assert_eq!(kept("somebody").await, 1);
    let lines = std::fs::read_to_string(world.audit_file()).unwrap();
    assert_eq!(lines.lines().count(), FLOOD + 52, "the lines have them all");
}

#[tokio::test]
async fn what_went_well_has_a_share_too_and_a_flood_of_it_is_summed_up() {
    let world = TestEnv::with_ann(|config| config.audit.max_events = 800).await;
    let audit = &world.services.audit;
    let ann = world.services.accounts.find(EMAIL).await.unwrap();
    let bob = world.add("bob@example.com", &[]).await;
    audit.note(&client(), &Event::about(Kind::SignIn, &ann));
    for _ in 0..1000 {
        audit.note(&client(), &Event::about(Kind::NameChange, &bob));
        audit.flush().await;
    }
    audit.note(&client(), &Event::about(Kind::AccessKeyCreate, &bob));
    world.hand.advance(SUMMED_UP_EVERY);
    audit.note(&client(), &Event::about(Kind::NameChange, &ann));

    let kept = async |kind: Kind| {
        let filter = AuditFilter {
            kinds: vec![kind],
            ..AuditFilter::default()
        };
        let read = audit.read(filter, AuditOrder::OldestFirst, None, 5000).await;
        let events = read.unwrap().events.into_iter();
        events.map(|(_, event)| event).collect::<Vec<_>>()
    };
    assert_eq!(kept(Kind::SignIn).await.len(), 1, "what others did is there");
    assert_eq!(
        kept(Kind::AccessKeyCreate).await.len(),
        1,
        "a flood hides nothing of another kind"
    );
    let names = kept(Kind::NameChange).await;
    assert_eq!(names.len(), 101, "an eighth, and the one of somebody else");
    let summaries = kept(Kind::Summary).await;
    let [summary] = summaries.as_slice() else {
        panic!("{summaries:?}")
    };
    assert_eq!(
        (summary.account, summary.who.as_str()),
        (Some(bob.id), "bob@example.com")
    );
    assert_eq!(summary.outcome, AuditOutcome::Success);
    assert_eq!(
        summary.detail.as_deref(),
        Some("event name-change, count 900, since 2026-01-01T00:00:00Z")
    );
    let lines = std::fs::read_to_string(world.audit_file()).unwrap();
    assert_eq!(
        lines.matches("name-change").count(),
        1001,
        "the lines have them all"
    );
}

#[tokio::test]
async fn void_links_and_links_sent_again_push_out_nothing_and_are_summed_up() {
    let world = TestEnv::with_ann(|config| {
        config.audit.max_events = 800;
        config.signup.verify_email = true;
    })
    .await;
    let (audit, links) = (&world.services.audit, &world.services.email_tokens);
    audit.note(&client(), &Event::success(Kind::SignOut, "honest"));
    for n in 0..700 {
        let _ = links.confirm("A".repeat(43).as_str(), &client()).await;
        let login = format!("nobody-{n}@example.com");
        let _ = links.send_again(&login, &client()).await;
        audit.flush().await;
    }
    audit.stop().await;
    let read = audit.read(AuditFilter::default(), AuditOrder::OldestFirst, None, 5000);
    let page = read.await.unwrap();
    let events: Vec<_> = page.events.into_iter().map(|(_, event)| event).collect();
    assert!(events.iter().any(|event| event.who == "honest"));
    assert!(events.len() < 110, "{}", events.len());
    let summaries = events.iter().filter(|event| event.event == Kind::Summary);
    let counted: u64 = summaries
        .map(|summary| {
            let detail = crate::model::AuditDetail::read(summary.detail.as_deref().unwrap()).unwrap();
            detail
                .get(crate::model::DetailKey::Count)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    let kept = |kind| events.iter().filter(|event| event.event == kind).count() as u64;
    assert_eq!(
        counted + kept(Kind::EmailVerify) + kept(Kind::VerifyRequest),
        1400,
        "each is kept or counted"
    );
}

#[tokio::test]
async fn each_act_of_an_administrator_is_kept_and_people_behind_one_address_have_a_share_each() {
    let world = TestEnv::with(|config| config.audit.max_events = 8000).await;
    let audit = &world.services.audit;
    let by = Actor::operator("root@example.com");
    for number in 0..1200_u128 {
        let who = crate::ids::AccountId::from_bytes(number.to_be_bytes());
        let event = |kind| Event::success(kind, "somebody").account(who);
        audit.note(&client(), &event(Kind::Disable).by(&by));
        audit.note(&client(), &event(Kind::SignIn));
        if number % 100 == 0 {
            audit.flush().await;
        }
    }
    audit.stop().await;
    let read = audit.read(AuditFilter::default(), AuditOrder::OldestFirst, None, 5000);
    assert_eq!(read.await.unwrap().events.len(), 2400);
}
