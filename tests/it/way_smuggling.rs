//! S45: request smuggling.

use crate::harness::{Application, Running};

/// Sends bytes; returns the statuses of all responses, and how many requests reached the upstream. Every
/// response must have a request id, and the gateway must close.
async fn sent(app: &Application, gateway: &Running, bytes: &[u8]) -> (Vec<u16>, usize) {
    let before = app.received().len();
    let mut raw = gateway.raw().await;
    raw.send(bytes).await;
    let answers = raw.until_closed().await;
    let answers = answers.split("HTTP/1.1 ").skip(1);
    let statuses = answers
        .map(|answer| {
            let names = answer.to_ascii_lowercase().matches("\r\nx-request-id: ").count();
            assert_eq!(names, 1, "{:?}: {answer}", String::from_utf8_lossy(bytes));
            answer[..3].parse().unwrap()
        })
        .collect();
    (statuses, app.received().len() - before)
}

#[tokio::test]
async fn s45_the_request_smuggling_set() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![crate::harness::route("/", "public", &app.url())];
        // Responses that wait for more input end soon.
        config.timeouts.header = vestibule::config::HumanDuration(std::time::Duration::from_millis(300));
        config.timeouts.idle = config.timeouts.header;
        config.timeouts.keep_alive = config.timeouts.header;
    })
    .await;
    let next = "GET /smuggled HTTP/1.1\r\nHost: gw.example.com\r\n\r\n";
    for rest in [
        // CL.TE, TE.CL, TE.TE.
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}",
            next.len() + 5
        ),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n{next}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{next}"),
        format!("Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc{next}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{next}"),
        format!("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{next}"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{next}"),
        format!("X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}"),
        // Content-Length that is repeated, signed, a list, or too large.
        format!("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd{next}"),
        format!("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc{next}"),
        format!("Content-Length: 3, 3\r\n\r\nabc{next}"),
        format!("Content-Length: +3\r\n\r\nabc{next}"),
        format!("Content-Length: -1\r\n\r\n{next}"),
        format!("Content-Length: 0x3\r\n\r\nabc{next}"),
        format!("Content-Length: 99999999999999999999999\r\n\r\n{next}"),
        // Invalid chunks.
        format!("Transfer-Encoding: chunked\r\n\r\nx\r\n{next}"),
        format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n{next}"),
        format!("Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n{next}"),
        format!("Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n{next}"),
        format!("Transfer-Encoding: chunked\r\n\r\n3;a=\nb\r\nabc\r\n0\r\n\r\n{next}"),
        format!("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{next}"),
        // Invalid line ends and folding.
        format!("X: y\nContent-Length: 0\r\n\r\n{next}"),
        format!("X: y\r\n\tz\r\n\r\n{next}"),
        format!("X: y\rContent-Length: 3\r\n\r\n{next}"),
        format!("X: y\0z\r\n\r\n{next}"),
        format!("X\r\n\r\n{next}"),
        format!(": y\r\n\r\n{next}"),
        format!("X y: z\r\n\r\n{next}"),
    ] {
        let authority = gateway.authority();
        let bytes = format!("POST /first HTTP/1.1\r\nHost: {authority}\r\n{rest}");
        let (statuses, reached) = sent(&app, &gateway, bytes.as_bytes()).await;
        let refused = reached == 0 && statuses.len() <= 1 && statuses.iter().all(|&status| status == 400);
        let once = reached <= 1 && statuses.len() == 1;
        assert!(
            refused || once,
            "{rest:?}: {statuses:?}, {reached} reached the application"
        );
        assert!(
            app.received().iter().all(|request| request.target == "/first"),
            "{rest:?}: {:?}",
            app.received()
        );
    }
}

#[tokio::test]
async fn s45_what_a_head_says_of_its_body_has_one_reading() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    for (said, status) in [
        ("Content-Length: 04\r\n\r\nbody", 400),
        // A length that `Transfer-Encoding` overrides is read by others all the same.
        (
            "Transfer-Encoding: chunked\r\nContent-Length: +5\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5, 5\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 05\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length:\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("Content_Length: 4\r\n\r\n", 400),
        ("Content-Length: 4\r\nContent~Length: 9\r\n\r\nbody", 400),
        ("Transfer_Encoding: chunked\r\n\r\n", 400),
        ("Content-Length: 4\r\nTransfer.Encoding: chunked\r\n\r\nbody", 400),
        ("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            501,
        ),
    ] {
        for method in ["POST", "GET"] {
            let bytes = format!("{method} /first HTTP/1.1\r\nHost: {authority}\r\n{said}");
            let answered = sent(&app, &gateway, bytes.as_bytes()).await;
            assert_eq!(answered, (vec![status], 0), "{method} {said:?}");
        }
    }
}

#[tokio::test]
async fn s45_a_body_that_is_none_is_refused_where_no_response_began() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![
            crate::harness::route("/", "public", &app.url()),
            crate::harness::route("/h2c", "public", &app.url().replace("http:", "h2c:")),
        ];
    })
    .await;
    let authority = gateway.authority();
    for chunks in [
        "x\r\n",
        "-1\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "3;a=\nb\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\r\nx\r\n",
        "3\r\nabc\r\n0\r\nX: y\0\r\n\r\n",
    ] {
        for path in ["/", "/h2c"] {
            for method in ["POST", "GET"] {
                let head = format!(
                    "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n"
                );
                // With the head, and after it.
                for pieces in [
                    vec![format!("{head}{chunks}")],
                    vec![head.clone(), chunks.to_owned()],
                ] {
                    let mut raw = gateway.raw().await;
                    for piece in pieces {
                        raw.send(piece).await;
                    }
                    let answers = raw.until_closed().await;
                    assert!(
                        answers.starts_with("HTTP/1.1 400 "),
                        "{method} {path} {chunks:?}: {answers:?}"
                    );
                    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_bare_line_feed_is_refused_wherever_it_is() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let authority = gateway.authority();
    for head in [
        format!("GET / HTTP/1.1\nHost: {authority}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {authority}\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {authority}\r\n\n"),
    ] {
        assert_eq!(
            sent(&app, &gateway, head.as_bytes()).await,
            (vec![400], 0),
            "{head:?}"
        );
    }
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let app = Application::start().await;
    let gateway = Running::before("public", &app.url()).await;
    let mut raw = gateway.raw().await;
    let authority = gateway.authority();
    for path in ["/1", "/2", "/3"] {
        raw.send(format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 2\r\n\r\nhi"
        ))
        .await;
        assert_eq!(raw.answer().await.0, 200);
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
            .await;
        assert_eq!(raw.answer().await.0, 200);
    }
    assert_eq!(app.received().len(), 6);
    assert_eq!(app.connections(), 1);
}
