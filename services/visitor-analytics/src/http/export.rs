//! `GET /export/visits`.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use chassis::Problem;
use chassis::extract::Query;
use chassis::places::RequestSlot;
use chassis::stream::{ReaderStalled, STALL_TIMEOUT, give_up_when_stalled};
use utoipa::IntoParams;

use super::analytics::question::QueryPairs;
use super::list::wrong;
use super::site_scope::{ScopedPairs, SiteScope};
use super::{error, pick};
use crate::domain::export::{ExportFormat, ExportWriteError, ExportWriter, ExportedVisit};
use crate::domain::pick::VisitFilter;
use crate::store::{ExportQuery, Store, StoreError};

/// What an export has beside the parameters that pick visits.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct ExportParams {
    /// `csv` (without it), `ndjson` or `parquet`.
    format: Option<String>,
    /// The first day (`2026-11-20`, on the clock of the time zone) or moment (RFC 3339).
    from: Option<String>,
    /// The last day, which belongs to the period, or the moment at which it ends.
    to: Option<String>,
}

/// Visits as a file: the oldest first, all columns of a visit and its user agent.
///
/// The answer is written while it is read, compressed where the request accepts gzip (Parquet is
/// compressed by itself). When something fails in the middle, or nothing is
/// read for 30 seconds, the connection is cut.
#[utoipa::path(get, path = "/export/visits", tag = "export", params(pick::VisitFilterParams, ExportParams),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/csv"), (String = "application/x-ndjson"),
            (String = "application/vnd.apache.parquet"))),
        (status = 400, description = "A parameter is wrong; `field` names it"),
        (status = 404, description = "There is no such site"),
        (status = 503, description = "Too many exports are under way, in all or of this token; come again later"),
    ))]
pub(super) async fn export(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    headers: HeaderMap,
    Query(pairs): Query<QueryPairs>,
) -> Result<Response, Problem> {
    let (pick, format, query) = read(&state.store, scope.limit(pairs)?).await?;
    if let Some(site) = &pick.site {
        let found = state.store.site_of_report(Some(site)).await;
        let missing = || Problem::not_found("there is no such site").field("site");
        found.map_err(|e| error::store(&e))?.ok_or_else(missing)?;
    }
    let place = state.exports.take(scope.subject());
    let place = place.map_err(|_| Problem::busy("others are exporting; come again later"))?;
    let is_gzip = format != ExportFormat::Parquet && accepts_gzip(&headers);
    let writer = ExportWriter::new(format, is_gzip).map_err(|e| Problem::internal(&e))?;
    let mut file = ExportStream {
        store: state.store.clone(),
        pick,
        query,
        writer: Some(writer),
        _place: place,
    };
    // What fails at the beginning is told as a problem.
    let first = file.next().await.map_err(|error| match &error {
        ExportStreamError::Store(error) => error::store(error),
        ExportStreamError::Write(_) | ExportStreamError::Broken | ExportStreamError::Stalled(_) => {
            Problem::internal(&error)
        }
    })?;
    let rest = futures::stream::unfold(file, async |mut file| {
        let piece = file.next().await.transpose()?;
        Some((piece, file))
    });
    let first = futures::stream::iter(first.map(Ok));
    let whole = futures::StreamExt::chain(first, rest);
    let whole = give_up_when_stalled(whole, STALL_TIMEOUT);
    // What cuts the connection, so that half a file is not taken for a whole one.
    let whole = futures::StreamExt::map(whole, |piece| {
        piece.map_err(ExportStreamError::from).flatten()
    });
    let body = Body::from_stream(whole);
    Ok(answer(format, is_gzip, body))
}

fn answer(format: ExportFormat, is_gzip: bool, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let name = format!("attachment; filename=\"visits.{}\"", format.extension());
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

async fn read(
    store: &Store,
    pairs: ScopedPairs,
) -> Result<(VisitFilter, ExportFormat, ExportQuery), Problem> {
    let (pick, mut rest) = pick::read_with(store, pairs, &["format"]).await?;
    let format = match rest.remove("format") {
        None => ExportFormat::Csv,
        Some(name) => ExportFormat::named(&name)
            .ok_or_else(|| wrong("format", "one of csv, ndjson, parquet"))?,
    };
    let (from, to) = pick::period(&mut rest, pick.zone)?;
    let query = ExportQuery {
        site: pick.site.clone(),
        from,
        to,
        is_bot: pick.is_bot,
        after: None,
        limit: format.page(),
    };
    Ok((pick, format, query))
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
    #[error("the writer broke off")]
    Broken,
    #[error(transparent)]
    Stalled(#[from] ReaderStalled),
}

/// A file that is being written.
struct ExportStream {
    store: Store,
    pick: VisitFilter,
    query: ExportQuery,
    /// `None` when the file is complete.
    writer: Option<ExportWriter>,
    _place: RequestSlot,
}

impl ExportStream {
    /// The next piece, which is not empty; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ExportStreamError> {
        while let Some(writer) = self.writer.take() {
            let page = self.store.export_visits(&self.query).await?;
            let is_last = i64::try_from(page.len()).unwrap_or(i64::MAX) < self.query.limit;
            if let Some(last) = page.last() {
                self.query.after = Some((last.visit.timestamp, last.visit.id));
            }
            let wanted = page.into_iter().filter(|one| self.pick.takes(&one.visit));
            let wanted: Vec<ExportedVisit> = wanted.collect();
            // Takes milliseconds, in which nothing else would be served.
            let written = tokio::task::spawn_blocking(move || write(writer, &wanted, is_last));
            let piece;
            (piece, self.writer) = written.await.map_err(|_| ExportStreamError::Broken)??;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

fn write(
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
