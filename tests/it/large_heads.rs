//! Heads of the largest size: whatever they contain, they cost at most a few times what a plain one costs.

use vestibule::clock::Clock;

use crate::harness::{Program, Raw, Site};

const CONFIG: &str = r#"
    public_url = "https://localhost:0"
    [listen]
    https = ["127.0.0.1:0"]
    ops = ""
    trusted_proxies = ["127.0.0.0/8"]
    [password]
    bcrypt_cost = 10
    [login]
    iam = true
    [lockout]
    address_failures = 1000000
    [[route]]
    allow = "public"
    upstream = "demo:"
    [[route]]
    path = "/admin"
    allow = "authenticated"
    upstream = "demo:"
    [[route]]
    host = "one.localhost"
    allow = "public"
    upstream = "demo:"
    [[route]]
    host = "two.localhost"
    path = "/b"
    allow = "authenticated"
    upstream = "demo:"
    [[route]]
    host = "*.three.localhost"
    allow = "public"
    upstream = "demo:"
"#;

/// Bytes of filling: below `limits.request_head`.
const SIZE: usize = 58_000;

/// Bytes of a field that names other resources; more than 8 KiB are refused.
const READ: usize = 8_000;

/// Requests of each kind; a plain one takes a few milliseconds in a development build.
const REQUESTS: usize = 60;

/// How often a plain head is measured.
const ROUNDS: u64 = 4;

/// How many times the cost of a plain head is allowed.
const TIMES: u64 = 5;

/// Sends heads of a kind over a connection each, since a refusal may close it; returns the gateway's CPU
/// ticks.
async fn cost(program: &Program, site: &Site, target: &str, fields: &str) -> u64 {
    let method = match fields.split_once(':') {
        Some(("Destination", _)) => "COPY",
        Some(("Slug", _)) => "POST",
        Some(("aa0-mv-to" | "X-Explode-Archive", _)) => "PUT",
        _ => "GET",
    };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost:{}\r\nAccept: application/json\r\nConnection: close\r\n{fields}\r\n",
        program.address.port()
    );
    let authority = site.authority();
    let before = program.ticks();
    for _ in 0..REQUESTS {
        let mut raw = Raw::connect(program.address, &authority, "localhost").await;
        raw.send(&head).await;
        assert!(raw.until_closed().await.starts_with("HTTP/1.1 "));
    }
    program.ticks() - before
}

fn filled(before: &str, unit: &str, after: &str) -> String {
    filled_to(SIZE, before, unit, after)
}

fn filled_to(size: usize, before: &str, unit: &str, after: &str) -> String {
    format!("{before}{}{after}", unit.repeat(size / unit.len()))
}

/// Adds filling to a field of [`READ`] bytes, for a head of full size.
fn padded(field: String) -> String {
    field + &filled_to(SIZE - READ, "X-Fill: ", "a", "\r\n")
}

