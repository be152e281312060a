//! Backend.AI's scheme: no panics, and no invented signature verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vestibule::authenticate::signature::backendai::BackendAiClaim;
use vestibule_fuzz::{SECRET, Sent};

fuzz_target!(|data: &[u8]| {
    let Some(sent) = Sent::of(data) else { return };
    let message = sent.message();
    if let Ok(claim) = BackendAiClaim::of(sent.parameters, &message) {
        let _ = claim.require_time(jiff::Timestamp::UNIX_EPOCH);
        assert!(claim.verify(&message, data, SECRET).is_err());
    }
});
