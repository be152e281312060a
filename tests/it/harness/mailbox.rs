//! Reads the mails that a gateway wrote into its mail folder.

use std::fs;
use std::path::Path;

use mail_parser::MessageParser;
use serde_json::json;
use tokio::time::Duration;

use super::{PASSWORD, ProgramReply, Running, soon};

/// A mail.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) raw: String,
}

impl Letter {
    /// Returns the first link in its text that contains `before`.
    pub(crate) fn link(&self, before: &str) -> &str {
        let mut links = self.text.lines().filter(|line| line.starts_with("https://"));
        let link = links.find(|link| link.contains(before));
        link.unwrap_or_else(|| panic!("no link with {before}: {}", self.text))
    }

    /// Returns the token of its link to a page.
    pub(crate) fn token(&self, page: &str) -> String {
        let before = format!("/.auth/{page}?token=");
        let link = self.link(&before);
        link.split_once(&before).unwrap().1.to_owned()
    }

    /// Returns the mails in a folder, oldest first.
    pub(crate) fn all_in(outbox: &Path) -> Vec<Self> {
        let Ok(folder) = fs::read_dir(outbox) else {
            return Vec::new();
        };
        let mut files: Vec<_> = folder
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "eml"))
            .collect();
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &Path) -> Self {
        let raw = fs::read(file).unwrap();
        let message = MessageParser::default().parse(&raw).unwrap();
        let to = message.to().unwrap().first().unwrap().address().unwrap();
        Self {
            to: to.to_owned(),
            subject: message.subject().unwrap().to_owned(),
            text: message.body_text(0).unwrap().replace("\r\n", "\n"),
            html: message.body_html(0).unwrap().into_owned(),
            raw: String::from_utf8(raw.clone()).unwrap(),
        }
    }
}

impl Running {
    /// Returns all mails so far, oldest first.
    pub(crate) fn outbox(&self) -> Vec<Letter> {
        Letter::all_in(&self.file("outbox"))
    }

    /// Returns the mails to an address, oldest first, once there are `count`.
    pub(crate) async fn mails_to(&self, to: &str, count: usize) -> Vec<Letter> {
        let looking = async {
            loop {
                let mut mails = self.outbox();
                mails.retain(|mail| mail.to == to);
                if mails.len() >= count {
                    return mails;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mails = soon(looking).await;
        assert_eq!(mails.len(), count, "{mails:?}");
        mails
    }

    /// Waits until all queued mails are sent or dropped; they are sent one after another.
    pub(crate) async fn mails_are_out(&self, username: &str) {
        let email = format!("{username}@example.com");
        let told = self.sign_up(&email, username, PASSWORD).await;
        assert_eq!(told.status, 201, "{told:?}");
        if told.document["next"] != "verify" {
            let told = self
                .visitor()
                .post_json("/.auth/forgot", json!({ "email": email }))
                .await;
            assert_eq!(told.status, 202, "{told:?}");
        }
        self.mails_to(&email, 1).await;
    }

    pub(crate) async fn sign_up(&self, email: &str, username: &str, password: &str) -> ProgramReply {
        let fields = json!({
            "email": email,
            "username": username,
            "password": password,
            "password_confirm": password,
        });
        self.visitor().post_json("/.auth/signup", fields).await
    }

    /// Tries to sign in; returns the status and the slug of a refusal.
    pub(crate) async fn try_sign_in(&self, login: &str, password: &str) -> (u16, String) {
        let fields = json!({ "login": login, "password": password });
        let told = self.visitor().post_json("/.auth/login", fields).await;
        let problem = if told.status == 200 { "" } else { told.problem() };
        (told.status, problem.to_owned())
    }
}
