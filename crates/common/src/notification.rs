//! What `notification` takes and answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::geo::ItemError;

/// The most notifications in one list.
pub const MAX_NOTIFICATIONS_PER_REQUEST: usize = 1_000;

/// `POST /notify`: something worth telling; alone or in a list of at most [`MAX_NOTIFICATIONS_PER_REQUEST`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"event": "deploy.finished", "message": "Version 12 is live."}))]
pub struct NotifyRequest {
    /// What happened, such as `visitor.arrived`.
    pub event: String,
    /// A headline, for channels that show one.
    #[serde(default)]
    pub title: Option<String>,
    /// What to say; without it the event's own template speaks.
    #[serde(default)]
    pub message: Option<String>,
    /// What templates and rules may use.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// Delivery channels; without them the rules choose.
    #[serde(default)]
    pub channels: Option<Vec<String>>,
    /// Recipients; without them the rules choose.
    #[serde(default)]
    pub to: Option<Vec<String>>,
    /// Notifications with the same key say the same thing.
    #[serde(default)]
    pub dedupe_key: Option<String>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// The same as the header `Idempotency-Key`, which a list cannot have: the same key with the
    /// same content is one notification.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// How urgent a notification is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Can wait.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before the others.
    High,
    /// Now, whatever the hour.
    Urgent,
}

/// 202: what became of one notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyResponse {
    /// The notification's id.
    pub id: Uuid,
    /// Whether it goes out.
    pub status: NotificationStatus,
    /// Why it does not go out, or not yet.
    pub reason: Option<String>,
    /// One for each recipient and channel.
    pub deliveries: Vec<DeliverySummary>,
}

/// 200: what became of a list, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyResults {
    /// One for each notification.
    pub results: Vec<NotifyResult>,
}

/// What became of one notification of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyResult {
    /// The notification's id; null where it was not accepted.
    pub id: Option<Uuid>,
    /// Whether it goes out; null where it was not accepted.
    pub status: Option<NotificationStatus>,
    /// Why it does not go out, or not yet.
    pub reason: Option<String>,
    /// One for each recipient and channel.
    pub deliveries: Vec<DeliverySummary>,
    /// Why it was not accepted; sending it again brings the same.
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

/// Whether a notification goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationStatus {
    /// Its deliveries are on their way.
    Queued,
    /// Nobody is told.
    Suppressed,
    /// It waits for others to be told together.
    Digested,
}

/// One delivery, as the sender of a notification sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliverySummary {
    /// The delivery's id.
    pub id: Uuid,
    /// `sms`, `log` …
    pub channel: String,
    /// To whom; phone numbers are masked.
    pub recipient: String,
    /// `pending`, `sending`, `sent`, `dead`.
    pub status: String,
}

/// The most visitor ids in one [`ErasureRequest`].
pub const MAX_ERASED_VISITORS: usize = 1_000;

/// `POST /erasures`: removes what notifications say about a person.
///
/// With `visitor_ids` alone, everything about these visitors goes. With a `user_id`, everything
/// about this user goes, and of these visitors what is about nobody else: two users behind one
/// address may share a visitor id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"visitor_ids": ["512965ec27ba6ff1e6bb4dd06a1b0a2a"],
    "erased_at": "2026-11-20T12:00:00Z"}))]
pub struct ErasureRequest {
    /// The visitors' ids, at most 1,000.
    #[serde(default)]
    pub visitor_ids: Vec<String>,
    /// The site's own id for the user.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Only what is about this site; without it what is about any.
    #[serde(default)]
    pub site: Option<String>,
    /// When the person was erased; what was recorded later stays.
    pub erased_at: chrono::DateTime<chrono::Utc>,
}

/// 200: what an erasure removed here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasureResponse {
    /// Notifications that say nothing about the person any more, digests included.
    pub notifications: u64,
    /// Deliveries whose texts were removed.
    pub deliveries: u64,
    /// Those of them that had not been sent, and are not sent any more.
    pub canceled: u64,
}
