//! Holds the import law: which module may name which other, which crates are named where, and how long a file gets.
//!
//! The tables below are the law. A new edge needs a row with a reason; a row that no code uses any more must go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod source;

use source::{Name, read_program};

/// `(from, to, why)`: code in the module `from`, or below it, may name `to`, or what is below it.
/// Modules that have no row as `from` import nothing from the crate.
const EDGES: &[(&str, &str, &str)] = &[
    ("api", "ids", "resources are named by ids"),
    ("api", "model", "what a form is made of"),
    (
        "api",
        "services",
        "what they know of a resource beside its record",
    ),
    (
        "api",
        "config",
        "how servers are chosen is what the operator wrote",
    ),
    ("api", "upstream", "the state of servers"),
    ("api", "csv", "a list of accounts is a table of a spreadsheet too"),
    (
        "csv",
        "model",
        "some of its programs skip characters that are not seen",
    ),
    ("ids", "random", "ids are partly random"),
    ("model", "ids", "what is known is known by an id"),
    ("model", "secret", "passwords and plain tokens are secrets"),
    (
        "model",
        "clock",
        "what a clock that was ahead told is not believed",
    ),
    (
        "model::access_key",
        "random",
        "access keys are made here and nowhere else",
    ),
    ("model::token", "random", "a token is made here and nowhere else"),
    ("request", "random", "the name of a run is random"),
    ("config", "colour", "an accent is a colour"),
    (
        "config",
        "secret",
        "a secret in the configuration is one from the first byte read",
    ),
    ("store", "ids", "records are found by id"),
    ("store", "model", "what is kept"),
    ("services", "clock", "time is injected"),
    ("services", "config", "their own sections"),
    ("services", "ids", "whom an operation is about"),
    ("services::audit", "log_file", "lines are written to a file"),
    ("services::audit", "log_line", "lines of all logs begin alike"),
    (
        "services",
        "metrics",
        "sign-ins and sessions are counted where they happen",
    ),
    ("services", "model", "what they decide about"),
    ("services", "random", "tokens and salts"),
    (
        "services",
        "request::RequestId",
        "the record names the request of each event",
    ),
    ("services", "request::Network", "limits by address count networks"),
    ("services", "secret", "form fields arrive as secrets"),
    (
        "services::invitations",
        "text::is_language_tag",
        "the language of a mail is a tag",
    ),
    (
        "services::accounts",
        "text::is_language_tag",
        "an account from a file reads a language that can be one",
    ),
    ("services::mail", "colour", "mails have the accent of the pages"),
    (
        "services::mail",
        "text",
        "mails are written in their readers' languages",
    ),
    (
        "services",
        "warning_limit",
        "whoever is limited may go on for long",
    ),
    (
        "services::mail",
        "trust_anchors",
        "whom a mail server is to be signed by",
    ),
    ("services", "route::Page", "links in mails lead to pages"),
    ("services::mail", "route::AccountPage", "which page a link is to"),
    ("services::mail", "route::AdminPage", "which page a link is to"),
    ("services", "gcra", "changes and audited refusals have rates"),
    ("services", "store", "the trait, where what they decide is kept"),
    (
        "config",
        "regular_file",
        "what a configuration names is read without waiting",
    ),
    (
        "certified_key",
        "config",
        "which files have a certificate and its key",
    ),
    ("certified_key", "private_file", "a key is its owner's alone"),
    ("certified_key", "regular_file", "certificates are read"),
    ("private_file", "config", "which modes are private"),
    ("private_file", "regular_file", "keys are read"),
    ("listener", "certified_key", "what is served"),
    ("listener", "private_file", "the local authority has keys"),
    (
        "upstream",
        "certified_key",
        "by what the gateway is known to a server",
    ),
    (
        "app::check",
        "certified_key",
        "a key that is not the certificate's is told where it stands",
    ),
    (
        "portal",
        "regular_file",
        "the operator's templates and logo are read",
    ),
    ("services::mail", "regular_file", "the operator's letter is read"),
    (
        "store::sled",
        "regular_file",
        "what lies beside the engine's files is read without waiting",
    ),
    ("text", "regular_file", "the operator's texts are read"),
    ("trust_anchors", "regular_file", "authorities are read"),
    ("log_writer", "metrics", "lines that are lost are counted"),
    (
        "refusal",
        "config",
        "a rate that is used up is told as the operator wrote it",
    ),
    ("metrics", "refusal", "refusals are counted by their kind"),
    ("refusal", "route::BadPath", "the hint why a path is refused"),
    ("portal", "api", "programs read of a page what a command prints"),
    ("portal", "colour", "the accent"),
    (
        "portal::assets",
        "compression::EncodedForms",
        "what never changes is compressed once",
    ),
    ("portal", "config", "branding and switches"),
    ("portal", "model", "who is signed in"),
    ("portal", "refusal", "a page may refuse"),
    ("portal", "request", "what was asked"),
    (
        "portal::error_response",
        "route::BadPath",
        "why a path is refused",
    ),
    ("portal", "route::Page", "which page"),
    ("portal", "route::AccountPage", "which page of these"),
    ("portal", "route::AdminPage", "which page of these"),
    (
        "portal::backendai_session",
        "route::BackendAiPage",
        "which page of these",
    ),
    ("portal", "ids", "forms name what they are about"),
    ("portal", "services", "a page asks services and never the store"),
    (
        "app::check",
        "portal",
        "the operator's templates and texts are judged before they are served",
    ),
    ("app", "api", "where the gateway listens, and what a reload did"),
    ("app", "clock", "it is handed on to whoever tells the time"),
    ("app", "config", "the only place that sees all of it"),
    (
        "app",
        "control",
        "the socket is bound and served beside the front",
    ),
    ("app", "descriptors", "it divides them"),
    ("app", "listener", "it binds"),
    ("app", "log_file", "it tells the files of logs to be opened again"),
    ("app", "metrics", "one count for all stages"),
    ("app", "proxy", "it puts the stages together"),
    ("app", "random", "it is handed on to whoever makes tokens"),
    (
        "app",
        "route",
        "the hosts of the routes are those of the certificate",
    ),
    ("app", "services", "made once, shared by all"),
    (
        "app",
        "upstream",
        "the bound for all applications outlasts a reload, and the state of their servers is told",
    ),
    (
        "app::explain",
        "model",
        "what the record has of a request is told with the rest",
    ),
    ("authenticate", "clock", "a signature has a time"),
    ("authenticate", "config", "whether keys prove something"),
    ("authenticate", "model", "who it is"),
    ("authenticate", "refusal", "a wrong proof is refused"),
    ("authenticate", "request", "what is presented"),
    (
        "authenticate",
        "secret",
        "what is presented, and keys that are derived from a secret, are secrets",
    ),
    ("authenticate", "services", "it asks who a session is"),
    (
        "authenticate",
        "store::StoreError",
        "a store that cannot answer is never taken for anonymous",
    ),
    ("authorize", "authenticate", "the stage before"),
    ("authorize", "config", "a policy is what the operator wrote"),
    ("authorize", "model", "a permit says who"),
    ("authorize", "refusal", "policy may refuse"),
    ("authorize", "request", "a CORS preflight is told by its head"),
    ("authorize", "route", "a route has a policy"),
    ("authorize", "services", "a permit ends with its session"),
    ("cli", "api", "what commands print"),
    (
        "cli::pages",
        "portal",
        "the built-in templates are written out to start from",
    ),
    ("cli::pages", "text", "and so are the built-in texts"),
    (
        "cli::invite",
        "text",
        "invitations are mailed in a language that has texts",
    ),
    ("cli", "csv", "lists go to spreadsheets and come from them"),
    ("cli", "app", "serve runs it"),
    ("cli", "clock", "a program begins with the machine's clock"),
    ("cli", "config", "every command reads it"),
    ("cli", "control", "what commands ask"),
    (
        "cli",
        "ids",
        "sessions and invitations are named on the command line",
    ),
    ("cli::gateway_lines", "log_line", "lines of all logs begin alike"),
    (
        "cli::logging",
        "log_writer",
        "what the program says may not be writable",
    ),
    ("cli::logging", "metrics", "lost messages are counted"),
    ("cli::serve", "descriptors", "the program raises its limit"),
    ("cli::serve", "metrics", "it hands that count on"),
    (
        "cli::serve",
        "log_line",
        "the printed link is a line like those of logs",
    ),
    ("cli", "model", "addresses and usernames are read once"),
    (
        "cli::trust",
        "listener::AUTHORITY_FILE",
        "the authority that is to be trusted",
    ),
    (
        "cli::explain",
        "text",
        "operators read of a refusal what its page says",
    ),
    (
        "cli::explain",
        "proxy",
        "what the stages say of a request is printed",
    ),
    (
        "cli::upstreams",
        "upstream::ServerState",
        "the state of a server is printed",
    ),
    ("cli", "random", "a program begins with the machine's randomness"),
    ("cli", "secret", "a password typed is one"),
    ("cli", "services", "where the record of a command goes"),
    ("cli", "store", "what verify found is printed"),
    ("cli::store", "system_user", "who may not write a file"),
    (
        "config",
        "model",
        "usernames and addresses are parsed, not validated",
    ),
    ("config", "request", "hosts and headers have one spelling"),
    (
        "config",
        "trust_anchors",
        "a file of authorities is read before anybody is to be trusted by it",
    ),
    ("control", "api", "what commands answer"),
    ("control", "clock", "links and files have a time"),
    ("control", "config", "it opens what the configuration names"),
    (
        "control",
        "ids",
        "commands name accounts, sessions and invitations",
    ),
    ("control", "model", "what commands are about"),
    (
        "control",
        "system_user",
        "whose files a command of root's would be among",
    ),
    ("control", "unix_socket", "the administrator's socket is one"),
    (
        "unix_socket",
        "system_user",
        "the socket of another user stays where it is",
    ),
    (
        "app::check",
        "unix_socket",
        "whether a socket can be where it is to be",
    ),
    (
        "app::check",
        "system_user",
        "whose a file is that this user may not write",
    ),
    ("control::health", "metrics", "what it shows"),
    ("control", "random", "it makes the services"),
    (
        "control::error",
        "refusal",
        "the record names a refused command as it names a refused page",
    ),
    ("control", "secret", "a password in a command is one"),
    ("control", "services", "commands are executed by them"),
    ("control", "store", "it is opened here when no gateway runs"),
    ("cli::doctor", "doctor", "what it found is printed"),
    ("doctor", "api", "what the gateway answers it"),
    ("doctor", "clock", "certificates end"),
    ("doctor", "config", "what should be there"),
    ("doctor", "control", "it asks the gateway that runs"),
    (
        "doctor",
        "listener::AUTHORITY_FILE",
        "whether the local authority is trusted",
    ),
    ("doctor", "model", "who gets a test mail"),
    ("doctor", "random", "a mail has a name"),
    ("doctor", "route", "where the routes lead"),
    ("doctor", "services", "whether mail would leave"),
    (
        "doctor",
        "upstream",
        "applications are reached as the gateway reaches them",
    ),
    ("identity", "authorize", "headers come from a permit alone"),
    ("identity", "config", "which headers"),
    ("identity", "model", "who"),
    ("identity", "request", "which names are read alike"),
    ("identity", "route", "which upstream"),
    ("listener", "clock", "certificates end"),
    ("listener", "config", "addresses and certificates"),
    (
        "listener",
        "metrics",
        "connections and failed handshakes are counted",
    ),
    ("listener", "random", "redirects have names"),
    (
        "listener",
        "system_user",
        "whose the files of the local authority are",
    ),
    (
        "listener",
        "unix_socket",
        "proxies of this machine come through one",
    ),
    ("listener", "warning_limit", "strangers knock at any rate"),
    ("listener", "request", "who is at the other end"),
    ("main", "cli", "the program is its command line"),
    ("portal", "secret", "form fields arrive as secrets"),
    ("portal", "text", "every sentence"),
    ("proxy", "api", "a past request has one form wherever it is told"),
    ("proxy", "authenticate", "a stage"),
    ("proxy", "authorize", "a stage"),
    ("proxy", "clock", "the access log tells the time"),
    (
        "proxy",
        "compression",
        "responses are compressed as they are sent",
    ),
    ("proxy", "config", "limits and deadlines"),
    ("proxy", "identity", "a stage"),
    (
        "proxy::explain",
        "ids",
        "a session that is not there has a name that nobody has",
    ),
    ("proxy", "listener", "connections come from there"),
    ("proxy::access_log", "log_line", "lines of all logs begin alike"),
    ("proxy::access_log", "log_writer", "its lines may not be writable"),
    ("proxy::request_history", "ids", "refusals are found by account"),
    ("proxy", "log_file", "the access log is one"),
    ("proxy", "metrics", "answers are counted"),
    ("proxy", "model", "the access log names who was answered"),
    ("proxy", "portal", "the gateway's own pages"),
    ("proxy", "random", "requests have names"),
    ("proxy", "refusal", "what a stage refuses"),
    ("proxy", "request", "what was asked"),
    ("proxy", "route", "a stage"),
    ("proxy", "services", "cookies that never leave the gateway"),
    ("proxy", "upstream", "a stage"),
    ("proxy::request_rates", "gcra", "requests have rates"),
    (
        "proxy::request_rates",
        "ids",
        "requests of an account are counted",
    ),
    ("proxy", "warning_limit", "requests fail at any rate"),
    ("route", "config", "routes are what the operator wrote"),
    ("route", "request", "what was asked"),
    ("store", "clock", "a lock lasts by the monotonic clock"),
    ("store", "random", "a store has a name of its own"),
    ("store::sled", "system_user", "the folder is one user's"),
    ("store::postgres", "secret", "the role's password"),
    (
        "store::postgres",
        "trust_anchors",
        "whom its server is to be signed by",
    ),
    (
        "upstream",
        "authenticate",
        "a signed body is checked, and its sender looked at, as it streams",
    ),
    ("upstream", "authorize", "a request without a permit reaches none"),
    ("upstream", "config", "servers and deadlines"),
    (
        "upstream",
        "identity::Strip",
        "trailers are stripped as they stream",
    ),
    (
        "upstream",
        "request::Network",
        "a client has a share of what waits",
    ),
    (
        "upstream",
        "warning_limit",
        "applications cannot be reached at any rate",
    ),
    ("upstream", "route", "where a permit leads"),
    (
        "upstream",
        "trust_anchors",
        "whom its servers are to be signed by",
    ),
];

