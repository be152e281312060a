//! HTTP Strict Transport Security (RFC 6797).

use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderMap, HeaderValue};

use crate::request::Host;

/// One year, in seconds.
const ONE_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Sets the header of a response for `host`, or removes the application's. `is_tls` says whether this gateway
/// terminates TLS, and `real_certificate` whether browsers know its authority.
pub(super) fn apply(headers: &mut HeaderMap, host: &Host, is_tls: bool, real_certificate: bool) {
    match (is_tls, is_public_name(host)) {
        (true, true) if real_certificate => {
            headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(ONE_YEAR);
        }
        // The certificate is the proxy's, and whether browsers know it too.
        (false, true) => {}
        // An application's would outlive the trial, for every port of the machine.
        _ => {
            headers.remove(STRICT_TRANSPORT_SECURITY);
        }
    }
}

/// Whether a host may have the header: IP addresses may not (section 8.1.1), and loopback names should not.
fn is_public_name(host: &Host) -> bool {
    let name = host.as_str();
    !host.is_loopback() && !name.starts_with('[') && name.parse::<std::net::Ipv4Addr>().is_err()
}
