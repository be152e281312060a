//! The rules of an import: which records are accepted, and in which order.

use std::collections::HashSet;

use crate::model::LockoutSubject;
use crate::random::Random;
use crate::store::{Record, StoreError, Verification};

/// Faults that the error of an import lists, at most.
const FAULTS_TOLD: usize = 5;

/// The state that earlier records set for later ones.
#[derive(Debug)]
pub(in crate::store) struct ImportOrder {
    /// The key of the table of unknown names.
    pub(in crate::store) names_key: [u8; 32],
    source: NamesKeySource,
    has_data_key: bool,
}

/// Where the names key is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamesKeySource {
    /// Generated here; may still be replaced.
    Ours,
    /// That of the exporting store.
    Theirs,
    /// Generated here and used, so it cannot be replaced.
    InUse,
}

impl ImportOrder {
    /// The state before the first record.
    pub(in crate::store) fn new() -> Self {
        Self {
            names_key: Random::system().bytes(),
            source: NamesKeySource::Ours,
            has_data_key: false,
        }
    }

    /// Accepts a record, or says why it conflicts with those before it. Uniqueness of rows is checked by the
    /// stores.
    pub(in crate::store) fn admit(&mut self, record: &Record) -> Result<(), &'static str> {
        match record {
            Record::NamesKey(given) => {
                if self.source != NamesKeySource::Ours {
                    return Err("it comes after names, or for a second time");
                }
                (self.source, self.names_key) = (NamesKeySource::Theirs, given.key);
            }
            Record::DataKey(_) => self.has_data_key = true,
            Record::AccessKey(_) if !self.has_data_key => return Err("there is no data-key before it"),
            Record::Account(account) => {
                let mut all = HashSet::from([&account.username]);
                if !account.former_usernames.iter().all(|former| all.insert(former)) {
                    return Err("it has a username twice");
                }
            }
            Record::Failures(kept)
                if matches!(kept.of, LockoutSubject::Unknown(_)) && self.source == NamesKeySource::Ours =>
            {
                self.source = NamesKeySource::InUse;
            }
            _ => {}
        }
        Ok(())
    }
}

/// The error of all calls after a failed one.
pub(in crate::store) fn given_up() -> StoreError {
    StoreError::Unavailable("the import was given up".to_owned())
}

/// Fails if verification found faults.
pub(in crate::store) fn require_sound(mut found: Verification) -> Result<(), StoreError> {
    if found.faults.is_empty() {
        return Ok(());
    }
    found.faults.truncate(FAULTS_TOLD);
    Err(StoreError::Corrupt(found.faults.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ExportedFailures, NamesKey};

    fn names_key() -> Record {
        Record::NamesKey(NamesKey { key: [7; 32] })
    }

    #[test]
    fn the_names_key_comes_once_and_before_names() {
        let mut order = ImportOrder::new();
        assert_eq!(order.admit(&names_key()), Ok(()));
        assert_eq!(order.names_key, [7; 32]);
        assert!(order.admit(&names_key()).is_err());

        let mut order = ImportOrder::new();
        let name = Record::Failures(ExportedFailures {
            of: LockoutSubject::unknown("nobody"),
            count: 1,
            lock: None,
            last: None,
        });
        assert_eq!(order.admit(&name), Ok(()));
        assert!(order.admit(&names_key()).is_err());
        assert_ne!(order.names_key, [7; 32]);
    }

    #[test]
    fn faults_are_told_up_to_a_few() {
        let mut found = Verification::default();
        assert!(require_sound(found.clone()).is_ok());
        found.faults = vec!["x".to_owned(); 9];
        let error = require_sound(found).unwrap_err();
        assert_eq!(error.to_string(), "the store is damaged: x; x; x; x; x");
    }
}
