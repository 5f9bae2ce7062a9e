//! `visitor-analytics` records visits to websites, detects bots and reports on the visitors.
//!
//! `POST /visits` answers after the visits are committed, and records each exactly once; see
//! `docs/` for the path of a visit through the services.
#![forbid(unsafe_code)]

pub mod app;
pub mod clients;
pub mod config;
pub mod domain;
pub mod health;
pub mod http;
mod metrics;
mod service;
pub mod store;
pub mod workers;

use std::sync::Arc;

use chassis::App;
use chassis::request_slots::RequestSlots;
use chassis::service_client::ServiceClient;
use common::clock::Clock;
use common::jwt::{Keyring, Scope, TokenIssuer};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::admission::AdmissionControl;
use crate::app::crawler_verification::CrawlerVerifier;
use crate::app::ignore_rules::IgnoreRules;
use crate::app::ingest::IngestService;
use crate::app::live::{LiveHub, VisitPublisher};
use crate::app::recorder::VisitRecorder;
use crate::app::reports::ReportEngine;
use crate::app::session_monitor::SessionMonitor;
use crate::clients::geo::{GEO_TIMEOUT, GeoClient};
use crate::clients::notification::NotificationClient;
use crate::config::Config;
use crate::domain::privacy::RetentionPeriod;
use crate::domain::visit_enricher::VisitEnricher;
pub use crate::service::{SCHEMA_NAME, SERVICE_NAME, migrator};
use crate::store::Store;
use crate::workers::crawler_verification::VerificationTask;
use crate::workers::erasure::ErasureWorker;
use crate::workers::live::LiveTasks;
use crate::workers::location_backfill::LocationBackfill;
use crate::workers::outbox_relay::OutboxRelay;
use crate::workers::recorder::RecorderTask;
use crate::workers::rollup::RollupWorker;
use crate::workers::session_check::SessionCheckTask;
use crate::workers::site_limit::SiteLimitNotifier;
use crate::workers::{ignore_rules, maintenance};

/// Timeout of requests to notification.
const NOTIFICATION_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Concurrent exports; each uses at most 100 MB.
const MAX_CONCURRENT_EXPORTS: usize = 3;
/// Concurrent imports; each uses about 2 MB.
const MAX_CONCURRENT_IMPORTS: usize = 8;

/// Builds the service. Fails if keys or URLs are invalid.
pub fn build(config: &Config, clock: Clock) -> anyhow::Result<App> {
    let pool = config.database.pool(SERVICE_NAME)?;
    build_with_pool(config, &pool, clock)
}

/// Builds the service on a given pool.
pub fn build_with_pool(config: &Config, pool: &PgPool, clock: Clock) -> anyhow::Result<App> {
    let verifier = config.service.keys.verifier(SERVICE_NAME, &clock)?;
    let keys = config.service.keys.keyring()?;
    anyhow::ensure!(
        keys.can_sign(),
        "JWT_SECRETS or JWT_PRIVATE_KEY must be set: this service calls geo and notification"
    );
    let (geo, notification) = peer_clients(config, &keys, &clock)?;
    let store = Store::new(pool.clone());
    let policy = config.privacy_policy();
    let retention = policy.retention;
    let (geo, geo_batcher) = GeoClient::new(geo);
    let (publisher, publish_queue) = VisitPublisher::new();
    let (live_hub, live_feed) = LiveHub::new(store.clone());
    let live_tasks = LiveTasks::new(&store, publish_queue, live_feed);
    let shutdown = CancellationToken::new();
    let ignore_rules = IgnoreRules::default();
    let (recorder, queue) = VisitRecorder::new();
    let recorder_task = RecorderTask {
        store: store.clone(),
        clock: clock.clone(),
        notify_policy: config.notify_policy(),
        publisher,
        queue,
    };
    let (session_monitor, checks) = SessionMonitor::new();
    let session_check = SessionCheckTask {
        monitor: session_monitor.clone(),
        store: store.clone(),
        clock: clock.clone(),
        checks,
    };
    let verification = config.dns_verifier()?.map(|dns| {
        let (verifier, queue) = CrawlerVerifier::new();
        let (store, clock) = (store.clone(), clock.clone());
        let task = VerificationTask::new(verifier.clone(), queue, dns, store, clock);
        (verifier, task)
    });
    let (crawler_verifier, verification_task) = verification.unzip();
    let admission = AdmissionControl::new(store.clone(), config.max_new_sites_per_day);
    let state = http::AppState {
        admission: admission.clone(),
        ingest: IngestService::new(
            admission,
            VisitEnricher::with_crawler_ranges(config.load_crawler_ranges()?),
            store.clone(),
            geo.clone(),
            recorder.clone(),
            policy.visitor_id_lifetime,
            session_monitor,
            crawler_verifier,
        ),
        notify_policy: config.notify_policy(),
        reports: ReportEngine::new(store.clone(), policy.visitor_id_lifetime),
        store: store.clone(),
        privacy_policy: policy,
        clock: clock.clone(),
        live_hub,
        ignore_rules: ignore_rules.clone(),
        export_slots: RequestSlots::new(MAX_CONCURRENT_EXPORTS),
        import_slots: RequestSlots::new(MAX_CONCURRENT_IMPORTS),
        shutdown: shutdown.clone(),
    };
    let jobs = BackgroundJobs {
        store: store.for_background(),
        geo,
        notifier: NotificationClient::new(notification),
        clock: clock.clone(),
        retention,
        max_new_sites_per_day: config.max_new_sites_per_day,
    };
    let api = http::router(Arc::new(state), &verifier);
    let health = health::checks(pool, &store, &clock, config.max_new_sites_per_day);
    let health = health.with_collector(move || observe_recorder(&recorder));
    chassis::metrics::describe(&metrics::METRICS);
    let about = "Records visits to websites, detects bots and reports on the visitors.";
    let app = App::new(SERVICE_NAME, about, api, health, clock)
        .with_startup_check(chassis::database::reject_transaction_pooler(pool.clone()))
        .with_worker("geo client", |stop| geo_batcher.run(stop))
        .with_worker("recorder", |stop| recorder_task.run(stop))
        .with_shutdown_token(shutdown)
        .with_worker("live stream", |stop| live_tasks.run(stop))
        .with_worker("ignore rules", |stop| {
            ignore_rules::run(ignore_rules, store, stop)
        })
        .with_worker("session monitor", |stop| session_check.run(stop));
    let app = jobs.add_to(app);
    let app = match verification_task {
        Some(task) => app.with_worker("crawler verification", |stop| task.run(stop)),
        None => app,
    };
    Ok(app.with_jwks(&config.service.keys, verifier)?)
}

