//! Commands that produce a link, mailed or printed.

use std::fs;

use serde_json::json;

use super::{CONFIG, add, site};
use crate::harness::{Letter, Program, Site, until};

#[tokio::test]
async fn invitations_are_mailed_when_a_gateway_runs_and_each_serves_its_address() {
    let site = site();
    fs::write(
        site.path("people.csv"),
        "email,name\nann@example.com,Ann\nbob@example.com,Bob\n",
    )
    .unwrap();
    let arguments = ["invite", "create", "--csv", "people.csv", "--group", "staff"];
    let mailed = site.ask(&[&arguments[..], &["--send", "--lang", "ko"]].concat());
    assert_eq!(mailed["invitations"][1]["email"], "bob@example.com");
    assert!(
        !mailed.to_string().contains("invitation="),
        "the link is in the mail alone"
    );
    let outbox = site.path("data/outbox");
    assert!(Letter::all_in(&outbox).is_empty());

    let (program, _) = Program::start(&site);
    until(|| Letter::all_in(&outbox).len() == 2).await;
    let mails = Letter::all_in(&outbox);
    let bob = mails.iter().find(|mail| mail.to == "bob@example.com").unwrap();
    assert_eq!(bob.subject, "Vestibule에 초대합니다");
    let (_, token) = bob.link("/.auth/signup?invitation=").split_once('=').unwrap();
    let sign_up = |email: &'static str| {
        let fields = json!({
            "email": email,
            "username": "bob",
            "password": super::PASSWORD,
            "password_confirm": super::PASSWORD,
            "invitation": token,
        });
        let request = program.client(&site).post(program.url("/.auth/signup"));
        request.header("accept", "application/json").json(&fields).send()
    };
    assert_eq!(sign_up("eve@example.com").await.unwrap().status(), 422);
    assert_eq!(sign_up("bob@example.com").await.unwrap().status(), 201);
    assert_eq!(site.ask(&["user", "show", "bob"])["groups"], json!(["staff"]));
    let left = site.list(&["invite", "list"]);
    let left = left
        .as_array()
        .unwrap()
        .iter()
        .filter(|left| left["kind"] == "signup");
    let left: Vec<_> = left.map(|left| left["email"].clone()).collect();
    assert_eq!(left, ["ann@example.com"]);
}

#[test]
fn invitations_of_a_file_are_made_for_all_of_its_addresses_or_for_none() {
    let site = site();
    fs::write(site.path("people.csv"), "ann@example.com\nbob@example.com\n").unwrap();
    let made = site.run(&["invite", "create", "--csv", "people.csv"]).stdout;
    let lines: Vec<&str> = made.lines().collect();
    assert!(
        lines[0].starts_with("ann@example.com https://localhost") && lines.len() == 2,
        "{made}"
    );
    fs::write(site.path("people.csv"), "cho@example.com\nnobody\n").unwrap();
    for more in [&[][..], &["--send"]] {
        let arguments = [&["invite", "create", "--csv", "people.csv", "--json"], more].concat();
        let error = site.run(&arguments).error(1);
        assert!(error.contains("line 2: nobody"), "{error}");
    }
    assert_eq!(site.list(&["invite", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(site.run(&["invite", "create", "--send"]).status, 2);
}

#[test]
fn a_link_that_sets_a_new_password_is_printed_and_recorded_without_its_token() {
    let site = site();
    add(&site, "ann@example.com", &[]);
    let done = site.run(&[
        "user",
        "reset-link",
        "ann",
        "--reason",
        "lost her phone",
        "--json",
    ]);
    let made = done.document(0);
    let link = made["link"].as_str().unwrap();
    let (_, token) = link.split_once("/.auth/reset?token=").unwrap();
    assert_eq!(
        (made["email"].as_str(), token.len()),
        (Some("ann@example.com"), 43)
    );
    assert!(done.stderr.contains("\"event\":\"reset-link\"") && done.stderr.contains("lost her phone"));
    assert!(!done.stderr.contains(token), "{}", done.stderr);
    assert_eq!(site.run(&["user", "reset-link", "nobody"]).status, 1);
}

#[test]
fn commands_do_without_the_mail_server() {
    let site = Site::new(&format!("{CONFIG}\n[mail]\nurl = \"smtp://127.0.0.1:1\"\n"));
    add(&site, "ann@example.com", &[]);
    let done = site.run(&["user", "list"]);
    assert!(done.status == 0 && done.stderr.is_empty(), "{}", done.stderr);
}
