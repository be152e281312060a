use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::*;
use crate::authenticate::signature::mac::Hex32;
use crate::authenticate::signature::sigv4::SigningKey;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A body in chunks, made as the published examples are.
struct ChunkedBody {
    bytes: Vec<u8>,
    key: SigningKey,
    last: [u8; 32],
}

const SCOPE: &str = "20260901/us-east-1/s3/aws4_request";

impl ChunkedBody {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            key: SigningKey::derive(SECRET, &format!("K/{SCOPE}")),
            last: [7; 32],
        }
    }

    fn sign(&mut self, what: &str, hashes: &[&[u8]]) -> String {
        let mut text = format!("{what}\n20260901T030405Z\n{SCOPE}\n").into_bytes();
        text.extend_from_slice(Hex32::of(&self.last).as_bytes());
        for piece in hashes {
            text.push(b'\n');
            text.extend_from_slice(Hex32::of(&Sha256::digest(piece).into()).as_bytes());
        }
        self.last = self.key.sign(&[&text]);
        String::from_utf8(Hex32::of(&self.last).as_bytes().to_vec()).unwrap()
    }

    fn chunk(mut self, data: &[u8]) -> Self {
        let signature = self.sign("AWS4-HMAC-SHA256-PAYLOAD", &[b"", data]);
        self.bytes
            .extend(format!("{:x};chunk-signature={signature}\r\n", data.len()).bytes());
        self.bytes.extend_from_slice(data);
        if !data.is_empty() {
            self.bytes.extend_from_slice(b"\r\n");
        }
        self
    }

    fn line(mut self, line: &str) -> Self {
        self.bytes.extend(format!("{line}\r\n").bytes());
        self
    }

    fn trailer(mut self, line: &str) -> Self {
        let signature = self.sign("AWS4-HMAC-SHA256-TRAILER", &[format!("{line}\n").as_bytes()]);
        self.line(line)
            .line(&format!("x-amz-trailer-signature:{signature}"))
    }

    fn chunks(form: Chunked, length: Option<u64>) -> Chunks {
        let key = SigningKey::derive(SECRET, &format!("K/{SCOPE}"));
        Chunks::new(form, Chain::new(key, "20260901T030405Z", SCOPE, [7; 32]), length)
    }
}

/// The content of a body that comes in pieces of this size.
fn decode(form: Chunked, bytes: &[u8], piece: usize, length: Option<u64>) -> Result<Vec<u8>, SignatureError> {
    let mut chunks = ChunkedBody::chunks(form, length);
    let mut content = VecDeque::new();
    for piece in bytes.chunks(piece) {
        chunks.push(piece.to_vec().into(), &mut content)?;
    }
    chunks.end()?;
    Ok(content.into_iter().flatten().collect())
}

#[test]
fn s38_every_chunk_and_the_trailer_are_checked() {
    let signed = ChunkedBody::new()
        .chunk(b"hello ")
        .chunk(b"world")
        .chunk(b"")
        .line("")
        .bytes;
    let trailed = ChunkedBody::new().chunk(b"hello ").chunk(b"world").chunk(b"");
    let trailed = trailed.trailer("x-amz-checksum-crc32c:sOO8/Q==").line("").bytes;
    let unsigned = b"6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\r\n\r\n";
    for (form, body) in [
        (Chunked::Signed, signed.as_slice()),
        (Chunked::SignedWithTrailer, &trailed),
        (Chunked::UnsignedWithTrailer, unsigned),
    ] {
        for piece in [1, 2, 7, 64, 1024] {
            assert_eq!(
                decode(form, body, piece, Some(11)),
                Ok(b"hello world".to_vec()),
                "{form:?} {piece}"
            );
        }
        assert_eq!(decode(form, body, 5, None), Ok(b"hello world".to_vec()));
        assert_eq!(decode(form, body, 5, Some(10)), Err(SignatureError::BodyDiffers));
        assert_eq!(decode(form, body, 5, Some(12)), Err(SignatureError::BodyDiffers));
        // Cut anywhere, it is incomplete.
        for end in 0..body.len() {
            assert!(decode(form, &body[..end], 5, None).is_err(), "{form:?} {end}");
        }
        let more = [body, b"x"].concat();
        assert!(decode(form, &more, 5, None).is_err());
    }
    for (form, body) in [(Chunked::Signed, &signed), (Chunked::SignedWithTrailer, &trailed)] {
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert!(decode(form, &changed, 9, None).is_err(), "{form:?} {at}");
        }
    }
}

#[test]
fn chunks_that_are_none() {
    let unsigned = |body: &str| decode(Chunked::UnsignedWithTrailer, body.as_bytes(), 3, None);
    for body in [
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "\r\n",
        "1\n",
        "1\r\nab\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nno colon\r\n\r\n",
    ] {
        assert!(unsigned(body).is_err(), "{body:?}");
    }
    assert!(unsigned(&format!("{}\r\n", "0".repeat(300))).is_err());
    assert!(unsigned(&format!("0\r\n{}\r\n\r\n", "a:b\r\n".repeat(3000))).is_err());
    let unsigned_trailer = ChunkedBody::new()
        .chunk(b"")
        .line("x-amz-checksum-crc32c:a")
        .line("")
        .bytes;
    assert_eq!(
        decode(Chunked::SignedWithTrailer, &unsigned_trailer, 9, None),
        Err(SignatureError::NotSigned("the trailer".into()))
    );
    assert_eq!(
        decode(Chunked::Signed, b"1\r\na\r\n0\r\n\r\n", 9, None),
        Err(SignatureError::NotSigned("a chunk".into()))
    );
}
