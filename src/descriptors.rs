//! Budgets file descriptors between client and upstream connections.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors reserved for everything else: 64 for the operations port; the rest for listening sockets, the
/// store, logs, the admin socket, mail and DNS.
const KEPT_BACK: usize = 192;

/// Raises the soft limit of open files to the hard limit, and returns it. The soft limit is often 1024 for
/// programs that use `select`.
pub fn raise_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.current = limit.maximum,
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
    }
    let limit = limit.current.map(usize::try_from);
    limit.and_then(Result::ok).unwrap_or(usize::MAX)
}

/// Limits of connections, which together with the reserved descriptors fit the process limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorBudget {
    /// Client connections.
    pub clients: usize,
    /// Connections to all upstreams.
    pub upstreams: usize,
}

impl DescriptorBudget {
    /// Divides `limit` between so many client and upstream connections. If not all fit, each side gets half,
    /// or what the other leaves.
    pub fn of(limit: usize, clients: usize, applications: usize) -> Self {
        let there = limit - KEPT_BACK.min(limit / 2);
        let half = there / 2;
        let clients = if clients.saturating_add(applications) <= there {
            clients
        } else if applications <= half {
            there - applications
        } else {
            clients.min(there - half)
        };
        Self {
            clients: clients.max(1),
            upstreams: (there - clients.min(there)).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(limit: usize, clients: usize, applications: usize) -> (usize, usize) {
        let shares = DescriptorBudget::of(limit, clients, applications);
        (shares.clients, shares.upstreams)
    }

    #[test]
    fn what_fits_is_served_as_it_was_asked_for() {
        assert_eq!(shares(1 << 20, 16_384, 512), (16_384, (1 << 20) - 192 - 16_384));
        assert_eq!(shares(usize::MAX, 16_384, 512).0, 16_384);
    }

    #[test]
    fn what_does_not_fit_is_divided() {
        assert_eq!(shares(1024, 16_384, 512), (416, 416));
        assert_eq!(shares(4096, 16_384, 512), (3392, 512));
        assert_eq!(shares(1024, 100, 5000), (100, 732));
    }

    #[test]
    fn something_is_kept_back_of_however_little_there_is() {
        for limit in 4..2000 {
            let (clients, applications) = shares(limit, 16_384, 5120);
            assert!(
                clients + applications + KEPT_BACK.min(limit / 2) <= limit,
                "{limit}"
            );
        }
    }
}
