//! The audit log.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use vestibule::ids::AccountId;
use vestibule::model::{AuditCursor, AuditEvent, AuditKind, AuditOutcome};
use vestibule::store::{AuditFilter, AuditOrder, AuditSubject, Store};

use super::super::samples::{later, noon};
use super::{Harness, assert_sound, together};

/// More than any test here writes.
const MANY: usize = 10_000;

fn event(who: &str, second: u64) -> AuditEvent {
    AuditEvent {
        time: later(noon(), Duration::from_secs(second)),
        event: AuditKind::SignIn,
        outcome: AuditOutcome::Success,
        reason: None,
        who: who.to_owned(),
        account: None,
        by: None,
        why: None,
        address: Some([192, 0, 2, 1].into()),
        request_id: None,
        user_agent: "test".to_owned(),
        detail: None,
    }
}

/// Returns the subjects of the events that match a filter, read in pages of this size.
async fn read(store: &Arc<dyn Store>, filter: AuditFilter, order: AuditOrder, page: usize) -> Vec<String> {
    let (mut found, mut after): (Vec<String>, Option<AuditCursor>) = (Vec::new(), None);
    loop {
        let read = store
            .read_audit(filter.clone(), order, after, page)
            .await
            .unwrap();
        assert!(read.events.len() <= page);
        found.extend(read.events.into_iter().map(|(_, event)| event.who));
        after = read.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn all(store: &Arc<dyn Store>) -> Vec<String> {
    read(store, AuditFilter::default(), AuditOrder::OldestFirst, 100).await
}

pub(crate) async fn events_are_read_in_both_orders_a_page_at_a_time<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    // Events of one moment keep their order.
    let written: Vec<AuditEvent> = (0..700).map(|n| event(&n.to_string(), n / 3)).collect();
    for piece in written.chunks(97) {
        store.append_audit(piece.to_vec(), MANY).await.unwrap();
    }
    assert_sound(&store).await;
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    store.append_audit(vec![event("700", 240)], MANY).await.unwrap();
    let mut names: Vec<String> = (0..=700).map(|n| n.to_string()).collect();
    for page in [1, 50, 256, 1000] {
        assert_eq!(
            read(&store, AuditFilter::default(), AuditOrder::OldestFirst, page).await,
            names
        );
    }
    names.reverse();
    for page in [50, 701] {
        assert_eq!(
            read(&store, AuditFilter::default(), AuditOrder::NewestFirst, page).await,
            names
        );
    }
    let newest = store
        .read_audit(AuditFilter::default(), AuditOrder::NewestFirst, None, 1)
        .await
        .unwrap();
    assert_eq!(newest.events[0].1, event("700", 240), "as it was written");
}

pub(crate) async fn filters_let_through_what_all_of_them_do<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = AccountId::new(noon(), harness.random());
    let events = [
        AuditEvent {
            account: Some(ann),
            ..event("Ann@example.com", 0)
        },
        AuditEvent {
            outcome: AuditOutcome::Failure,
            reason: Some("invalid-credentials".to_owned()),
            ..event("ann@EXAMPLE.com", 1)
        },
        AuditEvent {
            event: AuditKind::Disable,
            by: Some("ann@example.com".to_owned()),
            ..event("bob@example.com", 2)
        },
        AuditEvent {
            account: Some(ann),
            ..event("ann@elsewhere.example", 3)
        },
        event("carl@example.com", 4),
    ];
    store.append_audit(events.to_vec(), MANY).await.unwrap();
    let at = |second| Some(later(noon(), Duration::from_secs(second)));
    let about = |subject| AuditFilter {
        about: vec![subject],
        ..AuditFilter::default()
    };
    for (filter, expected) in [
        (about(AuditSubject::name(" ANN@example.com")), &[0, 1, 2][..]),
        (about(AuditSubject::Account(ann)), &[0, 3]),
        (about(AuditSubject::name("nobody")), &[]),
        (
            AuditFilter {
                kinds: vec![AuditKind::Disable, AuditKind::Enable],
                ..AuditFilter::default()
            },
            &[2],
        ),
        (
            AuditFilter {
                outcome: Some(AuditOutcome::Failure),
                ..AuditFilter::default()
            },
            &[1],
        ),
        (
            AuditFilter {
                from: at(1),
                until: at(3),
                ..AuditFilter::default()
            },
            &[1, 2],
        ),
        (
            AuditFilter {
                from: at(3),
                until: at(1),
                ..AuditFilter::default()
            },
            &[],
        ),
        (
            AuditFilter {
                until: at(1),
                ..about(AuditSubject::name("ann@example.com"))
            },
            &[0],
        ),
        (
            AuditFilter {
                kinds: vec![AuditKind::SignIn],
                ..about(AuditSubject::name("ann@example.com"))
            },
            &[0, 1],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|&n: &usize| events[n].who.clone()).collect();
        let found = read(&store, filter.clone(), AuditOrder::OldestFirst, 2).await;
        assert_eq!(found, expected, "{filter:?}");
        let mut found = read(&store, filter.clone(), AuditOrder::NewestFirst, 2).await;
        found.reverse();
        assert_eq!(found, expected, "{filter:?}, newest first");
    }
}

