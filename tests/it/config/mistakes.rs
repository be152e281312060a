//! Errors are reported where they stand; doubtful settings get warnings.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use vestibule::route::Page;

use super::{errors, warnings, with};

#[test]
fn a_dozen_mistakes_are_reported_at_once() {
    let text = r#"public_url = "http://gw.example.com/base"
publik_url = "x"

[listen]
https = ["127.0.0.1:8443", "localhost:9", "127.0.0.1:8443"]
ops = "off"

[signup]
mod = "open"
mode = "opne"
approval = "yes"

[store]
master_key = { file = "data/store/key" }
url = { fil = "x" }

[password]
bcrypt_cost = 4

[lockout]
max_failures = -1
duration = "20 bananas"

[session]
cookie_domain = ".example.com"
idle = "0s"

[identity]
headers = { Host = "{username}", X-User = "{usrname}", X-Open = "{id" }

[upstream.console]
servers = ["ftp://127.0.0.1"]
header = {}

[upstream."http://127.0.0.1:1"]

[[tls.certificates]]
cert = "/nonexistent/a.pem"

[[route]]
host = "*.*.com"
path = "/a/../b"
methods = ["get"]
allow = { group = ["a"] }
upstream = "consol"

[[route]]
allow = { groups = [] }
path = "/.auth/login"

[[route]]
upstream = "demo:"
[[route]]
upstream = "demo:"
methods = ["GET"]
"#;
    insta::assert_snapshot!(errors(text).join("\n"));
}

#[test]
fn syntax_errors_are_reported_at_once() {
    insta::assert_snapshot!(errors("a = \n[b\nc = 1\nc = 2\nd = \"x\ne = 1 2\n").join("\n"));
}

#[test]
fn tables_and_values_of_the_wrong_kind() {
    let text = r#"
mail = "smtp://user:hunter2@host"
route = { upstream = "demo:" }
signup = []
[[login]]
username = true
[tls]
certificates = ["hunter2"]
min_version = "1.1"
[branding]
links = [{ text = "a" }, { txt = 1 }]
[upstream]
console = "http://user:hunter2@host"
other = ["http://user:hunter2@host"]
[limits]
connections = -5
form_body = 9
[[routes]]
[[lockout]]
[listen]
trusted_proxies = ["10.0.0.1"]
"#;
    insta::assert_snapshot!(errors(text).join("\n"));
}

#[test]
fn what_is_not_built_yet_is_refused_and_said_so() {
    for (text, key) in [
        (with("[acme]\ncontact = \"a@b.c\""), "acme"),
        (
            with("") + "assertion = { header = \"X-Assertion\" }",
            "route[0].assertion",
        ),
    ] {
        let errors = errors(&text);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(&format!(": {key}: ")), "{errors:?}");
        assert!(errors[0].contains("is not built yet"), "{errors:?}");
    }
    let accepted = "[login]\nreset = true\niam = true\n[signup]\nterms_version = \"2\"";
    assert_eq!(errors(&with(accepted)), [""; 0]);
    assert_eq!(
        errors(&(with("") + "replay = \"writes\"\nunsigned_payload = true")),
        [""; 0]
    );
}

