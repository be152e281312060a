//! Clients that sign requests. Implemented from the schemes' own documents, and shares no code with the
//! verifiers.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::RequestBuilder;
use sha2::{Digest as _, Sha256};
use vestibule::control::Command;
use vestibule::model::KeyScope;
use vestibule::services::NewAccessKey;

use super::Running;

/// An access key, and the time of signing.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// Host and port.
    pub(crate) authority: String,
    pub(crate) at: Timestamp,
}

/// A request to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned<'r> {
    pub(crate) method: &'r str,
    /// Path and query; the query must be sorted and encoded.
    pub(crate) target: &'r str,
    /// The declared payload, or its hash if none is declared.
    pub(crate) payload: String,
}

pub(crate) type Headers = Vec<(&'static str, String)>;

const REGION: &str = "eu-north-7";
const SERVICE: &str = "anything";

pub(crate) fn hash(body: impl AsRef<[u8]>) -> String {
    base16ct::lower::encode_string(&Sha256::digest(body))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// A GET.
pub(crate) fn get(target: &str) -> Unsigned<'_> {
    Unsigned {
        method: "GET",
        target,
        payload: hash(""),
    }
}

/// A POST with a body.
pub(crate) fn post(target: &str, body: impl AsRef<[u8]>) -> Unsigned<'_> {
    Unsigned {
        method: "POST",
        target,
        payload: hash(body),
    }
}

impl Running {
    /// Creates an access key for an account, and a signer with it whose clock shows `at`.
    pub(crate) async fn signer(&self, email: &str, at: Timestamp) -> Signer {
        self.limited_signer(email, at, &[]).await
    }

    /// The same with a key for some methods only.
    pub(crate) async fn limited_signer(&self, email: &str, at: Timestamp, methods: &[&str]) -> Signer {
        let key = NewAccessKey {
            name: String::new(),
            ttl: None,
            scope: KeyScope {
                methods: methods.iter().map(|&method| method.to_owned()).collect(),
                ..KeyScope::default()
            },
        };
        let made = self
            .command(Command::CreateKey {
                user: email.to_owned(),
                key,
            })
            .await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Signer {
            access_key: text("access_key"),
            secret_key: text("secret_key"),
            authority: self.authority(),
            at,
        }
    }
}

