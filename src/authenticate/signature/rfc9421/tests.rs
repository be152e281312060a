use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const NOW: &str = "2026-09-01T03:04:05Z";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

/// The example of RFC 9421, appendix B.2.5.
#[test]
fn s34_the_published_hmac_example() {
    let headers = headers(&[
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        (
            "signature-input",
            "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
        ),
        (
            "signature",
            "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
        ),
    ]);
    let message = Message {
        method: "POST",
        authority: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        headers: &headers,
    };
    let secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let inputs = dictionary(&message, SIGNATURE_INPUT).unwrap();
    let input = inputs.get("sig-b25").unwrap();
    let ListEntry::InnerList(list) = input else {
        panic!("not a list")
    };
    let mut parameters = ListSerializer::new();
    parameters.members([input]);
    let components = Components::read(list, &message).unwrap();
    let base = components.base(&message, &parameters.finish().unwrap());
    let mac = mac::hmac_sha256(&STANDARD.decode(secret).unwrap(), &[&base]);
    assert_eq!(
        STANDARD.encode(mac),
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="
    );
    // It does not say which request it is for.
    let claim = MessageClaim::of(&message, |_| true);
    assert_eq!(claim.unwrap_err(), SignatureError::NotSigned("@method".into()));
}

/// A request, signed over the text that the test wrote down.
#[derive(Clone)]
struct SignedMessage {
    method: &'static str,
    authority: String,
    path: String,
    query: Option<&'static str>,
    headers: HeaderMap,
}

const COVERED: &str = r#"("@method" "@authority" "@path" "@query" "content-digest" "x-thing")"#;
const DIGEST: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";

fn base(parameters: &str) -> String {
    format!(
        "\"@method\": POST\n\"@authority\": gw.example.com:8443\n\"@path\": /a%20b\n\"@query\": ?x=1&y\n\
         \"content-digest\": {DIGEST}\n\"x-thing\": one  two, three\n\"@signature-params\": {parameters}"
    )
}

fn parameters() -> String {
    format!("{COVERED};created=1788231845;keyid=\"{KEY}\";alg=\"hmac-sha256\"")
}

impl SignedMessage {
    fn over(parameters: &str, base: &str) -> Self {
        let mac = mac::hmac_sha256(SECRET.as_bytes(), &[base.as_bytes()]);
        let mut headers = headers(&[
            ("content-digest", DIGEST),
            ("x-thing", " one  two "),
            ("signature-input", &format!("sig={parameters}")),
            ("signature", &format!("sig=:{}:", STANDARD.encode(mac))),
        ]);
        headers.append("x-thing", "three".parse().unwrap());
        Self {
            method: "POST",
            authority: "GW.example.com:8443".to_owned(),
            path: "/a%20b".to_owned(),
            query: Some("x=1&y"),
            headers,
        }
    }

    fn good() -> Self {
        Self::over(&parameters(), &base(&parameters()))
    }

    fn message(&self) -> Message<'_> {
        Message {
            method: self.method,
            authority: &self.authority,
            path: &self.path,
            query: self.query,
            headers: &self.headers,
        }
    }

    fn verify(&self) -> Result<VerifiedMessage, SignatureError> {
        let claim = MessageClaim::of(&self.message(), |key| key == KEY)?.expect("a signature by our key");
        claim.require_time(NOW.parse().unwrap())?;
        assert!(claim.content_digest().is_some());
        claim
            .verify(&self.message(), SECRET)
            .map_err(|_| SignatureError::Mismatch)
    }
}

#[test]
fn what_is_signed_passes_and_nothing_else() {
    assert_eq!(
        SignedMessage::good().verify().unwrap().until.to_string(),
        "2026-09-01T03:09:05Z"
    );
    let refused = |change: &dyn Fn(&mut SignedMessage)| {
        let mut sent = SignedMessage::good();
        change(&mut sent);
        assert!(sent.verify().is_err());
    };
    refused(&|sent| sent.method = "PUT");
    refused(&|sent| sent.authority = "gw.example.com".to_owned());
    refused(&|sent| sent.path.push('x'));
    refused(&|sent| sent.query = Some("x=1&y="));
    refused(&|sent| sent.query = None);
    refused(&|sent| {
        sent.headers.append("x-thing", "four".parse().unwrap());
    });
    refused(&|sent| {
        sent.headers.remove("x-thing");
    });
    refused(&|sent| {
        sent.headers
            .insert("content-digest", DIGEST.replace("X48", "X49").parse().unwrap());
    });
    refused(&|sent| {
        let later = parameters().replace("1788231845", "1788231846");
        sent.headers
            .insert("signature-input", format!("sig={later}").parse().unwrap());
    });
}

