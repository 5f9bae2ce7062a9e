//! Sessions: lookup and merging.

mod read;
mod visitor_key;

use std::collections::HashMap;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

pub use read::{PathStep, SessionDetails, SessionStore};
pub(super) use visitor_key::{SessionsByVisitor, VisitorKey};

use super::record::VisitorSessionPlan;
use crate::domain::session::{SESSION_TIMEOUT, Session};

/// A session that began longer ago is not continued. A literal in the statement repeats the bound.
pub(super) const MAX_SESSION_AGE: TimeDelta = TimeDelta::days(31);

/// Finds the sessions within the session timeout of the given times, or of any time between the
/// first and last of a visitor.
///
/// A session of 31 days is not found: it ends, and another begins. This bounds the number of
/// partitions that are read.
pub(super) async fn find_near<'a>(
    connection: &mut PgConnection,
    moments: impl Iterator<Item = (&'a VisitorKey, DateTime<Utc>)>,
) -> Result<SessionsByVisitor, StoreError> {
    let mut periods: HashMap<&VisitorKey, (DateTime<Utc>, DateTime<Utc>)> = HashMap::new();
    for (key, moment) in moments {
        let period = periods.entry(key).or_insert((moment, moment));
        *period = (period.0.min(moment), period.1.max(moment));
    }
    let sites: Vec<i32> = periods.keys().map(|key| key.0).collect();
    let visitors: Vec<&str> = periods.keys().map(|key| key.1.as_str()).collect();
    let from: Vec<_> = periods
        .values()
        .map(|(first, _)| *first - SESSION_TIMEOUT)
        .collect();
    let to: Vec<_> = periods
        .values()
        .map(|(_, last)| *last + SESSION_TIMEOUT)
        .collect();
    // Prunes the partitions of other months.
    let earliest = from.iter().min().map(|first| *first - MAX_SESSION_AGE);
    let latest = to.iter().max();
    let rows = sqlx::query!(
        r#"select s.site_id, s.visitor_id, s.id, s.started_at, s.last_seen_at, s.entry_visit_id,
                  s.exit_visit_id, s.visits, s.is_bot, s.announced
           from unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                as p (site_id, visitor_id, earliest, latest)
           join visitor_analytics.session s
             on s.visitor_id = p.visitor_id and s.site_id = p.site_id
            and s.last_seen_at > p.earliest and s.started_at < p.latest
            and s.started_at > p.earliest - interval '31 days'
           where s.started_at > $5 and s.started_at < $6"#,
        &sites,
        &visitors as _,
        &from,
        &to,
        earliest,
        latest,
    )
    .fetch_all(connection)
    .await?;
    let mut found = SessionsByVisitor::new();
    for row in rows {
        let session = Session {
            id: row.id,
            entry: (row.started_at, row.entry_visit_id),
            exit: (row.last_seen_at, row.exit_visit_id),
            visits: u32::try_from(row.visits)
                .map_err(|_| StoreError::Corrupt("the number of visits of a session"))?,
            is_bot: row.is_bot,
            announced: row.announced,
        };
        let key = (row.site_id, row.visitor_id);
        found.entry(key).or_default().push(session);
    }
    Ok(found)
}

/// Deletes sessions that are merged into others, and moves their visits.
pub(super) async fn merge_sessions(
    connection: &mut PgConnection,
    plans: &[VisitorSessionPlan],
) -> Result<(), StoreError> {
    let merged = plans
        .iter()
        .flat_map(|p| p.changes.merged.iter().map(|m| (&p.key, m)));
    let merged: Vec<_> = merged.collect();
    if merged.is_empty() {
        return Ok(());
    }
    let sites: Vec<i32> = merged.iter().map(|(key, _)| key.0).collect();
    let into: Vec<Uuid> = merged.iter().map(|(_, (_, into))| *into).collect();
    let gone = SessionColumns::of(merged.iter().map(|(_, (gone, _))| gone));
    sqlx::query!(
        "update visitor_analytics.visit v set session_id = m.remains
         from unnest($1::int[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
             as m (site_id, gone, remains, started_at, last_seen_at)
         where v.site_id = m.site_id and v.session_id = m.gone
           and v.timestamp between m.started_at and m.last_seen_at",
        &sites,
        &gone.ids,
        &into,
        &gone.started_at,
        &gone.last_seen_at,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "delete from visitor_analytics.session s
         using unnest($1::uuid[], $2::timestamptz[]) as m (id, started_at)
         where s.id = m.id and s.started_at = m.started_at",
        &gone.ids,
        &gone.started_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The columns of sessions, for one statement.
#[derive(Default)]
pub(super) struct SessionColumns {
    pub(super) ids: Vec<Uuid>,
    pub(super) started_at: Vec<DateTime<Utc>>,
    pub(super) last_seen_at: Vec<DateTime<Utc>>,
    pub(super) entries: Vec<Uuid>,
    pub(super) exits: Vec<Uuid>,
    pub(super) visits: Vec<i32>,
    pub(super) bots: Vec<bool>,
    pub(super) announced: Vec<bool>,
}

impl SessionColumns {
    pub(super) fn of<'a>(sessions: impl Iterator<Item = &'a Session>) -> Self {
        let mut columns = Self::default();
        for session in sessions {
            columns.ids.push(session.id);
            columns.started_at.push(session.entry.0);
            columns.last_seen_at.push(session.exit.0);
            columns.entries.push(session.entry.1);
            columns.exits.push(session.exit.1);
            columns
                .visits
                .push(i32::try_from(session.visits).unwrap_or(i32::MAX));
            columns.bots.push(session.is_bot);
            columns.announced.push(session.announced);
        }
        columns
    }
}
