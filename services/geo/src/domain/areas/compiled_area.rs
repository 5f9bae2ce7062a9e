//! A service area that is prepared for checks.

use super::codes::{CountryCode, RegionCode, ScopedPostalCode};
use super::country_bounds;
use super::place::Place;
use super::shape::{Circle, Polygon};
use super::sphere::{EARTH_RADIUS_KM, GeoPoint, Position, UnitVector, angle, edge_angle};
use super::verdict::{Verdict, max_verdict};

/// The index of the circle among the shapes of an area.
pub(super) const CIRCLE_INDEX: usize = usize::MAX;

/// A validated service area, prepared for checks.
#[derive(Clone, Debug)]
pub struct CompiledArea {
    pub(super) polygons: Vec<Polygon>,
    /// The segments of the antimeridian at which the area ends. At others the polygons continue on
    /// the other side.
    pub(super) antimeridian_border: Vec<(Position, Position)>,
    pub(super) circle: Option<Circle>,
    pub(super) postal_codes: Vec<ScopedPostalCode>,
    pub(super) regions: Vec<RegionCode>,
    pub(super) countries: Vec<CountryCode>,
    pub(super) vertices: usize,
}

impl CompiledArea {
    /// The number of positions of the geometry.
    #[must_use]
    pub fn vertices(&self) -> usize {
        self.vertices
    }

    #[must_use]
    pub fn verdict_for(&self, place: &Place) -> Verdict {
        let countries = self.countries.iter();
        let countries = countries.map(|country| country.verdict_for(place));
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

    pub(super) fn bounds(&self) -> impl Iterator<Item = geo_types::Rect<f64>> {
        let polygons = self.polygons.iter().map(|part| part.bounds);
        polygons.chain(self.circle.map(|circle| circle.bounds))
    }

    /// The smaller of `best` and the angle from a point to a shape, which is 0 inside.
    pub(super) fn angle_to_shape(&self, part: usize, point: GeoPoint, best: f64) -> f64 {
        let from = point.unit_vector();
        match (self.polygons.get(part), &self.circle) {
            (Some(polygon), _) if polygon.contains_point(point) => 0.0,
            (Some(polygon), _) => polygon.angle_to(from, best),
            (None, Some(circle)) => circle.cap.min_angle(from).min(best),
            (None, None) => best,
        }
    }
}
