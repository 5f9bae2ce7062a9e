//! Reads sessions for lists and details.

use std::collections::HashMap;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::visitor_analytics::Visit;
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::domain::session::SESSION_TIMEOUT;
use crate::store::visit::{VisitKey, push_filters_and_order, push_page_conditions};
use crate::store::{SiteLookup, VisitQuery, VisitStore};

/// Steps of a journey that are returned.
const MAX_PATH_STEPS: i64 = 1_000;

/// A session with its first and last visit.
#[derive(Clone, Debug)]
pub struct SessionDetails {
    pub id: Uuid,
    /// The times of the first visit and the last visit so far.
    pub period: (DateTime<Utc>, DateTime<Utc>),
    pub visits: u32,
    /// The number of events of the visitor from the begin of the session until half an hour after
    /// its end.
    pub events: i64,
    /// Whether one of the visits is a bot's.
    pub is_bot: bool,
    pub entry: Visit,
    pub exit: Visit,
}

/// A step of a journey.
#[derive(Clone, Debug)]
pub struct PathStep {
    pub timestamp: DateTime<Utc>,
    pub path: String,
    /// The title of the page.
    pub title: Option<String>,
    /// Seconds until the next step; for the last step the engagement time of the page, if known.
    pub seconds: Option<i64>,
}

struct SessionRow {
    id: Uuid,
    started_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    entry_visit_id: Uuid,
    exit_visit_id: Uuid,
    visits: i32,
    is_bot: bool,
    events: i64,
}

/// Stored sessions.
#[derive(Clone, Debug)]
pub struct SessionStore {
    pub(in crate::store) pool: PgPool,
    pub(in crate::store) visits: VisitStore,
}

impl SessionStore {
    /// Lists sessions, newest first. Returns one more than the limit if there are more. Sessions
    /// are found by their first visits, in the order of the visits' index.
    pub async fn list(&self, query: &VisitQuery) -> Result<Vec<SessionDetails>, StoreError> {
        if !query.filters.is_empty() {
            return self.filtered(query).await;
        }
        let (after, after_id) = query.after.unzip();
        let rows = sqlx::query_as!(
            SessionRow,
            r#"select s.id as "id!", s.started_at as "started_at!",
                      s.last_seen_at as "last_seen_at!", s.entry_visit_id as "entry_visit_id!",
                      s.exit_visit_id as "exit_visit_id!", s.visits as "visits!",
                      s.is_bot as "is_bot!",
                      (select count(*) from visitor_analytics.event e
                       where e.visitor_id = s.visitor_id and e.site_id = s.site_id
                         and e.timestamp >= s.started_at
                         and e.timestamp < s.last_seen_at + $8::interval) as "events!"
               from visitor_analytics.site of cross join lateral (
                   select s.* from visitor_analytics.visit v
                   join visitor_analytics.session s on s.visitor_id = v.visitor_id
                       and s.started_at = v.timestamp and s.entry_visit_id = v.id
                       and s.site_id = v.site_id
                   where v.site_id = of.id
                     and v.timestamp >= coalesce($2::timestamptz, '-infinity')
                     and v.timestamp < coalesce($3::timestamptz, 'infinity')
                     and ($4::bool is null or s.is_bot = $4)
                     and ($5::timestamptz is null or (v.timestamp, v.id) < ($5, $6::uuid))
                   order by v.timestamp desc, v.id desc limit $7) s
               where $1::text is null or of.domain = $1
               order by s.started_at desc, s.entry_visit_id desc limit $7"#,
            query.site.as_deref(),
            query.from,
            query.to,
            query.bots.required_is_bot(),
            after,
            after_id,
            query.limit + 1,
            SESSION_TIMEOUT as TimeDelta,
        );
        let found = rows.fetch_all(&self.pool).await?;
        self.load_details(found).await
    }

    /// Lists sessions whose first visit passes the filters. The first statement selects ids, the
    /// second one loads the sessions.
    async fn filtered(&self, query: &VisitQuery) -> Result<Vec<SessionDetails>, StoreError> {
        let mut select = QueryBuilder::<Postgres>::new(
            "select v.session_id, v.timestamp from visitor_analytics.site of cross join lateral (
                 select v.session_id, v.timestamp, v.id from visitor_analytics.visit v
                 join visitor_analytics.session s on s.visitor_id = v.visitor_id
                     and s.started_at = v.timestamp and s.entry_visit_id = v.id
                     and s.site_id = v.site_id
                 where v.site_id = of.id",
        );
        push_page_conditions(&mut select, query);
        if let Some(is_bot) = query.bots.required_is_bot() {
            select.push(" and s.is_bot = ").push_bind(is_bot);
        }
        push_filters_and_order(&mut select, query);
        let keys: Vec<VisitKey> = select.build_query_as().fetch_all(&self.pool).await?;
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = keys.into_iter().unzip();
        let rows = sqlx::query_as!(
            SessionRow,
            r#"select s.id, s.started_at, s.last_seen_at, s.entry_visit_id, s.exit_visit_id,
                      s.visits, s.is_bot,
                      (select count(*) from visitor_analytics.event e
                       where e.visitor_id = s.visitor_id and e.site_id = s.site_id
                         and e.timestamp >= s.started_at
                         and e.timestamp < s.last_seen_at + $3::interval) as "events!"
               from unnest($1::uuid[], $2::timestamptz[]) as k (id, moment)
               join visitor_analytics.session s on s.id = k.id and s.started_at = k.moment
               order by s.started_at desc, s.entry_visit_id desc"#,
            &ids,
            &moments,
            SESSION_TIMEOUT as TimeDelta,
        );
        let found = rows.fetch_all(&self.pool).await?;
        self.load_details(found).await
    }

