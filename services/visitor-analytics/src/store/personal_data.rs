//! Sessions and announcements of a visitor, page by page, newest first.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::VisitorStore;

#[derive(Clone, Debug)]
pub struct VisitorSession {
    pub id: Uuid,
    pub site: String,
    pub started_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub visits: i32,
    /// Whether one of the visits is a bot's.
    pub is_bot: bool,
}

#[derive(Clone, Debug)]
pub struct AnnouncedSession {
    pub session_id: Uuid,
    /// The notification that announces the session.
    pub notification_id: Uuid,
    /// When notification accepted it.
    pub announced_at: DateTime<Utc>,
}

/// The last row of the previous page.
type PageCursor = Option<(DateTime<Utc>, Uuid)>;

impl VisitorStore {
    /// Lists sessions of a visitor. Returns one more than the limit if there are more.
    pub async fn sessions(
        &self,
        visitor: &str,
        site: Option<&str>,
        after: PageCursor,
        limit: i64,
    ) -> Result<Vec<VisitorSession>, StoreError> {
        let (after, after_id) = after.unzip();
        let sessions = sqlx::query_as!(
            VisitorSession,
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

    /// Lists announced sessions of a visitor. Returns one more than the limit if there are more.
    pub async fn announcements(
        &self,
        visitor: &str,
        site: Option<&str>,
        after: PageCursor,
        limit: i64,
    ) -> Result<Vec<AnnouncedSession>, StoreError> {
        let (after, after_id) = after.unzip();
        let announced = sqlx::query_as!(
            AnnouncedSession,
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

    /// The retention of these sites in days; `None` for sites that have no own setting.
    pub async fn retention_of_sites(
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