#[test]
fn each_value_that_cannot_be_is_refused_where_it_stands() {
    let twin = "[[route]]\nupstream = \"demo:\"\nhost = \"LOCALHOST\"\nmethods = [\"GET\"]\n";
    for (text, key) in [
        (with("public_url = \"https://u:hunter2@localhost\""), "public_url"),
        (with("public_url = \"https://localhost/?q\""), "public_url"),
        (with("[listen]\nhttps = []"), "listen.https"),
        (with("[listen]\nhttp = [\"127.0.0.1:8443\"]"), "listen.http[0]"),
        (with("[listen]\nops = \"127.0.0.1:8443\""), "listen.ops"),
        (with("[store]\nurl = \"sled:\""), "store.url"),
        (
            with("[store]\nurl = { env = \"VESTIBULE_TEST_UNSET\" }"),
            "store.url",
        ),
        (
            with("[store]\nurl = \"sled:data/s\"\nmaster_key = { file = \"./data/s/x/../key\" }"),
            "store.master_key",
        ),
        (with("[mail]\nurl = \"http://h\""), "mail.url"),
        (with("[mail]\nfrom = \"nobody\""), "mail.from"),
        (
            with("[signup]\nterms_url = \"javascript:alert(1)\""),
            "signup.terms_url",
        ),
        (with("[signup]\nprivacy_url = \"//evil\""), "signup.privacy_url"),
        (
            with("[signup]\nreserved_usernames = [\"ok\", \"not ok\"]"),
            "signup.reserved_usernames[1]",
        ),
        (with("[lockout]\nmax_failures = 0"), "lockout.max_failures"),
        (with("[lockout]\nduration = \"0s\""), "lockout.duration"),
        (with("[session]\nabsolute = \"99999d\""), "session.absolute"),
        (with("[password]\nbcrypt_cost = 17"), "password.bcrypt_cost"),
        (with("[session]\ncookie_name = \"a b\""), "session.cookie_name"),
        (
            with("[session]\ncookie_name = \"__Host-a\""),
            "session.cookie_name",
        ),
        (
            with("[session]\ncookie_domain = \"example.com\""),
            "session.cookie_domain",
        ),
        (with("[admin]\ngroup = \"a,b\""), "admin.group"),
        (with("[branding]\naccent = \"red\""), "branding.accent"),
        (
            with("[branding]\nlogo = \"/nonexistent/logo.svg\""),
            "branding.logo",
        ),
        (
            with("[branding]\nlinks = [{ text = \"a\", url = \"mailto:a@b.c\" }]"),
            "branding.links[0].url",
        ),
        (
            with("[identity.headers]\nCookie = \"a\""),
            "identity.headers.Cookie",
        ),
        (
            with("[identity.headers]\nX-A = \"a\"\nx_a = \"b\""),
            "identity.headers.x_a",
        ),
        (with("[log]\nlevel = \"inof\""), "log.level"),
        (
            with("[upstream.a]\nservers = [\"http://u:hunter2@h\"]\n"),
            "upstream.a.servers[0]",
        ),
        (
            with("[upstream.a]\nservers = [\"http://localhost\"]\nca = \"/nonexistent\"\n"),
            "upstream.a.ca",
        ),
        (
            with("[upstream.a]\nservers = [\"http://localhost\"]\nheaders.X = \"hunter2{\"\n"),
            "upstream.a.headers.X",
        ),
        (with(twin), "route[1]"),
        ("[[route]]".to_owned(), "route[0].upstream"),
        (
            format!("[[route]]\nupstream = \"demo:\"\npath = \"{}\"", Page::PREFIX),
            "route[0].path",
        ),
    ] {
        let errors = errors(&text);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(errors[0].contains(&format!(": {key}: ")), "{errors:?}");
        assert!(!errors[0].contains("hunter2"), "{errors:?}");
    }
}

