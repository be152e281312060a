//! The schema: the kinds of rows, and their keys. One tree; the first byte of a key is the kind of its row.
//!
//! An index is a row of its own, written in one batch with the row that it points to. No byte serves two
//! kinds; those not listed are free.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ids::{AccountId, InvitationId, MailId, SessionId};
use crate::model::{AccessKeyId, AccountStatus, AuditCursor, Email, Purpose, SignatureDigest, TokenDigest};
use crate::store::AuditSubject;

/// The kind of a row: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKind {
    /// The store's metadata: one row.
    Meta = b'm' as isize,
    /// An account, by id: in order of creation.
    Account = b'a' as isize,
    /// Index: the account with an address.
    Email = b'e' as isize,
    /// Index: the account with a username, which has no name.
    Username = b'n' as isize,
    /// Index: the account with a username that has a name, or that had the username before; none for a retired one.
    OtherUsername = b'v' as isize,
    /// Index: the members of a group, by group and account.
    Member = b'g' as isize,
    /// An account's failure counter.
    Attempts = b'f' as isize,
    /// The failure counter of an unknown name, by set and digest.
    Unknown = b'u' as isize,
    /// A session, by token digest.
    Session = b's' as isize,
    /// Index: the token digest of a session, by session id.
    SessionId = b'd' as isize,
    /// Index: an account's sessions, by account and token digest.
    SessionOf = b'o' as isize,
    /// An invitation, by token digest.
    Invitation = b'i' as isize,
    /// Index: the token digest of an invitation, by invitation id.
    InvitationId = b'j' as isize,
    /// A spent signature, by digest.
    Signature = b'r' as isize,
    /// Index: spent signatures by the time at which they are forgotten, and digest.
    SignatureEnd = b'R' as isize,
    /// An e-mail token, by digest.
    Token = b't' as isize,
    /// Index: an account's e-mail token for a purpose, by account and purpose.
    TokenOf = b'T' as isize,
    /// A queued or failed mail, by id: in order of enqueueing.
    Mail = b'q' as isize,
    /// Index: waiting mails by due time and mail.
    MailDue = b'Q' as isize,
    /// Index: mails that may carry a password reset link, by address and mail.
    ResetMail = b'z' as isize,
    /// The recent mails to an address that count against its allowance, by address.
    MailQuota = b'p' as isize,
    /// An access key, by id.
    AccessKey = b'k' as isize,
    /// Index: an account's access keys, by account and key.
    AccessKeyOf = b'K' as isize,
    /// An access key's failure counter.
    KeyAttempts = b'w' as isize,
    /// The wrapped data key: one row.
    DataKey = b'W' as isize,
    /// An event of the audit log, by cursor.
    Audit = b'l' as isize,
    /// Index: events of a subject, by subject and cursor.
    AuditOf = b'L' as isize,
    /// Index: accounts by a word of their name, by word and account. With [`Email`](Self::Email),
    /// [`Username`](Self::Username) and [`OtherUsername`](Self::OtherUsername), the index by search term.
    Term = b'x' as isize,
    /// Index: accounts by status, by status and account.
    Status = b'y' as isize,
    /// Index: accounts in the order of their names, by name and account. With [`Username`](Self::Username), for those without
    /// one, the index by name.
    NameOrder = b'N' as isize,
    /// Index: accounts by their last sign-in, by its time and account.
    SignInOrder = b'S' as isize,
    /// How many accounts have a status, or are in a group.
    Count = b'c' as isize,
    /// The version of the index rows that administrators' queries use: one row.
    IndexForm = b'X' as isize,
}

impl RowKind {
    pub(super) const ALL: [Self; 33] = [
        Self::Meta,
        Self::Account,
        Self::Email,
        Self::Username,
        Self::OtherUsername,
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
        Self::NameOrder,
        Self::SignInOrder,
        Self::Count,
        Self::IndexForm,
    ];

