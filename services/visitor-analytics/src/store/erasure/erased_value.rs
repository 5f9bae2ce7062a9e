//! Dictionary values that erased visits used: the table `erased_value`. A value that no other visit
//! uses is deleted.
//!
//! Every process caches the ids of values for [`CACHE_AGE`](crate::store::cache_age::CACHE_AGE),
//! and there are no foreign keys, so that a visit may get a cached id until then. A value is
//! therefore deleted in two steps. First it gets a random key, by which no new visit finds it. An
//! hour later, when no process caches its id, it is deleted, unless a visit uses it after all.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::DeletedVisits;

/// The time between the steps. It is much longer than the age of caches and any transaction. The
/// days that an erasure touches are folded again within this time.
pub(super) const STEP_INTERVAL: TimeDelta = TimeDelta::hours(1);

pub(super) const PAGE_KIND: i16 = 1;
pub(super) const ORIGIN_KIND: i16 = 2;
pub(super) const AGENT_KIND: i16 = 3;
pub(super) const TEXT_KIND: i16 = 4;

/// A value that may have to be deleted.
#[derive(Clone, Debug)]
pub(super) struct ErasedValue {
    pub(super) kind: i16,
    pub(super) value_id: i32,
    pub(super) key: Uuid,
    pub(super) retired_at: Option<DateTime<Utc>>,
    /// The end of the lease. It differs if the value has been erased again meanwhile.
    pub(super) due_at: DateTime<Utc>,
}

/// Records all values of the deleted visits, in the transaction that deletes the visits. The keys
/// of texts are computed as by [`key`](crate::store::dimension::key).
pub(super) async fn insert_candidates(
    connection: &mut PgConnection,
    deleted: &DeletedVisits,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if deleted.ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"with pages as materialized (
             select * from visitor_analytics.page where id = any($1)),
         origins as materialized (
             select * from visitor_analytics.origin where id = any($2)),
         agents as materialized (
             select * from visitor_analytics.agent where id = any($3)),
         texts (text) as (
             select path from pages union select title from pages
             union select v from origins cross join lateral (values (referrer), (source), (medium),
                 (channel), (utm_source), (utm_medium), (utm_campaign), (utm_term),
                 (utm_content)) o (v)
             union select v from agents cross join lateral (values (browser),
                 (coalesce(browser || ' ', '') || browser_version), (os),
                 (coalesce(os || ' ', '') || os_version), (brand)) a (v)
             union select unnest($4::text[])),
         erased (kind, value_id, key, due_at) as (
             select 1::smallint, id, key, $5::timestamptz from pages
             union all select 2, id, key, $5 from origins
             union all select 3, id, key, $5 from agents
             union all select 4, 0, encode(substring(
                 sha256(convert_to(text, 'UTF8') || '\xfe'::bytea) for 16), 'hex')::uuid, $6
             from texts where text is not null)
         insert into visitor_analytics.erased_value (kind, value_id, key, due_at)
         select * from erased order by kind, value_id, key
         on conflict on constraint erased_value_pkey do update set due_at = excluded.due_at
         where erased_value.retired_at is null",
        &deleted.pages,
        &deleted.origins,
        &deleted.agents,
        &deleted.texts,
        now,
        now + STEP_INTERVAL,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes values that need no further check, unless they were erased again meanwhile.
pub(super) async fn delete_settled(
    connection: &mut PgConnection,
    values: &[&ErasedValue],
) -> Result<(), StoreError> {
    let kinds: Vec<i16> = values.iter().map(|value| value.kind).collect();
    let ids: Vec<i32> = values.iter().map(|value| value.value_id).collect();
    let keys: Vec<Uuid> = values.iter().map(|value| value.key).collect();
    let leases: Vec<DateTime<Utc>> = values.iter().map(|value| value.due_at).collect();
    sqlx::query!(
        "with settled as materialized (
             select v.kind, v.value_id, v.key from visitor_analytics.erased_value v
             join unnest($1::smallint[], $2::int[], $3::uuid[], $4::timestamptz[])
                 as s (kind, value_id, key, due_at)
               on v.kind = s.kind and v.value_id = s.value_id and v.key = s.key
              and v.due_at = s.due_at
             -- In the order in which erasures write them, so that the two do not deadlock.
             order by v.kind, v.value_id, v.key for update of v)
         delete from visitor_analytics.erased_value v using settled s
         where v.kind = s.kind and v.value_id = s.value_id and v.key = s.key",
        &kinds,
        &ids,
        &keys,
        &leases,
    )
    .execute(connection)
    .await?;
    Ok(())
}
