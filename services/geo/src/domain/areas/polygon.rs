//! Polygons from GeoJSON (RFC 7946), made so that they can be calculated with.
//!
//! An edge never spans more than 180 degrees of longitude: of the two ways round the globe it
//! takes the shorter one. So a polygon that crosses the antimeridian may be cut there, as the RFC
//! recommends, or just go from 170 to -170; its longitudes are then counted on beyond 180.

use geojson::{GeometryValue, LineStringType, PolygonType};

use super::simple;
use super::sphere::{CoordinateOutOfRange, GeoPoint, Position};

/// The most positions of an area's geometry.
pub const MAX_VERTICES: usize = 10_000;

/// A polygon's rings, the outer one first. Each is closed; its longitudes go on beyond ±180 where
/// it crosses the antimeridian.
pub(super) type PolygonRings = Vec<Vec<Position>>;

/// What is wrong with a geometry, and where in the JSON.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidGeometry {
    /// Points and lines have no inside.
    #[error("a service area is a Polygon or a MultiPolygon, not a {0}")]
    Kind(&'static str),
    /// No polygon at all, or one without a ring.
    #[error("there is no ring")]
    Empty(String),
    /// Too large.
    #[error("a geometry has {MAX_VERTICES} positions at most")]
    TooManyVertices,
    /// A position is not two numbers within their ranges.
    #[error("{1}")]
    Position(String, &'static str),
    /// A ring of fewer than four positions.
    #[error("a ring has at least three corners and is closed: four positions")]
    TooShort(String),
    /// The last position is not the first.
    #[error("a ring ends where it begins")]
    Open(String),
    /// A ring goes round a pole or more than once round the globe.
    #[error(
        "the ring goes round a pole; cut it at the antimeridian and lead it along ±180 to the pole"
    )]
    RoundAPole(String),
    /// Edges meet that should not.
    #[error("edges cross or touch at [{}, {}]", .1.x, .1.y)]
    Crossing(String, Position),
    /// A hole lies outside its ring.
    #[error("the hole does not lie inside the outer ring")]
    HoleOutside(String),
}

impl InvalidGeometry {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kind(_) => "GEOMETRY_TYPE_UNSUPPORTED",
            Self::Empty(_) => "GEOMETRY_EMPTY",
            Self::TooManyVertices => "TOO_MANY_VERTICES",
            Self::Position(..) => "POSITION_INVALID",
            Self::TooShort(_) => "RING_TOO_SHORT",
            Self::Open(_) => "RING_NOT_CLOSED",
            Self::RoundAPole(_) => "RING_ROUND_A_POLE",
            Self::Crossing(..) => "EDGES_CROSS",
            Self::HoleOutside(_) => "HOLE_OUTSIDE",
        }
    }

    /// Where in the body it is.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Kind(_) => "geometry.type",
            Self::TooManyVertices => "geometry.coordinates",
            Self::Empty(field)
            | Self::Position(field, _)
            | Self::TooShort(field)
            | Self::Open(field)
            | Self::RoundAPole(field)
            | Self::Crossing(field, _)
            | Self::HoleOutside(field) => field,
        }
    }
}

/// Reads and checks the polygons of a geometry.
pub(super) fn read(geometry: &GeometryValue) -> Result<Vec<PolygonRings>, InvalidGeometry> {
    let root = "geometry.coordinates";
    match geometry {
        GeometryValue::Polygon { coordinates } => {
            count(std::slice::from_ref(coordinates))?;
            Ok(vec![polygon(root, coordinates)?])
        }
        GeometryValue::MultiPolygon { coordinates } if coordinates.is_empty() => {
            Err(InvalidGeometry::Empty(root.into()))
        }
        GeometryValue::MultiPolygon { coordinates } => {
            count(coordinates)?;
            let polygons = coordinates.iter().enumerate();
            polygons
                .map(|(n, rings)| polygon(&format!("{root}[{n}]"), rings))
                .collect()
        }
        other => Err(InvalidGeometry::Kind(other.type_name())),
    }
}

/// How many positions a geometry has.
pub(super) fn vertices(polygons: &[PolygonRings]) -> usize {
    polygons.iter().flatten().map(Vec::len).sum()
}

fn count(polygons: &[PolygonType]) -> Result<(), InvalidGeometry> {
    let count: usize = polygons.iter().flatten().map(Vec::len).sum();
    if count > MAX_VERTICES {
        return Err(InvalidGeometry::TooManyVertices);
    }
    Ok(())
}

fn polygon(field: &str, coordinates: &PolygonType) -> Result<PolygonRings, InvalidGeometry> {
    let mut rings: PolygonRings = vec![];
    for (n, coordinates) in coordinates.iter().enumerate() {
        let field = format!("{field}[{n}]");
        let mut ring = ring(&field, coordinates)?;
        // A hole counts its longitudes as the outer ring does.
        let west = rings.first().map_or(-180.0, |outer| westmost(outer));
        let turns = ((west - westmost(&ring)) / 360.0).ceil();
        for at in &mut ring {
            at.x += 360.0 * turns;
        }
        rings.push(ring);
    }
    if rings.is_empty() {
        return Err(InvalidGeometry::Empty(field.into()));
    }
    simple::check(field, &rings)?;
    Ok(rings)
}

fn ring(field: &str, coordinates: &LineStringType) -> Result<Vec<Position>, InvalidGeometry> {
    if coordinates.len() < 4 {
        return Err(InvalidGeometry::TooShort(field.into()));
    }
    let mut ring: Vec<Position> = Vec::with_capacity(coordinates.len());
    let (mut before, mut turned) = (coordinates[0].as_slice().first().copied(), 0.0);
    for (n, given) in coordinates.iter().enumerate() {
        let mut at = position(&format!("{field}[{n}]"), given)?;
        let step = at.x - before.replace(at.x).unwrap_or(at.x);
        // A whole turn is an edge along a parallel, as in a rectangle around the globe.
        if 180.0 < step.abs() && step.abs() < 360.0 {
            turned -= 360.0_f64.copysign(step);
        }
        at.x += turned;
        ring.push(at);
    }
    let (first, last) = (&coordinates[0], &coordinates[coordinates.len() - 1]);
    if first[..2] != last[..2] {
        return Err(InvalidGeometry::Open(field.into()));
    }
    let east = ring.iter().map(|at| at.x).fold(f64::MIN, f64::max);
    if turned != 0.0 || east - westmost(&ring) > 360.0 {
        return Err(InvalidGeometry::RoundAPole(field.into()));
    }
    ring.dedup();
    if ring.len() < 4 {
        return Err(InvalidGeometry::TooShort(field.into()));
    }
    Ok(ring)
}

fn position(field: &str, given: &geojson::Position) -> Result<Position, InvalidGeometry> {
    let wrong = |why| InvalidGeometry::Position(field.into(), why);
    let [x, y, ..] = *given.as_slice() else {
        return Err(wrong("a position is a longitude and a latitude"));
    };
    let point = GeoPoint::new(y, x).map_err(|error| match error {
        CoordinateOutOfRange::Latitude => wrong("the latitude, the second number, lies beyond ±90"),
        CoordinateOutOfRange::Longitude => {
            wrong("the longitude, the first number, lies beyond ±180")
        }
    })?;
    Ok(point.position())
}

fn westmost(ring: &[Position]) -> f64 {
    ring.iter().map(|at| at.x).fold(f64::MAX, f64::min)
}
