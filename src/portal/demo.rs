//! The built-in application `demo:`: who you are, what an application would see, why you were let in, what comes next.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::DemoRequest;
use super::request_context::RequestContext;
use super::userinfo::UserInfo;

#[derive(Serialize)]
struct DemoView<'a> {
    user: Option<UserInfo<'a>>,
    session: Option<String>,
    route: &'a str,
    allow: &'static str,
    /// What the gateway says.
    headers: Vec<DemoHeader<'a>>,
    /// What the client sent, passed on as it is.
    sent: Vec<DemoHeader<'a>>,
}

#[derive(Serialize)]
struct DemoHeader<'a> {
    name: &'a str,
    value: String,
}

#[derive(Serialize)]
struct DemoDocument<'a> {
    user: Option<UserInfo<'a>>,
    session: Option<String>,
    route: &'a str,
    allow: &'static str,
    headers: BTreeMap<&'a str, Vec<String>>,
}

pub(super) fn page(cx: &RequestContext<'_>, admitted: &DemoRequest<'_>) -> Response<Bytes> {
    let user = admitted.visitor.me();
    let session = admitted
        .visitor
        .principal
        .and_then(|principal| principal.session)
        .map(|id| id.to_string());
    let headers = admitted.upstream_headers.iter().map(|(name, value)| {
        (
            name.as_str(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    if cx.wants_json() {
        let mut by_name = BTreeMap::<_, Vec<_>>::new();
        headers.for_each(|(name, value)| by_name.entry(name).or_default().push(value));
        let document = DemoDocument {
            user,
            session,
            route: &admitted.route,
            allow: admitted.allow,
            headers: by_name,
        };
        return cx.json(StatusCode::OK, &document);
    }
    let mut headers: Vec<_> = headers.map(|(name, value)| DemoHeader { name, value }).collect();
    headers.sort_by_key(|header| header.name);
    let (sent, headers) = headers.into_iter().partition(|header| {
        let mut values = cx.head.headers.get_all(header.name).iter();
        // HTTP/2 has a name of its own for the host.
        header.name == "host" || values.any(|value| value == header.value.as_bytes())
    });
    let view = DemoView {
        user,
        session,
        route: &admitted.route,
        allow: admitted.allow,
        headers,
        sent,
    };
    cx.page(StatusCode::OK, "demo.html", &view)
}
