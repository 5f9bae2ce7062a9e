//! Visitors whose visits are no longer delivered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::visitor_analytics::Visit;
use tokio::time::Instant;

use crate::store::visitor_hash;

/// Erased visitors that are remembered; above this number, expired ones are removed.
const MAX_ERASED_VISITORS: usize = 10_000;
/// Longer than any subscriber lags behind.
const ERASED_VISITOR_TTL: Duration = Duration::from_mins(10);

const LOCK_NOT_POISONED: &str = "no code panics while holding this lock";

/// Recently erased visitors. Visits of them that were read before are not delivered.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErasedVisitors(Arc<Mutex<HashMap<u64, Instant>>>);

impl ErasedVisitors {
    pub(crate) fn insert(&self, visitors: &[u64]) {
        let now = Instant::now();
        let mut erased = self.0.lock().expect(LOCK_NOT_POISONED);
        if erased.len() + visitors.len() > MAX_ERASED_VISITORS {
            erased.retain(|_, at| now - *at < ERASED_VISITOR_TTL);
        }
        erased.extend(visitors.iter().map(|visitor| (*visitor, now)));
    }

    /// Whether a visit that was read at `read_at` is of a visitor that was erased afterwards.
    pub(super) fn is_erased_since(&self, visit: &Visit, read_at: Instant) -> bool {
        let erased = self.0.lock().expect(LOCK_NOT_POISONED);
        let at = erased.get(&visitor_hash(&visit.visitor_id));
        at.is_some_and(|at| read_at <= *at)
    }
}
