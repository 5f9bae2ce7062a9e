//! Caches salts until they expire.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};

use crate::domain::visitor_id::{Salt, SaltPeriod};

const SALTS_LOCK_POISONED: &str = "no code panics while it holds this lock";

pub(super) type ExpiringSalt = (Salt, Option<DateTime<Utc>>);

/// Caches salts with their expiry. Once a salt is deleted, the visitor ids of its period can no
/// longer be linked to addresses.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct SaltCache {
    salts: Arc<Mutex<HashMap<SaltPeriod, ExpiringSalt>>>,
    /// One request creates missing salts while the others wait.
    pub(super) create_lock: Arc<tokio::sync::Mutex<()>>,
}

impl SaltCache {
    /// The cached salts, and the periods without one.
    pub(super) fn look_up(
        &self,
        periods: &BTreeSet<SaltPeriod>,
        now: DateTime<Utc>,
    ) -> (BTreeMap<SaltPeriod, Salt>, Vec<SaltPeriod>) {
        let mut cache = self.salts.lock().expect(SALTS_LOCK_POISONED);
        cache.retain(|_, (_, expires_at)| expires_at.is_none_or(|end| now < end));
        let mut salts = BTreeMap::new();
        let mut missing = vec![];
        for period in periods {
            match cache.get(period) {
                Some((salt, _)) => _ = salts.insert(*period, salt.clone()),
                None => missing.push(*period),
            }
        }
        (salts, missing)
    }

    pub(super) fn insert(&self, period: SaltPeriod, salt: ExpiringSalt) {
        let mut cache = self.salts.lock().expect(SALTS_LOCK_POISONED);
        cache.insert(period, salt);
    }
}
