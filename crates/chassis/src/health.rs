//! `GET /health`: the status of the service and of each dependency.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::metrics;

/// A check that takes longer counts as unavailable.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Status of a service or dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Works normally.
    Ok,
    /// Works with restrictions.
    Degraded,
    /// Cannot serve requests.
    Unavailable,
}

/// Result of a health check.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CheckResult {
    /// Status of the dependency.
    pub status: HealthStatus,
    /// Explanation for people: the reason of a problem, or current values.
    pub detail: String,
}

/// Response of `GET /health`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HealthReport {
    /// Name of the service.
    pub service: &'static str,
    /// Version of the service.
    pub version: &'static str,
    /// The worst status of all checks.
    pub status: HealthStatus,
    /// Results by name of the check.
    pub checks: BTreeMap<&'static str, CheckResult>,
}

type CheckFn = Arc<dyn Fn() -> BoxFuture<'static, CheckResult> + Send + Sync>;
type GaugeCollector = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
struct HealthCheck {
    name: &'static str,
    run: CheckFn,
    /// Whether the service is unavailable without this dependency.
    is_required: bool,
}

/// The checks of a service.
#[derive(Clone, Default)]
pub struct HealthChecks {
    checks: Vec<HealthCheck>,
    collectors: Vec<GaugeCollector>,
    last_report: Arc<Mutex<Option<(Instant, HealthReport)>>>,
    collected_at: Arc<Mutex<Option<Instant>>>,
}

impl CheckResult {
    pub fn ok(detail: impl Into<String>) -> Self {
        Self::new(HealthStatus::Ok, detail)
    }

    pub fn degraded(detail: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, detail)
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(HealthStatus::Unavailable, detail)
    }

    fn new(status: HealthStatus, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }
}

impl HealthChecks {
    /// Adds a check of a dependency that the service needs.
    #[must_use]
    pub fn with_check<F, L>(self, name: &'static str, look: L) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        self.add_check(name, true, look)
    }

    /// Adds a check of an optional dependency. Its worst status is degraded, also after a timeout.
    #[must_use]
    pub fn with_optional_check<F, L>(self, name: &'static str, look: L) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        self.add_check(name, false, look)
    }

    fn add_check<F, L>(mut self, name: &'static str, is_needed: bool, look: L) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        let look: CheckFn = Arc::new(move || Box::pin(look()));
        self.checks.push(HealthCheck {
            name,
            run: look,
            is_required: is_needed,
        });
        self
    }

    /// Adds a function that sets gauges when `GET /metrics` is requested.
    #[must_use]
    pub fn with_collector<F, C>(mut self, collect: C) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        C: Fn() -> F + Send + Sync + 'static,
    {
        self.collectors.push(Arc::new(move || Box::pin(collect())));
        self
    }

    /// Adds the gauges of a connection pool.
    #[must_use]
    pub fn with_pool(self, service: &'static str, name: &'static str, pool: &PgPool) -> Self {
        let pool = pool.clone();
        self.with_collector(move || {
            metrics::observe_pool(service, name, &pool);
            std::future::ready(())
        })
    }

    /// Runs all collectors and all checks, which may set gauges too. Concurrent callers share one
    /// run, unless it began before the caller asked.
    pub(crate) async fn collect_gauges(&self, service: &'static str) {
        let asked_at = Instant::now();
        let mut collected_at = self.collected_at.lock().await;
        if collected_at.is_some_and(|begun_at| begun_at >= asked_at) {
            return;
        }
        let begun_at = Instant::now();
        let collectors = self.collectors.iter().map(async |collect| {
            // After a timeout the gauges keep their last values.
            let _ = tokio::time::timeout(CHECK_TIMEOUT, collect()).await;
        });
        let (_, _) = tokio::join!(join_all(collectors), self.report(service));
        *collected_at = Some(begun_at);
    }

    /// Runs all checks concurrently. The status is 503 if a needed dependency is unavailable.
    ///
    /// The endpoint is public, so only one run is active at a time. Callers that wait share the
    /// next run that begins after they asked.
    pub async fn report(&self, service: &'static str) -> (StatusCode, Json<HealthReport>) {
        let asked_at = Instant::now();
        let mut last = self.last_report.lock().await;
        let report = match last.take().filter(|(begun_at, _)| *begun_at >= asked_at) {
            Some(shared) => shared,
            None => (Instant::now(), self.run_checks(service).await),
        };
        let (_, report) = last.insert(report);
        let status = match report.status {
            HealthStatus::Ok | HealthStatus::Degraded => StatusCode::OK,
            HealthStatus::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(report.clone()))
    }

    async fn run_checks(&self, service: &'static str) -> HealthReport {
        let looks = self.checks.iter().map(async |check| {
            let finding = tokio::time::timeout(CHECK_TIMEOUT, (check.run)()).await;
            let silent = |_| CheckResult::unavailable("the check timed out");
            let mut finding = finding.unwrap_or_else(silent);
            if !check.is_required {
                finding.status = finding.status.min(HealthStatus::Degraded);
            }
            (check.name, finding)
        });
        let checks: BTreeMap<_, _> = join_all(looks).await.into_iter().collect();
        let worst = checks.values().map(|finding| finding.status).max();
        HealthReport {
            service,
            version: env!("CARGO_PKG_VERSION"),
            status: worst.unwrap_or(HealthStatus::Ok),
            checks,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_is_not_needed_degrades_and_what_is_needed_makes_unavailable() {
        let silent = HealthChecks::default().with_optional_check("a", pending);
        let (http, Json(report)) = silent.report("test").await;
        assert_eq!(
            (http, report.status),
            (StatusCode::OK, HealthStatus::Degraded)
        );
        assert_eq!(report.checks["a"].detail, "the check timed out");
        let away = || ready(CheckResult::unavailable("no connection"));
        let away = HealthChecks::default().with_optional_check("a", away);
        assert_eq!(away.report("test").await.0, StatusCode::OK);
        let (http, Json(report)) = HealthChecks::default()
            .with_check("a", pending)
            .report("test")
            .await;
        assert_eq!(http, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report.status, HealthStatus::Unavailable);
    }
}
