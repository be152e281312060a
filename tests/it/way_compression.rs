//! Responses that are compressed, and those that stay as they are.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use vestibule::config::{Config, RouteConfig};

use crate::harness::{Application, Received, Running, route, soon};

const CODINGS: [&str; 3] = ["zstd", "gzip", "br"];

fn compressed(path: &str, allow: &str, upstream: &str) -> RouteConfig {
    RouteConfig {
        compress: true,
        ..route(path, allow, upstream)
    }
}

async fn before(app: &Application) -> Running {
    Running::start(|config| config.route = vec![compressed("/", "public", &app.url())]).await
}

/// Text that can be made smaller, and is of no more than a few pieces only.
fn text(length: usize) -> Bytes {
    let lines = (0usize..).map(|n| format!("line {n} of {}, {}\n", length, n * n % 7919));
    let mut text = String::new();
    for line in lines {
        if text.len() + line.len() > length {
            break;
        }
        text.push_str(&line);
    }
    text.push_str(&"x".repeat(length - text.len()));
    text.into()
}

/// Decodes as much of a stream as can be decoded; also tells whether that is all of it.
fn decode(coding: &str, content: &[u8]) -> (Vec<u8>, bool) {
    let mut reader: Box<dyn io::Read> = match coding {
        "zstd" => Box::new(zstd::stream::read::Decoder::new(content).unwrap()),
        "gzip" => Box::new(flate2::read::GzDecoder::new(content)),
        "br" => Box::new(brotli::Decompressor::new(content, 4096)),
        other => panic!("{other:?} is no coding"),
    };
    let (mut decoded, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (decoded, true),
            Ok(count) => decoded.extend_from_slice(&buffer[..count]),
            Err(_) => return (decoded, false),
        }
    }
}

fn whole(coding: &str, content: &[u8]) -> Bytes {
    let (decoded, is_whole) = decode(coding, content);
    assert!(is_whole, "{coding}: it breaks off");
    decoded.into()
}

fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

fn clients(gateway: &Running) -> [Client; 2] {
    [gateway.client(), gateway.http2_client()]
}

async fn send(request: RequestBuilder) -> (u16, HeaderMap, Bytes) {
    let response = soon(request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, soon(response.bytes()).await.unwrap())
}

/// Answers below `/<length>` with that much text, below `/stream/<length>` without saying how much.
async fn texts() -> Application {
    Application::serving(|parts, _, _| async move {
        let path = parts.uri.path();
        let length = path.rsplit('/').next().unwrap().parse().unwrap();
        let response = Response::builder()
            .header("content-type", "text/plain; charset=utf-8")
            .header("vary", "Cookie")
            .header("accept-ranges", "bytes")
            .header("etag", "\"a\"");
        let text = text(length);
        let body = if path.starts_with("/stream") {
            let pieces: Vec<_> = text.chunks(10_000).map(Bytes::copy_from_slice).collect();
            let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
            StreamBody::new(stream::iter(frames)).boxed_unsync()
        } else {
            Full::new(text).boxed_unsync()
        };
        response.body(body).unwrap()
    })
    .await
}

