//! Removes the visits of an import.

use std::collections::{BTreeMap, BTreeSet};

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Import;
use crate::domain::session::{IncomingVisit, NotifyTrigger, Session, sessionize};
use crate::store::erasure::{
    VisitKeyColumns, delete_import_marks, delete_outbox_entries, delete_pending_locations,
};
use crate::store::record::locks;
use crate::store::rollup::TouchedPeriod;
use crate::store::session::{SessionColumns, VisitorKey};
use crate::store::{ImportStore, duplicate_visit};

/// Visits deleted in one transaction.
const DELETE_BATCH_VISITS: i64 = 500;

impl ImportStore {
    /// Deletes a batch of visits of an import and rebuilds their sessions. Returns the number of
    /// visits. The call after the last batch deletes the import itself.
    pub async fn delete_visits(
        &self,
        import: &Import,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let visits = self.next_visits(import).await?;
        if visits.is_empty() {
            sqlx::query!(
                "delete from visitor_analytics.import where number = $1",
                import.number
            )
            .execute(&self.pool)
            .await?;
            return Ok(0);
        }
        let visitors: BTreeSet<&VisitorKey> =
            visits.iter().filter_map(|v| v.visitor.as_ref()).collect();
        let visitors: Vec<VisitorKey> = visitors.into_iter().cloned().collect();
        let marked_keys = visit_keys(visits.iter());
        // A visit that was marked, but then recorded for another site, does not belong to the
        // import.
        let recorded_keys = visit_keys(visits.iter().filter(|visit| visit.visitor.is_some()));
        let mut transaction = self.pool.begin_with(locks::begin_locked(&visitors)).await?;
        let sessions = delete_visits(&mut transaction, &recorded_keys).await?;
        let previous = rebuild_sessions(&mut transaction, &sessions)
            .await?
            .previous;
        delete_pending_locations(&mut transaction, &recorded_keys).await?;
        delete_outbox_entries(&mut transaction, &recorded_keys).await?;
        delete_import_marks(&mut transaction, &marked_keys).await?;
        duplicate_visit::delete_counts(
            &mut transaction,
            &recorded_keys.ids,
            &recorded_keys.timestamps,
        )
        .await?;
        let periods = previous.iter().map(|(key, session)| TouchedPeriod {
            site_id: key.0,
            from: session.entry.0,
            to: session.exit.0,
        });
        let marked = self.dirty_days.mark(&mut transaction, periods, now).await?;
        transaction.commit().await?;
        self.dirty_days.remember(marked);
        Ok(marked_keys.ids.len() as u64)
    }

    /// The next batch of visits of an import. The visitor is `None` for a visit that was never
    /// recorded or belongs to another site.
    async fn next_visits(&self, import: &Import) -> Result<Vec<ImportedVisit>, StoreError> {
        let rows = sqlx::query!(
            r#"select i.visit_id, i.visit_timestamp, v.site_id as "site_id?",
                      v.visitor_id as "visitor_id?"
               from (select * from visitor_analytics.imported_visit where import_number = $1
                     order by visit_timestamp limit $2) i
               left join visitor_analytics.visit v
                 on v.id = i.visit_id and v.timestamp = i.visit_timestamp
                 and ($3::text is null or v.site_id = coalesce(
                     (select id from visitor_analytics.site where domain = $3),
                     (select site_id from visitor_analytics.site_alias where domain = $3),
                     -- The domain is no longer an alias.
                     v.site_id))"#,
            import.number,
            DELETE_BATCH_VISITS,
            import.site,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let visits = rows.map(|row| ImportedVisit {
            id: row.visit_id,
            timestamp: row.visit_timestamp,
            visitor: row.site_id.zip(row.visitor_id),
        });
        Ok(visits.collect())
    }
}

struct ImportedVisit {
    id: Uuid,
    timestamp: DateTime<Utc>,
    visitor: Option<VisitorKey>,
}

fn visit_keys<'a>(visits: impl Iterator<Item = &'a ImportedVisit>) -> VisitKeyColumns {
    let (ids, moments) = visits.map(|visit| (visit.id, visit.timestamp)).unzip();
    VisitKeyColumns {
        ids,
        timestamps: moments,
    }
}

type DeletedSessions = Vec<(VisitorKey, Session)>;

pub(in crate::store) struct RebuiltSessions {
    /// The sessions before.
    previous: DeletedSessions,
    /// The number of sessions afterwards.
    pub(in crate::store) sessions: u64,
}

/// Rebuilds sessions from their remaining visits. Sessions without any are deleted.
pub(in crate::store) async fn rebuild_sessions(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<RebuiltSessions, StoreError> {
    let previous = delete_sessions(connection, ids).await?;
    let remaining = remaining_visits(connection, &previous).await?;
    let mut sessions = 0;
    for (key, arrivals) in &remaining {
        let old: Vec<&Session> = sessions_of_visitor(&previous, key).collect();
        sessions += rebuild_visitor_sessions(connection, key, &old, arrivals).await?;
    }
    Ok(RebuiltSessions { previous, sessions })
}

fn sessions_of_visitor<'a>(
    found: &'a DeletedSessions,
    key: &'a VisitorKey,
) -> impl Iterator<Item = &'a Session> {
    let sessions = found.iter().filter(move |(visitor, _)| visitor == key);
    sessions.map(|(_, session)| session)
}

