//! The gateway that requests go through now: a reload puts another one in its place.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Gateway;

/// Holds a gateway. A connection asks for each of its requests; a request, and what it opened, keeps the gateway that
/// it began with.
#[derive(Debug)]
pub struct GatewayHandle(ArcSwap<Gateway>);

impl Gateway {
    /// The gateway that has taken the place of this one, or it itself.
    pub(super) fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(successor) = newest.successor.get() {
            newest = successor;
        }
        newest
    }
}

impl GatewayHandle {
    /// Begins with this one.
    pub fn new(gateway: Gateway) -> Self {
        Self(ArcSwap::from_pointee(gateway))
    }

    /// Requests that come from now on go through this one.
    pub fn replace(&self, gateway: Gateway) {
        let gateway = Arc::new(gateway);
        let before = self.0.swap(gateway.clone());
        let _ = before.successor.set(gateway);
        before.retired.cancel();
    }

    /// Has applications checked now and then until the gateway stops; returns when the last tunnel is closed.
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

    /// The gateway of this moment.
    pub fn load(&self) -> Arc<Gateway> {
        self.0.load_full()
    }
}
