//! Domain data types: accounts, sessions, access keys, tokens, mails and audit events. Values without I/O; a
//! type with rules for its text ([`Email`], [`Username`], [`Password`], [`AccessKeyId`]) is made by its
//! parser alone.

/// Defines an enum with a stable name for each variant: `ALL` lists the variants as declared, `as_str`
/// returns the name.
macro_rules! named_enum {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $name:ident = $slug:literal,)+ }) => {
        $(#[$meta])*
        pub enum $enum {
            $($(#[$doc])* $name,)+
        }

        impl $enum {
            /// All variants, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the name in JSON, in stores and on the command line; the variant's text is found by it
            /// too.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $slug,)+
                }
            }
        }
    };
}

mod access_key;
mod account;
mod administrators;
mod attempts;
mod audit;
mod audit_detail;
mod email;
mod email_token;
mod invitation;
mod legible;
mod mail;
mod maker;
mod password;
mod principal;
mod session;
mod signature;
mod token;
mod username;

pub use access_key::{
    AccessKey, AccessKeyId, EncryptedSecret, KeyScope, KeyUse, NotAnAccessKey, SecretKey, WrappedDataKey,
};
pub use account::{Account, AccountStatus, Agreement, Decision, PendingEmail};
pub use administrators::{Administrators, CurrentRule};
pub use attempts::{LockoutPolicy, LockoutSubject};
pub use audit::{AuditCursor, AuditEvent, AuditKind, AuditOutcome, NotAnEvent};
pub use audit_detail::{AuditDetail, DetailKey};
pub use email::{Email, EmailError};
pub use email_token::{EmailToken, Purpose};
pub use invitation::{Invitation, InvitationKind};
pub use legible::{is_blank, is_invisible, legible, terminal_json, terminal_text, turns_text};
pub use mail::{Mail, MailKind, MailOrigin, MailState, QueuedMail};
pub use maker::Maker;
pub use password::{Password, PasswordError};
pub use principal::{Principal, SignInMethod};
pub use session::Session;
pub use signature::SignatureDigest;
pub use token::{PlainToken, TokenDigest};
pub use username::{Username, UsernameError};
