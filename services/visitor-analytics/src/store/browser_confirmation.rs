//! Confirmation by the page script that a browser displayed the page of a visit.

use bot_detection::BotRule;
use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::verdict_update::SessionAnnouncement;
use crate::domain::session::NotifyPolicy;
use crate::store::VerdictStore;

impl VerdictStore {
    /// Adds the rule `BrowserConfirmed` to a visit that has bot reasons, which reduces its score.
    /// Adds the session to the outbox if it is a person's, recent enough and not announced yet.
    pub async fn confirm_browser(
        &self,
        (id, timestamp): (Uuid, DateTime<Utc>),
        notify_policy: NotifyPolicy,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let Some(found) = self.of_visit((id, timestamp)).await? else {
            return Ok(());
        };
        let opted_out = found.visitor.1 == id.simple().to_string();
        let is_fresh = now.checked_sub_signed(notify_policy.max_age) <= Some(timestamp);
        let verdict = &found.verdict;
        // Most visits have no bot reasons and need no change.
        let has_bot_reasons =
            verdict.score > 0 && !verdict.reasons.contains(&BotRule::BrowserConfirmed);
        let change = has_bot_reasons.then(|| found.with_reason(BotRule::BrowserConfirmed));
        let is_due = found.announced == Some(false) && is_fresh && !opted_out;
        let announcement = is_due.then_some(SessionAnnouncement {
            session_id: found.session_id,
            visit_id: id,
            timestamp,
        });
        let changes = change.as_slice();
        self.update_and_announce(&[found.visitor], changes, announcement.as_ref(), now)
            .await?;
        Ok(())
    }
}
