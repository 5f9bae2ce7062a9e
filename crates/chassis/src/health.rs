//! `GET /health`: whether the service can serve, and how each thing it depends on is.

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

/// A dependency that does not answer within this time is down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// How a dependency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// As it should be.
    Ok,
    /// Something is worse than it should be, and yet it serves.
    Degraded,
    /// It cannot serve.
    Unavailable,
}

/// What a look at a dependency found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CheckResult {
    /// How it is.
    pub status: HealthStatus,
    /// Why, or what is there.
    pub detail: String,
}

/// The answer of `GET /health`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HealthReport {
    /// The service's name.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The worst of what counts.
    pub status: HealthStatus,
    /// Each dependency.
    pub checks: BTreeMap<&'static str, CheckResult>,
}

type CheckFn = Arc<dyn Fn() -> BoxFuture<'static, CheckResult> + Send + Sync>;
type GaugeCollector = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
struct HealthCheck {
    name: &'static str,
    look: CheckFn,
    /// Whether the service cannot serve without it.
    is_needed: bool,
}

/// The checks of a service.
#[derive(Clone, Default)]
pub struct HealthChecks {
    checks: Vec<HealthCheck>,
    collectors: Vec<GaugeCollector>,
    last: Arc<Mutex<Option<(Instant, HealthReport)>>>,
    collected_at: Arc<Mutex<Option<Instant>>>,
}

impl CheckResult {
    /// All is well.
    pub fn ok(detail: impl Into<String>) -> Self {
        Self::new(HealthStatus::Ok, detail)
    }

    /// It works, but not as it should.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, detail)
    }

    /// The service cannot serve without this.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(HealthStatus::Unavailable, detail)
    }

    fn new(status: HealthStatus, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }
}

impl HealthChecks {
    /// Adds a dependency and how to look at it.
    #[must_use]
    pub fn check<F, L>(self, name: &'static str, look: L) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        self.add(name, true, look)
    }

    /// Adds a dependency that the service can serve without: it is degraded at worst, also where
    /// the dependency does not answer.
    #[must_use]
    pub fn optional_check<F, L>(self, name: &'static str, look: L) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        self.add(name, false, look)
    }

    fn add<F, L>(mut self, name: &'static str, is_needed: bool, look: L) -> Self
    where
        F: Future<Output = CheckResult> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        let look: CheckFn = Arc::new(move || Box::pin(look()));
        self.checks.push(HealthCheck {
            name,
            look,
            is_needed,
        });
        self
    }

    /// Adds what sets gauges when metrics are read.
    #[must_use]
    pub fn collect<F, C>(mut self, collect: C) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        C: Fn() -> F + Send + Sync + 'static,
    {
        self.collectors.push(Arc::new(move || Box::pin(collect())));
        self
    }

    /// Adds the gauges of a service's pool of connections.
    #[must_use]
    pub fn pool(self, service: &'static str, name: &'static str, pool: &PgPool) -> Self {
        let pool = pool.clone();
        self.collect(move || {
            metrics::observe_pool(service, name, &pool);
            std::future::ready(())
        })
    }

    /// Sets all gauges, and looks at everything, which also sets some. One caller at a time; whoever
    /// waited for one that began later finds them set.
    pub(crate) async fn set_gauges(&self, service: &'static str) {
        let asked_at = Instant::now();
        let mut collected_at = self.collected_at.lock().await;
        if collected_at.is_some_and(|begun_at| begun_at >= asked_at) {
            return;
        }
        let begun_at = Instant::now();
        let collectors = self.collectors.iter().map(async |collect| {
            // What takes longer keeps its last value.
            let _ = tokio::time::timeout(CHECK_TIMEOUT, collect()).await;
        });
        let (_, _) = tokio::join!(join_all(collectors), self.report(service));
        *collected_at = Some(begun_at);
    }

    /// Looks at everything at once: 503 where something that is needed is away. Anybody may ask, so
    /// there is one look at a time, and whoever waited for one that began later gets its report.
    pub async fn report(&self, service: &'static str) -> (StatusCode, Json<HealthReport>) {
        let asked_at = Instant::now();
        let mut last = self.last.lock().await;
        let report = match last.take().filter(|(begun_at, _)| *begun_at >= asked_at) {
            Some(shared) => shared,
            None => (Instant::now(), self.look(service).await),
        };
        let (_, report) = last.insert(report);
        let status = match report.status {
            HealthStatus::Ok | HealthStatus::Degraded => StatusCode::OK,
            HealthStatus::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(report.clone()))
    }

    async fn look(&self, service: &'static str) -> HealthReport {
        let looks = self.checks.iter().map(async |check| {
            let finding = tokio::time::timeout(CHECK_TIMEOUT, (check.look)()).await;
            let silent = |_| CheckResult::unavailable("does not answer");
            let mut finding = finding.unwrap_or_else(silent);
            if !check.is_needed {
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
        let silent = HealthChecks::default().optional_check("a", pending);
        let (http, Json(report)) = silent.report("test").await;
        assert_eq!(
            (http, report.status),
            (StatusCode::OK, HealthStatus::Degraded)
        );
        assert_eq!(report.checks["a"].detail, "does not answer");
        let away = || ready(CheckResult::unavailable("no connection"));
        let away = HealthChecks::default().optional_check("a", away);
        assert_eq!(away.report("test").await.0, StatusCode::OK);
        let (http, Json(report)) = HealthChecks::default()
            .check("a", pending)
            .report("test")
            .await;
        assert_eq!(http, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report.status, HealthStatus::Unavailable);
    }
}
