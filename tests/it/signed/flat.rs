//! S38: memory while a signed body is verified, measured on the program as a separate process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use sha2::{Digest as _, Sha256};
use vestibule::clock::Clock;

use crate::harness::signer::{Signer, Unsigned, with};
use crate::harness::{Application, PASSWORD, Program, Site, in_full};

/// Size of the body's pieces, in bytes.
const PIECE: u64 = 64 << 10;

/// Additional memory that the process may need, in KiB: far less than the body.
const ROOM: u64 = 32 << 10;

const EMAIL: &str = "ann@example.com";

/// An upstream that counts the bytes and keeps nothing.
async fn counter() -> (Application, Arc<AtomicU64>) {
    let counted = Arc::new(AtomicU64::new(0));
    let count = counted.clone();
    let app = Application::serving(move |_, mut incoming, _| {
        let count = count.clone();
        async move {
            while let Some(Ok(frame)) = incoming.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                count.fetch_add(length as u64, Ordering::SeqCst);
            }
            Response::new(Full::new(Bytes::new()).boxed_unsync())
        }
    })
    .await;
    (app, counted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s38_memory_is_flat_however_large_a_body_is() {
    let pieces = if in_full() {
        (10 << 30) / PIECE
    } else {
        (256 << 20) / PIECE
    };
    let (app, counted) = counter().await;
    let site = Site::new(&format!(
        r#"
        public_url = "https://localhost:0"
        [listen]
        https = ["127.0.0.1:0"]
        ops = ""
        [login]
        iam = true
        [[route]]
        path = "/"
        allow = "authenticated"
        upstream = "{}"
        "#,
        app.url()
    ));
    let added = site.run_with_input(
        &["user", "add", EMAIL, "--password-stdin"],
        &format!("{PASSWORD}\n"),
    );
    assert_eq!(added.status, 0, "{}", added.stderr);
    let clock = Clock::system();
    let made = site.ask(&["key", "create", EMAIL]);
    let (program, _) = Program::start(&site);
    let key = Signer {
        access_key: made["access_key"].as_str().unwrap().to_owned(),
        secret_key: made["secret_key"].as_str().unwrap().to_owned(),
        authority: program.url("").trim_start_matches("https://").to_owned(),
        at: clock.now(),
    };
    let piece = Bytes::from(vec![7; usize::try_from(PIECE).unwrap()]);
    let mut whole = Sha256::new();
    (0..pieces).for_each(|_| whole.update(&piece));
    let request = Unsigned {
        method: "PUT",
        target: "/large",
        payload: base16ct::lower::encode_string(&whole.finalize()),
    };
    // Signed last, because a signature is valid for minutes only.
    let key = Signer {
        at: clock.now(),
        ..key
    };
    let before = program.peak_memory();
    let body = stream::iter((0..pieces).map(move |_| Ok::<_, std::io::Error>(Frame::data(piece.clone()))));
    let sent = program.client(&site).put(program.url(request.target));
    let sent = with(sent, &key.aws_declared(&request)).body(reqwest::Body::wrap(StreamBody::new(body)));
    let answer = sent.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(counted.load(Ordering::SeqCst), pieces * PIECE);
    let grown = program.peak_memory().saturating_sub(before);
    println!("{} MiB of body: {grown} KiB more", (pieces * PIECE) >> 20);
    assert!(grown < ROOM, "{grown} KiB more");
}
