//! Service areas: where a business serves its customers, and whether a place is inside.
//!
//! A verdict has three values, because the location of an address is an estimate with a radius, and
//! often only a country. An area is the union of its criteria: a place is inside if it meets one
//! criterion for certain, and outside if it cannot meet any.

mod codes;
mod country_bounds;
mod index;
mod place;
mod polygon;
mod shape;
mod spec;
mod sphere;
#[cfg(test)]
mod tests;
mod validity;

pub use codes::{CountryCode, PostalCode, RegionCode, ScopedPostalCode};
pub use index::{
    AreaIndex, AreaMatches, IndexedArea, MAX_INSIDE_AREAS, MAX_UNCERTAIN_AREAS, NearestArea,
};
pub use place::Place;
pub use polygon::{InvalidGeometry, MAX_VERTICES};
pub use spec::{
    Center, InvalidServiceArea, MAX_POSTAL_CODES, MAX_REGIONS_OR_COUNTRIES, ServiceAreaSpec,
};
pub use sphere::{CoordinateOutOfRange, EARTH_RADIUS_KM, GeoPoint};

use serde::Serialize;
use shape::{Circle, Polygon};
use sphere::{Position, UnitVector, angle, edge_angle};
use utoipa::ToSchema;

/// Whether a place is in an area, or in any of several areas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub enum Verdict {
    #[default]
    #[serde(rename = "outside")]
    Outside,
    #[serde(rename = "uncertain")]
    Uncertain,
    #[serde(rename = "inside")]
    Inside,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Self {
        if yes { Self::Inside } else { Self::Outside }
    }
}

/// A validated service area, prepared for checks.
#[derive(Clone, Debug)]
pub struct CompiledArea {
    polygons: Vec<Polygon>,
    /// The segments of the antimeridian at which the area ends. At others the polygons continue on
    /// the other side.
    antimeridian_border: Vec<(Position, Position)>,
    circle: Option<Circle>,
    postal_codes: Vec<ScopedPostalCode>,
    regions: Vec<RegionCode>,
    countries: Vec<CountryCode>,
    vertices: usize,
}

impl CompiledArea {
    /// The number of positions of the geometry.
    #[must_use]
    pub fn vertices(&self) -> usize {
        self.vertices
    }

    #[must_use]
    pub fn verdict_for(&self, place: &Place) -> Verdict {
        let country = |own: &CountryCode| match place.country {
            Some(known) => (known == *own).into(),
            None => place.may_be_in(*own),
        };
        let countries = self.countries.iter().map(country);
        let regions = self.regions.iter().map(|region| region.verdict_for(place));
        let postal_codes = self.postal_codes.iter().map(|code| code.verdict_for(place));
        let named = countries.chain(regions).chain(postal_codes);
        max_verdict(std::iter::once_with(|| self.verdict_by_shapes(place)).chain(named))
    }

    /// The distance from a point to the geometry or circle of the area, 0 inside; `None` if the
    /// area has neither.
    #[must_use]
    pub fn distance_km(&self, point: GeoPoint) -> Option<f64> {
        let parts = 0..self.polygons.len();
        let circle = self.circle.iter().map(|_| CIRCLE_INDEX);
        let parts = parts.chain(circle);
        let angle = parts.fold(f64::MAX, |best, part| {
            self.angle_to_shape(part, point, best)
        });
        (angle < f64::MAX).then_some(angle * EARTH_RADIUS_KM)
    }

    fn verdict_by_shapes(&self, place: &Place) -> Verdict {
        let Some(point) = place.point else {
            return self.verdict_by_country_bounds(place.country);
        };
        let (from, reach) = (point.unit_vector(), place.accuracy_km / EARTH_RADIUS_KM);
        let circle = self.circle.map(|circle| {
            let distance = angle(from, circle.cap.centre);
            if distance + reach <= circle.cap.radius {
                Verdict::Inside
            } else {
                Verdict::from(distance - reach <= circle.cap.radius).min(Verdict::Uncertain)
            }
        });
        let polygons = std::iter::once_with(|| self.verdict_by_polygons(point, from, reach));
        max_verdict(circle.into_iter().chain(polygons))
    }

    /// Treats the polygons as one: there is no border where they touch at the antimeridian.
    fn verdict_by_polygons(&self, point: GeoPoint, from: UnitVector, reach: f64) -> Verdict {
        if self.polygons.iter().any(|part| part.contains_point(point)) {
            let parts = self.polygons.iter();
            let depth = parts.fold(reach, |best, part| part.angle_to_border(from, best));
            let rest = self.antimeridian_border.iter();
            let depth = rest.fold(depth, |best, (a, b)| edge_angle(from, *a, *b, best));
            return if depth >= reach {
                Verdict::Inside
            } else {
                Verdict::Uncertain
            };
        }
        let near = |part: &Polygon| {
            let least = part.cap.min_angle(from);
            // If even the farthest point is within reach, the edges need not be checked.
            let most = least + 2.0 * part.cap.radius;
            least <= reach && (most <= reach || part.angle_to(from, f64::MAX) <= reach)
        };
        Verdict::from(self.polygons.iter().any(near)).min(Verdict::Uncertain)
    }

    /// A place with a country only is outside of areas that do not overlap the bounds of the
    /// country, and uncertain otherwise.
    fn verdict_by_country_bounds(&self, country: Option<CountryCode>) -> Verdict {
        let extent = country.and_then(country_bounds::bounds_of);
        let mut bounds = self.bounds();
        let near = bounds.any(|bounds| extent.is_none_or(|extent| extent.overlaps(&bounds)));
        Verdict::from(near).min(Verdict::Uncertain)
    }

    fn bounds(&self) -> impl Iterator<Item = geo_types::Rect<f64>> {
        let polygons = self.polygons.iter().map(|part| part.bounds);
        polygons.chain(self.circle.map(|circle| circle.bounds))
    }

    /// The smaller of `best` and the angle from a point to a shape, which is 0 inside.
    fn angle_to_shape(&self, part: usize, point: GeoPoint, best: f64) -> f64 {
        let from = point.unit_vector();
        match (self.polygons.get(part), &self.circle) {
            (Some(polygon), _) if polygon.contains_point(point) => 0.0,
            (Some(polygon), _) => polygon.angle_to(from, best),
            (None, Some(circle)) => circle.cap.min_angle(from).min(best),
            (None, None) => best,
        }
    }
}

/// The index of the circle among the shapes of an area.
const CIRCLE_INDEX: usize = usize::MAX;

/// The maximum of the verdicts. Stops at the first `Yes`.
fn max_verdict(answers: impl Iterator<Item = Verdict>) -> Verdict {
    let mut best = Verdict::Outside;
    for answer in answers {
        best = best.max(answer);
        if best == Verdict::Inside {
            break;
        }
    }
    best
}
