//! Recognises headers that describe the client's connection or the original target of a request (S42).
//!
//! Proxies tell upstreams in such headers who the client is, what it requested and how it authenticated, each
//! under its own names, and upstreams trust them. So a name is recognised by the words at its end, whatever
//! comes before: `CF-Connecting-IP`, `Fastly-Client-IP` and `X-Azure-ClientIP` all are the client's address.

use http::HeaderName;

use crate::request::{after_letters, reads_as, words};

/// Names that are compared as a whole. `Proxy` sets the proxy of CGI programs (CVE-2016-5385, httpoxy).
const WHOLE: [&str; 11] = [
    "dapr-app-id",
    "https",
    "proxy",
    "x-host",
    "x-hostname",
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
const BEGINNINGS: [&str; 9] = [
    "clientcert",
    "dtab",
    "envoy",
    "forwarded",
    "middlewaresubrequest",
    "modcfml",
    "sslclient",
    "vhm",
    "virtualhost",
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
pub const OF_THE_CONNECTION: [&str; 117] = [
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
    "x-outside-url",
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
    if METADATA
        .iter()
        .any(|beginning| bytes.starts_with(beginning.as_bytes()))
    {
        return false;
    }
    bytes.starts_with(WEBSPHERE)
        || WHOLE.iter().any(|known| reads_as(name, known))
        || words(name).any(says_so)
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
        b'b' => &["base"],
        b'c' => &["cyclops"],
        b'e' => &["external"],
        b'f' => &["forward", "fwd"],
        b'h' => &["http"],
        b'i' => &["ingress", "invoke"],
        b'm' => &["matched", "mount"],
        b'o' => &["orig", "origin", "original", "outside", "overridden", "override"],
        b'p' => &["proxied", "proxy", "public"],
        b'r' => &[
            "real",
            "replaced",
            "request",
            "requested",
            "rewrite",
            "rewritten",
            "root",
            "route",
        ],
        b's' => &["script", "site", "stripped"],
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
mod tests;