#[tokio::test]
async fn a_response_is_compressed_as_its_client_takes_it() {
    let app = texts().await;
    for scheme in ["http:", "h2c:"] {
        let upstream = app.url().replace("http:", scheme);
        let gateway =
            Running::start(|config| config.route = vec![compressed("/", "public", &upstream)]).await;
        for (client, coding) in clients(&gateway)
            .iter()
            .flat_map(|c| CODINGS.map(|coding| (c, coding)))
        {
            for path in ["/1024", "/stream/0", "/stream/100", "/500000", "/stream/500000"] {
                let request = client.get(gateway.url(path)).header("accept-encoding", coding);
                let (status, headers, content) = send(request).await;
                let case = format!("{scheme} {coding} {path}");
                assert_eq!(status, 200, "{case}");
                assert_eq!(all(&headers, "content-encoding"), [coding], "{case}");
                assert_eq!(all(&headers, "vary"), ["Cookie", "Accept-Encoding"], "{case}");
                assert_eq!(all(&headers, "etag"), ["W/\"a\""], "{case}");
                assert!(all(&headers, "accept-ranges").is_empty(), "{case}");
                assert!(all(&headers, "content-length").is_empty(), "{case}");
                let length = path.rsplit('/').next().unwrap().parse().unwrap();
                assert!(whole(coding, &content) == text(length), "{case}");
                assert!(length < 1024 || content.len() < length / 2, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_none_and_a_route_that_does_not_say_so_get_it_as_it_is() {
    let app = texts().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            compressed("/", "public", &app.url()),
            route("/stream", "public", &app.url()),
        ];
    })
    .await;
    for client in clients(&gateway) {
        for (path, accepted, vary) in [
            ("/2000", None, 2),
            ("/2000", Some("gzip;q=0, identity"), 2),
            ("/2000", Some("deflate"), 2),
            ("/1023", Some("gzip"), 1),
            ("/stream/2000", Some("gzip"), 1),
        ] {
            let mut request = client.get(gateway.url(path));
            if let Some(accepted) = accepted {
                request = request.header("accept-encoding", accepted);
            }
            let (_, headers, content) = send(request).await;
            let case = format!("{path} {accepted:?}");
            assert!(all(&headers, "content-encoding").is_empty(), "{case}");
            assert_eq!(all(&headers, "vary").len(), vary, "{case}");
            assert_eq!(all(&headers, "etag"), ["\"a\""], "{case}");
            assert_eq!(all(&headers, "accept-ranges"), ["bytes"], "{case}");
            assert!(content == text(content.len()), "{case}");
        }
    }
}

/// Answers with the status and the fields that the request names, and with 5000 bytes.
fn as_asked(request: &Received) -> Response<Bytes> {
    let mut response = Response::builder().status(request.header("x-status").unwrap_or("200"));
    for field in request.all("x-answer") {
        let (name, value) = field.split_once('=').unwrap();
        response = response.header(name, value);
    }
    response.body(text(5000)).unwrap()
}

#[tokio::test]
async fn what_must_stay_as_it_is_stays() {
    const PLAIN: &str = "content-type=text/plain";
    let app = Application::answering(as_asked).await;
    let gateway = before(&app).await;
    for client in clients(&gateway) {
        let get = || {
            let request = client.get(gateway.url("/"));
            request.header("accept-encoding", "gzip, br, zstd")
        };
        let plain = || get().header("x-answer", PLAIN);
        let (_, headers, _) = send(plain()).await;
        assert_eq!(all(&headers, "content-encoding"), ["zstd"]);
        let (_, headers, _) = send(plain().header("x-status", "404")).await;
        assert_eq!(all(&headers, "content-encoding"), ["zstd"]);
        // Whether another client's would be compressed.
        for (request, vary) in [
            (get(), false),
            (get().header("x-answer", "content-type=image/png"), false),
            (get().header("x-answer", "content-type=text/event-stream"), false),
            (
                get().header("x-answer", "content-type=application/grpc+json"),
                false,
            ),
            (plain().header("x-answer", "content-encoding=br"), false),
            (
                plain().header("x-answer", "cache-control=private, no-transform"),
                false,
            ),
            (plain().header("x-answer", "content-digest=sha-256=::"), false),
            (
                plain()
                    .header("x-status", "206")
                    .header("x-answer", "content-range=bytes 0-4999/9000"),
                false,
            ),
            (
                plain().header("x-answer", "content-range=bytes 0-4999/9000"),
                false,
            ),
            (plain().header("range", "bytes=0-9"), false),
            (plain().header("cache-control", "no-transform"), true),
        ] {
            let case = format!("{request:?}");
            let (_, headers, content) = send(request).await;
            let encoded = all(&headers, "content-encoding");
            assert!(
                encoded.is_empty() || case.contains("content-encoding=br"),
                "{case}: {encoded:?}"
            );
            assert_eq!(headers.contains_key("vary"), vary, "{case}");
            assert!(content == text(5000), "{case}");
            assert_eq!(all(&headers, "content-length"), ["5000"], "{case}");
        }
    }
}

#[tokio::test]
async fn a_response_without_content_says_what_one_with_it_would() {
    let app = Application::answering(|request| {
        let mut response = Response::builder().header("etag", "\"a\"");
        if let Some(status) = request.header("x-status") {
            response = response.status(status);
        } else {
            response = response
                .header("content-type", "text/html")
                .header("content-length", "5000");
        }
        let has_content = request.method == "GET" && request.header("x-status").is_none();
        let content = if has_content { text(5000) } else { Bytes::new() };
        response.body(content).unwrap()
    })
    .await;
    let gateway = before(&app).await;
    for client in clients(&gateway) {
        for coding in CODINGS {
            let head = client.head(gateway.url("/")).header("accept-encoding", coding);
            let get = client.get(gateway.url("/")).header("accept-encoding", coding);
            let (_, mut of_head, nothing) = send(head).await;
            let (_, mut of_get, content) = send(get).await;
            assert!(nothing.is_empty());
            assert!(whole(coding, &content) == text(5000));
            for headers in [&mut of_head, &mut of_get] {
                headers.remove("x-request-id");
                headers.remove("date");
                // How content is framed that there is none of.
                headers.remove("transfer-encoding");
            }
            assert_eq!(of_head, of_get);
        }
        let (_, headers, _) = send(client.head(gateway.url("/"))).await;
        assert_eq!(all(&headers, "content-length"), ["5000"]);
        assert_eq!(all(&headers, "vary"), ["Accept-Encoding"]);
        for (status, accepted, tag, vary) in [
            ("304", "gzip", "W/\"a\"", true),
            ("304", "deflate", "\"a\"", true),
            ("204", "gzip", "\"a\"", false),
        ] {
            let request = client.get(gateway.url("/")).header("x-status", status);
            let (_, headers, _) = send(request.header("accept-encoding", accepted)).await;
            assert_eq!(all(&headers, "etag"), [tag], "{status} {accepted}");
            assert_eq!(headers.contains_key("vary"), vary, "{status} {accepted}");
            assert!(!headers.contains_key("content-encoding"), "{status} {accepted}");
        }
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_it_as_it_is() {
    let app = texts().await;
    let gateway = before(&app).await;
    let authority = gateway.authority();
    let mut raw = gateway.raw().await;
    let accept = format!("Host: {authority}\r\nAccept-Encoding: gzip");
    raw.send(format!("GET /2000 HTTP/1.0\r\n{accept}\r\n\r\n")).await;
    let (status, head, content) = raw.answer_with_body().await;
    assert_eq!(status, 200);
    let head = head.to_ascii_lowercase();
    assert!(
        !head.contains("content-encoding") && head.contains("vary: accept-encoding"),
        "{head}"
    );
    assert!(content.as_bytes() == text(2000));
}

/// Streams of text; the test sends each piece of the latest.
struct Source {
    app: Application,
    pieces: Arc<Mutex<Vec<mpsc::UnboundedSender<&'static str>>>>,
}

impl Source {
    async fn start() -> Self {
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let opened = pieces.clone();
        let app = Application::serving(move |_, _, _| {
            let (sender, receiver) = mpsc::unbounded_channel::<&'static str>();
            opened.lock().unwrap().push(sender);
            let frames = stream::unfold(receiver, async |mut receiver| {
                let piece = receiver.recv().await?;
                Some((Ok::<_, Infallible>(Frame::data(Bytes::from(piece))), receiver))
            });
            let body = StreamBody::new(Box::pin(frames)).boxed_unsync();
            let response = Response::builder().header("content-type", "application/x-ndjson");
            async move { response.body(body).unwrap() }
        })
        .await;
        Self { app, pieces }
    }

    fn send(&self, piece: &'static str) {
        let pieces = self.pieces.lock().unwrap();
        pieces.last().unwrap().send(piece).unwrap();
    }

    fn end(&self) {
        self.pieces.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_stream_is_not_held_back() {
    let source = Source::start().await;
    let gateway = before(&source.app).await;
    for client in clients(&gateway) {
        for coding in CODINGS {
            let request = client.get(gateway.url("/")).header("accept-encoding", coding);
            let mut response = soon(request.send()).await.unwrap();
            assert_eq!(all(response.headers(), "content-encoding"), [coding]);
            let (mut sent, mut received) = (String::new(), Vec::new());
            for piece in ["{\"a\": 1}\n", "{\"a\": 2}\n", "{\"a\": 3}\n"] {
                source.send(piece);
                sent.push_str(piece);
                while decode(coding, &received).0 != sent.as_bytes() {
                    received.extend_from_slice(&soon(response.chunk()).await.unwrap().unwrap());
                }
            }
            source.end();
            while let Some(more) = soon(response.chunk()).await.unwrap() {
                received.extend_from_slice(&more);
            }
            assert_eq!(whole(coding, &received), sent, "{coding}");
        }
    }
}

#[tokio::test]
async fn s28_a_compressed_stream_ends_with_its_session() {
    let source = Source::start().await;
    let upstream = source.app.url();
    let gateway =
        Running::start(|config| config.route = vec![compressed("/", "authenticated", &upstream)]).await;
    let ann = gateway.signed_in("ann").await;
    let request = gateway.client().get(gateway.url("/")).header("cookie", &ann);
    let mut response = soon(request.header("accept-encoding", "gzip").send())
        .await
        .unwrap();
    source.send("begun");
    let mut received = Vec::new();
    while decode("gzip", &received).0 != b"begun" {
        received.extend_from_slice(&soon(response.chunk()).await.unwrap().unwrap());
    }
    gateway.sign_out(&ann).await;
    let ended = timeout(Duration::from_secs(5), response.chunk()).await;
    assert!(ended.unwrap().is_err());
}

#[tokio::test]
async fn a_compressed_response_that_stalls_or_breaks_off_never_looks_complete() {
    let app = Application::serving(|parts, _, _| async move {
        let is_broken = parts.uri.path() == "/broken";
        let frames = stream::iter(0..5).then(move |count| async move {
            sleep(Duration::from_millis(200)).await;
            match count {
                4 if is_broken => panic!("the application breaks off"),
                4 => std::future::pending().await,
                _ => Ok(Frame::data(text(1000))),
            }
        });
        let response = Response::builder().header("content-type", "text/plain");
        response
            .body(StreamBody::new(Box::pin(frames)).boxed_unsync())
            .unwrap()
    })
    .await;
    let gateway = Running::start(|config| {
        config.timeouts.idle.0 = Duration::from_millis(500);
        config.route = vec![compressed("/", "public", &app.url())];
    })
    .await;
    for client in clients(&gateway) {
        for path in ["/stalled", "/broken"] {
            let request = client.get(gateway.url(path)).header("accept-encoding", "gzip");
            let mut response = soon(request.send()).await.unwrap();
            let mut received = Vec::new();
            let end = loop {
                match soon(response.chunk()).await {
                    Ok(Some(piece)) => received.extend_from_slice(&piece),
                    end => break end,
                }
            };
            assert!(end.is_err(), "{path}: {end:?}");
            // Pauses that are shorter are none.
            let (decoded, is_whole) = decode("gzip", &received);
            assert_eq!((decoded.len(), is_whole), (4000, false), "{path}");
        }
    }
}

#[tokio::test]
async fn trailers_pass() {
    let app = Application::serving(|_, _, _| async {
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "5".parse().unwrap())]);
        let frames = [
            Ok::<_, Infallible>(Frame::data(text(5000))),
            Ok(Frame::trailers(trailers)),
        ];
        let response = Response::builder().header("content-type", "text/plain");
        response
            .body(StreamBody::new(stream::iter(frames)).boxed_unsync())
            .unwrap()
    })
    .await;
    let upstream = app.url().replace("http:", "h2c:");
    let gateway = Running::start(|config| config.route = vec![compressed("/", "public", &upstream)]).await;
    let (mut client, _task) = gateway.http2_connection().await;
    for coding in CODINGS {
        let request = http::Request::get(gateway.url("/")).header("accept-encoding", coding);
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let response = soon(client.send_request(request)).await.unwrap();
        let body = soon(response.into_body().collect()).await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-sum"], "5", "{coding}");
        assert!(whole(coding, &body.to_bytes()) == text(5000), "{coding}");
    }
}

#[tokio::test]
async fn the_access_log_counts_what_was_sent() {
    let app = texts().await;
    let gateway = before(&app).await;
    let request = gateway.client().get(gateway.url("/500000"));
    let (_, headers, content) = send(request.header("accept-encoding", "br")).await;
    let id = headers["x-request-id"].to_str().unwrap();
    let folder = gateway.stop().await;
    let log = std::fs::read_to_string(folder.path().join("access.jsonl")).unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.into_iter().find(|line| line["request_id"] == id).unwrap();
    assert_eq!(line["bytes"], content.len());
}

#[tokio::test]
async fn no_more_is_compressed_at_a_time_than_there_is_memory_for() {
    let source = Source::start().await;
    let gateway = before(&source.app).await;
    let client = gateway.http2_client();
    let open = async || {
        let request = client.get(gateway.url("/")).header("accept-encoding", "zstd");
        let response = soon(request.send()).await.unwrap();
        assert_eq!(all(response.headers(), "vary"), ["Accept-Encoding"]);
        response
    };
    let is_compressed = |response: &reqwest::Response| response.headers().contains_key("content-encoding");
    let mut streams = Vec::new();
    while let response = open().await
        && is_compressed(&response)
    {
        streams.push(response);
        assert!(streams.len() < 100, "there is no bound");
    }
    assert!(streams.len() > 30, "{} streams", streams.len());
    drop(streams);
    soon(async { while !is_compressed(&open().await) {} }).await;
}

/// How a browser asks for another site, and by itself.
const SITES: [(&str, bool); 4] = [
    ("same-origin", true),
    ("none", true),
    ("same-site", false),
    ("cross-site", false),
];

#[tokio::test]
async fn what_another_site_asks_for_with_somebodys_rights_is_not_compressed() {
    let app = texts().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            compressed("/", "authenticated", &app.url()),
            compressed("/stream", "public", &app.url()),
        ];
    })
    .await;
    let ann = gateway.signed_in("ann").await;
    for (site, is_own) in SITES {
        for (path, expected) in [("/2000", is_own), ("/stream/2000", true)] {
            let request = gateway.client().get(gateway.url(path)).header("cookie", &ann);
            let request = request.header("sec-fetch-site", site);
            let (_, headers, _) = send(request.header("accept-encoding", "gzip")).await;
            let is_compressed = headers.contains_key("content-encoding");
            assert_eq!(is_compressed, expected, "{path} {site}");
            assert!(
                all(&headers, "vary").contains(&"Accept-Encoding"),
                "{path} {site}"
            );
        }
    }
}

