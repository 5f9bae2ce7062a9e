//! Imports: their progress, and the visits that each brought.

mod remove;

use std::collections::BTreeMap;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
pub(super) use remove::rebuild_sessions;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::SiteLookup;
use super::visit::VisitKey;
use crate::domain::engagement::Engagement;
use crate::store::rollup::DirtyDays;

/// A runner renews `touched_at` at least this often. After this time it counts as gone.
const RUNNER_TIMEOUT: TimeDelta = TimeDelta::minutes(1);

#[derive(Clone, Debug)]
pub struct Import {
    /// Identifies the import in other tables.
    pub number: i32,
    pub id: Uuid,
    pub format: String,
    /// The site of all visits, if the import specified one.
    pub site: Option<String>,
    pub created_at: DateTime<Utc>,
    /// The time of the last progress.
    pub touched_at: DateTime<Utc>,
    /// When the end of the file was reached.
    pub finished_at: Option<DateTime<Utc>>,
    /// The process that runs the import.
    pub runner: Option<Uuid>,
    /// The number of processed lines.
    pub lines: i64,
    /// The SHA-256 of the processed lines.
    pub digest: Option<Vec<u8>>,
    /// Lines by outcome.
    pub counts: ImportCounts,
    /// Skipped lines by reason.
    pub skipped_kinds: BTreeMap<String, i64>,
    /// The names of fields that are unknown.
    pub unknown_fields: Vec<String>,
    /// The first rejected lines.
    pub errors: Vec<LineError>,
}

#[derive(Clone, Debug)]
pub enum ImportStart {
    /// The caller runs the import until it leaves it.
    Acquired(Box<Import>),
    /// Another process runs the import.
    AlreadyRunning,
    /// The id belongs to an import of another site or format.
    Mismatch,
}

/// The number of lines by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    pub recorded: i64,
    pub duplicates: i64,
    pub skipped: i64,
    pub ignored: i64,
    pub rejected: i64,
}

/// Why a line was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineError {
    /// The line number, from 1.
    pub line: i64,
    /// A stable error code.
    pub code: String,
    /// What is wrong with the line.
    pub detail: String,
    /// The name of the invalid field; `null` if the line as a whole is invalid.
    #[serde(default)]
    pub field: Option<String>,
}

/// The progress since the last update.
#[derive(Clone, Debug, Default)]
pub struct ImportProgress {
    /// The number of processed lines in all.
    pub lines: i64,
    /// The SHA-256 of the processed lines.
    pub digest: Vec<u8>,
    /// The outcomes of the lines since the last update.
    pub counts: ImportCounts,
    /// All skipped lines of the import by reason.
    pub skipped_kinds: BTreeMap<String, i64>,
    /// All unknown fields of the import.
    pub unknown_fields: Vec<String>,
    /// All reported errors of the import.
    pub errors: Vec<LineError>,
}

impl Import {
    /// Whether a process runs the import.
    #[must_use]
    pub fn is_running(&self, now: DateTime<Utc>) -> bool {
        self.runner.is_some() && self.touched_at > now - RUNNER_TIMEOUT
    }
}

struct ImportRow {
    number: i32,
    id: Uuid,
    format: String,
    site: Option<String>,
    created_at: DateTime<Utc>,
    touched_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    runner: Option<Uuid>,
    lines: i64,
    digest: Option<Vec<u8>>,
    recorded: i64,
    duplicates: i64,
    skipped: i64,
    ignored: i64,
    rejected: i64,
    skipped_kinds: Json<BTreeMap<String, i64>>,
    unknown_fields: Vec<String>,
    errors: Json<Vec<LineError>>,
}

impl From<ImportRow> for Import {
    fn from(row: ImportRow) -> Self {
        Self {
            number: row.number,
            id: row.id,
            format: row.format,
            site: row.site,
            created_at: row.created_at,
            touched_at: row.touched_at,
            finished_at: row.finished_at,
            runner: row.runner,
            lines: row.lines,
            digest: row.digest,
            counts: ImportCounts {
                recorded: row.recorded,
                duplicates: row.duplicates,
                skipped: row.skipped,
                ignored: row.ignored,
                rejected: row.rejected,
            },
            skipped_kinds: row.skipped_kinds.0,
            unknown_fields: row.unknown_fields,
            errors: row.errors.0,
        }
    }
}

