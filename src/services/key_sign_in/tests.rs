use super::super::test_support::{EMAIL, TestEnv, client, tester};
use super::super::{AccessKeyChange, NewAccessKey};
use super::*;
use crate::model::{KeyScope, SignInMethod};

const HOST: &str = "gw.example.com:8443";

async fn world(scope: KeyScope) -> (TestEnv, String, String) {
    let world = TestEnv::with_ann(|_| {}).await;
    let owner = world.services.accounts.find(EMAIL).await.unwrap();
    let new = NewAccessKey {
        scope,
        ..NewAccessKey::default()
    };
    let keys = &world.services.access_keys;
    let (key, secret) = keys.create(&owner, new, &tester(), &client()).await.unwrap();
    (world, key.id.to_string(), secret.expose().to_owned())
}

/// Signs as the contract says, independently of the code under test.
fn sign(access_key: &str, secret: &str, challenge: &str, host: &str) -> KeyCredential {
    let text = format!("vestibule-login\n{access_key}\n{challenge}\n{host}");
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    KeyCredential::Signature {
        challenge: challenge.to_owned(),
        signature: lower::encode_string(&mac.chain_update(text).finalize().into_bytes()),
        hosts: [HOST.to_owned(), "gw.example.com".to_owned()],
    }
}

async fn sign_in(world: &TestEnv, id: &str, answer: &KeyCredential) -> Result<SignedIn, KeySignInError> {
    let service = &world.services.key_sign_in;
    service.with_key(id, answer, false, &client(), None).await
}

