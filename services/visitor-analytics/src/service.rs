//! The name, the schema and the migrations of the service.

use sqlx::migrate::Migrator;

/// The name of the service and the audience of its tokens.
pub const SERVICE_NAME: &str = "visitor-analytics";

/// The PostgreSQL schema of the service.
pub const SCHEMA_NAME: &str = "visitor_analytics";

/// The migrations of the schema.
#[must_use]
pub fn migrator() -> Migrator {
    sqlx::migrate!("../../migrations/visitor-analytics")
}
