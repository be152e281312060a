//! Mails: their form, and that they are sent despite failures.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use vestibule::config::{RouteConfig, SecretSource};
use vestibule::control::Command;
use vestibule::secret::Secret;

use crate::harness::{PASSWORD, Running, form, route, soon};

#[tokio::test]
async fn a_mail_is_its_readers_alone_in_their_language_and_says_who_asked() {
    let gateway = Running::start(|config| config.signup.verify_email = true).await;
    let fields = [
        ("email", "mina@example.com"),
        ("username", "mina"),
        ("password", PASSWORD),
        ("password_confirm", PASSWORD),
    ];
    let signup = form(gateway.client().post(gateway.url("/.auth/signup")), &fields);
    let signup = signup.header("accept-language", "ko-KR,ko;q=0.9").send();
    assert_eq!(soon(signup).await.unwrap().status(), 303);
    let mail = &gateway.mails_to("mina@example.com", 1).await[0];
    assert_eq!(mail.subject, "Vestibule: 이메일 주소를 확인해 주세요");
    assert!(
        mail.text.contains("127.0.0.1") && mail.text.contains(" UTC"),
        "{}",
        mail.text
    );
    let link = mail.link("/.auth/verify?token=");
    assert!(
        mail.html.contains("<html lang=\"ko\">") && mail.html.contains(link),
        "{}",
        mail.html
    );
    for header in [
        "From: Vestibule <no-reply@localhost>",
        "Auto-Submitted: auto-generated",
        "Content-Type: multipart/alternative;",
        "Date: ",
        "Message-ID: <",
    ] {
        assert!(mail.raw.contains(header), "{header}: {}", mail.raw);
    }
    let outbox = gateway.file("outbox");
    assert_eq!(fs::metadata(&outbox).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&outbox).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            entry.path().extension().is_some_and(|end| end == "eml"),
            "{entry:?}"
        );
    }
}

#[tokio::test]
async fn a_mail_that_cannot_be_written_waits_and_nobody_waits_for_it() {
    let gateway = Running::start(|config| config.signup.verify_email = true).await;
    // A file in place of the folder: no mail can be written.
    fs::write(gateway.file("outbox"), "").unwrap();
    for name in ["ann", "bob"] {
        let told = gateway
            .sign_up(&format!("{name}@example.com"), name, PASSWORD)
            .await;
        assert_eq!(told.document, json!({ "next": "verify" }));
    }
    fs::remove_file(gateway.file("outbox")).unwrap();
    for name in ["ann", "bob"] {
        let email = format!("{name}@example.com");
        let token = gateway.mails_to(&email, 1).await[0].token("verify");
        let told = gateway
            .visitor()
            .post_json("/.auth/verify", json!({ "token": token }))
            .await;
        assert_eq!(told.status, 200);
        assert_eq!(gateway.try_sign_in(&email, PASSWORD).await.0, 200);
    }
}

