//! `POST /import`, `GET /imports` and `DELETE /imports/{id}`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use chassis::Problem;
use chassis::body::{BodyError, BodyReader, MAX_COMPRESSION_RATIO};
use chassis::extract::{Path, Query, body_problem};
use chassis::request::disable_timeout;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error;
use super::query_params::{check_limit, invalid_param, parse_cursor, truncate_page};
use super::site_scope::{self, SiteScope};
use super::state::SharedState;
use super::submit::unknown_field_warnings;
use crate::app::import::{FileImporter, ImportError, ImportRequest};
use crate::domain::import::{FORMAT_NAMES, ImportFormat};
use crate::store::{self, LineError};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportParams {
    /// Access logs: `combined` (Apache, nginx, Jetty and others; with or without virtual host, several
    /// addresses and further fields), `common` (without referrer and user agent), `nginx_json`,
    /// `caddy`, `traefik` (JSON or common format) or `w3c` (IIS, `CloudFront`). Visits: `csv` (as
    /// exported), `ndjson` (as exported, or one visit per line as for `POST /visits`) or `umami`
    /// (`website_event` as CSV). `auto` finds the format from the first lines.
    format: String,
    /// Site of all visits; overrides the site in the file. Required except for `csv` and `ndjson`.
    site: Option<String>,
    /// Id of the import. Only needed to distinguish files that begin with the same lines.
    id: Option<Uuid>,
}

/// An import and its progress.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import)]
pub(super) struct ImportResponse {
    /// Id of the import.
    id: Uuid,
    /// The format, as in the parameter `format`. For `auto`, the format that was found.
    format: String,
    /// Site of all visits; `null` if the file names the sites.
    site: Option<String>,
    /// `running`, `done` or `interrupted` (send the file again to resume).
    state: &'static str,
    /// Start of the import.
    created_at: DateTime<Utc>,
    /// `null` until the whole file was read.
    finished_at: Option<DateTime<Utc>>,
    /// Processed lines of the file.
    lines: i64,
    /// Recorded visits.
    recorded: i64,
    /// Visits that were recorded before.
    duplicates: i64,
    /// Lines that are not page views: style sheets, images, redirects, column headers.
    skipped: i64,
    /// Number of skipped lines by reason: `blank`, `header`, `request` (no HTTP request), `method`
    /// (not `GET`), `status` (a redirect), `message` (about something else than a request), `event`,
    /// or the kind of file: `asset`, `media`, `feed`, `sitemap`, `robots`, `manifest`, `document`,
    /// `download`, `data`, `well_known`.
    skipped_kinds: BTreeMap<String, i64>,
    /// Visits that the site's settings exclude.
    ignored: i64,
    /// Lines that cannot be parsed, or whose visit is invalid.
    rejected: i64,
    /// What may be a mistake in the file: fields or columns with unknown names, which are ignored.
    warnings: Vec<String>,
    /// Errors of the first 20 rejected lines.
    errors: Vec<LineError>,
}

/// A page of imports.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportPage)]
pub(super) struct ImportPage {
    /// The imports, newest first.
    data: Vec<ImportResponse>,
    /// Pass as `cursor` to get the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// Number of removed visits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportRemoved)]
pub(super) struct ImportDeletedResponse {
    /// Number of visits.
    visits: u64,
}

/// Import a file of visits.
///
/// The file may have any size. The response is sent after the whole file was processed;
/// `GET /imports/{id}` returns the progress. Sending the same file again resumes the import without
/// recording a visit twice, even if the transfer was interrupted or the file has grown. Imported
/// visits cause no notifications.
#[utoipa::path(post, path = "/import", tag = "import", params(ImportParams),
    request_body(description = "The file", content(
        (String = "text/plain"), (String = "text/csv"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, body = ImportResponse, description = "The whole file was processed"),
        (status = 400,
            description = "A parameter is invalid, the file is incomplete (`BODY_INCOMPLETE`), or \
                its format is unknown or contains no single visits (`field` is `format`)"),
        (status = 409,
            description = "The file is being imported (`IMPORT_RUNNING`), or another file with the \
                same beginning was imported (`IMPORT_DIFFERS`)"),
        (status = 413,
            description = "A compressed file expands to more than 100 times its size; split it"),
        (status = 415, description = "The content encoding is not gzip"),
        (status = 422, description = "The site does not exist, and the token may not create sites"),
        (status = 429,
            description = "The file contains new sites, and the limit on new sites is reached \
                (`SITE_LIMIT_REACHED`). Create them with `POST /sites` and send the file again"),
        (status = 503,
            description = "The import was interrupted, or too many imports are in progress. Send \
                the file again after `Retry-After` to resume"),
    ))]
pub(super) async fn import(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(parameters): Query<ImportParams>,
    request: Request,
) -> Result<Json<ImportResponse>, Problem> {
    let import_request = parameters.into_request(&scope)?;
    let place = state.import_slots.acquire(scope.subject());
    let _place =
        place.map_err(|_| Problem::busy("too many imports are in progress; retry later"))?;
    let (head, file) = request.into_parts();
    let file = BodyReader::new(&head.headers, file).map_err(|e| body_problem(e, 0))?;
    disable_timeout();
    let importer = FileImporter {
        admission: &state.admission,
        ingest: &state.ingest,
        store: &state.store,
        privacy_policy: &state.privacy_policy,
        ignore_rules: &state.ignore_rules,
        clock: &state.clock,
        shutdown: &state.shutdown,
    };
    let import = importer
        .import(import_request, file)
        .await
        .map_err(|e| import_problem(&e))?;
    Ok(Json(to_response(import, state.clock.now())))
}

