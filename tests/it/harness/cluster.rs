//! A PostgreSQL server for tests: in a temporary folder, reached by its socket, and removed with the test.
//!
//! Each process has its own, copied from a template that the first one creates, so processes need not
//! coordinate. A shell in between ends the server and removes its folder when the process that started it
//! ends, however it ends.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use vestibule::store::postgres::{DatabaseServer, DatabaseTls};

/// PostgreSQL refuses to run as root.
const ROOT: u32 = 0;

/// The role that owns the test databases; it has no other rights.
const ROLE: &str = "vestibule";

/// In the name of the socket; also the TCP port if a test enables TCP.
const PORT: u16 = 5432;

/// Number and interval of the checks whether a server accepts connections.
const LOOKS: u32 = 4000;
const PAUSE: Duration = Duration::from_millis(5);

/// Runs a server until standard input is closed. Keeps its folder if the last line says so.
const KEEPER: &str = r#"folder=$1; shift
"$@" </dev/null & server=$!
read -r last
kill -QUIT $server 2>/dev/null
wait $server
[ "$last" = keep ] || rm -rf "$folder""#;

/// A server, running or stopped.
pub(crate) struct Cluster {
    folder: PathBuf,
    keeper: Mutex<Option<Child>>,
    databases: AtomicU32,
    port: AtomicU16,
}

impl Cluster {
    /// Returns the server of this process.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Cluster>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(Self::start(&[]))).clone()
    }

    /// Starts another server with these settings. Files that they name may be put into [`path`](Self::path)
    /// before.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let cluster = Self::prepare();
        cluster.resume(settings);
        cluster
    }

    /// Creates a server that does not run yet.
    pub(crate) fn prepare() -> Self {
        let template = template();
        let folder = private_folder().keep();
        copy(&template, &folder.join("data"));
        Self {
            folder,
            keeper: Mutex::new(None),
            databases: AtomicU32::new(0),
            port: AtomicU16::new(PORT),
        }
    }

    /// Returns the server's folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Starts the server and waits until it accepts connections.
    pub(crate) fn resume(&self, settings: &[&str]) {
        self.resume_at(PORT, settings);
    }

    /// Starts it at another port.
    pub(crate) fn resume_at(&self, port: u16, settings: &[&str]) {
        self.port.store(port, Ordering::Relaxed);
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "keeper", self.path().to_str().unwrap()])
            .args(as_its_user(&binary("postgres")))
            .args(["-D", self.path().join("data").to_str().unwrap()])
            .args(["-k", self.path().to_str().unwrap(), "-p", &self.port()]);
        let own = [
            "listen_addresses=",
            "fsync=off",
            "shared_buffers=16MB",
            "max_connections=60",
            "autovacuum=off",
        ];
        for setting in own.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        let log = File::create(self.path().join("log")).unwrap();
        command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        *self.keeper.lock().unwrap() = Some(command.spawn().unwrap());
        let mut looks = 0..LOOKS;
        while !self.is_ready() {
            let log = || fs::read_to_string(self.path().join("log")).unwrap();
            assert!(looks.next().is_some(), "it does not start: {}", log());
            thread::sleep(PAUSE);
        }
    }

    /// Stops it immediately, like a crash.
    pub(crate) fn halt(&self) {
        self.end("keep\n");
    }

    /// Stops all its processes where they are, until the returned value is dropped.
    pub(crate) fn freeze(&self) -> Frozen {
        let main = fs::read_to_string(self.path().join("data/postmaster.pid")).unwrap();
        let main = main.lines().next().unwrap().to_owned();
        let children = Command::new("ps")
            .args(["-o", "pid=", "--ppid", &main])
            .output()
            .unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let mut pids = vec![main];
        pids.extend(children.split_whitespace().map(str::to_owned));
        signal("-STOP", &pids);
        Frozen(pids)
    }

    /// Lets every commit wait for a standby that does not exist, until [`let_commit`](Self::let_commit).
    pub(crate) fn hold_commits(&self) {
        self.set_standby("'nobody'");
    }

    /// Lets the commits that wait, and all later ones, end.
    pub(crate) fn let_commit(&self) {
        self.set_standby("''");
    }

    /// Neither statement commits anything, so none of them waits for the standby.
    fn set_standby(&self, name: &str) {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = {name}");
        self.sql("postgres", &set);
        self.sql("postgres", "SELECT pg_reload_conf()");
        let mut looks = 0..LOOKS;
        let is_set = |shown: String| shown.trim() == name.trim_matches('\'');
        while !is_set(self.sql("postgres", "SHOW synchronous_standby_names")) {
            assert!(looks.next().is_some(), "it does not take the setting");
            thread::sleep(PAUSE);
        }
    }

    fn end(&self, last: &str) {
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            let mut told = keeper.stdin.take().unwrap();
            told.write_all(last.as_bytes()).unwrap();
            drop(told);
            keeper.wait().unwrap();
        }
    }

    /// Creates a database; its owner has no other rights.
    pub(crate) fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{number}");
        // The first came with the template.
        if number > 0 {
            self.sql("postgres", &create_database(&name));
        }
        name
    }

    /// Runs a statement as superuser; returns one line per row.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(binary("psql"))
            .args(["-h", self.path().to_str().unwrap(), "-p", &self.port()])
            .args([
                "-U",
                "postgres",
                "-d",
                database,
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                sql,
            ])
            .env("PGOPTIONS", "-c search_path=vestibule")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns `store.url` for a database.
    pub(crate) fn url(&self, database: &str) -> String {
        Self::url_by(self.path(), database)
    }

    /// Returns `store.url` for a database by the socket in another folder.
    pub(super) fn url_by(folder: &Path, database: &str) -> String {
        format!("postgres://{ROLE}@/{database}?host={}", folder.display())
    }

    /// Writes a file into the server's folder, readable for the server only.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = other_user() {
            run(Command::new("chown").arg(user).arg(&path), "");
        }
    }

    /// Returns the server's address for the store itself.
    pub(crate) fn server(&self, database: &str) -> DatabaseServer {
        DatabaseServer {
            host: self.path().to_str().unwrap().to_owned(),
            port: PORT,
            user: ROLE.to_owned(),
            password: None,
            database: database.to_owned(),
            tls: DatabaseTls::Off,
        }
    }

    fn port(&self) -> String {
        self.port.load(Ordering::Relaxed).to_string()
    }

    fn is_ready(&self) -> bool {
        let mut command = Command::new(binary("pg_isready"));
        command.args(["-q", "-h", self.path().to_str().unwrap(), "-p", &self.port()]);
        command.status().unwrap().success()
    }
}

