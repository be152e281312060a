use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

/// Signatures that the scheme's published client made.
const VECTORS: &str = include_str!("../../../../tests/vectors/backendai.json");

#[derive(serde::Deserialize)]
struct Vectors {
    access_key: String,
    secret_key: String,
    host: String,
    version: String,
    cases: Vec<BackendAiVector>,
}

#[derive(Clone, serde::Deserialize)]
struct BackendAiVector {
    method: String,
    target: String,
    date: String,
    content_type: String,
    signature: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).unwrap()
}

/// A request, and what a test changes of it.
#[derive(Clone)]
struct TestRequest {
    method: String,
    authority: String,
    target: String,
    headers: HeaderMap,
    parameters: String,
    body: Vec<u8>,
    secret: String,
}

impl TestRequest {
    fn of(vectors: &Vectors, verification: &BackendAiVector) -> Self {
        let mut sent = Self {
            method: verification.method.clone(),
            authority: vectors.host.clone(),
            target: verification.target.clone(),
            headers: HeaderMap::new(),
            parameters: format!(
                "signMethod=HMAC-SHA256, credential={}:{}",
                vectors.access_key, verification.signature
            ),
            body: Vec::new(),
            secret: vectors.secret_key.clone(),
        };
        sent.set("date", &verification.date);
        sent.set("x-backendai-version", &vectors.version);
        sent.set("content-type", &verification.content_type);
        sent
    }

    fn set(&mut self, name: &'static str, value: &str) {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(HeaderName::from_static(name), value);
    }

    fn verify(&self) -> Result<(), SignatureError> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target.as_str(), None),
        };
        let message = Message {
            method: &self.method,
            authority: &self.authority,
            path,
            query,
            headers: &self.headers,
        };
        let claim = BackendAiClaim::of(&self.parameters, &message)?;
        let verdict = claim.verify(&message, &self.body, &self.secret);
        verdict.map(|_| ()).map_err(|_| SignatureError::Mismatch)
    }

    /// Signs again, by the published scheme and not by the code under test.
    fn sign<M: Mac + KeyInit, D: Digest>(&mut self, method: &str, host: &str, day: &str) {
        let mac = |key: &[u8], text: &[u8]| {
            let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        };
        let text = |name: &str| self.headers.get(name).map(|value| value.to_str().unwrap());
        let date = text("date").or(text("x-backendai-date")).unwrap();
        let signed = [
            self.method.as_str(),
            &self.target,
            date,
            &format!("host:{host}"),
            &format!(
                "content-type:{}",
                text("content-type").unwrap_or("application/octet-stream")
            ),
            &format!("x-backendai-version:{}", text("x-backendai-version").unwrap()),
            &hex(&D::digest(&self.body)),
        ]
        .join("\n");
        let key = mac(&mac(self.secret.as_bytes(), day.as_bytes()), host.as_bytes());
        let signature = hex(&mac(&key, signed.as_bytes()));
        self.parameters = format!("signMethod={method}, credential=KEY:{signature}");
    }
}

#[test]
fn s34_the_published_clients_signatures_are_right() {
    let vectors = vectors();
    assert_eq!(vectors.cases.len(), 4);
    for case in &vectors.cases {
        let sent = TestRequest::of(&vectors, case);
        assert_eq!(sent.verify(), Ok(()), "{}", case.target);
        assert!(sent.parameters.contains(&vectors.access_key));
    }
}

#[test]
fn s35_whatever_is_changed_of_what_is_signed_is_refused() {
    let vectors = vectors();
    for case in &vectors.cases {
        let sent = TestRequest::of(&vectors, case);
        let refused = |change: &dyn Fn(&mut TestRequest)| {
            let mut changed = sent.clone();
            change(&mut changed);
            assert!(changed.verify().is_err());
        };
        for at in 0..case.target.len() {
            refused(&|sent| sent.target = flipped(&sent.target, at));
        }
        for at in 0..case.date.len() {
            refused(&|sent| sent.set("date", &flipped(&case.date, at)));
        }
        for at in 0..vectors.host.len() {
            refused(&|sent| sent.authority = flipped(&sent.authority, at));
        }
        for at in 0..vectors.version.len() {
            refused(&|sent| sent.set("x-backendai-version", &flipped(&vectors.version, at)));
        }
        for at in 0..case.content_type.len() {
            refused(&|sent| sent.set("content-type", &flipped(&case.content_type, at)));
        }
        for at in 0..case.signature.len() {
            let signature = flipped(&case.signature, at);
            refused(&|sent| sent.parameters = sent.parameters.replace(&case.signature, &signature));
        }
        refused(&|sent| sent.method = "PUT".to_owned());
        refused(&|sent| sent.secret.push('x'));
        refused(&|sent| sent.secret.clear());
    }
}

