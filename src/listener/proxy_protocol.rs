//! Reads PROXY protocol headers, versions 1 and 2, which a load balancer may send before TLS.
//!
//! Specification: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. Reads not one byte beyond
//! the header, because TLS follows. That is most of the work; the crate `ppp` would only replace the twenty
//! lines that parse the header.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use super::stream::Untouched;
use crate::request::parse_decimal;

/// Longest header of version 1, with its line break.
const MAX_TEXT: usize = 107;

/// Longest variable part of version 2 that is accepted: addresses and a few extensions.
const MAX_BINARY: usize = 2048;

/// How a header of version 1 begins.
const TEXT: &[u8] = b"PROXY ";

/// Signature of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Reads a header if the connection begins with one, and returns the source address. `None` without a header,
/// or if the connection is the proxy's own.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match first[0] {
        // Methods of HTTP begin so too, where there is no TLS.
        b'P' if Untouched::Tcp(stream).begins_with(TEXT).await? => read_text(stream).await,
        b'\r' => read_binary(stream).await,
        _ => Ok(None),
    }
}

async fn read_text(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut line = Vec::with_capacity(MAX_TEXT);
    // Byte by byte, because bytes beyond the line break belong to TLS.
    while !line.ends_with(b"\r\n") {
        if line.len() == MAX_TEXT {
            return Err(malformed());
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line[..line.len() - 2]).map_err(|_| malformed())?;
    let fields: Vec<&str> = line.split(' ').collect();
    match fields[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4", source, destination, from, to] => {
            destination.parse::<Ipv4Addr>().map_err(|_| malformed())?;
            ports(from, to)?;
            let source: Ipv4Addr = source.parse().map_err(|_| malformed())?;
            Ok(Some(source.into()))
        }
        ["PROXY", "TCP6", source, destination, from, to] => {
            destination.parse::<Ipv6Addr>().map_err(|_| malformed())?;
            ports(from, to)?;
            let source: Ipv6Addr = source.parse().map_err(|_| malformed())?;
            Ok(Some(source.into()))
        }
        _ => Err(malformed()),
    }
}

fn ports(from: &str, to: &str) -> io::Result<()> {
    for port in [from, to] {
        parse_decimal::<u16>(port).ok_or_else(malformed)?;
    }
    Ok(())
}

async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut fixed = [0; 16];
    stream.read_exact(&mut fixed).await?;
    let [signature @ .., version_command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if signature != SIGNATURE || length > MAX_BINARY {
        return Err(malformed());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (version_command, family) {
        (0x21, 0x11) => Ok(Some(IpAddr::from(source::<4>(&rest, 12)?))),
        (0x21, 0x21) => Ok(Some(IpAddr::from(source::<16>(&rest, 36)?))),
        // LOCAL marks the proxy's own connection, such as a health check; family 0 means unknown.
        (0x20, _) | (0x21, 0x00) => Ok(None),
        _ => Err(malformed()),
    }
}

/// Returns the source address at the start of a block, which must have at least `least` bytes.
fn source<const N: usize>(rest: &[u8], least: usize) -> io::Result<[u8; N]> {
    match rest.first_chunk() {
        Some(address) if rest.len() >= least => Ok(*address),
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a malformed PROXY header")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(header: &str) -> io::Result<Option<IpAddr>> {
        let mut bytes = header.as_bytes();
        let named = read_text(&mut bytes).await?;
        assert_eq!(bytes, b"\x16rest", "it takes the header and no more");
        Ok(named)
    }

    #[tokio::test]
    async fn version_1() {
        for (header, named) in [
            (
                "PROXY TCP4 203.0.113.9 10.0.0.1 4711 443",
                "203.0.113.9".parse().ok(),
            ),
            (
                "PROXY TCP6 2001:db8::7 fd00::1 4711 443",
                "2001:db8::7".parse().ok(),
            ),
            ("PROXY UNKNOWN", None),
        ] {
            assert_eq!(text(&format!("{header}\r\n\x16rest")).await.unwrap(), named);
        }
        for bad in [
            "PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 1 02\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 1\r\n",
            "PROXY  TCP4 203.0.113.9 10.0.0.1 1 2\r\n",
            "POST / HTTP/1.1\r\n",
            "PROXY TCP4 203.0.113.9",
        ] {
            assert!(text(bad).await.is_err(), "{bad}");
        }
        let endless = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
        assert!(text(&endless).await.is_err());
    }

    async fn binary(command: u8, family: u8, block: &[u8]) -> io::Result<Option<IpAddr>> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
        header.extend(block);
        header.extend(b"\x16rest");
        let mut bytes = header.as_slice();
        let named = read_binary(&mut bytes).await?;
        assert_eq!(bytes, b"\x16rest", "it takes the header and no more");
        Ok(named)
    }

    #[tokio::test]
    async fn version_2() {
        let v4 = [203, 0, 113, 9, 10, 0, 0, 1, 0, 1, 1, 187];
        let named = "203.0.113.9".parse().ok();
        assert_eq!(binary(0x21, 0x11, &v4).await.unwrap(), named);
        let with_extension = [&v4[..], &[4, 0, 1, 0]].concat();
        assert_eq!(binary(0x21, 0x11, &with_extension).await.unwrap(), named);
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(binary(0x21, 0x21, &v6).await.unwrap(), "2001:db8::".parse().ok());
        assert_eq!(binary(0x20, 0x00, &[]).await.unwrap(), None);
        for (what, bad) in [
            ("too short for its family", binary(0x21, 0x11, &v4[..8]).await),
            ("an unknown version", binary(0x31, 0x11, &v4).await),
            ("no internet address", binary(0x21, 0x31, &[0; 216]).await),
            ("too long", binary(0x21, 0x11, &[0; MAX_BINARY + 1]).await),
        ] {
            assert!(bad.is_err(), "{what}");
        }
    }
}
