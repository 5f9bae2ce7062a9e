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
const PATIENCE: Duration = Duration::from_secs(2);

/// How a dependency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Something is worse than it should be, and yet it serves.
    Degraded,
    /// It cannot serve.
    Unavailable,
}

/// What a look at a dependency found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Finding {
    /// How it is.
    pub status: Status,
    /// Why, or what is there.
    pub detail: String,
}

/// The answer of `GET /health`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report {
    /// The service's name.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The worst of what counts.
    pub status: Status,
    /// Each dependency.
    pub checks: BTreeMap<&'static str, Finding>,
}

type Look = Arc<dyn Fn() -> BoxFuture<'static, Finding> + Send + Sync>;
type Collector = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
struct Check {
    name: &'static str,
    look: Look,
    /// Whether the service cannot serve without it.
    is_needed: bool,
}

/// The checks of a service.
#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<Check>,
    collectors: Vec<Collector>,
    last: Arc<Mutex<Option<(Instant, Report)>>>,
    collected_at: Arc<Mutex<Option<Instant>>>,
}

impl Finding {
    /// All is well.
    pub fn ok(detail: impl Into<String>) -> Self {
        Self::new(Status::Ok, detail)
    }

    /// It works, but not as it should.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self::new(Status::Degraded, detail)
    }

    /// The service cannot serve without this.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Status::Unavailable, detail)
    }

    fn new(status: Status, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }
}

impl Health {
    /// Adds a dependency and how to look at it.
    #[must_use]
    pub fn check<F, L>(self, name: &'static str, look: L) -> Self
    where
        F: Future<Output = Finding> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        self.add(name, true, look)
    }

    /// Adds a dependency that the service can serve without: it is degraded at worst, also where
    /// the dependency does not answer.
    #[must_use]
    pub fn optional_check<F, L>(self, name: &'static str, look: L) -> Self
    where
        F: Future<Output = Finding> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        self.add(name, false, look)
    }

    fn add<F, L>(mut self, name: &'static str, is_needed: bool, look: L) -> Self
    where
        F: Future<Output = Finding> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        let look: Look = Arc::new(move || Box::pin(look()));
        self.checks.push(Check {
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
            let _ = tokio::time::timeout(PATIENCE, collect()).await;
        });
        let (_, _) = tokio::join!(join_all(collectors), self.report(service));
        *collected_at = Some(begun_at);
    }

    /// Looks at everything at once: 503 where something that is needed is away. Anybody may ask, so
    /// there is one look at a time, and whoever waited for one that began later gets its report.
    pub async fn report(&self, service: &'static str) -> (StatusCode, Json<Report>) {
        let asked_at = Instant::now();
        let mut last = self.last.lock().await;
        let report = match last.take().filter(|(begun_at, _)| *begun_at >= asked_at) {
            Some(shared) => shared,
            None => (Instant::now(), self.look(service).await),
        };
        let (_, report) = last.insert(report);
        let status = match report.status {
            Status::Ok | Status::Degraded => StatusCode::OK,
            Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(report.clone()))
    }

    async fn look(&self, service: &'static str) -> Report {
        let looks = self.checks.iter().map(async |check| {
            let finding = tokio::time::timeout(PATIENCE, (check.look)()).await;
            let silent = |_| Finding::unavailable("does not answer");
            let mut finding = finding.unwrap_or_else(silent);
            if !check.is_needed {
                finding.status = finding.status.min(Status::Degraded);
            }
            (check.name, finding)
        });
        let checks: BTreeMap<_, _> = join_all(looks).await.into_iter().collect();
        let worst = checks.values().map(|finding| finding.status).max();
        Report {
            service,
            version: env!("CARGO_PKG_VERSION"),
            status: worst.unwrap_or(Status::Ok),
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
        let silent = Health::default().optional_check("a", pending);
        let (http, Json(report)) = silent.report("test").await;
        assert_eq!((http, report.status), (StatusCode::OK, Status::Degraded));
        assert_eq!(report.checks["a"].detail, "does not answer");
        let away = || ready(Finding::unavailable("no connection"));
        let away = Health::default().optional_check("a", away);
        assert_eq!(away.report("test").await.0, StatusCode::OK);
        let (http, Json(report)) = Health::default().check("a", pending).report("test").await;
        assert_eq!(http, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report.status, Status::Unavailable);
    }
}
