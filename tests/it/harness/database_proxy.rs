//! A proxy between the gateway and its database that loses connections where a network does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::Cluster;

/// The name of the server's socket, in its folder and in the proxy's.
const SOCKET: &str = ".s.PGSQL.5432";

/// How a commit is asked for, and what the server says when it is done.
const COMMIT: &[u8] = b"COMMIT\0";

/// A proxy, in a folder of its own.
pub(crate) struct DatabaseProxy {
    folder: TempDir,
    faults: Arc<Faults>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Faults {
    loses_responses: AtomicBool,
    lost_changes: std::sync::Mutex<Option<&'static str>>,
    lost: AtomicUsize,
    abandoned: std::sync::Mutex<CancellationToken>,
}

impl DatabaseProxy {
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (faults, server) = (Arc::<Faults>::default(), cluster.path().join(SOCKET));
        let stop = CancellationToken::new();
        // On a thread of its own: tests wait for commands that wait for the database.
        let (ends, used) = (stop.clone(), faults.clone());
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(ends.run_until_cancelled(run(listener, server, used)));
        });
        Self { folder, faults, stop }
    }

    /// Returns `store.url` for a database by way of the proxy.
    pub(crate) fn url(&self, database: &str) -> String {
        Cluster::url_by(self.folder.path(), database)
    }

    /// Whether to close a connection, from now on, where the server says that a commit is done.
    pub(crate) fn lose_responses(&self, loses: bool) {
        self.faults.loses_responses.store(loses, Ordering::SeqCst);
    }

    /// Closes a connection, from now on, where the gateway asks for a commit after it has sent this text: the server never
    /// hears of that commit. `None`: passes all on.
    pub(crate) fn lose_changes(&self, with: Option<&'static str>) {
        *self.faults.lost_changes.lock().unwrap() = with;
    }

    /// How many responses it lost.
    pub(crate) fn lost(&self) -> usize {
        self.faults.lost.load(Ordering::SeqCst)
    }

    /// Closes all connections of now for the gateway alone: the server is not told.
    pub(crate) fn abandon(&self) {
        let mut abandoned = self.faults.abandoned.lock().unwrap();
        std::mem::take(&mut *abandoned).cancel();
    }
}

impl Drop for DatabaseProxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(listener: std::os::unix::net::UnixListener, server: PathBuf, faults: Arc<Faults>) {
    let listener = UnixListener::from_std(listener).unwrap();
    loop {
        let (gateway, _) = listener.accept().await.unwrap();
        let Ok(server) = UnixStream::connect(&server).await else {
            continue;
        };
        tokio::spawn(forward(gateway, server, faults.clone()));
    }
}

async fn forward(mut gateway: UnixStream, mut server: UnixStream, faults: Arc<Faults>) {
    let abandoned = faults.abandoned.lock().unwrap().clone();
    let (mut said, mut answered) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut is_to_be_lost = false;
    loop {
        let passed = tokio::select! {
            () = abandoned.cancelled() => {
                drop(gateway);
                // As long as the test lasts.
                return std::future::pending().await;
            }
            read = gateway.read(&mut said) => {
                let request = read.as_ref().map_or(&[][..], |length| &said[..*length]);
                let lost = *faults.lost_changes.lock().unwrap();
                is_to_be_lost |= lost.is_some_and(|text| contains(request, text.as_bytes()));
                if contains(request, COMMIT) && std::mem::take(&mut is_to_be_lost) && lost.is_some() {
                    return;
                }
                pass(read, &said, &mut server).await
            }
            read = server.read(&mut answered) => {
                let answer = read.as_ref().map_or(&[][..], |length| &answered[..*length]);
                if contains(answer, COMMIT) && faults.loses_responses.load(Ordering::SeqCst) {
                    faults.lost.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                pass(read, &answered, &mut gateway).await
            }
        };
        if !passed {
            return;
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|bytes| bytes == text)
}

/// Passes on what was read; false at the end.
async fn pass(read: std::io::Result<usize>, bytes: &[u8], to: &mut UnixStream) -> bool {
    match read {
        Ok(0) | Err(_) => false,
        Ok(length) => to.write_all(&bytes[..length]).await.is_ok(),
    }
}
