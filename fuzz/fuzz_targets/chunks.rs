//! Chunked bodies: no panics, content is shorter than the body, and splitting changes nothing.
#![no_main]

use std::collections::VecDeque;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vestibule::authenticate::signature::sigv4::{Chunked, SigV4Claim, SigningKey};
use vestibule_fuzz::{SECRET, Sent};

/// Any request head; the body is fuzzed.
const HEAD: &str = "PUT\nh\n/\n\nCredential=K/20150830/r/s/aws4_request, SignedHeaders=host;x-amz-date, \
    Signature=371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac\nx-amz-date:20150830T123600Z";

fuzz_target!(|data: &[u8]| {
    let Some((&[form, piece], body)) = data.split_first_chunk() else {
        return;
    };
    let form = [
        Chunked::Signed,
        Chunked::SignedWithTrailer,
        Chunked::UnsignedWithTrailer,
    ][usize::from(form % 3)];
    let sent = Sent::of(HEAD.as_bytes()).expect("a request");
    let claim = SigV4Claim::from_header(sent.parameters, &sent.message()).expect("a claim");
    let key = SigningKey::derive(SECRET, claim.credential());
    let read = |piece: usize| {
        let mut chunks = claim.chunks(form, &key, None);
        let mut content = VecDeque::new();
        for piece in body.chunks(piece) {
            chunks.push(Bytes::copy_from_slice(piece), &mut content).ok()?;
        }
        chunks.end().ok()?;
        Some(content.into_iter().flatten().collect::<Vec<u8>>())
    };
    let whole = read(body.len().max(1));
    assert!(whole.as_ref().is_none_or(|content| content.len() < body.len()));
    assert_eq!(whole, read(usize::from(piece).max(1)));
});