#[test]
fn s35_each_byte_of_what_is_signed_matters() {
    let text = base(&parameters());
    for at in 0..text.len() {
        let mut flipped = text.clone().into_bytes();
        flipped[at] ^= 1;
        let flipped = String::from_utf8(flipped).unwrap();
        let judged = SignedMessage::over(&parameters(), &flipped).verify();
        assert_eq!(judged.unwrap_err(), SignatureError::Mismatch, "{at}");
    }
}

fn verify_parameters(parameters: &str) -> Result<VerifiedMessage, SignatureError> {
    SignedMessage::over(parameters, &base(parameters)).verify()
}

#[test]
fn s35_host_method_target_and_date_must_be_signed() {
    for (from, to, missing) in [
        ("\"@method\" ", "", "@method"),
        ("\"@authority\" ", "", "@authority"),
        ("\"@path\" ", "", "@path"),
        ("\"@query\" ", "", "@query"),
        (";created=1788231845", "", "created"),
    ] {
        let judged = verify_parameters(&parameters().replace(from, to));
        assert_eq!(judged.unwrap_err(), SignatureError::NotSigned(missing.into()));
    }
    let judged = verify_parameters(&parameters().replace("\"x-thing\"", "\"x-other\""));
    assert_eq!(judged.unwrap_err(), SignatureError::Missing("x-other".into()));
}

#[test]
fn s35_the_clock_may_be_off_by_five_minutes_and_an_end_holds() {
    let with = |from: &str, to: &str| {
        verify_parameters(&parameters().replace(from, to)).map(|proven| proven.until.to_string())
    };
    assert_eq!(
        with("1788231845", "1788231544").unwrap_err(),
        SignatureError::Clock(301)
    );
    assert_eq!(
        with("1788231845", "1788232146").unwrap_err(),
        SignatureError::Clock(-301)
    );
    assert!(with("1788231845", "1788231545").is_ok());
    assert_eq!(
        with(";alg", ";expires=1788231845;alg").unwrap_err(),
        SignatureError::Expired(0)
    );
    assert_eq!(
        with(";alg", ";expires=1788231846;alg").unwrap(),
        "2026-09-01T03:04:06Z"
    );
}

#[test]
fn what_cannot_be_read_or_is_not_served() {
    for (from, to) in [
        ("hmac-sha256", "ed25519"),
        ("\"hmac-sha256\"", "hmac-sha256"),
        (";alg=\"hmac-sha256\"", ";alg"),
        ("\"x-thing\"", "\"X-Thing\""),
        ("\"x-thing\"", "\"x-thing\";bs"),
        ("\"x-thing\"", "\"@method\""),
        ("\"x-thing\"", "\"@status\""),
        ("\"x-thing\"", "x-thing"),
        ("=1788231845", "=\"1788231845\""),
        (";alg", ";expires=1.5;alg"),
    ] {
        let judged = verify_parameters(&parameters().replace(from, to));
        assert!(
            matches!(judged, Err(SignatureError::Malformed(_))),
            "{to}: {judged:?}"
        );
    }
    let mut sent = SignedMessage::good();
    let again = sent.headers["signature-input"]
        .to_str()
        .unwrap()
        .replace("sig=", "two=");
    sent.headers.append("signature-input", again.parse().unwrap());
    assert_eq!(sent.verify().unwrap_err(), SignatureError::Several);
    for (name, value) in [
        ("signature-input", "sig=("),
        ("signature", "other=:AAAA:"),
        ("signature", "sig=:AAAA:"),
        ("signature", "sig=1"),
    ] {
        let mut sent = SignedMessage::good();
        sent.headers.insert(name, value.parse().unwrap());
        assert!(
            matches!(sent.verify(), Err(SignatureError::Malformed(_))),
            "{value}"
        );
    }
}

#[test]
fn signatures_by_others_are_not_ours() {
    let sent = SignedMessage::good();
    assert!(MessageClaim::of(&sent.message(), |_| false).unwrap().is_none());
    let input = "sig=(\"@method\");keyid=\"somebody\", sig2=\"x\"";
    let headers = headers(&[("signature-input", input)]);
    let message = Message {
        headers: &headers,
        ..sent.message()
    };
    assert!(MessageClaim::of(&message, |key| key == KEY).unwrap().is_none());
}
