//! Verifies signed requests: three schemes, each parse → canonicalise → compare in constant time.
//!
//! All functions are pure: the time is passed in, there is no store, and of a body only its hash. A scheme
//! first parses the claim ([`sigv4::SigV4Claim`], [`backendai::BackendAiClaim`], [`rfc9421::MessageClaim`]),
//! then verifies it with the secret of the claimed key. Only MACs are compared, so timing depends on the
//! request, never on a secret.

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
