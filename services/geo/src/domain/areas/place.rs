//! The place that is checked against service areas.

use common::geo::Location;

use super::codes::{CountryCode, PostalCode, RegionCode};
use super::country_bounds;
use super::sphere::GeoPoint;
use super::verdict::Verdict;

/// The accuracy radius of addresses without one.
const DEFAULT_ACCURACY_KM: f64 = 50.0;
/// With a larger accuracy radius, the postal code is not trusted.
const MAX_POSTAL_CODE_RADIUS_KM: f64 = 10.0;
/// With a larger accuracy radius, the region is not trusted.
const MAX_REGION_RADIUS_KM: f64 = 100.0;

/// A place. Unknown fields are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    pub point: Option<GeoPoint>,
    /// The accuracy radius around `point`. Region and postal code are not trusted if it is large.
    pub accuracy_km: f64,
    pub country: Option<CountryCode>,
    pub region: Option<RegionCode>,
    pub postal_code: Option<PostalCode>,
}

impl Place {
    pub(super) fn has_reliable_region(&self) -> bool {
        self.accuracy_km <= MAX_REGION_RADIUS_KM
    }

    pub(super) fn has_reliable_postal_code(&self) -> bool {
        self.accuracy_km <= MAX_POSTAL_CODE_RADIUS_KM
    }

    /// Whether the place may be in a country: by its country, or else by its coordinates. Never
    /// `Inside`.
    pub(super) fn may_be_in(&self, country: CountryCode) -> Verdict {
        let known = self.country.map(|known| known == country);
        let near = || {
            let point = self.point.as_ref()?;
            Some(country_bounds::bounds_of(country)?.may_contain(*point, self.accuracy_km))
        };
        if known.or_else(near).unwrap_or(true) {
            Verdict::Uncertain
        } else {
            Verdict::Outside
        }
    }
}

impl From<&Location> for Place {
    fn from(location: &Location) -> Self {
        let degrees = location.latitude.zip(location.longitude);
        let point = degrees.and_then(|(north, east)| GeoPoint::new(north, east).ok());
        let country = location
            .country_code
            .as_deref()
            .and_then(CountryCode::parse);
        let region = location.region_code.as_deref();
        Self {
            point,
            accuracy_km: location
                .accuracy_radius_km
                .map_or(DEFAULT_ACCURACY_KM, f64::from),
            country,
            region: country
                .zip(region)
                .and_then(|(country, region)| RegionCode::from_parts(country, region)),
            postal_code: location.postal_code.as_deref().and_then(PostalCode::parse),
        }
    }
}
