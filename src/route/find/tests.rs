use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::config::{Config, RouteConfig};
use crate::random::Random;
use crate::request::{ClientAddress, Host, RequestIds};

mod encodings;
mod session_form;

fn routes(table: &[(&str, &str, &[&str])]) -> Routes {
    let config = Config {
        public_url: "https://gw.example.com:8443".parse().unwrap(),
        ..config(table.iter().map(route_config).collect())
    };
    make(&config).unwrap()
}

fn make(config: &Config) -> Result<Routes, crate::route::RouteError> {
    Routes::new(config, config.public_host().unwrap())
}

fn config(route: Vec<RouteConfig>) -> Config {
    Config {
        route,
        ..Config::default()
    }
}

fn route_config((host, path, methods): &(&str, &str, &[&str])) -> RouteConfig {
    RouteConfig {
        host: (!host.is_empty()).then(|| (*host).to_owned()),
        path: (*path).to_owned(),
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        upstream: "demo:".to_owned(),
        ..RouteConfig::default()
    }
}

/// The label of the route, or the page, or the error.
fn find(routes: &Routes, method: &str, host: &str, target: &str) -> Result<String, Unroutable> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let head = RequestHead {
        method: &method.parse().unwrap(),
        host: &host.parse::<Host>().unwrap(),
        scheme: "https",
        authority: host,
        path,
        query,
        headers: &HeaderMap::new(),
        client: &ClientAddress {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            through_trusted_proxy: false,
            is_known: true,
        },
        id: RequestIds::new(&Random::seeded(1)).next(),
    };
    routes.find(&head).map(|found| match found {
        RouteMatch::Page(page) => format!("{page:?}"),
        RouteMatch::Route(route) => route.label().to_string(),
    })
}

fn label(routes: &Routes, host: &str, target: &str) -> String {
    find(routes, "GET", host, target).unwrap()
}

fn is_ambiguous<T>(found: &Result<T, Unroutable>) -> bool {
    matches!(found, Err(Unroutable::BadPath(BadPath::Ambiguous(_))))
}

/// Asserts that a path is refused as ambiguous.
fn assert_ambiguous(routes: &Routes, host: &str, path: &str) {
    let found = find(routes, "GET", host, path);
    assert!(is_ambiguous(&found), "{path}: {found:?}");
}

fn assert_refused(routes: &Routes, host: &str, path: &str) {
    let found = find(routes, "GET", host, path);
    assert!(matches!(found, Err(Unroutable::BadPath(_))), "{path}: {found:?}");
}

#[test]
fn the_exact_host_comes_before_a_wildcard_and_the_nearer_wildcard_first() {
    let routes = routes(&[
        ("", "/", &[]),
        ("a.example.com", "/only", &[]),
        ("*.example.com", "/", &[]),
        ("*.b.example.com", "/", &[]),
    ]);
    assert_eq!(label(&routes, "gw.example.com", "/x"), "gw.example.com/");
    assert_eq!(label(&routes, "a.example.com", "/only"), "a.example.com/only");
    // Not the wildcard's: the exact host has no such path.
    assert_eq!(
        find(&routes, "GET", "a.example.com", "/x"),
        Err(Unroutable::NotFound)
    );
    assert_eq!(label(&routes, "x.example.com", "/x"), "*.example.com/");
    assert_eq!(label(&routes, "y.x.example.com", "/x"), "*.example.com/");
    assert_eq!(label(&routes, "b.example.com", "/x"), "*.example.com/");
    assert_eq!(label(&routes, "c.b.example.com", "/x"), "*.b.example.com/");
    for host in ["example.com", "badexample.com", "other.org"] {
        assert_eq!(
            find(&routes, "GET", host, "/"),
            Err(Unroutable::UnknownHost),
            "{host}"
        );
    }
}

#[test]
fn the_longest_path_wins_on_segment_borders() {
    let routes = routes(&[("", "/a", &[]), ("", "/a/b/", &[]), ("", "/c", &[])]);
    let host = "gw.example.com";
    for (path, label_) in [
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a/bc", "/a"),
        ("/a/b", "/a/b"),
        ("/a/b/c", "/a/b"),
    ] {
        assert_eq!(label(&routes, host, path), format!("{host}{label_}"), "{path}");
    }
    assert_ambiguous(&routes, host, "/A");
    for path in ["/", "/ab", "/b"] {
        assert_eq!(
            find(&routes, "GET", host, path),
            Err(Unroutable::NotFound),
            "{path}"
        );
    }
}

