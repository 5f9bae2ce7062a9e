//! `POST /import`, and `GET` and `DELETE /imports`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use chassis::Problem;
use chassis::body::{BodyError, BodyReader, MAX_UNPACK_RATIO};
use chassis::extract::{Path, Query, refused_body};
use chassis::request::take_time;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error;
use super::list::{within, wrong};
use super::site_scope::{self, SiteScope};
use crate::domain::import::ImportFormat;
use crate::import::{FileImporter, ImportError, ImportRequest};
use crate::store::{self, LineError};

/// What is imported.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportParams {
    /// `combined` (an access log of Apache or nginx), `csv` or `ndjson` (as exported, or, `ndjson`,
    /// a visit a line as `POST /visits` takes it).
    format: String,
    /// Whose visits these are; a log does not say it, other lines' own sites are overruled.
    site: Option<String>,
    /// The import's id, for when two files begin with the same lines.
    id: Option<Uuid>,
}

/// An import.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import)]
pub(super) struct ImportResponse {
    id: Uuid,
    format: String,
    site: Option<String>,
    /// `running`, `done`, or `interrupted`: send the file again, and it goes on.
    state: &'static str,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// Lines of the file that are done.
    lines: i64,
    /// Visits that it brought.
    recorded: i64,
    /// Visits that were there already.
    duplicates: i64,
    /// Lines that are no page views: style sheets, pictures, redirections, names of columns.
    skipped: i64,
    /// Visits that the site does not want.
    ignored: i64,
    /// Lines that could not be read or accepted.
    rejected: i64,
    /// The first 20 of them.
    errors: Vec<LineError>,
}

/// A page of imports.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportPage)]
pub(super) struct ImportPage {
    /// The newest first.
    data: Vec<ImportResponse>,
    /// Leads to the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportRemoved)]
pub(super) struct ImportDeletedResponse {
    /// How many visits.
    visits: u64,
}

/// Imports a file of visits, of any length.
///
/// The answer comes when the file has been read; `GET /imports/{id}` tells meanwhile how far it is.
/// Sending the same file again, also when it broke off or has grown, goes on where it was and
/// records nothing twice. Nobody is told of these visits.
#[utoipa::path(post, path = "/import", tag = "import", params(ImportParams),
    request_body(description = "The file", content(
        (String = "text/plain"), (String = "text/csv"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, body = ImportResponse, description = "The whole file was read"),
        (status = 400, description = "A parameter is wrong, or the file broke off"),
        (status = 409,
            description = "The file is being imported, or another one was with this beginning"),
        (status = 413,
            description = "A packed file becomes more than a hundred times as long; send it in parts"),
        (status = 415, description = "The file is packed otherwise than by gzip"),
        (status = 422, description = "The site does not exist, and the token adds none"),
        (status = 429, description = "It names new sites, and too many are; nothing is lost when \
            the file is sent again after `POST /sites`"),
        (status = 503, description = "Send the file again after `Retry-After`; it goes on"),
    ))]
pub(super) async fn import(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Query(parameters): Query<ImportParams>,
    request: Request,
) -> Result<Json<ImportResponse>, Problem> {
    let wanted = parameters.wanted(&scope)?;
    let place = state.imports.take(scope.subject());
    let _place = place.map_err(|_| Problem::busy("others are importing; come again later"))?;
    let (head, file) = request.into_parts();
    let file = BodyReader::new(&head.headers, file).map_err(|e| refused_body(e, 0))?;
    take_time();
    let importer = FileImporter {
        admission: &state.admission,
        ingest: &state.ingest,
        store: &state.store,
        policy: &state.policy,
        wishes: &state.wishes,
        clock: &state.clock,
        closing: &state.closing,
    };
    let import = importer.run(wanted, file).await.map_err(|e| refused(&e))?;
    Ok(Json(body(import, state.clock.now())))
}

