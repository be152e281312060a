use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderValue, Request};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::canonical::Sink;
use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NOW: &str = "2026-09-01T03:04:05Z";
const HOST: &str = "gw.example.com:8443";

/// A request, signed by a client that was written elsewhere.
#[derive(Clone, Debug)]
struct ClientSigned {
    request: Request<Vec<u8>>,
}

/// How it is signed.
#[derive(Clone, Copy, Debug)]
struct SigningStyle {
    presigned: bool,
    declares_hash: bool,
    encodes_path_again: bool,
}

impl ClientSigned {
    fn signed(method: &str, target: &str, body: &[u8], way: SigningStyle) -> Self {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://{HOST}{target}"))
            .header("host", HOST)
            .header("x-thing", "  one   two ")
            .header("x-thing", "three")
            .body(body.to_vec())
            .unwrap();
        let identity = Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.percent_encoding_mode = if way.encodes_path_again {
            PercentEncodingMode::Double
        } else {
            PercentEncodingMode::Single
        };
        if way.presigned {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_mins(1));
        }
        if way.declares_hash {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let now: Timestamp = NOW.parse().unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_second()).unwrap());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("ap-northeast-2")
            .name("execute-api")
            .time(time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let uri = request.uri().to_string();
        let signable =
            SignableRequest::new(method, uri.as_str(), headers, SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Self { request }
    }

    fn message(&self) -> Message<'_> {
        Message {
            method: self.request.method().as_str(),
            authority: HOST,
            path: self.request.uri().path(),
            query: self.request.uri().query(),
            headers: self.request.headers(),
        }
    }

    fn verify(&self) -> Result<VerifiedSigV4, SignatureError> {
        verify(&self.message(), self.request.body(), NOW)
    }
}

fn claim<'a>(message: &Message<'a>) -> Result<SigV4Claim<'a>, SignatureError> {
    match message.headers.get("authorization") {
        Some(value) => {
            let value = value.to_str().unwrap();
            SigV4Claim::from_header(value.strip_prefix(ALGORITHM).unwrap(), message)
        }
        None => SigV4Claim::from_query(message.query.unwrap_or_default(), message),
    }
}

fn verify(message: &Message<'_>, body: &[u8], now: &str) -> Result<VerifiedSigV4, SignatureError> {
    let claim = claim(message)?;
    claim.require_time(now.parse().unwrap())?;
    let hash: [u8; 32] = Sha256::digest(body).into();
    let signed = match claim.payload() {
        Payload::Undeclared => SignedPayload::Read(&hash),
        Payload::Hash(declared) if declared != hash => return Err(SignatureError::BodyDiffers),
        declared => SignedPayload::Declared(declared),
    };
    let key = SigningKey::derive(SECRET, claim.credential());
    claim
        .verify(message, signed, &key)
        .map_err(|_| SignatureError::Mismatch)
}

fn way() -> impl Strategy<Value = SigningStyle> {
    any::<[bool; 3]>().prop_map(|[presigned, declares_hash, encodes_path_again]| SigningStyle {
        presigned,
        declares_hash: declares_hash && !presigned,
        encodes_path_again,
    })
}

/// Paths and queries as clients send them: what is reserved is percent-encoded.
fn target() -> impl Strategy<Value = String> {
    let escaped = "([a-zA-Z0-9._~-]|%20|%2B|%ED%99%88|%3D|%26){0,8}";
    let path = proptest::collection::vec(escaped, 0..4);
    let query = proptest::collection::vec((escaped, escaped), 0..5);
    (path, query).prop_map(|(path, query)| {
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("/{}{mark}{}", path.join("/"), pairs.join("&"))
    })
}

