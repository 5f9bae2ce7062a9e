//! The outbox: sessions to be announced to notification.

use std::collections::HashMap;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::visitor_analytics::{ArrivedSession, ArrivedVisitor, Visit, VisitorArrived};
use ipnet::IpNet;
use sqlx::PgPool;
use uuid::Uuid;

use super::visit::VisitKey;
use crate::domain::session::IncomingVisit;
use crate::store::{SiteStore, VisitStore};

/// A claimed entry must be processed within this time; then another process may claim it.
const ANNOUNCEMENT_LEASE: TimeDelta = TimeDelta::seconds(30);
const DELETE_BATCH_ANNOUNCEMENTS: i64 = 10_000;
/// How long an announcement waits for its location while geo is unavailable.
const LOCATION_WAIT: TimeDelta = TimeDelta::seconds(20);

/// An entry of the outbox, claimed for 30 seconds.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub id: i64,
    /// Serves as the idempotency key.
    pub session_id: Uuid,
    /// The number of attempts, including this one.
    pub attempts: i32,
    /// The event to send; `None` if the visit has been erased meanwhile.
    pub event: Option<Box<VisitorArrived>>,
}

/// An entry that needs no further attempt.
#[derive(Clone, Debug)]
pub struct CompletedAnnouncement {
    pub id: i64,
    /// The notification that announces the session, if any.
    pub notification_id: Option<Uuid>,
    /// The event that was sent.
    pub event: Option<Box<VisitorArrived>>,
}

impl CompletedAnnouncement {
    fn visitor(&self) -> Option<&str> {
        Some(&self.event.as_ref()?.visitor.id)
    }

    fn site(&self) -> Option<&str> {
        Some(&self.event.as_ref()?.visit.site)
    }
}

/// The backlog of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLag {
    /// The number of entries to send.
    pub waiting: i64,
    /// The number of entries that notification rejected for good.
    pub given_up: i64,
    /// When the oldest entry was due.
    pub oldest_due: Option<DateTime<Utc>>,
}

/// The columns of new entries, for one statement.
#[derive(Default)]
pub(super) struct OutboxColumns {
    pub(super) sessions: Vec<Uuid>,
    pub(super) visits: Vec<Uuid>,
    pub(super) timestamps: Vec<DateTime<Utc>>,
    pub(super) due_at: Vec<DateTime<Utc>>,
    pub(super) networks: Vec<Option<String>>,
}

/// Reduces a visit to what an announcement may contain: only the properties that the site reports
/// on, URLs without query strings (campaigns have fields of their own), and no IP address.
fn redact(visit: Visit, named: &[String]) -> Visit {
    let mut properties = visit.properties;
    properties.retain(|name, _| named.contains(name));
    Visit {
        url: without_query(visit.url),
        referrer: visit.referrer.map(without_query),
        ip: None,
        properties,
        ..visit
    }
}

fn without_query(mut url: String) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url.truncate(end);
    url
}

impl OutboxColumns {
    /// Adds an announcement of a session. `owed` says whether the location of the visit is still
    /// unknown; the announcement waits for it.
    pub(super) fn add(
        &mut self,
        session: Uuid,
        visit: &IncomingVisit,
        network: Option<IpNet>,
        is_location_pending: bool,
        now: DateTime<Utc>,
    ) {
        let delay = if is_location_pending {
            LOCATION_WAIT
        } else {
            TimeDelta::zero()
        };
        self.sessions.push(session);
        self.visits.push(visit.id);
        self.timestamps.push(visit.timestamp);
        self.due_at.push(now + delay);
        self.networks
            .push(network.map(|network| network.to_string()));
    }
}

/// Announcements that wait for notification.
#[derive(Clone, Debug)]
pub struct OutboxStore {
    pub(super) pool: PgPool,
    pub(super) visits: VisitStore,
    pub(super) sites: SiteStore,
}

