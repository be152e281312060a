//! Recognises headers that describe the client's connection or the original target of a request (S42).
//!
//! Proxies tell upstreams in such headers who the client is, what it requested and how it authenticated, each
//! under its own names, and upstreams trust them. So a name is recognised by the words at its end, whatever
//! comes before: `CF-Connecting-IP`, `Fastly-Client-IP` and `X-Azure-ClientIP` all are the client's address.

use http::HeaderName;

use crate::request::{after_letters, reads_as};

/// Names that are compared as a whole. `Proxy` sets the proxy of CGI programs (CVE-2016-5385, httpoxy).
const WHOLE: [&str; 10] = [
    "dapr-app-id",
    "https",
    "proxy",
    "x-host",
    "x-https",
    "x-prefix",
    "x-request-id",
    "x-scheme",
    "x-ssl",
    "x-vdirs",
];

/// How the names begin in which the plug-in of `WebSphere` tells who the user is, and what was asked for.
const WEBSPHERE: &[u8] = b"$ws";

/// Longer names are treated as such headers and removed.
const LONGEST: usize = 256;

/// Words with which a name matches whatever follows. Envoy removes its own from what comes from outside; Linkerd chooses a
/// service by those with `dtab`, and Zope's virtual hosts are told with `vhm`.
const BEGINNINGS: [&str; 8] = [
    "clientcert",
    "dtab",
    "envoy",
    "forwarded",
    "middlewaresubrequest",
    "modcfml",
    "sslclient",
    "vhm",
];

/// How the names of an object's own metadata begin, which stores keep and give back and nobody else reads.
const METADATA: [&str; 16] = [
    "x-account-meta-",
    "x-amz-meta-",
    "x-archive-meta-",
    "x-bce-meta-",
    "x-bz-info-",
    "x-container-meta-",
    "x-cos-meta-",
    "x-goog-meta-",
    "x-ms-meta-",
    "x-object-meta-",
    "x-obs-meta-",
    "x-oss-meta-",
    "x-remove-account-meta-",
    "x-remove-container-meta-",
    "x-remove-object-meta-",
    "x-tos-meta-",
];

/// What may follow a final `IP`.
const MORE_OF_AN_ADDRESS: [&str; 4] = ["v4", "v6", "addr", "address"];

/// Names that proxies and applications are known to use, for `vestibule explain`.
pub const OF_THE_CONNECTION: [&str; 116] = [
    "cdn-src-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "cloudfront-viewer-address",
    "dapr-app-id",
    "document-root",
    "dtab-local",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "front-end-https",
    "k-original-host",
    "knative-serving-namespace",
    "knative-serving-revision",
    "l5d-dst-override",
    "l5d-dtab",
    "path-info",
    "path-translated",
    "proxy",
    "proxy-client-ip",
    "remote-addr",
    "request-base",
    "request-uri",
    "script-filename",
    "script-name",
    "ssl-client-cert",
    "ssl-client-s-dn",
    "ssl-client-verify",
    "true-client-ip",
    "x-accel-mapping",
    "x-appengine-remote-addr",
    "x-appengine-user-ip",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-astro-path",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-coming-from",
    "x-cyclops-path",
    "x-envoy-decorator-operation",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-dst-host",
    "x-envoy-original-path",
    "x-forward-for",
    "x-forwarded",
    "x-host",
    "x-http-host",
    "x-http-host-override",
    "x-ingress-path",
    "x-invoke-path",
    "x-istio-attributes",
    "x-matched-path",
    "x-middleware-subrequest",
    "x-nf-client-connection-ip",
    "x-now-route-matches",
    "x-orig-host",
    "x-orig-path",
    "x-orig-uri",
    "x-orig-url",
    "x-origin-path",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-method",
    "x-original-path",
    "x-original-prefix",
    "x-original-uri",
    "x-original-url",
    "x-originating-ip",
    "x-override-url",
    "x-path-info",
    "x-path-prefix",
    "x-proxy-host",
    "x-proxy-prefix",
    "x-proxyuser-ip",
    "x-real-host",
    "x-real-ip",
    "x-real-path",
    "x-real-uri",
    "x-real-url",
    "x-remote-addr",
    "x-remote-ip",
    "x-replaced-path",
    "x-request-id",
    "x-request-path",
    "x-request-uri",
    "x-rewrite-uri",
    "x-rewrite-url",
    "x-rewritten-url",
    "x-root-path",
    "x-scheme",
    "x-script-name",
    "x-script-path",
    "x-script-prefix",
    "x-sendfile",
    "x-sendfile-type",
    "x-ssl-client-cert",
    "x-stripped-prefix",
    "x-tomcat-docroot",
    "x-traversal-path",
    "x-unencoded-url",
    "x-url-prefix",
    "x-url-scheme",
    "x-vercel-path",
    "x-vhm-host",
    "x-vhm-root",
    "x-vhm-skin",
    "x-virtual-host",
    "x-waws-unencoded-url",
    "x-webserver-context",
];

