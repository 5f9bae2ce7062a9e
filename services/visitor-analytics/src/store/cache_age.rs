//! How long a process may remember numbers of values: an erasure removes values, and must know when
//! nobody remembers them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// A number is remembered for this long at most, on the machine's own clock: replicas need not agree.
pub(super) const CACHE_AGE: Duration = Duration::from_mins(10);

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// Since when a cache has been filled.
#[derive(Clone, Debug)]
pub(super) struct CacheAge(Arc<Mutex<Instant>>);

impl Default for CacheAge {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl CacheAge {
    /// Whether the cache has to be emptied; it counts as empty from then on.
    pub(super) fn is_over(&self) -> bool {
        let mut since = self.0.lock().expect(NOT_POISONED);
        let is_over = since.elapsed() >= CACHE_AGE;
        if is_over {
            *since = Instant::now();
        }
        is_over
    }
}

/// The numbers of texts in `rollup_value`.
#[derive(Clone, Debug)]
pub(super) struct TextNumbers {
    age: CacheAge,
    numbers: Arc<Cache<Arc<str>, i32>>,
}

impl TextNumbers {
    /// Room for so many texts.
    pub(super) fn new(room: usize) -> Self {
        Self {
            age: CacheAge::default(),
            numbers: Arc::new(Cache::new(room)),
        }
    }

    pub(super) fn get(&self, text: &Arc<str>) -> Option<i32> {
        self.numbers.get(text)
    }

    pub(super) fn insert(&self, text: Arc<str>, number: i32) {
        self.numbers.insert(text, number);
    }

    /// Forgets all numbers.
    pub(super) fn forget(&self) {
        self.numbers.clear();
    }

    /// Forgets all numbers that may be too old.
    pub(super) fn forget_old(&self) {
        if self.age.is_over() {
            self.forget();
        }
    }
}
