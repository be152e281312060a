//! A database, and how its server is reached.

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

/// What of the database is Vestibule's.
pub(super) const SCHEMA: &str = "vestibule";

/// How the server treats a connection. It soon notices that a machine at this end is gone: or the lock of a gateway that
/// was there would keep out for hours the one that takes its place.
const OPTIONS: &str = "-c search_path=vestibule -c client_min_messages=warning -c tcp_keepalives_idle=10 \
     -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3 -c tcp_user_timeout=20000";

/// For how long somebody waits for a connection that is free, and for a new one to be made.
const PATIENCE: Duration = Duration::from_secs(2);

/// After how long without an answer a connection is given up: what is sent, and what is idle.
const SILENCE: Duration = Duration::from_secs(10);

/// Connections for operations, at most.
const CONNECTIONS: usize = 8;

/// Where a database is, and who asks for it.
#[derive(Clone, Debug)]
pub struct DatabaseServer {
    /// Its host, or the folder of its socket, which begins with `/`.
    pub host: String,
    /// Its port; also the number in the name of its socket.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The role's password, if it has to prove itself with one.
    pub password: Option<Secret<String>>,
    /// The database.
    pub database: String,
    /// Whether it is spoken to through TLS, and whose certificates are good.
    pub tls: DatabaseTls,
}

/// How a server proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Not at all, and nothing is encrypted.
    Off,
    /// By a certificate for its name from an authority that the system trusts.
    SystemRoots,
    /// By one from an authority in this file (PEM).
    Roots(PathBuf),
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Connector {
    /// To this database.
    pub(super) fn new(server: &DatabaseServer) -> Result<Self, StoreError> {
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .user(&server.user)
            .dbname(&server.database)
            .application_name("vestibule")
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

    /// Connections that operations share.
    pub(super) fn pool(&self) -> Result<Pool, StoreError> {
        self.pool_of(CONNECTIONS)
    }

    /// A connection for somebody alone; it ends when it is dropped.
    pub(super) async fn connect(&self) -> Result<Object, OperationError> {
        // What comes from a pool that is gone by then is not kept.
        Ok(self.pool_of(1)?.get().await?)
    }

    /// A connection for somebody who has to know when it ends: the task ends then.
    pub(super) async fn dial(&self) -> Result<(Client, JoinHandle<()>), OperationError> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
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
        Pool::builder(Manager::from_config(
            self.config.clone(),
            self.tls.clone(),
            manager,
        ))
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
