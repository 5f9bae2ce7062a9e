//! Summary of a visitor.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

#[derive(Clone, Debug)]
pub struct Visitor {
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub sessions: u64,
    pub visits: u64,
    /// Domains in alphabetical order.
    pub sites: Vec<String>,
}

/// Data about visitors.
#[derive(Clone, Debug)]
pub struct VisitorStore {
    pub(super) pool: PgPool,
}

impl VisitorStore {
    /// The summary of a visitor on one site or on all.
    pub async fn find(&self, id: &str, site: Option<&str>) -> Result<Option<Visitor>, StoreError> {
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
}
