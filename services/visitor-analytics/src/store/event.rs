//! Events: recording, lists, counts and expiry.

mod step_event;

use std::collections::{HashMap, HashSet};

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::RecordOutcome;
use super::visit::{BotFilter, VisitKey};
use crate::domain::session::SESSION_TIMEOUT;
use crate::store::SiteStore;

#[derive(Clone, Debug)]
pub struct Event {
    pub id: Uuid,
    pub timestamp: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub site: String,
    pub event_type: String,
    pub visitor_id: String,
    /// The site's own id of the user.
    pub user_id: Option<String>,
    /// Further data from the site.
    pub metadata: Map<String, Value>,
}

/// Selects events. They are listed newest first.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    pub site: Option<String>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
    /// Any of these types; all if empty.
    pub event_types: Vec<String>,
    pub user_id: Option<String>,
    pub visitor_id: Option<String>,
    /// Whether events in sessions of bots count.
    pub bots: BotFilter,
    /// For each pair, the metadata must contain one of the two objects.
    pub metadata: Vec<(Value, Value)>,
    /// Only events after this one, in the order of the list.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    pub limit: i64,
}

#[derive(Clone, Debug)]
pub struct EventTypeCounts {
    pub event_type: String,
    pub events: i64,
    /// The number of distinct visitors.
    pub visitors: i64,
    /// The number of distinct users.
    pub users: i64,
}

/// Splits the pairs into two columns.
fn metadata_columns(metadata: &[(Value, Value)]) -> (Vec<Json<&Value>>, Vec<Json<&Value>>) {
    metadata.iter().map(|(a, b)| (Json(a), Json(b))).unzip()
}

/// Events of visitors.
#[derive(Clone, Debug)]
pub struct EventStore {
    pub(super) pool: PgPool,
    pub(super) sites: SiteStore,
}

