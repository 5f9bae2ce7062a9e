//! Those who carry messages: one file per provider, alike behind [`Provider`]; and the log.

pub mod body;
pub mod log;
pub mod twilio;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use crate::domain::attempt::{Answer, Claimed};

/// Carries messages of one channel.
pub trait Provider: Send + Sync {
    /// Its name, as the API, the database and the metrics have it.
    fn name(&self) -> &'static str;

    /// Sends it, once.
    fn send<'a>(&'a self, delivery: &'a Claimed) -> BoxFuture<'a, Answer>;

    /// The ids of messages sent since then that say the same to the same recipient. The error is
    /// the answer to give where that cannot be told.
    fn look_up<'a>(
        &'a self,
        delivery: &'a Claimed,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Vec<String>, Answer>>;
}
