//! Forwarding to upstreams of every kind and back, over the wire.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Response;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use vestibule::clock::Clock;
use vestibule::config::HumanDuration;
use vestibule::services::AccountChange;

use crate::harness::{Application, Running, head_of, route, soon, until, upstream};

const MIB: usize = 1 << 20;

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at * 7 % 251).unwrap())
        .collect()
}

#[tokio::test]
async fn bodies_go_both_ways_unchanged() {
    let app = Application::answering(|request| Response::new(request.body.clone())).await;
    let gateway = Running::before("public", &app.url()).await;
    for client in [gateway.client(), gateway.http2_client()] {
        for length in [0, 1, MIB + 13, 5 * MIB] {
            let sent = pattern(length);
            let asked = client.post(gateway.url("/")).body(sent.clone());
            let answer = soon(asked.send()).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(soon(answer.bytes()).await.unwrap() == sent, "{length} bytes");
        }
    }
    let received = app.received();
    assert_eq!(received[1].header("content-length"), Some("1"));
    assert_eq!(received[0].method, "POST");
}

#[tokio::test]
async fn streams_are_never_held_back() {
    let (events, source) = mpsc::unbounded_channel::<&'static str>();
    let source = std::sync::Arc::new(std::sync::Mutex::new(Some(source)));
    let app = Application::serving(move |_, _, _| {
        let source = source.lock().unwrap().take().unwrap();
        let stream = futures_util::stream::unfold(source, async |mut source| {
            let event = source.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(event))), source))
        });
        let response = Response::builder().header("content-type", "text/event-stream");
        let body = StreamBody::new(Box::pin(stream)).boxed_unsync();
        async move { response.body(body).unwrap() }
    })
    .await;
    let gateway = Running::before("public", &app.url()).await;
    let asked = gateway.client().get(gateway.url("/events"));
    let mut answer = soon(asked.send()).await.unwrap();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        events.send(event).unwrap();
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), event);
    }
    drop(events);
    assert_eq!(soon(answer.chunk()).await.unwrap(), None);
}

#[tokio::test]
async fn s28_a_stream_ends_with_its_session() {
    let app = Application::quiet().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let (ann, bob) = (gateway.signed_in("ann").await, gateway.signed_in("bob").await);
    let open = async |cookie: &str| {
        let asked = gateway.client().get(gateway.url("/")).header("cookie", cookie);
        let mut answer = soon(asked.send()).await.unwrap();
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "begun");
        answer
    };
    let (mut of_ann, mut of_bob) = (open(&ann).await, open(&bob).await);
    gateway.sign_out(&ann).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), of_ann.chunk());
    // Aborted, without an end that would look like the upstream's.
    assert!(ended.await.unwrap().is_err());
    let others = tokio::time::timeout(Duration::from_millis(50), of_bob.chunk());
    assert!(others.await.is_err());
}

#[tokio::test]
async fn s28_a_stream_that_is_never_quiet_ends_with_its_session() {
    const EVERY: Duration = Duration::from_millis(100);
    let app = Application::serving(|_, _, _| async {
        let ticks = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(EVERY).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from("tick"))), ()))
        });
        Response::new(StreamBody::new(Box::pin(ticks)).boxed_unsync())
    })
    .await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let ann = gateway.signed_in("ann").await;
    let asked = gateway.client().get(gateway.url("/")).header("cookie", &ann);
    let mut answer = soon(asked.send()).await.unwrap();
    assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "tick");
    gateway.sign_out(&ann).await;
    let mut ticks = 0;
    while soon(answer.chunk()).await.is_ok() {
        ticks += 1;
        assert!(ticks < 10, "it goes on");
    }
}

#[tokio::test]
async fn s76_a_stream_ends_when_its_account_leaves_a_group() {
    let app = Application::quiet().await;
    let gateway = Running::before("authenticated", &app.url()).await;
    let ann = gateway.signed_in("ann").await;
    let groups =
        |names: &[&str]| AccountChange::SetGroups(names.iter().map(|&name| name.to_owned()).collect());
    gateway.change_user("ann", groups(&["ops"])).await;
    let asked = gateway.client().get(gateway.url("/")).header("cookie", &ann);
    let mut answer = soon(asked.send()).await.unwrap();
    assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "begun");
    // One more group is no reason.
    gateway.change_user("ann", groups(&["dev", "ops"])).await;
    let still = tokio::time::timeout(Duration::from_millis(2500), answer.chunk());
    assert!(still.await.is_err());
    gateway.change_user("ann", groups(&["dev"])).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), answer.chunk());
    assert!(ended.await.unwrap().is_err());
}

