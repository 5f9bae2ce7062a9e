//! A spatial index of all areas, so that a check evaluates few of them.
//!
//! The index only finds candidates; [`CompiledArea::verdict_for`] decides.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use geo_types::Rect;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, PointDistance, RTree, RTreeObject};
use uuid::Uuid;

use super::codes::{CountryCode, RegionCode};
use super::compiled_area::{CIRCLE_INDEX, CompiledArea};
use super::country_bounds::{self, CountryBounds};
use super::place::Place;
use super::sphere::{EARTH_RADIUS_KM, GeoPoint, SphericalCap, UnitVector, chord_length};
use super::verdict::Verdict;

/// Areas in the result of a check with the verdict `inside`.
pub const MAX_INSIDE_AREAS: usize = 100;
/// Areas in the result of a check with the verdict `uncertain`.
pub const MAX_UNCERTAIN_AREAS: usize = 20;

#[derive(Clone, Debug)]
pub struct IndexedArea {
    pub id: Uuid,
    pub name: String,
    pub area: CompiledArea,
}

/// The result of a check.
#[derive(Clone, Debug)]
pub struct AreaMatches {
    pub verdict: Verdict,
    /// Up to [`MAX_INSIDE_AREAS`] areas that contain the place. If there is none, up to
    /// [`MAX_UNCERTAIN_AREAS`] areas that may contain it, of which the nearest are preferred.
    pub areas: Vec<Arc<IndexedArea>>,
    /// The nearest area with a geometry or circle.
    pub nearest: Option<NearestArea>,
}

#[derive(Clone, Debug)]
pub struct NearestArea {
    pub area: Arc<IndexedArea>,
    /// The distance to the border; 0 inside.
    pub distance_km: f64,
}

type AreasByKey<K> = HashMap<K, Vec<usize>>;

/// Service areas by location and by country, region and postal code. Areas are referenced by their
/// index in `areas`.
#[derive(Debug, Default)]
pub struct AreaIndex {
    areas: Vec<Arc<IndexedArea>>,
    /// Shapes by their bounding boxes in space, for distances.
    shapes_in_space: RTree<IndexedShape>,
    /// Shapes by their bounding boxes in longitude and latitude.
    shapes_on_map: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    countries: AreasByKey<CountryCode>,
    regions: AreasByKey<RegionCode>,
    regions_by_country: AreasByKey<CountryCode>,
    postal_codes: AreasByKey<String>,
    postal_codes_by_country: AreasByKey<Option<CountryCode>>,
    /// Areas with countries, regions or postal codes.
    areas_with_codes: Vec<usize>,
}

/// A polygon or circle of an area.
#[derive(Clone, Debug)]
struct IndexedShape {
    area_index: usize,
    shape_index: usize,
    cap: SphericalCap,
}

impl RTreeObject for IndexedShape {
    type Envelope = AABB<UnitVector>;

    fn envelope(&self) -> Self::Envelope {
        // The margin makes up for rounding.
        let half = chord_length(self.cap.radius) + 1e-9;
        let [x, y, z] = self.cap.centre;
        AABB::from_corners(
            [x - half, y - half, z - half],
            [x + half, y + half, z + half],
        )
    }
}

impl PointDistance for IndexedShape {
    fn distance_2(&self, point: &UnitVector) -> f64 {
        self.envelope().distance_2(point)
    }
}

impl AreaIndex {
    #[must_use]
    pub fn new(areas: Vec<Arc<IndexedArea>>) -> Self {
        let mut index = Self::default();
        let (mut globe, mut map) = (vec![], vec![]);
        for (number, named) in areas.iter().enumerate() {
            let area = &named.area;
            let parts = area.polygons.iter().map(|part| part.cap).enumerate();
            let circle = area.circle.map(|circle| (CIRCLE_INDEX, circle.cap));
            globe.extend(parts.chain(circle).map(|(part, ball)| IndexedShape {
                area_index: number,
                shape_index: part,
                cap: ball,
            }));
            map.extend(area.bounds().map(|bounds| {
                let (low, high) = (bounds.min(), bounds.max());
                let corners = Rectangle::from_corners([low.x, low.y], [high.x, high.y]);
                GeomWithData::new(corners, number)
            }));
            index.add_codes(number, area);
        }
        index.shapes_in_space = RTree::bulk_load(globe);
        index.shapes_on_map = RTree::bulk_load(map);
        index.areas = areas;
        index
    }

