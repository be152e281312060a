//! A gateway in the test's own process, with browsers and programs as its clients.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::redirect::Policy;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vestibule::app::{Application, ConfigSource, Environment};
use vestibule::clock::Clock;
use vestibule::config::{
    CertificateConfig, Config, PlainAddress, RouteConfig, SecretSource, SignupMode, UpstreamConfig,
};
use vestibule::random::Random;
use vestibule::secret::Secret;

use super::frames::H2Connection;
use super::raw::{self, Raw};
use super::soon;

/// Every host that a test may use; the certificate covers them.
const HOSTS: [&str; 4] = [
    "localhost",
    "gw.example.com",
    "app.example.com",
    "*.wild.example.com",
];

pub(crate) const PASSWORD: &str = "correct-horse-7-battery";

/// A gateway that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The address of `/metrics`, unless it is off.
    pub(crate) ops: Option<SocketAddr>,
    /// Where proxies that ended TLS ask.
    pub(crate) plain: Vec<PlainAddress>,
    folder: TempDir,
    authority: String,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

/// A route of `gw.example.com`.
pub(crate) fn route(path: &str, allow: &str, upstream: &str) -> RouteConfig {
    RouteConfig {
        path: path.to_owned(),
        allow: serde_json::from_value(allow.into()).unwrap(),
        upstream: upstream.to_owned(),
        ..RouteConfig::default()
    }
}

impl Running {
    /// Runs a gateway for `https://gw.example.com`, with the demo for signed-in users; `say` changes the
    /// configuration.
    pub(crate) async fn start(say: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Clock::system(), say).await
    }

    /// Starts on the folder of an earlier gateway, with the test's own clock.
    pub(crate) async fn start_in(folder: TempDir, clock: Clock, say: impl FnOnce(&mut Config)) -> Self {
        let (config, authority) = config(folder.path(), say);
        let environment = Environment {
            clock,
            random: Random::seeded(1),
            source: ConfigSource::new(|| Config::parse("", "nobody reloads")),
            descriptors: usize::MAX,
            lost_messages: Arc::default(),
        };
        let application = Box::pin(Application::build(config, environment)).await.unwrap();
        let address = application.https_addresses()[0];
        let ops = application.ops_address();
        let plain = application.plain_addresses().to_vec();
        let stop = CancellationToken::new();
        let until = stop.clone();
        let run = tokio::spawn(async move { application.run(until).await.unwrap() });
        Self {
            address,
            ops,
            plain,
            folder,
            authority,
            stop,
            run,
        }
    }

    /// Starts with one route to one upstream.
    pub(crate) async fn before(allow: &str, upstream: &str) -> Self {
        Self::start(|config| config.route = vec![route("/", allow, upstream)]).await
    }

    /// Returns a URL below `https://gw.example.com`.
    pub(crate) fn url(&self, path: &str) -> String {
        self.url_of("gw.example.com", path)
    }

    pub(crate) fn url_of(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }

    /// Host and port, as a client sends them.
    pub(crate) fn authority(&self) -> String {
        format!("gw.example.com:{}", self.address.port())
    }

    /// A program over HTTP/1.1, without cookies and redirects.
    pub(crate) fn client(&self) -> reqwest::Client {
        self.builder().http1_only().build().unwrap()
    }

    pub(crate) fn http2_client(&self) -> reqwest::Client {
        self.builder().build().unwrap()
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_pem(self.authority.as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder()
            .tls_certs_only([root])
            .redirect(Policy::none());
        for host in HOSTS {
            builder = builder.resolve(&host.replace('*', "any"), self.address);
        }
        builder
    }

    /// The same with another source address.
    pub(crate) fn client_at(&self, address: IpAddr) -> reqwest::Client {
        let builder = self.builder().http1_only();
        builder.local_address(address).build().unwrap()
    }

    pub(crate) fn http2_client_at(&self, address: IpAddr) -> reqwest::Client {
        self.builder().local_address(address).build().unwrap()
    }

    /// Opens a connection on which a test sends raw bytes.
    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(self.address, &self.authority, "gw.example.com").await
    }

    pub(crate) async fn raw_for(&self, sni: &str) -> Raw {
        Raw::connect(self.address, &self.authority, sni).await
    }

    /// Returns the authority of the gateway's certificate.
    pub(crate) fn certificate_authority(&self) -> String {
        self.authority.clone()
    }

    /// Opens an HTTP/2 connection on which a test sends frames.
    pub(crate) async fn frames(&self) -> H2Connection {
        H2Connection::connect(self.address, &self.authority, "gw.example.com").await
    }

    /// Opens an HTTP/2 connection; also returns its task.
    pub(crate) async fn http2_connection(&self) -> (SendRequest<Full<Bytes>>, JoinHandle<()>) {
        let stream = raw::connect(self.address, &self.authority, "gw.example.com", b"h2").await;
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (client, connection) = soon(shaken).await.unwrap();
        let ended = tokio::spawn(async move {
            let _ = connection.await;
        });
        (client, ended)
    }

    /// Creates an account and signs in; returns the `Cookie` header of the session.
    pub(crate) async fn signed_in(&self, username: &str) -> String {
        let email = format!("{username}@example.com");
        let form = BTreeMap::from([
            ("email", email.as_str()),
            ("username", username),
            ("password", PASSWORD),
            ("password_confirm", PASSWORD),
        ]);
        let client = self.client();
        let signup = client.post(self.url("/.auth/signup")).json(&form);
        let answer = soon(signup.header("accept", "application/json").send())
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        self.sign_in(&email).await
    }

    pub(crate) async fn sign_in(&self, email: &str) -> String {
        let form = BTreeMap::from([("login", email), ("password", PASSWORD)]);
        let login = self.client().post(self.url("/.auth/login")).json(&form);
        let answer = soon(login.header("accept", "application/json").send())
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let cookies = answer.headers().get_all("set-cookie").iter();
        cookies
            .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
            .find(|cookie| cookie.starts_with("__Host-vestibule="))
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn sign_out(&self, cookie: &str) {
        let logout = self
            .client()
            .post(self.url("/.auth/logout"))
            .header("cookie", cookie);
        let answer = soon(logout.header("accept", "application/json").send())
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Stops the gateway: completes requests and flushes logs.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.stop.cancel();
        soon(&mut self.run).await.unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.run.abort();
    }
}