/// The stopped processes of a server.
pub(crate) struct Frozen(Vec<String>);

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

/// Sends a signal; a process that has ended meanwhile is none of its business.
fn signal(signal: &str, pids: &[String]) {
    let _ = Command::new("kill").arg(signal).args(pids).output();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end("");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A cluster that was never started, created by the first test that needs one.
fn template() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = folder.join("postgres-template");
    let lock = File::create(folder.join("postgres-template.lock")).unwrap();
    lock.lock().unwrap();
    if !template.exists() {
        let made = private_folder();
        let data = made.path().join("data");
        let data = data.to_str().unwrap();
        let options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"];
        let mut initdb = command(&as_its_user(&binary("initdb")));
        initdb
            .args(["-D", data, "--no-sync", "--wal-segsize=1"])
            .args(options);
        run(&mut initdb, "");
        // Single-user mode: it reads statements, one per line.
        let mut single = command(&as_its_user(&binary("postgres")));
        single.args(["--single", "-D", data, "postgres"]);
        let first = create_database("t0");
        run(&mut single, &format!("CREATE ROLE {ROLE} LOGIN\n{first}\n"));
        let unfinished = folder.join("postgres-template.unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        copy(Path::new(data), &unfinished);
        fs::rename(&unfinished, &template).unwrap();
    }
    template
}

/// By file copy instead of WAL, which only serves recovery.
fn create_database(name: &str) -> String {
    format!("CREATE DATABASE {name} OWNER {ROLE} STRATEGY file_copy")
}

/// A temporary folder of the user that the server runs as.
fn private_folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("vestibule-postgres-")
        .tempdir()
        .unwrap();
    if let Some(user) = other_user() {
        run(Command::new("chown").arg(user).arg(folder.path()), "");
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    run(
        Command::new("cp").args(["-a", "--reflink=auto"]).args([from, to]),
        "",
    );
}

/// Returns the command that runs a program as a user whom it accepts.
fn as_its_user(program: &Path) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(user) = other_user() {
        words.extend(["setpriv", "--reuid", &user, "--clear-groups"].map(str::to_owned));
    }
    words.push(program.to_str().unwrap().to_owned());
    words
}

/// Returns the user that runs the server if the tests run as root.
fn other_user() -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let has = |name: &str| users.lines().any(|line| line.starts_with(&format!("{name}:")));
    let other = if has("postgres") { "postgres" } else { "nobody" };
    let own = fs::metadata("/proc/self").unwrap().uid();
    (own == ROOT).then(|| other.to_owned())
}

/// Debian keeps the server's programs in a folder of its version.
fn binary(name: &str) -> PathBuf {
    let versions =
        fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed: `tests/install tests`");
    let mut found: Vec<PathBuf> = versions
        .map(|entry| entry.unwrap().path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found
        .pop()
        .expect("PostgreSQL is installed: `tests/install tests`")
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir("/");
    command
}

#[track_caller]
fn run(command: &mut Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
