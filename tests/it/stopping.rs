//! A stopping gateway does not reset clients that are about to send a request.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::harness::frames::{END_HEADERS, END_STREAM, GOAWAY, HEADERS, frame, head};
use crate::harness::{Raw, Running, soon};

/// Waits until no new connection is accepted.
async fn closed(address: SocketAddr) {
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn get(gateway: &Running) -> String {
    format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.authority())
}

#[tokio::test]
async fn an_idle_connection_that_is_used_in_the_moment_of_stopping_is_answered_for_the_last_time() {
    let gateway = Running::before("public", "demo:").await;
    let (address, get) = (gateway.address, get(&gateway));
    let (mut used, mut unused, mut late) = (gateway.raw().await, gateway.raw().await, gateway.raw().await);
    used.send(&get).await;
    let (status, head, _) = used.answer_with_body().await;
    assert_eq!(status, 200);
    assert!(!head.contains("connection: close"), "{head}");
    // A head that has begun is waited for.
    late.send(&get[..10]).await;

    let stopped = tokio::spawn(gateway.stop());
    closed(address).await;
    for open in [&mut used, &mut unused] {
        open.send(&get).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    late.send(&get[10..]).await;
    for mut open in [used, unused, late] {
        let (status, head, _) = open.answer_with_body().await;
        assert_eq!(status, 200);
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(open.until_closed().await, "");
    }
    soon(stopped).await.unwrap();
}

#[tokio::test]
async fn connections_that_stay_idle_do_not_hold_up_a_stop() {
    let gateway = Running::before("public", "demo:").await;
    let get = get(&gateway);
    let (mut used, _unused) = (gateway.raw().await, gateway.raw().await);
    used.send(&get).await;
    assert_eq!(used.answer_with_body().await.0, 200);
    let stopped = tokio::time::timeout(Duration::from_secs(5), gateway.stop());
    let (folder, left) = tokio::join!(stopped, used.until_closed());
    folder.unwrap();
    assert_eq!(left, "");
}

#[tokio::test]
async fn a_client_of_http2_is_told_before_its_connection_ends() {
    let gateway = Running::before("public", "demo:").await;
    let (address, authority) = (gateway.address, gateway.authority());
    let ask = |stream| {
        let head = head("GET", &authority, "/");
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)
    };
    let mut open = gateway.frames().await;
    open.send(ask(1)).await;
    assert_eq!(open.answer(1).await.status, 0x88);
    let stopped = tokio::spawn(gateway.stop());
    closed(address).await;
    open.until(GOAWAY).await;
    // It was in flight when the client read GOAWAY.
    open.send(ask(3)).await;
    assert_eq!(open.answer(3).await.status, 0x88);
    drop(open);
    soon(stopped).await.unwrap();
}

#[tokio::test]
async fn a_client_of_http2_that_reads_nothing_does_not_hold_up_a_stop() {
    let gateway = Running::before("public", "demo:").await;
    let mut open = gateway.frames().await;
    let head = head("GET", &gateway.authority(), "/");
    open.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &head))
        .await;
    assert_eq!(open.answer(1).await.status, 0x88);
    let stopped = tokio::time::timeout(Duration::from_secs(4), gateway.stop());
    stopped.await.unwrap();
    drop(open);
}

#[tokio::test]
async fn connections_that_wait_to_be_accepted_are_served() {
    let gateway = Running::before("public", "demo:").await;
    let get = get(&gateway);
    // The gateway does not run before the next await: only the kernel knows of these.
    let queued: Vec<_> = (0..5)
        .map(|_| std::net::TcpStream::connect(gateway.address).unwrap())
        .collect();
    let authority = gateway.certificate_authority();
    let stopped = gateway.stop();
    let served = async {
        for socket in queued {
            socket.set_nonblocking(true).unwrap();
            let socket = TcpStream::from_std(socket).unwrap();
            let mut raw = Raw::over(socket, &authority, "gw.example.com").await;
            raw.send(&get).await;
            assert_eq!(raw.answer_with_body().await.0, 200);
            assert_eq!(raw.until_closed().await, "");
        }
    };
    tokio::join!(stopped, served);
}