fn config(folder: &Path, say: impl FnOnce(&mut Config)) -> (Config, String) {
    let mut config = Config::default();
    let authority = certify(folder);
    let text = |path: String| SecretSource::Text(Secret::new(path));
    config.public_url = "https://gw.example.com:0".parse().unwrap();
    config.listen.https = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.listen.ops = String::new();
    config.listen.admin_socket = folder.join("admin.sock");
    config.tls.certificates = vec![CertificateConfig {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    }];
    config.store.url = text(format!("sled:{}", folder.join("store").display()));
    config.store.master_key = SecretSource::File {
        file: folder.join("master.key"),
    };
    config.mail.url = text(format!("file:{}", folder.join("outbox").display()));
    config.signup.mode = SignupMode::Open;
    // bcrypt's lowest cost: these tests are not about the hash.
    config.password.bcrypt_cost = 4;
    config.audit.file = folder.join("audit.jsonl");
    config.log.access_file = folder.join("access.jsonl");
    config.route = vec![route("/", "authenticated", "demo:")];
    say(&mut config);
    (config, authority)
}

/// Writes a certificate for all hosts and its key; returns the authority.
pub(crate) fn certify(folder: &Path) -> String {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    fs::write(folder.join("authority.pem"), &authority).unwrap();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(HOSTS.map(str::to_owned).to_vec()).unwrap();
    let certificate = params.signed_by(&own_key, &issuer).unwrap();
    write_private(&folder.join("cert.pem"), &certificate.pem());
    write_private(&folder.join("key.pem"), &own_key.serialize_pem());
    authority
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The configuration of an upstream with these servers.
pub(crate) fn upstream(servers: &[&str]) -> UpstreamConfig {
    UpstreamConfig {
        servers: servers.iter().map(|&server| server.to_owned()).collect(),
        ..UpstreamConfig::default()
    }
}
