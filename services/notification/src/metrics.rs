//! The metrics of notification, in addition to those of every service.

use chassis::metrics::{MetricDescription, MetricKind};

pub(crate) const METRICS: [MetricDescription; 7] = [
    (
        MetricKind::Histogram,
        "notification_commit_size",
        "Number of notifications per commit.",
    ),
    (
        MetricKind::Gauge,
        "notification_queue_depth",
        "Deliveries that are pending or being sent, counted up to 100,000.",
    ),
    (
        MetricKind::Gauge,
        "notification_oldest_due_seconds",
        "Seconds by which the oldest delivery is overdue.",
    ),
    (
        MetricKind::Counter,
        "notification_deliveries_total",
        "Delivery attempts, by channel and outcome.",
    ),
    (
        MetricKind::Histogram,
        "notification_accept_to_sent_seconds",
        "Seconds from accepting a notification to the response of the provider, by channel.",
    ),
    (
        MetricKind::Gauge,
        "notification_dead_letters",
        "Number of dead letters.",
    ),
    (
        MetricKind::Counter,
        "notification_rules_disabled_total",
        "Rules that were disabled after consecutive failures.",
    ),
];