    /// Finds a session by id on one of these sites (`None`: on any).
    pub async fn find(
        &self,
        id: Uuid,
        sites: Option<&[String]>,
    ) -> Result<SiteLookup<SessionDetails>, StoreError> {
        let rows = sqlx::query_as!(
            SessionRow,
            r#"select s.id, s.started_at, s.last_seen_at, s.entry_visit_id, s.exit_visit_id,
                      s.visits, s.is_bot,
                      (select count(*) from visitor_analytics.event e
                       where e.visitor_id = s.visitor_id and e.site_id = s.site_id
                         and e.timestamp >= s.started_at
                         and e.timestamp < s.last_seen_at + $3::interval) as "events!"
               from visitor_analytics.session s
               where s.id = $1
                 and ($2::text[] is null or s.site_id in (
                     select of.id from visitor_analytics.site of where of.domain = any($2)))
               order by s.started_at limit 1"#,
            id,
            sites,
            SESSION_TIMEOUT as TimeDelta,
        );
        let found = rows.fetch_all(&self.pool).await?;
        match self.load_details(found).await?.pop() {
            Some(session) => Ok(SiteLookup::Found(session)),
            None => Ok(SiteLookup::not_found(
                sites.is_some() && self.exists(id).await?,
            )),
        }
    }

    async fn exists(&self, id: Uuid) -> Result<bool, StoreError> {
        let exists = sqlx::query_scalar!(
            r#"select exists (select from visitor_analytics.session where id = $1) as "exists!""#,
            id
        );
        Ok(exists.fetch_one(&self.pool).await?)
    }

    /// The visits of a session in order, at most 1,000.
    pub async fn journey(&self, session: &SessionDetails) -> Result<Vec<PathStep>, StoreError> {
        let rows = sqlx::query!(
            r#"select v.timestamp, p.path, p.title, v.engagement_seconds,
                      lead(v.timestamp) over (order by v.timestamp, v.id) as next
               from visitor_analytics.visit v
               join visitor_analytics.page p on p.id = v.page_id
               where v.site_id = (select id from visitor_analytics.site where domain = $1)
                 and v.timestamp between $2 and $3 and v.session_id = $4
               order by v.timestamp, v.id limit $5"#,
            session.entry.site,
            session.period.0,
            session.period.1,
            session.id,
            MAX_PATH_STEPS,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let stops = rows.map(|row| PathStep {
            seconds: match row.next {
                Some(next) => Some(next.timestamp() - row.timestamp.timestamp()),
                None => row.engagement_seconds.map(i64::from),
            },
            timestamp: row.timestamp,
            path: row.path,
            title: row.title,
        });
        Ok(stops.collect())
    }

    async fn load_details(
        &self,
        found: Vec<SessionRow>,
    ) -> Result<Vec<SessionDetails>, StoreError> {
        let entry = |s: &SessionRow| -> VisitKey { (s.entry_visit_id, s.started_at) };
        let exit = |s: &SessionRow| -> VisitKey { (s.exit_visit_id, s.last_seen_at) };
        let keys: Vec<VisitKey> = found.iter().flat_map(|s| [entry(s), exit(s)]).collect();
        let visits = self.visits.by_key(&keys).await?.into_iter();
        let visits: HashMap<VisitKey, Visit> = visits
            .map(|visit| ((visit.id, visit.timestamp), visit))
            .collect();
        // A session that was erased meanwhile is omitted.
        let whole = found.into_iter().filter_map(|session| {
            Some(SessionDetails {
                entry: visits.get(&entry(&session))?.clone(),
                exit: visits.get(&exit(&session))?.clone(),
                id: session.id,
                period: (session.started_at, session.last_seen_at),
                visits: session.visits.try_into().unwrap_or_default(),
                events: session.events,
                is_bot: session.is_bot,
            })
        });
        Ok(whole.collect())
    }
}
