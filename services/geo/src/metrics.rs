//! The metrics of geo, in addition to those of every service.

use chassis::metrics::{MetricDescription, MetricKind};

pub(crate) const METRICS: [MetricDescription; 6] = [
    (
        MetricKind::Counter,
        "geo_lookups_total",
        "Address lookups, by provider and outcome.",
    ),
    (
        MetricKind::Gauge,
        "geo_database_build_timestamp_seconds",
        "Build time of a database as a Unix timestamp in seconds.",
    ),
    (
        MetricKind::Gauge,
        "geo_database_age_seconds",
        "Age of a database since its build time, in seconds.",
    ),
    (
        MetricKind::Counter,
        "geo_database_loads_total",
        "Database files that were loaded after a change, by outcome.",
    ),
    (
        MetricKind::Counter,
        "geo_database_updates_total",
        "Checks for a newer database at the publisher, by edition and outcome.",
    ),
    (
        MetricKind::Gauge,
        "geo_service_areas",
        "Number of enabled service areas in memory.",
    ),
];

/// Counts a check for a newer database.
pub(crate) fn count_update(edition: &str, outcome: &'static str) {
    let edition = edition.to_owned();
    metrics::counter!("geo_database_updates_total", "edition" => edition, "outcome" => outcome)
        .increment(1);
}
