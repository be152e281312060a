//! Paths in other encodings than UTF-8, and in other scripts than ASCII.

use super::*;

/// Paths that are not UTF-8: `한글` in EUC-KR, `über` in Latin-1, `中文` in GBK and Big5, encoded more than once, and
/// beside what some servers drop.
const NOT_UTF_8: [&str; 11] = [
    "/%C7%D1%B1%DB",
    "/%c7%d1%b1%db/x",
    "/%FCber",
    "/%D6%D0%CE%C4",
    "/%A4%A4%A4%E5",
    "/%25C7%25D1",
    "/%2525C7%2525D1",
    "/x/%C7%D1/y",
    "/x;a=%C7/y",
    "/%C3%A9/%C7",
    "/open%C7%D1",
];

#[test]
fn s43_beside_a_route_beyond_ascii_a_path_that_is_not_utf_8_is_refused() {
    let host = "gw.example.com";
    for closed in [
        "/%ED%95%9C%EA%B8%80",
        "/%C3%BCber",
        "/%E4%B8%AD%E6%96%87",
        "/x%20%CE%B1",
    ] {
        let routes = routes(&[
            ("", "/", &[]),
            ("", closed, &["GET"]),
            ("", "/open", &[]),
            ("plain.test", "/", &[]),
            ("plain.test", "/a%20b", &[]),
        ]);
        for path in NOT_UTF_8 {
            assert_ambiguous(&routes, host, path);
            // Hosts without such a route are as they were.
            assert_eq!(label(&routes, "plain.test", path), "plain.test/", "{path}");
        }
        for path in [
            "/z/%E2%82%AC",
            "/%ED%99%8D",
            "/%F0%9F%98%80",
            "/a%20b",
            "/100%25",
            "/open/%C3%A9",
        ] {
            assert!(find(&routes, "GET", host, path).is_ok(), "{path}");
        }
        assert_eq!(
            label(&routes, host, &format!("{closed}/%C3%A9")),
            format!("{host}{closed}")
        );
        assert_refused(&routes, host, &format!("{closed}/%FF"));
    }
}

#[test]
fn s43_a_route_whose_own_path_is_not_utf_8_takes_such_paths() {
    let routes = routes(&[("", "/%C7%D1%B1%DB", &[]), ("", "/open", &[])]);
    let host = "gw.example.com";
    let own = format!("{host}/%C7%D1%B1%DB");
    assert_eq!(label(&routes, host, "/%C7%D1%B1%DB"), own);
    assert_eq!(label(&routes, host, "/%C7%D1%B1%DB/x"), own);
}

#[test]
fn s43_a_second_path_that_is_not_utf_8_may_mean_every_route_beyond_ascii() {
    let routes = routes(&[
        ("", "/", &[]),
        ("", "/%ED%95%9C%EA%B8%80", &[]),
        ("", "/closed", &[]),
    ]);
    let host = "gw.example.com".parse::<Host>().unwrap();
    for (path, is_meant) in [
        ("/a%C7%D1%B1%DB/x", true),
        ("/a%25C7%25D1", true),
        ("/a/%E2%82%AC", false),
    ] {
        let path = ReadPath::within(path, usize::MAX).unwrap();
        let found = [
            routes.at_any_reading(&host, &path, &Method::GET),
            routes.below(&host, &path, &Method::GET),
        ];
        for found in found {
            let labels: Vec<_> = found
                .iter()
                .filter_map(|found| Some(found.route?.label().to_string()))
                .collect();
            let has = labels.iter().any(|label| label.ends_with("/%ED%95%9C%EA%B8%80"));
            assert_eq!(has, is_meant, "{path:?}: {labels:?}");
            assert!(
                !labels.iter().any(|label| label.ends_with("/closed")),
                "{labels:?}"
            );
        }
    }
}

/// Of names in other scripts little is left in ASCII, which is no dot segment for that.
#[test]
fn s43_names_in_other_scripts_pass() {
    let routes = routes(&[("", "/", &[]), ("", "/admin", &[])]);
    let own = "gw.example.com/";
    for path in [
        "/docs/가. 개요",
        "/files/가.나",
        "/wiki/안녕하세요.",
        "/docs/第一章. 介绍",
        "/wiki/А. С. Пушкин",
        "/wiki/т.е.",
        "/files/Иванов И.И.",
        "/notes/✎ 초안",
        "/문서/。",
    ] {
        assert_eq!(label(&routes, "gw.example.com", path), own, "{path}");
    }
}
