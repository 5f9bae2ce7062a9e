//! Accepts notifications. A repeated request gets the response to the first one.

use std::collections::{HashMap, HashSet};

use chassis::database::StoreError;
use common::notification::{DeliverySummary, NotifyResponse};
use sqlx::PgPool;
use uuid::Uuid;

use super::intake::{AcceptError, AcceptedNotification, Intake};
use super::queue_signal::QueueSignal;
use crate::domain::channel_address::ChannelAddress;
use crate::domain::delivery_plan::PlannedDelivery;
use crate::domain::notification::Notification;
use crate::store::accept::{Acceptance, NewNotification};
use crate::store::{delivery, notification};

/// The idempotency key was used before with a different body.
#[derive(Clone, Copy, Debug)]
pub struct KeyReused;

/// Accepts notifications on behalf of requests.
#[derive(Clone)]
pub struct NotificationAcceptor {
    pub pool: PgPool,
    pub intake: Intake,
    /// Wakes the workers that send.
    pub queue_signal: QueueSignal,
}

impl NotificationAcceptor {
    /// Accepts notifications of `bytes` bytes in total. Returns the responses in the same order.
    #[tracing::instrument(level = "debug", name = "accept_notifications", skip_all, fields(notifications = notifications.len()))]
    pub async fn accept(
        &self,
        notifications: Vec<NewNotification>,
        bytes: usize,
    ) -> Result<Vec<Result<NotifyResponse, KeyReused>>, AcceptError> {
        if notifications.is_empty() {
            return Ok(vec![]);
        }
        let accepted = self.intake.accept(notifications, bytes).await?;
        self.wake_senders(&accepted);
        let before = self.original_responses(&accepted).await?;
        let answer = |(new, acceptance): &AcceptedNotification| match acceptance {
            Acceptance::New => Ok(Ok(accepted_response(&new.notification))),
            Acceptance::Duplicate(id) => {
                let answer = before.get(id).cloned();
                let missing = || StoreError::Corrupt("a row of the table idempotency_key").into();
                answer.map(Ok).ok_or_else(missing)
            }
            Acceptance::KeyConflict => Ok(Err(KeyReused)),
        };
        accepted.iter().map(answer).collect()
    }

    /// Wakes the senders of the channels that have new deliveries.
    fn wake_senders(&self, accepted: &[AcceptedNotification]) {
        let all = accepted
            .iter()
            .flat_map(|(new, _)| new.notification.deliveries());
        let channels: HashSet<_> = all.map(|draft| draft.address.channel()).collect();
        for channel in channels {
            self.queue_signal.wake_channel(channel);
        }
    }

    /// Rebuilds the original responses of repeated requests, by id of the notification.
    async fn original_responses(
        &self,
        accepted: &[AcceptedNotification],
    ) -> Result<HashMap<Uuid, NotifyResponse>, StoreError> {
        let ids: Vec<_> = accepted
            .iter()
            .filter_map(|(_, acceptance)| match acceptance {
                Acceptance::Duplicate(id) => Some(*id),
                Acceptance::New | Acceptance::KeyConflict => None,
            })
            .collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let answer = |row: notification::NotificationRow| {
            let answer = NotifyResponse {
                id: row.id,
                status: row.status,
                reason: row.reason,
                deliveries: vec![],
            };
            (row.id, answer)
        };
        let notifications = notification::get_many(&self.pool, &ids).await?;
        let mut answers: HashMap<_, _> = notifications.into_iter().map(answer).collect();
        for delivery in delivery::list_for_notifications(&self.pool, &ids).await? {
            if let Some(answer) = answers.get_mut(&delivery.notification_id) {
                // The status in the original response.
                let status = match delivery.status.as_str() {
                    "suppressed" => "suppressed",
                    "dead" if delivery.attempts == 0 => "dead",
                    _ => "pending",
                };
                if delivery.step == 0 {
                    let receipt = delivery_summary(delivery.id, &delivery.target, status);
                    answer.deliveries.push(receipt);
                }
            }
        }
        Ok(answers)
    }
}

fn accepted_response(new: &Notification) -> NotifyResponse {
    let first = |draft: &&PlannedDelivery| draft.step == 0;
    let receipt =
        |draft: &PlannedDelivery| delivery_summary(draft.id, &draft.address, draft.status());
    NotifyResponse {
        id: new.id,
        status: new.status(),
        reason: new.reason(),
        deliveries: new.deliveries().filter(first).map(receipt).collect(),
    }
}

fn delivery_summary(id: Uuid, target: &ChannelAddress, status: &str) -> DeliverySummary {
    DeliverySummary {
        id,
        channel: target.channel().as_str().into(),
        recipient: target.to_string(),
        status: status.into(),
    }
}
