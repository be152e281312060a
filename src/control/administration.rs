//! What commands are executed on.

use std::fmt;
use std::sync::Arc;

use super::open::{OpenError, open_store};
use super::owner::require_owner;
use crate::clock::Clock;
use crate::config::Config;
use crate::random::Random;
use crate::services::Services;
use crate::store::Store;

/// The services, and the store under them for what is about the store itself: to verify it and to write it out.
#[derive(Clone)]
pub struct Administration {
    pub(super) services: Services,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
}

impl Administration {
    /// Over services and a store that are already open.
    pub fn new(services: Services, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self {
            services,
            store,
            clock,
        }
    }

    /// The same under another configuration.
    #[must_use]
    pub fn with_config(&self, config: &Config) -> Self {
        Self {
            services: self.services.with_config(config),
            ..self.clone()
        }
    }

    /// Opens what the configuration names, for a command: no gateway runs.
    pub async fn open(config: &Config, clock: Clock, random: Random) -> Result<Self, OpenError> {
        require_owner(config)?;
        let store = open_store(&config.store, clock.clone()).await?;
        let services = Services::new(config, store.clone(), clock.clone(), random, Arc::default()).await?;
        Ok(Self::new(services, store, clock))
    }

    /// What was promised once and the store lost.
    pub fn lost_changes(&self) -> Option<String> {
        self.store.lost_changes()
    }

    /// The services.
    pub fn services(&self) -> &Services {
        &self.services
    }
}

impl fmt::Debug for Administration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administration").finish_non_exhaustive()
    }
}
