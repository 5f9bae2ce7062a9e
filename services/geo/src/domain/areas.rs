//! Service areas: where a business serves its customers, and whether a place is inside.
//!
//! A verdict has three values, because the location of an address is an estimate with a radius, and
//! often only a country. An area is the union of its criteria: a place is inside if it meets one
//! criterion for certain, and outside if it cannot meet any.

mod codes;
mod compiled_area;
mod country_bounds;
mod criteria;
mod index;
mod invalid_geometry;
mod place;
mod polygon;
mod shape;
mod spec;
mod sphere;
#[cfg(test)]
mod tests;
mod validity;
mod verdict;

pub use codes::{CountryCode, PostalCode, RegionCode, ScopedPostalCode};
pub use compiled_area::CompiledArea;
pub use index::{
    AreaIndex, AreaMatches, IndexedArea, MAX_INSIDE_AREAS, MAX_UNCERTAIN_AREAS, NearestArea,
};
pub use invalid_geometry::{InvalidGeometry, MAX_VERTICES};
pub use place::Place;
pub use spec::{
    Center, InvalidServiceArea, MAX_POSTAL_CODES, MAX_REGIONS_OR_COUNTRIES, ServiceAreaSpec,
};
pub use sphere::{CoordinateOutOfRange, EARTH_RADIUS_KM, GeoPoint};
pub use verdict::Verdict;
