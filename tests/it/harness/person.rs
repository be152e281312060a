//! A user of the gateway's own pages, as a browser without scripts and as a program.

use http::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use vestibule::control::{Command, CommandError, SocketClient};
use vestibule::secret::Secret;
use vestibule::services::{AccountChange, InitialPassword, NewAccount, NewInvitations, NewPassword};

use super::{PASSWORD, Running, soon};

/// A signed-in user, or an anonymous one without a cookie.
pub(crate) struct Person<'g> {
    pub(crate) gateway: &'g Running,
    pub(crate) email: String,
    pub(crate) cookie: String,
}

/// The response to a program.
#[derive(Debug)]
pub(crate) struct ProgramReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) document: Value,
}

/// The response to a browser.
#[derive(Debug)]
pub(crate) struct BrowserReply {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) cookies: Vec<String>,
    pub(crate) page: String,
}

/// The command that creates these invitations, with mails in English.
pub(crate) fn inviting(invitations: NewInvitations) -> Command {
    Command::Invite {
        invitations,
        language: None,
    }
}

impl Running {
    /// Creates an account and signs in.
    pub(crate) async fn person(&self, username: &str) -> Person<'_> {
        let cookie = self.signed_in(username).await;
        Person {
            gateway: self,
            email: format!("{username}@example.com"),
            cookie,
        }
    }

    /// Returns an anonymous visitor.
    pub(crate) fn visitor(&self) -> Person<'_> {
        Person {
            gateway: self,
            email: String::new(),
            cookie: String::new(),
        }
    }

    /// Creates an administrator and signs in.
    pub(crate) async fn administrator(&self, username: &str) -> Person<'_> {
        let person = self.person(username).await;
        let groups = AccountChange::SetGroups(["gateway-admin".to_owned()].into());
        self.change_user(&person.email, groups).await;
        person
    }

    /// Creates an administrator without sign-up, for gateways where sign-up needs approval.
    pub(crate) async fn appointed(&self, username: &str) -> Person<'_> {
        let email = format!("{username}@example.com");
        self.command(Command::AddUser(NewAccount {
            email: email.parse().unwrap(),
            username: None,
            name: None,
            groups: ["gateway-admin".to_owned()].into(),
            password: InitialPassword::Set(NewPassword::Plain(Secret::new(PASSWORD.to_owned()))),
        }))
        .await;
        Person {
            gateway: self,
            cookie: self.sign_in(&email).await,
            email,
        }
    }

    pub(crate) async fn change_user(&self, user: &str, change: AccountChange) {
        self.change_user_because(user, change, "").await;
    }

    pub(crate) async fn change_user_because(&self, user: &str, change: AccountChange, reason: &str) {
        let user = user.to_owned();
        let change = Command::ChangeUser { user, change };
        self.try_command_because(change, reason).await.unwrap();
    }

    /// Executes a command over the admin socket.
    pub(crate) async fn command(&self, command: Command) -> Value {
        self.try_command(command).await.unwrap()
    }

    /// Executes a command that may be refused.
    pub(crate) async fn try_command(&self, command: Command) -> Result<Value, CommandError> {
        self.try_command_because(command, "").await
    }

    async fn try_command_because(&self, command: Command, reason: &str) -> Result<Value, CommandError> {
        let client = SocketClient::new(&self.file("admin.sock"));
        let asked = client.send_with_reason(&command, Some(reason));
        soon(asked).await.unwrap()
    }
}

impl Person<'_> {
    /// Signs in to the same account once more.
    pub(crate) async fn elsewhere(&self) -> Self {
        Self {
            gateway: self.gateway,
            email: self.email.clone(),
            cookie: self.gateway.sign_in(&self.email).await,
        }
    }

    /// Opens a page.
    pub(crate) async fn open(&self, path: &str) -> BrowserReply {
        let request = self.gateway.client().get(self.gateway.url(path));
        shown(self.send(request, "text/html").await).await
    }

    /// Sends a form.
    pub(crate) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> BrowserReply {
        let request = form(self.gateway.client().post(self.gateway.url(path)), fields);
        shown(self.send(request, "text/html").await).await
    }

    /// Sends a GET as a program.
    pub(crate) async fn get_json(&self, path: &str) -> ProgramReply {
        let request = self.gateway.client().get(self.gateway.url(path));
        program_reply(self.send(request, "application/json").await).await
    }

    /// Sends JSON.
    pub(crate) async fn post_json(&self, path: &str, document: Value) -> ProgramReply {
        let request = self.gateway.client().post(self.gateway.url(path)).json(&document);
        program_reply(self.send(request, "application/json").await).await
    }

    /// Whether the session is valid.
    pub(crate) async fn is_signed_in(&self) -> bool {
        self.get_json("/.auth/me").await.status == 200
    }

    async fn send(&self, request: RequestBuilder, accept: &str) -> Response {
        let request = request.header("cookie", &self.cookie).header("accept", accept);
        soon(request.send()).await.unwrap()
    }
}

/// Encodes a form's fields as a browser does.
pub(crate) fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.finish())
}

impl ProgramReply {
    /// Returns the slug of the refusal, in the form for programs (RFC 9457).
    #[track_caller]
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        let said = &self.document;
        assert_eq!(said["status"], self.status, "{said}");
        assert_eq!(said["request_id"], self.headers["x-request-id"].to_str().unwrap());
        for text in ["title", "detail"] {
            assert!(said[text].as_str().is_some_and(|text| !text.is_empty()), "{said}");
        }
        let (_, slug) = said["type"]
            .as_str()
            .unwrap()
            .split_once("/.auth/problems/")
            .unwrap();
        slug
    }

    /// Returns the session that it starts, as a `Cookie` header.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        let mut cookies = self.headers.get_all("set-cookie").iter();
        let cookie = cookies.next().unwrap().to_str().unwrap();
        assert_eq!(cookies.next(), None);
        cookie.split(';').next().unwrap().to_owned()
    }
}

async fn program_reply(response: Response) -> ProgramReply {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = soon(response.bytes()).await.unwrap();
    ProgramReply {
        status,
        headers,
        document: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

async fn shown(response: Response) -> BrowserReply {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers();
    BrowserReply {
        status: response.status().as_u16(),
        location: headers.get("location").map(text).unwrap_or_default(),
        cookies: headers.get_all("set-cookie").iter().map(text).collect(),
        page: soon(response.text()).await.unwrap(),
    }
}