#[tokio::test]
async fn s22_whatever_a_request_says_of_its_host_is_in_no_link() {
    let gateway = Running::start(|config| {
        // Even if the client is a trusted proxy.
        config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let other = RouteConfig {
            host: Some("app.example.com".to_owned()),
            ..route("/", "authenticated", "demo:")
        };
        config.route.push(other);
    })
    .await;
    let (port, own) = (gateway.address.port(), gateway.authority());
    let app = format!("app.example.com:{port}");
    let claims = "Forwarded: host=evil.example\r\nX-Original-URL: https://evil.example/\r\n";
    let evil = "X-Forwarded-Host: evil.example\r\n";
    let believed = "X-Forwarded-Host: app.example.com\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Proto: http\r\n";
    let cases = [
        ("", own.as_str(), "", 202),
        ("", "gw.example.com:1", "", 202),
        ("", own.as_str(), claims, 202),
        ("", own.as_str(), evil, 404),
        ("", app.as_str(), evil, 404),
        ("", own.as_str(), believed, 202),
        (own.as_str(), own.as_str(), believed, 202),
        (app.as_str(), app.as_str(), "", 202),
        ("evil.example", own.as_str(), "", 400),
        ("evil.example", "evil.example", "", 421),
        ("", "evil.example", "", 421),
    ];
    for (n, (target, host, more, status)) in cases.into_iter().enumerate() {
        let username = format!("ann{n}");
        let email = format!("{username}@example.com");
        gateway.sign_up(&email, &username, PASSWORD).await;
        let sni = if host == app {
            "app.example.com"
        } else {
            "gw.example.com"
        };
        let target = match target {
            "" => "/.auth/forgot".to_owned(),
            authority => format!("https://{authority}/.auth/forgot"),
        };
        let form = format!("email={email}");
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\n{more}Accept: application/json\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            form.len()
        );
        let mut raw = gateway.raw_for(sni).await;
        raw.send(format!("{head}{form}")).await;
        assert_eq!(raw.answer().await.0, status, "{head}");
        if status != 202 {
            continue;
        }
        let mail = gateway.mails_to(&email, 1).await.remove(0);
        let links: Vec<&str> = mail
            .text
            .split_whitespace()
            .filter(|word| word.contains("://"))
            .collect();
        let ours =
            |link: &&str| *link == gateway.url("") || link.starts_with(&gateway.url("/.auth/reset?token="));
        assert!(!links.is_empty() && links.iter().all(ours), "{head}: {links:?}");
        for other in ["evil.example", "app.example.com", "gw.example.com:1/"] {
            assert!(
                !mail.raw.contains(other) && !mail.html.contains(other),
                "{head}: {}",
                mail.raw
            );
        }
    }
    gateway.mails_are_out("fence").await;
    let accepted = cases.iter().filter(|(.., status)| *status == 202).count();
    assert_eq!(
        gateway.outbox().len(),
        accepted + 1,
        "what was refused causes no mail"
    );
}

/// A mail server without extensions that accepts one mail; returns the commands it received.
async fn told_by_one_mail(listener: TcpListener) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 here\r\n").await.unwrap();
    let (mut said, mut in_mail) = (Vec::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return said;
        }
        let line = line.trim_end().to_owned();
        let answer: &[u8] = match &*line {
            "." if in_mail => b"250 taken\r\n",
            _ if in_mail => continue,
            "DATA" => b"354 go on\r\n",
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await.unwrap();
        if in_mail {
            return said;
        }
        in_mail = line == "DATA";
        said.push(line);
    }
}

/// Returns what a mail server receives when a link is mailed to an address.
async fn told_for(to: &str, say: impl FnOnce(&mut vestibule::config::Config)) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let told = tokio::spawn(told_by_one_mail(listener));
    let gateway = Running::start(|config| {
        config.mail.url = SecretSource::Text(Secret::new(url));
        config.signup.verify_email = true;
        say(config);
    })
    .await;
    gateway.sign_up(to, "ann", PASSWORD).await;
    soon(told).await.unwrap()
}

#[tokio::test]
async fn a_mail_server_is_greeted_by_the_host_of_public_url_or_by_what_is_configured() {
    for (hello, greeting) in [
        ("", "EHLO gw.example.com"),
        ("mx.example.com", "EHLO mx.example.com"),
        ("192.0.2.1", "EHLO [192.0.2.1]"),
        ("[2001:db8::1]", "EHLO [IPv6:2001:db8::1]"),
    ] {
        let told = told_for("ann@example.com", |config| {
            hello.clone_into(&mut config.mail.hello);
        })
        .await;
        assert_eq!(told[0], greeting, "{told:?}");
    }
}

