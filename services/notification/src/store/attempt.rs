//! The table `attempt`; its rows are written by [`queue`](super::queue).

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::StoreError;

/// An attempt as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRow {
    /// The delivery it belongs to.
    pub delivery_id: Uuid,
    /// From 1.
    pub number: i32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Who was asked; `None` where the process ended in the middle.
    pub provider: Option<String>,
    /// `sent`, `found`, `transient`, `permanent` or `unknown`.
    pub outcome: String,
    /// The same in words.
    pub detail: Option<String>,
    /// The HTTP status of the provider's answer.
    pub http_status: Option<i16>,
    /// The provider's own code.
    pub provider_code: Option<i32>,
    /// The provider's id of the message.
    pub provider_message_id: Option<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<i32>,
}

/// The attempts of these deliveries, in order.
pub async fn of(pool: &PgPool, deliveries: &[Uuid]) -> Result<Vec<AttemptRow>, StoreError> {
    let rows = sqlx::query_as!(
        AttemptRow,
        "select delivery_id, number, started_at, provider, outcome, detail, http_status,
             provider_code, provider_message_id, latency_ms
         from notification.attempt where delivery_id = any($1) order by delivery_id, number",
        deliveries,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}
