//! Response bodies of `/notifications`. Addresses of recipients are masked.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::notification::{DeliverySummary, NotificationStatus, Priority};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::rule_result::RuleResult;
use crate::store::{attempt, delivery, notification};

/// A notification in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotificationSummary {
    /// Id of the notification.
    id: Uuid,
    /// Event that the notification is about.
    event: String,
    /// Title of the notification.
    title: Option<String>,
    /// Message of the request; `null` if the rules determined the text.
    message: Option<String>,
    /// Priority of the notification.
    priority: Priority,
    /// Key by which rules recognize duplicates.
    dedupe_key: Option<String>,
    /// `queued`: deliveries were created; `suppressed`: nothing is sent; `digested`: part of a
    /// digest.
    status: NotificationStatus,
    /// Why the notification is not sent, or not yet.
    reason: Option<String>,
    /// Time at which the notification was accepted.
    created_at: DateTime<Utc>,
    /// One delivery per recipient and channel, with its current status.
    deliveries: Vec<DeliverySummary>,
}

/// A notification with the results of the rules, its deliveries and their attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotificationDetail {
    /// Id of the notification.
    id: Uuid,
    /// Event that the notification is about.
    event: String,
    /// Title of the notification.
    title: Option<String>,
    /// Message of the request; `null` if the rules determined the text.
    message: Option<String>,
    /// Data of the event.
    #[schema(value_type = Object)]
    data: Value,
    /// Priority of the notification.
    priority: Priority,
    /// Key by which rules recognize duplicates.
    dedupe_key: Option<String>,
    /// `queued`: deliveries were created; `suppressed`: nothing is sent; `digested`: part of a
    /// digest.
    status: NotificationStatus,
    /// Why the notification is not sent, or not yet.
    reason: Option<String>,
    /// Result of each rule for this event.
    rules: Vec<RuleResult>,
    /// Time of the acknowledgement; `null` if there was none.
    acknowledged_at: Option<DateTime<Utc>>,
    /// Time at which the notification was accepted.
    created_at: DateTime<Utc>,
    /// One delivery per recipient and channel.
    deliveries: Vec<DeliveryDetail>,
}

/// A delivery: one notification to one recipient on one channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetail)]
pub(crate) struct DeliveryDetail {
    /// Id of the delivery.
    id: Uuid,
    /// Channel, such as `sms` or `log`.
    channel: &'static str,
    /// Address of the recipient, masked.
    recipient: String,
    /// `pending`, `sending`, `sent`, `dead`, `unknown` (the recipient may have it), `suppressed`,
    /// `canceled`.
    status: String,
    /// Why the delivery is not sent, or not yet.
    reason: Option<String>,
    /// 0 for the recipients of the rule; 1 and higher for the steps of the escalation.
    step: i16,
    /// Title of the message.
    title: Option<String>,
    /// Text of the message.
    text: String,
    /// Time of the next attempt; `null` if none is due.
    due_at: Option<DateTime<Utc>>,
    /// Time of the first attempt with an unknown outcome: the recipient may have received the
    /// message. `null` if every outcome is known.
    unknown_since: Option<DateTime<Utc>>,
    /// Provider of the last attempt.
    provider: Option<String>,
    /// Id that the provider gave the message.
    provider_message_id: Option<String>,
    /// Status that the provider reported after sending, such as `delivered`.
    provider_status: Option<String>,
    /// Time of this report.
    provider_status_at: Option<DateTime<Utc>>,
    /// Error of the last attempt.
    last_error: Option<String>,
    /// Time at which the notification was accepted.
    created_at: DateTime<Utc>,
    /// Time at which the provider accepted the message.
    sent_at: Option<DateTime<Utc>>,
    /// The attempts to send the delivery, oldest first.
    attempts: Vec<AttemptDetail>,
}

/// An attempt to send a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptDetail {
    /// Number of the attempt, starting at 1.
    number: i32,
    /// Start of the attempt.
    started_at: DateTime<Utc>,
    /// Provider that was asked; `null` if the process ended during the attempt.
    provider: Option<String>,
    /// `sent`; `found` (an earlier attempt was successful); `transient` (retried later);
    /// `permanent` (never retried); `gone` (the recipient does not exist any more); `config` (the
    /// provider refused the account); `suppressed`; or `unknown`.
    outcome: String,
    /// Explanation of the outcome.
    detail: Option<String>,
    /// HTTP status of the provider's response.
    http_status: Option<i16>,
    /// Error code of the provider.
    provider_code: Option<i32>,
    /// Id that the provider gave the message.
    provider_message_id: Option<String>,
    /// Duration of the attempt in milliseconds.
    latency_ms: Option<i32>,
}

impl NotificationSummary {
    /// Assigns each notification its deliveries.
    pub fn from_rows(
        rows: Vec<notification::NotificationRow>,
        deliveries: &[delivery::DeliveryRow],
    ) -> Vec<Self> {
        let of = |id| {
            let own = deliveries.iter().filter(move |d| d.notification_id == id);
            own.map(delivery_summary).collect()
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

fn delivery_summary(row: &delivery::DeliveryRow) -> DeliverySummary {
    DeliverySummary {
        id: row.id,
        channel: row.target.channel().as_str().into(),
        recipient: row.target.to_string(),
        status: row.status.clone(),
    }
}

impl NotificationDetail {
    pub fn new(
        row: notification::NotificationRow,
        deliveries: Vec<delivery::DeliveryRow>,
        attempts: Vec<attempt::AttemptRow>,
    ) -> Self {
        let made: HashMap<Uuid, i32> = deliveries.iter().map(|d| (d.id, d.attempts)).collect();
        let mut deliveries: Vec<_> = deliveries.into_iter().map(DeliveryDetail::from).collect();
        for attempt in attempts {
            let own = deliveries.iter_mut().find(|d| d.id == attempt.delivery_id);
            // The attempts were read after the deliveries. Skip later ones, for a consistent view.
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
