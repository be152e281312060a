//! Both forms of AWS Signature Version 4: no panics, and no invented signature verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vestibule::authenticate::signature::sigv4::{
    Payload, SigV4Claim, SignedPayload, SigningKey, without_signature,
};
use vestibule_fuzz::{SECRET, Sent};

fuzz_target!(|data: &[u8]| {
    let Some(sent) = Sent::of(data) else { return };
    let message = sent.message();
    let query = message.query.unwrap_or_default();
    if let Some(rest) = without_signature(query) {
        assert!(rest.len() <= query.len());
    }
    for claim in [
        SigV4Claim::from_header(sent.parameters, &message),
        SigV4Claim::from_query(query, &message),
    ] {
        let Ok(claim) = claim else { continue };
        let _ = claim.require_time(jiff::Timestamp::UNIX_EPOCH);
        let signed = match claim.payload() {
            Payload::Undeclared => SignedPayload::ReadOrUnsigned(&[0; 32]),
            declared => SignedPayload::Declared(declared),
        };
        let key = SigningKey::derive(SECRET, claim.credential());
        assert!(claim.verify(&message, signed, &key).is_err());
    }
});
