//! Backend.AI's session form: which route a path under `func` takes, and the path for its upstream.

use super::*;
use crate::config::Compat;

const HOST: &str = "gw.example.com";

fn with_compat(table: &[(&str, &str, &[&str])], at: &[&str]) -> Result<Routes, crate::route::RouteError> {
    let mut route: Vec<_> = table.iter().map(route_config).collect();
    for route in &mut route {
        route.compat = at.contains(&route.path.as_str()).then_some(Compat::BackendAi);
    }
    make(&Config {
        public_url: "https://gw.example.com".parse().unwrap(),
        ..config(route)
    })
}

/// The route's label and the path for its upstream.
fn find(routes: &Routes, method: &str, path: &str) -> Result<(String, String), Unroutable> {
    let head = RequestHead {
        method: &method.parse().unwrap(),
        host: &HOST.parse::<Host>().unwrap(),
        scheme: "https",
        authority: HOST,
        path,
        query: None,
        headers: &HeaderMap::new(),
        client: &ClientAddress {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            through_trusted_proxy: false,
            is_known: true,
        },
        id: RequestIds::new(&Random::seeded(1)).next(),
    };
    routes.find(&head).map(|found| match found {
        RouteMatch::Page(page) => (format!("{page:?}"), String::new()),
        RouteMatch::Route(route) => {
            let bare = route.bare_path(path);
            (
                route.label().to_string(),
                bare.map_or(path.to_owned(), Into::into),
            )
        }
    })
}

#[test]
fn what_is_under_func_is_the_routes_own_and_asked_for_without_it() {
    let routes = with_compat(&[("", "/", &[]), ("", "/ai", &[])], &["/", "/ai"]).unwrap();
    for (path, label, bare) in [
        ("/folders", "gw.example.com/", "/folders"),
        ("/func", "gw.example.com/", "/"),
        ("/func/", "gw.example.com/", "/"),
        ("/func/folders/a%20b", "gw.example.com/", "/folders/a%20b"),
        ("/function", "gw.example.com/", "/function"),
        ("/x/func/y", "gw.example.com/", "/x/func/y"),
        ("/ai/func/folders", "gw.example.com/ai", "/ai/folders"),
        ("/ai/func", "gw.example.com/ai", "/ai"),
    ] {
        let found = find(&routes, "GET", path);
        assert_eq!(found, Ok((label.to_owned(), bare.to_owned())), "{path}");
    }
    for path in ["/server/login", "/ai/server/login-check", "/server/logout"] {
        let (page, _) = find(&routes, "POST", path).unwrap();
        assert!(page.starts_with("SessionForm("), "{path}: {page}");
        let allow = HeaderValue::from_static("POST, OPTIONS");
        let not_allowed = Err(Unroutable::MethodNotAllowed(allow));
        assert_eq!(find(&routes, "GET", path), not_allowed, "{path}");
    }
    let (label, _) = find(&routes, "POST", "/server/other").unwrap();
    assert_eq!(label, "gw.example.com/");
}

#[test]
fn without_compat_there_is_no_session_form() {
    let routes = with_compat(&[("", "/", &[]), ("", "/ai", &[])], &["/ai"]).unwrap();
    for path in ["/func/x", "/server/login"] {
        let found = find(&routes, "POST", path);
        assert_eq!(found, Ok(("gw.example.com/".to_owned(), path.to_owned())));
    }
}

#[test]
fn s43_without_func_a_path_reaches_no_other_route_and_no_page() {
    let table: &[(&str, &str, &[&str])] = &[("", "/", &[]), ("", "/admin", &[])];
    let routes = with_compat(table, &["/"]).unwrap();
    for path in [
        "/func/admin",
        "/func/admin/x",
        "/func//admin",
        "/func/%61dmin",
        "/func/%2561dmin",
        "/func/admin;x",
        "/func/x;y/%252e%252e/admin",
        "/func/.auth/me",
        "/func//.auth/me",
        "/func/server/login",
        "/func/func/x",
        // Other servers may read these as paths in session form, or the reverse.
        "//func/x",
        "/fun%63/x",
        "/func;x/y",
        "/FUNC/x",
        "/func./x",
        "/func%3f/x",
        "/func%20/x",
        "//x/func/y",
        "/func//x/admin",
        "/func/ADMIN",
        "/Server/login",
        "/server/login%20",
        "/func/%252e%252e/admin",
        "/func/%252e%252e/func/x",
        "/func/%252e%252e/%252e%252e/func/x",
        "/x/%252e%252e/func/y",
        "//server/login",
        "/server/%6cogin",
        "/server/login;x",
        "/func/%252e%252e/server/login",
    ] {
        for method in ["GET", "POST"] {
            let found = find(&routes, method, path);
            assert!(matches!(found, Err(Unroutable::BadPath(_))), "{path}: {found:?}");
        }
    }
    for path in [
        "/func/%2e%2e/admin",
        "/func/../admin",
        "/func/.%2E",
        "/func/..%2fadmin",
    ] {
        let refused = Err(Unroutable::BadPath(BadPath::DotSegment));
        assert_eq!(find(&routes, "GET", path), refused, "{path}");
    }
    for path in ["/func/x//y", "/func/x;y/z", "/func/administrator", "/func/X%20y"] {
        assert!(find(&routes, "GET", path).is_ok(), "{path}");
    }
}

#[test]
fn routes_of_one_path_serve_the_session_form_together() {
    let table: &[(&str, &str, &[&str])] = &[("", "/a", &["GET"]), ("", "/a", &["POST"])];
    let routes = with_compat(table, &["/a"]).unwrap();
    assert!(find(&routes, "POST", "/a/func/x").is_ok());
    let allow = HeaderValue::from_static("GET, HEAD, POST");
    let not_allowed = Err(Unroutable::MethodNotAllowed(allow));
    assert_eq!(find(&routes, "PUT", "/a/func/x"), not_allowed);
    let mut differing: Vec<_> = table.iter().map(route_config).collect();
    differing[0].compat = Some(Compat::BackendAi);
    assert!(make(&config(differing)).is_err());
}

proptest! {
    /// Whatever is reached in session form can also be reached by the plain path, on the same route.
    #[test]
    fn s43_the_session_form_reaches_nothing_that_the_path_itself_does_not(
        path in "(/(func|server|login|a|e|%61|%2561|\\.auth|%2e|%252e%252e|;|%2f|[/.%25cef;]){1,2}){0,5}",
        at_a in proptest::bool::ANY,
        encoded_slash in proptest::bool::ANY,
    ) {
        let table: &[(&str, &str, &[&str])] = &[("", "/", &[]), ("", "/a", &["GET"]), ("", "/a/e", &[])];
        let mut route: Vec<_> = table.iter().map(route_config).collect();
        route[0].compat = Some(Compat::BackendAi);
        route[0].encoded_slash = encoded_slash;
        route[1].compat = at_a.then_some(Compat::BackendAi);
        let routes = make(&Config {
            public_url: "https://gw.example.com".parse().unwrap(),
            ..config(route)
        }).unwrap();
        let sent = format!("/func{path}");
        if let Ok((label, bare)) = find(&routes, "GET", &sent) && bare != sent {
            prop_assert_eq!(find(&routes, "GET", &bare), Ok((label, bare)));
        }
    }
}
