//! Verification: checks that each record decodes and agrees with the columns beside it.
//!
//! References between rows are enforced by foreign keys, so they are not checked.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::accounts::groups;
use super::attempts::name_failures;
use super::error::OperationError;
use super::export::{digest, username};
use super::paging::PagedQuery;
use super::row::{account_of, bytes, decode, micros, query, query_value, uuid};
use super::tokens::purpose;
use super::{audit, mails};
use crate::model::{
    AccessKey, Account, AuditCursor, AuditEvent, EmailToken, Invitation, QueuedMail, Session, Username,
    WrappedDataKey,
};
use crate::store::attempt_counter::set_of;
use crate::store::record::{Failures, MailQuota, Meta, SpentUntil};
use crate::store::{AccountFilter, AuditSubject, StoreError, Verification};

/// A query, the check of each of its rows, and the counter of them, if any.
type VerifyKind = (
    &'static str,
    fn(&Row) -> Result<(), OperationError>,
    fn(&mut Verification) -> Option<&mut usize>,
);

const KINDS: [VerifyKind; 14] = [
    (
        "SELECT id, email, status, groups, last_active_at, version, record,
             ARRAY(SELECT username FROM username WHERE account = id ORDER BY username) AS usernames,
             ARRAY(SELECT term FROM account_term WHERE account = id ORDER BY term) AS terms
         FROM account",
        account,
        |found| Some(&mut found.accounts),
    ),
    (
        "SELECT username FROM username WHERE account IS NULL",
        |row| username(row).map(drop),
        |_| None,
    ),
    ("SELECT version, record FROM data_key", data_key, |_| None),
    (
        "SELECT id, account, version, record FROM access_key",
        access_key,
        |found| Some(&mut found.access_keys),
    ),
    (
        "SELECT account::text AS of, version, record FROM account_failures",
        failures,
        |_| None,
    ),
    (
        "SELECT access_key AS of, version, record FROM access_key_failures",
        failures,
        |_| None,
    ),
    (
        "SELECT set, digest, version, record FROM name_failures",
        |row| name_failures(row).map(drop),
        |_| None,
    ),
    (
        "SELECT digest, id, account, created_at, version, record FROM session",
        session,
        |found| Some(&mut found.sessions),
    ),
    (
        "SELECT digest, id, expires_at, version, record FROM invitation",
        invitation,
        |found| Some(&mut found.invitations),
    ),
    (
        "SELECT digest, account, purpose, expires_at, version, record FROM mailed_token",
        token,
        |_| None,
    ),
    (
        "SELECT id, due_at, failed_at, reset_to, version, record FROM mail",
        mail,
        |_| None,
    ),
    (
        "SELECT address, counts_until, version, record FROM address_mails",
        postage,
        |_| None,
    ),
    (
        "SELECT digest, until, version, record FROM spent_signature",
        signature,
        |_| None,
    ),
    (
        "SELECT micros, number, version, record,
             ARRAY(SELECT subject FROM audit_subject AS about
                 WHERE about.micros = audit_event.micros AND about.number = audit_event.number
                 ORDER BY subject) AS subjects
         FROM audit_event",
        event,
        |_| None,
    ),
];

/// Checks all rows. Runs within a transaction.
pub(super) async fn run(client: &impl GenericClient) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    for (number, (sql, check, count)) in KINDS.iter().enumerate() {
        let mut scan = PagedQuery::new(number, sql);
        loop {
            let rows = scan.next(client).await?;
            if rows.is_empty() {
                break;
            }
            if let Some(count) = count(&mut found) {
                *count += rows.len();
            }
            for row in &rows {
                match check(row).map_err(StoreError::from) {
                    Ok(()) => {}
                    Err(StoreError::Corrupt(fault)) => found.add_fault(fault),
                    Err(error) => return Err(error),
                }
            }
        }
    }
    names(client, &mut found).await?;
    counts(client, &mut found).await?;
    let sql = "SELECT EXISTS (SELECT FROM access_key) AND NOT EXISTS (SELECT FROM data_key)";
    if query_value(client, sql, &[]).await? {
        found.add_fault("there are access keys, but no data key that opens their secrets".to_owned());
    }
    Ok(found)
}

