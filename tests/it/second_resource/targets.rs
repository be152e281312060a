//! What headers of object stores, uploads and feeds name that a request writes to or is made of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vestibule::config::RouteConfig;

use super::stores::put;
use super::{ask, ops, routes, start};
use crate::harness::{Application, Running, route};

/// Some stores are told where to copy or move the request's own target.
#[tokio::test]
async fn s75_where_a_header_copies_or_moves_the_target_is_judged_as_a_write() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    for name in [
        "x-emc-path",
        "x-copy-to",
        "X-Move-To",
        "x-rename-to",
        "x-new-copy-destination",
        "x-new-move-dst",
        "x-new-rename-target",
        "x-new-copy-to-path",
    ] {
        for (value, status) in [
            ("/b/new", 200),
            ("b/new", 200),
            ("/cad/k", 403),
            ("cad/k", 403),
            ("cad%2Fk", 403),
            // That is read alone, or nothing is deleted there.
            ("/ro/k", 403),
            ("/keep/k", 403),
            ("http://127.0.0.1:1/b/k", 403),
            ("gw.example.com/cad/k", 403),
            ("b/../cad/k", 400),
            ("//cad/k", 400),
            ("%63ad/k", 400),
            ("b\\k", 400),
        ] {
            let (found, what) = put(&gateway, &app, &cookie, "/b/k", &[(name, value)]).await;
            assert_eq!(found, status, "{what}");
        }
        let twice = [(name, "/b/new"), (name, "/b/new")];
        let (found, what) = put(&gateway, &app, &cookie, "/b/k", &twice).await;
        assert_eq!(found, 400, "{what}");
        // The target is read, with what lies below, and deleted where it is moved.
        let elsewhere = gateway.url("/b/new");
        let is_moved = !name.contains("copy");
        let (found, what) = put(&gateway, &app, &cookie, "/keep/k", &[(name, &elsewhere)]).await;
        assert_eq!(found, if is_moved { 403 } else { 200 }, "{what}");
        let (found, what) = put(&gateway, &app, &cookie, "/", &[(name, &elsewhere)]).await;
        assert_eq!(found, 403, "{what}");
    }
    // Of what browsers and mails say, none names a place.
    let others = [
        ("sec-fetch-dest", "cad"),
        ("x-answer-to", "/cad/k"),
        ("x-reply-to", "/cad/k"),
        ("x-photo-copy-of", "/cad/k"),
    ];
    for one in others {
        let (found, what) = put(&gateway, &app, &cookie, "/b/k", &[one]).await;
        assert_eq!(found, 200, "{what}");
    }
}

/// Third-party copies of HTTP: the server fetches what `Source` names.
#[tokio::test]
async fn s75_the_source_of_a_copy_is_judged_as_it_is_read() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    let own = |path: &str| gateway.url(path);
    for (source, status) in [
        (own("/x2"), 200),
        ("/x2".to_owned(), 200),
        (own("/ro/x"), 200),
        (own("/cad/x"), 403),
        ("/cad/x".to_owned(), 403),
        ("https://evil.example/x".to_owned(), 403),
        ("http://127.0.0.1:1/x".to_owned(), 403),
        (own("/x/../cad/x"), 400),
        (own("/%63ad/x"), 400),
        ("//cad/x".to_owned(), 400),
        ("cad/x".to_owned(), 400),
        ("davs://gw.example.com/x".to_owned(), 400),
        (String::new(), 400),
    ] {
        for (request, more) in [(("COPY", "/x1"), None), (("POST", "/x1"), Some("COPY"))] {
            let mut headers = vec![("source", source.as_str())];
            headers.extend(more.map(|method| ("x-http-method-override", method)));
            let asked = ask(&gateway, &app, &cookie, request, &headers).await;
            let what = format!("{request:?} {source:?}: {}", asked.problem);
            assert_eq!(asked.status, status, "{what}");
            assert_eq!(asked.received.is_some(), status == 200, "{what}");
        }
    }
    // Elsewhere it says something of the application's own.
    for method in ["GET", "POST", "PUT"] {
        let headers = [("source", "newsletter")];
        let asked = ask(&gateway, &app, &cookie, (method, "/x1"), &headers).await;
        assert_eq!(asked.status, 200, "{method}");
    }
}

