//! File descriptors and upstream connections are shared: no client can take them all.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use reqwest::{Client, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::{Application, Program, Running, Site, route, soon, upstream};

/// An upstream that accepts connections and never responds.
async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// Requests that await their responses.
type PendingResponses = JoinSet<reqwest::Result<Response>>;

/// Sends many requests at one time.
fn ask_many(asked: &mut PendingResponses, client: &Client, url: &str, times: usize) {
    for _ in 0..times {
        asked.spawn(client.get(url).send());
    }
}

/// A client with an address of its own.
fn client_at(site: &Site, gateway: SocketAddr, last: u8) -> Client {
    let root = reqwest::Certificate::from_pem(site.authority().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([root])
        .resolve("localhost", gateway)
        .local_address(IpAddr::from([127, 0, 0, last]))
        .build()
        .unwrap()
}

/// One address sends over eight connections with 128 streams each to a slow upstream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_slow_application_takes_no_descriptor_from_others() {
    let (application, ops) = (silent().await, StdTcpListener::bind("127.0.0.1:0").unwrap());
    let ops_address = ops.local_addr().unwrap();
    drop(ops);
    let site = Site::new(&format!(
        r#"
        public_url = "https://localhost:0"
        [listen]
        https = ["127.0.0.1:0"]
        ops = "{ops_address}"
        [[route]]
        path = "/"
        allow = "public"
        upstream = "http://{application}"
        "#
    ));
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -n 1024 && exec \"$0\" --config vestibule.toml"])
        .arg(env!("CARGO_BIN_EXE_vestibule"))
        .current_dir(site.path("."))
        .env_remove("VESTIBULE_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let (gateway, said) = Program::started(limited.spawn().unwrap());
    assert!(said.contains("the limit of open files is too low"), "{said}");
    let url = gateway.url("/");
    let mut asked = PendingResponses::new();
    for _ in 0..8 {
        ask_many(&mut asked, &client_at(&site, gateway.address, 2), &url, 128);
    }
    // What exceeds the limits is refused; the rest waits for responses.
    let refused = async {
        while asked.len() > 208 {
            let answer = asked.join_next().await.unwrap().unwrap().unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
    };
    soon(refused).await;
    for last in 3..6 {
        let other = client_at(&site, gateway.address, last);
        let page = soon(other.get(gateway.url("/.auth/login")).send()).await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        let asked = tokio::time::timeout(Duration::from_millis(300), other.get(&url).send());
        assert!(asked.await.is_err(), "it gets as far as the application");
    }
    let ready = soon(reqwest::get(format!("http://{ops_address}/readyz")))
        .await
        .unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_application_has_no_more_connections_than_it_may() {
    let application = silent().await;
    let gateway = Running::start(|config| {
        let mut app = upstream(&[&format!("http://{application}")]);
        app.max_connections = 2;
        config.upstream.insert("app".to_owned(), app);
        config.route = vec![route("/", "public", "app")];
        config.timeouts.connect = vestibule::config::HumanDuration(Duration::from_millis(200));
    })
    .await;
    let mut asked = PendingResponses::new();
    ask_many(&mut asked, &gateway.client(), &gateway.url("/"), 3);
    let refused = soon(asked.join_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(asked.len(), 2, "the others wait for their answers");
}

/// An upstream whose responses never end.
async fn endless() -> Application {
    Application::serving(|_, _, _| async {
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 1 << 14])))
        });
        http::Response::new(StreamBody::new(endless).boxed_unsync())
    })
    .await
}