#[test]
fn s42_where_proxies_ask_in_the_clear_is_checked() {
    let listen = |lines: &str| with(&format!("[listen]\n{lines}"));
    let trusted = "trusted_proxies = [\"10.0.0.0/8\"]";
    let here = std::env::current_dir().unwrap();
    for (lines, key, said) in [
        (
            "plain = [\"127.0.0.1:8080\"]".to_owned(),
            "listen.plain[0]",
            "`trusted_proxies`",
        ),
        (
            format!("{trusted}\nplain = [\"127.0.0.1:8443\"]"),
            "listen.plain[0]",
            "the same address twice",
        ),
        (
            format!("{trusted}\nhttp = [\"0.0.0.0:8080\"]\nplain = [\"127.0.0.1:8080\"]"),
            "listen.plain[0]",
            "overlaps 0.0.0.0:8080",
        ),
        (
            format!("{trusted}\nplain = [\"127.0.0.1:9464\"]"),
            "listen.ops",
            "the same address",
        ),
        (
            "plain = [\"unix:a\", \"unix:a\"]".to_owned(),
            "listen.plain[1]",
            "twice",
        ),
        (
            "admin_socket = \"a\"\nplain = [\"unix:a\"]".to_owned(),
            "listen.plain[0]",
            "`listen.admin_socket`",
        ),
        (
            "plain = [\"unix:a\", \"unix:b/../a\"]".to_owned(),
            "listen.plain[1]",
            "twice",
        ),
        (
            format!("plain = [\"unix:a\", \"unix:{}/a\"]", here.display()),
            "listen.plain[1]",
            "twice",
        ),
        (
            "admin_socket = \"a\"\nplain = [\"unix:./a\"]".to_owned(),
            "listen.plain[0]",
            "`listen.admin_socket`",
        ),
        (
            "plain = [\"unix:data/store/p.sock\"]".to_owned(),
            "listen.plain[0]",
            "inside the folder of store.url",
        ),
        (
            "plain = [\"unix:p.sock/\"]".to_owned(),
            "listen.plain[0]",
            "the path of a folder",
        ),
        (
            "admin_socket = \"a.sock/\"".to_owned(),
            "listen.admin_socket",
            "the path of a folder",
        ),
        ("plain = [\"unix:\"]".to_owned(), "listen.plain[0]", "`unix:`"),
        (
            "plain = [\"localhost:80\"]".to_owned(),
            "listen.plain[0]",
            "127.0.0.1:8080",
        ),
        ("https = []".to_owned(), "listen.https", "serve nobody"),
    ] {
        let errors = errors(&listen(&lines));
        assert_eq!(errors.len(), 1, "{lines}: {errors:?}");
        assert!(errors[0].contains(&format!(": {key}: ")), "{errors:?}");
        assert!(errors[0].contains(said), "{errors:?}");
    }
    let far = warnings(&listen(&format!("{trusted}\nplain = [\"10.0.0.1:8080\"]")));
    assert_eq!(far.len(), 1, "{far:?}");
    assert!(far[0].contains(": listen.plain[0]: "), "{far:?}");
    assert!(far[0].contains("in the clear"), "{far:?}");
    for fine in [
        format!("{trusted}\nplain = [\"127.0.0.1:8080\", \"[::1]:8080\", \"unix:a\"]"),
        "https = []\nplain = [\"unix:a\"]".to_owned(),
    ] {
        assert_eq!(errors(&listen(&fine)), [""; 0], "{fine}");
        assert_eq!(warnings(&listen(&fine)), [""; 0], "{fine}");
    }
}

#[test]
fn routes_that_differ_are_not_alike() {
    let text = r#"
[[route]]
upstream = "demo:"
[[route]]
upstream = "demo:"
path = "/a"
methods = ["GET"]
[[route]]
upstream = "demo:"
path = "/a"
methods = ["POST"]
[[route]]
upstream = "demo:"
host = "*.localhost"
"#;
    assert_eq!(errors(text), [""; 0]);
}

#[test]
fn an_upstream_that_could_not_be_read_is_there_all_the_same() {
    let text = "upstream.console = 5\n[[route]]\nupstream = \"console\"\n";
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("vestibule.toml:1:"), "{errors:?}");
}