/// tus joins uploads to a new one, which its sender may read.
#[tokio::test]
async fn s75_the_parts_that_an_upload_joins_are_judged_as_they_are_read() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        let methods = |methods: &[&str]| methods.iter().map(|&method| method.to_owned()).collect();
        config.route = routes(&app.url());
        config.route.extend([
            RouteConfig {
                methods: methods(&["POST", "PATCH"]),
                ..route("/drop", "authenticated", &app.url())
            },
            RouteConfig {
                allow: ops(),
                ..route("/files/closed", "public", &app.url())
            },
        ]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    let url = |path: &str| gateway.url(path);
    for (value, status) in [
        ("partial".to_owned(), 200),
        ("final;/files/a /files/b".to_owned(), 200),
        (format!("final;{} {}", url("/files/a"), url("/files/b")), 200),
        ("final; /files/a".to_owned(), 200),
        // Where nobody may read, who may send may join.
        ("final;/drop/a".to_owned(), 200),
        ("final;/files/a /cad/b".to_owned(), 403),
        (format!("final;/files/a {}", url("/cad/b")), 403),
        // Some servers look at the last segment alone.
        ("final;/x/closed".to_owned(), 403),
        ("final;/files/a http://127.0.0.1:1/b".to_owned(), 403),
        ("final;/files/a /files/../cad/b".to_owned(), 400),
        ("final;//cad/b".to_owned(), 400),
        ("final;/%63ad/b".to_owned(), 400),
        ("final;a".to_owned(), 400),
        ("final;/files/a,/files/b".to_owned(), 200),
        ("final /files/a".to_owned(), 400),
        ("Final;/files/a".to_owned(), 400),
        (String::new(), 400),
        (format!("final;{}", "/files/a ".repeat(2000)), 400),
    ] {
        let headers = [("upload-concat", value.as_str())];
        let asked = ask(&gateway, &app, &cookie, ("POST", "/files"), &headers).await;
        let what = format!("{value:.80}: {}", asked.problem);
        assert_eq!(asked.status, status, "{what}");
        assert_eq!(asked.received.is_some(), status == 200, "{what}");
    }
    let twice = [("upload-concat", "partial"), ("upload-concat", "final;/cad/b")];
    let asked = ask(&gateway, &app, &cookie, ("POST", "/files"), &twice).await;
    assert_eq!(asked.status, 400);
    let odd = [("upload_concat", "final;/cad/b")];
    let asked = ask(&gateway, &app, &cookie, ("POST", "/files"), &odd).await;
    assert_eq!(asked.status, 400);
}

