//! Tells together what was gathered, when its time has come.

use std::sync::Arc;

use common::clock::Clock;
use serde_json::{Map, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::reader::Shelf;
use super::wake::Wake;
use crate::domain::book::Book;
use crate::domain::command::Command;
use crate::domain::decision::{self, Defaults};
use crate::domain::gate::in_words;
use crate::domain::notification::Notification;
use crate::domain::template::Digest;
use crate::store::StoreError;
use crate::store::digest::{self, Due};

/// Tells digests until it is stopped; several may run beside each other.
pub struct Digests {
    /// Where they are kept.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Rules and recipients.
    pub shelf: Shelf,
    /// Whom to tell where nobody else is named.
    pub defaults: Arc<Defaults>,
    /// Wakes the workers that send.
    pub wake: Wake,
}

impl Digests {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.close().await {
                Ok(0) => {}
                Ok(_) => {
                    self.wake.wake_all();
                    continue;
                }
                Err(error) => tracing::warn!(%error, "no digest told"),
            }
            // After a failure the scheduler wakes this worker again.
            stop.run_until_cancelled(self.wake.digest_due()).await;
        }
    }

    async fn close(&self) -> Result<usize, StoreError> {
        let book = self.shelf.book().await?;
        digest::close(&self.pool, self.clock.now(), |due| self.tell(&book, due)).await
    }

    fn tell(&self, book: &Book, due: Due) -> Notification {
        let command = Command {
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
        let digest = Digest {
            count: due.count,
            texts: &due.texts,
            window: &window,
        };
        let now = self.clock.now();
        let rule = book.rule(due.rule).filter(|rule| rule.active);
        let say =
            |rule: &Arc<_>| decision::digest(rule, &command, digest, book, &self.defaults, now);
        let branches: Vec<_> = rule.map(say).into_iter().collect();
        let new = Notification::new(command, branches, &self.clock);
        Notification { id: due.id, ..new }
    }
}
