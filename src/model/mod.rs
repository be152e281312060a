//! What the gateway knows about people: plain data, each with one way to make it.

/// An enum with a name for each variant: what `ALL` of them are, in this order, and what each is called, `as_str`.
macro_rules! named_enum {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $name:ident = $slug:literal,)+ }) => {
        $(#[$meta])*
        pub enum $enum {
            $($(#[$doc])* $name,)+
        }

        impl $enum {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in JSON, in stores and on the command line, and that of its text.
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
mod attempts;
mod audit;
mod audit_detail;
mod email;
mod email_token;
mod invitation;
mod legible;
mod mail;
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
pub use attempts::{LockoutPolicy, LockoutSubject};
pub use audit::{AuditCursor, AuditEvent, AuditKind, AuditOutcome, NotAnEvent};
pub use audit_detail::{AuditDetail, DetailKey};
pub use email::{Email, EmailError};
pub use email_token::{EmailToken, Purpose};
pub use invitation::{Invitation, InvitationKind};
pub use legible::{is_blank, is_invisible, legible, terminal_text, turns_text};
pub use mail::{Mail, MailKind, MailOrigin, MailState, QueuedMail};
pub use password::{Password, PasswordError};
pub use principal::{Principal, SignInMethod};
pub use session::Session;
pub use signature::SignatureDigest;
pub use token::{PlainToken, TokenDigest};
pub use username::{Username, UsernameError};
