//! Background tasks.

pub mod accepter;
pub mod digests;
pub mod dispatcher;
pub mod limiter;
pub mod notices;
pub mod reader;
pub mod rule_failures;
pub mod scheduler;
pub mod sender;
pub mod teller;
pub mod upkeep;
pub mod wake;

use std::time::Duration;

/// How long a worker waits before it retries after a failure.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