/// tus is told in metadata what the file of an upload is called and where it lies.
#[tokio::test]
async fn s75_the_metadata_of_an_upload_names_no_place_that_is_closed() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes(&app.url());
        let closed = ["/files/closed", "/files/a/shut", "/files/c/d", "/files/e/e"];
        config.route.extend(closed.map(|path| RouteConfig {
            allow: ops(),
            ..route(path, "public", &app.url())
        }));
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (pairs, status) in [
        (&[("filename", "photo.jpg"), ("filetype", "image/png")][..], 200),
        (&[("filename", "휴가 사진 (1).jpg")], 200),
        (&[("name", "a & b+c.txt"), ("relativePath", "null")], 200),
        (
            &[
                ("relativePath", "a/photo.jpg"),
                ("name", "photo.jpg"),
                ("type", "image/jpeg"),
                ("filename", "photo.jpg"),
            ],
            200,
        ),
        // What no server takes for a name.
        (&[("filetype", "closed/x"), ("caption", "../cad")], 200),
        (&[("filename", "closed")], 403),
        (&[("filename", "closed/x")], 403),
        (&[("name", "/cad/x")], 403),
        (&[("relativePath", "closed/x")], 403),
        (&[("relative_path", "closed/x")], 403),
        (&[("path", "closed/x")], 403),
        (&[("dir", "closed")], 403),
        (&[("filename", "shut"), ("dir", "b")], 200),
        (&[("filename", "shut"), ("dir", "a")], 403),
        (&[("folder", "c"), ("dir", "d"), ("filename", "x")], 403),
        (&[("folder", "d/"), ("dir", "c/"), ("filename", "x")], 403),
        (&[("folder", "c"), ("dir", "d")], 403),
        (&[("folder", "e"), ("dir", "e"), ("filename", "x")], 403),
        (&[("folder", "e"), ("filename", "x")], 200),
        (&[("folder", "b"), ("dir", "a"), ("filename", "shut")], 403),
        (&[("folder", "b"), ("dir", "d"), ("filename", "x")], 200),
        (&[("objectKey", "closed/x")], 403),
        // Uploads may be served above where they are sent to.
        (&[("filename", "cad/x")], 403),
        (&[("folder", "cad"), ("filename", "x")], 403),
        (&[("bucketName", "cad"), ("objectName", "x")], 403),
        (&[("apiKey", "closed/x")], 200),
        (&[("filename", "x"), ("filename", "closed")], 403),
        (&[("filename", "%63losed/x")], 400),
        (&[("filename", "../cad/x")], 400),
        (&[("filename", "..")], 400),
        (&[("dir", "..")], 400),
        (&[("filename", "..\\cad")], 400),
        (&[("filename", "x\0y")], 400),
    ] {
        let metadata: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{key} {}", STANDARD.encode(value)))
            .collect();
        let metadata = metadata.join(",");
        for target in ["/files", "/files/"] {
            let headers = [("upload-metadata", metadata.as_str())];
            let asked = ask(&gateway, &app, &cookie, ("POST", target), &headers).await;
            let what = format!("{target} {pairs:?}: {}", asked.problem);
            assert_eq!(asked.status, status, "{what}");
            assert_eq!(asked.received.is_some(), status == 200, "{what}");
        }
    }
    for (value, status) in [
        ("", 200),
        ("is_confidential", 200),
        ("filename", 200),
        ("filetype !", 200),
        ("filename !", 400),
        ("filename /w==", 400),
        ("filename Y2xv c2Vk", 400),
        ("filename YWRtaW4_eA==", 400),
        ("filename Y2xvc2Vk", 403),
    ] {
        let headers = [("upload-metadata", value)];
        let asked = ask(&gateway, &app, &cookie, ("POST", "/files"), &headers).await;
        assert_eq!(asked.status, status, "{value:?}: {}", asked.problem);
    }
    let twice = [("upload-metadata", "name YQ=="), ("upload-metadata", "name Yg==")];
    let asked = ask(&gateway, &app, &cookie, ("POST", "/files"), &twice).await;
    assert_eq!(asked.status, 400);
    let odd = [("upload_metadata", "filename Y2xvc2Vk")];
    let asked = ask(&gateway, &app, &cookie, ("POST", "/files"), &odd).await;
    assert_eq!(asked.status, 400);
}

/// A member of a collection is made under the name that `Slug` asks for (RFC 5023, section 9.7).
#[tokio::test]
async fn s75_a_slug_names_no_place_that_is_closed() {
    let app = Application::start().await;
    let gateway = Running::start(|config| {
        config.route = routes(&app.url());
        config.route.extend([
            RouteConfig {
                allow: ops(),
                ..route("/notes/closed", "public", &app.url())
            },
            RouteConfig {
                methods: vec!["PUT".to_owned()],
                allow: ops(),
                ..route("/notes/kept", "public", &app.url())
            },
        ]);
    })
    .await;
    let cookie = gateway.signed_in("ann").await;
    for (slug, status) in [
        ("The Beach at S%C3%A8te", 200),
        ("한글", 200),
        ("AC/DC", 200),
        ("AC%2FDC", 200),
        ("What? #1; \"100%25\" {a}", 200),
        ("closedness", 200),
        ("", 200),
        ("closed", 403),
        ("closed/x", 403),
        ("closed%2Fx", 403),
        ("%63losed", 403),
        ("kept", 403),
        ("cad/x", 403),
        ("/cad/x", 403),
        ("%2Fcad%2Fx", 403),
        ("../cad/x", 400),
        ("..", 400),
        ("%2E%2E%2Fcad", 400),
        ("x/../../cad", 400),
        ("..\\cad", 400),
        ("x%00y", 400),
        ("\"closed\"", 403),
        ("\"closed\";x", 403),
        ("\"/cad/x\"", 403),
        ("=?utf-8?Q?closed?=", 400),
    ] {
        for target in ["/notes", "/notes/"] {
            let asked = ask(&gateway, &app, &cookie, ("POST", target), &[("slug", slug)]).await;
            let what = format!("{target} {slug:?}: {}", asked.problem);
            assert_eq!(asked.status, status, "{what}");
            assert_eq!(asked.received.is_some(), status == 200, "{what}");
        }
        let asked = ask(&gateway, &app, &cookie, ("PUT", "/notes"), &[("slug", slug)]).await;
        assert_eq!(asked.status, 200, "{slug:?}");
    }
    let twice = [("slug", "a"), ("slug", "closed")];
    let asked = ask(&gateway, &app, &cookie, ("POST", "/notes"), &twice).await;
    assert_eq!(asked.status, 400);
}