#[tokio::test]
async fn mail_to_an_internationalised_domain_needs_nothing_of_the_mail_server() {
    let told = told_for("ann@bücher.example", |_| {}).await;
    assert!(
        told.iter()
            .any(|line| line.starts_with("RCPT TO:<ann@xn--bcher-kva.example>")),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_internationalised_domain_is_one_wherever_an_address_is_asked_for() {
    let gateway = Running::start(|_| {}).await;
    let (read, known) = ("ann@bücher.example", "ann@xn--bcher-kva.example");
    assert_eq!(gateway.sign_up(known, "ann", PASSWORD).await.status, 201);
    for email in [read, known, "ANN@BÜCHER.example"] {
        assert_eq!(gateway.try_sign_in(email, PASSWORD).await.0, 200, "{email}");
        let again = gateway.sign_up(email, "bob", PASSWORD).await;
        assert_eq!((again.status, again.problem()), (422, "invalid-input"), "{email}");
    }
    let told = gateway
        .visitor()
        .post_json("/.auth/login", json!({ "login": known, "password": PASSWORD }))
        .await;
    assert_eq!(told.document["user"]["email"], read);
    let told = gateway
        .visitor()
        .post_json("/.auth/forgot", json!({ "email": read }))
        .await;
    assert_eq!(told.status, 202);
    gateway.mails_to(known, 1).await;
}

#[tokio::test]
async fn a_link_works_with_what_a_mail_program_takes_for_a_part_of_it() {
    let gateway = Running::start(|config| config.signup.verify_email = true).await;
    let visitor = gateway.visitor();
    for (n, (before, after)) in [
        ("", "."),
        ("", "%3E"),
        ("", "%20"),
        ("%3C", "%3E."),
        ("", "%C2%A0"),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("ann{n}@example.com");
        gateway.sign_up(&email, &format!("ann{n}"), PASSWORD).await;
        let token = gateway.mails_to(&email, 1).await[0].token("verify");
        let link = format!("/.auth/verify?token={before}{token}{after}");
        let shown = visitor.open(&link).await;
        assert_eq!(shown.status, 200, "{link}: {}", shown.page);
        let done = visitor.submit(&link, &[]).await;
        assert_eq!(done.status, 303, "{link}: {}", done.page);
        visitor
            .post_json("/.auth/forgot", json!({ "email": email }))
            .await;
        let token = gateway.mails_to(&email, 2).await[1].token("reset");
        let link = format!("/.auth/reset?token={before}{token}{after}");
        assert_eq!(visitor.open(&link).await.status, 200, "{link}");
        let typed = format!("{token}.");
        let document = json!({ "token": typed, "password": PASSWORD, "password_confirm": PASSWORD });
        let told = visitor.post_json("/.auth/reset", document).await;
        assert_eq!(told.status, 200, "{told:?}");
    }
}

/// A mail server that says this to every recipient.
async fn refuses_all(listener: TcpListener, says: &'static [u8]) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut answer: &[u8] = b"220 here\r\n";
            while stream.write_all(answer).await.is_ok() {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                answer = if line.starts_with("RCPT") {
                    says
                } else {
                    b"250 ok\r\n"
                };
            }
        });
    }
}

