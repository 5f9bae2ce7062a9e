//! Parses and validates polygons from GeoJSON (RFC 7946).
//!
//! An edge spans at most 180 degrees of longitude: it takes the shorter direction around the globe.
//! A polygon across the antimeridian can be cut there, as the RFC recommends, or go from 170 to
//! -170; its longitudes then continue beyond 180.

use geojson::{GeometryValue, LineStringType, PolygonType};

use super::sphere::{CoordinateOutOfRange, GeoPoint, Position};
use super::validity;

/// Positions per geometry.
pub const MAX_VERTICES: usize = 10_000;

/// The rings of a polygon, the outer one first. Each ring is closed. Its longitudes continue
/// beyond ±180 if it crosses the antimeridian.
pub(super) type PolygonRings = Vec<Vec<Position>>;

/// Why a geometry is invalid, with the JSON path of the fault.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidGeometry {
    #[error("`geometry` must be a Polygon or MultiPolygon, not a {0}")]
    UnsupportedType(&'static str),
    #[error("a polygon must have at least one ring")]
    Empty(String),
    #[error("`geometry` must have at most {MAX_VERTICES} positions")]
    TooManyVertices,
    #[error("{1}")]
    Position(String, &'static str),
    #[error("a ring must have at least four positions, of which three are different")]
    TooShort(String),
    #[error("the last position of a ring must equal the first")]
    NotClosed(String),
    /// Or the ring goes more than once around the globe.
    #[error(
        "the ring goes around a pole; cut it at the antimeridian and continue along ±180 to the \
         pole"
    )]
    AroundPole(String),
    #[error("edges cross or touch at [{}, {}]", .1.x, .1.y)]
    EdgesCross(String, Position),
    #[error("the hole must be inside the outer ring")]
    HoleOutside(String),
}

impl InvalidGeometry {
    /// The `code` of the problem response.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedType(_) => "GEOMETRY_TYPE_UNSUPPORTED",
            Self::Empty(_) => "GEOMETRY_EMPTY",
            Self::TooManyVertices => "TOO_MANY_VERTICES",
            Self::Position(..) => "POSITION_INVALID",
            Self::TooShort(_) => "RING_TOO_SHORT",
            Self::NotClosed(_) => "RING_NOT_CLOSED",
            Self::AroundPole(_) => "RING_ROUND_A_POLE",
            Self::EdgesCross(..) => "EDGES_CROSS",
            Self::HoleOutside(_) => "HOLE_OUTSIDE",
        }
    }

    /// The `field` of the problem response.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::UnsupportedType(_) => "geometry.type",
            Self::TooManyVertices => "geometry.coordinates",
            Self::Empty(field)
            | Self::Position(field, _)
            | Self::TooShort(field)
            | Self::NotClosed(field)
            | Self::AroundPole(field)
            | Self::EdgesCross(field, _)
            | Self::HoleOutside(field) => field,
        }
    }
}

/// Parses and validates the polygons of a geometry.
pub(super) fn parse_polygons(
    geometry: &GeometryValue,
) -> Result<Vec<PolygonRings>, InvalidGeometry> {
    let root = "geometry.coordinates";
    match geometry {
        GeometryValue::Polygon { coordinates } => {
            check_vertex_count(std::slice::from_ref(coordinates))?;
            Ok(vec![parse_polygon(root, coordinates)?])
        }
        GeometryValue::MultiPolygon { coordinates } if coordinates.is_empty() => {
            Err(InvalidGeometry::Empty(root.into()))
        }
        GeometryValue::MultiPolygon { coordinates } => {
            check_vertex_count(coordinates)?;
            let polygons = coordinates.iter().enumerate();
            polygons
                .map(|(n, rings)| parse_polygon(&format!("{root}[{n}]"), rings))
                .collect()
        }
        other => Err(InvalidGeometry::UnsupportedType(other.type_name())),
    }
}

/// The number of positions.
pub(super) fn count_vertices(polygons: &[PolygonRings]) -> usize {
    polygons.iter().flatten().map(Vec::len).sum()
}

fn check_vertex_count(polygons: &[PolygonType]) -> Result<(), InvalidGeometry> {
    let count: usize = polygons.iter().flatten().map(Vec::len).sum();
    if count > MAX_VERTICES {
        return Err(InvalidGeometry::TooManyVertices);
    }
    Ok(())
}

fn parse_polygon(field: &str, coordinates: &PolygonType) -> Result<PolygonRings, InvalidGeometry> {
    let mut rings: PolygonRings = vec![];
    for (n, coordinates) in coordinates.iter().enumerate() {
        let field = format!("{field}[{n}]");
        let mut ring = parse_ring(&field, coordinates)?;
        // Shifts a hole by whole turns to the longitudes of the outer ring.
        let west = rings.first().map_or(-180.0, |outer| min_longitude(outer));
        let turns = ((west - min_longitude(&ring)) / 360.0).ceil();
        for at in &mut ring {
            at.x += 360.0 * turns;
        }
        rings.push(ring);
    }
    if rings.is_empty() {
        return Err(InvalidGeometry::Empty(field.into()));
    }
    validity::check_rings(field, &rings)?;
    Ok(rings)
}

fn parse_ring(field: &str, coordinates: &LineStringType) -> Result<Vec<Position>, InvalidGeometry> {
    if coordinates.len() < 4 {
        return Err(InvalidGeometry::TooShort(field.into()));
    }
    let mut ring: Vec<Position> = Vec::with_capacity(coordinates.len());
    let (mut before, mut turned) = (coordinates[0].as_slice().first().copied(), 0.0);
    for (n, given) in coordinates.iter().enumerate() {
        let mut at = parse_position(&format!("{field}[{n}]"), given)?;
        let step = at.x - before.replace(at.x).unwrap_or(at.x);
        // A step of 360 degrees is an edge along a parallel, as in a rectangle around the globe.
        if 180.0 < step.abs() && step.abs() < 360.0 {
            turned -= 360.0_f64.copysign(step);
        }
        at.x += turned;
        ring.push(at);
    }
    let (first, last) = (&coordinates[0], &coordinates[coordinates.len() - 1]);
    if first[..2] != last[..2] {
        return Err(InvalidGeometry::NotClosed(field.into()));
    }
    let east = ring.iter().map(|at| at.x).fold(f64::MIN, f64::max);
    if turned != 0.0 || east - min_longitude(&ring) > 360.0 {
        return Err(InvalidGeometry::AroundPole(field.into()));
    }
    ring.dedup();
    if ring.len() < 4 {
        return Err(InvalidGeometry::TooShort(field.into()));
    }
    Ok(ring)
}

fn parse_position(field: &str, given: &geojson::Position) -> Result<Position, InvalidGeometry> {
    let wrong = |why| InvalidGeometry::Position(field.into(), why);
    let [x, y, ..] = *given.as_slice() else {
        return Err(wrong("a position must be a longitude and a latitude"));
    };
    let point = GeoPoint::new(y, x).map_err(|error| match error {
        CoordinateOutOfRange::Latitude => {
            wrong("the latitude (the second number) must be between -90 and 90")
        }
        CoordinateOutOfRange::Longitude => {
            wrong("the longitude (the first number) must be between -180 and 180")
        }
    })?;
    Ok(point.position())
}

fn min_longitude(ring: &[Position]) -> f64 {
    ring.iter().map(|at| at.x).fold(f64::MAX, f64::min)
}
