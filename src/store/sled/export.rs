//! Export: all records as of one moment, from a snapshot.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::SledStore;
use super::engine::Engine;
use super::record::{self, Failures, MailQuota, Meta, SpentUntil, UnknownFailures};
use super::schema::{self, RowKind};
use super::snapshot::Snapshot;
use crate::ids::AccountId;
use crate::model::LockoutSubject;
use crate::store::{
    AddressMails, Export, ExportedFailures, ExportedLock, NamesKey, PortableStore, Record, SpentSignature,
    StoreError,
};

#[async_trait]
impl PortableStore for SledStore {
    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        let engine = self.open.engine.clone();
        // Runs between two commits: the snapshot has all that was acknowledged, and all in it is durable.
        let snapshot = self.open.committer.run(move |_| Ok(engine.snapshot())).await?;
        Ok(Box::new(SledExport {
            engine: self.open.engine.clone(),
            snapshot: Some(snapshot),
        }))
    }
}

struct SledExport {
    engine: Arc<Engine>,
    /// `None` after an error.
    snapshot: Option<Snapshot>,
}

#[async_trait]
impl Export for SledExport {
    async fn next(&mut self) -> Result<Vec<Record>, StoreError> {
        let failed = || StoreError::Unavailable("what was to be exported cannot be read any more".to_owned());
        let mut snapshot = self.snapshot.take().ok_or_else(failed)?;
        let engine = self.engine.clone();
        let read = tokio::task::spawn_blocking(move || {
            let records = next(&engine, &mut snapshot)?;
            Ok::<_, StoreError>((records, snapshot))
        });
        let (records, snapshot) = read.await.map_err(|_| failed())??;
        self.snapshot = Some(snapshot);
        Ok(records)
    }
}

fn next(engine: &Engine, snapshot: &mut Snapshot) -> Result<Vec<Record>, StoreError> {
    loop {
        let rows = snapshot.piece(engine)?;
        let is_end = rows.is_empty();
        let mut records = Vec::with_capacity(rows.len());
        for (key, value) in rows {
            records.extend(record_of(&key, &value)?);
        }
        if is_end || !records.is_empty() {
            return Ok(records);
        }
    }
}

/// Converts a row to a record; `None` for index rows, which an import makes anew.
pub(super) fn record_of(key: &[u8], value: &[u8]) -> Result<Option<Record>, StoreError> {
    let wrong = |what: &str| StoreError::Corrupt(format!("{} {what}", record::name(key)));
    let kind = RowKind::of(key).ok_or_else(|| wrong("is of no kind that exists"))?;
    let failures = |of: Option<LockoutSubject>, failures: Failures, last| {
        let lock = failures.lock.map(|lock| ExportedLock {
            until: lock.until,
            lasts: SignedDuration::try_from(lock.lasts).unwrap_or(SignedDuration::MAX),
        });
        Ok::<_, StoreError>(Record::Failures(ExportedFailures {
            of: of.ok_or_else(|| wrong("is nobody's"))?,
            count: failures.count,
            lock,
            last,
        }))
    };
    Ok(Some(match kind {
        RowKind::Meta => {
            let Meta { slot_key } = record::decode(key, value)?;
            Record::NamesKey(NamesKey { key: slot_key })
        }
        RowKind::DataKey => Record::DataKey(record::decode(key, value)?),
        RowKind::Account => Record::Account(record::decode(key, value)?),
        RowKind::Username | RowKind::OtherUsername => {
            // A username in use is part of its account's record.
            if record::decode::<Option<AccountId>>(key, value)?.is_some() {
                return Ok(None);
            }
            let username = schema::trailing_text(key).and_then(|text| text.parse().ok());
            Record::RetiredUsername(username.ok_or_else(|| wrong("is no username"))?)
        }
        RowKind::AccessKey => Record::AccessKey(record::decode(key, value)?),
        RowKind::Attempts => {
            let of = schema::trailing_account(key).map(LockoutSubject::Account);
            failures(of, record::decode(key, value)?, None)?
        }
        RowKind::KeyAttempts => {
            let of = schema::trailing_access_key(key).map(LockoutSubject::AccessKey);
            failures(of, record::decode(key, value)?, None)?
        }
        RowKind::Unknown => {
            let name: UnknownFailures = record::decode(key, value)?;
            let of = schema::trailing_name(key).map(LockoutSubject::Unknown);
            failures(of, name.failures, Some(name.last))?
        }
        RowKind::Session => Record::Session(record::decode(key, value)?),
        RowKind::Invitation => Record::Invitation(record::decode(key, value)?),
        RowKind::Token => Record::MailedToken(record::decode(key, value)?),
        RowKind::Mail => Record::Mail(record::decode(key, value)?),
        RowKind::MailQuota => {
            let address = schema::trailing_text(key).ok_or_else(|| wrong("is no address"))?;
            Record::AddressMails(AddressMails {
                address: address.to_owned(),
                mails: record::decode::<MailQuota>(key, value)?.into_mails(),
            })
        }
        RowKind::Signature => {
            let SpentUntil(until) = record::decode(key, value)?;
            let digest = schema::trailing_signature(key).ok_or_else(|| wrong("is no signature"))?;
            Record::SpentSignature(SpentSignature { digest, until })
        }
        RowKind::Audit => Record::AuditEvent(record::decode(key, value)?),
        // Index rows.
        RowKind::Email
        | RowKind::Member
        | RowKind::SessionId
        | RowKind::SessionOf
        | RowKind::InvitationId
        | RowKind::SignatureEnd
        | RowKind::TokenOf
        | RowKind::MailDue
        | RowKind::ResetMail
        | RowKind::AccessKeyOf
        | RowKind::AuditOf
        | RowKind::Term
        | RowKind::Status
        | RowKind::NameOrder
        | RowKind::SignInOrder
        | RowKind::Count
        | RowKind::IndexForm => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::ORDER;
    use super::*;

    /// A new kind of row must be exported or derived from exported ones.
    #[test]
    fn every_kind_of_row_is_exported_or_made_from_others() {
        for kind in RowKind::ALL {
            // An empty key and value fail to decode, except for an index row, which is not decoded.
            let is_index = matches!(record_of(&kind.prefix(), b""), Ok(None));
            assert_eq!(ORDER.contains(&kind), !is_index, "{kind:?}");
        }
    }
}
