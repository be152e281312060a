//! Public identifiers; never credentials.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::random::Random;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Creates a UUID of version 7 (RFC 9562, section 5.7), so that ids sort by creation time.
            pub fn new(now: Timestamp, random: &Random) -> Self {
                let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid())
            }

            /// Returns the id as 16 bytes, for keys of the store.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Restores an id from 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// Identifies an account permanently; its e-mail address and username may change.
    AccountId
}
id! {
    /// The public id of a session, for lists and for `{session}`; never its token.
    SessionId
}
id! {
    /// Identifies a queued mail; also in its Message-ID.
    MailId
}
id! {
    /// The public id of an invitation; never its token.
    InvitationId
}
