//! Service areas: where a business serves, and whether a place is there.
//!
//! Answers have three values, since addresses are known to lie *somewhere around* a place, and
//! often by their country only. An area is the union of its criteria: it holds a place for sure
//! where one criterion does, and surely not where none may.

mod draft;
mod extent;
mod index;
mod names;
mod place;
mod polygon;
mod shape;
mod simple;
mod sphere;
#[cfg(test)]
mod tests;

pub use draft::{
    Center, InvalidServiceArea, MAX_POSTAL_CODES, MAX_REGIONS_OR_COUNTRIES, ServiceAreaSpec,
};
pub use index::{
    AreaIndex, AreaMatches, IndexedArea, MAX_INSIDE_AREAS, MAX_UNCERTAIN_AREAS, NearestArea,
};
pub use names::{CountryCode, PostalCode, RegionCode, ScopedPostalCode};
pub use place::Place;
pub use polygon::{InvalidGeometry, MAX_VERTICES};
pub use sphere::{CoordinateOutOfRange, EARTH_RADIUS_KM, GeoPoint};

use serde::Serialize;
use shape::{Circle, Polygon};
use sphere::{Position, UnitVector, angle, edge_angle};
use utoipa::ToSchema;

/// Whether a place lies in an area, or in one of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub enum Verdict {
    /// Surely not.
    #[default]
    #[serde(rename = "outside")]
    No,
    /// It may.
    #[serde(rename = "uncertain")]
    Maybe,
    /// For sure.
    #[serde(rename = "inside")]
    Yes,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// A service area, checked and ready to be asked.
#[derive(Clone, Debug)]
pub struct CompiledArea {
    polygons: Vec<Polygon>,
    /// Parts of the antimeridian where the polygons end, and do not just go on beyond it.
    border: Vec<(Position, Position)>,
    circle: Option<Circle>,
    postal_codes: Vec<ScopedPostalCode>,
    regions: Vec<RegionCode>,
    countries: Vec<CountryCode>,
    vertices: usize,
}

impl CompiledArea {
    /// How many positions its geometry has.
    #[must_use]
    pub fn vertices(&self) -> usize {
        self.vertices
    }

    /// Whether a place lies in the area.
    #[must_use]
    pub fn judge(&self, place: &Place) -> Verdict {
        let country = |own: &CountryCode| match place.country {
            Some(known) => (known == *own).into(),
            None => place.may_be_in(*own),
        };
        let countries = self.countries.iter().map(country);
        let regions = self.regions.iter().map(|region| region.judge(place));
        let postal_codes = self.postal_codes.iter().map(|code| code.judge(place));
        let named = countries.chain(regions).chain(postal_codes);
        best(std::iter::once_with(|| self.judge_shapes(place)).chain(named))
    }

    /// Kilometres from a place to the area's shapes, 0 inside; `None` where it has none.
    #[must_use]
    pub fn distance_km(&self, point: GeoPoint) -> Option<f64> {
        let parts = 0..self.polygons.len();
        let circle = self.circle.iter().map(|_| CIRCLE_PART);
        let parts = parts.chain(circle);
        let angle = parts.fold(f64::MAX, |best, part| self.angle_to(part, point, best));
        (angle < f64::MAX).then_some(angle * EARTH_RADIUS_KM)
    }

    fn judge_shapes(&self, place: &Place) -> Verdict {
        let Some(point) = place.point else {
            return self.judge_shapes_by_country(place.country);
        };
        let (from, reach) = (point.direction(), place.accuracy_km / EARTH_RADIUS_KM);
        let circle = self.circle.map(|circle| {
            let distance = angle(from, circle.ball.centre);
            if distance + reach <= circle.ball.radius {
                Verdict::Yes
            } else {
                Verdict::from(distance - reach <= circle.ball.radius).min(Verdict::Maybe)
            }
        });
        let polygons = std::iter::once_with(|| self.judge_polygons(point, from, reach));
        best(circle.into_iter().chain(polygons))
    }

    /// The polygons are one: where they touch at the antimeridian there is no border.
    fn judge_polygons(&self, point: GeoPoint, from: UnitVector, reach: f64) -> Verdict {
        if self.polygons.iter().any(|part| part.contains(point)) {
            let parts = self.polygons.iter();
            let depth = parts.fold(reach, |best, part| part.angle_to_border(from, best));
            let rest = self.border.iter();
            let depth = rest.fold(depth, |best, (a, b)| edge_angle(from, *a, *b, best));
            return if depth >= reach {
                Verdict::Yes
            } else {
                Verdict::Maybe
            };
        }
        let near = |part: &Polygon| {
            let least = part.ball.least_angle(from);
            // All of it may be near, whatever its edges are.
            let most = least + 2.0 * part.ball.radius;
            least <= reach && (most <= reach || part.angle_to(from, f64::MAX) <= reach)
        };
        Verdict::from(self.polygons.iter().any(near)).min(Verdict::Maybe)
    }

    /// Of a place whose country alone is known, it can be said that it is not in an area which
    /// lies elsewhere.
    fn judge_shapes_by_country(&self, country: Option<CountryCode>) -> Verdict {
        let extent = country.and_then(extent::of);
        let mut bounds = self.bounds();
        let near = bounds.any(|bounds| extent.is_none_or(|extent| extent.overlaps(&bounds)));
        Verdict::from(near).min(Verdict::Maybe)
    }

    fn bounds(&self) -> impl Iterator<Item = geo_types::Rect<f64>> {
        let polygons = self.polygons.iter().map(|part| part.bounds);
        polygons.chain(self.circle.map(|circle| circle.bounds))
    }

    /// The angle from a place to one of the shapes, 0 inside; no more than `best`.
    fn angle_to(&self, part: usize, point: GeoPoint, best: f64) -> f64 {
        let from = point.direction();
        match (self.polygons.get(part), &self.circle) {
            (Some(polygon), _) if polygon.contains(point) => 0.0,
            (Some(polygon), _) => polygon.angle_to(from, best),
            (None, Some(circle)) => circle.ball.least_angle(from).min(best),
            (None, None) => best,
        }
    }
}

/// The number that stands for the circle among the shapes.
const CIRCLE_PART: usize = usize::MAX;

/// The surest of the answers; does not look further than the first yes.
fn best(answers: impl Iterator<Item = Verdict>) -> Verdict {
    let mut best = Verdict::No;
    for answer in answers {
        best = best.max(answer);
        if best == Verdict::Yes {
            break;
        }
    }
    best
}
