//! The handle to the current [`Gateway`], which a reload swaps.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Gateway;
use super::memory_budget::MemoryBudget;

/// Holds the current gateway. Connections load it for each request; a request and its tunnel keep the gateway
/// that they began with.
#[derive(Debug)]
pub struct GatewayHandle {
    current: ArcSwap<Gateway>,
    pub(super) memory: Arc<MemoryBudget>,
}

impl Gateway {
    /// Returns the gateway that replaced this one last; this one if there is none.
    pub(super) fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(successor) = newest.successor.get() {
            newest = successor;
        }
        newest
    }
}

impl GatewayHandle {
    /// Creates a handle to a first gateway.
    pub fn new(gateway: Gateway) -> Self {
        Self {
            current: ArcSwap::from_pointee(gateway),
            memory: Arc::default(),
        }
    }

    /// Makes `gateway` the current one, for all requests that begin from now on.
    pub fn replace(&self, gateway: Gateway) {
        let gateway = Arc::new(gateway);
        let before = self.current.swap(gateway.clone());
        let _ = before.successor.set(gateway);
        before.retired.cancel();
    }

    /// Runs the upstreams' health checks until the gateway stops; returns when the last tunnel is closed.
    pub async fn run_maintenance(&self) {
        loop {
            let gateway = self.load();
            gateway.upstreams.run_maintenance(gateway.retired.clone()).await;
            gateway.retired.cancelled().await;
            if gateway.stop.is_cancelled() {
                gateway.tunnels.close();
                return gateway.tunnels.wait().await;
            }
        }
    }

    /// Returns the current gateway.
    pub fn load(&self) -> Arc<Gateway> {
        self.current.load_full()
    }
}
