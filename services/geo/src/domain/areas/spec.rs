//! The definition of a service area in requests and in the database, and its validation.

use geojson::Geometry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::codes::{CountryCode, RegionCode, ScopedPostalCode};
use super::compiled_area::CompiledArea;
use super::invalid_geometry::InvalidGeometry;
use super::polygon::{count_vertices, parse_polygons};
use super::shape::{Circle, Polygon, antimeridian_border};
use super::sphere::{CoordinateOutOfRange, EARTH_RADIUS_KM, GeoPoint};

/// Per area.
pub const MAX_POSTAL_CODES: usize = 1_000;
/// Per area, each.
pub const MAX_REGIONS_OR_COUNTRIES: usize = 300;
const MAX_NAME_CHARS: usize = 200;
/// Half the circumference of the Earth: a circle of this radius covers the globe.
const MAX_RADIUS_KM: f64 = 20_020.0;

/// A service area: the union of a geometry, a circle, postal codes, regions and countries. At
/// least one of them is required.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Inner London", "enabled": true, "geometry": null,
    "center": {"latitude": 51.5074, "longitude": -0.1278}, "radius_km": 8.0,
    "postal_codes": ["GB:SE10"], "regions": [], "countries": []}))]
pub struct ServiceAreaSpec {
    /// Name of the area: one line of 1 to 200 characters.
    pub name: String,
    /// Whether checks use the area. Default: true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// A GeoJSON Polygon or MultiPolygon (RFC 7946) with at most 10,000 positions.
    #[schema(value_type = Option<Object>)]
    pub geometry: Option<Geometry>,
    /// Center of a circle. Requires `radius_km`.
    pub center: Option<Center>,
    /// Radius of the circle in kilometres, more than 0 and at most 20020. Requires `center`.
    pub radius_km: Option<f64>,
    /// Up to 1,000 postal codes, in one country (`US:94107`) or in any country (`94107`). `SW1A`
    /// contains `SW1A 1AA`.
    #[serde(default)]
    pub postal_codes: Vec<String>,
    /// Up to 300 regions as ISO 3166-2 codes, such as `US-TX`.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Up to 300 countries as ISO 3166-1 alpha-2 codes, such as `US`.
    #[serde(default)]
    pub countries: Vec<String>,
}

/// The center of a circle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Center {
    /// Latitude in degrees, -90 to 90.
    pub latitude: f64,
    /// Longitude in degrees, -180 to 180.
    pub longitude: f64,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidServiceArea {
    #[error("`name` must be one line of 1 to {MAX_NAME_CHARS} characters")]
    Name,
    #[error("an area requires a geometry, a circle, postal codes, regions or countries")]
    NoCriterion,
    #[error(transparent)]
    Geometry(#[from] InvalidGeometry),
    #[error(transparent)]
    Center(#[from] CoordinateOutOfRange),
    #[error("`radius_km` requires `center`")]
    CenterMissing,
    #[error("`center` requires `radius_km`")]
    RadiusMissing,
    #[error("`radius_km` must be more than 0 and at most {MAX_RADIUS_KM}")]
    Radius,
    /// The index in the list.
    #[error(
        "a postal code must be 1 to 16 letters, digits, spaces and hyphens, optionally after a \
         country code and a colon, such as 94107 or US:94107"
    )]
    PostalCode(usize),
    /// The index in the list.
    #[error("a region must be an ISO 3166-2 code, such as US-TX")]
    Region(usize),
    /// The index in the list.
    #[error("a country must be an ISO 3166-1 alpha-2 code, such as US")]
    Country(usize),
    /// The list, and its bound.
    #[error("`{0}` must have at most {1} entries")]
    TooMany(&'static str, usize),
}

impl ServiceAreaSpec {
    /// Trims the name and removes members of the geometry that GeoJSON does not define.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        self.name = self.name.trim().to_owned();
        self.geometry = self.geometry.map(|geometry| Geometry::new(geometry.value));
        self
    }

    /// Validates the definition and compiles it for checks. Takes up to a second for a large
    /// geometry whose edges overlap much.
    pub fn compile(&self) -> Result<CompiledArea, InvalidServiceArea> {
        let name = self.name.trim();
        let sound = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
        if !sound || name.chars().any(char::is_control) {
            return Err(InvalidServiceArea::Name);
        }
        let rings = self
            .geometry
            .as_ref()
            .map(|geometry| parse_polygons(&geometry.value));
        let rings = rings.transpose()?.unwrap_or_default();
        let vertices = count_vertices(&rings);
        let polygons: Vec<_> = rings.into_iter().map(Polygon::new).collect();
        let area = CompiledArea {
            antimeridian_border: antimeridian_border(&polygons),
            polygons,
            circle: self.circle()?,
            postal_codes: parse_list(
                ("postal_codes", MAX_POSTAL_CODES),
                &self.postal_codes,
                ScopedPostalCode::parse,
                InvalidServiceArea::PostalCode,
            )?,
            regions: parse_list(
                ("regions", MAX_REGIONS_OR_COUNTRIES),
                &self.regions,
                RegionCode::parse,
                InvalidServiceArea::Region,
            )?,
            countries: parse_list(
                ("countries", MAX_REGIONS_OR_COUNTRIES),
                &self.countries,
                CountryCode::parse,
                InvalidServiceArea::Country,
            )?,
            vertices,
        };
        let is_nowhere = area.polygons.is_empty()
            && area.circle.is_none()
            && area.postal_codes.is_empty()
            && area.regions.is_empty()
            && area.countries.is_empty();
        if is_nowhere {
            return Err(InvalidServiceArea::NoCriterion);
        }
        Ok(area)
    }

    fn circle(&self) -> Result<Option<Circle>, InvalidServiceArea> {
        let (center, radius) = match (self.center, self.radius_km) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(InvalidServiceArea::CenterMissing),
            (Some(_), None) => return Err(InvalidServiceArea::RadiusMissing),
            (Some(center), Some(radius)) => (center, radius),
        };
        let center = GeoPoint::new(center.latitude, center.longitude)?;
        if !(radius > 0.0 && radius <= MAX_RADIUS_KM) {
            return Err(InvalidServiceArea::Radius);
        }
        Ok(Some(Circle::new(center, radius / EARTH_RADIUS_KM)))
    }
}

