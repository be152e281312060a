//! Import of an export or backup into a new store.

use std::collections::HashMap;
use std::io::BufRead;

use jiff::{SignedDuration, Timestamp};

use super::open::begin_import;
use super::owner::{OwnerError, require_owner};
use super::{Administration, CommandError};
use crate::clock::Clock;
use crate::config::{Config, StoreLocation, StoreUrlError};
use crate::ids::AccountId;
use crate::model::{AccountStatus, WrappedDataKey};
use crate::services::{
    AccessKeys, Accounts, Actor, Event, Invitations, Kind, MAIL_WINDOW, Origin, SecretCipherError,
    USER_AGENT_LENGTH, require_master_key,
};
use crate::store::{ExportReader, Header, Import, PutError, ReadError, Record, StoreError, Summary};

/// How far the exporting machine's clock may have been ahead.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Records in one write.
const TOGETHER: usize = 256;

/// The result of an import.
#[derive(Clone, Debug)]
pub struct ImportResult {
    /// The header of the file.
    pub header: Header,
    /// The summary of the file.
    pub summary: Summary,
    /// Records that were not imported.
    pub left_out: u64,
    /// Imported administrators: active members of `admin.group` that may sign in.
    pub administrators: u64,
}

/// The scope of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportScope {
    /// Everything.
    All,
    /// All but sessions and the links for a new password or address, so that all users sign in again.
    /// Invitations are imported.
    WithoutSessions,
}