/// List imports.
///
/// Newest first.
#[utoipa::path(get, path = "/imports", tag = "import", params(ImportListParams),
    responses(
        (status = 200, body = ImportPage, description = "A page of imports"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(parameters): Query<ImportListParams>,
) -> Result<Json<ImportPage>, Problem> {
    let limit = check_limit(parameters.limit)?;
    let before = parse_cursor(parameters.cursor.as_deref(), |text| {
        text.parse::<Uuid>().ok()
    })?;
    let site = scope.resolve_site(parameters.site.as_deref())?;
    let found = state
        .store
        .imports
        .list(site.as_deref(), before, limit)
        .await;
    let mut found = found?;
    let now = state.clock.now();
    Ok(Json(ImportPage {
        next_cursor: truncate_page(&mut found, limit, |import| import.id.to_string()),
        data: found
            .into_iter()
            .map(|import| to_response(import, now))
            .collect(),
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportListParams {
    /// Only imports of this site.
    site: Option<String>,
    /// Maximum number of items per page: 1 to 1,000. Default: 50.
    limit: Option<i64>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Get an import and its progress.
#[utoipa::path(get, path = "/imports/{id}", tag = "import",
    params(("id" = Uuid, Path, description = "The import's id")),
    responses(
        (status = 200, body = ImportResponse, description = "The import"),
        (status = 404, description = "The import does not exist"),
    ))]
pub(super) async fn one(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<ImportResponse>, Problem> {
    let import = find_import(&state, &scope, id).await?;
    Ok(Json(to_response(import, state.clock.now())))
}

/// Delete an import and its visits.
///
/// Removes all visits that the import recorded, and recomputes their sessions. Visits that existed
/// before the import are kept.
#[utoipa::path(delete, path = "/imports/{id}", tag = "import",
    params(("id" = Uuid, Path, description = "The import's id")),
    responses(
        (status = 200, body = ImportDeletedResponse, description = "The import was deleted"),
        (status = 404, description = "The import does not exist"),
        (status = 409, description = "The import is running (`IMPORT_RUNNING`)"),
    ))]
pub(super) async fn remove(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<ImportDeletedResponse>, Problem> {
    let import = find_import(&state, &scope, id).await?;
    if import.is_running(state.clock.now()) {
        return Err(import_problem(&ImportError::AlreadyRunning));
    }
    disable_timeout();
    let mut visits = 0;
    loop {
        let removed = state
            .store
            .imports
            .delete_visits(&import, state.clock.now());
        match removed.await? {
            0 => return Ok(Json(ImportDeletedResponse { visits })),
            some => visits += some,
        }
        if state.shutdown.is_cancelled() {
            return Err(import_problem(&ImportError::ShuttingDown));
        }
    }
}

async fn find_import(
    state: &SharedState,
    scope: &SiteScope,
    id: Uuid,
) -> Result<store::Import, Problem> {
    let found = state.store.imports.find(id, scope.sites()).await?;
    site_scope::require_found(found, "there is no import with this id")
}

impl ImportParams {
    fn into_request(self, scope: &SiteScope) -> Result<ImportRequest, Problem> {
        let format = ImportFormat::from_name(&self.format);
        if format.is_none() && self.format != "auto" {
            let why = match self.format.as_str() {
                "plausible" => return Err(import_problem(&ImportError::DailyTotals)),
                _ => format!("`format` must be one of {FORMAT_NAMES}"),
            };
            return Err(invalid_param("format", why));
        }
        let site = scope.resolve_site(self.site.as_deref())?;
        if let Some(format) = format.filter(|format| format.needs_site() && site.is_none()) {
            return Err(import_problem(&ImportError::SiteRequired(format)));
        }
        Ok(ImportRequest {
            id: self.id,
            format,
            site,
            new_site_policy: scope.new_site_policy(),
        })
    }
}

fn import_problem(why: &ImportError) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match why {
        ImportError::AlreadyRunning => conflict("IMPORT_RUNNING", why.to_string()),
        ImportError::FileMismatch => conflict("IMPORT_DIFFERS", why.to_string()).field("id"),
        ImportError::FormatUnknown | ImportError::DailyTotals => {
            invalid_param("format", why.to_string())
        }
        ImportError::SiteRequired(_) => invalid_param("site", why.to_string()),
        ImportError::Body(BodyError::TooLarge) => {
            let detail = format!(
                "the file expands to more than {MAX_COMPRESSION_RATIO} times its size; split it"
            );
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Problem::new(status, "BODY_TOO_LARGE", detail).field("body")
        }
        ImportError::IncompleteUpload | ImportError::Body(_) => {
            let detail = "the file is incomplete; send it again to resume the import";
            Problem::new(StatusCode::BAD_REQUEST, "BODY_INCOMPLETE", detail).field("body")
        }
        ImportError::Admission(refusal) => error::from_admission(*refusal, "VISIT_ID_TAKEN"),
        ImportError::ShuttingDown => Problem::unavailable(why),
        ImportError::Record(error) => error::from_record(error),
        ImportError::Store(error) => error.into(),
    }
}

fn to_response(import: store::Import, now: DateTime<Utc>) -> ImportResponse {
    let state = match import.finished_at {
        _ if import.is_running(now) => "running",
        Some(_) => "done",
        None => "interrupted",
    };
    ImportResponse {
        id: import.id,
        format: import.format,
        site: import.site,
        state,
        created_at: import.created_at,
        finished_at: import.finished_at,
        lines: import.lines,
        recorded: import.counts.recorded,
        duplicates: import.counts.duplicates,
        skipped: import.counts.skipped,
        skipped_kinds: import.skipped_kinds,
        ignored: import.counts.ignored,
        rejected: import.counts.rejected,
        warnings: unknown_field_warnings(&import.unknown_fields),
        errors: import.errors,
    }
}
