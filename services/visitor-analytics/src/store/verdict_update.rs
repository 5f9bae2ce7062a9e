//! Changes verdicts of recorded visits, and updates sessions, dirty days and the outbox
//! accordingly.

use std::collections::HashMap;
use std::sync::Arc;

use bot_detection::{BotCategory, BotRule, BotVerdict};
use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgPool, Postgres, Transaction};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::record::locks;
use super::rollup::TouchedPeriod;
use super::session::VisitorKey;
use crate::store::dictionary::DictionaryCache;
use crate::store::record::WriterLease;
use crate::store::rollup::DirtyDays;
use crate::store::shared_caches::WorkerWakeups;

#[derive(Clone, Debug)]
pub(super) struct VerdictChange {
    pub(super) visitor: VisitorKey,
    pub(super) session_id: Uuid,
    pub(super) id: Uuid,
    pub(super) timestamp: DateTime<Utc>,
    /// The id of the verdict on which the change is based. A visit whose verdict has changed
    /// meanwhile keeps it.
    pub(super) previous_verdict_id: i32,
    pub(super) verdict: BotVerdict,
    /// Whether the change affects rollups.
    pub(super) affects_rollups: bool,
}

/// A session to be announced if it is a person's, and the visit that triggers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionAnnouncement {
    pub(super) session_id: Uuid,
    pub(super) visit_id: Uuid,
    pub(super) timestamp: DateTime<Utc>,
}

impl SessionAnnouncement {
    async fn insert_into_outbox(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "with told as (
                 update visitor_analytics.session set announced = true
                 where id = $1 and not is_bot and not announced returning id)
             insert into visitor_analytics.outbox (session_id, visit_id, visit_timestamp, due_at,
                 created_at)
             select id, $2, $3, $4, $4 from told
             on conflict on constraint outbox_session_key do nothing",
            self.session_id,
            self.visit_id,
            self.timestamp,
            now,
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}

/// Restores a stored verdict. Codes of rules that no longer exist are ignored.
pub(super) fn restore_verdict(
    reasons: &[String],
    name: Option<String>,
    category: Option<&str>,
) -> BotVerdict {
    let rules = reasons.iter().filter_map(|code| BotRule::from_code(code));
    BotVerdict::from_rules(
        rules.collect(),
        name,
        category.and_then(BotCategory::from_name),
    )
}

/// Verdicts of stored visits and sessions.
#[derive(Clone, Debug)]
pub struct VerdictStore {
    pub(super) pool: PgPool,
    pub(super) writer_lease: Arc<Mutex<WriterLease>>,
    pub(super) dictionaries: DictionaryCache,
    pub(super) dirty_days: DirtyDays,
    pub(super) wakeups: Arc<WorkerWakeups>,
}

impl VerdictStore {
    /// Changes the verdicts of visits and everything that depends on them in one transaction.
    /// Returns the number of changed visits.
    pub(super) async fn update(
        &self,
        changes: &[VerdictChange],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let visitors: Vec<VisitorKey> = changes.iter().map(|c| c.visitor.clone()).collect();
        self.update_and_announce(&visitors, changes, None, now)
            .await
    }

    /// Changes verdicts, and then puts a session into the outbox if it is a person's and was
    /// not announced.
    pub(super) async fn update_and_announce(
        &self,
        visitors: &[VisitorKey],
        changes: &[VerdictChange],
        announcement: Option<&SessionAnnouncement>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        if changes.is_empty() && announcement.is_none() {
            return Ok(0);
        }
        let begin = locks::begin_locked(visitors);
        let mut lease = self.writer_lease.lock().await;
        // Uses the connection that holds the lease, if this process does. Otherwise the process
        // would have to give up the lease for each detected session.
        let Some(mut writer) = lease.take_leased() else {
            drop(lease);
            let transaction = self.pool.begin_with(begin).await?;
            return self
                .apply_changes(transaction, changes, announcement, now)
                .await;
        };
        let transaction = writer.connection.begin_with(begin).await?;
        let updated = self
            .apply_changes(transaction, changes, announcement, now)
            .await?;
        writer.invalidate(visitors);
        lease.put_back(writer);
        Ok(updated)
    }

    async fn apply_changes(
        &self,
        mut transaction: Transaction<'_, Postgres>,
        changes: &[VerdictChange],
        announcement: Option<&SessionAnnouncement>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let verdicts: Vec<_> = changes.iter().map(|change| Some(&change.verdict)).collect();
        let verdict_ids = self
            .dictionaries
            .verdict_ids(&mut transaction, &verdicts)
            .await?;
        let ids: Vec<Uuid> = changes.iter().map(|change| change.id).collect();
        let moments: Vec<_> = changes.iter().map(|change| change.timestamp).collect();
        let before: Vec<i32> = changes
            .iter()
            .map(|change| change.previous_verdict_id)
            .collect();
        let bots: Vec<bool> = changes.iter().map(|change| change.verdict.is_bot).collect();
        let updated = sqlx::query!(
            "update visitor_analytics.visit v set verdict_id = n.verdict_id, is_bot = n.is_bot
             from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::bool[])
                 as n (id, moment, before, verdict_id, is_bot)
             where v.id = n.id and v.timestamp = n.moment and v.verdict_id = n.before
               and v.timestamp between $6 and $7",
            &ids,
            &moments,
            &before,
            &verdict_ids.ids as _,
            &bots,
            moments.iter().min(),
            moments.iter().max(),
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        let mut counted: HashMap<Uuid, i32> = HashMap::new();
        for change in changes.iter().filter(|change| change.affects_rollups) {
            counted.insert(change.session_id, change.visitor.0);
        }
        let sessions: Vec<Uuid> = counted.keys().copied().collect();
        let corrected = sqlx::query!(
            r#"with judged as (
                   select s.id, s.started_at, s.last_seen_at, s.site_id, exists (
                       select from visitor_analytics.visit v
                       where v.site_id = s.site_id and v.session_id = s.id and v.is_bot
                         and v.timestamp between s.started_at and s.last_seen_at) as is_bot
                   from visitor_analytics.session s where s.id = any($1)),
               corrected as (
                   update visitor_analytics.session s set is_bot = j.is_bot from judged j
                   where s.id = j.id and s.started_at = j.started_at and s.is_bot <> j.is_bot),
               untold as (
                   delete from visitor_analytics.outbox o using judged j
                   where o.session_id = j.id and j.is_bot and o.attempts = 0)
               select site_id, started_at, last_seen_at from judged"#,
            &sessions,
        )
        .fetch_all(&mut *transaction)
        .await?;
        let touched = corrected.into_iter().map(|session| TouchedPeriod {
            site_id: session.site_id,
            from: session.started_at,
            to: session.last_seen_at,
        });
        let marked = self.dirty_days.mark(&mut transaction, touched, now).await?;
        if let Some(announcement) = announcement {
            announcement
                .insert_into_outbox(&mut transaction, now)
                .await?;
        }
        transaction.commit().await?;
        if announcement.is_some() {
            self.wakeups.outbox.notify_one();
        }
        self.dictionaries.remember_verdicts(&verdict_ids);
        self.dirty_days.remember(marked);
        Ok(updated)
    }
}
