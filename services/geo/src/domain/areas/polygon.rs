//! Parses and validates polygons from GeoJSON (RFC 7946).
//!
//! An edge spans at most 180 degrees of longitude: it takes the shorter direction around the globe.
//! A polygon across the antimeridian can be cut there, as the RFC recommends, or go from 170 to
//! -170; its longitudes then continue beyond 180.

use geojson::{GeometryValue, LineStringType, PolygonType};

use super::invalid_geometry::{InvalidGeometry, MAX_VERTICES};
use super::shape::PolygonRings;
use super::sphere::{CoordinateOutOfRange, GeoPoint, Position};
use super::validity;

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