pub(crate) async fn events_of_several_subjects_are_read_as_one<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let ann = AccountId::new(noon(), harness.random());
    // One subject has many events, another few; some events have two.
    let events: Vec<AuditEvent> = (0..1500)
        .map(|n| AuditEvent {
            account: (n % 2 == 0).then_some(ann),
            by: (n % 5 == 0).then(|| "root".to_owned()),
            ..event(if n % 700 == 1 { "rare" } else { "often" }, n)
        })
        .collect();
    store.append_audit(events.clone(), MANY).await.unwrap();
    let filter = AuditFilter {
        about: vec![
            AuditSubject::name("rare"),
            AuditSubject::Account(ann),
            AuditSubject::name("root"),
            AuditSubject::name("nobody"),
        ],
        ..AuditFilter::default()
    };
    let expected: Vec<String> = (0..1500)
        .filter(|n| n % 2 == 0 || n % 5 == 0 || n % 700 == 1)
        .map(|n| later(noon(), Duration::from_secs(n)).to_string())
        .collect();
    for page in [1, 7, 256, 5000] {
        for order in [AuditOrder::OldestFirst, AuditOrder::NewestFirst] {
            let (mut times, mut after) = (Vec::new(), None);
            loop {
                let read = store
                    .read_audit(filter.clone(), order, after, page)
                    .await
                    .unwrap();
                times.extend(read.events.iter().map(|(_, event)| event.time.to_string()));
                after = read.next;
                if after.is_none() {
                    break;
                }
            }
            if order == AuditOrder::NewestFirst {
                times.reverse();
            }
            assert_eq!(times, expected, "{page} {order:?}");
        }
    }
}

pub(crate) async fn a_username_finds_events_that_name_it<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let named = |kind, detail: &str, second| AuditEvent {
        event: kind,
        detail: Some(detail.to_owned()),
        ..event("ann@example.com", second)
    };
    let events = vec![
        named(AuditKind::SignUp, "username ann, groups ops", 0),
        named(AuditKind::UsernameChange, "from ann to anna", 1),
        named(AuditKind::AccountDelete, "username anna", 2),
        // A foreign text that looks like a subject is not parsed.
        named(AuditKind::SignIn, "username ann", 3),
    ];
    store.append_audit(events, MANY).await.unwrap();
    for (name, expected) in [("ANN", 2), ("anna", 2), ("ops", 0), ("ann@example.com", 4)] {
        let about = AuditFilter {
            about: vec![AuditSubject::name(name)],
            ..AuditFilter::default()
        };
        let found = read(&store, about, AuditOrder::OldestFirst, 10).await;
        assert_eq!(found.len(), expected, "{name}");
    }
    assert_sound(&store).await;
    store
        .prune_audit(later(noon(), Duration::from_mins(1)))
        .await
        .unwrap();
    assert_sound(&store).await;
}

/// One query finds it, however many came after it.
pub(crate) async fn an_event_among_very_many_is_found_by_its_request<H: Harness>() {
    const OTHERS: usize = 12_000;
    let harness = H::new();
    let store = harness.store();
    let of = |request: &str, second| AuditEvent {
        request_id: Some(request.to_owned()),
        ..event("ann", second)
    };
    store.append_audit(vec![of("r-1", 0)], 2 * MANY).await.unwrap();
    let others: Vec<_> = (0..OTHERS).map(|n| of(&format!("x{n}"), 1)).collect();
    for piece in others.chunks(1_000) {
        store.append_audit(piece.to_vec(), 2 * MANY).await.unwrap();
    }
    let filter = |request: &str| AuditFilter {
        request: Some(request.to_owned()),
        ..AuditFilter::default()
    };
    let order = AuditOrder::NewestFirst;
    let page = store.read_audit(filter("r-1"), order, None, 1).await.unwrap();
    assert_eq!(page.events[0].1, of("r-1", 0));
    let page = store.read_audit(filter("r-2"), order, None, 1).await.unwrap();
    assert_eq!((page.events.len(), page.next), (0, None));
    // Texts that are stored escaped are found too.
    let odd = "\"\u{e9}\\";
    store.append_audit(vec![of(odd, 2)], 2 * MANY).await.unwrap();
    let page = store.read_audit(filter(odd), order, None, 1).await.unwrap();
    assert_eq!(page.events[0].1, of(odd, 2));
}

pub(crate) async fn the_oldest_go_when_there_are_too_many<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    for n in 0..20 {
        store
            .append_audit(vec![event(&n.to_string(), n)], 5)
            .await
            .unwrap();
    }
    assert_eq!(all(&store).await, ["15", "16", "17", "18", "19"]);
    store
        .append_audit((20..30).map(|n| event(&n.to_string(), n)).collect(), 3)
        .await
        .unwrap();
    assert_eq!(all(&store).await, ["27", "28", "29"]);
    let gone = AuditFilter {
        about: vec![AuditSubject::name("15")],
        ..AuditFilter::default()
    };
    assert!(read(&store, gone, AuditOrder::NewestFirst, 10).await.is_empty());
    assert_sound(&store).await;
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    store.append_audit(vec![event("30", 30)], 3).await.unwrap();
    assert_eq!(all(&store).await, ["28", "29", "30"], "counted again at a start");
}

pub(crate) async fn what_is_old_is_pruned<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    store
        .append_audit((0..600).map(|n| event(&n.to_string(), n)).collect(), MANY)
        .await
        .unwrap();
    let moment: Timestamp = later(noon(), Duration::from_secs(598));
    assert_eq!(store.prune_audit(moment).await.unwrap(), 598);
    assert_eq!(store.prune_audit(moment).await.unwrap(), 0);
    assert_eq!(all(&store).await, ["598", "599"]);
    assert_sound(&store).await;
}

pub(crate) async fn events_of_many_at_one_moment_are_all_there<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    together(50, |n| {
        let store = store.clone();
        async move {
            store
                .append_audit(vec![event(&n.to_string(), 0)], MANY)
                .await
                .unwrap();
        }
    })
    .await;
    let mut found = all(&store).await;
    found.sort_by_key(|who| who.parse::<usize>().unwrap());
    let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(found, names);
    assert_sound(&store).await;
}
