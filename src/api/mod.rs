//! Resources as JSON, in one form each for the admin socket, the commands' `--json` and the pages.
//!
//! What is absent is `null`; a list is named for what it holds, with `next` for the following page; counts
//! end in `_count`; times are RFC 3339 in UTC. No form has password hashes or token digests; secrets are only
//! where they are shown once.

mod access_key;
mod account;
mod audit;
mod group;
mod invitation;
mod lock;
mod mail;
mod request;
mod server;
mod session;
mod upstream;

pub use access_key::{AccessKeyList, AccessKeyView, CreatedAccessKey, RevokedAccessKeys, RotatedMaster};
pub use account::{
    AccountDetails, AccountList, AccountView, AddedAccount, ChangedAccounts, ImportReport, PendingEmailView,
    PlannedAccount, RefusedLine, ResetLink, SkippedLine, UnchangedAccount,
};
pub use audit::{AuditEventList, AuditEventView};
pub use group::{GroupList, GroupView};
pub use invitation::{CreatedInvitations, InvitationList, InvitationView, PlannedInvitation};
pub use lock::{LockedAccessKey, LockedAccount, LocksView};
pub use mail::{MailList, MailView, ResentMails};
pub use request::{LoggedRequest, RecentRequest, RequestReport};
pub use server::{ReloadReport, ServerInfo};
pub use session::{EndedSessions, LiveSessionList, SessionList, SessionView};
pub use upstream::{UpstreamList, UpstreamServerView, UpstreamView};
