//! `/geolocate`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chassis::Problem;
use chassis::extract::{Json, Query};
use chassis::json_response::json_with_capacity;
use common::geo::{GeolocateBatchRequest, ItemError, Location, MAX_ADDRESSES_PER_REQUEST};
use serde::Serialize;

use super::error;
use super::fields::{FieldSelection, GeolocateParams, SelectedLocation};
use crate::app::Locator;
use crate::domain::LocateError;

/// The approximate size of a location in JSON, to allocate response bodies.
const APPROX_LOCATION_BYTES: usize = 1_024;

/// The locations of several addresses, in the order of the request.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BatchResponse)]
pub(super) struct GeolocateResults {
    results: Vec<GeolocateItem>,
}

/// The result for one address: a location or an error.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BatchItem)]
struct GeolocateItem {
    /// The address as in the request.
    ip: String,
    /// The location; null if there is an error.
    location: Option<SelectedLocation>,
    /// Why there is no location; otherwise null.
    error: Option<ItemError>,
}

/// Locate an IP address
///
/// Returns the location of an IPv4 or IPv6 address. Fields without a value are null.
#[utoipa::path(get, path = "/geolocate", tag = "geolocate",
    params(
        ("ip" = String, Query, description = "IPv4 or IPv6 address", example = "81.2.69.142"),
        ("lang" = Option<String>, Query, description = "Language of names: de, en, es, fr, ja, \
            pt-BR, ru or zh-CN. Names without a translation are English. Default: en"),
        ("fields" = Option<String>, Query, description = "Fields to return, separated by commas. \
            Default: all", example = "country_code,city"),
    ),
    responses(
        (status = 200, body = SelectedLocation, description = "The location"),
        (status = 400,
            description = "A parameter is missing or invalid: `IP_ADDRESS_REQUIRED`, \
                `IP_ADDRESS_INVALID`, `IP_ADDRESS_RESERVED`, `LANG_UNKNOWN` or `FIELD_UNKNOWN`"),
        (status = 404, description = "No database has the address: `IP_ADDRESS_NOT_FOUND`"),
    ))]
pub(super) async fn geolocate(
    State(locator): State<Arc<Locator>>,
    Query(wanted): Query<GeolocateParams>,
) -> Result<Response, Problem> {
    let shape = FieldSelection::try_from(&wanted)?;
    let found = locator.locate(&wanted.ip, shape.language).await;
    let location = Box::new(found.map_err(error::locate_problem)?);
    json_with_capacity(
        StatusCode::OK,
        &shape.select(location),
        APPROX_LOCATION_BYTES,
    )
}

/// Locate many IP addresses
///
/// Returns one result for each of up to 1,000 addresses, in the order of the request. An address
/// that cannot be located has an `error` instead of a `location`.
#[utoipa::path(post, path = "/geolocate", tag = "geolocate", request_body = GeolocateBatchRequest,
    params(
        ("lang" = Option<String>, Query, description = "Language of names: de, en, es, fr, ja, \
            pt-BR, ru or zh-CN. Names without a translation are English. Default: en"),
        ("fields" = Option<String>, Query, description = "Fields to return, separated by commas. \
            Default: all", example = "country_code,city"),
    ),
    responses(
        (status = 200, body = GeolocateResults, description = "One result for each address"),
        (status = 400,
            description = "A parameter is invalid, or the body is not JSON: `LANG_UNKNOWN`, \
                `FIELD_UNKNOWN` or `BODY_NOT_JSON`"),
        (status = 422,
            description = "The body is invalid: `TOO_MANY_ADDRESSES` or `BODY_INVALID`"),
    ))]
pub(super) async fn geolocate_batch(
    State(locator): State<Arc<Locator>>,
    Query(wanted): Query<GeolocateParams>,
    Json(asked): Json<GeolocateBatchRequest>,
) -> Result<Response, Problem> {
    let shape = FieldSelection::try_from(&wanted)?;
    if asked.ips.len() > MAX_ADDRESSES_PER_REQUEST {
        let detail = format!("`ips` must have at most {MAX_ADDRESSES_PER_REQUEST} addresses");
        return Err(Problem::invalid("ips", "TOO_MANY_ADDRESSES", detail));
    }
    let found = locator.locate_many(&asked.ips, shape.language).await;
    let results = asked.ips.into_iter().zip(found);
    let item = |(ip, found)| item(&shape, ip, found);
    let results: Vec<_> = results.map(item).collect();
    let room = APPROX_LOCATION_BYTES * (results.len() + 1);
    json_with_capacity(StatusCode::OK, &GeolocateResults { results }, room)
}

fn item(
    shape: &FieldSelection,
    ip: String,
    found: Result<Box<Location>, LocateError>,
) -> GeolocateItem {
    let (location, error) = match found {
        Ok(location) => (Some(shape.select(location)), None),
        Err(error) => (None, Some(error::item_error(error))),
    };
    GeolocateItem {
        ip,
        location,
        error,
    }
}
