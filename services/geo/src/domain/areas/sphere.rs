//! Spherical geometry. Positions are in degrees, angles in radians.
//!
//! The edges of polygons are straight lines in longitude and latitude (RFC 7946, §3.1.1), not great
//! circles. Distances on the sphere differ from those on the ellipsoid by 0.5 % at most.

use geo_types::Coord;

/// The mean radius of the Earth (IUGG).
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// Longitude (`x`) and latitude (`y`) in degrees. The longitude may exceed ±180 if a polygon
/// crosses the antimeridian.
pub(super) type Position = Coord<f64>;

/// A direction from the center of the Earth, of length 1.
pub(super) type UnitVector = [f64; 3];

/// Edges longer than this are halved until they are nearly straight in space.
const MAX_STRAIGHT_DEGREES: f64 = 0.5;

/// Valid coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoPoint {
    latitude: f64,
    longitude: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordinateOutOfRange {
    #[error("the latitude must be between -90 and 90")]
    Latitude,
    #[error("the longitude must be between -180 and 180")]
    Longitude,
}

impl GeoPoint {
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, CoordinateOutOfRange> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(CoordinateOutOfRange::Latitude);
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(CoordinateOutOfRange::Longitude);
        }
        Ok(Self {
            latitude,
            longitude,
        })
    }

    /// In degrees.
    #[must_use]
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// In degrees.
    #[must_use]
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// The great-circle distance.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        angle(self.unit_vector(), other.unit_vector()) * EARTH_RADIUS_KM
    }

    pub(super) fn position(self) -> Position {
        Position {
            x: self.longitude,
            y: self.latitude,
        }
    }

    pub(super) fn unit_vector(self) -> UnitVector {
        unit_vector(self.position())
    }
}

pub(super) fn unit_vector(at: Position) -> UnitVector {
    let (sin_x, cos_x) = at.x.to_radians().sin_cos();
    let (sin_y, cos_y) = at.y.to_radians().sin_cos();
    [cos_y * cos_x, cos_y * sin_x, sin_y]
}

/// The angle between two directions, from their chord, which is exact for small angles.
pub(super) fn angle(a: UnitVector, b: UnitVector) -> f64 {
    let chord = subtract(a, b);
    2.0 * (dot(chord, chord).sqrt() / 2.0).min(1.0).asin()
}

/// The length of the chord of an angle.
pub(super) fn chord_length(angle: f64) -> f64 {
    2.0 * (angle.min(std::f64::consts::PI) / 2.0).sin()
}

/// The points within the angle `radius` of `centre`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SphericalCap {
    pub centre: UnitVector,
    pub radius: f64,
}

impl SphericalCap {
    /// A cap that contains a rectangle of longitudes and latitudes. The distance from the center of
    /// the rectangle to any of its points is at most the part along the parallel of the center plus
    /// the part along the meridian.
    pub fn bounding(least: Position, most: Position) -> Self {
        let middle = (least + most) / 2.0;
        let (width, height) = (most.x - least.x, most.y - least.y);
        let way = width * middle.y.to_radians().cos() + height;
        Self {
            centre: unit_vector(middle),
            radius: (way / 2.0).to_radians(),
        }
    }

    /// A lower bound of the angle from `from` to any point of the cap.
    pub fn min_angle(&self, from: UnitVector) -> f64 {
        (angle(from, self.centre) - self.radius).max(0.0)
    }
}

/// The smaller of `best` and the smallest angle between `from` and a point on the edge from `a` to
/// `b`.
pub(super) fn edge_angle(from: UnitVector, a: Position, b: Position, best: f64) -> f64 {
    let (least, most) = (component_min(a, b), component_max(a, b));
    let ball = SphericalCap::bounding(least, most);
    if ball.min_angle(from) >= best {
        return best;
    }
    if (most.x - least.x).max(most.y - least.y) <= MAX_STRAIGHT_DEGREES {
        return best.min(short_edge_angle(from, a, b));
    }
    let middle = (a + b) / 2.0;
    let first = angle(from, unit_vector((a + middle) / 2.0));
    let second = angle(from, unit_vector((middle + b) / 2.0));
    let (near, far) = if first <= second {
        ((a, middle), (middle, b))
    } else {
        ((middle, b), (a, middle))
    };
    let best = edge_angle(from, near.0, near.1, best);
    edge_angle(from, far.0, far.1, best)
}

