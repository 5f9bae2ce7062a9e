//! The table `attempt`; its rows are written by [`queue`](super::queue).

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRow {
    pub delivery_id: Uuid,
    /// Starts at 1.
    pub number: i32,
    pub started_at: DateTime<Utc>,
    /// `None` if the process ended during the attempt.
    pub provider: Option<String>,
    /// The text of a [`SendOutcome`](crate::domain::attempt::SendOutcome).
    pub outcome: String,
    pub detail: Option<String>,
    pub http_status: Option<i16>,
    /// The error code of the provider.
    pub provider_code: Option<i32>,
    pub provider_message_id: Option<String>,
    pub latency_ms: Option<i32>,
}

/// Returns the attempts of these deliveries in order.
pub async fn list_for_deliveries(
    pool: &PgPool,
    deliveries: &[Uuid],
) -> Result<Vec<AttemptRow>, StoreError> {
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
