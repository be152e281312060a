//! The ops listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use vestibule::clock::Clock;
use vestibule::control::health::{HealthServer, Readiness};
use vestibule::metrics::Metrics;

use super::gateway::{PATIENCE, read_all, start_of_time};

#[tokio::test]
async fn it_tells_that_it_lives_is_ready_and_what_it_counted() {
    let (clock, hand) = Clock::manual(start_of_time());
    let (readiness, metrics) = (Readiness::default(), Arc::new(Metrics::default()));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let ops = HealthServer::bind(any, readiness.clone(), metrics.clone(), clock)
        .await
        .unwrap();
    let address = ops.address().unwrap();
    let stop = CancellationToken::new();
    let run = tokio::spawn(ops.run(Vec::new, stop.clone()));

    assert!(ask(address, "GET", "/livez").await.starts_with("HTTP/1.1 200"));
    assert!(ask(address, "GET", "/readyz").await.starts_with("HTTP/1.1 503"));
    readiness.set(true);
    assert!(ask(address, "GET", "/readyz").await.starts_with("HTTP/1.1 200"));
    readiness.set(false);
    assert!(ask(address, "GET", "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(ask(address, "GET", "/livez").await.ends_with("\r\n\r\nok\n"));

    metrics.responded(303);
    metrics.locks.increment();
    hand.advance(Duration::from_secs(90));
    let told = ask(address, "GET", "/metrics").await;
    assert!(told.contains("content-type: text/plain; version=0.0.4"), "{told}");
    for line in [
        "process_start_time_seconds 1893456000",
        "vestibule_uptime_seconds 90",
        "vestibule_responses_total{class=\"3xx\"} 1",
        "vestibule_locks_total 1",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }

    for (method, path, status) in [
        ("POST", "/livez", "405"),
        ("GET", "/", "404"),
        ("GET", "/metrics/", "404"),
        ("HEAD", "/metrics", "200"),
    ] {
        let told = ask(address, method, path).await;
        assert!(
            told.starts_with(&format!("HTTP/1.1 {status}")),
            "{method} {path}: {told}"
        );
    }
    stop.cancel();
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    read_all(socket).await
}
