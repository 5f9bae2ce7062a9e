//! Caches which partitions exist.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::NaiveDate;

const MONTHS_LOCK_POISONED: &str = "no code panics while it holds this lock";

/// The months whose partitions exist, each by its first day.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct PartitionCache {
    months: Arc<Mutex<BTreeSet<NaiveDate>>>,
}

impl PartitionCache {
    pub(super) fn missing_months(&self, months: &BTreeSet<NaiveDate>) -> Vec<NaiveDate> {
        let known = self.months.lock().expect(MONTHS_LOCK_POISONED);
        months.difference(&known).copied().collect()
    }

    pub(super) fn insert(&self, month: NaiveDate) {
        let mut known = self.months.lock().expect(MONTHS_LOCK_POISONED);
        known.insert(month);
    }

    pub(super) fn clear(&self) {
        self.months.lock().expect(MONTHS_LOCK_POISONED).clear();
    }
}
