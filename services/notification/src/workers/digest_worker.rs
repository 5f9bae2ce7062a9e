//! Sends digests when they are due.

use std::sync::Arc;

use chassis::database::StoreError;
use chassis::panics::{catch_panic, catch_panics};
use common::clock::Clock;
use serde_json::{Map, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::queue_signal::QueueSignal;
use crate::app::routing_cache::RoutingCache;
use crate::app::rule_failures::RuleFailureCounter;
use crate::domain::notification::Notification;
use crate::domain::notify_command::NotifyCommand;
use crate::domain::planner;
use crate::domain::rate_window::format_duration;
use crate::domain::recipient::DefaultRecipient;
use crate::domain::routing_table::RoutingTable;
use crate::domain::template::DigestSummary;
use crate::store::digest::{self, DueDigest};

/// Sends due digests. Several workers can run concurrently.
pub struct DigestWorker {
    pub pool: PgPool,
    pub clock: Clock,
    pub routing_cache: RoutingCache,
    pub default_recipient: Arc<DefaultRecipient>,
    pub failures: RuleFailureCounter,
    pub queue_signal: QueueSignal,
}

impl DigestWorker {
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match catch_panics(self.send_due()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(_)) => {
                    self.queue_signal.wake_all();
                    continue;
                }
                Ok(Err(error)) => tracing::warn!(%error, "digests were not sent; retrying soon"),
                Err(panic) => tracing::error!(%panic, "sending digests panicked; retrying soon"),
            }
            // After a failure, the scheduler wakes this worker again.
            stop.run_until_cancelled(self.queue_signal.wait_for_digest())
                .await;
        }
    }

    /// Sends due digests. A digest that cannot be rendered or that the database refuses does not
    /// block the others.
    async fn send_due(&self) -> Result<usize, StoreError> {
        let book = self.routing_cache.table().await?;
        let now = self.clock.now();
        let close = async |limit| {
            let tell = |due| self.try_render(&book, due);
            digest::close_due(&self.pool, now, limit, tell).await
        };
        let closed = close(digest::DIGEST_BATCH_SIZE).await;
        if !closed.as_ref().is_err_and(StoreError::is_data_refused) {
            return closed;
        }
        let closed = close(1).await;
        if let Err(error) = &closed
            && error.is_data_refused()
        {
            tracing::error!(%error, "the database refused a digest; retrying in 5 minutes");
            digest::postpone_first(&self.pool, now).await?;
            return Ok(1);
        }
        closed
    }

    fn try_render(&self, book: &RoutingTable, due: DueDigest) -> Option<Notification> {
        let id = due.id;
        let told = catch_panic(|| self.render(book, due));
        told.inspect_err(|panic| {
            tracing::error!(
                %panic,
                digest = %id,
                "rendering a digest panicked; retrying in 5 minutes"
            );
        })
        .ok()
    }

    fn render(&self, book: &RoutingTable, due: DueDigest) -> Notification {
        let command = NotifyCommand {
            event: due.first_notification.event,
            title: None,
            message: None,
            data: Map::from_iter([("digest".into(), json!({"count": due.count}))]),
            priority: due.first_notification.priority,
            dedupe_key: None,
            channels: vec![],
            to: vec![],
        };
        let window = format_duration(due.window);
        let since = due.held_back_since;
        let since = since.map(|since| since.format("%H:%M UTC").to_string());
        let digest = DigestSummary {
            count: due.count,
            texts: &due.texts,
            window: &window,
            since: since.as_deref(),
        };
        let now = self.clock.now();
        let rule = book.rule(due.rule_id).filter(|rule| rule.active);
        let say = |rule: &Arc<_>| {
            planner::plan_digest(rule, &command, digest, book, &self.default_recipient, now)
        };
        let mut branches: Vec<_> = rule.map(say).into_iter().collect();
        self.failures.record_results(&mut branches, now);
        let new = Notification::new(command, branches, &self.clock);
        Notification { id: due.id, ..new }
    }
}
