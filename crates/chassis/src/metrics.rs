//! `GET /metrics`: metrics in the Prometheus format.

mod database;
mod process;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use database::{count_error, observe_oldest_transaction, observe_pool};

/// Buckets of histograms whose names end in `_seconds`.
const DURATION_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// Buckets of all other histograms, which measure numbers of items.
const COUNT_BUCKETS: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0,
];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Its name ends in `_total`.
    Counter,
    Gauge,
    Histogram,
}

/// Kind, name and help text of a metric.
pub type MetricDescription = (MetricKind, &'static str, &'static str);

/// Metrics of every service.
const COMMON_METRICS: [MetricDescription; 13] = [
    (
        MetricKind::Histogram,
        "http_request_duration_seconds",
        "Time from the head of a request to the head of its response, by route, method and status.",
    ),
    (
        MetricKind::Counter,
        "log_lines_dropped_total",
        "Log lines that could not be written to standard output.",
    ),
    (
        MetricKind::Counter,
        "database_errors_total",
        "PostgreSQL errors by SQLSTATE, or by kind if PostgreSQL did not respond.",
    ),
    (
        MetricKind::Gauge,
        "database_pool_connections",
        "Connections of a pool by state, idle or used.",
    ),
    (
        MetricKind::Gauge,
        "database_pool_max_connections",
        "Maximum number of connections of a pool.",
    ),
    (
        MetricKind::Gauge,
        "database_oldest_transaction_seconds",
        "Age of the oldest open transaction of all replicas of the service.",
    ),
    (
        MetricKind::Gauge,
        "build_info",
        "Always 1. The labels are the name, version and commit of the service.",
    ),
    (
        MetricKind::Counter,
        "process_cpu_seconds_total",
        "CPU time used by the process.",
    ),
    (
        MetricKind::Gauge,
        "process_resident_memory_bytes",
        "Resident memory of the process.",
    ),
    (
        MetricKind::Gauge,
        "process_open_fds",
        "Open file descriptors of the process.",
    ),
    (
        MetricKind::Gauge,
        "process_max_fds",
        "Maximum number of open file descriptors of the process.",
    ),
    (
        MetricKind::Gauge,
        "process_start_time_seconds",
        "Start time of the process as a Unix timestamp.",
    ),
    (
        MetricKind::Counter,
        "database_connections_discarded_total",
        "Connections that were closed instead of returned to the pool, by reason.",
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
        // Fails only if another recorder is installed; this one then stays empty.
        let _ = metrics::set_global_recorder(recorder);
        register(&COMMON_METRICS);
        handle
    })
}

/// Registers the help texts of metrics.
pub fn describe(metrics: &[MetricDescription]) {
    // Descriptions that are registered before the recorder is installed are lost.
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

/// Renders all metrics in the Prometheus text format.
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

/// Checks rendered metrics against the naming conventions of Prometheus: names, units, and a line
/// `# HELP` for each. Returns the violations. Used by the tests of services.
#[must_use]
pub fn naming_violations(rendered: &str) -> Vec<String> {
    let of = |comment: &'static str| {
        let lines = rendered.lines();
        lines.filter_map(move |line| line.strip_prefix(comment)?.split_once(' '))
    };
    let has_help = |name: &str| of("# HELP ").any(|(described, _)| described == name);
    let mut faults = vec![];
    for (name, kind) in of("# TYPE ") {
        let mut fault = |what: &str| faults.push(format!("{name} ({kind}): {what}"));
        if !has_help(name) {
            fault("no # HELP; add a description in metrics.rs of the service");
        }
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !name.bytes().all(is_plain) {
            fault("names consist of lower-case letters, digits and _");
        }
        if name.ends_with("_total") != (kind == "counter") {
            fault("names of counters, and no others, end in _total");
        }
        if kind == "summary" {
            fault("summaries cannot be aggregated over replicas; use a histogram");
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
            fault("units must be seconds, bytes or ratios");
        }
    }
    faults
}