/// Whether a header describes the connection, also for a reader that folds signs. Allocates nothing.
pub fn is_of_the_connection(name: &HeaderName) -> bool {
    let bytes = name.as_str().as_bytes();
    // Bounds the work: each word of a name is compared with every known one.
    if bytes.len() > LONGEST {
        return true;
    }
    // Words begin at a letter or digit; otherwise a run of signs would be scanned once for each of them.
    let begins_word =
        |at: usize| bytes[at].is_ascii_alphanumeric() && (at == 0 || !bytes[at - 1].is_ascii_alphanumeric());
    if METADATA
        .iter()
        .any(|beginning| bytes.starts_with(beginning.as_bytes()))
    {
        return false;
    }
    bytes.starts_with(WEBSPHERE)
        || WHOLE.iter().any(|known| reads_as(name, known))
        || (0..bytes.len())
            .filter(|&at| begins_word(at))
            .any(|at| says_so(&bytes[at..]))
}

/// Endings that name the client, its address or its certificate.
const OF_THE_CLIENT: [&str; 17] = [
    "clientaddr",
    "clientaddress",
    "clientcn",
    "clientdn",
    "clienthost",
    "clientidn",
    "clientip",
    "clientport",
    "clientscn",
    "clientsdn",
    "clientsubject",
    "clientverified",
    "clientverify",
    "comingfrom",
    "connectingip",
    "connectionip",
    "contextpath",
];

/// Returns the endings that match, by their first letter, written without the signs between words.
fn ends(first: u8) -> &'static [&'static str] {
    match first {
        b'a' => &[
            "accelinternal",
            "accelmapping",
            "accelredirect",
            "applicationprefix",
            "applicationroot",
            "appprefix",
            "approot",
            "arrssl",
            "astropath",
        ],
        b'b' => &["basepath", "baseprefix"],
        b'c' => &OF_THE_CLIENT,
        b'd' => &[
            "dbfilter",
            "docroot",
            "documentroot",
            "documenturi",
            "dstoverride",
        ],
        b'e' => &["externaladdress", "externalip"],
        b'f' => &[
            "forwardfor",
            "forwardserver",
            "forwardssl",
            "frontendhttps",
            "fwdfor",
            "fwdserver",
        ],
        b'h' => &["hostoverride"],
        b'i' => &["istioattributes"],
        b'm' => &["mountpoint"],
        b'n' => &["nowroutematches"],
        b'o' => &[
            "originaldsthost",
            "originalmethod",
            "originatingip",
            "originip",
            "origmethod",
        ],
        b'p' => &[
            "pathbase",
            "pathinfo",
            "pathoverride",
            "pathprefix",
            "pathtranslated",
            "peeraddr",
            "peeraddress",
            "peerip",
            "proxiedfor",
            "proxycontextpath",
            "proxyprefix",
            "proxyuserip",
            "pseudoip",
        ],
        b'r' => &[
            "realip",
            "realmethod",
            "remoteaddr",
            "remoteaddress",
            "remotehost",
            "remoteip",
            "remoteport",
            "requestbase",
            "rstudiorequest",
        ],
        b's' => &[
            "scriptfilename",
            "scriptname",
            "scriptprefix",
            "sendfile",
            "sendfiletype",
            "servingnamespace",
            "servingrevision",
            "socketip",
            "sourceaddr",
            "sourceaddress",
            "sourceip",
            "srcip",
            "sslcert",
            "sslissuer",
            "sslsubject",
            "sslverified",
            "sslverify",
        ],
        b'u' => &[
            "urioverride",
            "uriprefix",
            "urloverride",
            "urlprefix",
            "urlscheme",
            "useraddr",
            "userip",
        ],
        b'v' => &["vieweraddress", "viewerip"],
        b'w' => &["webservercontext"],
        _ => &[],
    }
}