#[tokio::test]
async fn answers_that_one_client_does_not_read_leave_connections_to_others() {
    let app = endless().await;
    let gateway = Running::start(|config| {
        let mut app = upstream(&[&app.url()]);
        app.max_connections = 20;
        config.upstream.insert("app".to_owned(), app);
        config.route = vec![route("/", "public", "app")];
        config.timeouts.connect = vestibule::config::HumanDuration(Duration::from_millis(200));
    })
    .await;
    let url = gateway.url("/");
    let client = gateway.client_at([127, 0, 0, 2].into());
    let mut asked = PendingResponses::new();
    let mut unread: Vec<Response> = Vec::new();
    ask_many(&mut asked, &client, &url, 10);
    while let Some(answer) = soon(asked.join_next()).await {
        unread.push(answer.unwrap().unwrap());
    }
    ask_many(&mut asked, &client, &url, 10);
    let mut refused = 0;
    while let Some(answer) = soon(asked.join_next()).await {
        let answer = answer.unwrap().unwrap();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            refused += 1;
        } else {
            unread.push(answer);
        }
    }
    assert_eq!((unread.len(), refused), (15, 5));
    let other = gateway.client_at([127, 0, 0, 3].into());
    let answer = soon(other.get(&url).send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_gives_its_connection_to_who_waits() {
    let app = endless().await;
    let gateway = Running::start(|config| {
        let mut limited = upstream(&[&app.url()]);
        limited.max_connections = 8;
        config.upstream.insert("app".to_owned(), limited);
        config.route = vec![route("/", "public", "app")];
        config.timeouts.connect = vestibule::config::HumanDuration(Duration::from_secs(15));
    })
    .await;
    let url = gateway.url("/");
    let client = gateway.client_at([127, 0, 0, 2].into());
    let mut asked = PendingResponses::new();
    ask_many(&mut asked, &client, &url, 8);
    let mut unread: Vec<Response> = Vec::new();
    while let Some(answer) = soon(asked.join_next()).await {
        unread.push(answer.unwrap().unwrap());
    }
    let mut read = unread.pop().unwrap();
    let reading = tokio::spawn(async move {
        while read.chunk().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let other = gateway.client_at([127, 0, 0, 3].into());
    let answer = soon(other.get(&url).send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!reading.is_finished(), "what is read goes on");
    reading.abort();
}

#[tokio::test]
async fn who_waits_gets_the_connection_that_is_free_next() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        let mut limited = upstream(&[&app.url()]);
        limited.max_connections = 1;
        config.upstream.insert("app".to_owned(), limited);
        config.route = vec![route("/", "public", "app")];
    })
    .await;
    let mut asked = PendingResponses::new();
    ask_many(&mut asked, &gateway.client(), &gateway.url("/"), 30);
    while let Some(answer) = soon(asked.join_next()).await {
        assert_eq!(answer.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(app.received().len(), 30);
}

/// An upstream that responds to `/slow` once the semaphore allows it.
async fn slow(may: &Arc<Semaphore>) -> Application {
    let may = may.clone();
    Application::serving(move |parts, _, _| {
        let may = may.clone();
        async move {
            if parts.uri.path() == "/slow" {
                may.acquire().await.unwrap().forget();
            }
            http::Response::new(Full::new(Bytes::new()).boxed_unsync())
        }
    })
    .await
}

#[tokio::test]
async fn s48_ten_clients_that_take_all_places_and_the_queue_keep_no_other_out() {
    const AT_A_TIME: usize = 40;
    const WAITING: usize = 8 + 128;
    let may = Arc::new(Semaphore::new(0));
    let app = slow(&may).await;
    let gateway = Running::start(|config| {
        let mut limited = upstream(&[&app.url()]);
        limited.max_connections = 8;
        config.upstream.insert("app".to_owned(), limited);
        config.route = vec![route("/", "public", "app")];
        // No waiting request times out before the test is over.
        config.timeouts.connect = vestibule::config::HumanDuration(Duration::from_mins(1));
    })
    .await;
    let mut asked = PendingResponses::new();
    let clients = (2..12).map(|last| gateway.http2_client_at([127, 0, 0, last].into()));
    for client in clients {
        ask_many(&mut asked, &client, &gateway.url("/slow"), AT_A_TIME);
    }
    let refused = async |asked: &mut PendingResponses| {
        let answer = asked.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
    };
    while asked.len() > WAITING {
        soon(refused(&mut asked)).await;
    }
    let newcomer = gateway.client_at([127, 0, 0, 20].into());
    let answer = tokio::spawn(newcomer.get(gateway.url("/")).send());
    soon(refused(&mut asked)).await;
    assert!(!answer.is_finished(), "it waits in the place of another");
    // One permit becomes free, for which 127 requests have waited longer.
    may.add_permits(1);
    assert_eq!(soon(answer).await.unwrap().unwrap().status(), StatusCode::OK);
}

/// An endless upstream with eight connections. Requests wait less than the ten seconds after which any unread
/// response is aborted.
async fn start_before_endless() -> (Application, Running) {
    let app = endless().await;
    let gateway = Running::start(|config| {
        let mut limited = upstream(&[&app.url()]);
        limited.max_connections = 8;
        config.upstream.insert("app".to_owned(), limited);
        config.route = vec![route("/", "public", "app")];
        config.timeouts.connect = vestibule::config::HumanDuration(Duration::from_secs(8));
    })
    .await;
    (app, gateway)
}

/// Takes all connections with responses that these clients do not read.
async fn leave_unread(gateway: &Running, clients: impl Iterator<Item = u8>) -> Vec<Response> {
    let mut unread = Vec::new();
    for last in clients {
        let client = gateway.client_at([127, 0, 0, last].into());
        unread.push(soon(client.get(gateway.url("/")).send()).await.unwrap());
    }
    unread
}

#[tokio::test]
async fn s48_what_is_left_unread_is_broken_off_while_a_newcomer_waits() {
    let (_app, gateway) = start_before_endless().await;
    let _of_one = leave_unread(&gateway, [2; 8].into_iter()).await;
    let newcomer = gateway.client_at([127, 0, 0, 20].into());
    let answer = soon(newcomer.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn s48_clients_that_leave_one_answer_each_unread_keep_no_newcomer_out() {
    let (_app, gateway) = start_before_endless().await;
    let _of_eight = leave_unread(&gateway, 2..10).await;
    let newcomer = gateway.client_at([127, 0, 0, 20].into());
    let answer = soon(newcomer.get(gateway.url("/")).send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
