//! Signed requests: three schemes, each parse → canonicalise → compare in constant time.
//!
//! Everything here is pure: no clock but the time that is passed in, no store, no body but its hash. A scheme first
//! reads what a request claims ([`sigv4::SigV4Claim`], [`backendai::BackendAiClaim`], [`rfc9421::MessageClaim`]); with the secret of the key
//! that is claimed, it then says whether the claim is true. Nothing is compared but message authentication codes, so
//! that the time taken depends on what was sent and never on a secret.

pub mod backendai;
mod body;
pub mod content_digest;
mod error;
mod mac;
mod message;
pub mod rfc9421;
pub mod sigv4;
pub mod version2;

pub use body::BodyCheck;
pub use error::{Mismatch, SignatureError};
pub use message::Message;
