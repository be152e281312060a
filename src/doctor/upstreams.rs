//! Checks the upstreams.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ::http::Response;
use futures_util::future::join_all;
use hyper::body::Incoming;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{DoctorContext, Finding, LIMIT, clock, http, listeners};
use crate::config::{Endpoint, PlainAddress, UpstreamUrl};
use crate::route::Routes;
use crate::upstream::{Reachability, Upstreams};

const CHECK: &str = "upstream";

/// Checks that every server accepts connections, by the gateway's own code, TLS included. Sends no request,
/// but for one over plain HTTP to read the time.
pub(super) async fn reach(context: &DoctorContext<'_>) -> Vec<Finding> {
    let made = context
        .config
        .public_host()
        .and_then(|host| Routes::new(context.config, host).ok());
    let Some(routes) = made else {
        return Vec::new();
    };
    let upstreams = match Upstreams::new(context.config, &routes, &Arc::default()) {
        Ok(upstreams) => upstreams,
        Err(error) => return vec![Finding::problem(CHECK, error.to_string(), "see [upstream]")],
    };
    let reached = upstreams.reach(LIMIT).await;
    let mut findings = join_all(reached.iter().map(|reached| finding(context, reached))).await;
    let answering = reached.iter().filter(|reached| reached.result.is_ok());
    let answering = answering.filter_map(|reached| reached.server.parse().ok());
    findings.extend(clock::check(context, answering).await);
    findings
}

async fn finding(context: &DoctorContext<'_>, reached: &Reachability) -> Finding {
    let Reachability {
        upstream,
        server,
        result,
    } = reached;
    let name = if upstream == server {
        server.clone()
    } else {
        format!("{upstream}: {server}")
    };
    let url = server.parse::<UpstreamUrl>().ok();
    if let Some(url) = &url
        && is_this_gateway(context, url).await
    {
        return Finding::problem(
            CHECK,
            format!("{name} is this gateway itself: requests would come back to it"),
            "name the address at which the application listens",
        );
    }
    let error = match result {
        Ok(()) => return Finding::ok(CHECK, format!("{name} takes connections")),
        Err(error) => error,
    };
    match answer_without_tls(url.as_ref(), error).await {
        Some(PlainAnswer::Http(endpoint)) => {
            let text = format!("{name} does not speak TLS, but plain HTTP");
            Finding::problem(CHECK, text, format!("write http://{endpoint}"))
        }
        Some(PlainAnswer::Other) => Finding::problem(
            CHECK,
            format!("{name} does not speak TLS"),
            "see which program listens there; an application without TLS is written with http://",
        ),
        None if error.kind() == io::ErrorKind::InvalidData => Finding::problem(
            CHECK,
            format!("{name}: {error}"),
            "its certificate must be for the host in the URL, and of an authority that the system trusts or \
             upstream.NAME.ca names",
        ),
        None => Finding::problem(
            CHECK,
            format!("{name}: {error}"),
            "start it, or correct the URL in the configuration",
        ),
    }
}

/// What answers where TLS was expected.
enum PlainAnswer<'u> {
    Http(&'u Endpoint),
    Other,
}

/// What a server that failed a handshake speaks instead; none where it may speak TLS, or does not answer.
async fn answer_without_tls<'u>(url: Option<&'u UpstreamUrl>, error: &io::Error) -> Option<PlainAnswer<'u>> {
    let Some(UpstreamUrl::Https(endpoint)) = url else {
        return None;
    };
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let is_no_tls = matches!(cause, Some(rustls::Error::InvalidMessage(_)));
    let is_broken_off = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    );
    if !(is_no_tls || is_broken_off) {
        return None;
    }
    match ask(endpoint).await {
        Some(_) => Some(PlainAnswer::Http(endpoint)),
        None => is_no_tls.then_some(PlainAnswer::Other),
    }
}

/// Whether a server is this gateway: one of its sockets, or one of its hosts at the port of `public_url`.
async fn is_this_gateway(context: &DoctorContext<'_>, server: &UpstreamUrl) -> bool {
    let endpoint = match server {
        UpstreamUrl::Http(endpoint) | UpstreamUrl::Https(endpoint) | UpstreamUrl::H2c(endpoint) => endpoint,
        UpstreamUrl::Unix(path) => {
            let listen = &context.config.listen;
            let at = PlainAddress::Unix(path.clone());
            return *path == listen.admin_socket || listen.plain.contains(&at);
        }
    };
    let public: Option<url::Url> = match &context.running {
        Some(running) => running.public_url.parse().ok(),
        None => Some(context.config.public_url.clone()),
    };
    let public_port = public.and_then(|url| url.port_or_known_default());
    let is_host = |host: &String| host == endpoint.host.as_str();
    if public_port == Some(endpoint.port)
        && !endpoint.host.is_loopback()
        && listeners::hosts(context).iter().any(is_host)
    {
        return true;
    }
    let own = listening(context);
    if !own.iter().any(|own| own.port() == endpoint.port) {
        return false;
    }
    let host = endpoint.host.as_str().trim_matches(['[', ']']);
    let Ok(Ok(found)) = timeout(LIMIT, lookup_host((host, endpoint.port))).await else {
        return false;
    };
    let mut found = found.map(|address| address.ip().to_canonical());
    found.any(|address| {
        let is_own = |own: &SocketAddr| {
            own.ip() == address || own.ip().is_unspecified() && is_of_this_machine(address)
        };
        own.iter().any(|own| own.port() == endpoint.port && is_own(own))
    })
}

/// All addresses at which the gateway listens, or would.
fn listening(context: &DoctorContext<'_>) -> Vec<SocketAddr> {
    let Some(running) = &context.running else {
        let listen = &context.config.listen;
        let ops = listen.ops_address().ok().flatten();
        let own = listen.https.iter().chain(&listen.http).copied();
        return own.chain(listen.plain_tcp()).chain(ops).collect();
    };
    let plain = running.plain.iter().filter_map(|place| match place.parse() {
        Ok(PlainAddress::Tcp(address)) => Some(address),
        _ => None,
    });
    let own = running.https.iter().chain(&running.http).copied();
    own.chain(plain).chain(running.ops).collect()
}

fn is_of_this_machine(address: IpAddr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

/// What a server answers to plain HTTP, asked for `/`.
pub(super) async fn ask(endpoint: &Endpoint) -> Option<Response<Incoming>> {
    let host = endpoint.host.as_str().trim_matches(['[', ']']);
    let connecting = timeout(LIMIT, TcpStream::connect((host, endpoint.port)));
    let stream = connecting.await.ok()?.ok()?;
    http::get(stream, &endpoint.to_string(), "/", &[]).await.ok()
}
