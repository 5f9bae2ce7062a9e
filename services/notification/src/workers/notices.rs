//! Notifies the default recipient about events of the service itself.

use std::sync::Arc;

use common::clock::Clock;
use common::notification::Priority;
use serde_json::Map;
use sqlx::PgPool;

use super::reader::RoutingCache;
use super::wake::QueueSignal;
use crate::domain::command::NotifyCommand;
use crate::domain::decision::{DefaultRecipient, decide};
use crate::domain::notification::Notification;
use crate::store::StoreError;
use crate::store::accept::{NewNotification, accept};

#[derive(Clone)]
pub struct ServiceNotices {
    pub pool: PgPool,
    pub clock: Clock,
    pub shelf: RoutingCache,
    pub defaults: Arc<DefaultRecipient>,
    pub wake: QueueSignal,
}

impl ServiceNotices {
    /// Sends a message to the default recipient.
    pub async fn send(&self, event: &str, message: String) -> Result<(), StoreError> {
        let command = NotifyCommand {
            event: event.into(),
            title: None,
            message: Some(message),
            data: Map::new(),
            priority: Priority::Urgent,
            dedupe_key: None,
            channels: vec![],
            to: vec![],
        };
        let book = self.shelf.book().await?;
        // Cannot fail: a message without recipients goes to the default recipient.
        let Ok(branches) = decide(&command, &book, &self.defaults, self.clock.now()) else {
            return Ok(());
        };
        let new = Notification::new(command, branches, &self.clock);
        let mut asked = [NewNotification { new, key: None }];
        accept(&self.pool, &mut asked, &self.clock).await?;
        self.wake.wake(self.defaults.target().channel());
        Ok(())
    }
}
