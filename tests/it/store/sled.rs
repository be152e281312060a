//! The embedded store in the conformance tests.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;
use vestibule::clock::{Clock, ManualClock};
use vestibule::model::Administrators;
use vestibule::random::Random;
use vestibule::store::sled::SledStore;
use vestibule::store::{Import, Store};

use super::conformance::{Harness, OpenStore, conformance};
use super::samples::{ADMINS, noon};

/// A sled store in a temporary folder.
pub(crate) struct Sled {
    store: Arc<SledStore>,
    /// Dropped after the store, which writes into it as it closes.
    folder: TempDir,
    hand: ManualClock,
    random: Random,
}

impl Sled {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store; its folder remains.
    pub(crate) fn close(self) -> TempDir {
        Arc::into_inner(self.store).unwrap().close();
        self.folder
    }

    /// Opens the store in an existing folder.
    pub(crate) fn open(folder: TempDir, wall: Timestamp, random: Random) -> Self {
        let (clock, hand) = Clock::manual(wall);
        Self {
            store: Arc::new(SledStore::open(folder.path(), clock).unwrap()),
            folder,
            hand,
            random,
        }
    }
}

impl Harness for Sled {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), noon(), Random::seeded(1))
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.with_administrators(Administrators::new(ADMINS, false))
    }

    fn hand(&self) -> &ManualClock {
        &self.hand
    }

    fn restart(self, wall: Timestamp) -> Self {
        let random = self.random.clone();
        Self::open(self.close(), wall, random)
    }

    fn fill() -> (Box<dyn Import>, OpenStore<Self>) {
        let folder = tempfile::tempdir().unwrap();
        let (clock, _) = Clock::manual(noon());
        let import = SledStore::begin_import(folder.path(), clock).unwrap();
        (
            import,
            Box::new(|wall| Self::open(folder, wall, Random::seeded(1))),
        )
    }

    fn random(&self) -> &Random {
        &self.random
    }
}

conformance! { Sled }