#[tokio::test]
async fn an_answer_to_half_a_request_arrives() {
    let gateway = Running::before("authenticated", "demo:").await;
    let authority = gateway.authority();
    // A megabyte is announced, and still arrives during the response.
    let mut raw = gateway.raw().await;
    raw.send(format!(
        "POST / HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {MIB}\r\n\r\n"
    ))
    .await;
    for _ in 0..8 {
        raw.send(vec![0; 64 << 10]).await;
    }
    assert_eq!(raw.answer().await.0, 401);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    let mut raw = gateway.raw().await;
    raw.send(format!(
        "PUT / HTTP/1.1\r\nHost: {authority}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    ))
    .await;
    assert!(raw.head().await.starts_with("HTTP/1.1 100 "));
    raw.send("hi").await;
    assert_eq!(raw.answer().await.0, 200);
    let request = app.only();
    assert_eq!(
        (request.body.as_ref(), request.header("expect")),
        (b"hi".as_slice(), None)
    );
}

#[tokio::test]
async fn head_has_no_body_and_its_length() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    for client in [gateway.client(), gateway.http2_client()] {
        for path in ["/", "/.auth/login", "/.auth/nothing"] {
            let get = client.get(gateway.url(path)).send().await.unwrap();
            let head = client.head(gateway.url(path)).send().await.unwrap();
            assert_eq!(head.status(), get.status(), "{path}");
            let length = head.headers()["content-length"]
                .to_str()
                .unwrap()
                .parse::<usize>()
                .unwrap();
            let whole = get.bytes().await.unwrap();
            // The request id is in the text of a refusal, with a constant length.
            assert_eq!(length, whole.len(), "{path}");
            assert!(head.bytes().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn an_application_that_is_not_there_or_too_slow() {
    let slow = Application::serving(|_, _, _| std::future::pending()).await;
    let broken = Application::serving(|_, _, _| async { panic!("on purpose") }).await;
    let gateway = Running::start(|config| {
        config.timeouts.response = HumanDuration(Duration::from_millis(100));
        config.route = vec![
            route("/gone", "public", "http://127.0.0.1:1"),
            route("/slow", "public", &slow.url()),
            route("/broken", "public", &broken.url()),
        ];
    })
    .await;
    for (path, status, slug) in [
        ("/gone", 502, "upstream-unreachable"),
        ("/slow", 504, "upstream-timeout"),
        ("/broken", 502, "upstream-unreachable"),
    ] {
        let answer = soon(gateway.client().get(gateway.url(path)).send())
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert!(problem["type"].as_str().unwrap().ends_with(slug), "{problem}");
        let browser = gateway
            .client()
            .get(gateway.url(path))
            .header("accept", "text/html");
        let page = soon(browser.send()).await.unwrap();
        assert!(
            page.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
    }
}

#[tokio::test]
async fn servers_take_turns_and_one_that_is_gone_is_passed_over() {
    let apps = [Application::start().await, Application::start().await];
    let gateway = Running::start(|config| {
        let (one, two) = (apps[0].url(), apps[1].url());
        config
            .upstream
            .insert("app".to_owned(), upstream(&["http://127.0.0.1:1", &one, &two]));
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    for _ in 0..30 {
        let asked = gateway.client().post(gateway.url("/")).body("once");
        assert_eq!(soon(asked.send()).await.unwrap().status(), 200);
    }
    let counts = apps.each_ref().map(|app| app.received().len());
    assert_eq!(counts.iter().sum::<usize>(), 30);
    assert!(counts.iter().all(|&count| count >= 10), "{counts:?}");
}

#[tokio::test]
async fn http2_in_the_clear_to_an_application() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url().replace("http:", "h2c:")).await;
    for client in [gateway.client(), gateway.http2_client()] {
        let asked = client
            .post(gateway.url("/a?b"))
            .header("te", "trailers")
            .body("hi");
        assert_eq!(soon(asked.send()).await.unwrap().text().await.unwrap(), "hello");
    }
    let received = app.received();
    for request in &received {
        assert_eq!(
            (request.target.as_str(), request.body.as_ref()),
            ("/a?b", b"hi".as_slice())
        );
        assert_eq!(
            request.header("x-forwarded-host"),
            Some(gateway.authority().as_str())
        );
    }
    assert_eq!(app.connections(), 1);
}

/// The library of HTTP/2 sends no such trailers, and ends the stream neither (RFC 9113, section 8.2.2).
#[tokio::test]
async fn trailers_that_http2_forbids_do_not_hang_a_request() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url().replace("http:", "h2c:")).await;
    for name in ["Keep-Alive", "Proxy-Connection", "Connection", "Upgrade", "X-Sum"] {
        let mut raw = gateway.raw().await;
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{name}: 1\r\n\r\n",
            gateway.authority()
        );
        raw.send(head).await;
        assert_eq!(raw.answer_with_body().await.0, 200, "{name}");
    }
}

#[tokio::test]
async fn a_gateway_behind_a_gateway_over_tls_and_a_local_socket() {
    let app = Application::start().await;
    let inner = Running::start(|config| {
        let mut any = route("/", "public", &app.url());
        any.host = Some("localhost".to_owned());
        config.route = vec![any];
    })
    .await;
    let server = format!("https://localhost:{}", inner.address.port());
    let gateway = Running::start(|config| {
        let mut trusted = upstream(&[&server]);
        trusted.ca = Some(inner.file("authority.pem"));
        config.upstream.insert("trusted".to_owned(), trusted);
        // The system does not trust that authority.
        config.upstream.insert("unknown".to_owned(), upstream(&[&server]));
        let of_localhost = |path: &str, upstream: &str| {
            let mut route = route(path, "public", upstream);
            route.host = Some("localhost".to_owned());
            route
        };
        config.route = vec![
            of_localhost("/trusted", "trusted"),
            of_localhost("/unknown", "unknown"),
        ];
    })
    .await;
    let client = gateway.client();
    let trusted = client.get(gateway.url_of("localhost", "/trusted")).send();
    assert_eq!(soon(trusted).await.unwrap().text().await.unwrap(), "hello");
    let unknown = client.get(gateway.url_of("localhost", "/unknown")).send();
    assert_eq!(soon(unknown).await.unwrap().status(), 502);
    assert_eq!(app.received().len(), 1);
}

#[tokio::test]
async fn a_local_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let app = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service =
            hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                let host = request.headers()["host"].clone();
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::copy_from_slice(host.as_bytes()))))
            });
        let io = hyper_util::rt::TokioIo::new(stream);
        hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await
    });
    let gateway = Running::before("public", &format!("unix:{}", path.display())).await;
    let answer = soon(gateway.client().get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), gateway.authority());
    drop(gateway);
    app.abort();
}