/// Imports, and the visits that they added.
#[derive(Clone, Debug)]
pub struct ImportStore {
    pub(super) pool: PgPool,
    pub(super) dirty_days: DirtyDays,
}

impl ImportStore {
    /// Begins an import as `runner`, or resumes it. An import of another site or format with this
    /// id is not changed.
    pub async fn begin(
        &self,
        id: Uuid,
        (format, site): (&str, Option<&str>),
        runner: Uuid,
        now: DateTime<Utc>,
    ) -> Result<ImportStart, StoreError> {
        let row = sqlx::query_as!(
            ImportRow,
            r#"insert into visitor_analytics.import as i
                   (id, format, site, created_at, touched_at, runner)
               values ($1, $2, $3, $4, $4, $5)
               on conflict on constraint import_id_key do update
               set runner = $5, touched_at = $4, finished_at = null
               where (i.runner is null or i.touched_at <= $6)
                 and i.format = $2 and i.site is not distinct from $3
               returning number, id, format, site, created_at, touched_at, finished_at, runner,
                   lines, digest, recorded, duplicates, skipped, ignored, rejected,
                   skipped_kinds as "skipped_kinds: _", unknown_fields, errors as "errors: _""#,
            id,
            format,
            site,
            now,
            runner,
            now - RUNNER_TIMEOUT,
        );
        if let Some(row) = row.fetch_optional(&self.pool).await? {
            return Ok(ImportStart::Acquired(Box::new(row.into())));
        }
        let is_same = sqlx::query_scalar!(
            r#"select format = $2 and site is not distinct from $3 as "is_same!"
               from visitor_analytics.import where id = $1"#,
            id,
            format,
            site,
        );
        Ok(match is_same.fetch_optional(&self.pool).await? {
            Some(false) => ImportStart::Mismatch,
            // An import that was removed meanwhile can be begun again.
            Some(true) | None => ImportStart::AlreadyRunning,
        })
    }

