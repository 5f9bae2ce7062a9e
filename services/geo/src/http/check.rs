//! `/service-areas/check`

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::Query;
use common::geo::Location;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error;
use super::service_areas::{AreasState, require_areas};
use crate::app::Locator;
use crate::domain::Language;
use crate::domain::areas::{
    self, CoordinateOutOfRange, CountryCode, GeoPoint, Place, PostalCode, RegionCode,
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AreaCheckParams {
    /// IPv4 or IPv6 address. Cannot be combined with other parameters.
    ip: Option<String>,
    /// Latitude in degrees, -90 to 90. Requires `longitude`.
    latitude: Option<f64>,
    /// Longitude in degrees, -180 to 180. Requires `latitude`.
    longitude: Option<f64>,
    /// Country code (ISO 3166-1 alpha-2), such as `US`.
    country_code: Option<String>,
    /// The part of an ISO 3166-2 code after the hyphen, such as `TX`. Requires `country_code`.
    region_code: Option<String>,
    /// Postal code: 1 to 16 letters, digits, spaces and hyphens.
    postal_code: Option<String>,
}

/// The result of a service area check.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"verdict": "inside",
    "areas": [{"id": "019ab3a0-6c00-7000-8000-000000000001", "name": "Inner London"}],
    "nearest": {"id": "019ab3a0-6c00-7000-8000-000000000001", "name": "Inner London",
        "distance_km": 0.0}, "location": null}))]
pub(super) struct AreaCheckResponse {
    /// `inside`, `outside`, or `uncertain` if the place is not known precisely enough.
    #[schema(value_type = String)]
    verdict: areas::Verdict,
    /// The areas that contain the place (at most 100) if the verdict is `inside`; the areas that
    /// may contain it (at most 20) if the verdict is `uncertain`; otherwise empty.
    areas: Vec<AreaSummary>,
    /// The nearest area with a geometry or circle; null if the place has no coordinates.
    nearest: Option<NearestAreaSummary>,
    /// The location of the address; null if the request has no `ip`.
    location: Option<Location>,
}

#[derive(Serialize, ToSchema)]
struct AreaSummary {
    id: Uuid,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct NearestAreaSummary {
    id: Uuid,
    name: String,
    /// Distance to the border of the area in kilometres; 0 inside.
    distance_km: f64,
}

/// Check whether a place is in a service area
///
/// The place is an IP address, or coordinates, or a country with region or postal code.
/// Coordinates can be combined with country, region and postal code. Only enabled areas are
/// checked.
#[utoipa::path(get, path = "/service-areas/check", tag = "service areas", params(AreaCheckParams),
    responses(
        (status = 200, body = AreaCheckResponse, description = "The verdict"),
        (status = 400,
            description = "A parameter is missing or invalid: `PLACE_REQUIRED`, `PLACE_AMBIGUOUS`, \
                `LATITUDE_REQUIRED`, `LONGITUDE_REQUIRED`, `LATITUDE_OUT_OF_RANGE`, \
                    `LONGITUDE_OUT_OF_RANGE`, `COUNTRY_UNKNOWN`, `REGION_INVALID`, \
                    `POSTAL_CODE_INVALID`, `IP_ADDRESS_REQUIRED`, `IP_ADDRESS_INVALID` or \
                    `IP_ADDRESS_RESERVED`"),
        (status = 404, description = "No database has the address: `IP_ADDRESS_NOT_FOUND`"),
        (status = 503,
            description = "Service areas need a database, or are not loaded yet: \
                `SERVICE_AREAS_UNAVAILABLE`"),
    ))]
pub(super) async fn check(
    State((shared, locator)): State<(AreasState, Arc<Locator>)>,
    Query(asked): Query<AreaCheckParams>,
) -> Result<Answer<AreaCheckResponse>, Problem> {
    let index = require_areas(shared)?.index();
    let index = index.ok_or_else(error::areas_not_loaded)?;
    let (place, location) = match asked.into_place()? {
        CheckedPlace::Place(place) => (place, None),
        CheckedPlace::Ip(ip) => {
            let found = locator.locate(&ip, Language::default()).await;
            let location = found.map_err(error::locate_problem)?;
            (Place::from(&location), Some(location))
        }
    };
    Ok(Answer(AreaCheckResponse::new(
        &index.check(&place),
        location,
    )))
}