proptest! {
    #[test]
    fn s34_what_another_implementation_signs_is_right(
        method in "GET|PUT|POST|DELETE|PATCH",
        target in target(),
        body in proptest::collection::vec(any::<u8>(), 0..64),
        way in way(),
    ) {
        let sent = ClientSigned::signed(&method, &target, &body, way);
        let verdict = sent.verify();
        prop_assert!(verdict.is_ok(), "{sent:?}: {verdict:?}");
    }

    #[test]
    fn s35_another_body_method_path_or_header_is_refused(
        target in target(),
        body in proptest::collection::vec(any::<u8>(), 0..64),
        way in way(),
        more in any::<u8>(),
    ) {
        let sent = ClientSigned::signed("POST", &target, &body, way);
        let mut other = sent.clone();
        other.request.body_mut().push(more);
        prop_assert!(other.verify().is_err());
        let mut other = sent.clone();
        *other.request.method_mut() = http::Method::PUT;
        prop_assert!(other.verify().is_err());
        let mut other = sent.clone();
        let changed = format!("/x{}", sent.request.uri().path_and_query().unwrap());
        *other.request.uri_mut() = changed.parse().unwrap();
        prop_assert!(other.verify().is_err());
        let mut other = sent.clone();
        other.request.headers_mut().append("x-thing", HeaderValue::from_static("four"));
        prop_assert!(other.verify().is_err());
        let message = Message { authority: "gw.example.com", ..sent.message() };
        prop_assert!(verify(&message, &body, NOW).is_err());
    }
}

/// Returns headers whose signature is over this text, whatever it is a text of.
fn headers_signed_over(canonical: &[u8], credential: &str, date: &str) -> HeaderMap {
    let key = SigningKey::derive(SECRET, credential);
    let (_, scope) = credential.split_once('/').unwrap();
    let hash: [u8; 32] = Sha256::digest(canonical).into();
    let hash = mac::Hex32::of(&hash);
    let text = [
        ALGORITHM.as_bytes(),
        date.as_bytes(),
        scope.as_bytes(),
        hash.as_bytes(),
    ]
    .join(&b'\n');
    let signature = mac::Hex32::of(&key.sign(&[&text]));
    let signature = std::str::from_utf8(signature.as_bytes()).unwrap();
    let value = format!("Credential={credential}, SignedHeaders=host;x-amz-date, Signature={signature}");
    HeaderMap::from_iter([
        (
            http::header::AUTHORIZATION,
            format!("{ALGORITHM} {value}").parse().unwrap(),
        ),
        ("x-amz-date".parse().unwrap(), date.parse().unwrap()),
    ])
}

#[test]
fn s35_each_byte_of_the_canonical_request_matters() {
    let credential = "AKIAIOSFODNN7EXAMPLE/20260901/us-east-1/s3/aws4_request";
    let canonical = "POST\n/a%20b/c\na=1&b=%2F\nhost:gw.example.com:8443\nx-amz-date:20260901T030405Z\n\n\
        host;x-amz-date\n2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let judge_signed_over = |canonical: &[u8]| {
        let headers = headers_signed_over(canonical, credential, "20260901T030405Z");
        let message = Message {
            method: "POST",
            authority: HOST,
            path: "/a%20b/c",
            query: Some("b=%2F&a=1"),
            headers: &headers,
        };
        verify(&message, b"hello", NOW).map(|_| ())
    };
    assert_eq!(judge_signed_over(canonical.as_bytes()), Ok(()));
    for at in 0..canonical.len() {
        for bit in 0..8 {
            let mut flipped = canonical.as_bytes().to_vec();
            flipped[at] ^= 1 << bit;
            assert_eq!(
                judge_signed_over(&flipped),
                Err(SignatureError::Mismatch),
                "byte {at}, bit {bit}"
            );
        }
    }
}

#[test]
fn the_canonical_request_is_what_the_log_hashes() {
    let sent = ClientSigned::signed("GET", "/x?b=1&a=2", b"", PLAIN);
    let message = sent.message();
    let claim = claim(&message).unwrap();
    let key = SigningKey::derive("another", claim.credential());
    let nothing: [u8; 32] = Sha256::digest(b"").into();
    let unproven = claim
        .verify(&message, SignedPayload::Read(&nothing), &key)
        .unwrap_err();
    let mut text = Vec::new();
    RequestReadings::of(&claim, &message).write_first(
        &mut text,
        &claim,
        &message,
        &SignedPayload::Read(&nothing).lines().next().unwrap(),
    );
    assert!(
        String::from_utf8(text.clone())
            .unwrap()
            .starts_with("GET\n/x\na=2&b=1\nhost:gw.example.com:8443\n")
    );
    assert_eq!(unproven.canonical, <[u8; 32]>::from(Sha256::digest(&text)));
    assert_eq!(unproven.to_string().len(), 64);
    let mut hash = Sha256::new();
    hash.put(&text);
    assert_eq!(unproven.canonical, <[u8; 32]>::from(hash.finalize()));
}

