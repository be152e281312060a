//! HTTP/2 floods against the program as a separate process.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, H2Connection, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, head,
};
use crate::harness::{Program, Site, soon};

const CONFIG: &str = r#"
    public_url = "https://localhost:0"
    [listen]
    https = ["127.0.0.1:0"]
    ops = ""
"#;

/// Number of connections that flood concurrently.
const ATTACKERS: usize = 4;

/// Memory that a process may need for all of them, in KiB: far less than they send.
const ROOM: u64 = 48 << 10;

/// A flood: its name, steps per write, most steps, and the frames of each.
type Flood = (&'static str, usize, usize, fn(&str, usize) -> Vec<u8>);

const FLOODS: [Flood; 11] = [
    ("rapid reset", 64, 100_000, reset),
    ("rapid reset, one at a time", 1, 100_000, reset),
    ("continuation", 16, 100_000, |authority, n| {
        if n == 0 {
            frame(HEADERS, END_STREAM, 1, &head("GET", authority, "/.auth/login"))
        } else {
            frame(CONTINUATION, 0, 1, b"\x00\x01x\x03abc")
        }
    }),
    ("empty continuation", 64, 100_000, |authority, n| {
        if n == 0 {
            frame(HEADERS, END_STREAM, 1, &head("GET", authority, "/.auth/login"))
        } else {
            frame(CONTINUATION, 0, 1, &[])
        }
    }),
    ("header bomb", 1, 100_000, |authority, n| {
        bomb(authority, n, 12_000)
    }),
    ("endless header", 1, 10_000, |authority, n| {
        let large = [b"\x00\x01x\x7f\x81\x7c".as_slice(), &[b'x'; 16_000]].concat();
        if n == 0 {
            let head = head("GET", authority, "/.auth/login");
            frame(HEADERS, END_STREAM, 1, &head)
        } else {
            frame(CONTINUATION, 0, 1, &large)
        }
    }),
    ("ping", 64, 200_000, |_, _| frame(PING, 0, 0, &[7; 8])),
    ("settings", 64, 200_000, |_, _| {
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 99])
    }),
    ("window update", 64, 200_000, |_, _| {
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
    }),
    ("priority", 64, 200_000, |_, n| {
        frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 16])
    }),
    ("empty data", 64, 200_000, |authority, n| {
        if n == 0 {
            frame(HEADERS, END_HEADERS, 1, &head("POST", authority, "/.auth/login"))
        } else {
            frame(DATA, 0, 1, &[])
        }
    }),
];

fn stream(n: usize) -> u32 {
    u32::try_from(2 * n + 1).unwrap()
}

fn reset(authority: &str, n: usize) -> Vec<u8> {
    let head = head("GET", authority, "/.auth/login");
    let opened = frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &head);
    [opened, frame(RST_STREAM, 0, stream(n), &[0, 0, 0, 8])].concat()
}

/// A header of 4,000 bytes goes into the HPACK table; each further byte refers to it.
fn bomb(authority: &str, n: usize, times: usize) -> Vec<u8> {
    let mut block = head("GET", authority, "/.auth/login");
    block.extend(b"\x40\x01x\x7f\xa1\x1e");
    block.extend([b'x'; 4000]);
    block.extend(vec![0xbe; times]);
    frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &block)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s48_floods_over_http2_end_the_connection_with_memory_flat_and_others_served() {
    let site = Site::new(CONFIG);
    let (program, _) = Program::start(&site);
    let authority: Arc<str> = program.url("").trim_start_matches("https://").into();
    let (local, url) = (site.authority(), program.url("/.auth/login"));
    for _ in 0..50 {
        let answer = soon(program.client(&site).get(&url).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    // The bomb is well-formed: a small one is an ordinary request.
    let connection = H2Connection::connect(program.address, &local, "localhost").await;
    let small = authority.clone();
    let taken = connection.flood(1, 100, move |n| bomb(&small, n, 2)).await;
    assert_eq!(taken, None);
    for (name, at_a_time, limit, next) in FLOODS {
        let before = program.peak_memory();
        let over = CancellationToken::new();
        let other = tokio::spawn(ask_until(program.client(&site), url.clone(), over.clone()));
        let mut attackers = Vec::new();
        for _ in 0..ATTACKERS {
            let connection = H2Connection::connect(program.address, &local, "localhost").await;
            let authority = authority.clone();
            attackers.push(tokio::spawn(
                connection.flood(at_a_time, limit, move |n| next(&authority, n)),
            ));
        }
        for attacker in attackers {
            let taken = attacker.await.unwrap();
            println!("{name}: {taken:?} taken");
            assert!(taken.is_some(), "{name}: all of {limit} taken");
        }
        over.cancel();
        let answered = other.await.unwrap();
        assert!(answered > 0, "{name}: nobody else was answered");
        // The kernel's counter is off by some pages, and may decrease (proc(5), VmHWM).
        let grown = program.peak_memory().saturating_sub(before);
        println!("{name}: {grown} KiB more, {answered} others answered");
        assert!(grown < ROOM, "{name}: {grown} KiB more");
    }
    let (status, log) = program.stop();
    assert_eq!(status, 0, "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

/// Pages and heads of requests stay in memory as long as a client has no room for the pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s48_pages_that_a_client_does_not_read_take_bounded_memory() {
    const CONNECTIONS: usize = 60;
    let site = Site::new(CONFIG);
    let (program, _) = Program::start(&site);
    let (authority, local) = (program.url(""), site.authority());
    let authority = authority.trim_start_matches("https://");
    let target = format!("/.auth/login?rd=/{}", "a".repeat(48_000));
    let before = program.peak_memory();
    let mut greedy = Vec::new();
    for number in 0..CONNECTIONS {
        // None, or room for a byte.
        let window = [0, 4, 0, 0, 0, u8::try_from(number % 2).unwrap()];
        let mut connection = H2Connection::connect(program.address, &local, "localhost").await;
        connection.send(frame(SETTINGS, 0, 0, &window)).await;
        for stream in (1..=255).step_by(2) {
            let (first, rest) = (head("GET", authority, &target), END_STREAM);
            let (first, continued) = first.split_at(16_000);
            connection.send(frame(HEADERS, rest, stream, first)).await;
            let mut parts = continued.chunks(16_000).peekable();
            while let Some(part) = parts.next() {
                let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
                connection.send(frame(CONTINUATION, flags, stream, part)).await;
            }
        }
        greedy.push(connection);
    }
    let client = program.client(&site);
    for _ in 0..20 {
        let answer = client.get(program.url("/.auth/login")).send();
        assert_eq!(soon(answer).await.unwrap().status(), 200);
    }
    let grown = (program.peak_memory() - before) >> 10;
    // Their heads and pages are more than 1.5 GiB.
    println!("{grown} MiB more");
    assert!(grown < 640, "{grown} MiB more");
}

/// An ordinary client; returns how often it got the page.
async fn ask_until(client: reqwest::Client, url: String, over: CancellationToken) -> usize {
    let mut answered = 0;
    loop {
        let asked = tokio::time::timeout(Duration::from_secs(5), client.get(&url).send());
        let answer = asked.await.expect("an answer within 5 s").unwrap();
        assert_eq!(answer.status(), 200);
        answered += 1;
        if over.is_cancelled() {
            return answered;
        }
    }
}
