//! What the service counts, beside what every service does.

use chassis::metrics::{MetricDescription, MetricKind};

/// The service's metrics.
pub(crate) const METRICS: [MetricDescription; 7] = [
    (
        MetricKind::Histogram,
        "notification_commit_size",
        "Notifications that were committed in one transaction.",
    ),
    (
        MetricKind::Gauge,
        "notification_queue_depth",
        "Deliveries that are neither sent nor given up, counted up to 100,000.",
    ),
    (
        MetricKind::Gauge,
        "notification_oldest_due_seconds",
        "How long the oldest delivery has been due.",
    ),
    (
        MetricKind::Counter,
        "notification_deliveries_total",
        "Attempts to send, by channel and outcome.",
    ),
    (
        MetricKind::Histogram,
        "notification_accept_to_sent_seconds",
        "Time from accepting a notification to the provider's answer, by channel.",
    ),
    (
        MetricKind::Gauge,
        "notification_dead_letters",
        "Deliveries that were given up.",
    ),
    (
        MetricKind::Counter,
        "notification_rules_disabled_total",
        "Rules that were switched off because they kept failing.",
    ),
];
