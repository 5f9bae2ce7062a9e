//! Keeps the service areas in memory as they are in the database, on every replica.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use chassis::panics::{catch_panic, catch_panics};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::areas::{AreaIndex, IndexedArea};
use crate::store::{ServiceArea, Store, StoreError};

/// How often it is looked whether anything has changed.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// So many areas are read at once.
const MAX_AREAS_PER_QUERY: usize = 500;

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// The areas of the database, ready to be asked.
pub struct AreaCache {
    store: Store,
    current: RwLock<Option<Arc<AreaIndex>>>,
    /// What `current` was made of; held while it is renewed, which happens once at a time.
    known: Mutex<CachedAreas>,
}

#[derive(Default)]
struct CachedAreas {
    /// The table's version; `None` before the first look.
    version: Option<i64>,
    areas: HashMap<Uuid, CachedArea>,
}

/// An area's version, and the area where it is enabled.
#[derive(Clone)]
struct CachedArea(i64, Option<Arc<IndexedArea>>);

impl AreaCache {
    /// Follows what `store` keeps; it knows nothing before the first [`AreaCache::renew`].
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            current: RwLock::default(),
            known: Mutex::default(),
        }
    }

    /// The enabled areas as they were last seen; `None` where they were never.
    #[must_use]
    pub fn index(&self) -> Option<Arc<AreaIndex>> {
        self.current.read().expect(NOT_POISONED).clone()
    }

    /// Looks again and again until `stop`. While the database is away, the last index stays.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut was_well = true;
        loop {
            let error = match catch_panics(self.renew()).await {
                Ok(renewed) => renewed.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            // Once is enough; `/health` tells, too.
            if let Some(error) = error.as_ref().filter(|_| was_well) {
                tracing::warn!(error, "service areas cannot be read; the last ones stay");
            }
            was_well = error.is_none();
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Brings the index up to date, if it is not.
    pub async fn renew(&self) -> Result<(), StoreError> {
        let mut known = self.known.lock().await;
        let version = self.store.areas_version().await?;
        if known.version == Some(version) {
            return Ok(());
        }
        let stored = self.store.area_versions().await?;
        let is_known = |(id, version): &&(Uuid, i64)| {
            let entry = known.areas.get(id);
            entry.is_some_and(|entry| entry.0 == *version)
        };
        let (same, changed): (Vec<_>, Vec<_>) = stored.iter().partition(is_known);
        let changed: Vec<Uuid> = changed.into_iter().map(|(id, _)| id).collect();
        let mut fresh = vec![];
        for ids in changed.chunks(MAX_AREAS_PER_QUERY) {
            let rows = self.store.areas_by_id(ids).await?;
            fresh.extend(aside(move || rows.iter().map(entry).collect::<Vec<_>>()).await);
        }
        let same: HashSet<Uuid> = same.into_iter().map(|(id, _)| id).collect();
        known.areas.retain(|id, _| same.contains(id));
        known.areas.extend(fresh);
        let enabled = known.areas.values().filter_map(|entry| entry.1.clone());
        let mut enabled: Vec<_> = enabled.collect();
        let index = aside(move || {
            enabled.sort_by_key(|named| named.id);
            AreaIndex::new(enabled)
        });
        let index = Arc::new(index.await);
        metrics::gauge!("geo_service_areas").set(index.len() as f64);
        *self.current.write().expect(NOT_POISONED) = Some(index);
        known.version = Some(version);
        Ok(())
    }
}

fn entry(stored: &ServiceArea) -> (Uuid, CachedArea) {
    let area = stored.draft.enabled.then(|| {
        let checked = catch_panic(|| stored.draft.check());
        checked
            .map_err(|panic| panic.to_string())?
            .map_err(|error| error.to_string())
    });
    let area = match area {
        Some(Ok(area)) => Some(Arc::new(IndexedArea {
            id: stored.id,
            name: stored.draft.name.clone(),
            area,
        })),
        Some(Err(error)) => {
            tracing::error!(id = %stored.id, error, "a stored service area is not used");
            None
        }
        None => None,
    };
    (stored.id, CachedArea(stored.version, area))
}

/// Calculates where requests do not have to wait for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = tokio::task::spawn_blocking(work);
    work.await
        .expect("the calculation does not panic, and is not cancelled")
}
