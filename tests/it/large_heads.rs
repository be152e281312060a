//! Heads as large as they may be: whatever is in them, they cost a few times what a plain one of that size costs.

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

/// Bytes of what a head is filled with: below `limits.request_head`.
const SIZE: usize = 58_000;

/// Bytes of a field that names other resources: such a field is refused beyond 8 KiB.
const READ: usize = 8_000;

/// So many of each kind are sent: a plain one takes a few milliseconds in a development build.
const REQUESTS: usize = 60;

/// What another head may cost, beside a plain one.
const TIMES: u64 = 5;

/// Sends heads of a kind over one connection each, as a refusal may end it. The ticks that the gateway took.
async fn cost(program: &Program, site: &Site, target: &str, fields: &str) -> u64 {
    let method = if fields.starts_with("Destination") {
        "COPY"
    } else {
        "GET"
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

/// A field of [`READ`] bytes, and the rest of a head of full size.
fn padded(field: String) -> String {
    field + &filled_to(SIZE - READ, "X-Fill: ", "a", "\r\n")
}

/// What heads are filled with: what it is, the target, and the fields.
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
        ("wide escapes", filled("/", "%u0061", ""), String::new()),
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
            filled("Destination: /", ";//%u0061%09%%253b", "\r\n"),
        ),
        (
            "a destination of as many bytes as are read",
            "/".to_owned(),
            padded(filled_to(READ, "Destination: /", "%EF%BD%81;", "\r\n")),
        ),
        (
            "tags",
            "/".to_owned(),
            filled("If: ", "</a//%u0061%09%%253b>", "\r\n"),
        ),
        (
            "tags that can be read in many ways",
            "/".to_owned(),
            filled("If: ", "</;//%u0061%09%%253b>", "\r\n"),
        ),
        ("short tags", "/".to_owned(), filled("If: ", "</>", "\r\n")),
        (
            "tags of as many bytes as are read",
            "/".to_owned(),
            padded(filled_to(READ, "If: ", "</;//%u0061%09%%253b>", "\r\n")),
        ),
        (
            "a source of a copy",
            "/".to_owned(),
            filled("x-amz-copy-source: b/", ";//%u0061%09%%253b+", "\r\n"),
        ),
        (
            "a source of a copy of as many bytes as are read",
            "/".to_owned(),
            padded(filled_to(
                READ,
                "x-amz-copy-source: b/",
                ";//%u0061%09%%253b+",
                "\r\n",
            )),
        ),
        (
            "a source of a store that nobody knows, in a path of many segments",
            format!("/{}", "a/".repeat(100)),
            filled("x-new-copy-source: b/", ";//%u0061+", "\r\n"),
        ),
        (
            "a source of a store that nobody knows, in a path without end",
            format!("/{}", "a/".repeat(20_000)),
            filled_to(READ, "x-new-copy-source: b/", ";//%u0061+", "\r\n"),
        ),
        (
            "sources of many stores that nobody knows",
            "/b/c;//%u0061/d".to_owned(),
            (0..400)
                .map(|n| ["x-", &n.to_string(), "-copy-source: a/b;//%u0061+\r\n"].concat())
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
        ("a name of signs", "/".to_owned(), filled("x", "-", ": 1\r\n")),
        (
            "a name of other signs",
            "/".to_owned(),
            filled("x", "_", ": 1\r\n"),
        ),
        ("a name of letters", "/".to_owned(), filled("c", "-c", ": 1\r\n")),
        (
            "a source in an account that can be read in many ways",
            "/v1;//%u0061%09%%253b/AUTH_a/c".to_owned(),
            padded(filled_to(READ, "x-copy-from: b/", ";//%u0061%09%%253b+", "\r\n")),
        ),
        (
            "options of a connection",
            "/".to_owned(),
            filled("Connection: ", "a, ", "b\r\n"),
        ),
    ]
}

/// A message signature that covers so many headers, each of them there.
fn covered(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("x-{n}")).collect();
    let fields = names.join(": aaaaaa\r\n") + ": aaaaaa\r\n";
    let names = names.join("\" \"");
    let input = format!("(\"@method\" \"@target-uri\" \"{names}\")");
    let created = Clock::system().now().as_second();
    format!("{fields}Signature: a=:AA==:\r\nSignature-Input: a={input};created={created};keyid=\"x\"\r\n")
}

/// A signature of AWS's that is judged: its time is right.
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
    let site = Site::new(CONFIG);
    let (program, _) = Program::start(&site);
    let plain = cost(&program, &site, "/", &filled("X-Fill: ", "a", "\r\n")).await;
    // A tick is coarse.
    let most = (plain + 2) * TIMES;
    let mut faults = Vec::new();
    for (name, target, fields) in heads() {
        let ticks = cost(&program, &site, &target, &fields).await;
        println!("{name}: {ticks} ticks, a plain head {plain}");
        if ticks > most {
            faults.push(format!("{name}: {ticks} ticks"));
        }
    }
    assert!(faults.is_empty(), "a plain head {plain}: {faults:?}");
}
