//! HTTP Message Signatures and Content-Digest: no panics, and no invented signature verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vestibule::authenticate::signature::rfc9421::MessageClaim;
use vestibule_fuzz::{SECRET, Sent};

fuzz_target!(|data: &[u8]| {
    let Some(sent) = Sent::of(data) else { return };
    let message = sent.message();
    if let Ok(Some(claim)) = MessageClaim::of(&message, |_| true) {
        let _ = claim.require_time(jiff::Timestamp::UNIX_EPOCH);
        assert!(claim.verify(&message, SECRET).is_err());
        if let Some(digest) = claim.content_digest() {
            let mut hashing = digest.clone().hashing();
            hashing.update(data);
            let _ = hashing.end();
        }
    }
});
