//! `/geolocate`: one address or many.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chassis::Problem;
use chassis::answer::json;
use chassis::extract::{Json, Query};
use common::geo::{GeolocateBatchRequest, ItemError, Location, MAX_ADDRESSES_PER_REQUEST};
use serde::Serialize;

use super::error;
use super::shape::{FieldSelection, GeolocateParams, SelectedLocation};
use crate::clients::Locator;
use crate::domain::LocateError;

/// About as many bytes as one location has.
const LOCATION_BYTES: usize = 1_024;

/// A [`BatchResponse`](common::geo::BatchResponse) of which only some fields may be shown.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BatchResponse)]
pub(super) struct GeolocateResults {
    results: Vec<GeolocateItem>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BatchItem)]
struct GeolocateItem {
    ip: String,
    location: Option<SelectedLocation>,
    error: Option<ItemError>,
}

/// Where one address is.
#[utoipa::path(get, path = "/geolocate", tag = "geolocate",
    params(
        ("ip" = String, Query, description = "An IPv4 or IPv6 address", example = "81.2.69.142"),
        ("lang" = Option<String>, Query, description = "The language of names where they are \
            known in it, else English: de, en, es, fr, ja, pt-BR, ru, zh-CN"),
        ("fields" = Option<String>, Query, description = "Only these fields, parted by commas",
            example = "country_code,city"),
    ),
    responses(
        (status = 200, body = SelectedLocation, description = "What is known; the rest is null"),
        (status = 400,
            description = "`IP_ADDRESS_REQUIRED`, `IP_ADDRESS_INVALID`, `IP_ADDRESS_RESERVED`, \
                `LANG_UNKNOWN` or `FIELD_UNKNOWN`"),
        (status = 404, description = "`IP_ADDRESS_NOT_FOUND`"),
    ))]
pub(super) async fn one(
    State(locator): State<Arc<Locator>>,
    Query(wanted): Query<GeolocateParams>,
) -> Result<Response, Problem> {
    let shape = FieldSelection::try_from(&wanted)?;
    let found = locator.locate(&wanted.ip, shape.language).await;
    let location = Box::new(found.map_err(error::problem)?);
    json(StatusCode::OK, &shape.show(location), LOCATION_BYTES)
}

/// Where many addresses are, in the order asked; an address that has no answer has an error.
#[utoipa::path(post, path = "/geolocate", tag = "geolocate", request_body = GeolocateBatchRequest,
    params(
        ("lang" = Option<String>, Query, description = "As for one address"),
        ("fields" = Option<String>, Query, description = "As for one address"),
    ),
    responses(
        (status = 200, body = GeolocateResults, description = "One result for each address"),
        (status = 400, description = "`LANG_UNKNOWN`, `FIELD_UNKNOWN` or `BODY_NOT_JSON`"),
        (status = 422, description = "`TOO_MANY_ADDRESSES` or `BODY_INVALID`"),
    ))]
pub(super) async fn many(
    State(locator): State<Arc<Locator>>,
    Query(wanted): Query<GeolocateParams>,
    Json(asked): Json<GeolocateBatchRequest>,
) -> Result<Response, Problem> {
    let shape = FieldSelection::try_from(&wanted)?;
    if asked.ips.len() > MAX_ADDRESSES_PER_REQUEST {
        let detail = format!("at most {MAX_ADDRESSES_PER_REQUEST} addresses at once");
        return Err(Problem::invalid("ips", "TOO_MANY_ADDRESSES", detail));
    }
    let found = locator.locate_many(&asked.ips, shape.language).await;
    let results = asked.ips.into_iter().zip(found);
    let item = |(ip, found)| item(&shape, ip, found);
    let results: Vec<_> = results.map(item).collect();
    let room = LOCATION_BYTES * (results.len() + 1);
    json(StatusCode::OK, &GeolocateResults { results }, room)
}

fn item(
    shape: &FieldSelection,
    ip: String,
    found: Result<Box<Location>, LocateError>,
) -> GeolocateItem {
    let (location, error) = match found {
        Ok(location) => (Some(shape.show(location)), None),
        Err(error) => (None, Some(error::item(error))),
    };
    GeolocateItem {
        ip,
        location,
        error,
    }
}