#[test]
fn a_path_without_the_method_is_405_and_never_a_shorter_route() {
    let routes = routes(&[
        ("", "/", &[]),
        ("", "/api", &["GET", "POST"]),
        ("", "/api", &["DELETE"]),
    ]);
    let host = "gw.example.com";
    assert!(find(&routes, "DELETE", host, "/api/x").is_ok());
    let allow = HeaderValue::from_static("GET, HEAD, POST, DELETE");
    assert!(find(&routes, "HEAD", host, "/api/x").is_ok());
    for method in ["PUT", "OPTIONS", "get"] {
        assert_eq!(
            find(&routes, method, host, "/api/x"),
            Err(Unroutable::MethodNotAllowed(allow.clone())),
            "{method}"
        );
    }
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(
            find(&routes, method, host, "/"),
            Err(Unroutable::NeverServed),
            "{method}"
        );
    }
}

#[test]
fn own_pages_are_on_every_host_and_come_first() {
    let routes = routes(&[("", "/", &[]), ("*.example.org", "/", &[])]);
    for host in ["gw.example.com", "x.example.org"] {
        assert_eq!(label(&routes, host, "/.auth/login?rd=/"), "Login");
        assert_eq!(
            find(&routes, "GET", host, "/.auth/nothing"),
            Err(Unroutable::NotFound)
        );
        assert_eq!(
            find(&routes, "GET", host, "/.auth/login/"),
            Err(Unroutable::NotFound)
        );
        assert_eq!(
            find(&routes, "GET", host, "/.auth"),
            Err(Unroutable::Redirect("/.auth/login".to_owned()))
        );
        assert_eq!(
            find(&routes, "PUT", host, "/.auth/login"),
            Err(Unroutable::MethodNotAllowed(
                "GET, HEAD, POST, OPTIONS".parse().unwrap()
            ))
        );
        assert_eq!(
            find(&routes, "OPTIONS", host, "/.auth/me"),
            Err(Unroutable::Options("GET, HEAD, OPTIONS".parse().unwrap()))
        );
        for path in [
            "/%2eauth/login",
            "//.auth/login",
            "/.auth;x/login",
            "/.auth/%6cogin",
            "/.AUTH/login",
            "/.auth/Login",
            "/.auth./login",
            "//x/.auth/me",
            "/.auth%3f/login",
            "/%252eauth/me",
        ] {
            assert_ambiguous(&routes, host, path);
        }
        assert!(find(&routes, "GET", host, "/.authentic").is_ok());
    }
}

