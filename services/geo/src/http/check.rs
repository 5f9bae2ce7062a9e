//! `/service-areas/check`: whether a place is served.

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
use super::service_areas::{AreasState, here};
use crate::clients::Locator;
use crate::domain::Language;
use crate::domain::areas::{
    self, CoordinateOutOfRange, CountryCode, GeoPoint, Place, PostalCode, RegionCode,
};

/// The place: an address, or whatever is known of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AreaCheckParams {
    /// An IPv4 or IPv6 address, by itself.
    ip: Option<String>,
    /// Degrees north.
    latitude: Option<f64>,
    /// Degrees east.
    longitude: Option<f64>,
    /// ISO 3166-1 alpha-2.
    country_code: Option<String>,
    /// ISO 3166-2 without the country; needs `country_code`.
    region_code: Option<String>,
    /// A postal code.
    postal_code: Option<String>,
}

/// Whether a place is served.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"verdict": "inside",
    "areas": [{"id": "019ab3a0-6c00-7000-8000-000000000001", "name": "Inner London"}],
    "nearest": {"id": "019ab3a0-6c00-7000-8000-000000000001", "name": "Inner London",
        "distance_km": 0.0}, "location": null}))]
pub(super) struct AreaCheckResponse {
    /// `inside`, `outside` or `uncertain`.
    #[schema(value_type = String)]
    verdict: areas::Verdict,
    /// The areas that made the verdict: those that hold the place, at most 100, or where that is
    /// uncertain, those that may, at most 20.
    areas: Vec<AreaSummary>,
    /// The nearest area with a geometry or circle, where the place has coordinates.
    nearest: Option<NearestAreaSummary>,
    /// Where the address is.
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
    /// Kilometres to its border; 0 inside.
    distance_km: f64,
}

/// Whether a place lies in a service area: by an address, by coordinates, or by its country with
/// region and postal code; what is known besides coordinates may be given with them.
#[utoipa::path(get, path = "/service-areas/check", tag = "service areas", params(AreaCheckParams),
    responses(
        (status = 200, body = AreaCheckResponse, description = "The verdict"),
        (status = 400,
            description = "`PLACE_REQUIRED`, `PLACE_AMBIGUOUS`, `LATITUDE_REQUIRED` …, or as for \
                `/geolocate`"),
        (status = 503, description = "`SERVICE_AREAS_UNAVAILABLE`"),
    ))]
pub(super) async fn check(
    State((shared, locator)): State<(AreasState, Arc<Locator>)>,
    Query(asked): Query<AreaCheckParams>,
) -> Result<Answer<AreaCheckResponse>, Problem> {
    let index = here(shared)?.follower.index();
    let index = index.ok_or_else(error::areas_unknown)?;
    let (place, location) = match asked.place()? {
        CheckedPlace::Place(place) => (place, None),
        CheckedPlace::Ip(ip) => {
            let found = locator.locate(&ip, Language::default()).await;
            let location = found.map_err(error::problem)?;
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
    fn place(self) -> Result<CheckedPlace, Problem> {
        let point = self.point()?;
        let country = self.country_code.as_deref().map(|text| {
            let wrong = || {
                wrong(
                    "country_code",
                    "COUNTRY_UNKNOWN",
                    "there is no such country",
                )
            };
            CountryCode::parse(text).ok_or_else(wrong)
        });
        let country = country.transpose()?;
        let region = self.region_code.as_deref().map(|text| {
            let wrong = || {
                let detail = "a region is the part of an ISO 3166-2 code after the hyphen, and \
                              needs its country_code";
                wrong("region_code", "REGION_INVALID", detail)
            };
            country
                .and_then(|country| RegionCode::of(country, text))
                .ok_or_else(wrong)
        });
        let postal_code = self.postal_code.as_deref().map(|text| {
            let detail = "a postal code is 1 to 16 letters, digits, spaces and hyphens";
            PostalCode::parse(text)
                .ok_or_else(|| wrong("postal_code", "POSTAL_CODE_INVALID", detail))
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
                let detail = "give an ip, or what else is known of the place, not both";
                Err(wrong("ip", "PLACE_AMBIGUOUS", detail))
            }
            (None, true) => {
                let detail = "give an ip, latitude and longitude, or country_code and postal_code";
                Err(wrong("ip", "PLACE_REQUIRED", detail))
            }
        }
    }

    fn point(&self) -> Result<Option<GeoPoint>, Problem> {
        let (latitude, longitude) = match (self.latitude, self.longitude) {
            (Some(latitude), Some(longitude)) => (latitude, longitude),
            (None, None) => return Ok(None),
            (Some(_), None) => {
                return Err(wrong(
                    "longitude",
                    "LONGITUDE_REQUIRED",
                    "give the longitude, too",
                ));
            }
            (None, Some(_)) => {
                return Err(wrong(
                    "latitude",
                    "LATITUDE_REQUIRED",
                    "give the latitude, too",
                ));
            }
        };
        let point = GeoPoint::new(latitude, longitude).map_err(|error| {
            let (field, code) = match error {
                CoordinateOutOfRange::Latitude => ("latitude", "LATITUDE_OUT_OF_RANGE"),
                CoordinateOutOfRange::Longitude => ("longitude", "LONGITUDE_OUT_OF_RANGE"),
            };
            wrong(field, code, error.to_string())
        });
        point.map(Some)
    }
}

fn wrong(field: &'static str, code: &'static str, detail: impl Into<String>) -> Problem {
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
            // Metres are more than is known.
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