impl OutboxStore {
    /// Claims entries that are due. No other process claims them until the lease expires.
    pub async fn claim(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Announcement>, StoreError> {
        let rows = sqlx::query!(
            "update visitor_analytics.outbox o set due_at = $2, attempts = o.attempts + 1
             from (select id from visitor_analytics.outbox
                   where gave_up_at is null and due_at <= $1
                   order by due_at limit $3 for update skip locked) d
             where o.id = d.id
             returning o.id, o.session_id, o.visit_id, o.visit_timestamp, o.attempts, o.network",
            now,
            now + ANNOUNCEMENT_LEASE,
            i64::try_from(limit).unwrap_or(i64::MAX),
        )
        .fetch_all(&self.pool)
        .await?;
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let visits: Vec<_> = rows
            .iter()
            .map(|r| (r.visit_id, r.visit_timestamp))
            .collect();
        let mut arrived = self.arrival_events(&visits).await?;
        let claimed = rows.into_iter().map(|row| Announcement {
            id: row.id,
            session_id: row.session_id,
            attempts: row.attempts,
            event: arrived
                .remove(&(row.visit_id, row.visit_timestamp))
                .map(|mut arrived| {
                    arrived.visitor.network = row.network;
                    Box::new(arrived)
                }),
        });
        Ok(claimed.collect())
    }

    /// The events of visits, by visit; erased visits are missing.
    async fn arrival_events(
        &self,
        visits: &[(Uuid, DateTime<Utc>)],
    ) -> Result<HashMap<VisitKey, VisitorArrived>, StoreError> {
        let visits = self.visits.by_key(visits).await?;
        let sites: Vec<&str> = visits.iter().map(|visit| visit.site.as_str()).collect();
        let named = self.sites.report_properties(&sites).await?;
        let ids: Vec<Uuid> = visits.iter().map(|visit| visit.session_id).collect();
        let rows = sqlx::query!(
            r#"select s.id, s.started_at, s.visits,
                      (select count(*) from visitor_analytics.session earlier
                       where earlier.visitor_id = s.visitor_id and earlier.site_id = s.site_id
                         and earlier.started_at < s.started_at) as "previous!"
               from visitor_analytics.session s where s.id = any($1)"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        let sessions: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        let arrived = visits.into_iter().filter_map(|visit| {
            let row = sessions.get(&visit.session_id)?;
            let session = ArrivedSession {
                id: row.id,
                started_at: row.started_at,
                visits: row.visits.try_into().unwrap_or_default(),
            };
            let visitor = ArrivedVisitor {
                id: visit.visitor_id.clone(),
                returning: row.previous > 0,
                previous_sessions: row.previous.try_into().unwrap_or(u32::MAX),
                network: None,
            };
            let key = (visit.id, visit.timestamp);
            let named = named.get(&visit.site).map_or(&[][..], Vec::as_slice);
            Some((
                key,
                VisitorArrived {
                    visit: redact(visit, named),
                    session,
                    visitor,
                },
            ))
        });
        Ok(arrived.collect())
    }

    /// Removes entries that were sent and records the notifications that announce them. An entry
    /// that was erased meanwhile leaves no record.
    pub async fn complete(
        &self,
        completed: &[CompletedAnnouncement],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let ids: Vec<i64> = completed
            .iter()
            .map(|announcement| announcement.id)
            .collect();
        let notifications: Vec<Option<Uuid>> = completed
            .iter()
            .map(|announcement| announcement.notification_id)
            .collect();
        let visitors: Vec<Option<&str>> = completed
            .iter()
            .map(|announcement| announcement.visitor())
            .collect();
        let sites: Vec<Option<&str>> = completed
            .iter()
            .map(|announcement| announcement.site())
            .collect();
        sqlx::query!(
            "with gone as (
                 delete from visitor_analytics.outbox where id = any($1) returning id, session_id)
             insert into visitor_analytics.announcement
                 (session_id, notification_id, site_id, visitor_id, announced_at)
             select gone.session_id, told.notification_id, s.id, told.visitor_id, $5
             from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[])
                 as told (id, notification_id, visitor_id, site)
             join gone on gone.id = told.id
             join visitor_analytics.site s on s.domain = told.site
             where told.notification_id is not null
             on conflict on constraint announcement_pkey do nothing",
            &ids,
            &notifications as _,
            &visitors as _,
            &sites as _,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Deletes records of announced sessions before `cutoff`, or older than the retention of their
    /// site.
    pub async fn delete_expired(
        &self,
        cutoff: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "delete from visitor_analytics.announcement where session_id in (
                 select a.session_id from visitor_analytics.announcement a
                 join visitor_analytics.site s on s.id = a.site_id
                 where a.announced_at < greatest($1::timestamptz, $2::timestamptz - make_interval(days => s.retention_days))
                 limit $3)",
            cutoff,
            now,
            DELETE_BATCH_ANNOUNCEMENTS,
        );
        Ok(done.execute(&self.pool).await?.rows_affected())
    }

    /// Postpones entries, each until its time.
    pub async fn postpone(
        &self,
        entries: &[(i64, DateTime<Utc>)],
        error: &str,
    ) -> Result<(), StoreError> {
        let (ids, moments): (Vec<i64>, Vec<DateTime<Utc>>) = entries.iter().copied().unzip();
        sqlx::query!(
            "update visitor_analytics.outbox o set due_at = n.due_at, last_error = $3
             from unnest($1::bigint[], $2::timestamptz[]) as n (id, due_at) where o.id = n.id",
            &ids,
            &moments,
            error,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps an entry that was rejected for good, for inspection, and stops sending it.
    pub async fn give_up(
        &self,
        id: i64,
        now: DateTime<Utc>,
        error: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update visitor_analytics.outbox set gave_up_at = $2, last_error = $3 where id = $1",
            id,
            now,
            error,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The current backlog of the outbox.
    pub async fn lag(&self) -> Result<OutboxLag, StoreError> {
        let row = sqlx::query!(
            r#"select count(*) filter (where gave_up_at is null) as "waiting!",
                      count(*) filter (where gave_up_at is not null) as "given_up!",
                      min(due_at) filter (where gave_up_at is null) as oldest_due
               from visitor_analytics.outbox"#,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(OutboxLag {
            waiting: row.waiting,
            given_up: row.given_up,
            oldest_due: row.oldest_due,
        })
    }
}
