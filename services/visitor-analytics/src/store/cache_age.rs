//! Bounds how long a process caches the ids of dictionary values. An erasure deletes values, so it
//! must know when no process caches their ids any more.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// Measured on the machine's monotonic clock, so that replicas need not agree on the time.
pub(super) const CACHE_AGE: Duration = Duration::from_mins(10);

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// When a cache began to fill.
#[derive(Clone, Debug)]
pub(super) struct CacheAge(Arc<Mutex<Instant>>);

impl Default for CacheAge {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl CacheAge {
    /// Whether the cache has expired. If so, the caller must empty it; its age starts again from
    /// zero.
    pub(super) fn restart_if_expired(&self) -> bool {
        let mut since = self.0.lock().expect(NOT_POISONED);
        let is_over = since.elapsed() >= CACHE_AGE;
        if is_over {
            *since = Instant::now();
        }
        is_over
    }
}

/// Cached ids of the texts in `rollup_value`.
#[derive(Clone, Debug)]
pub(super) struct TextIdCache {
    age: CacheAge,
    ids: Arc<Cache<Arc<str>, i32>>,
}

impl TextIdCache {
    pub(super) fn new(room: usize) -> Self {
        Self {
            age: CacheAge::default(),
            ids: Arc::new(Cache::new(room)),
        }
    }

    pub(super) fn get(&self, text: &Arc<str>) -> Option<i32> {
        self.ids.get(text)
    }

    pub(super) fn insert(&self, text: Arc<str>, number: i32) {
        self.ids.insert(text, number);
    }

    pub(super) fn clear(&self) {
        self.ids.clear();
    }

    /// Empties the cache if it has expired.
    pub(super) fn clear_if_expired(&self) {
        if self.age.restart_if_expired() {
            self.clear();
        }
    }
}
