//! Keys that were derived from a secret, each remembered by what it is for.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::secret::Secret;

/// So many are remembered. A client signs for one day and a service or two at a time, and around midnight for two days.
const AT_MOST: usize = 4;

/// A scope that is longer is not remembered: it is nothing that clients send.
const LONGEST_SCOPE: usize = 128;

/// Keys derived from the secret of one access key; they are gone when that is. Read without a lock.
#[derive(Debug, Default)]
pub struct DerivedKeyCache(ArcSwap<Vec<Arc<DerivedKey>>>);

#[derive(Debug)]
struct DerivedKey {
    scope: Box<str>,
    key: Secret<[u8; 32]>,
}

impl DerivedKeyCache {
    /// The key for this scope, if it is remembered.
    pub fn find(&self, scope: &str) -> Option<Secret<[u8; 32]>> {
        let known = self.0.load();
        let derived = known.iter().find(|derived| *derived.scope == *scope)?;
        Some(derived.key.clone())
    }

    /// Remembers the key for this scope instead of the one that was remembered first. Only what proved right is to be
    /// remembered: then nobody without the secret has a say in what is.
    pub fn remember(&self, scope: &str, key: &Secret<[u8; 32]>) {
        if scope.len() > LONGEST_SCOPE {
            return;
        }
        let derived = Arc::new(DerivedKey {
            scope: scope.into(),
            key: key.clone(),
        });
        self.0.rcu(|known| {
            let others = known.iter().filter(|other| other.scope != derived.scope);
            let newest = std::iter::once(&derived).chain(others).take(AT_MOST);
            newest.cloned().collect::<Vec<_>>()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Secret<[u8; 32]> {
        Secret::new([byte; 32])
    }

    fn found(keys: &DerivedKeyCache, scope: &str) -> Option<u8> {
        keys.find(scope).map(|key| key.expose()[0])
    }

    #[test]
    fn each_scope_has_its_own() {
        let keys = DerivedKeyCache::default();
        assert_eq!(found(&keys, "day/here/s3"), None);
        keys.remember("day/here/s3", &key(1));
        keys.remember("day/there/s3", &key(2));
        assert_eq!(found(&keys, "day/here/s3"), Some(1));
        assert_eq!(found(&keys, "day/there/s3"), Some(2));
        assert_eq!(found(&keys, "day/there/s"), None);
        keys.remember("day/here/s3", &key(3));
        assert_eq!(found(&keys, "day/here/s3"), Some(3));
    }

    #[test]
    fn the_newest_are_remembered() {
        let keys = DerivedKeyCache::default();
        for (number, scope) in (0..).zip(["a", "b", "c", "d", "e"]) {
            keys.remember(scope, &key(number));
        }
        assert_eq!(found(&keys, "a"), None);
        assert_eq!(found(&keys, "b"), Some(1));
        assert_eq!(found(&keys, "e"), Some(4));
        keys.remember(&"x".repeat(LONGEST_SCOPE + 1), &key(9));
        assert_eq!(keys.0.load().len(), AT_MOST);
        assert_eq!(found(&keys, "b"), Some(1));
    }
}
