//! A delivery to the log.

use chrono::{DateTime, Utc};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct LogDelivery {
    pub id: Uuid,
    /// The stored address.
    pub recipient: String,
    pub body: String,
    pub created_at: DateTime<Utc>,
}
