//! The context in which commands are executed: services and store.

use std::fmt;
use std::sync::Arc;

use super::open::{OpenError, open_store};
use super::owner::require_owner;
use crate::clock::Clock;
use crate::config::Config;
use crate::random::Random;
use crate::services::Services;
use crate::store::Store;

/// The services, and the store itself for verification and export.
#[derive(Clone)]
pub struct Administration {
    pub(super) services: Services,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
}

impl Administration {
    /// Wraps services and a store that are open.
    pub fn new(services: Services, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self {
            services,
            store,
            clock,
        }
    }

    /// Returns the context under another configuration.
    #[must_use]
    pub fn with_config(&self, config: &Config) -> Self {
        Self {
            services: self.services.with_config(config),
            ..self.clone()
        }
    }

    /// Opens the configured store and builds the services, for a command without a running gateway.
    pub async fn open(config: &Config, clock: Clock, random: Random) -> Result<Self, OpenError> {
        require_owner(config)?;
        let store = open_store(&config.store, clock.clone()).await?;
        let services = Services::new(config, store.clone(), clock.clone(), random, Arc::default()).await?;
        Ok(Self::new(services, store, clock))
    }

    /// Changes that the store acknowledged and lost, described; `None` if there are none.
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
