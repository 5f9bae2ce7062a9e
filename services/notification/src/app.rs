//! What requests and workers share: use cases, and the handles of caches, queues and signals.

pub mod acceptance;
pub mod daily_limiter;
pub mod guarded_provider;
pub mod intake;
pub mod provider_events;
pub mod queue_signal;
pub mod routing_cache;
pub mod rule_engine;
pub mod rule_failures;
pub mod sender;
pub mod service_notices;