#[test]
fn elements_keep_their_number_when_others_are_wrong() {
    let text = "[listen]\nhttps = [\"a\", \"127.0.0.1:1\", \"b\", \"127.0.0.1:1\"]\n";
    let errors = errors(&with(text));
    let keys: Vec<_> = errors
        .iter()
        .map(|error| error.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(keys, ["listen.https[0]", "listen.https[2]", "listen.https[3]"]);
}

#[test]
fn warnings_do_not_refuse() {
    assert_eq!(warnings(&with("")), [""; 0]);
    let text = r##"
[listen]
https = ["0.0.0.0:8443"]
ops = "0.0.0.0:9464"
trusted_proxies = ["0.0.0.0/0"]
[signup]
mode = "open"
[session]
idle = "8d"
[branding]
accent = "#ffff00"
[store]
master_key = "hunter2"
[upstream.a]
servers = ["http://10.0.0.1:80"]
[[route]]
upstream = "h2c://10.0.0.2:80"
"##;
    insta::assert_snapshot!(warnings(text).join("\n"));
    assert!(warnings("").iter().any(|warning| warning.contains("no route")));
    for (route, rest, warned) in [
        ("replay = \"all\"", "", 1),
        ("unsigned_payload = true\nreplay = \"writes\"", "", 2),
        ("unsigned_payload = true", "[login]\niam = true", 0),
        (
            "unsigned_payload = true\nallow = \"public\"",
            "[login]\niam = true",
            1,
        ),
    ] {
        let warnings = warnings(&(with(rest) + route));
        assert_eq!(warnings.len(), warned, "{warnings:?}");
    }
}

#[test]
fn an_approval_stands_between_open_signup_and_the_routes() {
    let open = with("[signup]\nmode = \"open\"\n");
    assert!(
        warnings(&open)
            .iter()
            .any(|warning| warning.contains(": signup.mode: "))
    );
    let approved = with("[signup]\nmode = \"open\"\napproval = true\n");
    assert!(
        !warnings(&approved)
            .iter()
            .any(|warning| warning.contains(": signup.mode: "))
    );
}

#[test]
fn an_audit_log_that_keeps_nothing_is_warned_of() {
    for text in ["[audit]\nkeep = \"0s\"\n", "[audit]\nmax_events = 0\n"] {
        let warnings = warnings(&with(text));
        assert!(
            warnings.len() == 1 && warnings[0].contains(": audit."),
            "{warnings:?}"
        );
    }
    assert_eq!(warnings(&with("[audit]\nkeep = \"1d\"\n")), [""; 0]);
}

#[test]
fn mails_that_reach_nobody_and_passwords_in_the_clear_are_warned_of() {
    let verify = "public_url = \"https://gw.example.com\"\nsignup.verify_email = true\n";
    let mail = |url: &str| format!("[mail]\nurl = \"{url}\"\n");
    for (text, warned) in [
        (verify.to_owned(), true),
        (
            verify.to_owned() + &mail("smtp://mail.example.com?tls=required"),
            false,
        ),
        (mail("smtp://mail.example.com"), true),
        (mail("smtp://127.0.0.1:2525"), false),
        ("signup.verify_email = true\n".to_owned(), false),
        (mail("smtp://u:hunter2@mail.example.com"), true),
        (mail("smtp://u:hunter2@mail.example.com?tls=required"), false),
    ] {
        let warnings = warnings(&text);
        let of_mail = warnings.iter().any(|warning| warning.contains(": mail.url: "));
        assert_eq!(of_mail, warned, "{text}: {warnings:?}");
        assert!(!warnings.join("").contains("hunter2"));
    }
}

#[test]
fn certificates_are_read_and_their_hosts_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let pair = rcgen::generate_simple_self_signed(["gw.example.com".to_owned(), "*.example.org".to_owned()])
        .unwrap();
    fs::write(&cert, pair.cert.pem()).unwrap();
    fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "public_url = \"https://gw.example.com\"\n[[tls.certificates]]\ncert = {cert:?}\nkey = {key:?}\n{}{}{}",
        "[[route]]\nupstream = \"demo:\"\n",
        "[[route]]\nupstream = \"demo:\"\nhost = \"a.example.org\"\n",
        "[[route]]\nupstream = \"demo:\"\nhost = \"a.b.example.org\"\n",
    );
    let warned = warnings(&text);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("route[2].host"), "{warned:?}");

    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let warned = warnings(&text);
    assert!(
        warned[0].contains("tls.certificates[0].key")
            && warned[0].contains("its group may read it too (mode 0640)"),
        "{warned:?}"
    );

    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let refused = errors(&text);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].contains("tls.certificates[0].key") && refused[0].contains("chmod 600"),
        "{refused:?}"
    );
}

#[test]
fn a_secret_that_its_group_may_read_is_warned_of_and_one_that_all_may_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    for (key, text, content) in [
        (
            "store.url",
            format!("[store]\nurl = {{ file = {file:?} }}"),
            "sled:data/s",
        ),
        (
            "store.master_key",
            format!("[store]\nmaster_key = {{ file = {file:?} }}"),
            "x",
        ),
        (
            "mail.url",
            format!("[mail]\nurl = {{ file = {file:?} }}"),
            "file:out",
        ),
        (
            "upstream.a.headers.X-Key",
            format!(
                "[upstream.a]\nservers = [\"http://127.0.0.1:1\"]\nheaders.X-Key = {{ file = {file:?} }}"
            ),
            "s3cret",
        ),
    ] {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o440)).unwrap();
        let text = format!("{text}\n[[route]]\nupstream = \"demo:\"\n");
        let warned = warnings(&text);
        assert!(
            warned
                .iter()
                .any(|warning| warning.contains(&format!(": {key}: "))
                    && warning.contains("its group may read it too (mode 0440)")),
            "{key}: {warned:?}"
        );
        fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
        let refused = errors(&text);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].contains(&format!(": {key}: ")), "{refused:?}");
    }
}

