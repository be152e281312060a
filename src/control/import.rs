//! Filling a new store from an export or a backup.

use std::io::BufRead;

use jiff::{SignedDuration, Timestamp};

use super::open::begin_import;
use super::owner::{OwnerError, require_owner};
use super::{Administration, CommandError};
use crate::clock::Clock;
use crate::config::{Config, StoreLocation, StoreUrlError};
use crate::model::{AccountStatus, WrappedDataKey};
use crate::services::{
    AccessKeys, Accounts, Actor, Event, Kind, MAIL_WINDOW, Origin, SecretCipherError, require_master_key,
};
use crate::store::{Header, Import, PutError, ReadError, Record, RecordReader, StoreError, Summary};

/// How far the clock of the machine that exported may have been ahead.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Records that are put together.
const TOGETHER: usize = 256;

/// What was imported.
#[derive(Clone, Debug)]
pub struct ImportResult {
    /// What the file's first line said.
    pub header: Header,
    /// What was in it.
    pub summary: Summary,
    /// Records that were left out.
    pub left_out: u64,
    /// Accounts that administer the gateway: active members of `admin.group`.
    pub administrators: u64,
}

/// What is imported of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportScope {
    /// Everything.
    All,
    /// All but sessions and the links for a new password or address: everybody signs in anew. Invitations stay.
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
    /// `store.url` names no store.
    #[error("store.url: {0}")]
    Url(#[from] StoreUrlError),
    /// The file is not whole, or not one.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record cannot be beside those before it.
    #[error("{line}: {record}: {why}")]
    Refused {
        /// Its line.
        line: u64,
        /// Which one it is.
        record: String,
        /// What is wrong with it.
        why: String,
    },
    /// The secrets of the access keys cannot be opened here.
    #[error(
        "{line}: its access keys are of no use without the master key that the exporting gateway had. {error}"
    )]
    MasterKey {
        /// The line of the first access key.
        line: u64,
        /// Why.
        error: SecretCipherError,
    },
    /// The files are another user's.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// There is no room for a new store.
    #[error("nothing can be imported into {location}: {error}")]
    Begin {
        /// Where it would be.
        location: StoreLocation,
        /// Why.
        error: StoreError,
    },
    /// The store cannot be filled.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Fills the store that the configuration names, which is empty, with all that is wanted of a file, or not at all. Says
/// of each record how many there were so far.
///
/// Access keys need the master key that their data key is sealed with. Where there are none, a data key that cannot be
/// opened here is left out: the next start makes another.
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
    let mut reader = RecordReader::begin(source)?;
    let location = config.store.location()?;
    let begun = begin_import(&location, clock).await;
    let mut filler = Filler {
        import: begun.map_err(|error| ImportError::Begin { location, error })?,
        waiting: Vec::with_capacity(TOGETHER),
        useless_data_key: None,
    };
    let (mut count, mut left_out, mut administrators) = (0, 0, 0);
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
        if let Some(why) = impossible(&record, config).or_else(|| to_come(&record, latest)) {
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

/// Whether it is an account that may sign in and administer.
fn administers(record: &Record, config: &Config) -> bool {
    let Record::Account(account) = record else {
        return false;
    };
    let may_sign_in = account.email_verified || !config.signup.verify_email;
    account.status == AccountStatus::Active && account.is_in(&config.admin.group) && may_sign_in
}

/// Why no gateway can have kept it: a file is held to what every other way in is held to.
fn impossible(record: &Record, config: &Config) -> Option<String> {
    match record {
        Record::Account(account) => error_text(Accounts::require_possible(account, &config.signup)),
        Record::Invitation(invitation) => error_text(Accounts::group_names(&invitation.groups)),
        Record::AccessKey(key) => error_text(AccessKeys::require_possible(key)),
        _ => None,
    }
}

/// Whether it is a link that lasts longer than any does: the next start would forget it.
fn is_void(record: &Record, latest: Timestamp) -> bool {
    matches!(record, Record::MailedToken(token) if token.is_ahead(latest))
}

/// What an address was sent counts no longer than a gateway would have it.
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

/// What a record says happened later than `latest`: it would count as new for ever.
fn to_come(record: &Record, latest: Timestamp) -> Option<String> {
    let last = match record {
        Record::Account(account) => {
            let decided = account.decision.iter().map(|decision| decision.at);
            let agreed = account.agreements.iter().map(|agreement| agreement.at);
            let made = [account.created_at, account.password_changed_at];
            decided.chain(agreed).chain(made).max()
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
    /// Each with its line.
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
    /// Puts the import on record, in the store that was filled.
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
