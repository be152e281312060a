//! Mails: what they are, and that they go out whatever happens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::harness::{PASSWORD, Running, form, soon};

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
    // A file where the folder should be: nothing can be written.
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
            .tell("/.auth/verify", json!({ "token": token }))
            .await;
        assert_eq!(told.status, 200);
        assert_eq!(gateway.try_sign_in(&email, PASSWORD).await.0, 200);
    }
}
