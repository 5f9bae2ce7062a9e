//! The local databases together: those of `GEOIP_DATABASES` and those that were downloaded.

mod files;
mod watch;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use chassis::health::CheckResult;
use chrono::{DateTime, Utc};
use common::geo::Location;
use ipnetwork::IpNetwork;
use metrics::Counter;

use super::counter;
use super::mmdb::{DatabaseError, MmdbDatabase};
use crate::domain::{Language, is_stale};

pub use watch::DatabaseWatcher;

/// Local databases, in the order to ask. They are replaced as a whole, while those who ask keep
/// what they have begun with.
#[derive(Default)]
pub struct LocalDatabases(RwLock<Arc<DatabaseSet>>);

/// The databases of a moment.
#[derive(Default)]
pub(super) struct DatabaseSet {
    databases: Vec<Arc<MmdbDatabase>>,
    /// Files that should have been read and could not.
    troubles: Vec<String>,
    /// Found, and not; looking them up each time would cost as much as a tenth of an answer.
    counts: OnceLock<[Counter; 2]>,
}

fn counters() -> [Counter; 2] {
    ["found", "not_found"].map(|outcome| counter("mmdb", outcome))
}

/// `GEOIP_DATABASES` names something that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A folder or file cannot be read.
    #[error("GEOIP_DATABASES: {path} cannot be read: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, std::io::Error),
    /// A folder holds no database.
    #[error("GEOIP_DATABASES: the folder {path} holds no .mmdb file", path = .0.display())]
    Empty(PathBuf),
    /// A file is no sound database.
    #[error("GEOIP_DATABASES: {path}: {error}", path = .0.display(), error = .1)]
    Unsound(PathBuf, DatabaseError),
}

impl LocalDatabases {
    /// Opens and verifies the databases; folders stand for the .mmdb files in them, by name.
    /// After those of the settings come those in the folder of downloads, which need not be there
    /// nor sound. The second value notices what changes from then on.
    pub fn open(
        paths: &[PathBuf],
        downloads: &Path,
    ) -> Result<(Arc<Self>, DatabaseWatcher), OpenError> {
        let databases = Arc::new(Self::default());
        let watch = DatabaseWatcher::open(paths, downloads, databases.clone())?;
        Ok((databases, watch))
    }

    pub(super) fn now(&self) -> Arc<DatabaseSet> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn replace(&self, fresh: DatabaseSet) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, Arc::new(fresh));
        drop(current);
        // Giving back the memory takes its time, in which nobody should wait.
        drop(old);
    }
}

impl DatabaseSet {
    /// Each database fills what those before it left open. The answer holds for the narrowest of
    /// their networks.
    pub(super) fn fill(&self, ip: IpAddr, language: Language, to: &mut Location) {
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
        let [found, not_found] = self.counts.get_or_init(counters);
        let count = if narrowest.is_some() {
            found
        } else {
            not_found
        };
        count.increment(1);
    }

    /// How the databases are; `more` names one that is always there.
    pub(super) fn finding(&self, now: DateTime<Utc>, more: String) -> CheckResult {
        let mut worries = self.troubles.clone();
        let mut names = vec![];
        for database in &self.databases {
            let (name, built_at) = (database.name(), database.built_at());
            measure(name, built_at, now);
            let day = built_at.date_naive();
            let credit = credit(name);
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

/// What a licence wants to be said beside the data.
fn credit(name: &str) -> &'static str {
    if name.starts_with("DBIP") {
        ", IP Geolocation by DB-IP, https://db-ip.com, CC BY 4.0"
    } else {
        ""
    }
}

fn measure(name: &str, built_at: DateTime<Utc>, now: DateTime<Utc>) {
    let name = name.to_owned();
    let built = metrics::gauge!("geo_database_build_timestamp_seconds", "database" => name.clone());
    built.set(built_at.timestamp() as f64);
    let age = metrics::gauge!("geo_database_age_seconds", "database" => name);
    age.set((now - built_at).num_seconds() as f64);
}
