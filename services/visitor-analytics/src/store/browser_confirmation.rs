//! Confirmation by the page script that a browser displayed the page of a visit.

use bot_detection::BotRule;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::verdict_update::SessionAnnouncement;
use super::{Store, StoreError};
use crate::domain::session::NotifyPolicy;

impl Store {
    /// Adds the rule `BrowserConfirmed` to a visit that has bot reasons, which reduces its score.
    /// Adds the session to the outbox if it is a person's, recent enough and not announced yet.
    pub async fn confirm_browser(
        &self,
        (id, timestamp): (Uuid, DateTime<Utc>),
        telling: NotifyPolicy,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let Some(found) = self.visit_verdict((id, timestamp)).await? else {
            return Ok(());
        };
        let opted_out = found.visitor.1 == id.simple().to_string();
        let is_fresh = now.checked_sub_signed(telling.max_age) <= Some(timestamp);
        let before = &found.verdict;
        // Most visits have no bot reasons and need no change.
        let is_doubtful = before.score > 0 && !before.reasons.contains(&BotRule::BrowserConfirmed);
        let change = is_doubtful.then(|| found.with_reason(BotRule::BrowserConfirmed));
        let is_news = found.announced == Some(false) && is_fresh && !opted_out;
        let tell = is_news.then_some(SessionAnnouncement {
            session_id: found.session_id,
            visit_id: id,
            timestamp,
        });
        let changes = change.as_slice();
        self.update_verdicts_and_announce(&[found.visitor], changes, tell.as_ref(), now)
            .await?;
        Ok(())
    }
}