impl InvalidServiceArea {
    /// The `code` of the problem response.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name => "NAME_INVALID",
            Self::NoCriterion => "CRITERION_REQUIRED",
            Self::Geometry(geometry) => geometry.code(),
            Self::Center(CoordinateOutOfRange::Latitude) => "LATITUDE_OUT_OF_RANGE",
            Self::Center(CoordinateOutOfRange::Longitude) => "LONGITUDE_OUT_OF_RANGE",
            Self::CenterMissing => "CENTER_REQUIRED",
            Self::RadiusMissing => "RADIUS_REQUIRED",
            Self::Radius => "RADIUS_INVALID",
            Self::PostalCode(_) => "POSTAL_CODE_INVALID",
            Self::Region(_) => "REGION_INVALID",
            Self::Country(_) => "COUNTRY_UNKNOWN",
            Self::TooMany("postal_codes", _) => "TOO_MANY_POSTAL_CODES",
            Self::TooMany("regions", _) => "TOO_MANY_REGIONS",
            Self::TooMany(..) => "TOO_MANY_COUNTRIES",
        }
    }

    /// The `field` of the problem response.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::Name => "name".into(),
            Self::NoCriterion => "body".into(),
            Self::Geometry(geometry) => geometry.field().into(),
            Self::Center(CoordinateOutOfRange::Latitude) => "center.latitude".into(),
            Self::Center(CoordinateOutOfRange::Longitude) => "center.longitude".into(),
            Self::CenterMissing => "center".into(),
            Self::RadiusMissing | Self::Radius => "radius_km".into(),
            Self::PostalCode(n) => format!("postal_codes[{n}]"),
            Self::Region(n) => format!("regions[{n}]"),
            Self::Country(n) => format!("countries[{n}]"),
            Self::TooMany(list, _) => (*list).into(),
        }
    }
}

fn parse_list<T>(
    (list, most): (&'static str, usize),
    texts: &[String],
    parse: impl Fn(&str) -> Option<T>,
    wrong: impl Fn(usize) -> InvalidServiceArea,
) -> Result<Vec<T>, InvalidServiceArea> {
    if texts.len() > most {
        return Err(InvalidServiceArea::TooMany(list, most));
    }
    let parsed = texts.iter().enumerate();
    parsed
        .map(|(n, text)| parse(text).ok_or_else(|| wrong(n)))
        .collect()
}

fn yes() -> bool {
    true
}
