//! What the gateway knows about people: plain data, each with one way to make it.

mod access_key;
mod account;
mod attempts;
mod audit;
mod audit_detail;
mod email;
mod invitation;
mod legible;
mod mail;
mod mailed_token;
mod password;
mod principal;
mod session;
mod signature;
mod token;
mod username;

pub use access_key::{
    AccessKey, AccessKeyId, KeyScope, KeyUse, NotAnAccessKey, Sealed, SecretKey, WrappedDataKey,
};
pub use account::{Account, Agreement, Decision, PendingEmail, Standing};
pub use attempts::{LockoutPolicy, Subject};
pub use audit::{AuditEvent, AuditKind, AuditOutcome, AuditPlace, NotAnEvent};
pub use audit_detail::{AuditDetail, Fact};
pub use email::{Email, EmailError};
pub use invitation::{Invitation, InvitationKind};
pub use legible::{is_blank, is_invisible, legible, turns_text};
pub use mail::{Cause, KeptMail, Mail, MailState, Topic};
pub use mailed_token::{MailedToken, Purpose};
pub use password::{Password, PasswordError};
pub use principal::{Principal, SignInMethod};
pub use session::Session;
pub use signature::SignatureDigest;
pub use token::{PlainToken, TokenDigest};
pub use username::{Username, UsernameError};