impl ImportScope {
    fn leaves_out(self, record: &Record) -> bool {
        self == Self::WithoutSessions && matches!(record, Record::Session(_) | Record::MailedToken(_))
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// `store.url` is invalid.
    #[error("store.url: {0}")]
    Url(#[from] StoreUrlError),
    /// The file is incomplete or no export.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record is invalid, or conflicts with those before it.
    #[error("{line}: {record}: {why}")]
    Refused {
        /// Its line.
        line: u64,
        /// The record, described.
        record: String,
        /// What is wrong with it.
        why: String,
    },
    /// The master key does not decrypt the secrets of the access keys.
    #[error(
        "{line}: its access keys are of no use without the master key that the exporting gateway had. {error}"
    )]
    MasterKey {
        /// The line of the first access key.
        line: u64,
        /// Why.
        error: SecretCipherError,
    },
    /// The files belong to another user.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// There is a store already, or none can be created.
    #[error("nothing can be imported into {location}: {error}")]
    Begin {
        /// The location of the store.
        location: StoreLocation,
        /// Why.
        error: StoreError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Fills the configured store, which must be empty, with a file's records within `wanted`, all or nothing.
/// Calls `progress` with the number of records read so far.
///
/// Access keys need the master key that encrypts their data key. Without access keys, a data key that cannot
/// be decrypted is not imported: the next start creates another.
pub async fn import_store(
    config: &Config,
    clock: Clock,
    source: impl BufRead,
    wanted: ImportScope,
    mut progress: impl FnMut(u64),
) -> Result<ImportResult, ImportError> {
    require_owner(config)?;
    let now = clock.now();
    let latest = now.checked_add(AHEAD).unwrap_or(now);
    let mut reader = ExportReader::begin(source)?;
    let location = config.store.location()?;
    let begun = begin_import(&location, clock).await;
    let mut filler = Filler {
        import: begun.map_err(|error| ImportError::Begin { location, error })?,
        waiting: Vec::with_capacity(TOGETHER),
        useless_data_key: None,
    };
    let (mut count, mut left_out, mut administrators) = (0, 0, 0);
    let mut keys = KeyCount::new(config);
    while let Some((line, mut record)) = reader.record()? {
        count += 1;
        progress(count);
        cap(&mut record, now);
        if wanted.leaves_out(&record) || is_void(&record, latest) {
            left_out += 1;
            continue;
        }
        if let Record::DataKey(wrapped) = &record {
            filler.useless_data_key = useless(config, wrapped);
            if filler.useless_data_key.is_some() {
                left_out += 1;
                continue;
            }
        }
        if matches!(record, Record::AccessKey(_))
            && let Some(error) = filler.useless_data_key.take()
        {
            return Err(ImportError::MasterKey { line, error });
        }
        let refusal = impossible(&record, config)
            .or_else(|| to_come(&record, latest))
            .or_else(|| keys.count(&record));
        if let Some(why) = refusal {
            return Err(ImportError::Refused {
                line,
                record: record.to_string(),
                why,
            });
        }
        administrators += u64::from(administers(&record, config));
        filler.take(line, record).await?;
    }
    filler.put().await?;
    filler.import.finish().await?;
    Ok(ImportResult {
        header: reader.header().clone(),
        summary: reader.summary(),
        left_out,
        administrators,
    })
}

/// Returns whether the record is an administrator who may sign in.
fn administers(record: &Record, config: &Config) -> bool {
    let Record::Account(account) = record else {
        return false;
    };
    let may_sign_in = account.email_verified || !config.signup.verify_email;
    account.status == AccountStatus::Active && account.is_in(&config.admin.group) && may_sign_in
}

/// Returns why no gateway can have stored the record: imports are held to the rules of all other input.
fn impossible(record: &Record, config: &Config) -> Option<String> {
    match record {
        Record::Account(account) => error_text(Accounts::require_possible(account, &config.signup)),
        Record::Invitation(invitation) => error_text(Invitations::require_possible(invitation)),
        Record::AccessKey(key) => {
            error_text(AccessKeys::require_possible(key)).or_else(|| too_long(&key.last_use.as_ref()?.client))
        }
        Record::Session(session) => too_long(&session.user_agent),
        Record::Mail(queued) => error_text(Accounts::require_language(queued.mail.language.as_deref())),
        Record::AuditEvent(event) => too_long(&event.user_agent),
        _ => None,
    }
}

/// Returns an error if a client is named by a longer text than a gateway keeps.
fn too_long(user_agent: &str) -> Option<String> {
    let is_long = user_agent.chars().nth(USER_AGENT_LENGTH).is_some();
    is_long.then(|| format!("its client is named by more than {USER_AGENT_LENGTH} characters"))
}

/// Counts the access keys of each account.
struct KeyCount {
    by_account: HashMap<AccountId, usize>,
    /// `login.access_keys`
    at_most: usize,
}

impl KeyCount {
    fn new(config: &Config) -> Self {
        Self {
            by_account: HashMap::new(),
            at_most: config.login.access_keys,
        }
    }

    /// Returns an error if the record is a key more than its account may have.
    fn count(&mut self, record: &Record) -> Option<String> {
        let Record::AccessKey(key) = record else {
            return None;
        };
        let count = self.by_account.entry(key.account).or_default();
        *count += 1;
        (*count > self.at_most).then(|| {
            format!(
                "its account has more than {} access keys: if it had them, allow so many by `login.access_keys`",
                self.at_most
            )
        })
    }
}

/// Returns whether the record is a token that outlasts every token's lifetime: the next start would remove
/// it.
fn is_void(record: &Record, latest: Timestamp) -> bool {
    matches!(record, Record::MailedToken(token) if token.is_ahead(latest))
}

/// Limits how long the mails sent to an address count to what a gateway would store.
fn cap(record: &mut Record, now: Timestamp) {
    if let Record::AddressMails(sent) = record {
        let longest = now.checked_add(MAIL_WINDOW).unwrap_or(now);
        for (_, until) in &mut sent.mails {
            *until = longest.min(*until);
        }
    }
}

fn error_text<T>(possible: Result<T, impl ToString>) -> Option<String> {
    possible.err().map(|error| error.to_string())
}

/// Returns an error if the record has a time after `latest`: it would count as new for ever.
fn to_come(record: &Record, latest: Timestamp) -> Option<String> {
    let last = match record {
        Record::Account(account) => {
            let decided = account.decision.iter().map(|decision| decision.at);
            let agreed = account.agreements.iter().map(|agreement| agreement.at);
            let made = [account.created_at, account.password_changed_at];
            let signed_in = account.last_sign_in_at;
            decided.chain(agreed).chain(made).chain(signed_in).max()
        }
        Record::AccessKey(key) => {
            let used = key.last_use.iter().map(|used| used.at);
            used.chain([key.created_at]).max()
        }
        Record::Session(session) => {
            let proved = session.proved_at;
            proved
                .into_iter()
                .chain([session.created_at, session.last_seen_at])
                .max()
        }
        Record::Invitation(invitation) => Some(invitation.created_at),
        Record::Mail(kept) => Some(kept.mail.cause.at),
        Record::AuditEvent(event) => Some(event.time),
        _ => None,
    };
    let last = last.filter(|last| *last > latest)?;
    Some(format!(
        "it is of {last:.0}, which is still to come: if it is not, set this machine's clock"
    ))
}

fn useless(config: &Config, wrapped: &WrappedDataKey) -> Option<SecretCipherError> {
    require_master_key(&config.store.master_key, wrapped).err()
}

struct Filler {
    import: Box<dyn Import>,
    /// Records with their lines.
    waiting: Vec<(u64, Record)>,
    useless_data_key: Option<SecretCipherError>,
}

impl Filler {
    async fn take(&mut self, line: u64, record: Record) -> Result<(), ImportError> {
        self.waiting.push((line, record));
        if self.waiting.len() == TOGETHER {
            self.put().await?;
        }
        Ok(())
    }

    async fn put(&mut self) -> Result<(), ImportError> {
        let records = self.waiting.iter().map(|(_, record)| record.clone()).collect();
        match self.import.put(records).await {
            Ok(()) => {
                self.waiting.clear();
                Ok(())
            }
            Err(PutError::Refused { index, why }) => {
                let (line, record) = &self.waiting[index];
                Err(ImportError::Refused {
                    line: *line,
                    record: record.to_string(),
                    why,
                })
            }
            Err(PutError::Store(error)) => Err(error.into()),
        }
    }
}

impl ImportResult {
    /// Audits the import in the filled store.
    pub async fn record(&self, administration: &Administration, by: &Actor) -> Result<(), CommandError> {
        let event = Event::success(Kind::StoreImport, "store").by(by).detail(format!(
            "made at {}, {} records, {} left out",
            self.header.made_at, self.summary.records, self.left_out
        ));
        let audit = &administration.services().audit;
        let recorded = audit.record(&Origin::default(), &event).await;
        audit.flush().await;
        recorded.map_err(|error| CommandError::new(format!("the store is imported, but {error}")))
    }
}
