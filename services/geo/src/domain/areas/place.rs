//! What is known of a place.

use common::geo::Location;

use super::extent;
use super::{CountryCode, GeoPoint, PostalCode, RegionCode, Verdict};

/// An address without an accuracy radius lies within so many kilometres of its coordinates.
const DEFAULT_ACCURACY_KM: f64 = 50.0;
/// A postal code is believed where the address is located at least so exactly.
const MAX_POSTAL_CODE_RADIUS_KM: f64 = 10.0;
/// A region is believed where the address is located at least so exactly.
const MAX_REGION_RADIUS_KM: f64 = 100.0;

/// A place, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Its coordinates.
    pub point: Option<GeoPoint>,
    /// How far from them it may really be, in kilometres; this tells, too, how far its region and
    /// postal code can be believed.
    pub accuracy_km: f64,
    /// Its country.
    pub country: Option<CountryCode>,
    /// Its region.
    pub region: Option<RegionCode>,
    /// Its postal code.
    pub postal_code: Option<PostalCode>,
}

impl Place {
    pub(super) fn knows_its_region(&self) -> bool {
        self.accuracy_km <= MAX_REGION_RADIUS_KM
    }

    pub(super) fn knows_its_postal_code(&self) -> bool {
        self.accuracy_km <= MAX_POSTAL_CODE_RADIUS_KM
    }

    /// Whether the place may be in a country, as its coordinates tell where its country is not
    /// known.
    pub(super) fn may_be_in(&self, country: CountryCode) -> Verdict {
        let known = self.country.map(|known| known == country);
        let near = || {
            let point = self.point.as_ref()?;
            Some(extent::of(country)?.is_near(*point, self.accuracy_km))
        };
        if known.or_else(near).unwrap_or(true) {
            Verdict::Maybe
        } else {
            Verdict::No
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
                .and_then(|(country, region)| RegionCode::of(country, region)),
            postal_code: location.postal_code.as_deref().and_then(PostalCode::parse),
        }
    }
}
