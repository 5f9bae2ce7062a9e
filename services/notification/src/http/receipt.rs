//! What is answered about notifications at the moment they are accepted.

use std::collections::{HashMap, HashSet};

use chassis::Problem;
use common::notification::{DeliveryReceipt, NotifyResponse};
use uuid::Uuid;

use super::Shared;
use crate::domain::decision::Draft;
use crate::domain::notification::Notification;
use crate::domain::target::Target;
use crate::store::accept::{Acceptance, Asked};
use crate::store::{StoreError, delivery, notification};
use crate::workers::accepter::Accepted;

/// The key came before, with another body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reused;

/// Accepts what is asked, of so many bytes, and answers in its order.
pub(super) async fn accepted(
    shared: &Shared,
    asked: Vec<Asked>,
    bytes: usize,
) -> Result<Vec<Result<NotifyResponse, Reused>>, Problem> {
    if asked.is_empty() {
        return Ok(vec![]);
    }
    let accepted = shared.accepter.accept(asked, bytes).await?;
    wake(shared, &accepted);
    let before = before(shared, &accepted).await?;
    let answer = |(asked, acceptance): &Accepted| match acceptance {
        Acceptance::New => Ok(Ok(new(&asked.new))),
        Acceptance::Before(id) => {
            let answer = before.get(id).cloned();
            let missing = || StoreError::Corrupt("idempotency_key").into();
            answer.map(Ok).ok_or_else(missing)
        }
        Acceptance::OtherBody => Ok(Err(Reused)),
    };
    accepted.iter().map(answer).collect()
}

/// Wakes who sends on the channels of these.
fn wake(shared: &Shared, accepted: &[Accepted]) {
    let all = accepted
        .iter()
        .flat_map(|(asked, _)| asked.new.deliveries());
    let channels: HashSet<_> = all.map(|draft| draft.target.channel()).collect();
    for channel in channels {
        shared.wake.wake(channel);
    }
}

fn new(new: &Notification) -> NotifyResponse {
    let first = |draft: &&Draft| draft.step == 0;
    let receipt = |draft: &Draft| receipt(draft.id, &draft.target, draft.status());
    NotifyResponse {
        id: new.id,
        status: new.status(),
        reason: new.reason(),
        deliveries: new.deliveries().filter(first).map(receipt).collect(),
    }
}

/// The answers that were given before, by the notification's id.
async fn before(
    shared: &Shared,
    accepted: &[Accepted],
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
    let answer = |row: notification::Row| {
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
            // As it was at first.
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

/// A delivery at the moment it was accepted.
fn receipt(id: Uuid, target: &Target, status: &str) -> DeliveryReceipt {
    DeliveryReceipt {
        id,
        channel: target.channel().as_str().into(),
        recipient: target.to_string(),
        status: status.into(),
    }
}
