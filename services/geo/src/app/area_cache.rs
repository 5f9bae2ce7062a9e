//! An index of the enabled service areas in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use chassis::database::StoreError;
use chassis::panics::catch_panic;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::domain::areas::{AreaIndex, IndexedArea};
use crate::store::{ServiceArea, Store};

const MAX_AREAS_PER_QUERY: usize = 500;

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// The index of the service areas in the database.
pub struct AreaCache {
    store: Store,
    current: RwLock<Option<Arc<AreaIndex>>>,
    /// The areas in `current`. Locked during a refresh, so that refreshes do not overlap.
    cached: Mutex<CachedAreas>,
}

#[derive(Default)]
struct CachedAreas {
    /// The version of the table; `None` before the first refresh.
    version: Option<i64>,
    areas: HashMap<Uuid, CachedArea>,
}

/// The version of an area, and the compiled area if it is enabled.
#[derive(Clone)]
struct CachedArea(i64, Option<Arc<IndexedArea>>);

impl AreaCache {
    /// The cache is empty before the first [`AreaCache::refresh`].
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            current: RwLock::default(),
            cached: Mutex::default(),
        }
    }

    /// The index of the enabled areas; `None` before the first refresh.
    #[must_use]
    pub fn index(&self) -> Option<Arc<AreaIndex>> {
        self.current.read().expect(NOT_POISONED).clone()
    }

    /// Refreshes the index if the version in the database has changed. Only changed areas are read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let mut known = self.cached.lock().await;
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
            let rows = self.store.get_areas(ids).await?;
            fresh.extend(
                run_blocking(move || rows.iter().map(compile_entry).collect::<Vec<_>>()).await,
            );
        }
        let same: HashSet<Uuid> = same.into_iter().map(|(id, _)| id).collect();
        known.areas.retain(|id, _| same.contains(id));
        known.areas.extend(fresh);
        let enabled = known.areas.values().filter_map(|entry| entry.1.clone());
        let mut enabled: Vec<_> = enabled.collect();
        let index = run_blocking(move || {
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

fn compile_entry(stored: &ServiceArea) -> (Uuid, CachedArea) {
    let area = stored.spec.enabled.then(|| {
        let checked = catch_panic(|| stored.spec.compile());
        checked
            .map_err(|panic| panic.to_string())?
            .map_err(|error| error.to_string())
    });
    let area = match area {
        Some(Ok(area)) => Some(Arc::new(IndexedArea {
            id: stored.id,
            name: stored.spec.name.clone(),
            area,
        })),
        Some(Err(error)) => {
            tracing::error!(
                id = %stored.id,
                error,
                "a stored service area is invalid and is not used; replace or delete it"
            );
            None
        }
        None => None,
    };
    (stored.id, CachedArea(stored.version, area))
}

/// Runs a long calculation on a blocking thread, so that requests do not wait for it.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = tokio::task::spawn_blocking(work);
    work.await
        .expect("the task neither panics nor is cancelled")
}
