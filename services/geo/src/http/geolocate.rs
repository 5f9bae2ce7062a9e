//! `/geolocate`: one address or many.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Json, Query};
use chassis::problem::ProblemBody;
use common::geo::{BatchRequest, BatchResponse, BatchResult, Location, MAX_BATCH};
use serde::Deserialize;

use super::error;
use crate::clients::Locator;
use crate::domain::LocateError;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    ip: String,
}

/// Where one address is.
#[utoipa::path(get, path = "/geolocate", tag = "geolocate",
    params(("ip" = String, Query, description = "An IPv4 or IPv6 address", example = "81.2.69.142")),
    responses(
        (status = 200, body = Location, description = "What is known; the rest is null"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json",
            description = "`IP_ADDRESS_REQUIRED`, `IP_ADDRESS_INVALID` or `IP_ADDRESS_RESERVED`"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json",
            description = "`IP_ADDRESS_NOT_FOUND`"),
    ))]
pub(super) async fn one(
    State(locator): State<Arc<Locator>>,
    Query(asked): Query<Asked>,
) -> Result<Answer<Location>, Problem> {
    let found = locator.locate(&asked.ip).await.map_err(error::problem)?;
    Ok(Answer(found))
}

/// Where many addresses are, in the order asked; an address that has no answer has an error.
#[utoipa::path(post, path = "/geolocate", tag = "geolocate", request_body = BatchRequest,
    responses(
        (status = 200, body = BatchResponse, description = "One result for each address"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json",
            description = "`TOO_MANY_ADDRESSES` or `BODY_INVALID`"),
    ))]
pub(super) async fn many(
    State(locator): State<Arc<Locator>>,
    Json(asked): Json<BatchRequest>,
) -> Result<Answer<BatchResponse>, Problem> {
    if asked.ips.len() > MAX_BATCH {
        let detail = format!("at most {MAX_BATCH} addresses at once");
        return Err(Problem::invalid("ips", "TOO_MANY_ADDRESSES", detail));
    }
    let found = locator.locate_many(&asked.ips).await;
    let results = asked.ips.into_iter().zip(found);
    Ok(Answer(BatchResponse {
        results: results.map(result).collect(),
    }))
}

fn result((ip, found): (String, Result<Location, LocateError>)) -> BatchResult {
    let (location, error) = match found {
        Ok(location) => (Some(location), None),
        Err(error) => (None, Some(error::item(error))),
    };
    BatchResult {
        ip,
        location,
        error,
    }
}
