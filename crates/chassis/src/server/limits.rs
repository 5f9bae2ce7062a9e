//! Limits of connections.

use std::time::Duration;

/// Limits of the HTTP server.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Maximum number of connections of one peer (an IPv4 address or an IPv6 /64). This is a large
    /// share, because behind a proxy all connections come from a few addresses.
    pub max_per_peer: usize,
    /// A connection without requests, or whose client does not read the response, is closed after
    /// this time.
    pub idle_timeout: Duration,
    /// Bound on the response bytes that clients have not read, for all connections together.
    pub max_unread_bytes: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 4_096,
            max_per_peer: 3_072,
            // Longer than the idle timeout of our own clients.
            idle_timeout: Duration::from_secs(30),
            max_unread_bytes: 67_108_864,
        }
    }
}
