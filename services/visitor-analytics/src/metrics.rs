//! What the service counts, beside what every service does.

use chassis::metrics::{MetricDescription, MetricKind};

/// The service's metrics.
pub(crate) const METRICS: [MetricDescription; 12] = [
    (
        MetricKind::Histogram,
        "visits_commit_size",
        "Visits that were committed in one transaction.",
    ),
    (
        MetricKind::Gauge,
        "visits_recorder_waiting",
        "Visits that wait to be committed.",
    ),
    (
        MetricKind::Counter,
        "visits_locations_owed_total",
        "Addresses that geo did not answer in time.",
    ),
    (
        MetricKind::Gauge,
        "visits_outbox_waiting",
        "Announcements that wait for notification.",
    ),
    (
        MetricKind::Gauge,
        "visits_outbox_lag_seconds",
        "How long the oldest announcement has been due.",
    ),
    (
        MetricKind::Counter,
        "visits_announcements_total",
        "Announcements by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_days_total",
        "Days that were folded into rollups, by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_sessions_found_out_total",
        "Sessions that were judged a bot's as a whole.",
    ),
    (
        MetricKind::Counter,
        "visits_crawlers_total",
        "Crawlers that the DNS was asked about, by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_sites_refused_total",
        "New sites of visits that were refused, since there were too many.",
    ),
    (
        MetricKind::Counter,
        "visits_erasure_calls_total",
        "Calls that ask notification to erase a person, by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_erased_values_total",
        "Values that were removed because only erased persons had brought them.",
    ),
];
