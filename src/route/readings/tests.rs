use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn others(path: &str) -> Vec<String> {
    match Readings::of(path) {
        Ok(readings) => readings.others().map(str::to_owned).collect(),
        Err(error) => panic!("{path}: {error}"),
    }
}

#[test]
fn ordinary_paths_are_read_in_one_way() {
    for path in [
        "/",
        "/a/b.c/d",
        "/.well-known/x",
        "/a/..b/c",
        "/a/.b",
        "/a=b,c@e~f!g$h'(j)*k",
        "/administrator/",
    ] {
        assert_eq!(Readings::of(path), Ok(Readings::Ordinary), "{path}");
    }
}

#[test]
fn s43_some_paths_are_refused_whatever_the_routes_are() {
    for (path, reason) in [
        ("", BadPath::NotAPath),
        ("*", BadPath::NotAPath),
        ("a", BadPath::NotAPath),
        ("/.", BadPath::DotSegment),
        ("/..", BadPath::DotSegment),
        ("/a/./b", BadPath::DotSegment),
        ("/a/../b", BadPath::DotSegment),
        ("/a/..", BadPath::DotSegment),
        ("/a//../b", BadPath::DotSegment),
        ("/a/%2e%2e/b", BadPath::DotSegment),
        ("/a/.%2E/b", BadPath::DotSegment),
        ("/a/%2e", BadPath::DotSegment),
        ("/a/..%2fb", BadPath::DotSegment),
        ("/a%2f..%2fb", BadPath::DotSegment),
        ("/a/..;/b", BadPath::DotSegment),
        ("/a/..;x=1", BadPath::DotSegment),
        ("/a/.;/b", BadPath::DotSegment),
        ("/a/..%3b/b", BadPath::DotSegment),
        ("/a/%2e%2e%253bx/b", BadPath::DotSegment),
        ("/a/%252e%252e/b", BadPath::DotSegment),
        ("/a/%25252e./b", BadPath::DotSegment),
        ("/a/..%252fb", BadPath::DotSegment),
        ("/a/..%20/b", BadPath::DotSegment),
        ("/a/%2e%2e%20%2e/b", BadPath::DotSegment),
        ("/a/.%25/b", BadPath::DotSegment),
        ("/a/.%0d./b", BadPath::Control),
        ("/a/..:x/b", BadPath::DotSegment),
        ("/a/..&x", BadPath::DotSegment),
        ("/a%7fb", BadPath::Control),
        ("/a%2501", BadPath::Control),
        ("/a%C2%85", BadPath::Control),
        ("/%zz", BadPath::Escape),
        ("/100%", BadPath::Escape),
        ("/ad%6=in", BadPath::Escape),
        ("/ad%256=in", BadPath::Escape),
        ("/%25%D9%A6%D9%A1dmin", BadPath::Escape),
        ("/x/%25%D9%A2E%25%D9%A2E/admin", BadPath::Escape),
        ("/%25+2", BadPath::Escape),
        ("/%u0061", BadPath::Escape),
        ("/%25u0061", BadPath::Escape),
        ("/a/%f8%80%80%80%ae/b", BadPath::Overlong),
        ("/a/..%20;x", BadPath::DotSegment),
        ("/a/..%3fx", BadPath::DotSegment),
        ("/a/..+/b", BadPath::DotSegment),
        ("/a/+../b", BadPath::DotSegment),
        ("/a/%EF%BC%8E%EF%BC%8E/b%ff", BadPath::Control),
        ("/a%EF%BC%BC%ff", BadPath::Backslash),
        ("/a/\u{ff0e}\u{ff0e}/b", BadPath::DotSegment),
        ("/a/%EF%BC%8E%EF%BC%8E/b", BadPath::DotSegment),
        ("/a;/..;/;/b", BadPath::DotSegment),
        ("/a\\b", BadPath::Backslash),
        ("/a%5cb", BadPath::Backslash),
        ("/a%5Cb", BadPath::Backslash),
        ("/a%255cb", BadPath::Backslash),
        ("/a%00b", BadPath::Nul),
        ("/a%2500b", BadPath::Nul),
        ("/a#b", BadPath::Fragment),
        ("/#", BadPath::Fragment),
        ("/a/%c0%ae%c0%ae/b", BadPath::Overlong),
        ("/a%e0%80%afb", BadPath::Overlong),
        ("/a%25252520", BadPath::TooDeep),
        ("/%2525252525", BadPath::TooDeep),
    ] {
        assert_eq!(Readings::of(path), Err(reason), "{path}");
    }
}

