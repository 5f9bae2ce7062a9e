//! The set of local databases: those in `GEOIP_DATABASES` and downloaded ones.

mod files;
mod watcher;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use chassis::health::CheckResult;
use chrono::{DateTime, Utc};
use common::geo::Location;
use ipnetwork::IpNetwork;
use metrics::Counter;

use super::lookup_counter;
use super::mmdb::{DatabaseError, MmdbDatabase};
use crate::domain::{Language, is_stale};

pub use watcher::DatabaseWatcher;

/// The current set of local databases. An update replaces the whole set; a lookup that is in
/// progress keeps the set with which it started.
#[derive(Default)]
pub struct LocalDatabases(RwLock<Arc<DatabaseSet>>);

/// A snapshot of the local databases, in the order in which they are queried.
#[derive(Default)]
pub(crate) struct DatabaseSet {
    databases: Vec<Arc<MmdbDatabase>>,
    /// Descriptions of files that could not be loaded.
    errors: Vec<String>,
    /// The counters for `found` and `not_found`. Resolving them per lookup would take about a tenth
    /// of the time of a request.
    counters: OnceLock<[Counter; 2]>,
}

fn lookup_counters() -> [Counter; 2] {
    ["found", "not_found"].map(|outcome| lookup_counter("mmdb", outcome))
}

/// `GEOIP_DATABASES` cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("GEOIP_DATABASES: {path} cannot be read: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, std::io::Error),
    #[error("GEOIP_DATABASES: the directory {path} contains no .mmdb file", path = .0.display())]
    Empty(PathBuf),
    #[error("GEOIP_DATABASES: {path}: {error}", path = .0.display(), error = .1)]
    Invalid(PathBuf, DatabaseError),
}

impl LocalDatabases {
    /// Opens and verifies the databases. A directory stands for the .mmdb files in it, sorted by
    /// name. Downloaded databases come after those of the settings; invalid ones are skipped. The
    /// second value reloads files that change later.
    pub fn open(
        paths: &[PathBuf],
        downloads: &Path,
    ) -> Result<(Arc<Self>, DatabaseWatcher), OpenError> {
        let databases = Arc::new(Self::default());
        let watch = DatabaseWatcher::open(paths, downloads, databases.clone())?;
        Ok((databases, watch))
    }

    pub(crate) fn snapshot(&self) -> Arc<DatabaseSet> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn replace(&self, fresh: DatabaseSet) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, Arc::new(fresh));
        drop(current);
        // Freed after the lock is released: freeing a database takes a while.
        drop(old);
    }
}

impl DatabaseSet {
    /// Each database fills the fields that earlier databases left empty. The location is valid for
    /// the narrowest of their networks.
    pub(crate) fn fill(&self, ip: IpAddr, language: Language, to: &mut Location) {
        if self.databases.is_empty() {
            return;
        }
        let mut narrowest: Option<IpNetwork> = None;
        for database in &self.databases {
            let network = database.fill(ip, language, to);
            let is_narrower = |found: &IpNetwork| {
                narrowest.is_none_or(|narrowest| found.prefix() > narrowest.prefix())
            };
            narrowest = network.filter(is_narrower).or(narrowest);
        }
        to.network = narrowest.map(|network| network.to_string());
        let [found, not_found] = self.counters.get_or_init(lookup_counters);
        let count = if narrowest.is_some() {
            found
        } else {
            not_found
        };
        count.increment(1);
    }

    /// The check for `/health`; `more` describes the embedded database.
    pub(crate) fn health(&self, now: DateTime<Utc>, more: String) -> CheckResult {
        let mut worries = self.errors.clone();
        let mut names = vec![];
        for database in &self.databases {
            let (name, built_at) = (database.name(), database.built_at());
            record_gauges(name, built_at, now);
            let day = built_at.date_naive();
            let credit = attribution(name);
            names.push(format!("{name} ({day}{credit})"));
            if is_stale(built_at, now) {
                let days = (now - built_at).num_days();
                worries.push(format!("{name} is {days} days old"));
            }
        }
        names.push(more);
        let names = names.join(", ");
        if worries.is_empty() {
            CheckResult::ok(names)
        } else {
            CheckResult::degraded(format!("{names}; {}", worries.join("; ")))
        }
    }
}

/// The attribution that the license of a database requires.
fn attribution(name: &str) -> &'static str {
    if name.starts_with("DBIP") {
        ", IP Geolocation by DB-IP, https://db-ip.com, CC BY 4.0"
    } else {
        ""
    }
}

fn record_gauges(name: &str, built_at: DateTime<Utc>, now: DateTime<Utc>) {
    let name = name.to_owned();
    let built = metrics::gauge!("geo_database_build_timestamp_seconds", "database" => name.clone());
    built.set(built_at.timestamp() as f64);
    let age = metrics::gauge!("geo_database_age_seconds", "database" => name);
    age.set((now - built_at).num_seconds() as f64);
}
