//! Metrics of this service, in addition to those of all services.

use chassis::metrics::{MetricDescription, MetricKind};

pub(crate) const METRICS: [MetricDescription; 12] = [
    (
        MetricKind::Histogram,
        "visits_commit_size",
        "Visits per transaction of the recorder.",
    ),
    (
        MetricKind::Gauge,
        "visits_recorder_waiting",
        "Visits in the queue of the recorder.",
    ),
    (
        MetricKind::Counter,
        "visits_pending_locations_total",
        "Addresses whose location is filled in later because geo did not answer in time.",
    ),
    (
        MetricKind::Gauge,
        "visits_outbox_waiting",
        "Announcements in the outbox that are not sent yet.",
    ),
    (
        MetricKind::Gauge,
        "visits_outbox_lag_seconds",
        "Time since the oldest announcement in the outbox was due.",
    ),
    (
        MetricKind::Counter,
        "visits_announcements_total",
        "Announcements to notification, by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_rollup_days_total",
        "Attempts to fold a day into rollups, by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_bot_sessions_detected_total",
        "Sessions that were found to be a bot's by the behaviour of the whole session.",
    ),
    (
        MetricKind::Counter,
        "visits_crawler_verifications_total",
        "Crawler verifications by DNS, by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_site_limit_refusals_total",
        "New sites that were refused because MAX_NEW_SITES_PER_DAY was reached.",
    ),
    (
        MetricKind::Counter,
        "visits_erasure_calls_total",
        "Requests to notification to erase a person, by outcome.",
    ),
    (
        MetricKind::Counter,
        "visits_erased_values_total",
        "Dictionary values that were removed because only erased visits used them.",
    ),
];