#[test]
fn s43_readings_are_closed_under_the_steps() {
    for (path, found) in [
        ("/A/B", &[][..]),
        ("/홍길동", &["/HongGilDong"]),
        ("/b%25zz", &["/b%zz", "/bzz", "/b"]),
        ("/a%252", &["/a%2", "/a2", "/a"]),
        ("/a%252q%25", &["/a%2q%", "/a2q", "/a"]),
        ("/x:80", &["/x"]),
        ("/urn:a:b/c", &["/urn/c"]),
        ("/a&b=c/d", &["/a"]),
        ("/a?b&c", &["/a?b", "/a"]),
        ("/%61dmin", &["/admin"]),
        ("/a//b", &["/a/b"]),
        ("/a;x=1/b;y", &["/a/b"]),
        ("/a%252fb", &["/a%2fb", "/a/b"]),
        ("//x/a", &["/x/a", "/a"]),
        ("///x/a", &["/x/a", "/a"]),
        ("////x/a", &["/x/a", "//x/a", "/a"]),
        ("//x", &["/x", "/"]),
        ("/;/x/a", &["//x/a", "/x/a", "/a"]),
        ("/a%3fb", &["/a?b", "/a"]),
        ("/a%23b", &["/a#b", "/a"]),
        ("/a%3Bb", &["/a;b", "/a"]),
        ("/a./b%20", &["/a./b ", "/a./b", "/a/b%20", "/a/b ", "/a/b"]),
        ("/a/...", &["/a/"]),
        ("/a%EF%BB%BF", &["/a\u{feff}", "/a"]),
        (
            "/a%E2%80%A8.%C2%A0/b",
            &["/a\u{2028}.\u{a0}/b", "/a\u{2028}. /b", "/a./b", "/a/b"],
        ),
        (
            "/a+b%2Bc",
            &[
                "/a+b+c", "/a b%2Bc", "/a b+c", "/a b c", "/ab c", "/ab%2Bc", "/ab+c", "/abc",
            ],
        ),
        ("/a%252B", &["/a%2B", "/a+", "/a ", "/a"]),
        ("/a+/b", &["/a /b", "/a/b"]),
        (
            "/+a/%20b",
            &[
                "/ a/%20b", "/+a/ b", "/ a/ b", "/a/%20b", "/a/ b", "/+a/b", "/ a/b", "/a/b",
            ],
        ),
        ("/%C2%A0a", &["/\u{a0}a", "/a", "/ a"]),
        ("/a%ff", &["/a\u{fffd}", "/a\u{ff}", "/a", "/ay"]),
        ("/caf%E9", &["/caf\u{fffd}", "/caf\u{e9}", "/caf", "/cafe"]),
        ("/\u{e1}", &["/a"]),
        ("/\u{c3}\u{a1}", &["/\u{e1}", "/a", "/A\u{a1}", "/A"]),
        ("/ad%C2%ADmin", &["/ad\u{ad}min", "/admin"]),
        ("/a::$DATA/b", &["/a/b"]),
        ("/(S(x))/a", &["//a", "/a", "/"]),
        ("/a(S(x))/b", &["/a/b", "/ab"]),
        ("/a/(S(x))b", &["/a/b", "/ab"]),
        ("/a))b(S(x))c", &["/a))bc"]),
        ("/(lit3py55t21z5v55vlm25s55)/a", &["//a", "/a", "/"]),
        ("/a(lit3py55t21z5v55vlm25s5)", &[]),
        ("/a(b)", &[]),
        ("/a(b(c))", &["/a"]),
        ("/\u{111}\u{f8}", &["/do"]),
        ("/\u{ff41}", &["/a"]),
        (
            "/%E1%84%92%E1%85%A1%E1%86%AB",
            &["/\u{1112}\u{1161}\u{11ab}", "/한", "/Han", "/han"],
        ),
    ] {
        assert_eq!(
            others(path).into_iter().collect::<BTreeSet<_>>(),
            found.iter().map(|&found| found.to_owned()).collect(),
            "{path}"
        );
    }
}

