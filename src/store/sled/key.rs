//! Keys: one tree, a first byte for each kind of row.
//!
//! Every index is a row of its own, written in the same batch as what it points to. A kind's byte is never given
//! to another kind; bytes that are not here are free.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ids::{AccountId, InvitationId, MailId, SessionId};
use crate::model::{
    AccessKeyId, AccountStatus, AuditCursor, Email, Purpose, SignatureDigest, TokenDigest, Username,
};
use crate::store::AuditSubject;

/// A kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKind {
    /// What the store knows of itself.
    Meta = b'm' as isize,
    /// An account, by its id: in the order in which accounts were made.
    Account = b'a' as isize,
    /// The account with an address.
    Email = b'e' as isize,
    /// The account with a username, or that there was one.
    Username = b'n' as isize,
    /// That an account is in a group, by group and account.
    Member = b'g' as isize,
    /// An account's failures.
    Attempts = b'f' as isize,
    /// The failures of a name that belongs to nobody, by set and digest.
    Unknown = b'u' as isize,
    /// A session, by its token.
    Session = b's' as isize,
    /// The token of a session, by the session's public name.
    SessionId = b'd' as isize,
    /// That a session is an account's, by account and token.
    SessionOf = b'o' as isize,
    /// An invitation, by its token.
    Invitation = b'i' as isize,
    /// The token of an invitation, by the invitation's public name.
    InvitationId = b'j' as isize,
    /// A signature that served, by its digest.
    Signature = b'r' as isize,
    /// When a signature that served is forgotten, by that moment and its digest.
    SignatureEnd = b'R' as isize,
    /// A mailed token, by its digest.
    Token = b't' as isize,
    /// An account's mailed token for a purpose, by account and purpose.
    TokenOf = b'T' as isize,
    /// A mail that waits or failed, by its id: in the order in which mails were enqueued.
    Mail = b'q' as isize,
    /// That a mail is due, by time and mail.
    MailDue = b'Q' as isize,
    /// That a mail may bring a link that sets a password, by address and mail.
    ResetMail = b'z' as isize,
    /// The mails that an address was sent of late, by the address.
    MailQuota = b'p' as isize,
    /// An access key, by its public half.
    AccessKey = b'k' as isize,
    /// That an access key is an account's, by account and key.
    AccessKeyOf = b'K' as isize,
    /// An access key's failures.
    KeyAttempts = b'w' as isize,
    /// The key of all access keys' secrets, wrapped.
    DataKey = b'W' as isize,
    /// An event of the audit log, by its place.
    Audit = b'l' as isize,
    /// That an event is about somebody, or done by somebody, by subject and place.
    AuditOf = b'L' as isize,
    /// That an account is found by a term, by term and account.
    Term = b'x' as isize,
    /// Where an account stands, by status and account.
    Status = b'y' as isize,
    /// The form of the rows that accounts are found by.
    IndexForm = b'X' as isize,
}

impl RowKind {
    /// All of them.
    pub(super) const ALL: [Self; 29] = [
        Self::Meta,
        Self::Account,
        Self::Email,
        Self::Username,
        Self::Member,
        Self::Attempts,
        Self::Unknown,
        Self::Session,
        Self::SessionId,
        Self::SessionOf,
        Self::Invitation,
        Self::InvitationId,
        Self::Signature,
        Self::SignatureEnd,
        Self::Token,
        Self::TokenOf,
        Self::Mail,
        Self::MailDue,
        Self::ResetMail,
        Self::MailQuota,
        Self::AccessKey,
        Self::AccessKeyOf,
        Self::KeyAttempts,
        Self::DataKey,
        Self::Audit,
        Self::AuditOf,
        Self::Term,
        Self::Status,
        Self::IndexForm,
    ];

    /// The kind of a row, by its key.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        let first = *key.first()?;
        Self::ALL.into_iter().find(|kind| kind.byte() == first)
    }

    /// What all keys of this kind begin with.
    pub(super) fn prefix(self) -> Vec<u8> {
        vec![self.byte()]
    }

    fn byte(self) -> u8 {
        self as u8
    }

    fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = self.prefix();
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }
}

/// The key of what the store knows of itself.
pub(super) fn meta() -> Vec<u8> {
    RowKind::Meta.prefix()
}

pub(super) fn account(id: AccountId) -> Vec<u8> {
    RowKind::Account.key(&[id.as_bytes()])
}

pub(super) fn email(email: &Email) -> Vec<u8> {
    RowKind::Email.key(&[email.key().as_bytes()])
}

pub(super) fn username(username: &Username) -> Vec<u8> {
    RowKind::Username.key(&[username.as_str().as_bytes()])
}

/// What the keys of a group's members begin with. The length keeps a group apart from those whose names begin
/// with its name.
pub(super) fn members(group: &str) -> Vec<u8> {
    let length = u32::try_from(group.len()).unwrap_or(u32::MAX).to_be_bytes();
    RowKind::Member.key(&[&length, group.as_bytes()])
}

