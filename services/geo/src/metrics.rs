//! What the service counts, beside what every service does.

use chassis::metrics::{MetricDescription, MetricKind};

/// The service's metrics.
pub(crate) const METRICS: [MetricDescription; 6] = [
    (
        MetricKind::Counter,
        "geo_lookups_total",
        "Addresses that were looked up, by provider and outcome.",
    ),
    (
        MetricKind::Gauge,
        "geo_database_build_timestamp_seconds",
        "When a database was made, in seconds since 1970.",
    ),
    (
        MetricKind::Gauge,
        "geo_database_age_seconds",
        "How old a database is.",
    ),
    (
        MetricKind::Counter,
        "geo_database_reads_total",
        "Databases that were read again after a change, by outcome.",
    ),
    (
        MetricKind::Counter,
        "geo_updates_total",
        "Times that a publisher was asked for a database, by edition and outcome.",
    ),
    (
        MetricKind::Gauge,
        "geo_service_areas",
        "Enabled service areas in memory.",
    ),
];
