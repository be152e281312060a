//! The published test suite, every case of it in both forms.

use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::*;

const SUITE: &str = include_str!("../../../../tests/vectors/aws-sigv4.json");

#[derive(serde::Deserialize)]
struct Vectors {
    cases: Vec<AwsVector>,
}

#[derive(serde::Deserialize)]
struct AwsVector {
    name: String,
    secret: String,
    timestamp: Timestamp,
    normalize: bool,
    header_signed: String,
    header_canonical: String,
    query_signed: String,
    query_canonical: String,
}

/// A request as its text says.
struct RawRequest {
    method: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: String,
}

impl RawRequest {
    fn parse(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.split('\n');
        let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
        let (target, _) = rest.rsplit_once(' ').unwrap();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            // A folded line continues the one before it with a space (RFC 9112, section 5.2).
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.last_mut().unwrap();
                *value = format!("{value} {}", line.trim());
            } else {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }

    fn message(&self) -> Message<'_> {
        Message {
            method: &self.method,
            authority: self.headers["host"].to_str().unwrap(),
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }

    fn verify(&self, verification: &AwsVector) -> Result<(), SignatureError> {
        let message = self.message();
        let claim = match self.headers.get("authorization") {
            Some(value) => {
                let parameters = value.to_str().unwrap().strip_prefix(ALGORITHM).unwrap();
                SigV4Claim::from_header(parameters, &message)?
            }
            None => SigV4Claim::from_query(message.query.unwrap(), &message)?,
        };
        claim.require_time(verification.timestamp)?;
        assert_eq!(claim.access_key(), "AKIDEXAMPLE");
        let hash: [u8; 32] = Sha256::digest(&self.body).into();
        let signed = match claim.payload() {
            Payload::Undeclared => SignedPayload::Read(&hash),
            declared => SignedPayload::Declared(declared),
        };
        let key = SigningKey::derive(&verification.secret, claim.credential());
        let verdict = claim.verify(&message, signed, &key);
        verdict.map(|_| ()).map_err(|_| SignatureError::Mismatch)
    }
}

#[test]
fn s34_the_published_suite_passes() {
    let suite: Vectors = serde_json::from_str(SUITE).unwrap();
    assert_eq!(suite.cases.len(), 38);
    let mut signed_another_path = Vec::new();
    for case in &suite.cases {
        for (signed, canonical) in [
            (&case.header_signed, &case.header_canonical),
            (&case.query_signed, &case.query_canonical),
        ] {
            let mut request = RawRequest::parse(signed);
            let verdict = request.verify(case);
            if verdict.is_ok() {
                continue;
            }
            // Some services' clients sign a normalised path and send another one. Only the path that was sent
            // is evaluated (S43); the signature must match the path that was signed.
            assert!(case.normalize, "{}: {verdict:?}", case.name);
            signed_another_path.push(case.name.as_str());
            request.path = canonical.split('\n').nth(1).unwrap().to_owned();
            assert_eq!(request.verify(case), Ok(()), "{}", case.name);
        }
    }
    signed_another_path.dedup();
    assert_eq!(
        signed_another_path,
        [
            "get-relative-normalized",
            "get-relative-relative-normalized",
            "get-slash-dot-slash-normalized",
            "get-slash-pointless-dot-normalized",
        ]
    );
}