#[tokio::test]
async fn a_challenge_serves_once_for_two_minutes_for_its_host() {
    let (world, id, secret) = world(KeyScope::default()).await;
    let challenge = || world.services.key_sign_in.challenge().0;
    for host in [HOST, "gw.example.com"] {
        let answer = sign(&id, &secret, &challenge(), host);
        let signed_in = sign_in(&world, &id, &answer).await.unwrap();
        assert_eq!(signed_in.session.principal().method, SignInMethod::Iam);
        // The key does not prove the password.
        assert_eq!(signed_in.session.reauthenticated_at(), None);
        let again = sign_in(&world, &id, &answer).await.unwrap_err();
        assert!(matches!(again, KeySignInError::Answered), "{again:?}");
    }
    let elsewhere = sign(&id, &secret, &challenge(), "evil.example");
    let refused = sign_in(&world, &id, &elsewhere).await.unwrap_err();
    assert!(
        matches!(refused, KeySignInError::Refused(SignInError::InvalidCredentials)),
        "{refused:?}"
    );
    let (young, old) = (challenge(), challenge());
    world.hand.advance(Duration::from_secs(119));
    let answer = sign(&id, &secret, &young, HOST);
    sign_in(&world, &id, &answer).await.unwrap();
    world.hand.advance(Duration::from_secs(1));
    for challenge in [old.as_str(), "", "x", &old[1..], &old.replace(&old[..2], "AA")] {
        let answer = sign(&id, &secret, challenge, HOST);
        let refused = sign_in(&world, &id, &answer).await.unwrap_err();
        assert!(
            matches!(refused, KeySignInError::Stale),
            "{challenge}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_challenge_is_known_after_a_restart_and_serves_once_all_the_same() {
    let (world, id, secret) = world(KeyScope::default()).await;
    let answer = sign(&id, &secret, &world.services.key_sign_in.challenge().0, HOST);
    sign_in(&world, &id, &answer).await.unwrap();
    let other = sign(&id, &secret, &world.services.key_sign_in.challenge().0, HOST);
    let services = world.restarted(4).await;
    let with = async |answer| {
        services
            .key_sign_in
            .with_key(&id, answer, false, &client(), None)
            .await
    };
    assert!(matches!(with(&answer).await, Err(KeySignInError::Answered)));
    with(&other).await.unwrap();
}

#[tokio::test]
async fn s9_wrong_answers_lock_the_key_and_not_the_password() {
    let (world, id, secret) = world(KeyScope::default()).await;
    let given = |secret: &str| KeyCredential::Secret(Secret::new(secret.to_owned()));
    sign_in(&world, &id, &given(&secret)).await.unwrap();
    for n in 0..11 {
        let challenge = world.services.key_sign_in.challenge().0;
        let answer = if n % 2 == 0 {
            given("wrong")
        } else {
            sign(&id, "wrong", &challenge, HOST)
        };
        let refused = sign_in(&world, &id, &answer).await.unwrap_err();
        let is_wrong = matches!(refused, KeySignInError::Refused(SignInError::InvalidCredentials));
        assert!(is_wrong, "{n}: {refused:?}");
    }
    let refused = sign_in(&world, &id, &given(&secret)).await.unwrap_err();
    assert!(matches!(refused, KeySignInError::Refused(SignInError::Locked(_))));
    world
        .sign_in(EMAIL, super::super::test_support::PASSWORD)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_limited_or_revoked_key_signs_nobody_in() {
    let scope = KeyScope {
        methods: ["GET".to_owned()].into(),
        ..KeyScope::default()
    };
    let (world, id, secret) = world(scope).await;
    let answer = KeyCredential::Secret(Secret::new(secret));
    let refused = sign_in(&world, &id, &answer).await.unwrap_err();
    assert!(matches!(refused, KeySignInError::Limited), "{refused:?}");
    let keys = &world.services.access_keys;
    let (key, origin) = (id.parse().unwrap(), client());
    keys.change(key, None, AccessKeyChange::Revoke, &tester(), &origin)
        .await
        .unwrap();
    let refused = sign_in(&world, &id, &answer).await.unwrap_err();
    let is_unknown = matches!(refused, KeySignInError::Refused(SignInError::InvalidCredentials));
    assert!(is_unknown, "{refused:?}");
    assert!(world.services.sessions.list(None).is_empty());
}

#[tokio::test]
async fn s28_a_session_ends_with_the_key_that_began_it() {
    let (world, first, secret) = world(KeyScope::default()).await;
    let owner = world.services.accounts.find(EMAIL).await.unwrap();
    let keys = &world.services.access_keys;
    let ttl = Some(Duration::from_hours(1));
    let new = NewAccessKey {
        ttl,
        ..NewAccessKey::default()
    };
    let (second, other) = keys.create(&owner, new, &tester(), &client()).await.unwrap();
    let given = |secret: &str| KeyCredential::Secret(Secret::new(secret.to_owned()));
    let by_first = async || sign_in(&world, &first, &given(&secret)).await.unwrap();
    let by_second = async || {
        let answer = given(other.expose());
        sign_in(&world, second.id.as_str(), &answer).await.unwrap()
    };
    let by_password = world
        .sign_in(EMAIL, super::super::test_support::PASSWORD)
        .await
        .unwrap();
    let sessions = &world.services.sessions;
    let lives = |signed_in: &SignedIn| {
        let is_live = sessions.find(&signed_in.token.digest()).is_some();
        assert_eq!(signed_in.session.ended().is_cancelled(), !is_live);
        is_live
    };
    let change = async |change| {
        let first = first.parse().unwrap();
        keys.change(first, None, change, &tester(), &client())
            .await
            .unwrap();
    };
    let expiring = by_second().await;
    let mut listed = sessions.list(None);
    listed.retain(|info| info.session.access_key == Some(second.id));
    assert_eq!(listed[0].expires_at, world.clock.now() + Duration::from_hours(1));
    for end in [AccessKeyChange::Disable, AccessKeyChange::Revoke] {
        change(AccessKeyChange::Enable).await;
        let begun = by_first().await;
        assert!(lives(&begun));
        change(end).await;
        assert!(!lives(&begun), "{end:?}");
        assert_eq!(world.store.sessions().await.unwrap().len(), 2, "{end:?}");
    }
    world.hand.advance(Duration::from_secs(3599));
    assert!(lives(&expiring));
    world.hand.advance(Duration::from_secs(1));
    assert!(sessions.find(&expiring.token.digest()).is_none());
    assert!(expiring.session.has_ended());
    assert!(lives(&by_password));
}

#[tokio::test]
async fn s28_a_session_whose_key_does_not_serve_is_dropped_at_load() {
    let (world, first, secret) = world(KeyScope::default()).await;
    let first = first.parse().unwrap();
    let answer = KeyCredential::Secret(Secret::new(secret));
    let begun = sign_in(&world, &String::from(first), &answer).await.unwrap();
    let digest = begun.token.digest();
    let kept = world.store.sessions().await.unwrap().remove(0);
    let is_loaded = async || world.restarted(4).await.sessions.peek(&digest).is_some();
    assert!(is_loaded().await);
    // As older gateways left them: the session of a key that is disabled or gone.
    let of_before = crate::model::Session {
        access_key: None,
        ..kept.clone()
    };
    world.store.put_session(of_before.clone(), None).await.unwrap();
    assert!(is_loaded().await, "it may be of the key that serves");
    world.store.set_access_key_disabled(first, true).await.unwrap();
    world.store.put_session(of_before.clone(), None).await.unwrap();
    assert!(!is_loaded().await, "there is none that serves");
    assert_eq!(world.store.sessions().await.unwrap(), []);

    world.store.set_access_key_disabled(first, false).await.unwrap();
    world.store.put_session(kept, None).await.unwrap();
    assert!(is_loaded().await);
    let key = world.store.access_keys(None).await.unwrap().remove(0);
    world.store.revoke_access_key(first).await.unwrap();
    let expired = crate::model::AccessKey {
        expires_at: Some(world.clock.now()),
        ..key
    };
    let created = world.store.create_access_key(expired, 1, Vec::new()).await;
    created.unwrap();
    let kept = crate::model::Session {
        access_key: Some(first),
        ..of_before
    };
    world.store.put_session(kept, None).await.unwrap();
    assert!(!is_loaded().await, "its key has expired");
}