/// Returns the text with another character at that place, which is not just another case.
fn flipped(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'7' { b'3' } else { b'7' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn quirks_of_the_published_clients() {
    let vectors = vectors();
    let mut sent = TestRequest::of(&vectors, &vectors.cases[1]);
    // The media type without its parameters, in lower case.
    sent.set("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(sent.verify(), Ok(()));
    // The date in a header of its own.
    let date = sent.headers.remove("date").unwrap();
    sent.headers.insert("x-backendai-date", date);
    assert_eq!(sent.verify(), Ok(()));
    // The body is not part of what is signed.
    sent.body = b"another".to_vec();
    assert_eq!(sent.verify(), Ok(()));
    // No type at all.
    let mut sent = TestRequest::of(&vectors, &vectors.cases[3]);
    sent.headers.remove("content-type");
    assert_eq!(sent.verify(), Ok(()));
}

#[test]
fn a_default_port_may_be_signed_and_not_sent() {
    let vectors = vectors();
    let mut sent = TestRequest::of(&vectors, &vectors.cases[0]);
    sent.authority = "gw.example.com".to_owned();
    sent.sign::<Hmac<Sha256>, Sha256>("HMAC-SHA256", "gw.example.com:443", "20260901");
    assert_eq!(sent.verify(), Ok(()));
    sent.sign::<Hmac<Sha256>, Sha256>("HMAC-SHA256", "gw.example.com", "20260901");
    assert_eq!(sent.verify(), Ok(()));
    sent.authority = "gw.example.com:443".to_owned();
    assert_eq!(sent.verify(), Err(SignatureError::Mismatch));
    sent.authority = "gw.example.com:8443".to_owned();
    sent.sign::<Hmac<Sha256>, Sha256>("HMAC-SHA256", "gw.example.com:443", "20260901");
    assert_eq!(sent.verify(), Err(SignatureError::Mismatch));
}

#[test]
fn longer_hashes_and_older_versions() {
    let vectors = vectors();
    let mut sent = TestRequest::of(&vectors, &vectors.cases[1]);
    sent.sign::<Hmac<Sha384>, Sha384>("HMAC-SHA384", &vectors.host, "20260901");
    assert_eq!(sent.verify(), Ok(()));
    sent.sign::<Hmac<Sha512>, Sha512>("HMAC-SHA512", &vectors.host, "20260901");
    assert_eq!(sent.verify(), Ok(()));
    // A version before the body went unsigned, compared by its numbers.
    for (version, signs_body) in [
        ("v4.20181214", true),
        ("v3.20190101", true),
        ("v4.20181215", false),
        ("v10.20170101", false),
    ] {
        sent.set("x-backendai-version", version);
        sent.body = if signs_body { b"body".to_vec() } else { Vec::new() };
        sent.sign::<Hmac<Sha256>, Sha256>("HMAC-SHA256", &vectors.host, "20260901");
        sent.body = b"body".to_vec();
        assert_eq!(sent.verify(), Ok(()), "{version}");
        sent.body = b"bodY".to_vec();
        assert_eq!(sent.verify().is_ok(), !signs_body, "{version}");
    }
}

#[test]
fn s35_the_clock_may_be_off_by_a_quarter_of_an_hour() {
    let vectors = vectors();
    let sent = TestRequest::of(&vectors, &vectors.cases[1]);
    let message = Message {
        method: "POST",
        authority: &sent.authority,
        path: "/auth",
        query: None,
        headers: &sent.headers,
    };
    let claim = BackendAiClaim::of(&sent.parameters, &message).unwrap();
    let at = |time: &str| claim.require_time(time.parse().unwrap());
    assert_eq!(at("2026-09-01T03:19:05Z"), Ok(()));
    assert_eq!(at("2026-09-01T02:49:06Z"), Ok(()));
    assert_eq!(at("2026-09-01T03:19:07Z"), Err(SignatureError::Clock(901)));
    assert_eq!(at("2026-09-01T02:49:00Z"), Err(SignatureError::Clock(-905)));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let vectors = vectors();
    let good = TestRequest::of(&vectors, &vectors.cases[1]);
    let signature = &vectors.cases[1].signature;
    for parameters in [
        String::new(),
        "signMethod=HMAC-SHA256".to_owned(),
        format!("credential=KEY:{signature}"),
        format!("signMethod=HMAC-MD5, credential=KEY:{signature}"),
        format!("signMethod=HMAC-SHA512, credential=KEY:{signature}"),
        format!("signMethod=HMAC-SHA256, credential=KEY{signature}"),
        format!(
            "signMethod=HMAC-SHA256, credential=KEY:{}",
            signature.to_uppercase()
        ),
        format!("signMethod=HMAC-SHA256, signMethod=HMAC-SHA256, credential=KEY:{signature}"),
        format!("signMethod=HMAC-SHA256, credential=KEY:{signature}, more=x"),
    ] {
        let sent = TestRequest {
            parameters: parameters.clone(),
            ..good.clone()
        };
        assert!(
            matches!(sent.verify(), Err(SignatureError::Malformed(_))),
            "{parameters}"
        );
    }
    for name in ["date", "x-backendai-version"] {
        let mut sent = good.clone();
        sent.headers.remove(name);
        assert!(matches!(sent.verify(), Err(SignatureError::Missing(_))), "{name}");
    }
    for version in ["4.20181215", "v4", "v4.x", "v4.+1", "v.1"] {
        let mut sent = good.clone();
        sent.set("x-backendai-version", version);
        assert!(
            matches!(sent.verify(), Err(SignatureError::Malformed(_))),
            "{version}"
        );
    }
}
