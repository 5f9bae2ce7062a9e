//! What the service counts, beside what every service does.

use chassis::metrics::{Description, Kind};

/// The service's metrics.
pub(crate) const METRICS: [Description; 7] = [
    (
        Kind::Histogram,
        "notification_commit_size",
        "Notifications that were committed in one transaction.",
    ),
    (
        Kind::Gauge,
        "notification_queue_depth",
        "Deliveries that are neither sent nor given up, counted up to 100,000.",
    ),
    (
        Kind::Gauge,
        "notification_oldest_due_seconds",
        "How long the oldest delivery has been due.",
    ),
    (
        Kind::Counter,
        "notification_deliveries_total",
        "Attempts to send, by channel and outcome.",
    ),
    (
        Kind::Histogram,
        "notification_accept_to_sent_seconds",
        "Time from accepting a notification to the provider's answer, by channel.",
    ),
    (
        Kind::Gauge,
        "notification_dead_letters",
        "Deliveries that were given up.",
    ),
    (
        Kind::Counter,
        "notification_rules_disabled_total",
        "Rules that were switched off because they kept failing.",
    ),
];
