//! Deletes dictionary values that only erased visits used.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};

use super::erased_value::{ErasedValue, TEXT_KIND};
use super::{dimension_values, rollup_texts};
use crate::store::erasure::erasure_store::ErasureStore;

/// Claimed values must be processed within this time.
const SWEEP_LEASE: TimeDelta = TimeDelta::minutes(10);
const MAX_VALUES_PER_SWEEP: i64 = 10_000;

impl ErasureStore {
    /// Moves values that are due one step further. Returns the number of deleted values, and
    /// whether more may be due.
    pub async fn sweep_values(&self, now: DateTime<Utc>) -> Result<(u64, bool), StoreError> {
        let due = sqlx::query_as!(
            ErasedValue,
            "update visitor_analytics.erased_value v set due_at = $2
             from (select kind, value_id, key from visitor_analytics.erased_value
                   where due_at <= $1 order by due_at limit $3 for update skip locked) d
             where v.kind = d.kind and v.value_id = d.value_id and v.key = d.key
             returning v.kind, v.value_id, v.key, v.retired_at, v.due_at",
            now,
            now + SWEEP_LEASE,
            MAX_VALUES_PER_SWEEP,
        );
        let due = due.fetch_all(&self.pool).await?;
        let more = i64::try_from(due.len()).is_ok_and(|due| due == MAX_VALUES_PER_SWEEP);
        let (texts, values): (Vec<_>, Vec<_>) = due.into_iter().partition(|v| v.kind == TEXT_KIND);
        let mut removed = 0;
        if !values.is_empty() {
            removed += dimension_values::sweep(&self.pool, &values, now).await?;
            self.dictionaries.clear();
        }
        if !texts.is_empty() {
            removed += rollup_texts::sweep(&self.pool, &texts, now).await?;
            self.text_ids.clear();
        }
        Ok((removed, more))
    }
}