const PLAIN: SigningStyle = SigningStyle {
    presigned: false,
    declares_hash: false,
    encodes_path_again: true,
};

#[test]
fn s35_host_and_date_must_be_signed() {
    let sent = ClientSigned::signed("GET", "/", b"", PLAIN);
    let refused = |from: &str, to: &str| {
        let mut other = sent.clone();
        let value = other.request.headers()["authorization"]
            .to_str()
            .unwrap()
            .replace(from, to);
        other
            .request
            .headers_mut()
            .insert("authorization", value.parse().unwrap());
        other.verify().unwrap_err()
    };
    assert_eq!(refused("host;", ""), SignatureError::NotSigned("host".into()));
    assert_eq!(
        refused(";x-amz-date", ""),
        SignatureError::NotSigned("x-amz-date".into())
    );
    assert_eq!(
        refused(";x-thing", ";x-thing;x-more"),
        SignatureError::Missing("x-more".into())
    );
    for (from, to) in [
        ("host;", "Host;"),
        ("host;", "host;host;"),
        ("host;", "host;;"),
        ("/20260901/", "/20260902/"),
        ("/aws4_request", "/aws4"),
        ("/execute-api", "//execute-api"),
        ("SignedHeaders=", "Signed="),
        (", Sig", ", Signature=x, Sig"),
    ] {
        assert!(
            matches!(refused(from, to), SignatureError::Malformed(_)),
            "{from} -> {to}"
        );
    }
    let mut other = sent.clone();
    other.request.headers_mut().remove("x-amz-date");
    assert_eq!(
        other.verify().unwrap_err(),
        SignatureError::NotSigned("x-amz-date".into())
    );
}

#[test]
fn s35_the_clock_may_be_off_by_five_minutes() {
    let sent = ClientSigned::signed("GET", "/", b"", PLAIN);
    let at = |now: &str| verify(&sent.message(), b"", now).map(|_| ());
    assert_eq!(at("2026-09-01T03:09:05Z"), Ok(()));
    assert_eq!(at("2026-09-01T02:59:05Z"), Ok(()));
    assert_eq!(at("2026-09-01T03:09:06Z"), Err(SignatureError::Clock(301)));
    assert_eq!(at("2026-09-01T02:59:04Z"), Err(SignatureError::Clock(-301)));
    // A presigned URL lasts as long as it says.
    let way = SigningStyle {
        presigned: true,
        ..PLAIN
    };
    let sent = ClientSigned::signed("GET", "/", b"", way);
    let at = |now: &str| verify(&sent.message(), b"", now).map(|proven| proven.until.to_string());
    assert_eq!(at("2026-09-01T03:05:04Z"), Ok("2026-09-01T03:05:05Z".to_owned()));
    assert_eq!(at("2026-09-01T03:05:05Z"), Err(SignatureError::Expired(0)));
    assert_eq!(at("2026-09-01T02:59:04Z"), Err(SignatureError::Clock(-301)));
}

#[test]
fn presigned_parameters() {
    let sent = ClientSigned::signed(
        "GET",
        "/x?a=1&b",
        b"",
        SigningStyle {
            presigned: true,
            ..PLAIN
        },
    );
    let query = sent.request.uri().query().unwrap();
    assert!(is_presigned(query) && !is_presigned("a=X-Amz-Signature&X-Amz-Date=1"));
    assert_eq!(without_signature(query).as_deref(), Some("a=1&b"));
    assert_eq!(without_signature("X-Amz-Signature=1&X-Amz-Date=2"), None);
    for (from, to) in [
        ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=60", "X-Amz-Expires=0"),
        ("X-Amz-Expires=60", "X-Amz-Expires=%2B60"),
        ("X-Amz-Expires=60", "X-Amz-Expires=060"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60.0"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60"),
        (
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256",
        ),
        ("X-Amz-Date=", "X-Amz-Date=20260901T030405Z&X-Amz-Date="),
    ] {
        let mut other = sent.clone();
        let target = sent.request.uri().to_string().replace(from, to);
        *other.request.uri_mut() = target.parse().unwrap();
        assert!(
            matches!(other.verify(), Err(SignatureError::Malformed(_))),
            "{from} -> {to}"
        );
    }
}

