//! Identifiers: public, unguessable enough not to collide, never a credential.

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
            /// A new one: a UUID of version 7 (RFC 9562, section 5.7), so that ids sort by the time they were made.
            pub fn new(now: Timestamp, random: &Random) -> Self {
                let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid())
            }

            /// The id as 16 bytes, for keys of the store.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// An id from the 16 bytes of a key of the store.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
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
    /// Names an account for ever, whatever its e-mail and username become.
    AccountId
}
id! {
    /// The public name of a session, for lists and for `{session}`; never its token.
    SessionId
}
id! {
    /// Names a mail while it waits, and its Message-ID.
    MailId
}
id! {
    /// The public name of an invitation; never its token.
    InvitationId
}