/// The kinds of heads: name, target and fields.
#[expect(clippy::too_many_lines, reason = "a list")]
fn heads() -> Vec<(&'static str, String, String)> {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let aws = format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260501/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature="
    );
    let date = "X-Amz-Date: 20260501T120000Z\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n";
    vec![
        (
            "an encoding in an encoding",
            filled("/", "%25", "2e"),
            String::new(),
        ),
        ("parameters", filled("/", "a;b/", ""), String::new()),
        ("slashes", filled("/", "/", "a"), String::new()),
        ("capitals and blanks", filled("/", "A%20./", "x"), String::new()),
        ("compatible letters", filled("/", "%EF%BD%81;", ""), String::new()),
        (
            "letters that stand for many",
            filled("/", "%EF%B7%BA", ""),
            String::new(),
        ),
        ("wide escapes", filled("/", "%61", ""), String::new()),
        ("bytes that are no text", filled("/", "%ff", ""), String::new()),
        (
            "bytes of many kinds",
            filled("/x%23\")//;", "%ff", ""),
            String::new(),
        ),
        (
            "letters and bytes after all other signs",
            filled("/%23%2525&%e9%c3%a9;%3b", "%c3%a9", ""),
            String::new(),
        ),
        (
            "escapes of letters that are read twice",
            filled("/;&:%2525", "%c3%83%c2%a9", ""),
            String::new(),
        ),
        ("sessions of ASP.NET", filled("/", "(S(x))/", ""), String::new()),
        ("a query", filled("/?", "a=%41&", ""), String::new()),
        (
            "a page's query",
            filled("/.auth/login?", "rd=%2Fa&", ""),
            String::new(),
        ),
        (
            "cookies",
            "/admin".to_owned(),
            filled("Cookie: ", "a=b; ", "\r\n"),
        ),
        (
            "own cookies",
            "/admin".to_owned(),
            filled("Cookie: ", "__Host-vestibule=b; ", "\r\n"),
        ),
        (
            "languages",
            "/.auth/login".to_owned(),
            filled("Accept-Language: ", "ko;q=0.1,", "en\r\n"),
        ),
        (
            "accepted kinds",
            "/.auth/login".to_owned(),
            filled("Accept: ", "a/b;q=0.1,", "text/html\r\n"),
        ),
        (
            "nothing that is accepted",
            "/.auth/login".to_owned(),
            filled("Accept: ", ",", "text/html\r\n"),
        ),
        (
            "no languages",
            "/.auth/login".to_owned(),
            filled("Accept-Language: ", ",", "en\r\n"),
        ),
        ("no cookies", "/admin".to_owned(), filled("Cookie: ", ";", "\r\n")),
        (
            "no addresses",
            "/".to_owned(),
            filled("X-Forwarded-For: ", ",", "5.6.7.8\r\n"),
        ),
        ("no options", "/".to_owned(), filled("Connection: ", ",", "b\r\n")),
        (
            "a chain of addresses",
            "/".to_owned(),
            filled("X-Forwarded-For: ", "1.2.3.4, ", "5.6.7.8\r\n"),
        ),
        (
            "what was forwarded",
            "/".to_owned(),
            filled("Forwarded: ", "for=1.2.3.4;proto=https, ", "for=5.6.7.8\r\n"),
        ),
        (
            "a password",
            "/admin".to_owned(),
            filled("Authorization: Basic ", "QUtJQTpi", "\r\n"),
        ),
        (
            "signed headers",
            "/admin".to_owned(),
            filled(
                &format!(
                    "{date}Authorization: AWS4-HMAC-SHA256 Credential={key}/20260501/us-east-1/s3/aws4_request, Signature=0, SignedHeaders="
                ),
                "host;",
                "host\r\n",
            ),
        ),
        (
            "a signed path",
            filled("/admin/", "%41b/", ""),
            format!("{date}Authorization: {aws}0\r\n"),
        ),
        ("a signed query", filled("/admin?", "b&a&", "c"), signed_now(key)),
        (
            "a signed query of as many parameters as are read",
            filled("/admin//?", "%62=/aaaaaaaaa&", "c"),
            signed_now(key),
        ),
        (
            "a signed query that is encoded",
            filled("/admin//=?", "%62=/&a=+&", "c"),
            signed_now(key),
        ),
        (
            "Backend.AI's scheme",
            "/admin".to_owned(),
            filled(
                "Authorization: BackendAI signMethod=HMAC-SHA256, credential=",
                "a:",
                "\r\n",
            ),
        ),
        (
            "a message signature",
            "/admin".to_owned(),
            filled(
                "Signature: a=:AA==:\r\nSignature-Input: a=(",
                "\"host\" ",
                ");keyid=\"x\"\r\n",
            ),
        ),
        (
            "a message signature of many headers",
            "/admin".to_owned(),
            covered(1_900),
        ),
        (
            "message signatures",
            "/admin".to_owned(),
            filled("Signature: a=:AA==:\r\nSignature-Input: ", "a=(), ", "a=()\r\n"),
        ),
        (
            "a destination",
            "/".to_owned(),
            filled("Destination: /", ";//%61%20%253b%2525&a:b", "\r\n"),
        ),
        (
            "a destination of as many bytes as are read",
            "/".to_owned(),
            padded(filled_to(READ, "Destination: /", "%EF%BD%81;", "\r\n")),
        ),
        (
            "tags",
            "/".to_owned(),
            filled("If: ", "</a//%61%20%253b%2525&a:b>", "\r\n"),
        ),
        (
            "tags that can be read in many ways",
            "/".to_owned(),
            filled("If: ", "</;//%61%20%253b%2525&a:b>", "\r\n"),
        ),
        ("short tags", "/".to_owned(), filled("If: ", "</>", "\r\n")),
        (
            "tags of as many bytes as are read",
            "/".to_owned(),
            padded(filled_to(READ, "If: ", "</;//%61%20%253b%2525&a:b>", "\r\n")),
        ),
        (
            "a source of a copy",
            "/".to_owned(),
            filled("x-amz-copy-source: b/", ";//%61%20%253b%2525&a:b+", "\r\n"),
        ),
        (
            "a source of a copy of as many bytes as are read",
            "/".to_owned(),
            padded(filled_to(
                READ,
                "x-amz-copy-source: b/",
                ";//%61%20%253b%2525&a:b+",
                "\r\n",
            )),
        ),
        (
            "a source to rename from that is not UTF-8, in a path of some segments",
            "/a/b/c/d/e/f/g".to_owned(),
            padded(filled_to(READ, "x-ms-rename-source: b/", "%e1+", "\r\n")),
        ),
        (
            "a source of a copy that is not UTF-8, in a path of some segments",
            "/a/b/c/d/e/f/g".to_owned(),
            padded(filled_to(READ, "x-amz-copy-source: b/", "%e1+", "\r\n")),
        ),
        (
            "a source of an unknown store that is not UTF-8, in a path of some segments",
            "/a/b/c/d/e/f/g".to_owned(),
            padded(filled_to(READ, "x-a-copy-source: b/", "%e1+", "\r\n")),
        ),
        (
            "a source in an account that is not UTF-8",
            "/v1/AUTH_a/d/e/f/g".to_owned(),
            padded(filled_to(READ, "x-copy-from: b/", "%e1+", "\r\n")),
        ),
        (
            "a short source that is not UTF-8, in a path of some segments",
            "/a/b/c/d/e/f/g".to_owned(),
            padded(filled_to(1_000, "x-ms-rename-source: b/", "%e1+", "\r\n")),
        ),
        (
            "a destination that is not UTF-8",
            "/".to_owned(),
            padded(filled_to(READ, "Destination: /b/", "%e1+", "\r\n")),
        ),
        (
            "a destination in an account that is not UTF-8",
            "/v1/AUTH_a/d/e/f/g".to_owned(),
            padded(filled_to(READ, "Destination: b/", "%e1+", "\r\n")),
        ),
        (
            "a source of a store that nobody knows, in a path of many segments",
            format!("/{}", "a/".repeat(100)),
            filled("x-new-copy-source: b/", ";//%61+", "\r\n"),
        ),
        (
            "a source of a store that nobody knows, in a path without end",
            format!("/{}", "a/".repeat(20_000)),
            filled_to(READ, "x-new-copy-source: b/", ";//%61+", "\r\n"),
        ),
        (
            "sources of many stores that nobody knows",
            "/b/c;//%61/d".to_owned(),
            (0..400)
                .map(|n| ["x-", &n.to_string(), "-copy-source: a/b;//%61+\r\n"].concat())
                .collect(),
        ),
        (
            "as many sources as there may be",
            format!("/{}", "a/".repeat(120)),
            (0..2)
                .map(|n| ["aa", &n.to_string(), "-mv-to: a\r\n"].concat())
                .collect(),
        ),
        (
            "sources of one name and many kinds",
            format!("/{}", "a/".repeat(120)),
            (0..1900)
                .map(|n| ["aa", &n.to_string(), "-mv-to: a\r\n"].concat())
                .collect(),
        ),
        (
            "sources of a host, in a path of many segments",
            format!("/{}", "a/".repeat(100)),
            (0..1000)
                .map(|n| ["x", &n.to_string(), "-copy-source: localhost/k%41%2520;a+b\r\n"].concat())
                .collect(),
        ),
        (
            "sources of hosts that are not its own",
            format!("/{}", "a/".repeat(100)),
            (0..1000)
                .map(|n| ["x", &n.to_string(), "-copy-source: /one/k%41;a+b\r\n"].concat())
                .collect(),
        ),
        (
            "destinations of many stores that nobody knows",
            "/b/c;//%u0061/d".to_owned(),
            (0..400)
                .map(|n| ["x-", &n.to_string(), "-copy-to: a/b;//%u0061+\r\n"].concat())
                .collect(),
        ),
        (
            "parts of an upload",
            "/".to_owned(),
            padded(filled_to(
                READ,
                "Upload-Concat: final;",
                "/;//%u0061%09%%253b ",
                "\r\n",
            )),
        ),
        (
            "parts of an upload, in a path without end",
            format!("/{}", "a/".repeat(20_000)),
            filled_to(READ, "Upload-Concat: final;", "/a ", "\r\n"),
        ),
        (
            "the name of a member",
            "/".to_owned(),
            padded(filled_to(READ, "Slug: ", "%3B//%25u0061%25EF", "\r\n")),
        ),
        (
            // The name of a member, in base64.
            "the names in the metadata of an upload",
            "/".to_owned(),
            padded(filled_to(
                READ,
                "Upload-Metadata: path ",
                "JTNCLy8lMjV1MDA2MSUyNUVG",
                "\r\n",
            )),
        ),
        ("a name of signs", "/".to_owned(), filled("x", "-", ": 1\r\n")),
        (
            "a name of other signs",
            "/".to_owned(),
            filled("x", "_", ": 1\r\n"),
        ),
        ("a name of letters", "/".to_owned(), filled("c", "-c", ": 1\r\n")),
        (
            "a source in an account that can be read in many ways",
            "/v1;//%61%20%253b%2525&a:b/AUTH_a/c".to_owned(),
            padded(filled_to(
                READ,
                "x-copy-from: b/",
                ";//%61%20%253b%2525&a:b+",
                "\r\n",
            )),
        ),
        (
            "options of a connection",
            "/".to_owned(),
            filled("Connection: ", "a, ", "b\r\n"),
        ),
    ]
}

