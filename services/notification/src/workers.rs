//! Background loops.

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

/// How long to wait before trying again what could not be done.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