/// Checks the counts of accounts.
async fn counts(client: &impl GenericClient, found: &mut Verification) -> Result<(), StoreError> {
    let sql = "SELECT kind, name, coalesce(kept, 0)::bigint, coalesce(counted, 0)
        FROM (SELECT kind, name, sum(delta) AS kept FROM account_count GROUP BY kind, name) AS kept
        FULL JOIN (
            SELECT 'status' AS kind, status COLLATE \"C\" AS name, count(*) AS counted FROM account GROUP BY status
            UNION ALL
            SELECT 'group', name COLLATE \"C\", count(*) FROM account, unnest(groups) AS name GROUP BY name
        ) AS counted USING (kind, name)
        WHERE coalesce(kept, 0) <> coalesce(counted, 0)";
    for row in query(client, sql, &[]).await? {
        let (kind, name): (String, String) = (read(&row, 0)?, read(&row, 1)?);
        let (kept, counted): (i64, i64) = (read(&row, 2)?, read(&row, 3)?);
        found.add_fault(format!(
            "the count of the {kind} {name} is {kept}, and there are {counted}"
        ));
    }
    Ok(())
}

fn read<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column)
        .map_err(|error| OperationError::from(error).into())
}

/// Checks that each unknown name is in the set that the names key gives it.
async fn names(client: &impl GenericClient, found: &mut Verification) -> Result<(), StoreError> {
    let mut scan = PagedQuery::new(KINDS.len(), "SELECT version, record FROM store");
    let rows = scan.next(client).await?;
    let [row] = rows.as_slice() else {
        found.add_fault("the store does not know its names' key".to_owned());
        return Ok(());
    };
    let meta: Meta = match decode(row, || "the names' key".to_owned()).map_err(StoreError::from) {
        Ok(meta) => meta,
        Err(StoreError::Corrupt(fault)) => {
            found.add_fault(fault);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let mut scan = PagedQuery::new(KINDS.len() + 1, "SELECT set, digest FROM name_failures");
    loop {
        let rows = scan.next(client).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let set: i32 = row.try_get("set").map_err(OperationError::from)?;
            if i32::from(set_of(&meta.slot_key, &digest(row)?)) != set {
                found.add_fault(format!(
                    "a name that belongs to nobody is in set {set}, which is not its own"
                ));
            }
        }
    }
}

fn account(row: &Row) -> Result<(), OperationError> {
    let id = account_of(row, "id")?;
    let name = || format!("account {id}");
    let account: Account = decode(row, name)?;
    let own = account.former_usernames.iter().chain([&account.username]);
    let mut usernames: Vec<_> = own.map(Username::as_str).collect();
    usernames.sort_unstable();
    require(name, account.id == id, "it holds another account")?;
    require(
        name,
        row.try_get::<_, &str>("email")? == account.email.key(),
        "it has another address",
    )?;
    require(
        name,
        row.try_get::<_, &str>("status")? == account.status.as_str(),
        "it stands elsewhere",
    )?;
    require(
        name,
        row.try_get::<_, Vec<&str>>("groups")? == groups(&account),
        "it is in other groups",
    )?;
    require(
        name,
        row.try_get::<_, i64>("last_active_at")? == micros(account.last_active_at()),
        "its last sign-in is another",
    )?;
    require(
        name,
        row.try_get::<_, Vec<&str>>("usernames")? == usernames,
        "it had other usernames",
    )?;
    require(
        name,
        row.try_get::<_, Vec<String>>("terms")? == AccountFilter::terms(&account),
        "it is found by others",
    )
}

fn data_key(row: &Row) -> Result<(), OperationError> {
    decode::<WrappedDataKey>(row, || "the data key".to_owned()).map(drop)
}

fn access_key(row: &Row) -> Result<(), OperationError> {
    let id: &str = row.try_get("id")?;
    let name = || format!("access key {id}");
    let access_key: AccessKey = decode(row, name)?;
    require(name, access_key.id.as_str() == id, "it holds another access key")?;
    require(
        name,
        access_key.account == account_of(row, "account")?,
        "it is another account's",
    )
}

fn failures(row: &Row) -> Result<(), OperationError> {
    let of: &str = row.try_get("of")?;
    decode::<Failures>(row, || format!("the failures of {of}")).map(drop)
}

fn session(row: &Row) -> Result<(), OperationError> {
    let id: Uuid = row.try_get("id")?;
    let name = || format!("session {id}");
    let session: Session = decode(row, name)?;
    let is_own = uuid(session.id.as_bytes()) == id && bytes(&session.digest) == digest(row)?;
    require(name, is_own, "it holds another session")?;
    require(
        name,
        session.account == account_of(row, "account")?,
        "it is another account's",
    )?;
    let created = row.try_get::<_, i64>("created_at")?;
    require(
        name,
        created == micros(session.created_at),
        "it began at another time",
    )
}

fn invitation(row: &Row) -> Result<(), OperationError> {
    let id: Uuid = row.try_get("id")?;
    let name = || format!("invitation {id}");
    let invitation: Invitation = decode(row, name)?;
    let is_own = uuid(invitation.id.as_bytes()) == id && bytes(&invitation.digest) == digest(row)?;
    require(name, is_own, "it holds another invitation")?;
    let expires = row.try_get::<_, i64>("expires_at")?;
    require(
        name,
        expires == micros(invitation.expires_at),
        "it expires at another time",
    )
}

fn token(row: &Row) -> Result<(), OperationError> {
    let account = account_of(row, "account")?;
    let name = || format!("a mailed token of account {account}");
    let token: EmailToken = decode(row, name)?;
    require(
        name,
        bytes(&token.digest) == digest(row)?,
        "it holds another token",
    )?;
    let is_own = token.account == account && row.try_get::<_, &str>("purpose")? == purpose(token.purpose);
    require(name, is_own, "it is another account's, or for something else")?;
    let expires = row.try_get::<_, i64>("expires_at")?;
    require(
        name,
        expires == micros(token.expires_at),
        "it expires at another time",
    )
}

fn mail(row: &Row) -> Result<(), OperationError> {
    let id: Uuid = row.try_get("id")?;
    let name = || format!("mail {id}");
    let queued: QueuedMail = decode(row, name)?;
    require(
        name,
        uuid(queued.mail.id.as_bytes()) == id,
        "it holds another mail",
    )?;
    let times = (row.try_get("due_at")?, row.try_get("failed_at")?);
    require(
        name,
        times == mails::times(queued.state),
        "it is due at another time",
    )?;
    require(
        name,
        row.try_get::<_, Option<&str>>("reset_to")? == mails::reset_to(&queued.mail),
        "it is withdrawn with another address",
    )
}

fn postage(row: &Row) -> Result<(), OperationError> {
    let address: &str = row.try_get("address")?;
    let name = || format!("the mails to {address}");
    let postage: MailQuota = decode(row, name)?;
    let until = row.try_get::<_, i64>("counts_until")?;
    require(
        name,
        until == postage.counts_until().map_or(i64::MIN, micros),
        "they count until another time",
    )
}

fn signature(row: &Row) -> Result<(), OperationError> {
    let name = || "a signature".to_owned();
    let SpentUntil(until) = decode(row, name)?;
    digest(row)?;
    require(
        name,
        row.try_get::<_, i64>("until")? == micros(until),
        "it is forgotten at another time",
    )
}

fn event(row: &Row) -> Result<(), OperationError> {
    let place = audit::place(row)?;
    let name = || audit::cursor_name(place);
    let event: AuditEvent = decode(row, name)?;
    require(
        name,
        AuditCursor::at(event.time).micros == place.micros,
        "it is of another moment",
    )?;
    let mut about: Vec<_> = AuditSubject::of(&event).iter().map(audit::digest).collect();
    about.sort_unstable();
    let found: Vec<Vec<u8>> = row.try_get("subjects")?;
    let is_its = found == about;
    require(name, is_its, "it is about somebody else")
}

fn require(name: impl FnOnce() -> String, holds: bool, otherwise: &str) -> Result<(), OperationError> {
    if holds {
        return Ok(());
    }
    Err(OperationError::Store(StoreError::Corrupt(format!(
        "{}: {otherwise}",
        name()
    ))))
}