/// Imports, the newest first.
#[utoipa::path(get, path = "/imports", tag = "import", params(ImportListParams),
    responses(
        (status = 200, body = ImportPage, description = "A page of imports"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Query(parameters): Query<ImportListParams>,
) -> Result<Json<ImportPage>, Problem> {
    let limit = within(parameters.limit)?;
    let before = parameters.cursor.map(|text| {
        let id = text.parse::<Uuid>().ok();
        id.ok_or_else(|| wrong("cursor", "this is no cursor of this list"))
    });
    let site = scope.site(parameters.site.as_deref())?;
    let found = state
        .store
        .imports(site.as_deref(), before.transpose()?, limit);
    let found = found.await;
    let mut found = found.map_err(|e| error::store(&e))?;
    let limit = usize::try_from(limit).unwrap_or_default();
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let now = state.clock.now();
    Ok(Json(ImportPage {
        next_cursor: last.map(|import| import.id.to_string()),
        data: found.into_iter().map(|import| body(import, now)).collect(),
    }))
}

/// The parameters of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportListParams {
    /// Only of this site.
    site: Option<String>,
    /// At most so many, 1 to 1,000; 50 without it.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// How far an import is.
#[utoipa::path(get, path = "/imports/{id}", tag = "import",
    params(("id" = Uuid, Path, description = "The import's id")),
    responses(
        (status = 200, body = ImportResponse, description = "The import"),
        (status = 404, description = "There is no such import"),
    ))]
pub(super) async fn one(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<ImportResponse>, Problem> {
    let import = found(&state, &scope, id).await?;
    Ok(Json(body(import, state.clock.now())))
}

/// Removes an import with all visits it brought.
///
/// Sessions are what they would be without them. What was there before the import stays.
#[utoipa::path(delete, path = "/imports/{id}", tag = "import",
    params(("id" = Uuid, Path, description = "The import's id")),
    responses(
        (status = 200, body = ImportDeletedResponse, description = "It is gone"),
        (status = 404, description = "There is no such import"),
        (status = 409, description = "The file is being imported"),
    ))]
pub(super) async fn remove(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<ImportDeletedResponse>, Problem> {
    let import = found(&state, &scope, id).await?;
    if import.is_running(state.clock.now()) {
        return Err(refused(&ImportError::Running));
    }
    take_time();
    let mut visits = 0;
    loop {
        let removed = state.store.remove_imported(&import, state.clock.now());
        match removed.await.map_err(|e| error::store(&e))? {
            0 => return Ok(Json(ImportDeletedResponse { visits })),
            some => visits += some,
        }
        if state.closing.is_cancelled() {
            return Err(refused(&ImportError::Stopping));
        }
    }
}

async fn found(
    state: &super::SharedState,
    scope: &SiteScope,
    id: Uuid,
) -> Result<store::Import, Problem> {
    let found = state.store.import(id, scope.sites()).await;
    let found = found.map_err(|e| error::store(&e))?;
    site_scope::found(found, "there is no import with this id")
}

impl ImportParams {
    fn wanted(self, scope: &SiteScope) -> Result<ImportRequest, Problem> {
        let format = ImportFormat::named(&self.format);
        let format = format.ok_or_else(|| wrong("format", "one of combined, csv, ndjson"))?;
        let site = scope.site(self.site.as_deref())?;
        if format == ImportFormat::Combined && site.is_none() {
            return Err(wrong("site", "a log does not say whose it is"));
        }
        Ok(ImportRequest {
            id: self.id,
            format,
            site,
            new_sites: scope.new_sites(),
        })
    }
}

fn refused(why: &ImportError) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match why {
        ImportError::Running => conflict("IMPORT_RUNNING", why.to_string()),
        ImportError::Differs => conflict("IMPORT_DIFFERS", why.to_string()).field("id"),
        ImportError::Body(BodyError::TooLarge) => {
            let detail = format!(
                "the file unpacks to more than {MAX_UNPACK_RATIO} times its size; send it in parts"
            );
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Problem::new(status, "BODY_TOO_LARGE", detail).field("body")
        }
        ImportError::Incomplete | ImportError::Body(_) => {
            let detail = "the file could not be read to its end; send it again, and it goes on";
            Problem::new(StatusCode::BAD_REQUEST, "BODY_INCOMPLETE", detail).field("body")
        }
        ImportError::Refused(refusal) => error::refused(*refusal, "VISIT_ID_TAKEN"),
        ImportError::Stopping => Problem::unavailable(why),
        ImportError::Record(error) => error::record(error),
        ImportError::Store(error) => error::store(error),
    }
}

fn body(import: store::Import, now: DateTime<Utc>) -> ImportResponse {
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
        ignored: import.counts.ignored,
        rejected: import.counts.rejected,
        errors: import.errors,
    }
}
