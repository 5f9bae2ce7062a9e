//! The live stream: publishes recorded visits to the subscribers on all replicas.
//!
//! Recorders hand the keys of their visits to the [`VisitPublisher`] of their process. While any
//! process has subscribers, the publisher's worker sends the keys with PostgreSQL's `NOTIFY`. The
//! worker of the [`LiveHub`] receives them on one connection if its process has subscribers, reads
//! each visit once, and shares the visits among the subscribers.

mod erased_visitors;
mod hub;
mod publisher;

pub use hub::{LiveEvent, LiveFeed, LiveHub, Subscription};
pub(crate) use publisher::{MAX_QUEUED_KEYS, RecordedKey};
pub use publisher::{PublishQueue, VisitPublisher};