enum CheckedPlace {
    Ip(String),
    Place(Place),
}

impl AreaCheckParams {
    fn into_place(self) -> Result<CheckedPlace, Problem> {
        let point = self.point()?;
        let country = self.country_code.as_deref().map(|text| {
            let wrong = || {
                bad_request(
                    "country_code",
                    "COUNTRY_UNKNOWN",
                    "`country_code` must be an ISO 3166-1 alpha-2 code, such as US",
                )
            };
            CountryCode::parse(text).ok_or_else(wrong)
        });
        let country = country.transpose()?;
        let region = self.region_code.as_deref().map(|text| {
            let wrong = || {
                let detail = "`region_code` must be the part of an ISO 3166-2 code after the \
                              hyphen, such as TX, and requires `country_code`";
                bad_request("region_code", "REGION_INVALID", detail)
            };
            country
                .and_then(|country| RegionCode::from_parts(country, text))
                .ok_or_else(wrong)
        });
        let postal_code = self.postal_code.as_deref().map(|text| {
            let detail = "`postal_code` must be 1 to 16 letters, digits, spaces and hyphens";
            PostalCode::parse(text)
                .ok_or_else(|| bad_request("postal_code", "POSTAL_CODE_INVALID", detail))
        });
        let place = Place {
            point,
            accuracy_km: 0.0,
            country,
            region: region.transpose()?,
            postal_code: postal_code.transpose()?,
        };
        match (self.ip, place == Place::default()) {
            (Some(ip), true) => Ok(CheckedPlace::Ip(ip)),
            (None, false) => Ok(CheckedPlace::Place(place)),
            (Some(_), false) => {
                let detail = "`ip` cannot be combined with other parameters";
                Err(bad_request("ip", "PLACE_AMBIGUOUS", detail))
            }
            (None, true) => {
                let detail = "a place is required: `ip`, or `latitude` and `longitude`, or \
                              `country_code` with `region_code` and `postal_code`";
                Err(bad_request("ip", "PLACE_REQUIRED", detail))
            }
        }
    }

    fn point(&self) -> Result<Option<GeoPoint>, Problem> {
        let (latitude, longitude) = match (self.latitude, self.longitude) {
            (Some(latitude), Some(longitude)) => (latitude, longitude),
            (None, None) => return Ok(None),
            (Some(_), None) => {
                return Err(bad_request(
                    "longitude",
                    "LONGITUDE_REQUIRED",
                    "`latitude` requires `longitude`",
                ));
            }
            (None, Some(_)) => {
                return Err(bad_request(
                    "latitude",
                    "LATITUDE_REQUIRED",
                    "`longitude` requires `latitude`",
                ));
            }
        };
        let point = GeoPoint::new(latitude, longitude).map_err(|error| {
            let (field, code) = match error {
                CoordinateOutOfRange::Latitude => ("latitude", "LATITUDE_OUT_OF_RANGE"),
                CoordinateOutOfRange::Longitude => ("longitude", "LONGITUDE_OUT_OF_RANGE"),
            };
            bad_request(field, code, error.to_string())
        });
        point.map(Some)
    }
}

fn bad_request(field: &'static str, code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail).field(field)
}

impl AreaCheckResponse {
    fn new(found: &areas::AreaMatches, location: Option<Location>) -> Self {
        let hits = found.areas.iter().map(|hit| AreaSummary {
            id: hit.id,
            name: hit.name.clone(),
        });
        let nearest = found.nearest.as_ref().map(|nearest| NearestAreaSummary {
            id: nearest.area.id,
            name: nearest.area.name.clone(),
            // Rounded to metres.
            distance_km: (nearest.distance_km * 1e3).round() / 1e3,
        });
        Self {
            verdict: found.verdict,
            areas: hits.collect(),
            nearest,
            location,
        }
    }
}
