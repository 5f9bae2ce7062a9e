//! `geo`: the geolocation service.
//!
//! A location is filled from local databases in MaxMind's format, then from MaxMind's web service
//! if no database has a city or coordinates. A country database that is embedded in the binary is
//! the last resort, so that an installation without settings returns countries.
#![forbid(unsafe_code)]

pub mod app;
pub mod clients;
pub mod config;
pub mod domain;
pub mod http;
mod metrics;
pub mod store;
pub mod workers;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use chassis::database::DatabaseCheck;
use chassis::health::{CheckResult, HealthChecks};
use chassis::metrics::observe_oldest_transaction;
use chassis::{App, database};
use common::clock::Clock;
use futures::future::BoxFuture;
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::app::{DatabaseBackups, DatabaseUpdater, Locator, ServiceAreas};
use crate::clients::updates::DownloadDir;
use crate::clients::{LocalDatabases, MaxMindWebService};
use crate::config::Config;
use crate::store::Store;

/// The name of the service, the audience of its tokens, and its schema in the database.
pub const SERVICE_NAME: &str = "geo";

#[must_use]
pub fn migrator() -> Migrator {
    sqlx::migrate!("../../migrations/geo")
}

/// Builds the service. Fails on invalid keys or databases.
pub fn build(config: &Config, clock: Clock) -> anyhow::Result<App> {
    let pool = config.database.pool(SERVICE_NAME)?;
    build_with_pool(config, pool.as_ref(), clock)
}

/// Builds the service with the given pool, or without a database.
pub fn build_with_pool(
    config: &Config,
    pool: Option<&PgPool>,
    clock: Clock,
) -> anyhow::Result<App> {
    let keys = &config.service.keys;
    let verifier = keys.verifier(SERVICE_NAME, &clock)?;
    let downloads = config.updates.data_dir();
    let (databases, watch) = LocalDatabases::open(&config.geoip_databases, &downloads)?;
    let account = config.maxmind.web_service_settings();
    let web = account.map(|account| MaxMindWebService::new(account, clock.clone()));
    let web = web.transpose()?;
    let business = config.business_location;
    let locator = Locator::new(databases, web.clone(), business, clock.clone());
    let locator = Arc::new(locator);
    let store = pool.map(|pool| Store::new(pool.clone()));
    let updater = database_updater(config, store.as_ref(), &clock)?;
    let health = health_checks(locator.clone(), web, updater.clone(), clock.clone());
    let areas = store.map(|store| ServiceAreas::new(store, clock.clone()));
    let health = health.with_optional_check("service-areas", service_areas_check(pool));
    let health = match pool {
        Some(pool) => add_database_checks(health, pool),
        None => health,
    };
    chassis::metrics::describe(&metrics::METRICS);
    let api = http::router(locator, areas.clone(), &verifier);
    let about = "Locates IP addresses and checks them against service areas.";
    let app = App::new(SERVICE_NAME, about, api, health, clock);
    let app = match pool {
        Some(pool) => app.with_startup_check(database::reject_transaction_pooler(pool.clone())),
        None => app,
    };
    let app = match areas {
        Some(areas) => app.with_worker("service-areas", move |stop| {
            workers::service_areas::run(areas.cache(), stop)
        }),
        None => app,
    };
    let interval = Duration::from_millis(config.updates.geoip_watch_interval);
    let app = app.with_worker("databases", move |stop| {
        workers::watcher::run(watch, interval, stop)
    });
    let app = match updater {
        Some(updater) => app.with_worker("updater", |stop| workers::updater::run(updater, stop)),
        None => app,
    };
    Ok(app.with_jwks(keys, verifier)?)
}

/// Migrates the database schema to this version, if there is a database.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let Some(pool) = config.database.pool(SERVICE_NAME)? else {
        tracing::info!("no migrations to run, because DATABASE_URL is not set");
        return Ok(());
    };
    database::migrate(&pool, SERVICE_NAME, migrator()).await?;
    Ok(())
}

fn add_database_checks(health: HealthChecks, pool: &PgPool) -> HealthChecks {
    let (of_clock, of_transactions) = (pool.clone(), pool.clone());
    health
        .with_pool(SERVICE_NAME, "main", pool)
        .with_collector(move || observe_oldest_transaction(SERVICE_NAME, of_transactions.clone()))
        .with_check("clock", move || {
            // Compares the system clock, even if the service runs on a manual clock.
            database::check_clock_skew(of_clock.clone(), Clock::system())
        })
}

/// An optional check: without the database, geo still locates addresses and uses the service areas
/// that it loaded last.
fn service_areas_check(
    pool: Option<&PgPool>,
) -> impl Fn() -> BoxFuture<'static, CheckResult> + use<> {
    let newest = database::newest_version(&migrator());
    let check = pool.map(|pool| DatabaseCheck::new(pool, SERVICE_NAME, newest));
    move || match check.clone() {
        Some(check) => Box::pin(check.run()),
        None => Box::pin(ready(CheckResult::ok("off: DATABASE_URL is not set"))),
    }
}

fn database_updater(
    config: &Config,
    store: Option<&Store>,
    clock: &Clock,
) -> reqwest::Result<Option<Arc<DatabaseUpdater>>> {
    let Some(publisher) = config.publisher() else {
        return Ok(None);
    };
    let download_dir = DownloadDir::new(config.updates.data_dir());
    let store = store.filter(|_| config.updates.has_postgres_backups());
    let backups = store.cloned().map(DatabaseBackups::new);
    DatabaseUpdater::new(publisher, download_dir, backups, clock.clone()).map(Some)
}

fn health_checks(
    locator: Arc<Locator>,
    web: Option<Arc<MaxMindWebService>>,
    updater: Option<Arc<DatabaseUpdater>>,
    clock: Clock,
) -> HealthChecks {
    let health = HealthChecks::default().with_check("databases", move || {
        std::future::ready(locator.health(clock.now()))
    });
    let health = match updater {
        Some(updater) => health.with_check("updates", move || std::future::ready(updater.health())),
        None => health,
    };
    match web {
        Some(web) => health.with_check("maxmind", move || std::future::ready(web.health())),
        None => health,
    }
}