/// Paths that bypassed an early version, and their kin: each ran the handler of `/admin` in some server.
const BYPASSES: [&str; 125] = [
    "/%61dmin/..;/x",
    "/%61dmin/users/%252e%252e/%252e%252e/",
    "/adm%69n/index.php/..;/..;/",
    "/%61dmin/..;",
    "/ad%min/x",
    "/admi%n",
    "/ad%min%/x",
    "/ad%aqmin",
    "/ad%09min",
    "/%61d%0amin/x",
    "/ad%250dmin",
    "/%61dmin;/..;/",
    "//admin",
    "//x/admin/users",
    "///x/admin",
    "////x/admin",
    "///admin",
    "//x//admin",
    "//admin@x/admin",
    "//x:1/admin",
    "//x;/admin",
    "/;/x/admin",
    "/;x/admin",
    "/;//admin",
    "/./admin",
    "/.;/admin",
    "/x/..;/admin",
    "/%20/admin",
    "/.../admin",
    "/.../x/admin",
    "/ADMIN",
    "/Admin/users",
    "/%41dmin",
    "/a%44min",
    "/%2541dmin",
    "/\u{ff41}dmin",
    "/%EF%BD%81dmin",
    "/adm\u{131}n",
    "/adm%C4%B1n",
    "/%61dmin",
    "/%2561dmin/x",
    "/%252561dmin/x",
    "/%u0061dmin",
    "/%25u0061dmin",
    "/admin;x",
    "/admin;/x",
    "/admin;%2fx",
    "/admin%3bx",
    "/admin%253bx",
    "/admin.",
    "/admin./x",
    "/admin...",
    "/admin%20",
    "/admin%20/x",
    "/admin.%20.",
    "/admin+",
    "/admin%2B/x",
    "/+admin",
    "/%20admin/x",
    "/%C2%A0admin",
    "/admin%ff",
    "/ad%C2%ADmin",
    "/admin::$DATA",
    "/%EF%BD%81dmin/%ff",
    "/admin%0a",
    "/admin%09/x",
    "/admin%3f",
    "/admin%3fx/y",
    "/admin%253f",
    "/admin%23x",
    "/admin%2523",
    "/admin%252fx",
    "/admin%2fx",
    "/x;y/%252e%252e/admin",
    "/ad%25min/x",
    "/ad%25aqmin",
    "/admin%25",
    "/admin%25zzfoo",
    "/ad%6=in",
    "/adm%6@n/x",
    "/ad%6`in",
    "/ad%u006=in",
    "/ad%256=in",
    "/admin%zzfoo",
    "/%25%D9%A6%D9%A1dmin",
    "/x/%25%D9%A2E%25%D9%A2E/admin",
    "/%\u{666}\u{661}dmin",
    "/admin%+2fx",
    "/admin%25+2fx",
    "/admin::$data",
    "/admin::$data/x",
    "/admin:$i30:$index_allocation/x",
    "/admin:x",
    "/admin%3ax",
    "/admin&x",
    "/admin%26x",
    "/admin%2526x",
    "/ad%01min",
    "/admin%1f",
    "/admin%7f",
    "/%7fadmin/x",
    "/ad%C2%85min",
    "/ad%2501min",
    "/\u{e1}dmin",
    "/a%CC%81dmin",
    "/%E1dmin",
    "/%C3%83%C2%A1dmin",
    "/(S(x))/admin",
    "/ad(S(x))/min/users",
    "/ad/(S(x))min",
    "/(S(x))/ad/(S(x))min/users",
    "/ad%28A(x)F(y)%29min",
    "/(lit3py55t21z5v55vlm25s55)/admin",
    "/ad%E4%B8%ADmin",
    "/ad%20min",
    "/%20a%20d%20min/users",
    "/a%C9%97min",
    "/ad%C9%B1in",
    "/%E1%B6%8Fdmin",
    "/adm%C6%97n",
    "/%CE%B1dmin",
    "/admin%E2%81%84x",
    "/admin%E2%88%95x",
    "/ad/%28lit3py55t21z5v55vlm25s55)min",
    "/a%C4%91min",
];

#[test]
fn s43_a_path_that_reads_as_one_of_another_route_is_refused_and_others_pass() {
    let routes = routes(&[("", "/", &[]), ("", "/admin", &[])]);
    let host = "gw.example.com";
    for path in BYPASSES {
        assert_refused(&routes, host, path);
    }
    for path in [
        "/x//y",
        "/x;y=1/z",
        "/x%20y",
        "/%E2%82%AC",
        "/A/B",
        "/a%20b",
        "/a//b",
        "/x;v=1",
        "/administrator",
        "/xadmin",
        "/x/admin",
        "/x/ADMIN",
        "/x/%61dmin;y",
        "/홍길동",
        "/%ED%99%8D%EA%B8%B8%EB%8F%99/%EC%82%AC%EC%A7%84%201.jpg",
        "/=,:@~",
        "/a+b/c++/$x/(y)/!/'*&",
        "/v1.2./x",
        "/etc...",
        "/100%25",
        "/100%25/x",
        "/50%25-off",
        "/a&b",
        "/a&b=c/d",
        "/x:80",
        "/urn:a:b",
        "/a%3Fb%23c",
        "/a%252Fb",
        "/x/C%23",
        "//x/y",
        "/x.",
    ] {
        assert_eq!(label(&routes, host, path), "gw.example.com/", "{path}");
    }
    for path in [
        "/admin//x",
        "/admin/x;y",
        "/admin/%20",
        "/admin/X/%E2%82%AC",
        "/admin/x./y",
        "/admin/x:80",
        "/admin/x&y",
    ] {
        assert_eq!(label(&routes, host, path), "gw.example.com/admin", "{path}");
    }
}

