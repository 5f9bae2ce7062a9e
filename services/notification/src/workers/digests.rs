//! Tells together what was gathered, when its time has come.

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

/// Tells digests until it is stopped; several may run beside each other.
pub struct DigestWorker {
    /// Where they are kept.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Rules and recipients.
    pub shelf: RoutingCache,
    /// Whom to tell where nobody else is named.
    pub defaults: Arc<DefaultRecipient>,
    /// Counts rules that fail.
    pub failures: RuleFailureCounter,
    /// Wakes the workers that send.
    pub wake: QueueSignal,
}

impl DigestWorker {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match catch_panics(self.close()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(_)) => {
                    self.wake.wake_all();
                    continue;
                }
                Ok(Err(error)) => tracing::warn!(%error, "no digest told"),
                Err(panic) => tracing::error!(%panic, "no digest told"),
            }
            // After a failure the scheduler wakes this worker again.
            stop.run_until_cancelled(self.wake.digest_due()).await;
        }
    }

    /// Tells digests that are due. One that the database refuses, or that cannot be made a message,
    /// does not hold up the others.
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
            tracing::error!(%error, "a digest is refused, and put off");
            digest::put_off_first(&self.pool, now).await?;
            return Ok(1);
        }
        closed
    }

    fn try_tell(&self, book: &RoutingTable, due: DueDigest) -> Option<Notification> {
        let id = due.id;
        let told = catch_panic(|| self.tell(book, due));
        told.inspect_err(|panic| tracing::error!(%panic, digest = %id, "a digest is put off"))
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
