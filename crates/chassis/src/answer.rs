//! Answers that are written often.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::Problem;

/// JSON in one piece of memory that has `room` bytes from the start; axum's own grows and copies
/// it, which in a large answer takes as long as everything else.
pub fn json(status: StatusCode, answer: &impl Serialize, room: usize) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(room);
    serde_json::to_writer(&mut body, answer).map_err(|error| Problem::internal(&error))?;
    Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response())
}