#[test]
fn s43_each_reading_of_a_path_takes_its_route_in_any_table() {
    // Without a route at the root, ambiguous paths are refused as well.
    let routes = routes(&[("", "/admin", &[]), ("", "/admin/open", &[]), ("", "/api", &[])]);
    let host = "gw.example.com";
    for path in BYPASSES {
        assert_refused(&routes, host, path);
    }
    for path in [
        "/admin/OPEN",
        "/admin//open",
        "/admin/x;/../open",
        "/admin/open;x",
        "/admin/%6fpen",
        "/api%2f",
    ] {
        assert_refused(&routes, host, path);
    }
    assert_eq!(
        label(&routes, host, "/admin/open/%20x"),
        "gw.example.com/admin/open"
    );
}

#[test]
fn s43_a_route_may_say_that_case_matters() {
    let mut exact = route_config(&("", "/", &[]));
    exact.case_sensitive = true;
    let mut upper = route_config(&("", "/Admin", &["POST"]));
    upper.case_sensitive = true;
    let table = vec![
        exact,
        upper,
        route_config(&("", "/admin", &[])),
        route_config(&("", "/Api", &[])),
    ];
    let routes = make(&config(table)).unwrap();
    let found = |method, path| find(&routes, method, "localhost", path);
    for path in ["/ADMIN/x", "/ADMIN/%20", "/api/x"] {
        assert_eq!(found("GET", path), Ok("localhost/".to_owned()), "{path}");
    }
    // Case matters only for the route that says so, and its methods.
    assert_eq!(found("POST", "/Admin"), Ok("localhost/Admin".to_owned()));
    assert!(is_ambiguous(&found("GET", "/Admin")));
    // A route without the setting takes its own case only, whatever others say.
    assert_eq!(found("GET", "/admin/X"), Ok("localhost/admin".to_owned()));
    assert_eq!(found("GET", "/Api/X"), Ok("localhost/Api".to_owned()));
    // All else is read as before.
    for path in ["/%61dmin", "/%41pi", "/admin;x", "//x/admin"] {
        assert!(is_ambiguous(&found("GET", path)), "{path}");
    }
}

#[test]
fn s43_a_route_with_capitals_is_not_reached_in_small_letters() {
    let routes = routes(&[("", "/", &[]), ("", "/Admin", &[])]);
    let host = "gw.example.com";
    for path in ["/admin", "/ADMIN/x", "/%41dmin", "/%61dmin"] {
        assert_ambiguous(&routes, host, path);
    }
    assert_eq!(label(&routes, host, "/Admin/x"), "gw.example.com/Admin");
}

#[test]
fn s43_a_route_whose_own_path_is_encoded_is_read_as_requests_are() {
    let routes = routes(&[
        ("", "/", &[]),
        ("", "/a%20b", &[]),
        ("", "/%ED%95%9C", &[]),
        ("", "/m;v=1", &[]),
        ("", "/v1.", &[]),
        ("", "/c++", &[]),
    ]);
    let host = "gw.example.com";
    for (path, taken) in [
        ("/a%20b", "/a%20b"),
        ("/a%20b/c+d", "/a%20b"),
        ("/c++/x", "/c++"),
        ("/d++", "/"),
        ("/a%20b/c%20d", "/a%20b"),
        ("/%ED%95%9C/x", "/%ED%95%9C"),
        ("/m;v=1/x", "/m;v=1"),
        ("/v1./x", "/v1."),
        ("/a", "/"),
        ("/v2.", "/"),
    ] {
        assert_eq!(label(&routes, host, path), format!("{host}{taken}"), "{path}");
    }
    for path in [
        "/a%2520b",
        "/A%20b",
        "/a+b",
        "/a%2Bb",
        "/c%2B+",
        "/c%20%20/x",
        "/%61%20b",
        "/한",
        "/%ed%95%9c",
        "/%E1%84%92%E1%85%A1%E1%86%AB",
        "/m",
        "/m;v=2/x",
        "/m%3bv=1",
        "/v1",
        "/v1.%20",
    ] {
        assert_ambiguous(&routes, host, path);
    }
}

