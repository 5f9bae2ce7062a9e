//! Background tasks.

pub mod daily_limiter;
pub mod digest_worker;
pub mod dispatcher;
pub mod intake;
pub mod log_dispatcher;
pub mod maintenance;
pub mod queue_signal;
pub mod routing_cache;
pub mod rule_failures;
pub mod scheduler;
pub mod sender;
pub mod service_notices;

use std::time::Duration;

/// How long a worker waits before it retries after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
