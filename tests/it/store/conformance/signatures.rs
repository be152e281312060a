//! Single-use signatures.

use std::time::Duration;

use vestibule::model::SignatureDigest;
use vestibule::store::SpendSignature;

use super::super::samples::{later, noon};
use super::{Harness, assert_sound, together};

fn digest(n: u8) -> SignatureDigest {
    SignatureDigest::of("AKIAIOSFODNN7EXAMPLE", &[n])
}

const MINUTE: Duration = Duration::from_mins(1);

pub(crate) async fn a_signature_is_spent_once_also_after_a_restart<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let spend = store.claim_signature(digest(1), later(noon(), MINUTE)).await;
    assert_eq!(spend.unwrap(), SpendSignature::Spent);
    assert_sound(&store).await;
    drop(store);
    let harness = harness.restart(noon());
    let store = harness.store();
    for (n, expected) in [(1, SpendSignature::SpentBefore), (2, SpendSignature::Spent)] {
        let spend = store.claim_signature(digest(n), later(noon(), MINUTE)).await;
        assert_eq!(spend.unwrap(), expected);
    }
    assert_sound(&store).await;
}

pub(crate) async fn a_signature_that_is_given_back_can_be_spent<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    assert!(!store.release_signature(digest(1)).await.unwrap());
    for _ in 0..2 {
        let spend = store.claim_signature(digest(1), later(noon(), MINUTE)).await;
        assert_eq!(spend.unwrap(), SpendSignature::Spent);
        assert!(store.release_signature(digest(1)).await.unwrap());
    }
    assert_sound(&store).await;
}

pub(crate) async fn a_signature_is_forgotten_when_its_time_is_over<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    for n in 1..=3 {
        let until = later(noon(), MINUTE * u32::from(n));
        store.claim_signature(digest(n), until).await.unwrap();
    }
    let over = later(noon(), MINUTE * 2 + Duration::from_secs(1));
    store.sweep(over, noon()).await.unwrap();
    assert_sound(&store).await;
    for (n, expected) in [
        (1, SpendSignature::Spent),
        (2, SpendSignature::Spent),
        (3, SpendSignature::SpentBefore),
    ] {
        let spend = store.claim_signature(digest(n), later(noon(), MINUTE * 9)).await;
        assert_eq!(spend.unwrap(), expected, "{n}");
    }
}

pub(crate) async fn of_many_at_one_moment_one_spends_it<H: Harness>() {
    let harness = H::new();
    let store = harness.store();
    let outcomes = together(20, |_| {
        let store = store.clone();
        async move {
            store
                .claim_signature(digest(1), later(noon(), MINUTE))
                .await
                .unwrap()
        }
    })
    .await;
    let spent = outcomes
        .iter()
        .filter(|outcome| **outcome == SpendSignature::Spent);
    assert_eq!(spent.count(), 1);
}