#[test]
fn a_method_is_taken_as_it_is_written() {
    let routes = routes(&[("", "/x", &["GET"]), ("", "/x", &["POST"]), ("", "/any", &[])]);
    for method in ["get", "Get", "post", "GET2", "PATCH"] {
        let found = find(&routes, method, "gw.example.com", "/x");
        assert!(matches!(found, Err(Unroutable::MethodNotAllowed(_))), "{method}");
        assert!(
            find(&routes, method, "gw.example.com", "/any").is_ok(),
            "{method}"
        );
    }
}

#[test]
fn a_host_is_the_same_in_each_of_its_spellings() {
    let table = routes(&[
        ("", "/", &[]),
        ("[2001:db8::1]", "/", &[]),
        ("xn--bcher-kva.example", "/", &[]),
    ]);
    for (host, found) in [
        ("GW.Example.COM", "gw.example.com/"),
        ("gw.example.com.", "gw.example.com/"),
        ("gw.example.com:8443", "gw.example.com/"),
        ("gw.example.com.:1", "gw.example.com/"),
        ("[2001:DB8:0::1]", "[2001:db8::1]/"),
        ("[2001:db8::0:1]:443", "[2001:db8::1]/"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example/"),
    ] {
        assert_eq!(label(&table, host, "/"), found, "{host}");
    }
    for host in [
        "gw.example.com..",
        "gw.example.com:",
        "gw.example.com:+1",
        "bücher.example",
        "gw%2eexample.com",
        "gw.example.com/x",
        "x@gw.example.com",
        "[2001:db8::1%251]",
        "2001:db8::1",
    ] {
        let read = host.parse::<Host>();
        assert!(read.is_err() || host.ends_with(':'), "{host}: {read:?}");
    }
}

#[test]
fn an_encoded_slash_passes_where_the_route_says_so() {
    let mut open = route_config(&("", "/open", &[]));
    open.encoded_slash = true;
    let routes = make(&config(vec![open, route_config(&("", "/shut", &[]))])).unwrap();
    assert_eq!(label(&routes, "localhost", "/open/a%2Fb"), "localhost/open");
    let refused = |path| find(&routes, "GET", "localhost", path);
    assert_eq!(refused("/shut/a%2fb"), Err(BadPath::EncodedSlash.into()));
    assert_eq!(refused("/open/..%2fshut"), Err(BadPath::DotSegment.into()));
    assert_eq!(refused("/open%2f%2e%2e%2fshut"), Err(BadPath::DotSegment.into()));
    assert_eq!(refused("/x%2fopen"), Err(BadPath::EncodedSlash.into()));
}

#[test]
fn a_preflight_finds_the_route_that_it_asks_about() {
    let mut api = route_config(&("", "/api", &["PUT"]));
    api.preflight = true;
    let routes = make(&config(vec![route_config(&("", "/api", &["GET"])), api])).unwrap();
    assert!(find(&routes, "OPTIONS", "localhost", "/api").is_ok());
}

#[test]
fn other_names_of_this_machine_lead_to_the_public_url() {
    let trial = make(&Config::default()).unwrap();
    for host in ["127.0.0.1:8443", "[::1]:8443"] {
        assert_eq!(
            find(&trial, "GET", host, "/a?b=c"),
            Err(Unroutable::Redirect("https://localhost:8443/a?b=c".to_owned()))
        );
    }
    assert_eq!(
        find(&trial, "GET", "127.0.0.2", "/"),
        Err(Unroutable::UnknownHost)
    );
    let public = routes(&[("", "/", &[])]);
    assert_eq!(
        find(&public, "GET", "localhost", "/"),
        Err(Unroutable::UnknownHost)
    );
    let configured = routes(&[("127.0.0.1", "/", &[])]);
    assert_eq!(label(&configured, "127.0.0.1", "/"), "127.0.0.1/");
}

#[test]
fn two_routes_alike_are_an_error() {
    let alike = |one, other| make(&config(vec![route_config(one), route_config(other)])).is_err();
    assert!(alike(&("", "/a", &[]), &("localhost", "/a/", &["GET"])));
    assert!(alike(&("", "/a", &["GET", "PUT"]), &("", "/a", &["PUT"])));
    assert!(!alike(&("", "/a", &["GET"]), &("", "/a", &["PUT"])));
    assert!(!alike(&("", "/a", &[]), &("x.example.com", "/a", &[])));
}

/// The contract's sentences, one after the other, without any index of the routes.
fn by_the_contract(
    table: &[(String, String, Vec<String>)],
    method: &str,
    host: &str,
    path: &str,
) -> Result<String, u16> {
    let is_below = |pattern: &str| {
        pattern
            .strip_prefix('*')
            .is_some_and(|domain| host.ends_with(domain))
    };
    let mut hosts: Vec<&String> = table.iter().map(|(pattern, ..)| pattern).collect();
    hosts.retain(|pattern| *pattern == host || is_below(pattern));
    hosts.sort_by_key(|pattern| (*pattern != host, usize::MAX - pattern.len()));
    let Some(pattern) = hosts.first() else {
        return Err(404);
    };
    let mut paths: Vec<_> = table
        .iter()
        .filter(|(other, prefix, _)| {
            other == *pattern && (prefix == "/" || path == prefix || path.starts_with(&format!("{prefix}/")))
        })
        .collect();
    let Some(longest) = paths.iter().map(|(_, prefix, _)| prefix.len()).max() else {
        return Err(404);
    };
    paths.retain(|(_, prefix, _)| prefix.len() == longest);
    paths
        .iter()
        .find(|(.., methods)| methods.is_empty() || methods.iter().any(|own| own == method))
        .map(|(host, path, _)| format!("{host}{path}"))
        .ok_or(405)
}

fn a_path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]{1,2}", 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn a_table() -> impl Strategy<Value = Vec<(String, String, Vec<String>)>> {
    let host = prop::sample::select(vec!["x.io", "*.x.io", "a.x.io", "*.a.x.io"]);
    let methods = prop::sample::subsequence(vec!["GET", "POST"], 0..=2);
    let route = (host, a_path(), methods).prop_map(|(host, path, methods)| {
        (
            host.to_owned(),
            path,
            methods.into_iter().map(str::to_owned).collect(),
        )
    });
    prop::collection::vec(route, 0..8)
}