    /// Stores the progress of an import. Returns whether `runner` still runs it.
    pub async fn record_progress(
        &self,
        (number, runner): (i32, Uuid),
        step: &ImportProgress,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let counts = step.counts;
        let done = sqlx::query!(
            "update visitor_analytics.import
             set lines = $3, digest = $4, touched_at = $5, recorded = recorded + $6,
                 duplicates = duplicates + $7, skipped = skipped + $8, ignored = ignored + $9,
                 rejected = rejected + $10, errors = $11, skipped_kinds = $12,
                 unknown_fields = $13
             where number = $1 and runner = $2",
            number,
            runner,
            step.lines,
            &step.digest,
            now,
            counts.recorded,
            counts.duplicates,
            counts.skipped,
            counts.ignored,
            counts.rejected,
            Json(&step.errors) as _,
            Json(&step.skipped_kinds) as _,
            &step.unknown_fields,
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Ends the run of an import. `is_finished` says whether the end of the file was reached.
    pub async fn release(
        &self,
        (number, runner): (i32, Uuid),
        is_finished: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        // Lines that were recorded just before an interruption count as duplicates in the next run.
        // The marks give the exact number.
        sqlx::query!(
            "update visitor_analytics.import i
             set runner = null, touched_at = $3::timestamptz, finished_at = case when $4::bool then $3::timestamptz end,
                 recorded = (select count(*) from visitor_analytics.imported_visit v
                             where v.import_number = i.number)
             where number = $1 and runner = $2",
            number,
            runner,
            now,
            is_finished,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Finds an import into one of these sites (`None`: into any site or several).
    pub async fn find(
        &self,
        id: Uuid,
        sites: Option<&[String]>,
    ) -> Result<SiteLookup<Import>, StoreError> {
        let row = sqlx::query_as!(
            ImportRow,
            r#"select number, id, format, site, created_at, touched_at, finished_at, runner,
                   lines, digest, recorded, duplicates, skipped, ignored, rejected,
                   skipped_kinds as "skipped_kinds: _", unknown_fields, errors as "errors: _"
               from visitor_analytics.import
               where id = $1 and ($2::text[] is null or site = any($2))"#,
            id,
            sites,
        );
        match row.fetch_optional(&self.pool).await? {
            Some(row) => Ok(SiteLookup::Found(row.into())),
            None => Ok(SiteLookup::not_found(
                sites.is_some() && self.exists(id).await?,
            )),
        }
    }

    async fn exists(&self, id: Uuid) -> Result<bool, StoreError> {
        let exists = sqlx::query_scalar!(
            r#"select exists (select from visitor_analytics.import where id = $1) as "exists!""#,
            id
        );
        Ok(exists.fetch_one(&self.pool).await?)
    }

    /// Lists imports that began before the import `before`, newest first. Returns one more than the
    /// limit if there are more.
    pub async fn list(
        &self,
        site: Option<&str>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Import>, StoreError> {
        let rows = sqlx::query_as!(
            ImportRow,
            r#"select number, id, format, site, created_at, touched_at, finished_at, runner,
                   lines, digest, recorded, duplicates, skipped, ignored, rejected,
                   skipped_kinds as "skipped_kinds: _", unknown_fields, errors as "errors: _"
               from visitor_analytics.import
               where ($1::text is null or site = $1)
                 and ($2::uuid is null or number < (
                     select number from visitor_analytics.import
                     where id = $2 and ($1::text is null or site = $1)))
               order by number desc limit $3"#,
            site,
            before,
            limit + 1,
        );
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(Import::from).collect())
    }

    /// Marks visits as imported before they are recorded. Visits that exist already are not marked.
    pub async fn mark_imported(&self, number: i32, visits: &[VisitKey]) -> Result<(), StoreError> {
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = visits.iter().copied().unzip();
        sqlx::query!(
            "insert into visitor_analytics.imported_visit (visit_id, visit_timestamp, import_number)
             select n.id, n.moment, $3
             from unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
             where not exists (select from visitor_analytics.visit v
                               where v.id = n.id and v.timestamp = n.moment)
             on conflict on constraint imported_visit_pkey do nothing",
            &ids,
            &moments,
            number,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Removes the marks of visits that belong to another site.
    pub async fn unmark_imported(
        &self,
        number: i32,
        visits: &[VisitKey],
    ) -> Result<(), StoreError> {
        if visits.is_empty() {
            return Ok(());
        }
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = visits.iter().copied().unzip();
        sqlx::query!(
            "delete from visitor_analytics.imported_visit v
             using unnest($2::uuid[], $3::timestamptz[]) as n (id, moment)
             where v.visit_id = n.id and v.visit_timestamp = n.moment and v.import_number = $1",
            number,
            &ids,
            &moments,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Raises the engagement of visits to the values in an export.
    pub async fn update_engagement(
        &self,
        visits: &[(VisitKey, Engagement)],
    ) -> Result<(), StoreError> {
        if visits.is_empty() {
            return Ok(());
        }
        let keys = visits.iter().map(|(key, _)| *key);
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = keys.unzip();
        let seconds = visits.iter().map(|(_, engagement)| engagement.seconds);
        let seconds: Vec<i32> = seconds
            .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX))
            .collect();
        let depths = visits.iter().map(|(_, engagement)| engagement.scroll_depth);
        let depths: Vec<i16> = depths.map(i16::from).collect();
        sqlx::query!(
            "update visitor_analytics.visit v
             set engagement_seconds = greatest(v.engagement_seconds, n.seconds),
                 scroll_depth = greatest(v.scroll_depth, n.depth)
             from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::smallint[])
                 as n (id, moment, seconds, depth)
             where v.id = n.id and v.timestamp = n.moment",
            &ids,
            &moments,
            &seconds,
            &depths,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Finds the import that recorded a visit.
    pub async fn of_visit(&self, (id, moment): VisitKey) -> Result<Option<Uuid>, StoreError> {
        let import = sqlx::query_scalar!(
            "select i.id from visitor_analytics.imported_visit v
             join visitor_analytics.import i on i.number = v.import_number
             where v.visit_id = $1 and v.visit_timestamp = $2",
            id,
            moment,
        );
        Ok(import.fetch_optional(&self.pool).await?)
    }
}
