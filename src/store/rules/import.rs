//! What a new store that is being filled takes, and in which order.

use std::collections::HashSet;

use crate::model::LockoutSubject;
use crate::random::Random;
use crate::store::{Record, StoreError, Verification};

/// Faults that are told of one import.
const FAULTS_TOLD: usize = 5;

/// What the records so far decide on those after them.
#[derive(Debug)]
pub(in crate::store) struct ImportOrder {
    /// Decides where names are that belong to nobody.
    pub(in crate::store) names_key: [u8; 32],
    source: NamesKeySource,
    has_data_key: bool,
}

/// Whose the names' key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamesKeySource {
    /// Made here; it may still be replaced.
    Ours,
    /// That of the store from which the records come.
    Theirs,
    /// Made here, and there are names.
    InUse,
}

impl ImportOrder {
    /// Before the first record.
    pub(in crate::store) fn new() -> Self {
        Self {
            names_key: Random::system().bytes(),
            source: NamesKeySource::Ours,
            has_data_key: false,
        }
    }

    /// Takes note of a record, or says why it cannot be beside those before it, other rows aside.
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

/// What an import answers after an error.
pub(in crate::store) fn given_up() -> StoreError {
    StoreError::Unavailable("the import was given up".to_owned())
}

/// Refuses to make a store of what is not sound.
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
    use crate::store::{KeptFailures, NamesKey};

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
        let name = Record::Failures(KeptFailures {
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
