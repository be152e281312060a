//! Determines the client's address from `X-Forwarded-For`.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

use crate::request::ClientAddress;

/// Returns the client: the peer, or if that is a trusted proxy, the one in `X-Forwarded-For`.
///
/// Scans the list from its right end, where the nearest proxy appends. The first address that is not a
/// trusted proxy's is the client's; what is left of it may be forged. If the list ends or is malformed, the
/// last address that a trusted proxy vouched for counts, but is a proxy's: the client's is not known.
pub fn forwarded(peer: &ClientAddress, headers: &HeaderMap, trusted: &[IpNet]) -> ClientAddress {
    if !peer.through_trusted_proxy {
        return peer.clone();
    }
    let (address, is_known) = named_by_proxies(peer.address, headers, trusted);
    ClientAddress {
        address,
        is_known,
        ..*peer
    }
}

/// Returns the last address that a trusted proxy vouched for, and whether it is no proxy's.
fn named_by_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> (IpAddr, bool) {
    let mut address = peer;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for entry in value.as_bytes().rsplit(|&byte| byte == b',') {
            // Empty elements are skipped (RFC 9110, section 5.6.1).
            if entry.trim_ascii().is_empty() {
                continue;
            }
            let Some(named) = std::str::from_utf8(entry).ok().and_then(parse) else {
                return (address, false);
            };
            address = named;
            if !is_trusted(address, trusted) {
                return (address, true);
            }
        }
    }
    (address, false)
}

/// Whether an address belongs to a trusted proxy.
pub(super) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// Parses an address, with or without the port and quotes that some proxies add.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let quoted = entry.strip_prefix('"').and_then(|entry| entry.strip_suffix('"'));
    let entry = quoted.unwrap_or(entry);
    let address = entry
        .parse()
        .or_else(|_| entry.parse().map(|socket: std::net::SocketAddr| socket.ip()))
        .or_else(|_| entry.trim_start_matches('[').trim_end_matches(']').parse());
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn resolve(peer: &str, lines: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let address = peer.parse().unwrap();
        let client = ClientAddress {
            address,
            through_trusted_proxy: is_trusted(address, &trusted),
            is_known: !is_trusted(address, &trusted),
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let client = forwarded(&client, &headers, &trusted);
        let mark = if client.is_known { "" } else { " of a proxy" };
        format!("{}{mark}", client.address)
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy() {
        assert_eq!(resolve("10.0.0.1", &["6.6.6.6, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            resolve("10.0.0.1", &["6.6.6.6, 203.0.113.9,10.2.3.4"]),
            "203.0.113.9"
        );
        assert_eq!(resolve("10.0.0.1", &["6.6.6.6", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(resolve("fd00::1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses() {
        assert_eq!(resolve("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(resolve("10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(resolve("10.0.0.1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(resolve("10.0.0.1", &["::ffff:203.0.113.9"]), "203.0.113.9");
        assert_eq!(resolve("10.0.0.1", &["\"[2001:db8::7]:4711\""]), "2001:db8::7");
        assert_eq!(resolve("10.0.0.1", &["\"2001:db8::7\""]), "2001:db8::7");
    }

    #[test]
    fn empty_elements_say_nothing() {
        assert_eq!(resolve("10.0.0.1", &["203.0.113.9,"]), "203.0.113.9");
        assert_eq!(resolve("10.0.0.1", &["203.0.113.9, , 10.2.3.4"]), "203.0.113.9");
        assert_eq!(resolve("10.0.0.1", &["203.0.113.9", ""]), "203.0.113.9");
    }

    #[test]
    fn a_peer_that_is_no_proxy_is_not_believed() {
        assert_eq!(resolve("203.0.113.9", &["6.6.6.6"]), "203.0.113.9");
    }

    #[test]
    fn what_makes_no_sense_ends_the_list() {
        assert_eq!(resolve("10.0.0.1", &[]), "10.0.0.1 of a proxy");
        assert_eq!(resolve("10.0.0.1", &["6.6.6.6, unknown"]), "10.0.0.1 of a proxy");
        assert_eq!(resolve("10.0.0.1", &["10.9.9.9"]), "10.9.9.9 of a proxy");
    }
}
