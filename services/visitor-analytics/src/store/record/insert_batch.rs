//! Inserts a batch. Visits, sessions and outbox entries take one statement, since each round trip
//! costs as much as a few visits.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::VisitorSessionPlan;
use crate::domain::enriched_visit::{EnrichedVisit, LocationStatus};
use crate::domain::network::network_of;
use crate::domain::session::Session;
use crate::store::dictionary::VisitDimensionIds;
use crate::store::visit::{self, VisitKey};
use crate::store::{outbox, pending_location, session};

/// The new rows of a batch. The visits have their sites, sessions and dictionary ids in columns of
/// the same order.
pub(super) struct InsertBatch<'a> {
    pub(super) visits: &'a [&'a EnrichedVisit],
    pub(super) sites: Vec<i32>,
    pub(super) sessions: Vec<Uuid>,
    pub(super) dimension_ids: &'a VisitDimensionIds,
    pub(super) plans: &'a [VisitorSessionPlan],
}

impl InsertBatch<'_> {
    /// Returns whether all visits were new; otherwise the transaction must not be committed.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        if self.visits.is_empty() {
            return Ok(true);
        }
        session::merge_sessions(connection, self.plans).await?;
        match self.insert(connection, now).await {
            Err(sqlx::Error::Database(error))
                if error.constraint().is_some_and(is_visit_primary_key) =>
            {
                return Ok(false);
            }
            other => other?,
        }
        pending_location::insert(connection, self.visits, now).await?;
        Ok(true)
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let visits = visit::VisitColumns::of(self.visits);
        let plans = || self.plans.iter();
        let new = || plans().flat_map(|p| p.changes.new.iter().map(|session| (&p.key, session)));
        let new_sites: Vec<i32> = new().map(|(key, _)| key.0).collect();
        let new_visitors: Vec<&str> = new().map(|(key, _)| key.1.as_str()).collect();
        let new_sessions = session::SessionColumns::of(new().map(|(_, session)| session));
        let changed = || plans().flat_map(|plan| &plan.changes.changed);
        let previous_starts: Vec<DateTime<Utc>> = changed()
            .map(|(previous_start, _)| *previous_start)
            .collect();
        let changed_sessions =
            session::SessionColumns::of(changed().map(|(_, session): &(_, Session)| session));
        let outbox_rows = self.outbox_columns(now);
        sqlx::query!(
            "with begun as (
                 insert into visitor_analytics.session (site_id, visitor_id, id, started_at,
                     last_seen_at, entry_visit_id, exit_visit_id, visits, is_bot, announced)
                 select * from unnest($22::int[], $23::text[], $24::uuid[], $25::timestamptz[],
                     $26::timestamptz[], $27::uuid[], $28::uuid[], $29::int[], $30::bool[],
                     $31::bool[])),
             gone_on as (
                 update visitor_analytics.session s
                 set started_at = n.started_at, last_seen_at = n.last_seen_at,
                     entry_visit_id = n.entry_visit_id, exit_visit_id = n.exit_visit_id,
                     visits = n.visits, is_bot = n.is_bot, announced = n.announced
                 from unnest($32::timestamptz[], $33::uuid[], $34::timestamptz[],
                     $35::timestamptz[], $36::uuid[], $37::uuid[], $38::int[], $39::bool[],
                     $40::bool[])
                     as n (before, id, started_at, last_seen_at, entry_visit_id, exit_visit_id,
                           visits, is_bot, announced)
                 where s.id = n.id and s.started_at = n.before
                   -- Prunes the partitions of other months.
                   and s.started_at between $41 and $42),
             told as (
                 insert into visitor_analytics.outbox (session_id, visit_id, visit_timestamp,
                     due_at, network, created_at)
                 select n.*, $1 from unnest($43::uuid[], $44::uuid[], $45::timestamptz[],
                     $46::timestamptz[], $47::text[]) n
                 on conflict on constraint outbox_session_key do nothing)
             insert into visitor_analytics.visit (received_at, id, timestamp, site_id, session_id,
                 page_id, origin_id, agent_id, verdict_id, place_id, network_id, visitor_id,
                 user_id, query, method, status_code, response_time_ms, language, is_bot,
                 properties, ip)
             select $1, * from unnest($2::uuid[], $3::timestamptz[], $4::int[], $5::uuid[],
                 $6::int[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[], $12::text[],
                 $13::text[], $14::text[], $15::text[], $16::smallint[], $17::int[], $18::text[],
                 $19::bool[], $20::jsonb[], $21::inet[])",
            now,
            &visits.ids,
            &visits.timestamps,
            &self.sites,
            &self.sessions,
            &self.dimension_ids.pages.ids as _,
            &self.dimension_ids.origins.ids as _,
            &self.dimension_ids.agents.ids as _,
            &self.dimension_ids.verdicts.ids as _,
            &self.dimension_ids.locations.places.ids as _,
            &self.dimension_ids.locations.networks.ids as _,
            &visits.visitors as _,
            &visits.users as _,
            &visits.queries as _,
            &visits.methods as _,
            &visits.statuses as _,
            &visits.response_times as _,
            &visits.languages as _,
            &visits.bots,
            &visits.properties as _,
            &visits.ips as _,
            &new_sites,
            &new_visitors as _,
            &new_sessions.ids,
            &new_sessions.started_at,
            &new_sessions.last_seen_at,
            &new_sessions.entries,
            &new_sessions.exits,
            &new_sessions.visits,
            &new_sessions.bots,
            &new_sessions.announced,
            &previous_starts,
            &changed_sessions.ids,
            &changed_sessions.started_at,
            &changed_sessions.last_seen_at,
            &changed_sessions.entries,
            &changed_sessions.exits,
            &changed_sessions.visits,
            &changed_sessions.bots,
            &changed_sessions.announced,
            previous_starts.iter().min(),
            previous_starts.iter().max(),
            &outbox_rows.sessions,
            &outbox_rows.visits,
            &outbox_rows.timestamps,
            &outbox_rows.due_at,
            &outbox_rows.networks as &[Option<String>],
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    fn outbox_columns(&self, now: DateTime<Utc>) -> outbox::OutboxColumns {
        let pending = self
            .visits
            .iter()
            .filter(|v| v.location_status == LocationStatus::Pending);
        let pending: HashSet<VisitKey> = pending.map(|visit| visit::key(visit)).collect();
        let mut outbox_rows = outbox::OutboxColumns::default();
        if self
            .plans
            .iter()
            .all(|p| p.changes.announcements.is_empty())
        {
            return outbox_rows;
        }
        let addresses = self.visits.iter().map(|v| (visit::key(v), v.visit.ip));
        let addresses: HashMap<VisitKey, IpAddr> = addresses.collect();
        for (session, visit) in self.plans.iter().flat_map(|p| &p.changes.announcements) {
            let key = (visit.id, visit.timestamp);
            let network = addresses.get(&key).copied().map(network_of);
            outbox_rows.add(*session, visit, network, pending.contains(&key), now);
        }
        outbox_rows
    }
}

/// The primary key of a partition is named after the partition.
fn is_visit_primary_key(constraint: &str) -> bool {
    constraint.starts_with("visit_") && constraint.ends_with("_pkey")
}