    /// The kind of the row with this key.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        let first = *key.first()?;
        Self::ALL.into_iter().find(|kind| kind.byte() == first)
    }

    /// The prefix of all keys of this kind.
    pub(super) fn prefix(self) -> Vec<u8> {
        vec![self.byte()]
    }

    /// The key of this kind, or the prefix of keys, with this after the kind's byte.
    pub(super) fn with(self, rest: &[u8]) -> Vec<u8> {
        self.key(&[rest])
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

pub(super) fn meta() -> Vec<u8> {
    RowKind::Meta.prefix()
}

pub(super) fn account(id: AccountId) -> Vec<u8> {
    RowKind::Account.key(&[id.as_bytes()])
}

pub(super) fn email(email: &Email) -> Vec<u8> {
    RowKind::Email.key(&[email.key().as_bytes()])
}

/// The prefix of the keys of a group's members. The length comes first, so that one group's name may be a
/// prefix of another's.
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

/// The prefix of the keys of a set of unknown names.
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

/// The prefix of the index rows of an account's sessions.
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

/// Parses the invitation id at the end of a key.
pub(super) fn trailing_invitation(key: &[u8]) -> Option<InvitationId> {
    key.last_chunk().copied().map(InvitationId::from_bytes)
}

pub(super) fn signature(digest: &SignatureDigest) -> Vec<u8> {
    RowKind::Signature.key(&[digest.as_bytes()])
}

pub(super) fn signature_end(until: Timestamp, digest: &SignatureDigest) -> Vec<u8> {
    let mut key = signature_ends_before(until);
    key.extend_from_slice(digest.as_bytes());
    key
}

/// The exclusive upper bound of the index rows of signatures that expire in a second before that of `time`.
pub(super) fn signature_ends_before(time: Timestamp) -> Vec<u8> {
    let seconds = u64::try_from(time.as_second()).unwrap_or(0).saturating_add(1);
    RowKind::SignatureEnd.key(&[&seconds.to_be_bytes()])
}

/// Parses the digest of an unknown name at the end of a key.
pub(super) fn trailing_name(key: &[u8]) -> Option<[u8; 32]> {
    key.last_chunk().copied()
}

/// Parses the text after the kind's byte.
pub(super) fn trailing_text(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?).ok()
}

/// Parses the signature digest at the end of a key.
pub(super) fn trailing_signature(key: &[u8]) -> Option<SignatureDigest> {
    key.last_chunk().copied().map(SignatureDigest::from_bytes)
}

pub(super) fn token(digest: &TokenDigest) -> Vec<u8> {
    RowKind::Token.key(&[digest.as_bytes()])
}

/// All purposes of e-mail tokens.
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

/// The prefix of the index rows of mails due at this time. Sorts by time: microseconds since 1970, with the
/// sign bit flipped.
pub(super) fn mails_due(due: Timestamp) -> Vec<u8> {
    let time = due.as_microsecond().wrapping_sub(i64::MIN).to_be_bytes();
    RowKind::MailDue.key(&[&time])
}

