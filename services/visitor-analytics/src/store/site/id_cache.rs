//! Caches the ids of sites.

use std::sync::Arc;

use quick_cache::sync::Cache;

/// Ids of sites by domain and alias.
#[derive(Clone, Debug)]
pub(in crate::store) struct SiteIdCache(pub(super) Arc<Cache<String, i32>>);

impl SiteIdCache {
    pub(in crate::store) fn new() -> Self {
        Self(Arc::new(Cache::new(10_000)))
    }
}
