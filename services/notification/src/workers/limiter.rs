//! Keeps deliveries back that are over a day's limit, and tells each limit once.

use std::sync::Arc;

use common::clock::Clock;
use common::notification::Priority;
use serde_json::Map;
use sqlx::PgPool;

use super::reader::Shelf;
use super::wake::Wake;
use crate::domain::attempt::Claimed;
use crate::domain::command::Command;
use crate::domain::decision::{Defaults, decide};
use crate::domain::limit::{Limits, Over, REACHED};
use crate::domain::notification::Notification;
use crate::store::accept::{Asked, accept};
use crate::store::{StoreError, spent};

/// Counts what is sent.
#[derive(Clone)]
pub struct Limiter {
    /// How much may be sent in a day.
    pub limits: Limits,
    /// Where it is counted.
    pub pool: PgPool,
    /// What time it is.
    pub clock: Clock,
    /// Rules and recipients.
    pub shelf: Shelf,
    /// Who is told of a limit.
    pub defaults: Arc<Defaults>,
    /// Wakes the workers that send.
    pub wake: Wake,
}

impl Limiter {
    /// Marks those that are not to be sent. Where they cannot be counted all are sent.
    pub async fn mark(&self, claimed: &mut [Claimed]) {
        if self.limits == Limits::default() {
            return;
        }
        let over = self.over(claimed).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "not counted");
            Over::default()
        });
        for one in claimed {
            if let Some(why) = over.refused.get(&one.id) {
                one.suppressed = Some(why.clone());
            }
        }
        for limit in over.reached {
            if let Err(error) = self.tell(&limit).await {
                tracing::warn!(%error, limit, "nobody told");
            }
        }
    }

    async fn over(&self, claimed: &[Claimed]) -> Result<Over, StoreError> {
        let batch = self.limits.batch(claimed);
        if batch.added.is_empty() {
            return Ok(Over::default());
        }
        let counts = spent::add(&self.pool, &batch, self.clock.now()).await?;
        Ok(batch.over(&counts))
    }

    /// Says it once, to whom nobody else is named, and by no rule.
    async fn tell(&self, limit: &str) -> Result<(), StoreError> {
        tracing::warn!(limit, "no more is sent today");
        let message = format!("{limit}; no more is sent today, and nothing more is said about it");
        let command = Command {
            event: REACHED.into(),
            title: None,
            message: Some(message),
            data: Map::new(),
            priority: Priority::Urgent,
            dedupe_key: None,
            channels: vec![],
            to: vec![],
        };
        let book = self.shelf.book().await?;
        // A message without recipients goes to the default one, which there always is.
        let Ok(branches) = decide(&command, &book, &self.defaults, self.clock.now()) else {
            return Ok(());
        };
        let new = Notification::new(command, branches, &self.clock);
        let mut asked = [Asked { new, key: None }];
        accept(&self.pool, &mut asked, &self.clock).await?;
        self.wake.wake(self.defaults.target().channel());
        Ok(())
    }
}