#[tokio::test]
async fn an_upload_that_the_client_breaks_off_never_looks_complete() {
    let (done, mut outcome) = mpsc::unbounded_channel();
    let app = Application::serving(move |parts, incoming, received| {
        let done = done.clone();
        async move {
            received.lock().unwrap().push(head_of(&parts));
            let _ = done.send(incoming.collect().await.is_ok());
            Response::new(Full::new(Bytes::new()).boxed_unsync())
        }
    })
    .await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    for framing in [
        "Content-Length: 100\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut raw = gateway.raw().await;
        raw.send(format!("POST / HTTP/1.1\r\nHost: {authority}\r\n{framing}"))
            .await;
        let before = app.received().len();
        until(|| app.received().len() > before || before > 0).await;
        drop(raw);
        assert!(!soon(outcome.recv()).await.unwrap(), "{framing:?}");
    }
}

#[tokio::test]
async fn connections_to_an_application_are_used_again() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let client = gateway.client();
    for _ in 0..20 {
        let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
    }
    assert_eq!(app.connections(), 1);
}

/// When an upstream closes a connection that it had kept alive.
#[derive(Clone, Copy, Debug)]
enum Closing {
    WithTheAnswer,
    After(Duration),
    /// After up to this many milliseconds.
    AtRandom(u64),
    /// Without a response, at the second request.
    WhenAskedAgain,
}

