//! Notifies the default recipient about events of the service itself.

use std::sync::Arc;

use chassis::database::StoreError;
use common::clock::Clock;
use common::notification::Priority;
use serde_json::Map;
use sqlx::PgPool;

use super::queue_signal::QueueSignal;
use super::routing_cache::RoutingCache;
use crate::domain::notification::Notification;
use crate::domain::notify_command::NotifyCommand;
use crate::domain::planner::plan_deliveries;
use crate::domain::recipient::DefaultRecipient;
use crate::store::accept::{NewNotification, accept};

#[derive(Clone)]
pub struct ServiceNotices {
    pub pool: PgPool,
    pub clock: Clock,
    pub routing_cache: RoutingCache,
    pub default_recipient: Arc<DefaultRecipient>,
    pub queue_signal: QueueSignal,
}

impl ServiceNotices {
    /// Sends a message to the default recipient.
    #[tracing::instrument(level = "debug", name = "send_service_notice", skip_all)]
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
        let routing_table = self.routing_cache.table().await?;
        // Cannot fail: a message without recipients goes to the default recipient.
        let Ok(branches) = plan_deliveries(
            &command,
            &routing_table,
            &self.default_recipient,
            self.clock.now(),
        ) else {
            return Ok(());
        };
        let new = Notification::new(command, branches, &self.clock);
        let mut notices = [NewNotification {
            notification: new,
            idempotency_key: None,
        }];
        accept(&self.pool, &mut notices, &self.clock).await?;
        self.queue_signal
            .wake_channel(self.default_recipient.address().channel());
        Ok(())
    }
}
