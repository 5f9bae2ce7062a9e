//! How old a database may be.

use chrono::{DateTime, TimeDelta, Utc};

/// Free databases come monthly, others weekly; one that is older has missed its update.
const MAX_DATABASE_AGE: TimeDelta = TimeDelta::days(45);

/// Whether a database built then should have been replaced by now.
#[must_use]
pub fn is_stale(built_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - built_at > MAX_DATABASE_AGE
}
