//! What a page's script confirms about a visit.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::rejudge::{Change, Tell, stored};
use super::session::VisitorKey;
use super::{Store, StoreError};
use crate::domain::bot::Reason;
use crate::domain::session::Telling;

impl Store {
    /// Takes note that a browser showed the page of a visit to somebody. What spoke against a
    /// person weighs less then; and the session is told of, where it is a person's, recent enough
    /// and nobody has been told.
    pub async fn confirm(
        &self,
        (id, timestamp): (Uuid, DateTime<Utc>),
        telling: Telling,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let found = sqlx::query!(
            r#"select v.site_id, v.visitor_id, v.session_id, v.verdict_id, j.reasons, j.bot_name,
                      j.category,
                      (select announced from visitor_analytics.session s
                       where s.id = v.session_id) as announced
               from visitor_analytics.visit v
               join visitor_analytics.verdict j on j.id = v.verdict_id
               where v.id = $1 and v.timestamp = $2"#,
            id,
            timestamp,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(found) = found else {
            return Ok(());
        };
        let opted_out = found.visitor_id == id.simple().to_string();
        let is_fresh = now.checked_sub_signed(telling.max_age) <= Some(timestamp);
        let visitor: VisitorKey = (found.site_id, found.visitor_id);
        let before = stored(&found.reasons, found.bot_name, found.category.as_deref());
        // Most visits have nothing against them, and stay as they are.
        let is_doubtful = before.score > 0 && !before.reasons.contains(&Reason::BrowserConfirmed);
        let change = is_doubtful.then(|| Change {
            visitor: visitor.clone(),
            session_id: found.session_id,
            id,
            timestamp,
            before: found.verdict_id,
            verdict: before.with([Reason::BrowserConfirmed]),
            is_counted: true,
        });
        let is_news = found.announced == Some(false) && is_fresh && !opted_out;
        let tell = is_news.then_some(Tell {
            session_id: found.session_id,
            visit_id: id,
            timestamp,
        });
        let changes = change.as_slice();
        self.rejudge_and_tell(&[visitor], changes, tell.as_ref(), now)
            .await?;
        Ok(())
    }
}