impl Signer {
    fn amz_date(&self) -> String {
        self.at.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn scope(&self) -> String {
        format!("{}/{REGION}/{SERVICE}/aws4_request", &self.amz_date()[..8])
    }

    fn signing_key(&self) -> Vec<u8> {
        let day = mac(
            format!("AWS4{}", self.secret_key).as_bytes(),
            &self.amz_date()[..8],
        );
        mac(&mac(&mac(&day, REGION), SERVICE), "aws4_request")
    }

    /// Signs by AWS Signature Version 4, without a declared payload.
    pub(crate) fn aws(&self, request: &Unsigned<'_>) -> Headers {
        self.aws_with(request, &[])
    }

    /// Signs with a declared payload: a hash, or a keyword.
    pub(crate) fn aws_declared(&self, request: &Unsigned<'_>) -> Headers {
        self.aws_with(request, &[("x-amz-content-sha256", &request.payload)])
    }

    /// Signs with more headers, sorted, between `host` and `x-amz-date`.
    pub(crate) fn aws_with(&self, request: &Unsigned<'_>, more: &[(&'static str, &str)]) -> Headers {
        let date = self.amz_date();
        let mut lines = vec![("host", self.authority.as_str())];
        lines.extend_from_slice(more);
        lines.push(("x-amz-date", &date));
        lines.sort_unstable();
        let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let headers = lines.iter().fold(String::new(), |text, (name, value)| {
            text + name + ":" + value + "\n"
        });
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let canonical = format!(
            "{}\n{path}\n{query}\n{headers}\n{names}\n{}",
            request.method, request.payload
        );
        let signature = self.aws_signature(&canonical);
        let credential = format!("{}/{}", self.access_key, self.scope());
        let mut sent: Headers = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        sent.push(("x-amz-date", date));
        sent.push((
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"),
        ));
        sent
    }

    fn aws_signature(&self, canonical: &str) -> String {
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.amz_date(),
            self.scope(),
            hash(canonical)
        );
        hex(&mac(&self.signing_key(), &text))
    }

    /// Returns a presigned target. The target's own query must sort before `X`.
    pub(crate) fn presigned(&self, request: &Unsigned<'_>, seconds: u32) -> String {
        self.presigned_with(request, Some(seconds))
    }

    /// The same; some signers omit the lifetime.
    pub(crate) fn presigned_with(&self, request: &Unsigned<'_>, seconds: Option<u32>) -> String {
        self.presigned_over(request, seconds, &[])
    }

    /// The same with more signed headers, sorted.
    pub(crate) fn presigned_over(
        &self,
        request: &Unsigned<'_>,
        seconds: Option<u32>,
        more: &[(&str, &str)],
    ) -> String {
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let mut lines = vec![("host", self.authority.as_str())];
        lines.extend_from_slice(more);
        lines.sort_unstable();
        let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        let headers = lines.iter().fold(String::new(), |text, (name, value)| {
            text + name + ":" + value + "\n"
        });
        let mut parameters: Vec<String> = vec![
            "X-Amz-Algorithm=AWS4-HMAC-SHA256".to_owned(),
            format!(
                "X-Amz-Credential={}%2F{}",
                self.access_key,
                self.scope().replace('/', "%2F")
            ),
            format!("X-Amz-Date={}", self.amz_date()),
            format!("X-Amz-SignedHeaders={}", names.join("%3B")),
        ];
        parameters.extend(seconds.map(|seconds| format!("X-Amz-Expires={seconds}")));
        parameters.extend(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(str::to_owned),
        );
        parameters.sort_unstable();
        let query = parameters.join("&");
        let canonical = format!(
            "{}\n{path}\n{query}\n{headers}\n{}\n{}",
            request.method,
            names.join(";"),
            request.payload
        );
        let signature = self.aws_signature(&canonical);
        format!("{path}?{query}&X-Amz-Signature={signature}")
    }

    /// Encodes a body in signed chunks, for a head with these headers.
    pub(crate) fn chunks(&self, head: &Headers, pieces: &[&str]) -> String {
        let authorization = &head.last().unwrap().1;
        let mut last = authorization.split("Signature=").last().unwrap().to_owned();
        let mut body = String::new();
        for piece in pieces.iter().chain(&[""]) {
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{last}\n{}\n{}",
                self.amz_date(),
                self.scope(),
                hash(""),
                hash(piece)
            );
            last = hex(&mac(&self.signing_key(), &text));
            write!(body, "{:x};chunk-signature={last}\r\n{piece}\r\n", piece.len()).unwrap();
        }
        body
    }

    /// Signs by Backend.AI's scheme, which leaves the body out.
    pub(crate) fn backend_ai(&self, request: &Unsigned<'_>) -> Headers {
        let date = self.at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
        let version = "v9.20250722";
        let text = format!(
            "{}\n{}\n{date}\nhost:{}\ncontent-type:application/json\nx-backendai-version:{version}\n{}",
            request.method,
            request.target,
            self.authority,
            hash("")
        );
        let day = mac(
            self.secret_key.as_bytes(),
            &self.at.strftime("%Y%m%d").to_string(),
        );
        let signature = hex(&mac(&mac(&day, &self.authority), &text));
        vec![
            ("date", date),
            ("content-type", "application/json".to_owned()),
            ("x-backendai-version", version.to_owned()),
            (
                "authorization",
                format!(
                    "BackendAI signMethod=HMAC-SHA256, credential={}:{signature}",
                    self.access_key
                ),
            ),
        ]
    }

    /// Signs by HTTP Message Signatures (RFC 9421); a body is covered by its digest.
    pub(crate) fn message(&self, request: &Unsigned<'_>, body: Option<&str>) -> Headers {
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let mut covered = vec![
            ("@method", request.method.to_owned()),
            ("@authority", self.authority.to_lowercase()),
            ("@path", path.to_owned()),
            ("@query", format!("?{query}")),
        ];
        let mut headers = Headers::new();
        if let Some(body) = body {
            let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
            covered.push(("content-digest", digest.clone()));
            headers.push(("content-digest", digest));
        }
        let names: Vec<String> = covered.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let parameters = format!(
            "({});created={};keyid=\"{}\";alg=\"hmac-sha256\"",
            names.join(" "),
            self.at.as_second(),
            self.access_key
        );
        covered.push(("@signature-params", parameters.clone()));
        let lines: Vec<String> = covered
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        let base = lines.join("\n");
        let signature = STANDARD.encode(mac(self.secret_key.as_bytes(), &base));
        headers.push(("signature-input", format!("sig1={parameters}")));
        headers.push(("signature", format!("sig1=:{signature}:")));
        headers
    }

    /// Sends the secret itself, by `Basic`.
    pub(crate) fn basic(&self) -> Headers {
        let pair = STANDARD.encode(format!("{}:{}", self.access_key, self.secret_key));
        vec![("authorization", format!("Basic {pair}"))]
    }
}

/// Formats headers as lines of HTTP/1.1.
pub(crate) fn lines(headers: &Headers) -> String {
    headers.iter().fold(String::new(), |text, (name, value)| {
        text + name + ": " + value + "\r\n"
    })
}

/// Adds these headers to a request.
pub(crate) fn with(request: RequestBuilder, headers: &Headers) -> RequestBuilder {
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, value))
}