/// Some stores unpack what is uploaded, and the archive itself says where its members go.
#[tokio::test]
async fn s75_an_archive_is_unpacked_by_whoever_may_write_everywhere_in_the_bucket() {
    let app = Application::start().await;
    let other = Application::start().await;
    let on = |host: &str, closed: RouteConfig| RouteConfig {
        host: Some(host.to_owned()),
        ..closed
    };
    let closed = |path: &str, app: &Application| RouteConfig {
        allow: ops(),
        ..route(path, "public", &app.url())
    };
    let only_get = RouteConfig {
        methods: vec!["GET".to_owned()],
        ..route("/open/ro", "public", &app.url())
    };
    for (closed, status) in [
        (vec![], 200),
        (vec![closed("/open/closed", &app)], 403),
        // The bucket may be the host's own.
        (vec![closed("/closed", &app)], 403),
        (vec![only_get], 403),
        (vec![closed("/open/closed", &other)], 200),
        // The bucket on other hosts.
        (vec![on("open.example.com", closed("/", &app))], 403),
        (vec![on("open.example.com", closed("/closed", &app))], 403),
        (vec![on("store.test", closed("/open/closed", &app))], 403),
        (vec![on("store.test", closed("/open", &app))], 403),
        (vec![on("*.example.com", closed("/closed", &app))], 403),
        (vec![on("store.test", closed("/gw/closed", &app))], 403),
        (vec![on("store.test", closed("/more", &app))], 200),
        (vec![on("store.test", closed("/", &app))], 200),
        (vec![on("store.test", closed("/open/closed", &other))], 200),
    ] {
        let what = format!("{closed:?}");
        let gateway = Running::start(|config| {
            config.route = vec![route("/", "public", &app.url())];
            config.route.extend(closed);
        })
        .await;
        let header = ("x-amz-meta-snowball-auto-extract", "true");
        let (found, why) = put(&gateway, &app, "", "/open/x", &[header]).await;
        assert_eq!(found, status, "{what}: {why}");
    }

    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    for name in [
        "X-Amz-Meta-Snowball-Auto-Extract",
        "x_amz_meta_snowball_auto_extract",
        "x-amz-meta-snowball.auto-extract",
        "X-Explode-Archive",
        "x-explode-archive-atomic",
    ] {
        let (found, what) = put(&gateway, &app, &cookie, "/b/x", &[(name, "true")]).await;
        assert_eq!(found, 403, "{what}");
    }
    for name in ["x-amz-meta-snowball", "x-amz-meta-auto-extract", "x-archive"] {
        let (found, what) = put(&gateway, &app, &cookie, "/b/x", &[(name, "true")]).await;
        assert_eq!(found, 200, "{what}");
    }
}

/// Names with other signs than usual between their words.
#[tokio::test]
async fn s75_a_container_is_judged_by_every_spelling_of_the_header_that_names_it() {
    let app = Application::start().await;
    let gateway = start(&app).await;
    let cookie = gateway.signed_in("ann").await;
    for name in [
        "x-ms-source-container-name",
        "x_ms_source_container_name",
        "x-ms-deleted-container.name",
    ] {
        let (found, what) = put(&gateway, &app, &cookie, "/b/x", &[(name, "cad")]).await;
        let expected = if name.contains(['_', '.']) { 400 } else { 403 };
        assert_eq!(found, expected, "{what}");
    }
}