proptest! {
    #[test]
    fn the_match_is_the_contracts(
        table in a_table(),
        method in prop::sample::select(vec!["GET", "POST", "PUT"]),
        host in prop::sample::select(vec!["x.io", "a.x.io", "b.x.io", "b.a.x.io", "y.io"]),
        path in a_path(),
    ) {
        let configured = table
            .iter()
            .map(|(host, path, methods)| RouteConfig {
                host: Some(host.clone()),
                path: path.clone(),
                methods: methods.clone(),
                upstream: "demo:".to_owned(),
                ..RouteConfig::default()
            })
            .collect();
        // Tables with routes alike are refused; that is another test.
        if let Ok(routes) = make(&config(configured)) {
            let found = find(&routes, method, host, &path).map_err(|reason| match reason {
                Unroutable::UnknownHost | Unroutable::NotFound => 404,
                Unroutable::MethodNotAllowed(_) => 405,
                other => panic!("{other}"),
            });
            prop_assert_eq!(found, by_the_contract(&table, method, host, &path));
        }
    }

    #[test]
    fn whatever_is_sent_is_answered_and_never_reads_as_another_route(path in "/[a/.%25cef;\\\\]{0,24}") {
        let routes = routes(&[("", "/", &[]), ("", "/a", &[]), ("", "/a/e", &[])]);
        if let Ok(label_) = find(&routes, "GET", "gw.example.com", &path) {
            let once = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
            let merged: String = once.split('/').filter(|segment| !segment.is_empty()).flat_map(|segment| ["/", segment]).collect();
            let again = if merged.is_empty() { "/".to_owned() } else { merged };
            prop_assert_eq!(find(&routes, "GET", "gw.example.com", &again).unwrap_or(label_.clone()), label_);
        }
    }
}
