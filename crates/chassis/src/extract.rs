//! Extractors like those of axum that reject with a [`Problem`] naming the field.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use common::lone_surrogates::replace_lone_surrogates;
use serde::de::DeserializeOwned;

use crate::Problem;
use crate::app::MAX_BODY_BYTES;
use crate::body::{BodyError, BodyReader, charge_memory};
pub use crate::json_body::{parse_json, parse_object, parse_object_leniently};

/// Timeout for reading a body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// The query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The parameters of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        parse_object(&read_json_bytes(request).await?).map(Self)
    }
}

/// Reads the body of a request with a JSON content type, within the limits of size and time.
/// Escapes of lone surrogates are replaced by U+FFFD.
pub async fn read_json_bytes(request: Request) -> Result<Bytes, Problem> {
    check_content_type(request.headers())?;
    let body = read_body(request, MAX_BODY_BYTES).await?;
    match replace_lone_surrogates(&body) {
        Cow::Borrowed(_) => Ok(body),
        Cow::Owned(repaired) => {
            charge_memory(repaired).map_err(|error| body_problem(error, MAX_BODY_BYTES))
        }
    }
}

/// Reads the body of a request without a token, at most `limit` bytes. A compressed body is
/// rejected. Call this after all checks that need only settings and headers.
pub async fn read_untrusted_bytes(request: Request, limit: usize) -> Result<Bytes, Problem> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(body_problem(BodyError::UnsupportedEncoding, limit));
    }
    read_body(request, limit).await
}

async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(body_problem(BodyError::TooLarge, limit));
    }
    let read = async { BodyReader::new(&parts.headers, body)?.read_all(limit).await };
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(read) => read.map_err(|error| body_problem(error, limit)),
        Err(_) => Err(incomplete_body(StatusCode::REQUEST_TIMEOUT)),
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()?.split(';').next());
    let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" && !kind.ends_with("+json") {
        let detail = "the body must be JSON with the header Content-Type: application/json";
        return Err(unsupported_media_type("BODY_NOT_JSON", detail).field("content-type"));
    }
    Ok(())
}

/// The problem for a body that could not be read. `limit` is its maximum size in bytes.
#[must_use]
pub fn body_problem(error: BodyError, limit: usize) -> Problem {
    match error {
        BodyError::UnsupportedEncoding => {
            let detail = "unsupported Content-Encoding; send the body uncompressed or with gzip";
            unsupported_media_type("CODING_UNKNOWN", detail).field("content-encoding")
        }
        BodyError::TooLarge => {
            let detail = format!("the body must have at most {limit} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", detail).field("body")
        }
        BodyError::Incomplete => incomplete_body(StatusCode::BAD_REQUEST),
        BodyError::MemoryExhausted => {
            Problem::busy("the memory for request bodies is exhausted; try again")
        }
    }
}

fn unsupported_media_type(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail)
}

fn incomplete_body(status: StatusCode) -> Problem {
    let detail = "the body is incomplete";
    Problem::new(status, "BODY_INCOMPLETE", detail).field("body")
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        // PostgreSQL rejects U+0000 in text.
        if query.contains("%00")
            && let Some((name, _)) = pairs.clone().find(|(_, value)| value.contains('\0'))
        {
            let detail = "a parameter must not contain the character U+0000";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "QUERY_INVALID", detail).field(name));
        }
        let deserializer = || serde_urlencoded::Deserializer::new(pairs);
        if let Ok(value) = T::deserialize(deserializer()) {
            return Ok(Self(value));
        }
        serde_path_to_error::deserialize(deserializer())
            .map(Self)
            .map_err(|error| {
                let path = error.path().to_string();
                let detail = error.inner().to_string();
                let name = if path == "." {
                    quoted_name(&detail)
                } else {
                    path
                };
                Problem::new(StatusCode::BAD_REQUEST, "QUERY_INVALID", detail).field(name)
            })
    }
}

/// Extracts the field from serde's messages about missing and unknown fields.
fn quoted_name(detail: &str) -> String {
    detail.split('`').nth(1).unwrap_or("query").to_owned()
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| {
                let detail = "a parameter in the path is invalid, such as a malformed id";
                Problem::new(StatusCode::BAD_REQUEST, "PATH_INVALID", detail).field("path")
            })
    }
}
