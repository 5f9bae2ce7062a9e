//! Requests and responses of `notification`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::geo::ItemError;

pub const MAX_NOTIFICATIONS_PER_REQUEST: usize = 1_000;
/// Event of a notification with a message that names no event.
pub const MESSAGE_EVENT: &str = "message";

/// A notification. `POST /notify` accepts a single one or a list of at most 1,000.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"event": "deploy.finished", "message": "Version 12 is live."}))]
pub struct NotifyRequest {
    /// Name of the event, such as `visitor.arrived`. Rules match it. Optional with a `message`;
    /// the event is then `message`.
    #[serde(default)]
    pub event: Option<String>,
    /// Title, for channels that support one.
    #[serde(default)]
    pub title: Option<String>,
    /// Text to send unchanged. Without it, rules and templates determine the text.
    #[serde(default)]
    pub message: Option<String>,
    /// Values for templates and for the conditions of rules.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// Delivery channels, such as `sms`. Without them, the rules choose.
    #[serde(default)]
    pub channels: Option<Vec<String>>,
    /// Recipients: addresses, `recipient:NAME`, `group:NAME` or `default`. Without them, the rules
    /// choose.
    #[serde(default)]
    pub to: Option<Vec<String>>,
    /// Rules with `dedupe` treat notifications with the same key as the same notification.
    #[serde(default)]
    pub dedupe_key: Option<String>,
    /// Priority. `urgent` bypasses quiet hours and digests.
    #[serde(default)]
    pub priority: Priority,
    /// Idempotency key for notifications in a list, like the header `Idempotency-Key` for a single
    /// notification. A repetition with the same key and content has no further effect.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// Priority of a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    /// Bypasses quiet hours and digests.
    Urgent,
}

/// Result of an accepted notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyResponse {
    /// Id of the notification.
    pub id: Uuid,
    /// Whether the notification is sent.
    pub status: NotificationStatus,
    /// Why the notification is not sent, or not yet. Null if it is sent.
    pub reason: Option<String>,
    /// Deliveries, one for each recipient and channel.
    pub deliveries: Vec<DeliverySummary>,
}

/// Results of a list of notifications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyResults {
    /// One result for each notification, in the order of the request.
    pub results: Vec<NotifyResult>,
}

/// Result of one notification of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyResult {
    /// Id of the notification. Null if it was rejected.
    pub id: Option<Uuid>,
    /// Whether the notification is sent. Null if it was rejected.
    pub status: Option<NotificationStatus>,
    /// Why the notification is not sent, or not yet. Null if it is sent.
    pub reason: Option<String>,
    /// Deliveries, one for each recipient and channel.
    pub deliveries: Vec<DeliverySummary>,
    /// Why the notification was rejected. Sending it again gives the same error.
    pub error: Option<ItemError>,
}

impl From<NotifyResponse> for NotifyResult {
    fn from(accepted: NotifyResponse) -> Self {
        Self {
            id: Some(accepted.id),
            status: Some(accepted.status),
            reason: accepted.reason,
            deliveries: accepted.deliveries,
            error: None,
        }
    }
}

/// Whether a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationStatus {
    /// At least one delivery was created.
    Queued,
    /// The rules decided not to send the notification.
    Suppressed,
    /// The notification will be sent as part of a digest.
    Digested,
}

/// A delivery: one notification to one recipient on one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliverySummary {
    /// Id of the delivery.
    pub id: Uuid,
    /// Channel, such as `sms` or `log`.
    pub channel: String,
    /// Address of the recipient. Phone numbers are masked.
    pub recipient: String,
    /// Status of the delivery, such as `pending`, `sending`, `sent` or `dead`.
    pub status: String,
}

pub const MAX_ERASED_VISITORS: usize = 1_000;

/// Request to erase the data about a person from notifications.
///
/// With `visitor_ids` alone, all data about these visitors are erased. With a `user_id`, all data
/// about this user are erased, and data about these visitors that belong to no other user: two
/// users behind one IP address may share a visitor id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"visitor_ids": ["512965ec27ba6ff1e6bb4dd06a1b0a2a"],
    "erased_at": "2026-11-20T12:00:00Z"}))]
pub struct ErasureRequest {
    /// Visitor ids, at most 1,000.
    #[serde(default)]
    pub visitor_ids: Vec<String>,
    /// Id of the user on the site.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Erases only data of this site. Without it, data of all sites are erased.
    #[serde(default)]
    pub site: Option<String>,
    /// Time of the erasure. Data recorded later are kept.
    pub erased_at: chrono::DateTime<chrono::Utc>,
}

/// Numbers of erased items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasureResponse {
    /// Notifications and digests from which data were erased.
    pub notifications: u64,
    /// Deliveries whose texts were erased.
    pub deliveries: u64,
    /// The part of `deliveries` that had not been sent and was canceled.
    pub canceled: u64,
}