impl EventStore {
    /// Records events in one statement. Returns an outcome for each event. Of equal events, the
    /// first is recorded.
    pub async fn record(
        &self,
        events: &[Event],
        now: DateTime<Utc>,
    ) -> Result<Vec<RecordOutcome>, StoreError> {
        let sites = events.iter().map(|event| event.site.as_str());
        let ids = self.sites.ids(sites).await?;
        // In a fixed order, so that concurrent writers of the same events do not deadlock.
        let mut order: Vec<&Event> = events.iter().collect();
        order.sort_by_key(|event| (event.id, event.timestamp));
        let sites: Vec<i32> = order.iter().map(|event| ids[event.site.as_str()]).collect();
        let keys: Vec<Uuid> = order.iter().map(|event| event.id).collect();
        let moments: Vec<DateTime<Utc>> = order.iter().map(|event| event.timestamp).collect();
        let types: Vec<&str> = order.iter().map(|event| &*event.event_type).collect();
        let visitors: Vec<&str> = order.iter().map(|event| &*event.visitor_id).collect();
        let users: Vec<Option<&str>> = order.iter().map(|event| event.user_id.as_deref()).collect();
        let metadata: Vec<Json<&Map<String, Value>>> =
            order.iter().map(|event| Json(&event.metadata)).collect();
        let added = sqlx::query!(
            "insert into visitor_analytics.event (id, timestamp, received_at, site_id, event_type,
                 visitor_id, user_id, metadata)
             select e.id, e.moment, $8, e.site_id, e.event_type, e.visitor_id, e.user_id,
                    e.metadata
             from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::text[], $5::text[],
                         $6::text[], $7::jsonb[])
                 as e (id, moment, site_id, event_type, visitor_id, user_id, metadata)
             on conflict on constraint event_pkey do nothing returning id, timestamp",
            &keys,
            &moments,
            &sites,
            &types as _,
            &visitors as _,
            &users as _,
            &metadata as _,
            now,
        );
        let added = added.fetch_all(&self.pool).await?.into_iter();
        let mut added: HashSet<VisitKey> = added.map(|row| (row.id, row.timestamp)).collect();
        let key = |event: &Event| (event.id, event.timestamp);
        let is_new: Vec<bool> = events
            .iter()
            .map(|event| added.remove(&key(event)))
            .collect();
        let again = events.iter().zip(&is_new).filter(|(_, is_new)| !**is_new);
        let owners = self.resolve_sites(again.map(|(event, _)| key(event)));
        let owners = owners.await?;
        let outcomes = events.iter().zip(is_new).map(|(event, is_new)| {
            let owner = owners.get(&key(event));
            match owner {
                _ if is_new => RecordOutcome::Recorded,
                Some(owner) if *owner != ids[event.site.as_str()] => RecordOutcome::IdConflict,
                // The site of an event that was deleted meanwhile is unknown; this site is assumed.
                Some(_) | None => RecordOutcome::Duplicate,
            }
        });
        Ok(outcomes.collect())
    }

    async fn resolve_sites(
        &self,
        keys: impl Iterator<Item = VisitKey>,
    ) -> Result<HashMap<VisitKey, i32>, StoreError> {
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = keys.unzip();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query!(
            "select e.id, e.timestamp, e.site_id
             from unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
             join visitor_analytics.event e on e.id = n.id and e.timestamp = n.moment",
            &ids,
            &moments,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows
            .map(|row| ((row.id, row.timestamp), row.site_id))
            .collect())
    }

    /// Lists events, newest first. Returns one more than the limit if there are more.
    pub async fn list(&self, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
        let (after, after_id) = query.after.unzip();
        let (texts, others) = metadata_columns(&query.metadata);
        let rows = sqlx::query!(
            r#"select e.id as "id!", e.timestamp as "timestamp!", e.received_at as "received_at!",
                      of.domain as "site!", e.event_type as "event_type!",
                      e.visitor_id as "visitor_id!", e.user_id,
                      e.metadata as "metadata!: Json<Map<String, Value>>"
               from visitor_analytics.site of cross join lateral (
                   select * from visitor_analytics.event e
                   where e.site_id = of.id
                     and e.timestamp >= coalesce($2::timestamptz, '-infinity')
                     and e.timestamp < coalesce($3::timestamptz, 'infinity')
                     and (cardinality($4::text[]) = 0 or e.event_type = any($4))
                     and ($5::text is null or e.user_id = $5)
                     and ($6::text is null or e.visitor_id = $6)
                     and not exists (select from unnest($7::jsonb[], $8::jsonb[]) k (a, b)
                                     where not (e.metadata @> k.a or e.metadata @> k.b))
                     and ($12::bool is distinct from false or not exists (
                         select from visitor_analytics.session s
                         where s.visitor_id = e.visitor_id and s.site_id = e.site_id and s.is_bot
                           and s.started_at <= e.timestamp
                           and s.last_seen_at > e.timestamp - $13::interval))
                     and ($12::bool is distinct from true or exists (
                         select from visitor_analytics.session s
                         where s.visitor_id = e.visitor_id and s.site_id = e.site_id and s.is_bot
                           and s.started_at <= e.timestamp
                           and s.last_seen_at > e.timestamp - $13::interval))
                     and ($9::timestamptz is null or (e.timestamp, e.id) < ($9, $10::uuid))
                   order by e.timestamp desc, e.id desc limit $11) e
               where $1::text is null or of.domain = $1
               order by e.timestamp desc, e.id desc limit $11"#,
            query.site.as_deref(),
            query.from,
            query.to,
            &query.event_types,
            query.user_id.as_deref(),
            query.visitor_id.as_deref(),
            &texts as _,
            &others as _,
            after,
            after_id,
            query.limit + 1,
            query.bots.required_is_bot(),
            SESSION_TIMEOUT as TimeDelta,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let events = rows.map(|row| Event {
            id: row.id,
            timestamp: row.timestamp,
            received_at: row.received_at,
            site: row.site,
            event_type: row.event_type,
            visitor_id: row.visitor_id,
            user_id: row.user_id,
            metadata: row.metadata.0,
        });
        Ok(events.collect())
    }

    /// Counts events by type, the most frequent first. The filter on bots consists of two
    /// conditions, since PostgreSQL can turn each of them into a join.
    pub async fn count_by_type(
        &self,
        query: &EventQuery,
    ) -> Result<Vec<EventTypeCounts>, StoreError> {
        let (texts, others) = metadata_columns(&query.metadata);
        let rows = sqlx::query_as!(
            EventTypeCounts,
            r#"select e.event_type, count(*) as "events!",
                      count(distinct e.visitor_id) as "visitors!",
                      count(distinct e.user_id) as "users!"
               from visitor_analytics.event e
               where e.site_id = any(array(select id from visitor_analytics.site
                                           where $1::text is null or domain = $1))
                 and e.timestamp >= coalesce($2::timestamptz, '-infinity')
                 and e.timestamp < coalesce($3::timestamptz, 'infinity')
                 and (cardinality($4::text[]) = 0 or e.event_type = any($4))
                 and ($5::text is null or e.user_id = $5)
                 and ($6::text is null or e.visitor_id = $6)
                 and not exists (select from unnest($7::jsonb[], $8::jsonb[]) k (a, b)
                                 where not (e.metadata @> k.a or e.metadata @> k.b))
                 and ($10::bool is distinct from false or not exists (
                     select from visitor_analytics.session s
                     where s.visitor_id = e.visitor_id and s.site_id = e.site_id and s.is_bot
                       and s.started_at <= e.timestamp
                       and s.last_seen_at > e.timestamp - $11::interval))
                 and ($10::bool is distinct from true or exists (
                     select from visitor_analytics.session s
                     where s.visitor_id = e.visitor_id and s.site_id = e.site_id and s.is_bot
                       and s.started_at <= e.timestamp
                       and s.last_seen_at > e.timestamp - $11::interval))
               group by e.event_type order by count(*) desc, e.event_type limit $9"#,
            query.site.as_deref(),
            query.from,
            query.to,
            &query.event_types,
            query.user_id.as_deref(),
            query.visitor_id.as_deref(),
            &texts as _,
            &others as _,
            query.limit,
            query.bots.required_is_bot(),
            SESSION_TIMEOUT as TimeDelta,
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Deletes at most `limit` events before `cutoff`, of one site or of all. Returns their number.
    pub(super) async fn delete(
        &self,
        site: Option<i32>,
        cutoff: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "delete from visitor_analytics.event e using (
                 select id, timestamp from visitor_analytics.event
                 where site_id = any(array(select id from visitor_analytics.site
                                             where $3::int is null or id = $3))
                   and timestamp < $1 limit $2) old
             where e.id = old.id and e.timestamp = old.timestamp",
            cutoff,
            limit,
            site,
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
