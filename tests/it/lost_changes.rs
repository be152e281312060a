//! A store whose log was damaged after its snapshot, as an operator sees it.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::api::ServerInfo;
use vestibule::control::{Command, SocketClient};

use crate::harness::{PASSWORD, Program, Site, soon};

const CONFIG: &str = r#"
    public_url = "https://localhost:0"
    [listen]
    https = ["127.0.0.1:0"]
    ops = "127.0.0.1:0"
    [password]
    bcrypt_cost = 10
"#;

fn status(site: &Site) -> Value {
    site.ask(&["user", "show", "ann@example.com"])["status"].clone()
}

/// The value of the metric that raises the alarm.
async fn alarm(site: &Site) -> u64 {
    let client = SocketClient::new(&site.path("data/admin.sock"));
    let running = client.send(&Command::Whereabouts).await.unwrap().unwrap();
    let running: ServerInfo = serde_json::from_value(running).unwrap();
    let asked = reqwest::get(format!("http://{}/metrics", running.ops.unwrap()));
    let text = soon(asked).await.unwrap().text().await.unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("vestibule_store_changes_lost "));
    value.unwrap().parse().unwrap()
}

/// Waits until the metric has this value.
async fn until_alarm_is(site: &Site, value: u64) {
    soon(async {
        while alarm(site).await != value {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

fn findings(site: &Site) -> Vec<Value> {
    let report: Value = serde_json::from_str(&site.run(&["doctor", "--json"]).stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().clone();
    let is_alarm = |finding: &Value| finding["text"].as_str().unwrap().contains("was damaged");
    findings.into_iter().filter(is_alarm).collect()
}

#[tokio::test]
async fn a_flipped_bit_that_takes_decisions_back_is_an_alarm_until_the_operator_removes_it() {
    let site = Site::new(CONFIG);
    let add = ["user", "add", "ann@example.com", "--password-stdin", "--json"];
    site.run_with_input(&add, PASSWORD).document(0);
    let before = status(&site);
    let db = site.path("data/store/db");
    let old = fs::read(&db).unwrap();
    let disabled = site.ask(&["user", "disable", "ann@example.com"]);
    assert_ne!(disabled["status"], before);
    let mut bytes = fs::read(&db).unwrap();
    let place = bytes.iter().zip(&old).position(|(new, old)| new != old).unwrap();
    bytes[place] ^= 1;
    fs::write(&db, bytes).unwrap();

    let (gateway, said) = Program::start(&site);
    assert!(
        said.contains("was damaged") && said.contains("\"error\""),
        "{said}"
    );
    assert!(said.contains("store import BACKUP"), "{said}");
    assert_eq!(status(&site), before, "it was taken back");
    let refused = site.run(&["store", "verify", "--json"]).document(1);
    assert!(refused.to_string().contains("was damaged"), "{refused}");
    assert_eq!(findings(&site)[0]["verdict"], "problem");
    until_alarm_is(&site, 1).await;
    gateway.stop();
    site.run(&["store", "verify", "--json"]).document(1);
    assert_eq!(findings(&site)[0]["verdict"], "problem");
    let salvaged = site.ask(&["store", "salvage", "left.jsonl"]);
    assert!(
        salvaged["faults"].to_string().contains("was damaged"),
        "{salvaged}"
    );

    // A store restored from a backup starts without the alarm.
    fs::rename(site.path("data/store"), site.path("data/store.old")).unwrap();
    site.ask(&["store", "import", "left.jsonl"]);
    assert_eq!(site.ask(&["store", "verify"])["faults"], json!([]));
    fs::remove_dir_all(site.path("data/store")).unwrap();
    fs::rename(site.path("data/store.old"), site.path("data/store")).unwrap();

    let (gateway, said) = Program::start(&site);
    assert!(said.contains("was damaged"), "the next start says so too: {said}");
    fs::remove_file(site.path("data/store/lost-changes.json")).unwrap();
    until_alarm_is(&site, 0).await;
    assert_eq!(site.ask(&["store", "verify"])["faults"], json!([]));
    assert_eq!(findings(&site), Vec::<Value>::new());
    gateway.stop();
    let (gateway, said) = Program::start(&site);
    assert!(!said.contains("was damaged"), "{said}");
    gateway.stop();
}
