//! Identifies a visit.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::enriched_visit::EnrichedVisit;

/// The primary key of a visit.
pub(in crate::store) type VisitKey = (Uuid, DateTime<Utc>);

pub(in crate::store) fn key(visit: &EnrichedVisit) -> VisitKey {
    (visit.visit.id, visit.visit.timestamp)
}