#[test]
fn a_host_for_a_url_and_a_number_for_a_duration_say_what_to_write() {
    for (line, said) in [
        (
            "public_url = \"console.example.com\"",
            "public_url: not an address of this gateway: it begins with `https://`; write https://console.example.com",
        ),
        (
            "public_url = \"console.example.com:8443\"",
            "public_url: not an address of this gateway: it begins with `https://`; write https://console.example.com:8443",
        ),
        (
            "session.idle = 12",
            "session.idle: expected a duration such as \"12h\", found a whole number",
        ),
        (
            "limits.form_body = 65536",
            "limits.form_body: expected a size such as \"64KiB\", found a whole number",
        ),
    ] {
        let errors = errors(&with(line));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].ends_with(said), "{errors:?}");
    }
}

#[test]
fn a_logo_is_a_small_picture() {
    let folder = tempfile::tempdir().unwrap();
    let logo = folder.path().join("logo");
    let text = with(&format!("[branding]\nlogo = {logo:?}\n"));
    for (content, passes) in [
        (b"<?xml version=\"1.0\"?><svg/>".to_vec(), true),
        (b"\x89PNG\r\n\x1a\n...".to_vec(), true),
        (b"GIF89a".to_vec(), false),
        ([b"<svg>".as_slice(), &vec![b' '; 64 << 10]].concat(), false),
    ] {
        fs::write(&logo, content).unwrap();
        assert_eq!(errors(&text).is_empty(), passes, "{:?}", errors(&text));
    }
}

#[test]
fn listeners_that_overlap_are_refused() {
    for (listen, at) in [
        (
            "https = [\"127.0.0.1:8443\", \"0.0.0.0:8443\"]",
            "listen.https[1]: overlaps 127.0.0.1:8443",
        ),
        (
            "https = [\"0.0.0.0:8443\"]\nhttp = [\"192.0.2.7:8443\"]",
            "listen.http[0]: overlaps 0.0.0.0:8443",
        ),
        (
            "https = [\"[::]:8443\", \"[::1]:8443\"]",
            "listen.https[1]: overlaps [::]:8443",
        ),
        (
            "https = [\"127.0.0.1:8443\", \"[::ffff:127.0.0.1]:8443\"]",
            "listen.https[1]: overlaps 127.0.0.1:8443",
        ),
        (
            "https = [\"0.0.0.0:9464\"]\nops = \"127.0.0.1:9464\"",
            "listen.ops: ",
        ),
    ] {
        let found = errors(&with(&format!("[listen]\n{listen}")));
        assert_eq!(found.len(), 1, "{listen}: {found:?}");
        assert!(found[0].contains(at), "{listen}: {found:?}");
    }
    for listen in [
        "https = [\"127.0.0.1:8443\", \"192.0.2.7:8443\", \"[::1]:8443\"]",
        "https = [\"127.0.0.1:0\", \"0.0.0.0:0\"]",
        "https = [\"0.0.0.0:8443\"]\nhttp = [\"0.0.0.0:8080\"]",
    ] {
        assert_eq!(
            errors(&with(&format!("[listen]\n{listen}"))),
            Vec::<String>::new(),
            "{listen}"
        );
    }
}

#[test]
fn a_text_that_pages_cannot_show_as_it_is_is_refused() {
    let long = "x".repeat(5000);
    for text in ["a\\u0007b", "a\\nb", "\\u202ex", "\\u2066x", "\\u200b", &long] {
        for (key, lines) in [
            ("login.iam_label", format!("[login]\niam_label = \"{text}\"")),
            ("branding.name", format!("[branding]\nname = \"{text}\"")),
            ("branding.contact", format!("[branding]\ncontact = \"{text}\"")),
            (
                "branding.links[0].text",
                format!("[branding]\nlinks = [{{ text = \"{text}\", url = \"/help\" }}]"),
            ),
        ] {
            let errors = errors(&with(&lines));
            assert_eq!(errors.len(), 1, "{text} {errors:?}");
            assert!(errors[0].contains(&format!(": {key}: at most ")), "{errors:?}");
        }
    }
    for text in ["", "IAM 키로 로그인", "שרה", "a👩\\u200d👩b"] {
        let lines = format!("[login]\niam_label = \"{text}\"\n[branding]\ncontact = \"{text}\"");
        assert_eq!(errors(&with(&lines)), Vec::<String>::new());
    }
}
