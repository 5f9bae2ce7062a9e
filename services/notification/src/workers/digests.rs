//! Sends digests when they are due.

use std::sync::Arc;

use chassis::panics::{catch_panic, catch_panics};
use common::clock::Clock;
use serde_json::{Map, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::reader::RoutingCache;
use super::rule_failures::RuleFailureCounter;
use super::wake::QueueSignal;
use crate::domain::book::RoutingTable;
use crate::domain::command::NotifyCommand;
use crate::domain::decision::{self, DefaultRecipient};
use crate::domain::gate::in_words;
use crate::domain::notification::Notification;
use crate::domain::template::DigestSummary;
use crate::store::StoreError;
use crate::store::digest::{self, DueDigest};

/// Sends due digests. Several workers can run concurrently.
pub struct DigestWorker {
    pub pool: PgPool,
    pub clock: Clock,
    pub shelf: RoutingCache,
    pub defaults: Arc<DefaultRecipient>,
    pub failures: RuleFailureCounter,
    pub wake: QueueSignal,
}

impl DigestWorker {
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match catch_panics(self.close()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(_)) => {
                    self.wake.wake_all();
                    continue;
                }
                Ok(Err(error)) => tracing::warn!(%error, "digests were not sent; retrying soon"),
                Err(panic) => tracing::error!(%panic, "sending digests panicked; retrying soon"),
            }
            // After a failure, the scheduler wakes this worker again.
            stop.run_until_cancelled(self.wake.digest_due()).await;
        }
    }

    /// Sends due digests. A digest that cannot be rendered or that the database refuses does not
    /// block the others.
    async fn close(&self) -> Result<usize, StoreError> {
        let book = self.shelf.book().await?;
        let now = self.clock.now();
        let close = async |limit| {
            let tell = |due| self.try_tell(&book, due);
            digest::close(&self.pool, now, limit, tell).await
        };
        let closed = close(digest::DIGEST_BATCH_SIZE).await;
        if !closed.as_ref().is_err_and(StoreError::is_refusal) {
            return closed;
        }
        let closed = close(1).await;
        if let Err(error) = &closed
            && error.is_refusal()
        {
            tracing::error!(%error, "the database refused a digest; retrying in 5 minutes");
            digest::put_off_first(&self.pool, now).await?;
            return Ok(1);
        }
        closed
    }

    fn try_tell(&self, book: &RoutingTable, due: DueDigest) -> Option<Notification> {
        let id = due.id;
        let told = catch_panic(|| self.tell(book, due));
        told.inspect_err(|panic| {
            tracing::error!(
                %panic,
                digest = %id,
                "rendering a digest panicked; retrying in 5 minutes"
            );
        })
        .ok()
    }

    fn tell(&self, book: &RoutingTable, due: DueDigest) -> Notification {
        let command = NotifyCommand {
            event: due.first.event,
            title: None,
            message: None,
            data: Map::from_iter([("digest".into(), json!({"count": due.count}))]),
            priority: due.first.priority,
            dedupe_key: None,
            channels: vec![],
            to: vec![],
        };
        let window = in_words(due.length);
        let since = due.held_back_since;
        let since = since.map(|since| since.format("%H:%M UTC").to_string());
        let digest = DigestSummary {
            count: due.count,
            texts: &due.texts,
            window: &window,
            since: since.as_deref(),
        };
        let now = self.clock.now();
        let rule = book.rule(due.rule).filter(|rule| rule.active);
        let say =
            |rule: &Arc<_>| decision::digest(rule, &command, digest, book, &self.defaults, now);
        let mut branches: Vec<_> = rule.map(say).into_iter().collect();
        self.failures.observe(&mut branches, now);
        let new = Notification::new(command, branches, &self.clock);
        Notification { id: due.id, ..new }
    }
}