pub(super) fn member(group: &str, id: AccountId) -> Vec<u8> {
    let mut key = members(group);
    key.extend_from_slice(id.as_bytes());
    key
}

pub(super) fn attempts(id: AccountId) -> Vec<u8> {
    RowKind::Attempts.key(&[id.as_bytes()])
}

/// What the keys of a set of unknown names begin with.
pub(super) fn unknown_set(set: u16) -> Vec<u8> {
    RowKind::Unknown.key(&[&set.to_be_bytes()])
}

pub(super) fn unknown(set: u16, digest: &[u8; 32]) -> Vec<u8> {
    RowKind::Unknown.key(&[&set.to_be_bytes(), digest])
}

pub(super) fn session(digest: &TokenDigest) -> Vec<u8> {
    RowKind::Session.key(&[digest.as_bytes()])
}

pub(super) fn session_id(id: SessionId) -> Vec<u8> {
    RowKind::SessionId.key(&[id.as_bytes()])
}

/// What the keys that list an account's sessions begin with.
pub(super) fn sessions_of(id: AccountId) -> Vec<u8> {
    RowKind::SessionOf.key(&[id.as_bytes()])
}

pub(super) fn session_of(id: AccountId, digest: &TokenDigest) -> Vec<u8> {
    RowKind::SessionOf.key(&[id.as_bytes(), digest.as_bytes()])
}

pub(super) fn invitation(digest: &TokenDigest) -> Vec<u8> {
    RowKind::Invitation.key(&[digest.as_bytes()])
}

pub(super) fn invitation_id(id: InvitationId) -> Vec<u8> {
    RowKind::InvitationId.key(&[id.as_bytes()])
}

pub(super) fn signature(digest: &SignatureDigest) -> Vec<u8> {
    RowKind::Signature.key(&[digest.as_bytes()])
}

pub(super) fn signature_end(until: Timestamp, digest: &SignatureDigest) -> Vec<u8> {
    let mut key = signature_ends_before(until);
    key.extend_from_slice(digest.as_bytes());
    key
}

/// The keys of signatures that are forgotten before a moment, rounded up to a second, are less than this.
pub(super) fn signature_ends_before(time: Timestamp) -> Vec<u8> {
    let seconds = u64::try_from(time.as_second()).unwrap_or(0).saturating_add(1);
    RowKind::SignatureEnd.key(&[&seconds.to_be_bytes()])
}

/// The digest of an unknown name that a key ends with.
pub(super) fn trailing_name(key: &[u8]) -> Option<[u8; 32]> {
    key.last_chunk().copied()
}

/// The text after the kind's byte.
pub(super) fn trailing_text(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?).ok()
}

/// The signature that a key ends with.
pub(super) fn trailing_signature(key: &[u8]) -> Option<SignatureDigest> {
    key.last_chunk().copied().map(SignatureDigest::from_bytes)
}

pub(super) fn token(digest: &TokenDigest) -> Vec<u8> {
    RowKind::Token.key(&[digest.as_bytes()])
}

/// Every purpose that an account may have a token for.
pub(super) const PURPOSES: [Purpose; 4] = [
    Purpose::VerifyEmail,
    Purpose::Reset,
    Purpose::ResetByAdministrator,
    Purpose::ChangeEmail,
];

pub(super) fn token_of(id: AccountId, purpose: Purpose) -> Vec<u8> {
    let purpose = match purpose {
        Purpose::VerifyEmail => b'v',
        Purpose::Reset => b'r',
        Purpose::ResetByAdministrator => b'a',
        Purpose::ChangeEmail => b'c',
    };
    RowKind::TokenOf.key(&[id.as_bytes(), &[purpose]])
}

pub(super) fn mail(id: MailId) -> Vec<u8> {
    RowKind::Mail.key(&[id.as_bytes()])
}

/// What the keys of mails begin with that are due at one moment. Keys of earlier times come first: microseconds since the
/// epoch, the sign bit turned.
pub(super) fn mails_due(due: Timestamp) -> Vec<u8> {
    let time = due.as_microsecond().wrapping_sub(i64::MIN).to_be_bytes();
    RowKind::MailDue.key(&[&time])
}

pub(super) fn mail_due(due: Timestamp, id: MailId) -> Vec<u8> {
    let mut key = mails_due(due);
    key.extend_from_slice(id.as_bytes());
    key
}

/// What the keys begin with that list the mails to an address that may bring a link that sets a password. No address has
/// a NUL.
pub(super) fn reset_mails(address: &Email) -> Vec<u8> {
    RowKind::ResetMail.key(&[address.key().as_bytes(), b"\0"])
}

pub(super) fn reset_mail(address: &Email, id: MailId) -> Vec<u8> {
    let mut key = reset_mails(address);
    key.extend_from_slice(id.as_bytes());
    key
}

pub(super) fn postage(address: &Email) -> Vec<u8> {
    postage_of(address.key())
}

