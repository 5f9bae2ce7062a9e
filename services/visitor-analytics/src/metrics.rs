//! What the service counts, beside what every service does.

use chassis::metrics::{Description, Kind};

/// The service's metrics.
pub(crate) const METRICS: [Description; 12] = [
    (
        Kind::Histogram,
        "visits_commit_size",
        "Visits that were committed in one transaction.",
    ),
    (
        Kind::Gauge,
        "visits_recorder_waiting",
        "Visits that wait to be committed.",
    ),
    (
        Kind::Counter,
        "visits_locations_owed_total",
        "Addresses that geo did not answer in time.",
    ),
    (
        Kind::Gauge,
        "visits_outbox_waiting",
        "Announcements that wait for notification.",
    ),
    (
        Kind::Gauge,
        "visits_outbox_lag_seconds",
        "How long the oldest announcement has been due.",
    ),
    (
        Kind::Counter,
        "visits_announcements_total",
        "Announcements by outcome.",
    ),
    (
        Kind::Counter,
        "visits_days_total",
        "Days that were folded into rollups, by outcome.",
    ),
    (
        Kind::Counter,
        "visits_sessions_found_out_total",
        "Sessions that were judged a bot's as a whole.",
    ),
    (
        Kind::Counter,
        "visits_crawlers_total",
        "Crawlers that the DNS was asked about, by outcome.",
    ),
    (
        Kind::Counter,
        "visits_sites_refused_total",
        "New sites of visits that were refused, since there were too many.",
    ),
    (
        Kind::Counter,
        "visits_erasure_calls_total",
        "Calls that ask notification to erase a person, by outcome.",
    ),
    (
        Kind::Counter,
        "visits_erased_values_total",
        "Values that were removed because only erased persons had brought them.",
    ),
];
