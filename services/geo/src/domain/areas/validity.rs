//! Validates that the edges of a polygon do not cross.

use geo_types::Line;
use rstar::primitives::GeomWithData;
use rstar::{RTree, RTreeObject as _};

use super::invalid_geometry::InvalidGeometry;
use super::shape::{Polygon, PolygonRings, orientation};
use super::sphere::{Position, component_max, component_min};

/// An edge with the index of its ring and its index in the ring.
type IndexedEdge = GeomWithData<Line<f64>, (usize, usize)>;

/// Refuses rings that cross or touch themselves, rings that cross or overlap each other, and holes
/// outside the outer ring. Two rings may touch at a point (OGC 06-103r4, §6.1.11).
pub(super) fn check_rings(field: &str, rings: &PolygonRings) -> Result<(), InvalidGeometry> {
    let edges = rings.iter().enumerate().flat_map(|(ring, positions)| {
        let pairs = positions.windows(2).enumerate();
        pairs.map(move |(n, ends)| IndexedEdge::new(Line::new(ends[0], ends[1]), (ring, n)))
    });
    let edges = RTree::bulk_load(edges.collect());
    for edge in &edges {
        for other in edges.locate_in_envelope_intersecting(&edge.envelope()) {
            if edge.data < other.data
                && let Some(at) = find_conflict(edge, other, rings)
            {
                return Err(InvalidGeometry::EdgesCross(
                    field.into(),
                    wrap_longitude(at),
                ));
            }
        }
    }
    let outer = Polygon::new(vec![rings[0].clone()]);
    for (n, hole) in rings.iter().enumerate().skip(1) {
        if !hole.iter().all(|at| outer.covers_position(*at)) {
            return Err(InvalidGeometry::HoleOutside(format!("{field}[{n}]")));
        }
    }
    Ok(())
}

/// Returns where two edges meet in a way that is not allowed.
fn find_conflict(a: &IndexedEdge, b: &IndexedEdge, rings: &PolygonRings) -> Option<Position> {
    let ((ring, first), (other_ring, second)) = (a.data, b.data);
    let last = rings[ring].len() - 2;
    let neighbours = first.abs_diff(second) == 1 || (first, second) == (0, last);
    match intersection(*a.geom(), *b.geom())? {
        EdgeIntersection::Overlap(at) | EdgeIntersection::Crossing(at) => Some(at),
        EdgeIntersection::Touch(at) => {
            let allowed = ring != other_ring || neighbours;
            (!allowed).then_some(at)
        }
    }
}

enum EdgeIntersection {
    /// At a point in the interior of both edges.
    Crossing(Position),
    /// At a point that is an end of one edge.
    Touch(Position),
    /// Along a segment that contains this point.
    Overlap(Position),
}

/// Compares on which side of each edge the ends of the other lie.
fn intersection(a: Line<f64>, b: Line<f64>) -> Option<EdgeIntersection> {
    let of_b = [a.start, a.end].map(|at| orientation(b.start, b.end, at));
    let of_a = [b.start, b.end].map(|at| orientation(a.start, a.end, at));
    if of_a == [0.0, 0.0] && of_b == [0.0, 0.0] {
        // The edges are collinear: a common segment lies between the inner ends.
        let least = component_max(component_min(a.start, a.end), component_min(b.start, b.end));
        let most = component_min(component_max(a.start, a.end), component_max(b.start, b.end));
        let ends = [a.start, a.end, b.start, b.end];
        let on_both = ends.into_iter().find(|at| is_in_box(*at, least, most))?;
        let point = least == most;
        return Some(if point {
            EdgeIntersection::Touch(on_both)
        } else {
            EdgeIntersection::Overlap(on_both)
        });
    }
    if of_b[0] * of_b[1] < 0.0 && of_a[0] * of_a[1] < 0.0 {
        let part = of_b[0] / (of_b[0] - of_b[1]);
        return Some(EdgeIntersection::Crossing(
            a.start + (a.end - a.start) * part,
        ));
    }
    let ends = [
        (a.start, of_b[0], b),
        (a.end, of_b[1], b),
        (b.start, of_a[0], a),
        (b.end, of_a[1], a),
    ];
    let touch = ends.into_iter().find(|(at, side, line)| {
        *side == 0.0
            && is_in_box(
                *at,
                component_min(line.start, line.end),
                component_max(line.start, line.end),
            )
    });
    touch.map(|(at, ..)| EdgeIntersection::Touch(at))
}

fn is_in_box(at: Position, least: Position, most: Position) -> bool {
    (least.x..=most.x).contains(&at.x) && (least.y..=most.y).contains(&at.y)
}

fn wrap_longitude(at: Position) -> Position {
    let turns = ((at.x + 180.0) / 360.0).floor();
    Position {
        x: at.x - 360.0 * turns,
        y: at.y,
    }
}
