//! axum's extractors, refusing with a [`Problem`] that names the field.

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Problem;

/// A JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// The query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The parts of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(parse_json(&json_bytes(request, state).await?)?))
    }
}

/// The body of a request that says it is JSON, within the size limit.
pub async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_json = content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            let kind = kind.trim().to_ascii_lowercase();
            kind == "application/json" || kind.ends_with("+json")
        });
    if !is_json {
        let detail = "send JSON, with the header Content-Type: application/json";
        return Err(
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BODY_NOT_JSON", detail)
                .field("content-type"),
        );
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                let detail = format!("the body may have {} bytes at most", crate::app::MAX_BODY);
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", detail).field("body")
            }
            _ => Problem::new(
                StatusCode::BAD_REQUEST,
                "BODY_INCOMPLETE",
                "the body could not be read to its end",
            )
            .field("body"),
        })
}

/// Reads JSON: 400 where it is no JSON, 422 with the path where it is not what is expected.
pub fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        if inner.is_data() {
            let path = if path == "." { "body".to_owned() } else { path };
            Problem::invalid(path, "BODY_INVALID", without_position(inner))
        } else {
            not_json(inner)
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> Problem {
    let detail = format!("the body is no JSON: {error}");
    Problem::new(StatusCode::BAD_REQUEST, "BODY_NOT_JSON", detail).field("body")
}

/// `missing field `url` at line 1 column 2` without the position, which helps nobody.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let deserializer = serde_urlencoded::Deserializer::new(pairs);
        serde_path_to_error::deserialize(deserializer)
            .map(Self)
            .map_err(|error| {
                let path = error.path().to_string();
                let detail = error.inner().to_string();
                let name = if path == "." { quoted(&detail) } else { path };
                Problem::new(StatusCode::BAD_REQUEST, "QUERY_INVALID", detail).field(name)
            })
    }
}

/// The name between backticks in serde's texts about missing and unknown fields.
fn quoted(detail: &str) -> String {
    detail.split('`').nth(1).unwrap_or("query").to_owned()
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|error| {
                let detail = error.body_text();
                Problem::new(StatusCode::BAD_REQUEST, "PATH_INVALID", detail).field("path")
            })
    }
}
