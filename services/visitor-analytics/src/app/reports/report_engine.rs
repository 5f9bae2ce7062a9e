//! What all reports share: the store that they read, and their caches.

use super::day_aggregates::DayAggregateCache;
use super::result_cache::ResultCache;
use crate::domain::visitor_id::VisitorIdLifetime;
use crate::store::Store;

/// Computes reports.
#[derive(Clone, Debug)]
pub struct ReportEngine {
    pub(super) store: Store,
    pub(super) day_aggregates: DayAggregateCache,
    pub(super) results: ResultCache,
    /// How long the ids that the service generates last.
    pub(super) visitor_id_lifetime: VisitorIdLifetime,
}

impl ReportEngine {
    #[must_use]
    pub fn new(store: Store, visitor_id_lifetime: VisitorIdLifetime) -> Self {
        Self {
            store,
            day_aggregates: DayAggregateCache::new(),
            results: ResultCache::new(),
            visitor_id_lifetime,
        }
    }
}
