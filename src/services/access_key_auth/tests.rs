use std::time::Duration;

use super::super::NewAccessKey;
use super::super::test_support::{EMAIL, TestEnv, client, tester};
use super::*;

async fn world() -> (TestEnv, String, String) {
    let world = TestEnv::with_ann(|_| {}).await;
    let owner = world.services.accounts.find(EMAIL).await.unwrap();
    let keys = &world.services.access_keys;
    let (key, secret) = keys
        .create(&owner, NewAccessKey::default(), &tester(), &client())
        .await
        .unwrap();
    (world, key.id.to_string(), secret.expose().to_owned())
}

async fn prove(world: &TestEnv, id: &str, secret: &str) -> Result<(), AccessKeyAuthError> {
    let proof = &world.services.access_key_auth;
    let proven = proof.by_secret(id.as_bytes(), secret.as_bytes(), &client()).await;
    proven.map(drop)
}

const UNKNOWN: &str = "AKIAIOSFODNN7EXAMPLE";

#[tokio::test]
async fn s37_unknown_wrong_and_empty_are_one_refusal() {
    let (world, id, secret) = world().await;
    prove(&world, &id, &secret).await.unwrap();
    for (id, secret) in [
        (id.as_str(), "wrong"),
        (id.as_str(), ""),
        (UNKNOWN, secret.as_str()),
        (UNKNOWN, ""),
        ("ann", secret.as_str()),
        ("", ""),
    ] {
        let refused = prove(&world, id, secret).await.unwrap_err();
        assert!(
            matches!(refused, AccessKeyAuthError::Invalid),
            "{id}: {refused:?}"
        );
    }
    prove(&world, &id, &secret).await.unwrap();
}

#[tokio::test]
async fn s9_an_access_key_locks_by_itself_known_or_not() {
    let (world, id, secret) = world().await;
    for id in [&id, UNKNOWN] {
        for _ in 0..11 {
            let refused = prove(&world, id, "wrong").await;
            assert!(matches!(refused, Err(AccessKeyAuthError::Invalid)));
        }
        for presented in ["wrong", &secret] {
            let refused = prove(&world, id, presented).await;
            assert!(
                matches!(refused, Err(AccessKeyAuthError::Locked(wait)) if wait == Duration::from_mins(20))
            );
        }
    }
    // Its owner still signs in with the password.
    world
        .sign_in(EMAIL, super::super::test_support::PASSWORD)
        .await
        .unwrap();
    world.hand.advance(Duration::from_secs(20 * 60 + 1));
    prove(&world, &id, &secret).await.unwrap();
    let record = std::fs::read_to_string(world.audit_file()).unwrap();
    assert_eq!(record.matches("\"event\":\"lock\"").count(), 2);
}

#[tokio::test]
async fn s7_success_forgets_the_failures_of_a_key() {
    let (world, id, secret) = world().await;
    for _ in 0..3 {
        for _ in 0..10 {
            assert!(prove(&world, &id, "wrong").await.is_err());
        }
        prove(&world, &id, &secret).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_of_fifty_parallel_wrong_secrets_eleven_are_told_so() {
    let (world, id, secret) = world().await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (proof, id) = (world.services.access_key_auth.clone(), id.clone());
            tokio::spawn(async move { proof.by_secret(id.as_bytes(), b"wrong", &client()).await })
        })
        .collect();
    let mut invalid = 0;
    for task in tasks {
        match task.await.unwrap() {
            Err(AccessKeyAuthError::Invalid) => invalid += 1,
            Err(AccessKeyAuthError::Locked(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(invalid, 11);
    assert!(matches!(
        prove(&world, &id, &secret).await,
        Err(AccessKeyAuthError::Locked(_))
    ));
}

#[tokio::test]
async fn one_address_has_a_limit() {
    let (world, ..) = world().await;
    for _ in 0..300 {
        let refused = prove(&world, "nobody", "wrong").await;
        assert!(matches!(refused, Err(AccessKeyAuthError::Invalid)));
    }
    let refused = prove(&world, UNKNOWN, "wrong").await;
    assert!(matches!(refused, Err(AccessKeyAuthError::RateLimited(_))));
}
