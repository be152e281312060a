//! The built-in upstream `demo:`: shows user, route, policy, and the headers that an upstream would get.

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
    /// Headers that the gateway sets.
    headers: Vec<DemoHeader<'a>>,
    /// Headers of the client, forwarded unchanged.
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
        // In HTTP/2 the host has another name.
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