/// A message signature that covers `count` headers, all of which are present.
fn covered(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("x-{n}")).collect();
    let fields = names.join(": aaaaaa\r\n") + ": aaaaaa\r\n";
    let names = names.join("\" \"");
    let input = format!("(\"@method\" \"@target-uri\" \"{names}\")");
    let created = Clock::system().now().as_second();
    format!("{fields}Signature: a=:AA==:\r\nSignature-Input: a={input};created={created};keyid=\"x\"\r\n")
}

/// An AWS signature with the current time, so that it is verified.
fn signed_now(key: &str) -> String {
    let now = Clock::system().now();
    let (date, day) = (now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d"));
    format!(
        "X-Amz-Date: {date}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={key}/{day}/us-east-1/console/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}\r\n",
        "0".repeat(64)
    )
}

#[tokio::test]
async fn s48_no_head_costs_much_more_than_a_plain_one_of_its_size() {
    assert_costs(CONFIG, heads()).await;
}

/// A source may be on any host of the application.
#[tokio::test]
async fn s48_no_head_costs_much_more_where_there_are_many_hosts() {
    for target in [r#"upstream = "demo:""#, r#"respond = { text = "another" }"#] {
        let host = |n| format!("[[route]]\nhost = \"h{n}.localhost\"\nallow = \"public\"\n{target}\n");
        let hosts: Vec<String> = (0..300).map(host).collect();
        let path = format!("/{}", "a/".repeat(100));
        let heads = vec![
            (
                "sources",
                path.clone(),
                padded("aa0-mv-to: a\r\naa1-mv-to: a\r\n".to_owned()),
            ),
            (
                "an archive",
                path,
                padded("X-Explode-Archive: true\r\n".to_owned()),
            ),
        ];
        assert_costs(&(CONFIG.to_owned() + &hosts.concat()), heads).await;
    }
}

/// Asserts that each head costs at most [`TIMES`] as much as a plain one.
async fn assert_costs(config: &str, heads: Vec<(&'static str, String, String)>) {
    let site = Site::new(config);
    let (program, _) = Program::start(&site);
    let fill = filled("X-Fill: ", "a", "\r\n");
    let mut plain = 0;
    // Ticks are coarse, and all that follows is compared with these.
    for _ in 0..ROUNDS {
        plain += cost(&program, &site, "/", &fill).await;
    }
    let most = (plain + 2 * ROUNDS) * TIMES / ROUNDS;
    println!("a plain head: {plain} ticks in {ROUNDS} rounds, so at most {most} for any other");
    let mut faults = Vec::new();
    for (name, target, fields) in heads {
        let ticks = cost(&program, &site, &target, &fields).await;
        println!("{name}: {ticks} ticks");
        if ticks > most {
            faults.push(format!("{name}: {ticks} ticks"));
        }
    }
    assert!(faults.is_empty(), "more than {most} ticks: {faults:?}");
}
