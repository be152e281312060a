//! A log that cannot be written: the gateway goes on, lines are lost, and a counter tells how many.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::time::Duration;

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::harness::{Site, soon};

/// A running gateway, whose output may go nowhere.
struct Deaf {
    child: Child,
    https: SocketAddr,
    ops: SocketAddr,
    site: Site,
}

/// Returns unused addresses, because the gateway cannot report where it listens.
fn free_addresses() -> [SocketAddr; 2] {
    let sockets = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap())
}

impl Deaf {
    fn start(stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let [https, ops] = free_addresses();
        let site = Site::new(&format!(
            r#"
            public_url = "https://localhost:{}"
            [listen]
            https = ["{https}"]
            ops = "{ops}"
            [password]
            bcrypt_cost = 10
            [[route]]
            path = "/"
            allow = "public"
            upstream = "http://127.0.0.1:1"
            "#,
            https.port()
        ));
        let child = site
            .program(&["--config", "vestibule.toml"])
            .env("VESTIBULE_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self {
            child,
            https,
            ops,
            site,
        }
    }

    /// Waits until it is ready. Fails if it has ended.
    async fn ready(&mut self) {
        let client = Client::new();
        soon(async {
            loop {
                assert!(self.child.try_wait().unwrap().is_none(), "it ended");
                let asked = client.get(format!("http://{}/readyz", self.ops)).send().await;
                if asked.is_ok_and(|answer| answer.status() == 200) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Makes it write to every log: a request, a warning and an event.
    async fn ask(&self) {
        let root = reqwest::Certificate::from_pem(self.site.authority().as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only([root])
            .resolve("localhost", self.https)
            .build()
            .unwrap();
        let url = |path: &str| format!("https://localhost:{}{path}", self.https.port());
        for _ in 0..3 {
            let unreachable = soon(client.get(url("/")).send()).await.unwrap();
            assert_eq!(unreachable.status(), 502);
            let form = json!({ "login": "nobody@example.com", "password": "wrong horse" });
            let refused = soon(client.post(url("/.auth/login")).json(&form).send())
                .await
                .unwrap();
            assert_eq!(refused.status(), 401);
        }
    }

    /// Returns how many lines of a log are lost.
    async fn lost(&self, log: &str) -> u64 {
        let metrics = soon(reqwest::get(format!("http://{}/metrics", self.ops)))
            .await
            .unwrap();
        let text = soon(metrics.text()).await.unwrap();
        let sample = format!("vestibule_log_lines_lost_total{{log=\"{log}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&sample));
        value.unwrap().parse().unwrap()
    }

    /// Stops it; it must end as with a working log.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[tokio::test]
async fn a_full_disk_ends_no_gateway() {
    let mut gateway = Deaf::start(full(), full());
    gateway.ready().await;
    gateway.ask().await;
    for (log, least) in [("messages", 3), ("access", 6), ("audit", 3)] {
        let lost = gateway.lost(log).await;
        assert!(lost >= least, "{log}: {lost}");
    }
    gateway.stop();
}

#[tokio::test]
async fn pipes_whose_readers_are_gone_end_no_gateway() {
    let mut gateway = Deaf::start(Stdio::piped(), Stdio::piped());
    let mut lines = BufReader::new(gateway.child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("Vestibule is at") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    drop((lines, gateway.child.stdout.take()));
    gateway.ready().await;
    gateway.ask().await;
    for (log, least) in [("messages", 3), ("access", 6), ("audit", 3)] {
        let lost = gateway.lost(log).await;
        assert!(lost >= least, "{log}: {lost}");
    }
    gateway.stop();
}

#[tokio::test]
async fn a_log_that_can_be_written_loses_nothing() {
    let file = |site: &tempfile::TempDir, name: &str| std::fs::File::create(site.path().join(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Deaf::start(file(&folder, "stdout"), file(&folder, "stderr"));
    gateway.ready().await;
    gateway.ask().await;
    for log in ["messages", "access", "audit"] {
        assert_eq!(gateway.lost(log).await, 0, "{log}");
    }
    gateway.stop();
}