#[test]
fn what_older_clients_sign() {
    let judge_signed_for = |service: &str, path: &str, query: &str, signed_path: &str, signed_query: &str| {
        let nothing = mac::Hex32::of(&Sha256::digest(b"").into());
        let canonical = format!(
            "GET\n{signed_path}\n{signed_query}\nhost:{HOST}\nx-amz-date:20260901T030405Z\n\nhost;x-amz-date\n{}",
            std::str::from_utf8(nothing.as_bytes()).unwrap()
        );
        let credential = format!("AKIAIOSFODNN7EXAMPLE/20260901/us-east-1/{service}/aws4_request");
        let headers = headers_signed_over(canonical.as_bytes(), &credential, "20260901T030405Z");
        let message = Message {
            method: "GET",
            authority: HOST,
            path,
            query: Some(query),
            headers: &headers,
        };
        verify(&message, b"", NOW).is_ok()
    };
    let judge_signed = |path: &str, query: &str, signed_path: &str, signed_query: &str| {
        judge_signed_for("s3", path, query, signed_path, signed_query)
    };
    // curl 7.88 signs both as they are, botocore sorts, others encode anew.
    assert!(judge_signed("/a@b", "b=1&a=/", "/a@b", "b=1&a=/"));
    assert!(judge_signed("/a@b", "b=1&a=/", "/a%40b", "a=/&b=1"));
    assert!(judge_signed_for(
        "execute-api",
        "/a%20b",
        "b=1&a=/",
        "/a%2520b",
        "a=%2F&b=1"
    ));
    // S3 clients decode and encode, others merge slashes and encode once more.
    assert!(judge_signed("/a%20b=c", "", "/a%20b%3Dc", ""));
    assert!(judge_signed("/a%20b=c", "", "/a%20b=c", ""));
    assert!(judge_signed_for("execute-api", "/a//b", "", "/a/b", ""));
    assert!(judge_signed_for(
        "execute-api",
        "/a%20b///c",
        "",
        "/a%2520b/c",
        ""
    ));
    // Nothing else: what means something else is another path (S35).
    assert!(!judge_signed("/a%2fb", "", "/a/b", ""));
    assert!(!judge_signed("/a/b", "", "/a%2Fb", ""));
    assert!(!judge_signed("/a%20b;c", "", "/a%20b%3Bc", ""));
    assert!(!judge_signed("/a;c", "", "/a%3Bc", ""));
    // S3's clients encode once and all others twice: one signature is not for both.
    assert!(judge_signed("/a%2520b", "", "/a%2520b", ""));
    assert!(!judge_signed("/a%20b", "", "/a%2520b", ""));
    assert!(!judge_signed_for("execute-api", "/a%2520b", "", "/a%2520b", ""));
    assert!(judge_signed_for("execute-api", "/a;c", "", "/a%3Bc", ""));
    assert!(!judge_signed_for("execute-api", "/a%3Bc", "", "/a%3Bc", ""));
    assert!(!judge_signed("/in/a;b", "", "/in/a%3Bb", ""));
    assert!(!judge_signed("/in/a+b", "", "/in/a%2Bb", ""));
    assert!(judge_signed("/in/a+b", "", "/in/a+b", ""));
    assert!(!judge_signed_for("execute-api", "/a/b", "", "/a//b", ""));
    assert!(!judge_signed_for("execute-api", "/a//../b", "", "/b", ""));
    assert!(!judge_signed("/a%20b", "", "/a b", ""));
    assert!(!judge_signed("/a%20b", "", "/a%252520b", ""));
    assert!(!judge_signed("/a//b", "", "/a/b", ""));
    assert!(!judge_signed("/A", "", "/a", ""));
    assert!(!judge_signed("/a", "a=1", "/a", ""));
    assert!(!judge_signed("/a", "a=1", "/a", "a%3D1"));
}
