//! The host that an application is told.

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use vestibule::config::{RouteConfig, StripPrefix, UpstreamConfig};

use crate::harness::{Application, Received, Running, route};

/// Responds with a redirect to what `to` in the query says.
async fn redirecting() -> Application {
    Application::answering(|request: &Received| {
        let to = request.target.split_once("to=").map_or("", |(_, to)| to);
        let response = Response::builder().status(302).header("location", to);
        response.body(Bytes::new()).unwrap()
    })
    .await
}

fn own_host(path: &str, upstream: &str) -> RouteConfig {
    RouteConfig {
        preserve_host: false,
        ..route(path, "public", upstream)
    }
}

#[tokio::test]
async fn an_application_is_told_the_clients_host_or_its_own() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &app.url()), own_host("/own", &app.url())];
    })
    .await;
    let client = gateway.authority();
    for (path, host) in [("/", client.clone()), ("/own", app.address.to_string())] {
        let destination = format!("https://{client}{path}");
        let moved = gateway
            .client()
            .request(Method::from_bytes(b"MOVE").unwrap(), gateway.url(path))
            .header("destination", destination)
            .send();
        assert_eq!(moved.await.unwrap().status(), 200);
        let request = app.received().pop().unwrap();
        assert_eq!(request.header("host"), Some(host.as_str()), "{path}");
        assert_eq!(request.header("x-forwarded-host"), Some(client.as_str()));
        let told = format!("http://{host}{path}");
        assert_eq!(request.header("destination"), Some(told.as_str()));
    }
}

#[tokio::test]
async fn an_application_by_http2_is_told_in_the_authority() {
    let app = Application::serving(|parts, _, _| async move {
        let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
        Response::new(Full::new(Bytes::from(authority.to_owned())).boxed_unsync())
    })
    .await;
    let upstream = app.url().replace("http:", "h2c:");
    let gateway = Running::start(|config| {
        config.route = vec![route("/", "public", &upstream), own_host("/own", &upstream)];
    })
    .await;
    for (path, host) in [("/", gateway.authority()), ("/own", app.address.to_string())] {
        let response = gateway.client().get(gateway.url(path)).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), host);
    }
}

#[tokio::test]
async fn each_of_several_servers_is_told_its_own_host() {
    let (one, other) = (Application::start().await, Application::start().await);
    let gateway = Running::start(|config| {
        let app = UpstreamConfig {
            servers: vec![one.url(), other.url()],
            ..UpstreamConfig::default()
        };
        config.upstream.insert("app".to_owned(), app);
        config.route = vec![own_host("/", "app")];
    })
    .await;
    for _ in 0..8 {
        gateway.client().get(gateway.url("/")).send().await.unwrap();
    }
    for app in [&one, &other] {
        let received = app.received();
        assert!(!received.is_empty());
        for request in received {
            assert_eq!(request.header("host"), Some(app.address.to_string().as_str()));
        }
    }
}

/// What is not of the host that a server is told is elsewhere for it.
#[tokio::test]
async fn each_of_several_servers_is_told_urls_of_its_own_host() {
    let (one, other) = (Application::start().await, Application::start().await);
    let gateway = Running::start(|config| {
        let app = UpstreamConfig {
            servers: vec![one.url(), other.url()],
            ..UpstreamConfig::default()
        };
        config.upstream.insert("app".to_owned(), app);
        config.route = vec![own_host("/", "app")];
    })
    .await;
    let base = format!("https://{}", gateway.authority());
    for _ in 0..4 {
        let copy = Method::from_bytes(b"COPY").unwrap();
        let request = gateway.client().request(copy, gateway.url("/a"));
        let request = request
            .header("destination", format!("{base}/b"))
            .header("if", format!("<{base}/a> (<urn:x>) <{base}/b> (Not <urn:x>)"));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    for app in [&one, &other] {
        let received = app.received();
        assert_eq!(received.len(), 2);
        let own = format!("http://{}", app.address);
        for request in received {
            assert_eq!(request.header("destination"), Some(format!("{own}/b").as_str()));
            let conditions = format!("<{own}/a> (<urn:x>) <{own}/b> (Not <urn:x>)");
            assert_eq!(request.header("if"), Some(conditions.as_str()));
        }
    }
}

#[tokio::test]
async fn a_redirect_to_the_applications_own_host_leads_to_the_clients() {
    let app = redirecting().await;
    let gateway = Running::start(|config| {
        let stripped = RouteConfig {
            strip_prefix: StripPrefix::Own(true),
            ..own_host("/app", &app.url())
        };
        config.route = vec![own_host("/", "demo:"), stripped];
    })
    .await;
    let (client, own) = (format!("{}/app", gateway.authority()), app.address.to_string());
    for (to, leads) in [
        (format!("http://{own}/x?y#z"), format!("https://{client}/x?y#z")),
        (format!("https://{own}"), format!("https://{client}")),
        // The application may put the prefix there itself.
        (format!("http://{own}/app/x"), format!("https://{client}/x")),
        (format!("http://{own}/app"), format!("https://{client}")),
        (format!("http://{own}/apples"), format!("https://{client}/apples")),
        ("/x".to_owned(), "/x".to_owned()),
        (
            "http://other.example/".to_owned(),
            "http://other.example/".to_owned(),
        ),
        (
            format!("http://{own}.evil.example/"),
            format!("http://{own}.evil.example/"),
        ),
        (
            format!("http://{own}@evil.example/"),
            format!("http://{own}@evil.example/"),
        ),
    ] {
        let url = gateway.url(&format!("/app?to={}", to.replace('#', "%23")));
        let response = gateway.client().get(url).send().await.unwrap();
        let location = response.headers()["location"]
            .to_str()
            .unwrap()
            .replace("%23", "#");
        assert_eq!(location, leads);
    }
}