pub(super) fn mail_due(due: Timestamp, id: MailId) -> Vec<u8> {
    let mut key = mails_due(due);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The prefix of the index rows of mails to an address that may carry a password reset link. The NUL ends the
/// address, since no address contains one.
pub(super) fn reset_mails(address: &Email) -> Vec<u8> {
    RowKind::ResetMail.key(&[address.key().as_bytes(), b"\0"])
}

pub(super) fn reset_mail(address: &Email, id: MailId) -> Vec<u8> {
    let mut key = reset_mails(address);
    key.extend_from_slice(id.as_bytes());
    key
}

pub(super) fn mail_quota(address: &Email) -> Vec<u8> {
    mail_quota_of(address.key())
}

/// As [`mail_quota`], for an address in the form of [`Email::key`].
pub(super) fn mail_quota_of(address: &str) -> Vec<u8> {
    RowKind::MailQuota.key(&[address.as_bytes()])
}

/// Parses the mail id at the end of a key.
pub(super) fn trailing_mail(key: &[u8]) -> Option<MailId> {
    key.last_chunk().copied().map(MailId::from_bytes)
}

pub(super) fn access_key(id: AccessKeyId) -> Vec<u8> {
    RowKind::AccessKey.key(&[id.as_bytes()])
}

/// The prefix of the index rows of an account's access keys.
pub(super) fn access_keys_of(id: AccountId) -> Vec<u8> {
    RowKind::AccessKeyOf.key(&[id.as_bytes()])
}

pub(super) fn access_key_of(account: AccountId, id: AccessKeyId) -> Vec<u8> {
    RowKind::AccessKeyOf.key(&[account.as_bytes(), id.as_bytes()])
}

pub(super) fn key_attempts(id: AccessKeyId) -> Vec<u8> {
    RowKind::KeyAttempts.key(&[id.as_bytes()])
}

pub(super) fn data_key() -> Vec<u8> {
    RowKind::DataKey.prefix()
}

/// The prefix of the index rows of all terms that begin with `prefix`.
pub(super) fn terms(prefix: &str) -> Vec<u8> {
    RowKind::Term.key(&[prefix.as_bytes()])
}

pub(super) fn term(term: &str, id: AccountId) -> Vec<u8> {
    text_and_account(RowKind::Term, term.as_bytes(), id)
}

/// The key in an index by text and account. A NUL ends the text, since no name or address contains one.
pub(super) fn text_and_account(kind: RowKind, text: &[u8], id: AccountId) -> Vec<u8> {
    kind.key(&[text, b"\0", id.as_bytes()])
}

/// The text in a key of [`text_and_account`], or what may be the beginning of one.
pub(super) fn text_before_account(key: &[u8]) -> &[u8] {
    let text = key.get(1..).unwrap_or_default();
    match text.split_last_chunk::<17>() {
        Some((term, [0, ..])) => term,
        _ => text,
    }
}

/// The prefix of the index rows of all accounts with this status.
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

pub(super) fn name_order(name: &str, id: AccountId) -> Vec<u8> {
    text_and_account(RowKind::NameOrder, name.as_bytes(), id)
}

/// Sorts by time: 0 for an account whose owner never signed in, else microseconds since 1970 with the sign bit
/// flipped.
pub(super) fn sign_in_order(at: Option<Timestamp>, id: AccountId) -> Vec<u8> {
    let time = at.map_or(0, |at| at.as_microsecond().wrapping_sub(i64::MIN));
    RowKind::SignInOrder.key(&[&time.to_be_bytes(), id.as_bytes()])
}

/// The count of what begins with `prefix`: [`statuses`] or [`members`].
pub(super) fn count(prefix: &[u8]) -> Vec<u8> {
    RowKind::Count.key(&[prefix])
}

/// The prefix of the index rows that the row with this key counts, and whose kind it is.
pub(super) fn counted_by(key: &[u8]) -> Option<&[u8]> {
    let prefix = key.get(1..)?;
    matches!(RowKind::of(prefix)?, RowKind::Status | RowKind::Member).then_some(prefix)
}

pub(super) fn index_form() -> Vec<u8> {
    RowKind::IndexForm.prefix()
}

pub(super) fn audit(cursor: AuditCursor) -> Vec<u8> {
    audit_within(&RowKind::Audit.prefix(), cursor)
}

/// The prefix of the index rows of a subject's events. 128 bits of a hash stand for the subject.
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

/// The key of a cursor under `prefix`.
pub(super) fn audit_within(prefix: &[u8], cursor: AuditCursor) -> Vec<u8> {
    [prefix, &cursor.micros.to_be_bytes(), &cursor.number.to_be_bytes()].concat()
}

/// Parses the cursor at the end of a key.
pub(super) fn trailing_cursor(key: &[u8]) -> Option<AuditCursor> {
    let (micros, number) = key.last_chunk::<16>()?.split_at(8);
    Some(AuditCursor {
        micros: u64::from_be_bytes(micros.try_into().ok()?),
        number: u64::from_be_bytes(number.try_into().ok()?),
    })
}

/// Parses the access key id at the end of a key.
pub(super) fn trailing_access_key(key: &[u8]) -> Option<AccessKeyId> {
    key.last_chunk::<{ AccessKeyId::LENGTH }>()
        .and_then(|text| AccessKeyId::parse(text).ok())
}

/// Parses the account id at the end of a key.
pub(super) fn trailing_account(key: &[u8]) -> Option<AccountId> {
    key.last_chunk().copied().map(AccountId::from_bytes)
}

/// The group of which the row with this key names a member.
pub(super) fn group_of_member(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.get(1..)?.split_first_chunk()?;
    let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    str::from_utf8(name).ok()
}

/// Splits the key of an index by account into the account id and the rest.
pub(super) fn account_and_name(key: &[u8]) -> Option<(AccountId, &[u8])> {
    let (account, name) = key.get(1..)?.split_first_chunk()?;
    Some((AccountId::from_bytes(*account), name))
}

/// Parses the token digest at the end of a key.
pub(super) fn trailing_digest(key: &[u8]) -> Option<TokenDigest> {
    key.last_chunk().copied().map(TokenDigest::from_bytes)
}
