//! `visitor-analytics` records visits to websites, detects bots and reports on the visitors.
//!
//! `POST /visits` answers after the visits are committed, and records each exactly once; see
//! `docs/` for the path of a visit through the services.
#![forbid(unsafe_code)]

pub mod admission;
pub mod clients;
pub mod cohort;
pub mod config;
pub mod domain;
pub mod health;
pub mod http;
pub mod import;
pub mod ingest;
mod metrics;
pub mod reclassify;
mod service;
pub mod store;
pub mod verify;
pub mod workers;

use std::sync::Arc;

use chassis::App;
use chassis::request_slots::RequestSlots;
use chassis::service_client::ServiceClient;
use common::clock::Clock;
use common::jwt::{Keyring, Scope, TokenIssuer};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::admission::AdmissionControl;
use crate::clients::geo::{GEO_TIMEOUT, GeoClient};
use crate::clients::notification::NotificationClient;
use crate::config::Config;
use crate::domain::visit_enricher::VisitEnricher;
use crate::ingest::IngestService;
pub use crate::service::{SCHEMA_NAME, SERVICE_NAME, migrator};
use crate::store::Store;
use crate::workers::crawler_verification::CrawlerVerifier;
use crate::workers::erasure::ErasureWorker;
use crate::workers::ignore_rules::IgnoreRules;
use crate::workers::live::LiveTasks;
use crate::workers::location_backfill::LocationBackfill;
use crate::workers::maintenance;
use crate::workers::outbox_relay::OutboxRelay;
use crate::workers::recorder::VisitRecorder;
use crate::workers::rollup::RollupWorker;
use crate::workers::session_monitor::SessionMonitor;
use crate::workers::site_limit::SiteLimitNotifier;

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
    let (locator, gatherer) = GeoClient::new(geo);
    let (teller, hub, live) = LiveTasks::new(&store);
    let closing = CancellationToken::new();
    let wishes = IgnoreRules::default();
    let of_wishes = store.clone();
    let (recorder, writer) =
        VisitRecorder::new(store.clone(), clock.clone(), config.notify_policy(), teller);
    let waiting = recorder.clone();
    let (watch, watcher) = SessionMonitor::new(store.clone(), clock.clone());
    let proving = config.dns_verifier()?;
    let proving = proving.map(|dns| CrawlerVerifier::new(dns, store.clone(), clock.clone()));
    let (proofs, prover) = proving.unzip();
    let visitor_ids = policy.visitor_id_lifetime;
    let admission = AdmissionControl::new(store.clone(), config.max_new_sites_per_day);
    let state = http::AppState {
        admission: admission.clone(),
        ingest: IngestService::new(
            admission,
            VisitEnricher::with_crawler_ranges(config.load_crawler_ranges()?),
            store.clone(),
            locator.clone(),
            recorder,
            visitor_ids,
            watch,
            proofs,
        ),
        notify_policy: config.notify_policy(),
        store: store.clone(),
        privacy_policy: policy,
        clock: clock.clone(),
        live_hub: hub,
        ignore_rules: wishes.clone(),
        export_slots: RequestSlots::new(MAX_CONCURRENT_EXPORTS),
        import_slots: RequestSlots::new(MAX_CONCURRENT_IMPORTS),
        shutdown: closing.clone(),
    };
    let background = store.for_background();
    let notifier = NotificationClient::new(notification);
    let site_limit = SiteLimitNotifier {
        store: store.clone(),
        notifier: notifier.clone(),
        clock: clock.clone(),
        max_new_sites_per_day: config.max_new_sites_per_day,
    };
    let announcer = OutboxRelay {
        store: background.clone(),
        notifier: notifier.clone(),
        clock: clock.clone(),
    };
    let eraser = ErasureWorker {
        store: background.clone(),
        notifier,
        clock: clock.clone(),
    };
    let folder = RollupWorker {
        store: background.clone(),
        clock: clock.clone(),
    };
    let payer = LocationBackfill {
        store: background.clone(),
        geo: locator,
        clock: clock.clone(),
    };
    let api = http::router(Arc::new(state), &verifier);
    let health = health::checks(pool, &store, &clock, config.max_new_sites_per_day);
    let health = health.with_collector(move || observe_recorder(&waiting));
    chassis::metrics::describe(&metrics::METRICS);
    let about = "Records visits to websites, detects bots and reports on the visitors.";
    let app = App::new(SERVICE_NAME, about, api, health, clock.clone())
        .with_startup_check(chassis::database::reject_transaction_pooler(pool.clone()))
        .with_worker("geo client", |stop| gatherer.run(stop))
        .with_worker("recorder", |stop| writer.run(stop))
        .with_shutdown_token(closing)
        .with_worker("live stream", |stop| live.run(stop))
        .with_worker("ignore rules", |stop| wishes.run(of_wishes, stop))
        .with_worker("session monitor", |stop| watcher.run(stop))
        .with_worker("outbox relay", |stop| announcer.run(stop))
        .with_worker("site limit", |stop| site_limit.run(stop))
        .with_worker("erasure", |stop| eraser.run(stop))
        .with_worker("location backfill", |stop| payer.run(stop))
        .with_worker("rollup", |stop| folder.run(stop))
        .with_worker("maintenance", move |stop| {
            maintenance::run(background, retention, clock, stop)
        });
    let app = match prover {
        Some(prover) => app.with_worker("crawler verification", |stop| prover.run(stop)),
        None => app,
    };
    Ok(app.with_jwks(&config.service.keys, verifier)?)
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
