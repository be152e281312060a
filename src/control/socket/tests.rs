use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as BlockingUnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::control::{ClientError, SocketClient};

/// A socket that responds to commands with their actor.
struct Running {
    folder: TempDir,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Running {
    fn start(patience: Duration) -> Self {
        let folder = TempDir::new().unwrap();
        let mut socket = AdministratorSocket::bind(&folder.path().join("admin.sock")).unwrap();
        socket.patience = patience;
        let stop = CancellationToken::new();
        let execute = |command, by: Actor| async move {
            match command {
                Command::ShowUser(user) => Ok(json!({ "user": user, "by": by.name(), "why": by.reason() })),
                _ => Err(CommandError::new("no")),
            }
        };
        let served = tokio::spawn(socket.serve(execute, stop.clone()));
        Self { folder, stop, served }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// The response to these bytes while the connection stays open.
    async fn answer_to(&self, bytes: &[u8]) -> Result<Value, CommandError> {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        // The server may refuse before it has read everything: then the rest cannot be written.
        let _ = stream.write_all(bytes).await;
        let mut line = Vec::new();
        stream.read_to_end(&mut line).await.unwrap();
        protocol::outcome(&line).unwrap()
    }
}

#[tokio::test]
async fn a_command_is_executed_for_the_user_who_asks() {
    let running = Running::start(PATIENCE);
    let client = SocketClient::new(&running.path());

    let show = Command::ShowUser("ann".to_owned());
    let done = client.send_with_reason(&show, Some(" a\nb ")).await.unwrap();
    let by = format!("command (uid {})", own_uid());
    assert_eq!(done, Ok(json!({ "user": "ann", "by": by, "why": "a b" })));

    let refused = client.send(&Command::VerifyStore).await.unwrap();
    assert_eq!(refused, Err(CommandError::new("no")));
}

#[tokio::test]
async fn only_its_owner_can_connect_and_nothing_else_is_left_behind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new").join("admin.sock");
    let socket = AdministratorSocket::bind(&path).unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

    drop(socket);
    assert!(!path.exists());
}

#[test]
fn root_and_the_gateways_own_user_may_command() {
    assert!(may_command(1000, 1000));
    assert!(may_command(0, 1000));
    assert!(!may_command(1001, 1000));
    assert!(!may_command(1000, 0));
}

#[tokio::test]
async fn the_socket_of_a_dead_process_is_replaced() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("admin.sock");
    drop(BlockingUnixListener::bind(&path).unwrap());
    assert!(path.exists());
    AdministratorSocket::bind(&path).unwrap();
}

#[tokio::test]
async fn the_socket_of_a_living_process_is_not() {
    let running = Running::start(PATIENCE);
    let error = AdministratorSocket::bind(&running.path()).unwrap_err();
    assert!(matches!(error, BindError::AlreadyRunning(_)), "{error}");
    assert!(
        error.to_string().contains("a gateway is already running"),
        "{error}"
    );

    let client = SocketClient::new(&running.path());
    assert!(client.send(&Command::ShowUser("ann".to_owned())).await.is_ok());
}

#[tokio::test]
async fn a_file_in_the_way_stays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("admin.sock");
    fs::write(&path, "precious").unwrap();
    let error = AdministratorSocket::bind(&path).unwrap_err();
    assert!(
        matches!(error, BindError::Socket(UnixSocketError::NotASocket(_))),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_successors_socket_outlives_its_predecessor() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("admin.sock");
    let predecessor = AdministratorSocket::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _successor = AdministratorSocket::bind(&path).unwrap();
    drop(predecessor);
    assert!(path.exists());
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let running = Running::start(PATIENCE);
    let error = running.answer_to(&vec![b'x'; MAX_REQUEST + 1]).await.unwrap_err();
    assert!(error.message.contains("larger than"), "{error}");

    let client = SocketClient::new(&running.path());
    let large = Command::ShowUser("x".repeat(MAX_REQUEST));
    assert!(matches!(client.send(&large).await, Err(ClientError::TooLarge)));
    let largest = Command::ShowUser("x".repeat(MAX_REQUEST - 64));
    assert!(client.send(&largest).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_slow_caller_is_not_waited_for() {
    let running = Running::start(Duration::from_millis(20));
    let error = running.answer_to(br#"{"version": 4, "#).await.unwrap_err();
    assert!(error.message.contains("in time"), "{error}");
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let running = Running::start(PATIENCE);
    for garbage in ["\n", "GET / HTTP/1.1\n", "{}\n", "{\"version\":2}\n", "[1]\n"] {
        assert!(
            running.answer_to(garbage.as_bytes()).await.is_err(),
            "{garbage:?}"
        );
    }
}

#[tokio::test]
async fn callers_that_say_nothing_do_not_keep_it_from_stopping() {
    let running = Running::start(PATIENCE);
    let _idle = UnixStream::connect(running.path()).await.unwrap();
    running.stop.cancel();
    running.served.await.unwrap();
    assert!(!running.folder.path().join("admin.sock").exists());
}

#[tokio::test]
async fn a_command_that_has_begun_is_completed_though_the_gateway_stops() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("admin.sock");
    let socket = AdministratorSocket::bind(&path).unwrap();
    let (begun, go_on, done) = (
        Arc::new(Notify::new()),
        Arc::new(Notify::new()),
        Arc::new(AtomicUsize::new(0)),
    );
    let execute = {
        let (begun, go_on, done) = (begun.clone(), go_on.clone(), done.clone());
        move |_, _| {
            let (begun, go_on, done) = (begun.clone(), go_on.clone(), done.clone());
            async move {
                begun.notify_one();
                go_on.notified().await;
                done.fetch_add(1, Ordering::SeqCst);
                Ok(Value::Null)
            }
        }
    };
    let stop = CancellationToken::new();
    let served = tokio::spawn(socket.serve(execute, stop.clone()));
    let asked = tokio::spawn(async move { SocketClient::new(&path).send(&Command::VerifyStore).await });

    begun.notified().await;
    stop.cancel();
    go_on.notify_one();
    served.await.unwrap();
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(asked.await.unwrap().unwrap(), Ok(Value::Null));
}

#[tokio::test]
async fn where_nobody_listens_no_gateway_runs() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("admin.sock");
    let absent = SocketClient::new(&path).send(&Command::VerifyStore).await;
    assert!(matches!(absent, Err(ClientError::NotRunning(_))), "{absent:?}");

    drop(BlockingUnixListener::bind(&path).unwrap());
    let dead = SocketClient::new(&path).send(&Command::VerifyStore).await;
    assert!(matches!(dead, Err(ClientError::NotRunning(_))), "{dead:?}");
}

#[tokio::test]
async fn nothing_is_asked_where_everybody_may_put_a_socket() {
    let running = Running::start(PATIENCE);
    for mode in [0o777, 0o1777] {
        fs::set_permissions(running.folder.path(), Permissions::from_mode(mode)).unwrap();
        let asked = SocketClient::new(&running.path())
            .send(&Command::VerifyStore)
            .await;
        assert!(
            matches!(asked, Err(ClientError::OpenFolder(_))),
            "{mode:o} {asked:?}"
        );
    }
}

#[tokio::test]
async fn no_socket_is_made_where_others_may_put_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("admin.sock");
    for mode in [0o777, 0o1777, 0o702] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let bound = AdministratorSocket::bind(&path);
        assert!(
            matches!(bound, Err(BindError::Socket(UnixSocketError::OpenFolder(_)))),
            "{mode:o}"
        );
    }
    for mode in [0o755, 0o2775] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        assert!(AdministratorSocket::bind(&path).is_ok(), "{mode:o}");
    }
}
