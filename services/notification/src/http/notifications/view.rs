//! Notifications on the wire. Recipients are masked.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::notification::{DeliverySummary, NotificationStatus, Priority};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::finding::RuleResult;
use crate::store::{attempt, delivery, notification};

/// A notification in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotificationSummary {
    /// The notification's id.
    id: Uuid,
    /// What happened.
    event: String,
    /// A headline.
    title: Option<String>,
    /// The message that was asked for.
    message: Option<String>,
    /// How urgent it is.
    priority: Priority,
    /// Notifications with the same key say the same thing.
    dedupe_key: Option<String>,
    /// Whether it goes out.
    status: NotificationStatus,
    /// Why not.
    reason: Option<String>,
    /// When it was accepted.
    created_at: DateTime<Utc>,
    /// One for each recipient and channel, as it stands.
    deliveries: Vec<DeliverySummary>,
}

/// A notification with its whole story.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotificationDetail {
    /// The notification's id.
    id: Uuid,
    /// What happened.
    event: String,
    /// A headline.
    title: Option<String>,
    /// The message that was asked for.
    message: Option<String>,
    /// What came with the event.
    #[schema(value_type = Object)]
    data: Value,
    /// How urgent it is.
    priority: Priority,
    /// Notifications with the same key say the same thing.
    dedupe_key: Option<String>,
    /// Whether it goes out.
    status: NotificationStatus,
    /// Why not.
    reason: Option<String>,
    /// What each rule said that is about this event.
    rules: Vec<RuleResult>,
    /// When somebody said they saw it.
    acknowledged_at: Option<DateTime<Utc>>,
    /// When it was accepted.
    created_at: DateTime<Utc>,
    /// One for each recipient and channel.
    deliveries: Vec<DeliveryDetail>,
}

/// One notification to one recipient on one channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetail)]
pub(crate) struct DeliveryDetail {
    /// The delivery's id.
    id: Uuid,
    /// `sms`, `log` …
    channel: &'static str,
    /// To whom; phone numbers are masked.
    recipient: String,
    /// `pending`, `sending`, `sent`, `dead`, `unknown` (the recipient may have it), `suppressed`,
    /// `canceled`.
    status: String,
    /// Why it is not sent, or not yet.
    reason: Option<String>,
    /// 0 for those told at once; later ones only where nobody acknowledges.
    step: i16,
    /// The headline.
    title: Option<String>,
    /// What is said.
    text: String,
    /// When it is tried next; null where it is not.
    due_at: Option<DateTime<Utc>>,
    /// Since then the recipient may have it without our knowing.
    unknown_since: Option<DateTime<Utc>>,
    /// Who sent it, or tried last.
    provider: Option<String>,
    /// The provider's id of the message.
    provider_message_id: Option<String>,
    /// What the provider said later, such as `delivered`.
    provider_status: Option<String>,
    /// When it said so.
    provider_status_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// When it was accepted.
    created_at: DateTime<Utc>,
    /// When it was sent.
    sent_at: Option<DateTime<Utc>>,
    /// Every try to send it.
    attempts: Vec<AttemptDetail>,
}

/// One try to send a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptDetail {
    /// From 1.
    number: i32,
    /// When it began.
    started_at: DateTime<Utc>,
    /// Who was asked; null where the process ended in the middle.
    provider: Option<String>,
    /// `sent`, `found` (an earlier try had been successful), `transient`, `permanent`, `unknown`.
    outcome: String,
    /// The same in words.
    detail: Option<String>,
    /// The HTTP status of the provider's answer.
    http_status: Option<i16>,
    /// The provider's own code.
    provider_code: Option<i32>,
    /// The provider's id of the message.
    provider_message_id: Option<String>,
    /// How long it took, in milliseconds.
    latency_ms: Option<i32>,
}

impl NotificationSummary {
    /// Notifications with what there is of their deliveries in `deliveries`.
    pub fn all(
        rows: Vec<notification::NotificationRow>,
        deliveries: &[delivery::DeliveryRow],
    ) -> Vec<Self> {
        let of = |id| {
            let own = deliveries.iter().filter(move |d| d.notification_id == id);
            own.map(receipt).collect()
        };
        let summary = |row: notification::NotificationRow| Self {
            deliveries: of(row.id),
            id: row.id,
            event: row.event,
            title: row.title,
            message: row.message,
            priority: row.priority,
            dedupe_key: row.dedupe_key,
            status: row.status,
            reason: row.reason,
            created_at: row.created_at,
        };
        rows.into_iter().map(summary).collect()
    }
}

fn receipt(row: &delivery::DeliveryRow) -> DeliverySummary {
    DeliverySummary {
        id: row.id,
        channel: row.target.channel().as_str().into(),
        recipient: row.target.to_string(),
        status: row.status.clone(),
    }
}

impl NotificationDetail {
    /// A notification with its deliveries and all their attempts.
    pub fn new(
        row: notification::NotificationRow,
        deliveries: Vec<delivery::DeliveryRow>,
        attempts: Vec<attempt::AttemptRow>,
    ) -> Self {
        let made: HashMap<Uuid, i32> = deliveries.iter().map(|d| (d.id, d.attempts)).collect();
        let mut deliveries: Vec<_> = deliveries.into_iter().map(DeliveryDetail::from).collect();
        for attempt in attempts {
            let own = deliveries.iter_mut().find(|d| d.id == attempt.delivery_id);
            // The attempts were read later; one that was made meanwhile does not fit the rest.
            let fits = made.get(&attempt.delivery_id) >= Some(&attempt.number);
            if let Some(delivery) = own.filter(|_| fits) {
                delivery.attempts.push(attempt.into());
            }
        }
        Self {
            id: row.id,
            event: row.event,
            title: row.title,
            message: row.message,
            data: row.data,
            priority: row.priority,
            dedupe_key: row.dedupe_key,
            status: row.status,
            reason: row.reason,
            rules: row.findings,
            acknowledged_at: row.acknowledged_at,
            created_at: row.created_at,
            deliveries,
        }
    }
}

impl From<delivery::DeliveryRow> for DeliveryDetail {
    fn from(row: delivery::DeliveryRow) -> Self {
        let waits = matches!(row.status.as_str(), "pending" | "sending");
        Self {
            id: row.id,
            channel: row.target.channel().as_str(),
            recipient: row.target.to_string(),
            status: row.status,
            reason: row.reason,
            step: row.step,
            title: row.title,
            text: row.body,
            due_at: waits.then_some(row.due_at),
            unknown_since: row.unknown_since,
            provider: row.provider,
            provider_message_id: row.provider_message_id,
            provider_status: row.provider_status,
            provider_status_at: row.provider_status_at,
            last_error: row.last_error,
            created_at: row.created_at,
            sent_at: row.sent_at,
            attempts: vec![],
        }
    }
}

impl From<attempt::AttemptRow> for AttemptDetail {
    fn from(row: attempt::AttemptRow) -> Self {
        Self {
            number: row.number,
            started_at: row.started_at,
            provider: row.provider,
            outcome: row.outcome,
            detail: row.detail,
            http_status: row.http_status,
            provider_code: row.provider_code,
            provider_message_id: row.provider_message_id,
            latency_ms: row.latency_ms,
        }
    }
}
