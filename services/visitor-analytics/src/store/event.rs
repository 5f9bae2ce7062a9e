//! Events.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::types::Json;
use uuid::Uuid;

use super::visit::{BotFilter, VisitKey};
use super::{RecordOutcome, Store, StoreError};

/// An event, as it is stored.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// When it was recorded.
    pub received_at: DateTime<Utc>,
    /// The site's domain.
    pub site: String,
    /// What happened.
    pub event_type: String,
    /// Who did it.
    pub visitor_id: String,
    /// The site's own id for the user.
    pub user_id: Option<String>,
    /// What the site tells.
    pub metadata: Map<String, Value>,
}

/// Which events to list, the newest first.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Only this site's.
    pub site: Option<String>,
    /// Not earlier than this.
    pub from: Option<DateTime<Utc>>,
    /// Earlier than this.
    pub to: Option<DateTime<Utc>>,
    /// One of these kinds, where there are any.
    pub types: Vec<String>,
    /// Only this user's.
    pub user_id: Option<String>,
    /// Only this visitor's.
    pub visitor_id: Option<String>,
    /// Whether those of bots' sessions count.
    pub bots: BotFilter,
    /// Each with one of these two in its metadata.
    pub metadata: Vec<(Value, Value)>,
    /// Only after this one, in the order of the list.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    /// At most so many.
    pub limit: i64,
}

/// How often something happened.
#[derive(Clone, Debug)]
pub struct EventTypeCounts {
    /// What.
    pub event_type: String,
    /// How often.
    pub events: i64,
    /// How many visitors did it.
    pub visitors: i64,
    /// How many users did it.
    pub users: i64,
}

/// One column of a query, for PostgreSQL.
fn halves(metadata: &[(Value, Value)]) -> (Vec<Json<&Value>>, Vec<Json<&Value>>) {
    metadata.iter().map(|(a, b)| (Json(a), Json(b))).unzip()
}

impl Store {
    /// Records events, all of them or none. Returns what became of each; the first of equal ones
    /// is new.
    pub async fn record_events(
        &self,
        events: &[Event],
        now: DateTime<Utc>,
    ) -> Result<Vec<RecordOutcome>, StoreError> {
        let sites = events.iter().map(|event| event.site.as_str());
        let ids = self.site_ids(sites).await?;
        // In one order, so that two writers of the same events never wait for each other.
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
        let owners = self.sites_of_events(again.map(|(event, _)| key(event)));
        let owners = owners.await?;
        let outcomes = events.iter().zip(is_new).map(|(event, is_new)| {
            let owner = owners.get(&key(event));
            match owner {
                _ if is_new => RecordOutcome::Recorded,
                Some(owner) if *owner != ids[event.site.as_str()] => RecordOutcome::Taken,
                // One that has been removed since was of this site as far as anybody can tell.
                Some(_) | None => RecordOutcome::Duplicate,
            }
        });
        Ok(outcomes.collect())
    }

    async fn sites_of_events(
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

    /// Events, the newest first; one more than the limit where there are more.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
        let (after, after_id) = query.after.unzip();
        let (texts, others) = halves(&query.metadata);
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
                           and s.last_seen_at > e.timestamp - interval '30 minutes'))
                     and ($12::bool is distinct from true or exists (
                         select from visitor_analytics.session s
                         where s.visitor_id = e.visitor_id and s.site_id = e.site_id and s.is_bot
                           and s.started_at <= e.timestamp
                           and s.last_seen_at > e.timestamp - interval '30 minutes'))
                     and ($9::timestamptz is null or (e.timestamp, e.id) < ($9, $10::uuid))
                   order by e.timestamp desc, e.id desc limit $11) e
               where $1::text is null or of.domain = $1
               order by e.timestamp desc, e.id desc limit $11"#,
            query.site.as_deref(),
            query.from,
            query.to,
            &query.types,
            query.user_id.as_deref(),
            query.visitor_id.as_deref(),
            &texts as _,
            &others as _,
            after,
            after_id,
            query.limit + 1,
            query.bots.wanted(),
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

    /// What happened how often, the most frequent first. Bots' sessions are asked for in two
    /// conditions, each of which PostgreSQL can make a join of.
    pub async fn events_by_type(
        &self,
        query: &EventQuery,
    ) -> Result<Vec<EventTypeCounts>, StoreError> {
        let (texts, others) = halves(&query.metadata);
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
                       and s.last_seen_at > e.timestamp - interval '30 minutes'))
                 and ($10::bool is distinct from true or exists (
                     select from visitor_analytics.session s
                     where s.visitor_id = e.visitor_id and s.site_id = e.site_id and s.is_bot
                       and s.started_at <= e.timestamp
                       and s.last_seen_at > e.timestamp - interval '30 minutes'))
               group by e.event_type order by count(*) desc, e.event_type limit $9"#,
            query.site.as_deref(),
            query.from,
            query.to,
            &query.types,
            query.user_id.as_deref(),
            query.visitor_id.as_deref(),
            &texts as _,
            &others as _,
            query.limit,
            query.bots.wanted(),
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Removes events (of one site, or of all) of before this moment; at most so many. Returns how
    /// many.
    pub(super) async fn delete_events(
        &self,
        site: Option<i32>,
        border: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "delete from visitor_analytics.event e using (
                 select id, timestamp from visitor_analytics.event
                 where site_id = any(array(select id from visitor_analytics.site
                                             where $3::int is null or id = $3))
                   and timestamp < $1 limit $2) old
             where e.id = old.id and e.timestamp = old.timestamp",
            border,
            limit,
            site,
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
