//! Mail servers that accept the password, refuse it, or do not exist.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use vestibule::config::{Config, SecretSource};
use vestibule::doctor::{Finding, Verdict, run};
use vestibule::secret::Secret;

use crate::harness::{Letter, certify, soon};

/// A mail server that accepts one password, and reports what it received.
async fn server(password: &'static str) -> String {
    server_offering(password, "AUTH PLAIN").await
}

async fn server_offering(password: &'static str, offers: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, password, offers));
        }
    });
    format!("127.0.0.1:{port}")
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    password: &str,
    offers: &str,
) -> std::io::Result<()> {
    use base64::Engine as _;
    let (hello, mut stream) = (format!("250-here\r\n250 {offers}\r\n"), BufReader::new(stream));
    stream.write_all(b"220 here\r\n").await?;
    let (mut line, mut in_mail) = (String::new(), false);
    while stream.read_line(&mut line).await? > 0 {
        let answer = match line.trim_end().split(' ').collect::<Vec<_>>()[..] {
            ["."] if in_mail => {
                in_mail = false;
                "250 taken\r\n"
            }
            _ if in_mail => "",
            ["EHLO", ..] => &hello,
            ["AUTH", "PLAIN", told] => {
                let told = base64::engine::general_purpose::STANDARD.decode(told).unwrap();
                if told.ends_with(format!("\0{password}").as_bytes()) {
                    "235 welcome\r\n"
                } else {
                    "535 5.7.8 no\r\n"
                }
            }
            ["DATA"] => {
                in_mail = true;
                "354 go on\r\n"
            }
            ["QUIT"] => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

async fn examine_mail(url: &str, to: Option<&str>) -> Vec<Finding> {
    examine_mail_by(None, url, to).await
}

async fn examine_mail_by(ca: Option<&Path>, url: &str, to: Option<&str>) -> Vec<Finding> {
    let mut config = Config::default();
    config.mail.ca = ca.map(Path::to_owned);
    config.listen.admin_socket = "/nonexistent/admin.sock".into();
    config.listen.https = Vec::new();
    config.listen.ops = String::new();
    config.mail.url = SecretSource::Text(Secret::new(url.to_owned()));
    let to = to.map(|to| to.parse().unwrap());
    let (_, findings) = soon(run(&config, to.as_ref(), |_, _| {})).await;
    findings
        .into_iter()
        .filter(|finding| finding.check == "mail")
        .collect()
}

#[tokio::test]
async fn a_server_takes_the_password_or_refuses_it() {
    let server = server("open-sesame").await;
    let found = examine_mail(
        &format!("smtp://ann:open-sesame@{server}"),
        Some("bob@example.com"),
    )
    .await;
    let verdicts: Vec<_> = found.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok], "{found:#?}");
    assert!(found[1].text.contains("bob@example.com was taken"), "{found:#?}");

    let found = examine_mail(&format!("smtp://ann:hunter2@{server}"), None).await;
    assert_eq!(found[0].verdict, Verdict::Problem, "{found:#?}");
    assert!(found[0].text.contains("refuses the user and password") && found[0].text.contains("5.7.8"));
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");

    let found = examine_mail(&format!("smtp://{server}?tls=required"), None).await;
    assert_eq!(found[0].verdict, Verdict::Problem, "{found:#?}");
}

/// A mail server with TLS from the first byte, with the certificate in this folder.
async fn encrypted_server(folder: &Path) -> u16 {
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = converse(stream, "open-sesame", "AUTH PLAIN").await;
            }
        }
    });
    port
}

#[tokio::test]
async fn network_tls_and_sign_in_are_told_apart() {
    let only_over_tls = server_offering("open-sesame", "STARTTLS").await;
    let plain = server("open-sesame").await;
    for (url, said, advice) in [
        (
            format!("smtp://ann:open-sesame@{only_over_tls}"),
            "sign-in over TLS only",
            "add `?tls=required`",
        ),
        (
            format!("smtp://ann:open-sesame@{plain}?tls=required"),
            "no STARTTLS",
            "smtps:",
        ),
        (
            format!("smtp://ann:hunter2@{plain}"),
            "refuses the user and password",
            "the user and the password",
        ),
        (format!("smtps://{plain}"), "TLS with the server fails", "mail.ca"),
        ("smtp://127.0.0.1:9".to_owned(), "", "a firewall"),
    ] {
        let found = examine_mail(&url, None).await;
        assert_eq!(found[0].verdict, Verdict::Problem, "{found:#?}");
        assert!(found[0].text.contains(said), "{url}: {found:#?}");
        assert!(
            found[0].advice.as_ref().unwrap().contains(advice),
            "{url}: {found:#?}"
        );
    }
}

#[tokio::test]
async fn the_authority_of_the_mail_server_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, certify(folder.path())).unwrap();
    let url = format!(
        "smtps://ann:open-sesame@localhost:{}",
        encrypted_server(folder.path()).await
    );
    let found = examine_mail_by(Some(&authority), &url, Some("bob@example.com")).await;
    assert!(
        found.iter().all(|finding| finding.verdict == Verdict::Ok),
        "{found:#?}"
    );
    let found = examine_mail(&url, None).await;
    assert!(found[0].text.contains("TLS with the server fails"), "{found:#?}");
}

#[tokio::test]
async fn no_server_and_no_folder_are_problems() {
    let found = examine_mail("smtp://127.0.0.1:9", None).await;
    assert_eq!(found[0].verdict, Verdict::Problem, "{found:#?}");

    // A server that accepts connections and sends nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let found = examine_mail(&format!("smtp://{}", silent.local_addr().unwrap()), None).await;
    assert!(
        found[0].text.contains("3s") || found[0].text.contains("time"),
        "{found:#?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let outbox = |name: &str| format!("file:{}", folder.path().join(name).display());
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let found = examine_mail(&outbox("taken"), None).await;
    assert!(found[0].text.contains("is no folder"), "{found:#?}");
    let found = examine_mail(&outbox("outbox"), Some("bob@example.com")).await;
    assert!(
        found.iter().all(|finding| finding.verdict == Verdict::Ok),
        "{found:#?}"
    );
    let letters = Letter::all_in(Path::new(&outbox("outbox")["file:".len()..]));
    assert_eq!(letters.len(), 1);
}
