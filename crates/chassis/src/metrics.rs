//! `GET /metrics`: what Prometheus reads.

mod database;
mod process;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use database::{count_error, observe_oldest_transaction, observe_pool};

/// Bounds of the histograms whose names end in `_seconds`.
const DURATION_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// Bounds of all other histograms, which count things.
const COUNT_BUCKETS: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0,
];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by their size.
    Histogram,
}

/// A metric's kind, its name, and what it means.
pub type MetricDescription = (MetricKind, &'static str, &'static str);

/// The metrics that every service has.
const COMMON_METRICS: [MetricDescription; 13] = [
    (
        MetricKind::Histogram,
        "http_request_duration_seconds",
        "Time from a request's head to its answer's head, by route, method and status.",
    ),
    (
        MetricKind::Counter,
        "log_lines_lost_total",
        "Lines of the log that could not be written to standard output.",
    ),
    (
        MetricKind::Counter,
        "database_errors_total",
        "Errors of PostgreSQL by SQLSTATE, or by what went wrong before an answer.",
    ),
    (
        MetricKind::Gauge,
        "database_pool_connections",
        "Connections of a pool by state: idle or used.",
    ),
    (
        MetricKind::Gauge,
        "database_pool_max_connections",
        "The most connections that a pool opens.",
    ),
    (
        MetricKind::Gauge,
        "database_oldest_transaction_seconds",
        "Age of the oldest open transaction of the service, on all replicas.",
    ),
    (
        MetricKind::Gauge,
        "build_info",
        "Always 1; the labels name the service, its version and commit.",
    ),
    (
        MetricKind::Counter,
        "process_cpu_seconds_total",
        "CPU time that the process has used.",
    ),
    (
        MetricKind::Gauge,
        "process_resident_memory_bytes",
        "Memory of the process that is in RAM.",
    ),
    (
        MetricKind::Gauge,
        "process_open_fds",
        "Open file descriptors of the process.",
    ),
    (
        MetricKind::Gauge,
        "process_max_fds",
        "The most file descriptors that the process may open.",
    ),
    (
        MetricKind::Gauge,
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
    ),
    (
        MetricKind::Counter,
        "database_connections_discarded_total",
        "Connections that were closed instead of being used again, by reason.",
    ),
];

/// The process's recorder; the first call installs it.
#[must_use]
pub fn recorder() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        // Histograms with buckets, not summaries: only they can be added up over replicas.
        let recorder = PrometheusBuilder::new()
            .set_buckets(&COUNT_BUCKETS)
            .and_then(|builder| {
                builder
                    .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)
            })
            .expect("the lists of bounds are not empty")
            .build_recorder();
        let handle = recorder.handle();
        // Fails only where somebody else's recorder is installed; ours then stays empty.
        let _ = metrics::set_global_recorder(recorder);
        register(&COMMON_METRICS);
        handle
    })
}

/// Says what metrics mean.
pub fn describe(metrics: &[MetricDescription]) {
    // What is described before there is a recorder is forgotten.
    let _ = recorder();
    register(metrics);
}

fn register(metrics: &[MetricDescription]) {
    for (kind, name, help) in metrics.iter().copied() {
        match kind {
            MetricKind::Counter => metrics::describe_counter!(name, help),
            MetricKind::Gauge => metrics::describe_gauge!(name, help),
            MetricKind::Histogram => metrics::describe_histogram!(name, help),
        }
    }
}

/// What Prometheus reads of a service.
#[must_use]
pub(crate) fn render(service: &'static str) -> String {
    let labels = [
        ("service", service),
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", option_env!("BUILD_COMMIT").unwrap_or("unknown")),
    ];
    metrics::gauge!("build_info", &labels).set(1.0);
    process::observe();
    recorder().render()
}

/// What is wrong with metrics by the rules of Prometheus: names, units, and a `# HELP` for each.
/// For tests of services.
#[must_use]
pub fn faults(rendered: &str) -> Vec<String> {
    let of = |comment: &'static str| {
        let lines = rendered.lines();
        lines.filter_map(move |line| line.strip_prefix(comment)?.split_once(' '))
    };
    let has_help = |name: &str| of("# HELP ").any(|(described, _)| described == name);
    let mut faults = vec![];
    for (name, kind) in of("# TYPE ") {
        let mut fault = |what: &str| faults.push(format!("{name} ({kind}): {what}"));
        if !has_help(name) {
            fault("no # HELP: describe it where its service describes its metrics");
        }
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !name.bytes().all(is_plain) {
            fault("a name is of lower-case letters, digits and _");
        }
        if name.ends_with("_total") != (kind == "counter") {
            fault("counters, and only they, end in _total");
        }
        if kind == "summary" {
            fault("a summary cannot be added up over replicas");
        }
        let other_units = [
            "_ms",
            "_milliseconds",
            "_minutes",
            "_kb",
            "_mb",
            "_kilobytes",
            "_percent",
        ];
        let base = name.trim_end_matches("_total");
        if other_units.iter().any(|unit| base.ends_with(unit)) {
            fault("units are seconds, bytes and ratios");
        }
    }
    faults
}