/// Words that say whose part of an address follows: the request's own, before some proxy changed it, or the one that a proxy
/// asks the application to take.
fn qualifiers(first: u8) -> &'static [&'static str] {
    match first {
        b'c' => &["cyclops"],
        b'f' => &["forward", "fwd"],
        b'h' => &["http"],
        b'i' => &["ingress", "invoke"],
        b'm' => &["matched", "mount"],
        b'o' => &["orig", "origin", "original", "overridden", "override"],
        b'p' => &["proxied", "proxy"],
        b'r' => &[
            "real",
            "replaced",
            "request",
            "requested",
            "rewrite",
            "rewritten",
            "root",
        ],
        b's' => &["script", "stripped"],
        b't' => &["traversal"],
        b'u' => &["unencoded"],
        b'v' => &["vercel", "vhost", "virtual"],
        _ => &[],
    }
}

/// The parts of an address that they are said of.
const PARTS: [&str; 16] = [
    "args",
    "host",
    "hostname",
    "path",
    "pathbase",
    "pathname",
    "port",
    "prefix",
    "proto",
    "protocol",
    "query",
    "querystring",
    "root",
    "scheme",
    "uri",
    "url",
];

/// Whether these last words of a name match.
fn says_so(words: &[u8]) -> bool {
    let Some(&first) = words.first() else {
        return false;
    };
    let is_over = |rest: &[u8], last: &str| {
        let rest = after_letters(rest, last);
        rest.is_some_and(|rest| !rest.iter().any(u8::is_ascii_alphanumeric))
    };
    let mut ends = ends(first).iter();
    let mut qualifiers = qualifiers(first).iter();
    let mut beginnings = BEGINNINGS.iter();
    ends.any(|end| {
        after_letters(words, end).is_some_and(|rest| {
            is_over(rest, "")
                || end.ends_with("ip") && MORE_OF_AN_ADDRESS.iter().any(|more| is_over(rest, more))
        })
    }) || qualifiers.any(|qualifier| {
        after_letters(words, qualifier).is_some_and(|rest| PARTS.iter().any(|part| is_over(rest, part)))
    }) || beginnings.any(|beginning| after_letters(words, beginning).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_removed(name: &str) -> bool {
        is_of_the_connection(&name.parse().unwrap())
    }

    #[test]
    fn s42_names_that_proxies_use_are_told_by_their_words() {
        for name in OF_THE_CONNECTION {
            assert!(is_removed(name), "{name}");
            for sign in ["_", ".", "~", "!"] {
                assert!(is_removed(&name.replace('-', sign)), "{name} {sign}");
            }
        }
        for name in [
            "X-Forwarded-Prefix",
            "X-Forwarded-Client-Cert",
            "X-ForwardedFor",
            "X-Vercel-Forwarded-For",
            "X-Vercel-Proxied-For",
            "Forwarded-For-Ip",
            "WL-Proxy-Client-IP",
            "Ali-CDN-Real-IP",
            "DO-Connecting-IP",
            "Incap-Client-IP",
            "X-Sucuri-ClientIP",
            "X-Whatever-Comes-Next-Client-Ip",
            "X-ClientIPv6",
            "X-Client-IP-",
            "X-Remote-Ip-Address",
            "ClientIP",
            "X-True-Client_Ip",
            "Remote.Host",
            "X-Original-Request-Uri",
            "X-Host-Override",
            "Https",
            "X-Ssl",
            "X-Client-Verify",
            "X-Client-DN",
            "X-Client-S-DN",
            "X-Client-CN",
            "X_Client_S_CN",
            "X-Amzn-Mtls-Clientcert-Subject",
            "X-Client-Cert-Serial",
            "X-ARR-ClientCert-Subject",
            "X-SSL-Cert",
            "X-SSL-Verified",
            "X-Forward-Uri",
            "X-Envoy-Original-Dst-Host",
            "X-Source-Address",
            "X-Context-Path",
            "X-ProxyContextPath",
            "X-Proxy-Path",
            "X-Base-Path",
            "X-Override-URL",
            "X-Waws-Unencoded-URL",
            "X-Unencoded-Url",
            "X-Rewritten-Url",
            "X-Matched-Path",
            "X-Invoke-Path",
            "X-Replaced-Path",
            "X-Vhm-Root",
            "X_Vhm_Root",
            "X-Traversal-Path",
            "x-astro-path",
            "X-Origin-Path",
            "Wl-Proxy-Url",
            "$WSRU",
            "$WSCC",
            &"x".repeat(LONGEST + 1),
        ] {
            assert!(is_removed(name), "{name}");
        }
    }

    #[test]
    fn s42_names_by_which_applications_choose_a_path_or_a_host() {
        for name in [
            "X-Vhm-Host",
            "x_vhm~host",
            "X-Vhm-Skin",
            "X-Vhm-Comes-Next",
            "X-Url-Prefix",
            "X-UrlPrefix",
            "X_URL_PREFIX",
            "X-Uri-Prefix",
            "X-Path-Prefix",
            "X-Script-Prefix",
            "X-Proxy-Prefix",
            "X-Stripped-Prefix",
            "X-Original-Prefix",
            "X-Prefix",
            "x_prefix",
            "X-ScriptPrefix",
            "X-ProxyPrefix",
            "X-PathPrefix",
            "X-Ingress-Prefix",
            "X-Base-Prefix",
            "X-App-Prefix",
            "X-Application-Prefix",
            "X-Mount-Prefix",
            "X-Root-Prefix",
            "X-Forwarded-Prefix",
            "X-Whatever-Comes-Next-Url-Prefix",
            "X-Real-URL",
            "X-Real-URI",
            "X-RealUrl",
            "X-Real-Path",
            "X-Real-Host",
            "X-Orig-Host",
            "Fastly-Orig-Host",
            "X-Orig-Url",
            "X-Orig-Uri",
            "X-Orig-Path",
            "X-Original-PathBase",
            "X-Original-Query-String",
            "X-Netlify-Original-Pathname",
            "X-Rewrite-Host",
            "X-Override-Host",
            "X-Path-Override",
            "X-Vercel-Path",
            "X-Now-Route-Matches",
            "X-Cyclops-Path",
            "X-Http-Host",
            "Http-Host",
            "X-Proxy-Host",
            "X-Proxied-Host",
            "X-Virtual-Host",
            "X-VirtualHost",
            "X-Vhost-Path",
            "X-CouchDB-Vhost-Path",
            "X-CouchDB-Requested-Path",
            "X-Request-Path",
            "X-Request-Base",
            "Request-Base",
            "X-Root-Path",
            "X-RStudio-Root-Path",
            "X-RStudio-Request",
            "X-Mount-Path",
            "X-Mount-Point",
            "X-Application-Root",
            "X-Fwd-Host",
            "X-Fwd-For",
            "X-Forward-Path",
            "X-Invoke-Query",
            "l5d-dst-override",
            "l5d-dtab",
            "l5d-ctx-dtab",
            "Dtab-Local",
            "dapr-app-id",
            "dapr_app_id",
            "Knative-Serving-Revision",
            "Knative-Serving-Namespace",
            "K-Original-Host",
            "X-Envoy-Decorator-Operation",
            "X-Envoy-Upstream-Rq-Timeout-Ms",
            "X-Istio-Attributes",
            "X-Webserver-Context",
            "X-Tomcat-DocRoot",
            "X-ModCFML-SharedKey",
            "X-VDirs",
            "X-Middleware-Subrequest",
            "Document-Root",
            "Document-Uri",
            "Script-Filename",
            "X-Sendfile",
            "X-Accel-Redirect",
            "X-Odoo-Dbfilter",
        ] {
            assert!(is_removed(name), "{name}");
        }
    }

    #[test]
    fn s42_metadata_of_objects_passes_whatever_it_is_called() {
        for name in [
            "X-Amz-Meta-Original-Path",
            "X-Amz-Meta-Url-Prefix",
            "x-goog-meta-client-ip",
            "x-ms-meta-original_url",
            "X-Object-Meta-Request-Uri",
            "X-Container-Meta-Host",
            "X-Obs-Meta-Original-Path",
            "X-Tos-Meta-Original-Path",
            "X-Archive-Meta-Original-Url",
            "X-Bz-Info-Original-Path",
            "X-Remove-Container-Meta-Original-Path",
            "X-Remove-Object-Meta-Original-Path",
            "X-Remove-Account-Meta-Original-Path",
        ] {
            assert!(!is_removed(name), "{name}");
        }
        let long = format!("x-amz-meta-{}", "x".repeat(LONGEST));
        assert!(is_removed(&long));
        assert!(is_removed("x_amz_meta_original_path"));
    }

    #[test]
    fn s42_what_applications_use_passes() {
        for name in [
            "Accept",
            "Accept-Language",
            "Access-Control-Request-Headers",
            "Access-Control-Request-Method",
            "Authorization",
            "Content-Length",
            "Content-Type",
            "Cookie",
            "Depth",
            "Destination",
            "Dropbox-API-Path-Root",
            "Grpc-Timeout",
            "HX-Current-URL",
            "Host",
            "Idempotency-Key",
            "If-None-Match",
            "Knative-Serving-Tag",
            "Next-Url",
            "OC-Total-Length",
            "Origin",
            "Overwrite",
            "Prefer",
            "Referer",
            "SOAPAction",
            "Sec-Fetch-Site",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Protocol",
            "Traceparent",
            "Tus-Resumable",
            "Upload-Concat",
            "Upload-Metadata",
            "User-Agent",
            "Via",
            "google-cloud-resource-prefix",
            "X-Accel-Buffering",
            "X-Account-Address",
            "X-Amz-Content-Sha256",
            "X-Amz-Copy-Source",
            "X-Amz-Date",
            "X-Amz-Target",
            "X-Amzn-Trace-Id",
            "X-BackendAI-Version",
            "X-Client-Id",
            "X-Client-Ip-Version",
            "X-Client-Ipsum",
            "X-Client-Cnonce",
            "X-Client-Name",
            "X-Client-Uncertain",
            "X-Client-Version",
            "X-Copy-From",
            "X-Correlation-Id",
            "X-Csrf-Token",
            "X-Database-Path",
            "X-Database-Prefix",
            "X-Email-Address",
            "X-Forward-To",
            "X-Goog-Api-Client",
            "X-HTTP-Method-Override",
            "X-Host-Id",
            "X-Ip-Version",
            "X-Key-Prefix",
            "X-Membership",
            "X-Middleware-Prefetch",
            "X-Ms-Copy-Source",
            "X-Nextjs-Data",
            "X-OC-Mtime",
            "X-Original-Content-Length",
            "X-Original-Filename",
            "X-PJAX-Container",
            "X-Path",
            "X-Patient-Ip",
            "X-Proxy-Cache",
            "X-Real-Name",
            "X-Remote-User",
            "X-Request-Start",
            "X-Requested-With",
            "X-Source",
            "X-Stream-Protocol-Version",
            "X-Sveltekit-Pathname",
            "X-Target-Url",
            "X-Transcript-Name",
            "X-Unreal-Ip",
            "X-Upload-Path",
            "X-User-Agent",
            "X-User-Id",
            "X-Vhost",
            "X-Virtual-Machine",
            "X-Zip",
        ] {
            assert!(!is_removed(name), "{name}");
        }
    }
}
