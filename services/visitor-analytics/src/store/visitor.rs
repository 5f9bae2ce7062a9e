//! One visitor: what is known, and its erasure.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::record::locks;
use super::rollup::Period;
use super::session::VisitorKey;
use super::{Store, StoreError, copy};

/// What is known of a visitor.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The first visit.
    pub first_seen_at: DateTime<Utc>,
    /// The last visit.
    pub last_seen_at: DateTime<Utc>,
    /// How many sessions.
    pub sessions: u64,
    /// How many visits.
    pub visits: u64,
    /// The sites' domains, in alphabetical order.
    pub sites: Vec<String>,
}

/// What an erasure removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Visits.
    pub visits: u64,
    /// Sessions.
    pub sessions: u64,
    /// Announcements that had not been made.
    pub announcements: u64,
    /// Addresses that waited for their place.
    pub owed_locations: u64,
    /// Events.
    pub events: u64,
}

/// The visits that an erasure removes: they lie within the visitor's sessions, where the index by
/// site and time finds them.
pub(super) struct Gone {
    pub(super) ids: Vec<Uuid>,
    pub(super) moments: Vec<DateTime<Utc>>,
}

impl Store {
    /// What is known of a visitor, on one site or on all.
    pub async fn visitor(
        &self,
        id: &str,
        site: Option<&str>,
    ) -> Result<Option<Visitor>, StoreError> {
        let row = sqlx::query!(
            r#"select min(v.started_at) as first_seen_at, max(v.last_seen_at) as last_seen_at,
                      count(*) as "sessions!", coalesce(sum(v.visits), 0)::bigint as "visits!",
                      coalesce(array_agg(distinct s.domain), '{}') as "sites!"
               from visitor_analytics.session v
               join visitor_analytics.site s on s.id = v.site_id
               where v.visitor_id = $1 and ($2::text is null or s.domain = $2)"#,
            id,
            site,
        )
        .fetch_one(&self.pool)
        .await?;
        let period = row.first_seen_at.zip(row.last_seen_at);
        Ok(period.map(|(first_seen_at, last_seen_at)| Visitor {
            first_seen_at,
            last_seen_at,
            sessions: row.sessions.cast_unsigned(),
            visits: row.visits.cast_unsigned(),
            sites: row.sites,
        }))
    }

    /// Removes everything about a visitor, on one site or on all those visited so far; `None`
    /// where there is nothing. Nobody records a visit of the same visitor meanwhile.
    pub async fn erase_visitor(
        &self,
        id: &str,
        site: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Erased>, StoreError> {
        let sites = self.sites_of(id, site).await?;
        if sites.is_empty() {
            return Ok(None);
        }
        let keys: Vec<VisitorKey> = sites.iter().map(|site| (*site, id.to_owned())).collect();
        let mut transaction = self.pool.begin_with(locks::begin(&keys)).await?;
        let sessions = erase_sessions(&mut transaction, id, &sites).await?;
        let gone = erase_visits(&mut transaction, id, &sessions).await?;
        let erased = Erased {
            sessions: sessions.len() as u64,
            visits: gone.ids.len() as u64,
            // In the order in which owed places are paid, so that the two never wait for each other.
            owed_locations: erase_owed_locations(&mut transaction, &gone).await?,
            announcements: erase_announcements(&mut transaction, &gone).await?,
            events: erase_events(&mut transaction, id, &sites).await?,
        };
        forget_imported(&mut transaction, &gone).await?;
        copy::forget(&mut transaction, &gone.ids, &gone.moments).await?;
        let periods = sessions.into_iter();
        let marked = self.rollups.mark(&mut transaction, periods, now).await?;
        transaction.commit().await?;
        self.rollups.remember(marked);
        Ok(Some(erased).filter(|erased| *erased != Erased::default()))
    }

    async fn sites_of(&self, visitor: &str, site: Option<&str>) -> Result<Vec<i32>, StoreError> {
        let sites = sqlx::query_scalar!(
            "select distinct v.site_id as \"site_id!\" from visitor_analytics.session v
             join visitor_analytics.site s on s.id = v.site_id
             where v.visitor_id = $1 and ($2::text is null or s.domain = $2)
             union
             select e.site_id from visitor_analytics.event e
             join visitor_analytics.site s on s.id = e.site_id
             where e.visitor_id = $1 and ($2::text is null or s.domain = $2)",
            visitor,
            site,
        );
        Ok(sites.fetch_all(&self.pool).await?)
    }
}

/// Returns when and where they were.
async fn erase_sessions(
    connection: &mut PgConnection,
    visitor: &str,
    sites: &[i32],
) -> Result<Vec<Period>, StoreError> {
    let sessions = sqlx::query_as!(
        Period,
        r#"delete from visitor_analytics.session where visitor_id = $1 and site_id = any($2)
           returning site_id, started_at as "from", last_seen_at as "to""#,
        visitor,
        sites,
    );
    Ok(sessions.fetch_all(connection).await?)
}

async fn erase_visits(
    connection: &mut PgConnection,
    visitor: &str,
    sessions: &[Period],
) -> Result<Gone, StoreError> {
    let sites: Vec<i32> = sessions.iter().map(|s| s.site_id).collect();
    let from: Vec<_> = sessions.iter().map(|s| s.from).collect();
    let to: Vec<_> = sessions.iter().map(|s| s.to).collect();
    let visits = sqlx::query!(
        "delete from visitor_analytics.visit v
         using unnest($2::int[], $3::timestamptz[], $4::timestamptz[])
             as s (site_id, started_at, last_seen_at)
         where v.visitor_id = $1 and v.site_id = s.site_id
           and v.timestamp between s.started_at and s.last_seen_at
         returning v.id, v.timestamp",
        visitor,
        &sites,
        &from,
        &to,
    )
    .fetch_all(connection)
    .await?;
    Ok(Gone {
        ids: visits.iter().map(|v| v.id).collect(),
        moments: visits.iter().map(|v| v.timestamp).collect(),
    })
}

pub(super) async fn erase_owed_locations(
    connection: &mut PgConnection,
    gone: &Gone,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from visitor_analytics.owed_location o
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where o.visit_id = n.id and o.visit_timestamp = n.moment",
        &gone.ids,
        &gone.moments,
    );
    Ok(done.execute(connection).await?.rows_affected())
}

async fn erase_events(
    connection: &mut PgConnection,
    visitor: &str,
    sites: &[i32],
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from visitor_analytics.event where visitor_id = $1 and site_id = any($2)",
        visitor,
        sites,
    );
    Ok(done.execute(connection).await?.rows_affected())
}

pub(super) async fn erase_announcements(
    connection: &mut PgConnection,
    gone: &Gone,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from visitor_analytics.outbox o
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where o.visit_id = n.id and o.visit_timestamp = n.moment",
        &gone.ids,
        &gone.moments,
    );
    Ok(done.execute(connection).await?.rows_affected())
}

pub(super) async fn forget_imported(
    connection: &mut PgConnection,
    gone: &Gone,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from visitor_analytics.imported_visit v
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where v.visit_id = n.id and v.visit_timestamp = n.moment",
        &gone.ids,
        &gone.moments,
    )
    .execute(connection)
    .await?;
    Ok(())
}
