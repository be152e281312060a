//! Recognises headers that describe the client's connection or the original target of a request (S42).
//!
//! Proxies tell upstreams in such headers who the client is, what it requested and how it authenticated, each
//! under its own names, and upstreams trust them. So a name is recognised by the words at its end, whatever
//! comes before: `CF-Connecting-IP`, `Fastly-Client-IP` and `X-Azure-ClientIP` all are the client's address.

use http::HeaderName;

use crate::request::reads_as;

/// Names that are compared as a whole. `Proxy` sets the proxy of CGI programs (CVE-2016-5385, httpoxy).
const WHOLE: [&str; 7] = [
    "https",
    "proxy",
    "x-host",
    "x-https",
    "x-request-id",
    "x-scheme",
    "x-ssl",
];

/// How the names begin in which the plug-in of `WebSphere` tells who the user is, and what was asked for.
const WEBSPHERE: &[u8] = b"$ws";

/// Longer names are treated as such headers and removed.
const LONGEST: usize = 256;

/// Words with which a name matches whatever follows.
const BEGINNINGS: [&str; 3] = ["clientcert", "forwarded", "sslclient"];

/// What may follow a final `IP`.
const MORE_OF_AN_ADDRESS: [&str; 4] = ["v4", "v6", "addr", "address"];

/// Names that proxies and applications are known to use, for `vestibule explain`.
pub const OF_THE_CONNECTION: [&str; 75] = [
    "cdn-src-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "cloudfront-viewer-address",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "front-end-https",
    "path-info",
    "path-translated",
    "proxy",
    "proxy-client-ip",
    "remote-addr",
    "request-uri",
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
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-path",
    "x-forward-for",
    "x-forwarded",
    "x-host",
    "x-http-host-override",
    "x-ingress-path",
    "x-invoke-path",
    "x-matched-path",
    "x-nf-client-connection-ip",
    "x-origin-path",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-method",
    "x-original-path",
    "x-original-uri",
    "x-original-url",
    "x-originating-ip",
    "x-override-url",
    "x-path-info",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-replaced-path",
    "x-request-id",
    "x-request-uri",
    "x-rewrite-uri",
    "x-rewrite-url",
    "x-rewritten-url",
    "x-scheme",
    "x-script-name",
    "x-script-path",
    "x-sendfile-type",
    "x-ssl-client-cert",
    "x-traversal-path",
    "x-unencoded-url",
    "x-url-scheme",
    "x-vhm-root",
    "x-waws-unencoded-url",
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
    bytes.starts_with(WEBSPHERE)
        || WHOLE.iter().any(|known| reads_as(name, known))
        || (0..bytes.len())
            .filter(|&at| begins_word(at))
            .any(|at| says_so(&bytes[at..]))
}

/// Endings that name the client, its address or its certificate.
const OF_THE_CLIENT: [&str; 15] = [
    "clientaddr",
    "clientaddress",
    "clientdn",
    "clienthost",
    "clientidn",
    "clientip",
    "clientport",
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
        b'a' => &["accelmapping", "arrssl", "astropath"],
        b'b' => &["basepath"],
        b'c' => &OF_THE_CLIENT,
        b'e' => &["envoyinternal", "externaladdress", "externalip"],
        b'f' => &[
            "forwardfor",
            "forwardhost",
            "forwardport",
            "forwardproto",
            "forwardscheme",
            "forwarduri",
            "forwardurl",
            "frontendhttps",
        ],
        b'h' => &["hostoverride"],
        b'i' => &["ingresspath", "invokepath"],
        b'm' => &["matchedpath"],
        b'o' => &[
            "originaldsthost",
            "originalhost",
            "originalmethod",
            "originalpath",
            "originalport",
            "originalproto",
            "originalquery",
            "originalscheme",
            "originaluri",
            "originalurl",
            "originatingip",
            "originip",
            "originpath",
            "overrideuri",
            "overrideurl",
        ],
        b'p' => &[
            "pathinfo",
            "pathtranslated",
            "peeraddr",
            "peeraddress",
            "peerip",
            "proxiedfor",
            "proxycontextpath",
            "proxypath",
            "proxyuserip",
            "pseudoip",
        ],
        b'r' => &[
            "realip",
            "realhost",
            "remoteaddr",
            "remoteaddress",
            "remotehost",
            "remoteip",
            "remoteport",
            "replacedpath",
            "requesturi",
            "requesturl",
            "rewritepath",
            "rewrittenuri",
            "rewrittenurl",
            "rewriteuri",
            "rewriteurl",
        ],
        b's' => &[
            "scriptname",
            "scriptpath",
            "scripturi",
            "scripturl",
            "sendfiletype",
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
        b't' => &["traversalpath"],
        b'u' => &["unencodeduri", "unencodedurl", "urlscheme", "useraddr", "userip"],
        b'v' => &["vhmroot", "vieweraddress", "viewerip"],
        _ => &[],
    }
}

/// Whether these last words of a name match.
fn says_so(words: &[u8]) -> bool {
    let Some(&first) = words.first() else {
        return false;
    };
    let ends = ends(first).iter().any(|end| {
        after(words, end).is_some_and(|rest| {
            let is_over =
                |more| after(rest, more).is_some_and(|rest| !rest.iter().any(u8::is_ascii_alphanumeric));
            is_over("") || end.ends_with("ip") && MORE_OF_AN_ADDRESS.iter().any(|more| is_over(more))
        })
    });
    ends || BEGINNINGS
        .iter()
        .any(|beginning| after(words, beginning).is_some())
}

/// Returns what follows `letters` in `words`, skipping the signs between them.
fn after<'w>(mut words: &'w [u8], letters: &str) -> Option<&'w [u8]> {
    for letter in letters.bytes() {
        while let [sign, rest @ ..] = words
            && !sign.is_ascii_alphanumeric()
        {
            words = rest;
        }
        words = words.strip_prefix(&[letter])?;
    }
    Some(words)
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
            "$WSRU",
            "$WSCC",
            &"x".repeat(LONGEST + 1),
        ] {
            assert!(is_removed(name), "{name}");
        }
    }

    #[test]
    fn s42_what_applications_use_passes() {
        for name in [
            "Accept",
            "Accept-Language",
            "Authorization",
            "Content-Length",
            "Content-Type",
            "Cookie",
            "Destination",
            "Grpc-Timeout",
            "Host",
            "Idempotency-Key",
            "If-None-Match",
            "Origin",
            "Referer",
            "Sec-Fetch-Site",
            "Sec-WebSocket-Key",
            "Traceparent",
            "User-Agent",
            "Via",
            "X-Account-Address",
            "X-Amz-Content-Sha256",
            "X-Amzn-Trace-Id",
            "X-Client-Id",
            "X-Client-Ip-Version",
            "X-Client-Ipsum",
            "X-Client-Name",
            "X-Client-Uncertain",
            "X-Database-Path",
            "X-Client-Version",
            "X-Correlation-Id",
            "X-Csrf-Token",
            "X-Email-Address",
            "X-Forward-To",
            "X-Goog-Api-Client",
            "X-Host-Id",
            "X-Ip-Version",
            "X-Membership",
            "X-Original-Content-Length",
            "X-Original-Filename",
            "X-Patient-Ip",
            "X-Path",
            "X-Proxy-Cache",
            "X-Real-Name",
            "X-Remote-User",
            "X-Request-Start",
            "X-Requested-With",
            "X-Source",
            "X-Transcript-Name",
            "X-Unreal-Ip",
            "X-User-Agent",
            "X-User-Id",
            "X-Zip",
        ] {
            assert!(!is_removed(name), "{name}");
        }
    }
}