/// An upstream that serves one request per connection without announcing the close, and a counter of
/// requests.
async fn closing_application(closing: Closing) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    tokio::spawn(async move {
        let mut state = 7_u64;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = state >> 33;
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                if stream.read(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                stream.write_all(answer).await.unwrap();
                match closing {
                    Closing::WithTheAnswer => {}
                    Closing::After(time) => tokio::time::sleep(time).await,
                    Closing::AtRandom(most) => {
                        tokio::time::sleep(Duration::from_millis(random % most)).await;
                    }
                    Closing::WhenAskedAgain => {
                        if stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    (url, requests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_application_has_just_closed_costs_no_answer() {
    for closing in [
        Closing::WhenAskedAgain,
        Closing::WithTheAnswer,
        Closing::After(Duration::from_millis(50)),
        Closing::AtRandom(20),
    ] {
        let (url, _) = closing_application(closing).await;
        let gateway = Running::before("public", &url).await;
        let client = gateway.client();
        let asking = (0..8).map(async |asker: u64| {
            for turn in 0..25 {
                let answer = soon(client.get(gateway.url("/")).send()).await.unwrap();
                assert_eq!(answer.status(), 200, "{closing:?}");
                // Near the moment at which the connection is closed.
                if let Closing::After(time) = closing {
                    let later = Duration::from_micros(asker * 300 + turn * 20);
                    tokio::time::sleep(time.saturating_sub(Duration::from_millis(2)) + later).await;
                }
            }
        });
        futures_util::future::join_all(asking).await;
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_done_is_not_sent_again() {
    let (url, requests) = closing_application(Closing::WhenAskedAgain).await;
    let gateway = Running::before("public", &url).await;
    let client = gateway.client();
    assert_eq!(
        soon(client.get(gateway.url("/")).send()).await.unwrap().status(),
        200
    );
    let answer = soon(client.post(gateway.url("/")).send()).await.unwrap();
    assert_eq!(answer.status(), 502);
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

/// Sends requests to two servers, of which the first leaves requests without a response, and then recovers.
async fn with_a_server_that_fails(fail: Failing, costs: u32) {
    let (fails, answered) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (failing, counted) = (fails.clone(), answered.clone());
    let first = Application::serving(move |parts, _, _| {
        let fails = failing.load(Ordering::Relaxed);
        if !fails && parts.method == "GET" {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        async move {
            match fail {
                Failing::StandsStill if fails => std::future::pending().await,
                Failing::BreaksOff if fails => panic!("on purpose"),
                _ => Response::new(Full::new(Bytes::new()).boxed_unsync()),
            }
        }
    })
    .await;
    let second = Application::start().await;
    let gateway = Running::start(|config| {
        config.timeouts.response = HumanDuration(Duration::from_secs(1));
        config.timeouts.connect = HumanDuration(Duration::from_millis(200));
        let servers = upstream(&[&first.url(), &second.url()]);
        config.upstream.insert("app".to_owned(), servers);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    let client = gateway.client();
    let ask = async || soon(client.get(gateway.url("/")).send()).await.unwrap().status();
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(ask().await.is_server_error());
    }
    assert_eq!(failed, costs, "the next request goes elsewhere");
    fails.store(false, Ordering::Relaxed);
    let back = async {
        while answered.load(Ordering::Relaxed) == 0 {
            assert_eq!(ask().await, 200);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back)
        .await
        .expect("it comes back by a probe");
}

#[derive(Clone, Copy, Debug)]
enum Failing {
    StandsStill,
    BreaksOff,
}

#[tokio::test]
async fn a_server_that_stands_still_costs_no_answer_and_comes_back() {
    with_a_server_that_fails(Failing::StandsStill, 0).await;
}

#[tokio::test]
async fn a_server_that_breaks_off_costs_one_answer_and_comes_back() {
    with_a_server_that_fails(Failing::BreaksOff, 1).await;
}

fn on_purpose() -> Result<Frame<Bytes>, Infallible> {
    panic!("on purpose")
}

#[tokio::test]
async fn a_server_whose_answer_breaks_off_is_left_out_until_it_answers() {
    let first = Application::serving(|parts, _, _| async move {
        if parts.method == "OPTIONS" {
            // It does not respond to probes either, so that it stays left out.
            std::future::pending::<()>().await;
        }
        let some = futures_util::stream::iter([Ok(Frame::data(Bytes::from("some")))]);
        // Later, so that the head has been sent.
        let breaks = futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            on_purpose()
        });
        Response::builder()
            .header("content-length", "100")
            .body(StreamBody::new(some.chain(breaks)).boxed_unsync())
            .unwrap()
    })
    .await;
    let second = Application::start().await;
    let gateway = Running::start(|config| {
        config.timeouts.connect = HumanDuration(Duration::from_millis(200));
        let servers = upstream(&[&first.url(), &second.url()]);
        config.upstream.insert("app".to_owned(), servers);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    let client = gateway.client();
    let mut broken = 0;
    for _ in 0..40 {
        let answer = soon(client.get(gateway.url("/")).send()).await;
        let whole = match answer {
            Ok(answer) => answer.status() == 200 && soon(answer.bytes()).await.is_ok(),
            Err(_) => false,
        };
        broken += u32::from(!whole);
    }
    assert_eq!(broken, 1, "the next request goes elsewhere");
}

#[tokio::test]
async fn a_server_that_goes_on_breaking_off_is_left_out_for_longer_each_time() {
    let first = Application::serving(|parts, _, _| async move {
        let answer = Response::builder();
        if parts.method == "OPTIONS" {
            return answer.body(Full::new(Bytes::new()).boxed_unsync()).unwrap();
        }
        let breaks = futures_util::stream::once(async { on_purpose() });
        let answer = answer.header("content-length", "100");
        answer.body(StreamBody::new(breaks).boxed_unsync()).unwrap()
    })
    .await;
    let second = Application::start().await;
    let gateway = Running::start(|config| {
        let servers = upstream(&[&first.url(), &second.url()]);
        config.upstream.insert("app".to_owned(), servers);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    let client = gateway.client();
    let mut broken = Vec::new();
    soon(async {
        while broken.len() < 4 {
            let whole = match client.get(gateway.url("/")).send().await {
                Ok(answer) => answer.status() == 200 && answer.bytes().await.is_ok(),
                Err(_) => false,
            };
            if !whole {
                broken.push(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Half a second, one and two.
    let took = broken[3] - broken[0];
    assert!(took >= Duration::from_millis(3500), "{took:?}");
}

#[tokio::test]
async fn answers_say_the_time_that_it_is_after_the_clock_was_set_back() {
    let now: Timestamp = "2030-01-02T03:04:05Z".parse().unwrap();
    let (clock, hand) = Clock::manual(now);
    let (url, _) = closing_application(Closing::WithTheAnswer).await;
    let gateway = Running::start_in(tempfile::tempdir().unwrap(), clock, |config| {
        config.route = vec![route("/app", "public", &url)];
    })
    .await;
    let authority = gateway.authority();
    for (at, date) in [
        ("2030-01-02T03:04:05Z", "Wed, 02 Jan 2030 03:04:05 GMT"),
        ("2030-01-02T01:04:05Z", "Wed, 02 Jan 2030 01:04:05 GMT"),
    ] {
        hand.set_wall(at.parse().unwrap());
        for client in [gateway.client(), gateway.http2_client()] {
            for path in ["/app", "/.auth/login", "/.auth/nothing"] {
                let answer = soon(client.get(gateway.url(path)).send()).await.unwrap();
                let dates: Vec<_> = answer.headers().get_all("date").iter().collect();
                assert_eq!(dates, [date], "{path}");
            }
        }
        let mut raw = gateway.raw().await;
        raw.send(format!("GET / HTTP/9\r\nHost: {authority}\r\n\r\n"))
            .await;
        let (status, head) = raw.answer().await;
        assert_eq!(status, 400);
        assert_eq!(head.matches(date).count(), 1, "{head}");
    }
}