/// Returns the sessions of the deleted visits.
async fn delete_visits(
    connection: &mut PgConnection,
    keys: &VisitKeyColumns,
) -> Result<Vec<Uuid>, StoreError> {
    let sessions = sqlx::query_scalar!(
        "delete from visitor_analytics.visit v
         using unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
         where v.id = n.id and v.timestamp = n.moment
         returning v.session_id",
        &keys.ids,
        &keys.timestamps,
    );
    let sessions = sessions.fetch_all(connection).await?;
    let sessions: BTreeSet<Uuid> = sessions.into_iter().collect();
    Ok(sessions.into_iter().collect())
}

async fn delete_sessions(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<DeletedSessions, StoreError> {
    let rows = sqlx::query!(
        "delete from visitor_analytics.session where id = any($1)
         returning site_id, visitor_id, id, started_at, last_seen_at, entry_visit_id,
             exit_visit_id, visits, is_bot, announced",
        ids,
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    let sessions = rows.map(|row| {
        let session = Session {
            id: row.id,
            entry: (row.started_at, row.entry_visit_id),
            exit: (row.last_seen_at, row.exit_visit_id),
            visits: row.visits.cast_unsigned(),
            is_bot: row.is_bot,
            announced: row.announced,
        };
        ((row.site_id, row.visitor_id), session)
    });
    Ok(sessions.collect())
}

/// Finds the remaining visits of these sessions.
async fn remaining_visits(
    connection: &mut PgConnection,
    sessions: &DeletedSessions,
) -> Result<BTreeMap<VisitorKey, Vec<IncomingVisit>>, StoreError> {
    let sites: Vec<i32> = sessions.iter().map(|(key, _)| key.0).collect();
    let columns = SessionColumns::of(sessions.iter().map(|(_, session)| session));
    let rows = sqlx::query!(
        "select v.site_id, v.visitor_id, v.id, v.timestamp, v.is_bot
         from unnest($1::int[], $2::uuid[], $3::timestamptz[], $4::timestamptz[])
             as s (site_id, id, started_at, last_seen_at)
         join visitor_analytics.visit v
           on v.site_id = s.site_id and v.session_id = s.id
          and v.timestamp between s.started_at and s.last_seen_at",
        &sites,
        &columns.ids,
        &columns.started_at,
        &columns.last_seen_at,
    );
    let mut visits: BTreeMap<VisitorKey, Vec<IncomingVisit>> = BTreeMap::new();
    for row in rows.fetch_all(connection).await? {
        let arrivals = visits.entry((row.site_id, row.visitor_id)).or_default();
        arrivals.push(IncomingVisit {
            timestamp: row.timestamp,
            id: row.id,
            is_bot: row.is_bot,
            is_recent: false,
        });
    }
    Ok(visits)
}

/// Sessionizes the remaining visits of a visitor again. Returns the number of sessions.
async fn rebuild_visitor_sessions(
    connection: &mut PgConnection,
    (site_id, visitor_id): &VisitorKey,
    before: &[&Session],
    arrivals: &[IncomingVisit],
) -> Result<u64, StoreError> {
    let plan = sessionize(vec![], arrivals, NotifyTrigger::FirstVisit);
    // Prevents a second announcement.
    let announced = before.iter().any(|session| session.announced);
    let sessions: Vec<Session> = plan
        .new
        .into_iter()
        .map(|session| Session {
            announced,
            ..session
        })
        .collect();
    let columns = SessionColumns::of(sessions.iter());
    sqlx::query!(
        "insert into visitor_analytics.session (site_id, visitor_id, id, started_at, last_seen_at,
             entry_visit_id, exit_visit_id, visits, is_bot, announced)
         select $1, $2, * from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[],
             $6::uuid[], $7::uuid[], $8::int[], $9::bool[], $10::bool[])",
        site_id,
        visitor_id,
        &columns.ids,
        &columns.started_at,
        &columns.last_seen_at,
        &columns.entries,
        &columns.exits,
        &columns.visits,
        &columns.bots,
        &columns.announced,
    )
    .execute(&mut *connection)
    .await?;
    let ids: Vec<Uuid> = arrivals.iter().map(|arrival| arrival.id).collect();
    let moments: Vec<DateTime<Utc>> = arrivals.iter().map(|arrival| arrival.timestamp).collect();
    sqlx::query!(
        "update visitor_analytics.visit v set session_id = n.session
         from unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) as n (id, moment, session)
         where v.id = n.id and v.timestamp = n.moment",
        &ids,
        &moments,
        &plan.session_ids,
    )
    .execute(connection)
    .await?;
    Ok(sessions.len() as u64)
}