/// `(path, module, why)`: the external path, or what is below it, is named in these modules only.
const FENCED: &[(&str, &[&str], &str)] = &[
    ("sled", &["store::sled"], "one engine behind the trait"),
    ("tokio_postgres", &["store::postgres"], "another behind it"),
    ("tokio_postgres_rustls", &["store::postgres"], "another behind it"),
    ("deadpool_postgres", &["store::postgres"], "another behind it"),
    (
        "hyper::server",
        &["listener", "proxy", "control::health"],
        "connections are served at the edge",
    ),
    (
        "hyper::client",
        &["proxy", "upstream", "doctor::http"],
        "applications are reached in one place; one looks at the gateway from outside",
    ),
    ("h2", &["upstream"], "how a stream of HTTP/2 ended"),
    (
        "hyper_util",
        &["listener", "proxy", "upstream", "control::health", "doctor::http"],
        "it carries hyper's connections",
    ),
    ("lettre", &["services::mail"], "mails are sent in one place"),
];

/// Longest file, in lines. Far below it a file may already hold two ideas, but none should be split only
/// because it is long.
const MAX_LINES: usize = 700;

#[test]
fn modules_name_only_what_the_law_allows() {
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for name in read_program().names {
        if !name.in_crate || same_top(&name.module, &name.path) || name.module == "crate" {
            continue;
        }
        let allowed: Vec<_> = (0..EDGES.len())
            .filter(|&row| is_within(&name.module, EDGES[row].0) && is_within(&name.path, EDGES[row].1))
            .collect();
        if allowed.is_empty() {
            let Name {
                place, module, path, ..
            } = &name;
            faults.push(format!(
                "{place}: `{module}` names `{path}`; no row of EDGES allows that"
            ));
        }
        used.extend(allowed);
    }
    for (row, (from, to, _)) in EDGES.iter().enumerate() {
        if !used.contains(&row) {
            faults.push(format!(
                "EDGES: nothing needs the row `{from}` -> `{to}` any more"
            ));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn fenced_crates_are_named_only_where_they_belong() {
    let faults: Vec<_> = read_program()
        .names
        .iter()
        .filter(|name| !name.in_crate)
        .filter_map(|name| {
            let (fenced, modules, why) = FENCED.iter().find(|(fenced, ..)| is_within(&name.path, fenced))?;
            let belongs = modules.iter().any(|module| is_within(&name.module, module));
            (!belongs).then(|| {
                let Name { place, module, .. } = name;
                format!("{place}: `{module}` names `{fenced}`, which is for {modules:?} only: {why}")
            })
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// `route::Page` defines the paths of pages; no other code repeats them.
#[test]
fn the_paths_of_pages_are_written_in_one_place() {
    let (table, others): (Vec<_>, Vec<_>) = read_program()
        .texts
        .into_iter()
        .filter(|text| text.text.contains("/.auth/"))
        .partition(|text| text.place.starts_with("src/route/page.rs:"));
    assert!(!table.is_empty());
    let others: Vec<_> = others
        .into_iter()
        .map(|text| format!("{}: {:?}", text.place, text.text))
        .collect();
    assert!(others.is_empty(), "\n{}", others.join("\n"));
}

#[test]
fn files_stay_short() {
    let mut faults = Vec::new();
    for file in rust_files("src").into_iter().chain(rust_files("tests")) {
        let lines = fs::read_to_string(root().join(&file)).unwrap().lines().count();
        if lines > MAX_LINES {
            faults.push(format!(
                "{file}:{MAX_LINES}: the file has {lines} lines: split it"
            ));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_file_is_a_drawer() {
    for file in rust_files("src").into_iter().chain(rust_files("tests")) {
        let path = Path::new(&file);
        let drawer = path
            .components()
            .filter_map(|part| part.as_os_str().to_str())
            .map(|part| part.trim_end_matches(".rs"))
            .find(|part| ["utils", "util", "common", "helpers", "misc"].contains(part));
        assert_eq!(drawer, None, "{file}: name it for its idea");
    }
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn same_top(a: &str, b: &str) -> bool {
    a.split("::").next() == b.split("::").next()
}

/// Returns the package's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every `.rs` file below a folder, relative to the package, sorted.
fn rust_files(folder: &str) -> Vec<String> {
    let mut folders = vec![PathBuf::from(folder)];
    let mut files = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                let name = entry.file_name();
                if name != "node_modules" && !name.to_string_lossy().starts_with(".venv") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(path.display().to_string());
            }
        }
    }
    files.into_iter().collect()
}

/// Collects the names of all types that a file defines, in functions and tests too.
#[derive(Default)]
struct TypeNames(Vec<String>);

impl<'ast> syn::visit::Visit<'ast> for TypeNames {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.0.push(item.ident.to_string());
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.0.push(item.ident.to_string());
    }
}

/// Searching for a type's name must find it. Associated types do not count: their traits name them.
#[test]
fn no_type_name_has_more_than_two_definitions() {
    let mut files = std::collections::BTreeMap::<String, Vec<String>>::new();
    for file in rust_files("src").into_iter().chain(rust_files("tests")) {
        let code = fs::read_to_string(root().join(&file)).unwrap();
        let mut types = TypeNames::default();
        syn::visit::Visit::visit_file(&mut types, &syn::parse_file(&code).unwrap());
        for name in types.0 {
            files.entry(name).or_default().push(file.clone());
        }
    }
    let homonyms: Vec<_> = files
        .into_iter()
        .filter(|(_, files)| files.len() > 2)
        .map(|(name, files)| format!("`{name}` is defined in {}", files.join(", ")))
        .collect();
    assert!(homonyms.is_empty(), "\n{}", homonyms.join("\n"));
}
