//! `GET /export/visits`.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use chassis::Problem;
use chassis::database::StoreError;
use chassis::extract::Query;
use chassis::request_slots::RequestSlot;
use chassis::stream::{ReaderStalled, STALL_TIMEOUT, drop_when_stalled};
use utoipa::IntoParams;

use super::query_params::{QueryPairs, invalid_param};
use super::site_scope::{ScopedPairs, SiteScope};
use super::state::SharedState;
use super::visit_filter;
use crate::domain::export::{ExportFormat, ExportWriteError, ExportWriter, ExportedVisit};
use crate::domain::visit_filter::VisitFilter;
use crate::store::{ExportQuery, Store};

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documentation only; `read` parses")]
pub(super) struct ExportParams {
    /// `csv` (default), `ndjson` or `parquet`.
    format: Option<String>,
    /// First day (`2026-11-20`, in `time_zone`), or a timestamp (RFC 3339). Default: no bound.
    from: Option<String>,
    /// Last day (included), or a timestamp (RFC 3339, excluded). Default: no bound.
    to: Option<String>,
}

/// Export visits as a file.
///
/// Oldest first, with all fields of a visit and its user agent. The response is streamed. CSV and
/// NDJSON are compressed with gzip if the request accepts it; Parquet is compressed internally. If
/// an error occurs during the transfer, or the client reads nothing for 30 seconds, the connection
/// is closed without completing the file.
#[utoipa::path(get, path = "/export/visits", tag = "export",
    params(visit_filter::VisitFilterParams, ExportParams),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/csv"), (String = "application/x-ndjson"),
            (String = "application/vnd.apache.parquet"))),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
        (status = 503,
            description = "Too many exports are in progress, overall (3) or for this token (2); \
                retry later"),
    ))]
pub(super) async fn export(
    State(state): State<SharedState>,
    scope: SiteScope,
    headers: HeaderMap,
    Query(pairs): Query<QueryPairs>,
) -> Result<Response, Problem> {
    let (filter, format, query) = parse_params(&state.store, scope.restrict(pairs)?).await?;
    if let Some(site) = &filter.site {
        let found = state.store.sites.report_site(Some(site)).await;
        let missing = || Problem::not_found("there is no such site").field("site");
        found?.ok_or_else(missing)?;
    }
    let place = state.export_slots.acquire(scope.subject());
    let place =
        place.map_err(|_| Problem::busy("too many exports are in progress; retry later"))?;
    let is_gzip = format != ExportFormat::Parquet && accepts_gzip(&headers);
    let writer = ExportWriter::new(format, is_gzip).map_err(|e| Problem::internal(&e))?;
    let mut file = ExportStream {
        store: state.store.clone(),
        filter,
        query,
        writer: Some(writer),
        _slot: place,
    };
    // An error before the first byte can still be answered with a problem.
    let first = file.next_chunk().await.map_err(|error| match &error {
        ExportStreamError::Store(error) => error.into(),
        ExportStreamError::Write(_)
        | ExportStreamError::WriterPanicked
        | ExportStreamError::Stalled(_) => Problem::internal(&error),
    })?;
    let rest = futures::stream::unfold(file, async |mut file| {
        let piece = file.next_chunk().await.transpose()?;
        Some((piece, file))
    });
    let first = futures::stream::iter(first.map(Ok));
    let whole = futures::StreamExt::chain(first, rest);
    let whole = drop_when_stalled(whole, STALL_TIMEOUT);
    // An error closes the connection, so that a partial file is not mistaken for a complete one.
    let whole = futures::StreamExt::map(whole, |piece| {
        piece.map_err(ExportStreamError::from).flatten()
    });
    let body = Body::from_stream(whole);
    Ok(file_response(format, is_gzip, body))
}

fn file_response(format: ExportFormat, is_gzip: bool, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let name = format!(
        "attachment; filename=\"visits.{}\"",
        format.file_extension()
    );
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

async fn parse_params(
    store: &Store,
    pairs: ScopedPairs,
) -> Result<(VisitFilter, ExportFormat, ExportQuery), Problem> {
    let (filter, mut rest) = visit_filter::parse_filter_with(store, pairs, &["format"]).await?;
    let format = match rest.remove("format") {
        None => ExportFormat::Csv,
        Some(name) => ExportFormat::from_name(&name)
            .ok_or_else(|| invalid_param("format", "one of csv, ndjson, parquet"))?,
    };
    let (from, to) = visit_filter::take_period(&mut rest, filter.time_zone)?;
    let query = ExportQuery {
        site: filter.site.clone(),
        from,
        to,
        is_bot: filter.is_bot,
        after: None,
        limit: format.page_size(),
    };
    Ok((filter, format, query))
}

/// Whether the request accepts gzip (RFC 9110 §12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut codings = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse();
        let is_wanted = weight.is_ok_and(|weight: f32| weight > 0.0);
        is_wanted && matches!(name.trim(), "gzip" | "x-gzip" | "*")
    })
}

#[derive(Debug, thiserror::Error)]
enum ExportStreamError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] ExportWriteError),
    #[error("the task that writes the file panicked")]
    WriterPanicked,
    #[error(transparent)]
    Stalled(#[from] ReaderStalled),
}

struct ExportStream {
    store: Store,
    filter: VisitFilter,
    query: ExportQuery,
    /// `None` after the end of the file.
    writer: Option<ExportWriter>,
    _slot: RequestSlot,
}

impl ExportStream {
    /// Returns the next chunk, which is never empty, or `None` at the end of the file.
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ExportStreamError> {
        while let Some(writer) = self.writer.take() {
            let page = self.store.visits.export(&self.query).await?;
            let is_last = i64::try_from(page.len()).unwrap_or(i64::MAX) < self.query.limit;
            if let Some(last) = page.last() {
                self.query.after = Some((last.visit.timestamp, last.visit.id));
            }
            let matching = page
                .into_iter()
                .filter(|one| self.filter.matches(&one.visit));
            let matching: Vec<ExportedVisit> = matching.collect();
            // Writing takes milliseconds and would block the other tasks of this thread.
            let written =
                tokio::task::spawn_blocking(move || write_chunk(writer, &matching, is_last));
            let piece;
            (piece, self.writer) = written
                .await
                .map_err(|_| ExportStreamError::WriterPanicked)??;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

fn write_chunk(
    mut writer: ExportWriter,
    visits: &[ExportedVisit],
    is_last: bool,
) -> Result<(Vec<u8>, Option<ExportWriter>), ExportWriteError> {
    let mut piece = writer.write(visits)?;
    if is_last {
        piece.extend(writer.finish()?);
        return Ok((piece, None));
    }
    Ok((piece, Some(writer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        let accepts = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]))
        };
        for value in ["gzip", "br, gzip;q=0.5", "*", "deflate , x-gzip"] {
            assert!(accepts(value), "{value}");
        }
        for value in ["", "br", "gzip;q=0", "identity", "gzip;q=x"] {
            assert!(!accepts(value), "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
