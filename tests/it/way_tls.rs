//! Applications over TLS: whom the gateway takes them for, and whom they take it for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use vestibule::config::UpstreamConfig;

use crate::harness::{Running, certify, route, soon};

/// The names that clients asked for.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// An application that serves whoever has a certificate of the authority in the folder.
async fn guarded(folder: &Path) -> (SocketAddr, Asked) {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&read("authority.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(&read("cert.pem")).unwrap()],
            PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, noted) = (acceptor.clone(), noted.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                noted.lock().unwrap().push(name);
                let service = service_fn(|_| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"guarded"))))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn an_application_gets_the_certificate_and_the_name_that_its_upstream_says() {
    let folder = TempDir::new().unwrap();
    certify(folder.path());
    let (address, asked) = guarded(folder.path()).await;
    let file = |name: &str| folder.path().join(name);
    let own = json!({"cert": file("cert.pem"), "key": file("key.pem")});
    let mut cases = Vec::new();
    for (path, host, name, certificate, is_answered) in [
        ("/whole", "127.0.0.1", json!("localhost"), own.clone(), true),
        ("/named-by-url", "localhost", json!(null), own.clone(), true),
        ("/address", "127.0.0.1", json!(null), own.clone(), false),
        ("/other", "127.0.0.1", json!("other.example"), own, false),
        ("/bare", "127.0.0.1", json!("localhost"), json!(null), false),
    ] {
        let keys = json!({
            "servers": [format!("https://{host}:{}", address.port())],
            "ca": file("authority.pem"),
            "server_name": name,
            "client_certificate": certificate,
        });
        cases.push((path, keys, is_answered));
    }
    let gateway = Running::start(|config| {
        config.route.clear();
        for (path, keys, _) in &cases {
            let upstream: UpstreamConfig = serde_json::from_value(keys.clone()).unwrap();
            let name = path.trim_start_matches('/');
            config.upstream.insert(name.to_owned(), upstream);
            config.route.push(route(path, "public", name));
        }
    })
    .await;
    for (path, _, is_answered) in cases {
        let response = soon(gateway.client().get(gateway.url(path)).send())
            .await
            .unwrap();
        let status = if is_answered { 200 } else { 502 };
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.text().await.unwrap() == "guarded", is_answered, "{path}");
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked, vec![Some("localhost".to_owned()); 2]);
}
