//! Accepts notifications and builds the responses to `POST /notify`.

use std::collections::{HashMap, HashSet};

use chassis::Problem;
use common::notification::{DeliverySummary, NotifyResponse};
use uuid::Uuid;

use super::AppState;
use crate::domain::decision::PlannedDelivery;
use crate::domain::notification::Notification;
use crate::domain::target::ChannelAddress;
use crate::store::accept::{Acceptance, NewNotification};
use crate::store::{StoreError, delivery, notification};
use crate::workers::accepter::AcceptedNotification;

/// The idempotency key was used before with a different body.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyReused;

/// Accepts notifications of `bytes` bytes in total. Returns the responses in the same order.
pub(super) async fn accepted(
    shared: &AppState,
    asked: Vec<NewNotification>,
    bytes: usize,
) -> Result<Vec<Result<NotifyResponse, KeyReused>>, Problem> {
    if asked.is_empty() {
        return Ok(vec![]);
    }
    let accepted = shared.accepter.accept(asked, bytes).await?;
    wake(shared, &accepted);
    let before = before(shared, &accepted).await?;
    let answer = |(asked, acceptance): &AcceptedNotification| match acceptance {
        Acceptance::New => Ok(Ok(new(&asked.new))),
        Acceptance::Before(id) => {
            let answer = before.get(id).cloned();
            let missing = || StoreError::Corrupt("idempotency_key").into();
            answer.map(Ok).ok_or_else(missing)
        }
        Acceptance::OtherBody => Ok(Err(KeyReused)),
    };
    accepted.iter().map(answer).collect()
}

/// Wakes the senders of the channels that have new deliveries.
fn wake(shared: &AppState, accepted: &[AcceptedNotification]) {
    let all = accepted
        .iter()
        .flat_map(|(asked, _)| asked.new.deliveries());
    let channels: HashSet<_> = all.map(|draft| draft.target.channel()).collect();
    for channel in channels {
        shared.wake.wake(channel);
    }
}

fn new(new: &Notification) -> NotifyResponse {
    let first = |draft: &&PlannedDelivery| draft.step == 0;
    let receipt = |draft: &PlannedDelivery| receipt(draft.id, &draft.target, draft.status());
    NotifyResponse {
        id: new.id,
        status: new.status(),
        reason: new.reason(),
        deliveries: new.deliveries().filter(first).map(receipt).collect(),
    }
}

/// Rebuilds the original responses of repeated requests, by id of the notification.
async fn before(
    shared: &AppState,
    accepted: &[AcceptedNotification],
) -> Result<HashMap<Uuid, NotifyResponse>, StoreError> {
    let ids: Vec<_> = accepted
        .iter()
        .filter_map(|(_, acceptance)| match acceptance {
            Acceptance::Before(id) => Some(*id),
            Acceptance::New | Acceptance::OtherBody => None,
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
    let notifications = notification::of(&shared.pool, &ids).await?;
    let mut answers: HashMap<_, _> = notifications.into_iter().map(answer).collect();
    for delivery in delivery::of(&shared.pool, &ids).await? {
        if let Some(answer) = answers.get_mut(&delivery.notification_id) {
            // The status in the original response.
            let status = match delivery.status.as_str() {
                "suppressed" => "suppressed",
                "dead" if delivery.attempts == 0 => "dead",
                _ => "pending",
            };
            if delivery.step == 0 {
                let receipt = receipt(delivery.id, &delivery.target, status);
                answer.deliveries.push(receipt);
            }
        }
    }
    Ok(answers)
}

fn receipt(id: Uuid, target: &ChannelAddress, status: &str) -> DeliverySummary {
    DeliverySummary {
        id,
        channel: target.channel().as_str().into(),
        recipient: target.to_string(),
        status: status.into(),
    }
}