/// The smallest angle to a short edge. Projects `from` onto the chord of the edge, then repeats
/// with narrower parts around the projection, because the edge is curved in space.
fn short_edge_angle(from: UnitVector, a: Position, b: Position) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let at = |part: f64| a + (b - a) * part;
    let mut found = f64::MAX;
    for narrower in [8.0, 64.0, 512.0] {
        let (start, end) = (unit_vector(at(low)), unit_vector(at(high)));
        let line = subtract(end, start);
        let length = dot(line, line);
        let foot = if length > 0.0 {
            (dot(subtract(from, start), line) / length).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let foot = low + (high - low) * foot;
        found = found.min(angle(from, unit_vector(at(foot))));
        (low, high) = (
            (foot - 1.0 / narrower).max(0.0),
            (foot + 1.0 / narrower).min(1.0),
        );
    }
    found
}

pub(super) fn component_min(a: Position, b: Position) -> Position {
    Position {
        x: a.x.min(b.x),
        y: a.y.min(b.y),
    }
}

pub(super) fn component_max(a: Position, b: Position) -> Position {
    Position {
        x: a.x.max(b.x),
        y: a.y.max(b.y),
    }
}

fn subtract(a: UnitVector, b: UnitVector) -> UnitVector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn dot(a: UnitVector, b: UnitVector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64) -> Position {
        Position { x, y }
    }

    /// The haversine formula, for latitudes and longitudes in degrees.
    fn haversine_km(from: (f64, f64), to: (f64, f64)) -> f64 {
        let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
        let cosines = from.0.to_radians().cos() * to.0.to_radians().cos();
        let part = half(from.0, to.0) + cosines * half(from.1, to.1);
        2.0 * EARTH_RADIUS_KM * part.sqrt().min(1.0).asin()
    }

    /// The smallest angle to an edge, by sampling.
    fn sampled(from: UnitVector, a: Position, b: Position) -> f64 {
        let places = (0..=100_000).map(|n| unit_vector(a + (b - a) * (f64::from(n) / 1e5)));
        places
            .map(|place| angle(from, place))
            .fold(f64::MAX, f64::min)
    }

    #[test]
    fn distances_are_haversine() {
        let pairs = [
            ((51.5, -0.1), (48.9, 2.35)),
            ((0.0, 179.9), (0.0, -179.9)),
            ((90.0, 0.0), (-90.0, 0.0)),
            ((10.0, 20.0), (10.0, 20.000_01)),
        ];
        for ((a, b), (c, d)) in pairs {
            let ours = GeoPoint::new(a, b)
                .unwrap()
                .distance_km(GeoPoint::new(c, d).unwrap());
            let theirs = haversine_km((a, b), (c, d));
            assert!(
                (ours - theirs).abs() < 1e-6 * theirs.max(1e-3),
                "{ours} {theirs}"
            );
        }
    }

    #[test]
    fn the_distance_to_an_edge_is_that_to_its_nearest_place() {
        let edges = [
            (at(-0.5, 51.3), at(0.3, 51.7)),
            (at(-123.0, 49.0), at(-95.0, 49.0)),
            (at(0.0, 0.0), at(0.0, 90.0)),
            (at(170.0, -40.0), at(190.0, -41.0)),
            (at(10.0, 80.0), at(10.4, 80.4)),
            (at(-60.0, 89.0), at(60.0, 89.0)),
            (at(5.0, 5.0), at(5.0, 5.0)),
        ];
        for (a, b) in edges {
            for x in [-179.0, -100.0, -0.2, 10.2, 60.0, 180.0] {
                for y in [-90.0, -40.5, 0.0, 49.5, 51.5, 80.2, 89.5] {
                    let from = unit_vector(at(x, y));
                    let (ours, real) = (edge_angle(from, a, b, f64::MAX), sampled(from, a, b));
                    let metres = (ours - real).abs() * EARTH_RADIUS_KM * 1e3;
                    // The samples themselves are up to 20 m apart on the longest edge.
                    assert!(metres < 15.0, "{a:?} {b:?} from {x} {y}: {metres} m");
                }
            }
        }
    }
}