#[test]
fn s43_the_virtual_hosts_of_zope_are_dropped() {
    for (path, found) in [
        ("/VirtualHostRoot/admin", &["/admin"][..]),
        ("/VirtualHostRoot", &["/"]),
        ("/VirtualHostRoot/", &["/"]),
        ("/x/VirtualHostRoot/_vh_a/_vh_b/admin", &["/x/admin"]),
        ("/virtual_hosting/admin", &["/admin"]),
        ("/x/virtual_hosting", &["/x"]),
        ("/_vh_x/admin", &["/admin"]),
        ("/%76irtual_hosting/admin", &["/virtual_hosting/admin", "/admin"]),
        (
            "/VirtualHostBase/https/h/VirtualHostRoot/admin",
            &[
                "/VirtualHostRoot/admin",
                "/VirtualHostBase/https/h/admin",
                "/admin",
            ],
        ),
        (
            "/VirtualHostBase/https/h/admin/VirtualHostRoot/x",
            &[
                "/admin/VirtualHostRoot/x",
                "/VirtualHostBase/https/h/admin/x",
                "/admin/x",
                "/x",
            ],
        ),
        (
            "/VirtualHostBase/https/h:443/admin/VirtualHostRoot/x",
            &[
                "/VirtualHostBase/https/h/admin/VirtualHostRoot/x",
                "/VirtualHostBase/https/h/admin/x",
                "/VirtualHostBase/https/h:443/admin/x",
                "/admin/VirtualHostRoot/x",
                "/admin/x",
                "/x",
            ],
        ),
        ("/VirtualHostBase/https/admin.h/*/x", &["/admin/x"]),
        ("/VirtualHostBase/https", &[]),
        // Such names have no other spelling.
        ("/virtualhostroot/admin", &[]),
        ("/Virtual_Hosting/admin", &[]),
        ("/VirtualHostRoots/admin", &[]),
        ("/virtual_hostings/admin", &[]),
        ("/x_vh_y/admin", &[]),
        ("/_vhosts/admin", &[]),
    ] {
        assert_eq!(
            others(path).into_iter().collect::<BTreeSet<_>>(),
            found.iter().map(|&found| found.to_owned()).collect(),
            "{path}"
        );
    }
}

#[test]
fn letters_are_the_same_whatever_their_case() {
    for (one, other) in [
        ("/AdMiN", "/admin"),
        ("/\u{17f}\u{212a}\u{130}\u{131}", "/SKII"),
        ("/ÄÖ", "/äö"),
        ("/\u{1e9e}", "/ß"),
    ] {
        assert_eq!(fold(one), fold(other));
    }
    assert!(matches!(fold("/a/b.c"), Cow::Borrowed(_)));
}

#[test]
fn s43_too_many_readings_are_refused_at_bounded_cost() {
    let odd = "//a;b/%63;%3b%20//%25253bc%252fd./%3f%2523".repeat(4);
    assert_eq!(Readings::of(&odd), Err(BadPath::TooAmbiguous));
    // What is long and ordinary but for escapes has few readings.
    let long = "/%ED%99%8D%EA%B8%B8".repeat(3000);
    assert_eq!(others(&long).len(), 2);
}

