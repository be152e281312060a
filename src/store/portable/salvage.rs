//! Salvage: writes what is readable of a damaged store as an export file that an import accepts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::{Export, ExportWriter, Record};
use crate::ids::AccountId;
use crate::model::{AccessKeyId, LockoutSubject, Username};
use crate::store::StoreError;

/// A store of which some rows may be unreadable.
#[async_trait]
pub trait DamagedStore: Send {
    /// Returns the next records, in the order of an [`Export`], and a sentence for each unreadable thing;
    /// empty at the end. A username in use may come as a retired one too.
    async fn next(&mut self) -> Result<Vec<Result<Record, String>>, StoreError>;
}

/// What a salvaged file lacks.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Losses {
    /// Unreadable records, or ranges of them.
    pub unreadable: u64,
    /// Readable records left out because they refer to one that is not.
    pub left_out: u64,
    /// A sentence for each, at most [`LOSSES_TOLD`](Self::LOSSES_TOLD).
    pub faults: Vec<String>,
}

/// A salvaged export file, in which no record refers to a missing one.
#[derive(Debug)]
pub struct Salvage {
    /// The file to write.
    pub file: ExportWriter,
    losses: Arc<Mutex<Losses>>,
}

struct SoundRecords {
    from: Box<dyn DamagedStore>,
    losses: Arc<Mutex<Losses>>,
    accounts: HashSet<AccountId>,
    usernames: HashSet<Username>,
    access_keys: HashSet<AccessKeyId>,
    has_data_key: bool,
}

impl Losses {
    /// Losses reported one by one.
    pub const LOSSES_TOLD: usize = 100;

    fn report(&mut self, fault: String) {
        if self.faults.len() < Self::LOSSES_TOLD {
            self.faults.push(fault);
        }
    }
}

impl Salvage {
    /// Begins the salvage of a store.
    pub fn new(from: Box<dyn DamagedStore>, made_at: Timestamp) -> Self {
        let losses = Arc::<Mutex<Losses>>::default();
        let sound = SoundRecords {
            from,
            losses: losses.clone(),
            accounts: HashSet::new(),
            usernames: HashSet::new(),
            access_keys: HashSet::new(),
            has_data_key: false,
        };
        Self {
            file: ExportWriter::new(Box::new(sound), made_at),
            losses,
        }
    }

    /// What was lost so far.
    pub fn losses(&self) -> Losses {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Export for SoundRecords {
    async fn next(&mut self) -> Result<Vec<Record>, StoreError> {
        loop {
            let found = self.from.next().await?;
            let is_end = found.is_empty();
            let mut records = Vec::with_capacity(found.len());
            for found in found {
                match found {
                    Ok(record) => records.extend(self.check(record)),
                    Err(fault) => {
                        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
                        losses.unreadable += 1;
                        losses.report(fault);
                    }
                }
            }
            if is_end || !records.is_empty() {
                return Ok(records);
            }
        }
    }
}

impl SoundRecords {
    /// Returns the record if all records that it refers to were readable.
    fn check(&mut self, record: Record) -> Option<Record> {
        let is_sound = match &record {
            Record::DataKey(_) => {
                self.has_data_key = true;
                true
            }
            Record::Account(account) => {
                self.accounts.insert(account.id);
                self.usernames.insert(account.username.clone());
                self.usernames.extend(account.former_usernames.iter().cloned());
                true
            }
            Record::RetiredUsername(username) => {
                if self.usernames.contains(username) {
                    return None;
                }
                true
            }
            Record::AccessKey(key) => {
                let is_sound = self.has_data_key && self.accounts.contains(&key.account);
                if is_sound {
                    self.access_keys.insert(key.id);
                }
                is_sound
            }
            Record::Failures(failures) => match failures.of {
                LockoutSubject::Account(id) => self.accounts.contains(&id),
                LockoutSubject::AccessKey(id) => self.access_keys.contains(&id),
                LockoutSubject::Unknown(_) => true,
            },
            Record::Session(session) => self.accounts.contains(&session.account),
            Record::MailedToken(token) => self.accounts.contains(&token.account),
            Record::NamesKey(_)
            | Record::Invitation(_)
            | Record::Mail(_)
            | Record::AddressMails(_)
            | Record::SpentSignature(_)
            | Record::AuditEvent(_) => true,
        };
        if is_sound {
            return Some(record);
        }
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        losses.left_out += 1;
        losses.report(format!("{record}: what it belongs to cannot be read"));
        None
    }
}
