//! The program as a separate process, for tests of commands, kills and memory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use reqwest::redirect::Policy;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "vestibule.toml";

/// A folder with a configuration in it.
pub(crate) struct Site(TempDir);

/// The output and exit status of a command.
pub(crate) struct CommandResult {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    pub(crate) fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let site = Self(folder);
        site.configure(config);
        site
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.path(CONFIG), config).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the program, to run in this folder.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        program
            .current_dir(self.0.path())
            .env_remove("VESTIBULE_LOG")
            .env_remove("VESTIBULE_CONFIG")
            .args(arguments);
        program
    }

    /// Runs a command with this standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> CommandResult {
        let mut child = self
            .program(arguments)
            .args(["--config", CONFIG])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses before it reads has closed the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        CommandResult {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> CommandResult {
        self.run_with_input(arguments, "")
    }

    /// A command on a terminal of its own, made by script(1), at which this is typed. What it shows is in `stdout`.
    pub(crate) fn run_on_terminal(&self, arguments: &[&str], typed: &str) -> CommandResult {
        let line = [
            &[env!("CARGO_BIN_EXE_vestibule")],
            arguments,
            &["--config", CONFIG],
        ]
        .concat();
        let mut child = Command::new("script")
            .current_dir(self.0.path())
            .env_remove("VESTIBULE_LOG")
            .args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The end of the input would be taken for the end of what is typed: it comes once the program has ended.
        let mut terminal = child.stdin.take().unwrap();
        terminal.write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(terminal);
        CommandResult {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::new(),
        }
    }

    /// Runs a command that must succeed; returns its JSON.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).document(0)
    }

    /// Runs a listing command; returns the list.
    pub(crate) fn list(&self, arguments: &[&str]) -> Value {
        let name = match arguments[0] {
            "user" => "accounts",
            "key" => "access_keys",
            "session" => "sessions",
            "invite" => "invitations",
            "mail" => "mails",
            "audit" => "events",
            other => panic!("{other} lists nothing"),
        };
        self.ask(arguments)[name].take()
    }

    /// Returns the local authority for `localhost`, after a gateway's first start.
    pub(crate) fn authority(&self) -> String {
        fs::read_to_string(self.path("certs/local-ca.pem")).unwrap()
    }
}

impl CommandResult {
    /// Returns the only JSON document on standard output; asserts the exit status.
    #[track_caller]
    pub(crate) fn document(&self, status: i32) -> Value {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Returns the error message; asserts the exit status.
    #[track_caller]
    pub(crate) fn error(&self, status: i32) -> String {
        self.document(status)["error"].as_str().unwrap().to_owned()
    }
}

/// A running gateway process.
pub(crate) struct Program {
    /// Its HTTPS address.
    pub(crate) address: SocketAddr,
    child: Child,
    /// Its log since the start.
    said: Arc<Mutex<String>>,
    log: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it and waits until it reports its address; returns the log so far.
    pub(crate) fn start(site: &Site) -> (Self, String) {
        Self::started(Self::spawn(site))
    }

    /// Starts it in a folder other than its configuration's.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        program.current_dir(folder).env_remove("VESTIBULE_LOG");
        let program = program.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        Self::started(program.stderr(Stdio::piped()).spawn().unwrap()).0
    }

    /// Waits until a process reports its address; returns the log so far.
    pub(crate) fn started(mut child: Child) -> (Self, String) {
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let port = loop {
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
            if let Some(port) = port(&said) {
                break port;
            }
        };
        // Keep reading: it would block when the pipe is full.
        let rest = Arc::new(Mutex::new(String::new()));
        let noted = rest.clone();
        let log = thread::spawn(move || {
            for line in lines.lines() {
                let line = line.unwrap() + "\n";
                noted.lock().unwrap().push_str(&line);
            }
        });
        let program = Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            child,
            said: rest,
            log: Some(log),
        };
        (program, said)
    }

    /// Starts the process without waiting.
    pub(crate) fn spawn(site: &Site) -> Child {
        site.program(&["--config", CONFIG])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Returns a URL on the host that the local authority covers.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Returns an HTTP/1.1 client that trusts the site's authority, without cookies and redirects.
    pub(crate) fn client(&self, site: &Site) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(site.authority().as_bytes()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([root])
            .redirect(Policy::none())
            .resolve("localhost", self.address)
            .http1_only()
            .build()
            .unwrap()
    }

    /// Returns its log since the start.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a signal that has no name.
    pub(crate) fn signal_number(&self, number: i32) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([format!("-{number}"), id]).status();
        assert!(sent.unwrap().success(), "{number}");
    }

    /// Stops it and waits; returns exit code and log.
    pub(crate) fn stop(mut self) -> (i32, String) {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap().code().unwrap();
        self.log.take().unwrap().join().unwrap();
        (status, self.said())
    }

    /// Waits until it ends by itself; returns the exit code, or `None` after a signal.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Kills it, as a power failure would; returns its log.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.log.take().unwrap().join().unwrap();
        let log = self.said();
        assert_eq!(status.code(), None, "it ended by itself: {log}");
        log
    }

    /// Returns its CPU time in ticks of 10 ms (proc(5), utime and stime).
    pub(crate) fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The program's name comes before, in parentheses.
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
        fields
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum()
    }

    /// Returns its peak memory, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = Path::new("/proc")
            .join(self.child.id().to_string())
            .join("status");
        let status = fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.unwrap().trim_end_matches("kB").trim().parse().unwrap()
    }
}

impl Drop for Program {
    /// Leaves no process running after a failed test.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the port in the line that reports the address.
fn port(said: &str) -> Option<u16> {
    let (_, url) = said.split_once("Vestibule is at https://")?;
    let (_, port) = url.split_once(':')?;
    let end = port.find(|c: char| !c.is_ascii_digit())?;
    port[..end].parse().ok()
}
