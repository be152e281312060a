//! Connections: the address of a database, TLS, time limits and the pool.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{self, OperationError};
use crate::secret::Secret;
use crate::store::StoreError;
use crate::trust_anchors::read_trust_anchors;

/// The schema of Vestibule's tables.
pub(super) const SCHEMA: &str = "vestibule";

/// The name of the sessions on the server that read and write; that of the lock has another.
pub(super) const APPLICATION_NAME: &str = "vestibule";

/// Options of the server's end of a connection. With these the server soon drops a client whose machine is
/// gone; otherwise the instance lock of a dead gateway would keep out its successor for hours. It drops none that is
/// idle, as the one with the lock is, whatever the role's settings are.
const OPTIONS: &str = "-c search_path=vestibule -c client_min_messages=warning -c tcp_keepalives_idle=10 \
     -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3 -c tcp_user_timeout=20000 -c idle_session_timeout=0";

/// How long an operation waits for a free connection, and how long opening one may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long sent data may stay unacknowledged, and how long a connection may be idle before TCP probes it.
const SILENCE: Duration = Duration::from_secs(10);

/// Connections for operations, at most.
const CONNECTIONS: usize = 8;

/// The address of a database and the credentials for it.
#[derive(Clone, Debug)]
pub struct DatabaseServer {
    /// The host, or the directory of the server's Unix socket, beginning with `/`.
    pub host: String,
    /// The port; also part of the socket's file name.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The role's password, if it needs one.
    pub password: Option<Secret<String>>,
    /// The name of the database.
    pub database: String,
    /// Whether connections use TLS, and which authorities are trusted.
    pub tls: DatabaseTls,
}

/// How connections are encrypted and the server is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Without TLS.
    Off,
    /// TLS with a certificate for the server's name from an authority that the system trusts.
    SystemRoots,
    /// TLS with a certificate from an authority in this file (PEM).
    Roots(PathBuf),
}

/// Opens connections to one database.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Connector {
    pub(super) fn new(server: &DatabaseServer) -> Result<Self, StoreError> {
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .user(&server.user)
            .dbname(&server.database)
            .options(OPTIONS)
            .ssl_mode(match server.tls {
                DatabaseTls::Off => SslMode::Disable,
                DatabaseTls::SystemRoots | DatabaseTls::Roots(_) => SslMode::Require,
            })
            .connect_timeout(PATIENCE)
            .keepalives_idle(SILENCE)
            .keepalives_interval(SILENCE / 5)
            .keepalives_retries(3)
            .tcp_user_timeout(SILENCE);
        if let Some(password) = &server.password {
            config.password(password.expose());
        }
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(client_config(&server.tls)?),
        })
    }

    /// Makes the pool that operations share.
    pub(super) fn pool(&self) -> Result<Pool, StoreError> {
        self.pool_of(CONNECTIONS)
    }

    /// Opens a connection outside the pool; it closes when dropped.
    pub(super) async fn connect(&self) -> Result<Object, OperationError> {
        // The pool of this connection is dropped at once, so it does not return there.
        Ok(self.pool_of(1)?.get().await?)
    }

    /// Opens a connection outside the pool, with a task that ends when the connection does.
    pub(super) async fn dial(&self) -> Result<(Client, JoinHandle<()>), OperationError> {
        let mut config = self.config.clone();
        config.application_name("vestibule-lock");
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let ended = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok((client, ended))
    }

    fn pool_of(&self, connections: usize) -> Result<Pool, StoreError> {
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let mut config = self.config.clone();
        config.application_name(APPLICATION_NAME);
        Pool::builder(Manager::from_config(config, self.tls.clone(), manager))
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(PATIENCE),
                create: Some(PATIENCE),
                recycle: Some(PATIENCE),
            })
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl From<PoolError> for OperationError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Database(error),
            PoolError::Timeout(_) => {
                error::unavailable("it does not answer in time, or too many are waiting for it")
            }
            error => error::unavailable(error.to_string()),
        }
    }
}

fn client_config(tls: &DatabaseTls) -> Result<ClientConfig, StoreError> {
    let roots = match tls {
        DatabaseTls::Off => RootCertStore::empty(),
        DatabaseTls::SystemRoots => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
        DatabaseTls::Roots(path) => {
            let anchors = read_trust_anchors(path)
                .map_err(|error| StoreError::Refused(format!("sslrootcert {} {error}", path.display())))?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(anchors);
            roots
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
