//! Visits whose location is still to be looked up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::geo::Location;
use sqlx::types::ipnet::IpNet;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::rollup::TouchedPeriod;
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};
use crate::store::dictionary::DictionaryCache;
use crate::store::rollup::DirtyDays;
use crate::store::shared_caches::WorkerWakeups;

/// Addresses are deleted after this time, even if their location was never found.
const MAX_ADDRESS_AGE: TimeDelta = TimeDelta::hours(48);

#[derive(Clone, Debug)]
pub struct PendingLocation {
    pub visit_id: Uuid,
    pub timestamp: DateTime<Utc>,
    pub ip: IpAddr,
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    visits: &[&EnrichedVisit],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let pending = || {
        visits
            .iter()
            .filter(|visit| visit.location_status == LocationStatus::Pending)
    };
    if pending().next().is_none() {
        return Ok(());
    }
    let ids: Vec<_> = pending().map(|v| v.visit.id).collect();
    let timestamps: Vec<_> = pending().map(|v| v.visit.timestamp).collect();
    let ips: Vec<IpNet> = pending().map(|v| v.visit.ip.into()).collect();
    sqlx::query!(
        "insert into visitor_analytics.pending_location (visit_id, visit_timestamp, ip, created_at)
         select id, moment, ip, $4 from unnest($1::uuid[], $2::timestamptz[], $3::inet[])
             as n (id, moment, ip)",
        &ids,
        &timestamps,
        &ips,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

struct LocatedVisit {
    site_id: i32,
    session_id: Uuid,
    timestamp: DateTime<Utc>,
}

/// The periods whose rollups a location changes: the day of the visit, and the later days of its
/// session, on which the location is no longer new. Days within one day of the visit are still
/// open.
async fn touched_periods(
    connection: &mut PgConnection,
    visits: Vec<LocatedVisit>,
    now: DateTime<Utc>,
) -> Result<Vec<TouchedPeriod>, StoreError> {
    let old_visits = visits
        .iter()
        .filter(|visit| visit.timestamp < now - TimeDelta::days(1));
    let old_session_ids: Vec<Uuid> = old_visits.map(|visit| visit.session_id).collect();
    let session_ends = sqlx::query!(
        "select id, last_seen_at from visitor_analytics.session where id = any($1)",
        &old_session_ids
    );
    let session_ends = if old_session_ids.is_empty() {
        vec![]
    } else {
        session_ends.fetch_all(connection).await?
    };
    let session_ends: HashMap<_, _> = session_ends
        .into_iter()
        .map(|s| (s.id, s.last_seen_at))
        .collect();
    let periods = visits.into_iter().map(|visit| TouchedPeriod {
        site_id: visit.site_id,
        from: visit.timestamp,
        to: session_ends
            .get(&visit.session_id)
            .map_or(visit.timestamp, |end| visit.timestamp.max(*end)),
    });
    Ok(periods.collect())
}

/// Locations that geo could not answer in time.
#[derive(Clone, Debug)]
pub struct PendingLocationStore {
    pub(super) pool: PgPool,
    pub(super) dictionaries: DictionaryCache,
    pub(super) dirty_days: DirtyDays,
    pub(super) wakeups: Arc<WorkerWakeups>,
}

impl PendingLocationStore {
    /// The visits that have waited longest for their location.
    pub async fn list(&self, limit: usize) -> Result<Vec<PendingLocation>, StoreError> {
        let rows = sqlx::query!(
            r#"select visit_id, visit_timestamp, ip as "ip: IpNet"
               from visitor_analytics.pending_location order by created_at limit $1"#,
            i64::try_from(limit).unwrap_or(i64::MAX),
        )
        .fetch_all(&self.pool)
        .await?;
        let pending = rows.into_iter().map(|row| PendingLocation {
            visit_id: row.visit_id,
            timestamp: row.visit_timestamp,
            ip: row.ip.addr(),
        });
        Ok(pending.collect())
    }

    pub async fn count(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!("select count(*) from visitor_analytics.pending_location")
            .fetch_one(&self.pool)
            .await?;
        Ok(count.unwrap_or(0))
    }

    /// Stores locations (`None` if there is none), deletes the addresses, and releases
    /// announcements that wait for a location.
    pub async fn resolve(
        &self,
        found: &[(PendingLocation, Option<std::sync::Arc<Location>>)],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let ids: Vec<_> = found.iter().map(|(pending, _)| pending.visit_id).collect();
        let timestamps: Vec<_> = found.iter().map(|(pending, _)| pending.timestamp).collect();
        let locations: Vec<_> = found.iter().map(|(_, place)| place.as_deref()).collect();
        let mut transaction = self.pool.begin().await?;
        let located = self
            .dictionaries
            .location_ids(&mut transaction, &locations)
            .await?;
        let visits = sqlx::query_as!(
            LocatedVisit,
            "update visitor_analytics.visit v set place_id = n.place_id, network_id = n.network_id
             from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[])
                 as n (id, moment, place_id, network_id)
             where v.id = n.id and v.timestamp = n.moment
             returning v.site_id, v.session_id, v.timestamp",
            &ids,
            &timestamps,
            &located.places.ids as _,
            &located.networks.ids as _,
        )
        .fetch_all(&mut *transaction)
        .await?;
        sqlx::query!(
            "delete from visitor_analytics.pending_location o
             using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
             where o.visit_id = n.id and o.visit_timestamp = n.moment",
            &ids,
            &timestamps,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "update visitor_analytics.outbox o set due_at = least(o.due_at, $3)
             from unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
             where o.visit_id = n.id and o.visit_timestamp = n.moment and o.attempts = 0",
            &ids,
            &timestamps,
            now,
        )
        .execute(&mut *transaction)
        .await?;
        let touched = touched_periods(&mut transaction, visits, now).await?;
        let marked = self
            .dirty_days
            .mark(&mut transaction, touched.into_iter(), now)
            .await?;
        transaction.commit().await?;
        self.wakeups.outbox.notify_one();
        self.dirty_days.remember(marked);
        Ok(())
    }

    /// Deletes expired addresses; their visits stay without a location.
    pub async fn delete_expired(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "delete from visitor_analytics.pending_location where created_at <= $1",
            now - MAX_ADDRESS_AGE,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
