//! What is kept about a visitor beside visits and events, page by page, the newest first.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Store, StoreError};

/// A session of a visitor.
#[derive(Clone, Debug)]
pub struct SessionOfVisitor {
    /// Its id.
    pub id: Uuid,
    /// The site's domain.
    pub site: String,
    /// When its first visit was.
    pub started_at: DateTime<Utc>,
    /// When its last visit was.
    pub last_seen_at: DateTime<Utc>,
    /// How many visits.
    pub visits: i32,
    /// Whether one of them is a bot's.
    pub is_bot: bool,
}

/// A session that was announced.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Which.
    pub session_id: Uuid,
    /// The notification that announces it.
    pub notification_id: Uuid,
    /// When notification had taken it.
    pub announced_at: DateTime<Utc>,
}

/// The last row of the page before: its moment and id.
type After = Option<(DateTime<Utc>, Uuid)>;

impl Store {
    /// Sessions of a visitor; one more than the limit where there are more.
    pub async fn sessions_of_visitor(
        &self,
        visitor: &str,
        site: Option<&str>,
        after: After,
        limit: i64,
    ) -> Result<Vec<SessionOfVisitor>, StoreError> {
        let (after, after_id) = after.unzip();
        let sessions = sqlx::query_as!(
            SessionOfVisitor,
            "select v.id, s.domain as site, v.started_at, v.last_seen_at, v.visits, v.is_bot
             from visitor_analytics.session v
             join visitor_analytics.site s on s.id = v.site_id
             where v.visitor_id = $1 and ($2::text is null or s.domain = $2)
               and ($3::timestamptz is null or (v.started_at, v.id) < ($3, $4::uuid))
             order by v.started_at desc, v.id desc limit $5",
            visitor,
            site,
            after,
            after_id,
            limit + 1,
        );
        Ok(sessions.fetch_all(&self.pool).await?)
    }

    /// Which notifications told of a visitor; one more than the limit where there are more.
    pub async fn announcements_of_visitor(
        &self,
        visitor: &str,
        site: Option<&str>,
        after: After,
        limit: i64,
    ) -> Result<Vec<Announced>, StoreError> {
        let (after, after_id) = after.unzip();
        let announced = sqlx::query_as!(
            Announced,
            "select a.session_id, a.notification_id, a.announced_at
             from visitor_analytics.announcement a
             join visitor_analytics.site s on s.id = a.site_id
             where a.visitor_id = $1 and ($2::text is null or s.domain = $2)
               and ($3::timestamptz is null or (a.announced_at, a.session_id) < ($3, $4::uuid))
             order by a.announced_at desc, a.session_id desc limit $5",
            visitor,
            site,
            after,
            after_id,
            limit + 1,
        );
        Ok(announced.fetch_all(&self.pool).await?)
    }

    /// For how many days visits of these sites are kept, where a site says so itself.
    pub async fn retention_of(
        &self,
        sites: &[String],
    ) -> Result<Vec<(String, Option<i32>)>, StoreError> {
        let rows = sqlx::query!(
            "select domain, retention_days from visitor_analytics.site
             where domain = any($1) order by domain",
            sites,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.domain, row.retention_days)).collect())
    }
}