    fn add_codes(&mut self, number: usize, area: &CompiledArea) {
        for country in &area.countries {
            add_area(&mut self.countries, *country, number);
        }
        for region in &area.regions {
            add_area(&mut self.regions, region.clone(), number);
            add_area(&mut self.regions_by_country, region.country, number);
        }
        for postal in &area.postal_codes {
            add_area(
                &mut self.postal_codes,
                postal.code.text().to_owned(),
                number,
            );
            add_area(
                &mut self.postal_codes,
                postal.code.first_group().to_owned(),
                number,
            );
            add_area(&mut self.postal_codes_by_country, postal.country, number);
        }
        let lists = (&area.countries, &area.regions, &area.postal_codes);
        if !(lists.0.is_empty() && lists.1.is_empty() && lists.2.is_empty()) {
            self.areas_with_codes.push(number);
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Finds the areas that contain a place, or else those that may contain it.
    #[must_use]
    pub fn check(&self, place: &Place) -> AreaMatches {
        let sure = self.first_with_verdict(
            MAX_INSIDE_AREAS,
            self.inside_candidates(place),
            place,
            Verdict::Inside,
        );
        let (verdict, areas) = if sure.is_empty() {
            let possible = self
                .inside_candidates(place)
                .chain(self.uncertain_candidates(place));
            let unsure =
                self.first_with_verdict(MAX_UNCERTAIN_AREAS, possible, place, Verdict::Uncertain);
            let verdict = Verdict::from(!unsure.is_empty()).min(Verdict::Uncertain);
            (verdict, unsure)
        } else {
            (Verdict::Inside, sure)
        };
        AreaMatches {
            verdict,
            areas,
            nearest: place.point.and_then(|point| self.nearest(point)),
        }
    }

    /// Evaluates candidates until `wanted` areas have the verdict `answer`. Returns these in the
    /// order of `areas`.
    fn first_with_verdict(
        &self,
        wanted: usize,
        numbers: impl Iterator<Item = usize>,
        place: &Place,
        answer: Verdict,
    ) -> Vec<Arc<IndexedArea>> {
        let (mut asked, mut found) = (BTreeSet::new(), BTreeSet::new());
        for number in numbers {
            if asked.insert(number) && self.areas[number].area.verdict_for(place) == answer {
                found.insert(number);
                if found.len() == wanted {
                    break;
                }
            }
        }
        found.iter().map(|n| self.areas[*n].clone()).collect()
    }

    /// Candidates for the verdict `Inside`: all areas that contain the place, and some others.
    fn inside_candidates(&self, place: &Place) -> impl Iterator<Item = usize> {
        let point = place.point.map(GeoPoint::position).into_iter();
        let on_map = point.flat_map(|at| self.areas_on_map(Rect::new(at, at)));
        let country = place.country.iter();
        let countries = country.flat_map(|country| areas_with_key(&self.countries, country));
        let region = place.region.iter();
        let regions = region.flat_map(|region| areas_with_key(&self.regions, region));
        let postal_code = place.postal_code.iter();
        let postal_codes = postal_code.flat_map(|code| {
            let whole = areas_with_key(&self.postal_codes, code.text());
            whole.chain(areas_with_key(&self.postal_codes, code.first_group()))
        });
        on_map.chain(countries).chain(regions).chain(postal_codes)
    }

    /// Further candidates for the verdict `Uncertain`.
    fn uncertain_candidates(&self, place: &Place) -> impl Iterator<Item = usize> {
        let reach = place.accuracy_km / EARTH_RADIUS_KM;
        let near = place.point.into_iter().flat_map(move |point| {
            let by_distance = self.shapes_by_distance(point.unit_vector());
            by_distance.take_while(move |(least, _)| *least <= reach)
        });
        let near = near.map(|(_, shape)| shape.area_index);
        let in_country = place
            .point
            .is_none()
            .then(|| self.areas_in_country(place.country));
        // A region or postal code that is missing or too imprecise may be any in the country.
        let named = match place.country {
            Some(country) => {
                let regions = areas_with_key(&self.regions_by_country, &country);
                let own = areas_with_key(&self.postal_codes_by_country, &Some(country));
                let any = areas_with_key(&self.postal_codes_by_country, &None);
                Some(regions.chain(own).chain(any))
            }
            None => None,
        };
        let nameless = place
            .country
            .is_none()
            .then_some(self.areas_with_codes.iter().copied());
        near.chain(in_country.into_iter().flatten())
            .chain(named.into_iter().flatten())
            .chain(nameless.into_iter().flatten())
    }

    fn areas_in_country(&self, country: Option<CountryCode>) -> impl Iterator<Item = usize> {
        let extent = country.and_then(country_bounds::bounds_of);
        let somewhere = extent.into_iter().flat_map(CountryBounds::rectangles);
        let somewhere = somewhere.flat_map(|rectangle| self.areas_on_map(rectangle));
        let everywhere = extent
            .is_none()
            .then(|| self.shapes_on_map.iter().map(|shape| shape.data));
        somewhere.chain(everywhere.into_iter().flatten())
    }

    /// The areas with a bounding box that overlaps `part`, also if one of them is shifted by a
    /// whole turn.
    fn areas_on_map(&self, part: Rect<f64>) -> impl Iterator<Item = usize> {
        let turns = [-360.0, 0.0, 360.0].into_iter();
        turns.flat_map(move |turn| {
            let (low, high) = (part.min(), part.max());
            let corners = AABB::from_corners([low.x + turn, low.y], [high.x + turn, high.y]);
            let shapes = self.shapes_on_map.locate_in_envelope_intersecting(&corners);
            shapes.map(|shape| shape.data).collect::<Vec<_>>()
        })
    }

    /// All shapes with a lower bound of their angle, in ascending order of the bound.
    fn shapes_by_distance(&self, from: UnitVector) -> impl Iterator<Item = (f64, &IndexedShape)> {
        let nearest = self
            .shapes_in_space
            .nearest_neighbor_iter_with_distance_2(&from);
        nearest.map(|(shape, chord_2)| (2.0 * (chord_2.sqrt() / 2.0).min(1.0).asin(), shape))
    }

    fn nearest(&self, point: GeoPoint) -> Option<NearestArea> {
        let from = point.unit_vector();
        let mut best = (f64::MAX, usize::MAX);
        for (least, shape) in self.shapes_by_distance(from) {
            if least > best.0 {
                break;
            }
            if shape.cap.min_angle(from) > best.0 {
                continue;
            }
            let area = &self.areas[shape.area_index].area;
            let angle = area.angle_to_shape(shape.shape_index, point, best.0);
            let inside_earlier = angle <= 0.0 && shape.area_index < best.1;
            if angle < best.0 || inside_earlier {
                best = (angle, shape.area_index);
            }
        }
        let area = self.areas.get(best.1)?.clone();
        let distance_km = best.0 * EARTH_RADIUS_KM;
        Some(NearestArea { area, distance_km })
    }
}

fn add_area<K: std::hash::Hash + Eq>(numbers: &mut AreasByKey<K>, key: K, number: usize) {
    let list = numbers.entry(key).or_default();
    if list.last() != Some(&number) {
        list.push(number);
    }
}

fn areas_with_key<'a, K, Q>(
    numbers: &'a AreasByKey<K>,
    key: &Q,
) -> impl Iterator<Item = usize> + use<'a, K, Q>
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    numbers.get(key).into_iter().flatten().copied()
}