/// The dependencies of the workers that do not serve requests.
struct BackgroundJobs {
    store: Store,
    geo: GeoClient,
    notifier: NotificationClient,
    clock: Clock,
    retention: RetentionPeriod,
    max_new_sites_per_day: u32,
}

impl BackgroundJobs {
    fn add_to(self, app: App) -> App {
        let outbox_relay = OutboxRelay {
            store: self.store.clone(),
            notifier: self.notifier.clone(),
            clock: self.clock.clone(),
        };
        let site_limit = SiteLimitNotifier {
            store: self.store.clone(),
            notifier: self.notifier.clone(),
            clock: self.clock.clone(),
            max_new_sites_per_day: self.max_new_sites_per_day,
        };
        let erasure = ErasureWorker {
            store: self.store.clone(),
            notifier: self.notifier,
            clock: self.clock.clone(),
        };
        let location_backfill = LocationBackfill {
            store: self.store.clone(),
            geo: self.geo,
            clock: self.clock.clone(),
        };
        let rollup = RollupWorker {
            store: self.store.clone(),
            clock: self.clock.clone(),
        };
        app.with_worker("outbox relay", |stop| outbox_relay.run(stop))
            .with_worker("site limit", |stop| site_limit.run(stop))
            .with_worker("erasure", |stop| erasure.run(stop))
            .with_worker("location backfill", |stop| location_backfill.run(stop))
            .with_worker("rollup", |stop| rollup.run(stop))
            .with_worker("maintenance", move |stop| {
                maintenance::run(self.store, self.retention, self.clock, stop)
            })
    }
}

fn observe_recorder(recorder: &VisitRecorder) -> std::future::Ready<()> {
    ::metrics::gauge!("visits_recorder_waiting").set(recorder.queue_length() as f64);
    std::future::ready(())
}

/// Clients of geo and notification.
fn peer_clients(
    config: &Config,
    keys: &Arc<Keyring>,
    clock: &Clock,
) -> anyhow::Result<(ServiceClient, ServiceClient)> {
    let http = chassis::http_client::build("tetralto-visitor-analytics")?;
    let geo = ServiceClient::new(
        http.clone(),
        config.geo_service_url.clone(),
        token_issuer(keys, clock, Scope::GeoRead),
        GEO_TIMEOUT,
    );
    let notification = ServiceClient::new(
        http,
        config.notification_service_url.clone(),
        token_issuer(keys, clock, Scope::NotifySend),
        NOTIFICATION_TIMEOUT,
    );
    Ok((geo, notification))
}

fn token_issuer(keys: &Arc<Keyring>, clock: &Clock, scope: Scope) -> TokenIssuer {
    TokenIssuer::new(keys.clone(), clock.clone(), SERVICE_NAME, scope)
}

/// Migrates the database schema to this version.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let pool = config.database.pool(SERVICE_NAME)?;
    chassis::database::migrate(&pool, SCHEMA_NAME, migrator()).await?;
    Ok(())
}