#[tokio::test]
async fn all_mails_that_failed_and_that_are_meant_are_sent_again_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    tokio::spawn(refuses_all(listener, b"550 nobody is called so\r\n"));
    let gateway = Running::start(|config| config.mail.url = SecretSource::Text(Secret::new(url))).await;
    let admin = gateway.administrator("root1").await;
    for name in ["ann", "bea", "bob"] {
        let email = format!("{name}@example.com");
        gateway.sign_up(&email, name, PASSWORD).await;
        let told = gateway
            .visitor()
            .post_json("/.auth/forgot", json!({ "email": email }))
            .await;
        assert_eq!(told.status, 202);
    }
    let page = "/.auth/admin/mails";
    let failed = async |query: &str, count: usize| {
        soon(async {
            loop {
                let found = admin
                    .get_json(&format!("{page}?state=failed{query}"))
                    .await
                    .document;
                if found["mails"].as_array().unwrap().len() == count {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    failed("", 3).await;
    failed("&to=b", 2).await;
    failed("&to=BEA", 1).await;
    failed("&topic=invitation", 0).await;
    failed("&topic=reset", 3).await;
    for (fields, count) in [
        (json!({ "which": "all", "topic": "invitation" }), 0),
        (json!({ "which": "all", "state": "waiting" }), 0),
        (json!({ "which": "all", "to": "b", "state": "failed" }), 2),
    ] {
        let told = admin.post_json(page, fields.clone()).await;
        assert_eq!(
            (told.status, &told.document["again_count"]),
            (200, &json!(count)),
            "{fields}"
        );
    }
    failed("", 3).await;
    let again = admin
        .submit(page, &[("which", "all"), ("to", ""), ("topic", "reset")])
        .await;
    assert_eq!(again.location, "/.auth/admin/mails?topic=reset&done=all&count=3");
    let shown = admin.open(&again.location).await.page;
    assert!(shown.contains("3 messages will be sent again"), "{shown}");
    for query in ["?topic=letters", "?state=lost"] {
        let told = admin.get_json(&format!("{page}{query}")).await;
        assert_eq!((told.status, told.problem()), (422, "invalid-input"), "{query}");
    }
    let told = admin
        .post_json(page, json!({ "which": "all", "topic": "letters" }))
        .await;
    assert_eq!((told.status, told.problem()), (422, "invalid-input"));
}

#[tokio::test]
async fn a_mail_that_waits_is_tried_now_or_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    tokio::spawn(refuses_all(listener, b"450 come back later\r\n"));
    let gateway = Running::start(|config| config.mail.url = SecretSource::Text(Secret::new(url))).await;
    let admin = gateway.administrator("root1").await;
    gateway.sign_up("ann@example.com", "ann", PASSWORD).await;
    let forgot = json!({ "email": "ann@example.com" });
    assert_eq!(
        gateway.visitor().post_json("/.auth/forgot", forgot).await.status,
        202
    );
    let page = "/.auth/admin/mails";
    let tried = async |times: u64| {
        soon(async {
            loop {
                let mail = admin.get_json(page).await.document["mails"][0].take();
                let waits = mail["reason"]
                    .as_str()
                    .is_some_and(|reason| reason.contains("450"));
                if waits && mail["attempt_count"] == times {
                    return mail;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await
    };
    let mail = tried(1).await;
    let id = mail["id"].as_str().unwrap();
    let time = |name: &str| mail[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("at") > time("created_at"), "it waits for later: {mail}");
    let shown = admin.open(page).await.page;
    for words in ["Next attempt <time", "Requested <time", "Last error: ", "450"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let now = [
        ("mail", id),
        ("action", "send"),
        ("state", "waiting"),
        ("reason", "now"),
    ];
    let now = admin.submit(page, &now).await;
    assert_eq!(
        (now.status, now.location.as_str()),
        (303, "/.auth/admin/mails?state=waiting&done=again")
    );
    tried(2).await;
    // What is on its way at that moment is left alone.
    soon(async {
        while gateway
            .try_command(Command::SendAgain(id.to_owned()))
            .await
            .is_err()
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    tried(3).await;

    let drop = [("mail", id), ("action", "drop"), ("reason", "left")];
    soon(async {
        while admin.submit(page, &drop).await.location != "/.auth/admin/mails?done=drop" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(admin.get_json(page).await.document["mails"], json!([]));
    let gone = admin.submit(page, &drop).await;
    assert_eq!(gone.location, "/.auth/admin/mails?done=gone");
    for action in ["drop", "send"] {
        let told = admin
            .post_json(page, json!({ "mail": id, "action": action }))
            .await;
        assert_eq!(told.status, 404, "{action}");
    }
    let unknown = admin
        .post_json(page, json!({ "mail": id, "action": "burn" }))
        .await;
    assert_eq!(unknown.status, 422);
    let path = "/.auth/admin/audit?event=mail-drop&outcome=success";
    let events = admin.get_json(path).await.document["events"].take();
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
    assert_eq!(
        (&events[0]["user"], &events[0]["why"], &events[0]["detail"]),
        (
            &json!("ann@example.com"),
            &json!("left"),
            &json!(format!("mail {id}"))
        )
    );
    let id = id.parse().unwrap();
    assert!(gateway.try_command(Command::DropMail(id)).await.is_err());
}
