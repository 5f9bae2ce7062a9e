//! The maximum age of databases.

use chrono::{DateTime, TimeDelta, Utc};

/// Free databases are published monthly and others weekly, so that an older one was not updated.
const MAX_DATABASE_AGE: TimeDelta = TimeDelta::days(45);

/// Whether a database should have been replaced by a newer release.
#[must_use]
pub fn is_stale(built_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - built_at > MAX_DATABASE_AGE
}