#[tokio::test]
async fn the_gateways_own_pages_are_compressed() {
    let gateway = Running::start(|_: &mut Config| {}).await;
    for client in clients(&gateway) {
        let get = |path: &str| client.get(gateway.url(path)).header("accept", "text/html");
        let (_, _, login) = send(get("/.auth/login")).await;
        let login = String::from_utf8(login.to_vec()).unwrap().replace("&#x2f;", "/");
        let linked = |end: &str| {
            let mut words = login.split(['"', '=', ' ', '>']);
            words.find(|word| word.ends_with(end)).unwrap()
        };
        let (style, icon) = (linked(".css"), linked(".svg"));
        for path in [
            "/.auth/login",
            style,
            "/.auth/problems/forbidden",
            "/.auth/nowhere",
        ] {
            let (status, plain, content) = send(get(path)).await;
            assert!(all(&plain, "content-encoding").is_empty(), "{path}");
            assert!(all(&plain, "vary").contains(&"Accept-Encoding"), "{path}");
            for coding in CODINGS {
                for (site, is_own) in SITES {
                    let request = get(path).header("accept-encoding", coding);
                    let (again, headers, sent) = send(request.header("sec-fetch-site", site)).await;
                    let case = format!("{path} {coding} {site}");
                    assert_eq!(again, status, "{case}");
                    assert_eq!(all(&headers, "vary"), all(&plain, "vary"), "{case}");
                    assert_eq!(headers["content-type"], plain["content-type"], "{case}");
                    let length = sent.len().to_string();
                    assert_eq!(all(&headers, "content-length"), [length], "{case}");
                    // What is the same for everybody has no secret.
                    if is_own || path == style {
                        assert_eq!(all(&headers, "content-encoding"), [coding], "{case}");
                        assert!(sent.len() < content.len() / 2 + 200, "{case}");
                        let (decoded, _) = decode(coding, &sent);
                        assert_eq!(decoded.len(), content.len(), "{case}");
                    } else {
                        assert!(all(&headers, "content-encoding").is_empty(), "{case}");
                    }
                }
            }
        }
        let (_, headers, _) = send(get(icon).header("accept-encoding", "gzip")).await;
        assert!(all(&headers, "content-encoding").is_empty());
        let small = get("/.auth/me").header("accept-encoding", "gzip");
        let (status, headers, _) = send(small.header("accept", "application/json")).await;
        assert_eq!(status, 401);
        assert!(all(&headers, "content-encoding").is_empty());
        for coding in CODINGS {
            let of = |request: RequestBuilder| send(request.header("accept-encoding", coding));
            let (_, head, nothing) = of(client.head(gateway.url(style))).await;
            let (_, get, _) = of(get(style)).await;
            assert!(nothing.is_empty());
            assert_eq!(head["content-length"], get["content-length"]);
            assert_eq!(head["content-encoding"], get["content-encoding"]);
        }
    }
}

#[tokio::test]
async fn response_headers_of_a_route_can_forbid_it() {
    let app = texts().await;
    let gateway = Running::start(|config| {
        let headers = [("Cache-Control".to_owned(), "no-transform".to_owned())];
        config.route = vec![RouteConfig {
            response_headers: BTreeMap::from(headers),
            ..compressed("/", "public", &app.url())
        }];
    })
    .await;
    let request = gateway.client().get(gateway.url("/2000"));
    let (_, headers, content) = send(request.header("accept-encoding", "gzip")).await;
    assert!(all(&headers, "content-encoding").is_empty());
    assert!(content == text(2000));
}
