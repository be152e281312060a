//! A cache of the signing keys derived from an access key's secret.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::secret::Secret;

/// The capacity. A client signs for one day and a service or two at a time, and around midnight for two days.
const AT_MOST: usize = 4;

/// The longest cached scope, in bytes; clients send shorter ones.
const LONGEST_SCOPE: usize = 128;

/// Signing keys derived from the secret of one access key, dropped with it. Reading takes no lock.
#[derive(Debug, Default)]
pub struct DerivedKeyCache(ArcSwap<Vec<Arc<DerivedKey>>>);

#[derive(Debug)]
struct DerivedKey {
    scope: Box<str>,
    key: Secret<[u8; 32]>,
}

impl DerivedKeyCache {
    /// Returns the key for this scope if it is cached.
    pub fn find(&self, scope: &str) -> Option<Secret<[u8; 32]>> {
        let known = self.0.load();
        let derived = known.iter().find(|derived| *derived.scope == *scope)?;
        Some(derived.key.clone())
    }

    /// Caches the key for this scope and evicts the oldest. Callers cache only keys whose signature was
    /// right, so that only a holder of the secret can fill the cache.
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