/// The same by what two spellings of the address have in common.
pub(super) fn postage_of(address: &str) -> Vec<u8> {
    RowKind::MailQuota.key(&[address.as_bytes()])
}

/// The mail that a key ends with.
pub(super) fn trailing_mail(key: &[u8]) -> Option<MailId> {
    key.last_chunk().copied().map(MailId::from_bytes)
}

pub(super) fn access_key(id: AccessKeyId) -> Vec<u8> {
    RowKind::AccessKey.key(&[id.as_bytes()])
}

/// What the keys that list an account's access keys begin with.
pub(super) fn access_keys_of(id: AccountId) -> Vec<u8> {
    RowKind::AccessKeyOf.key(&[id.as_bytes()])
}

pub(super) fn access_key_of(account: AccountId, id: AccessKeyId) -> Vec<u8> {
    RowKind::AccessKeyOf.key(&[account.as_bytes(), id.as_bytes()])
}

pub(super) fn key_attempts(id: AccessKeyId) -> Vec<u8> {
    RowKind::KeyAttempts.key(&[id.as_bytes()])
}

/// The key of the data key's row: there is one.
pub(super) fn data_key() -> Vec<u8> {
    RowKind::DataKey.prefix()
}

/// What the keys of all terms begin with that begin with this.
pub(super) fn terms(prefix: &str) -> Vec<u8> {
    RowKind::Term.key(&[prefix.as_bytes()])
}

/// No term has a NUL.
pub(super) fn term(term: &str, id: AccountId) -> Vec<u8> {
    RowKind::Term.key(&[term.as_bytes(), b"\0", id.as_bytes()])
}

/// What the keys of all accounts begin with that stand there.
pub(super) fn statuses(status: AccountStatus) -> Vec<u8> {
    let byte = match status {
        AccountStatus::Active => b'a',
        AccountStatus::AwaitingApproval => b'w',
        AccountStatus::Declined => b'c',
        AccountStatus::Disabled => b'd',
    };
    RowKind::Status.key(&[&[byte]])
}

pub(super) fn status(status: AccountStatus, id: AccountId) -> Vec<u8> {
    let mut key = statuses(status);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The key of the form of the rows that accounts are found by: there is one.
pub(super) fn index_form() -> Vec<u8> {
    RowKind::IndexForm.prefix()
}

pub(super) fn audit(cursor: AuditCursor) -> Vec<u8> {
    audit_within(&RowKind::Audit.prefix(), cursor)
}

/// What the keys that list a subject's events begin with.
pub(super) fn audits_of(subject: &AuditSubject) -> Vec<u8> {
    let digest = match subject {
        AuditSubject::Account(id) => Sha256::new_with_prefix(b"account\0").chain_update(id.as_bytes()),
        AuditSubject::Name(name) => Sha256::new_with_prefix(b"name\0").chain_update(name),
        AuditSubject::Request(id) => Sha256::new_with_prefix(b"request\0").chain_update(id),
    };
    RowKind::AuditOf.key(&[&digest.finalize()[..16]])
}

pub(super) fn audit_of(subject: &AuditSubject, cursor: AuditCursor) -> Vec<u8> {
    audit_within(&audits_of(subject), cursor)
}

/// The key of a place among those that begin with `prefix`.
pub(super) fn audit_within(prefix: &[u8], cursor: AuditCursor) -> Vec<u8> {
    [prefix, &cursor.micros.to_be_bytes(), &cursor.number.to_be_bytes()].concat()
}

/// The place that a key ends with.
pub(super) fn trailing_place(key: &[u8]) -> Option<AuditCursor> {
    let (micros, number) = key.last_chunk::<16>()?.split_at(8);
    Some(AuditCursor {
        micros: u64::from_be_bytes(micros.try_into().ok()?),
        number: u64::from_be_bytes(number.try_into().ok()?),
    })
}

/// The access key that a key ends with.
pub(super) fn trailing_access_key(key: &[u8]) -> Option<AccessKeyId> {
    key.last_chunk::<{ AccessKeyId::LENGTH }>()
        .and_then(|text| AccessKeyId::parse(text).ok())
}

/// The account that a key ends with.
pub(super) fn trailing_account(key: &[u8]) -> Option<AccountId> {
    key.last_chunk().copied().map(AccountId::from_bytes)
}

/// The group of which the row with this key names a member.
pub(super) fn group_of_member(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.get(1..)?.split_first_chunk()?;
    let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    str::from_utf8(name).ok()
}

/// The account that the key of an index begins with, and what follows.
pub(super) fn account_and_name(key: &[u8]) -> Option<(AccountId, &[u8])> {
    let (account, name) = key.get(1..)?.split_first_chunk()?;
    Some((AccountId::from_bytes(*account), name))
}

/// The token that a key ends with.
pub(super) fn trailing_digest(key: &[u8]) -> Option<TokenDigest> {
    key.last_chunk().copied().map(TokenDigest::from_bytes)
}