/// Single steps, each as simple as can be, for small paths of ASCII.
fn by_single_steps(path: &str) -> Vec<String> {
    let decode = |text: &str| {
        let mut decoded = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let code = rest.get(1..3).filter(|_| first == '%');
            let code = code.filter(|code| code.chars().all(|digit| digit.is_ascii_hexdigit()));
            if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
                decoded.push(char::from(byte));
                rest = &rest[3..];
            } else {
                decoded.push(first);
                rest = &rest[1..];
            }
        }
        decoded
    };
    let without_strays = |text: &str, takes_digits: bool| {
        let mut kept = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let digits = rest[1..]
                .chars()
                .take(2)
                .take_while(char::is_ascii_hexdigit)
                .count();
            rest = match (first, digits) {
                ('%', 1) if takes_digits => rest.get(3..).unwrap_or_default(),
                ('%', 0 | 1) => &rest[1..],
                _ => {
                    kept.push(first);
                    &rest[1..]
                }
            };
        }
        kept
    };
    let stray = |text: &str| {
        let is_escape = |at: usize| {
            text.get(at + 1..at + 3)
                .is_some_and(|code| code.chars().all(|digit| digit.is_ascii_hexdigit()))
        };
        let end = text.match_indices('%').find(|&(at, _)| !is_escape(at));
        text[..end.map_or(text.len(), |(at, _)| at)].to_owned()
    };
    let segments = |text: &str, change: fn(&str) -> &str| {
        let changed: Vec<&str> = text.split('/').map(change).collect();
        changed.join("/")
    };
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(text) = found.get(next).cloned() {
        let mut of_one = vec![
            decode(&text),
            without_strays(&text, false),
            without_strays(&text, true),
            stray(&text),
            text.split('&').next().unwrap().to_owned(),
            segments(&text, |segment| segment.split(':').next().unwrap()),
            segments(&text, |segment| segment.split(';').next().unwrap()),
            segments(&text, |segment| segment.trim_end_matches(['.', ' '])),
            segments(&text, |segment| segment.trim_start_matches(' ')),
            text.split('/')
                .map(|segment| {
                    let has_letter = segment.contains(|c: char| c.is_ascii_alphanumeric());
                    if has_letter {
                        segment.replace(' ', "")
                    } else {
                        segment.to_owned()
                    }
                })
                .collect::<Vec<_>>()
                .join("/"),
            text.split(['?', '#']).next().unwrap().to_owned(),
            text.replace('+', " "),
        ];
        of_one.extend(
            text.find("//")
                .map(|at| format!("{}{}", &text[..at], &text[at + 1..])),
        );
        for slashes in [2, text.bytes().take_while(|&byte| byte == b'/').count()] {
            if let Some(rest) = text.get(slashes..).filter(|_| text.starts_with("//")) {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let path = Some(&rest[end..]).filter(|path| path.starts_with('/'));
                of_one.push(path.unwrap_or("/").to_owned());
            }
        }
        for text in of_one {
            if !found.contains(&text) {
                found.push(text);
            }
        }
        next += 1;
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn s43_all_that_single_steps_lead_to_is_among_the_readings(
        path in "/(/|;|q|:|&|%25|25|%71|%2e|2e|\\.|%2f|%3b|%3f|%23|%20|%5c|\\+|%2b){0,7}",
    ) {
        let expected: BTreeSet<String> = by_single_steps(&path).into_iter().collect();
        let is_dots = |segment: &str| {
            let rest = segment.trim_start_matches('.');
            let is_dropped = rest.trim_matches(['.', ' ']).is_empty();
            matches!(segment.len() - rest.len(), 1 | 2) && is_dropped
        };
        let is_harmful = expected.iter().any(|text| text.contains('\\') || text.split('/').any(is_dots));
        match Readings::of(&path) {
            Ok(readings) => {
                prop_assert!(!is_harmful, "{:?}", expected);
                let mut found: BTreeSet<&str> = readings.others().collect();
                found.insert(&path);
                // Slashes that are merged one by one begin the same segments as those that are merged at
                // once.
                for text in &expected {
                    let merged = merge_slashes(text.as_bytes()).map_or(text.clone(), into_text);
                    prop_assert!(found.contains(text.as_str()) || found.contains(merged.as_str()), "{}", text);
                }
                for text in found {
                    prop_assert!(expected.contains(text), "{}", text);
                }
            }
            // A decoded `%` before `:`, `;` or a sign, and a digit.
            Err(BadPath::Escape) => prop_assert!(path.contains("%25")),
            Err(BadPath::DotSegment | BadPath::Backslash) => prop_assert!(is_harmful, "{:?}", expected),
            Err(BadPath::TooDeep) => prop_assert!(path.contains("%25")),
            Err(error) => prop_assert!(error == BadPath::TooAmbiguous && expected.len() > 16, "{}", error),
        }
    }
}

#[test]
fn s43_a_virtual_host_in_a_path_is_told_by_proxies_alone_and_is_the_requests_own() {
    let own = "a.example".parse().unwrap();
    let names_other = |path: &str, own| Readings::of(path).unwrap().name_other_host(own);
    for path in [
        "/VirtualHostBase/https/b.example/VirtualHostRoot/x",
        "/VirtualHostBase/https/b.example:443/VirtualHostRoot/x",
        "/x/VirtualHostBase/https/b.example",
        "/VirtualHostBas%65/https/b.example/x",
        "/VirtualHostBase/https/a.example/VirtualHostBase/https/b.example/x",
        "/VirtualHostBase/VirtualHostBase/https/a.example/x",
        "/VirtualHostBase/https/-%20-/x",
    ] {
        assert!(names_other(path, Some(&own)), "{path}");
        assert!(names_other(path, None), "{path}");
    }
    for path in [
        "/VirtualHostBase/https/a.example/VirtualHostRoot/x",
        "/VirtualHostBase/https/A.Example:8443/VirtualHostRoot/x",
    ] {
        assert!(!names_other(path, Some(&own)), "{path}");
        assert!(names_other(path, None), "{path}");
    }
    for path in [
        "/VirtualHostBase/https",
        "/VirtualHostBases/https/b.example/x",
        "/x",
    ] {
        assert!(
            !names_other(path, Some(&own)) && !names_other(path, None),
            "{path}"
        );
    }
}
