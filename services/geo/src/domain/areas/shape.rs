//! Polygons and circles: point-in-polygon tests and distances to the border.

use geo_types::Rect;

use super::sphere::{
    GeoPoint, Position, SphericalCap, UnitVector, component_max, component_min, edge_angle,
};

const EDGES_PER_CHUNK: usize = 16;

/// The rings of a polygon, the outer one first. Each ring is closed. Its longitudes continue
/// beyond ±180 if it crosses the antimeridian.
pub(super) type PolygonRings = Vec<Vec<Position>>;

/// A polygon with bounds around chunks of consecutive edges, so that most edges are skipped.
#[derive(Clone, Debug)]
pub(super) struct Polygon {
    rings: PolygonRings,
    chunks: Vec<EdgeChunk>,
    /// In longitude and latitude.
    pub bounds: Rect<f64>,
    /// A cap that contains the polygon.
    pub cap: SphericalCap,
}

/// The edges `from..to` of a ring.
#[derive(Clone, Debug)]
struct EdgeChunk {
    ring: usize,
    from: usize,
    to: usize,
    min: Position,
    max: Position,
    cap: SphericalCap,
}

/// The side of a line on which a point lies: positive on the left, negative on the right, exactly 0
/// on the line (Shewchuk 1997).
pub(super) fn orientation(from: Position, to: Position, at: Position) -> f64 {
    let [from, to, at] = [from, to, at].map(|p| robust::Coord { x: p.x, y: p.y });
    robust::orient2d(from, to, at)
}

impl Polygon {
    pub fn new(rings: PolygonRings) -> Self {
        let chunks: Vec<_> = (0..rings.len())
            .flat_map(|n| edge_chunks(&rings, n))
            .collect();
        let least = chunks.iter().map(|run| run.min).reduce(component_min);
        let most = chunks.iter().map(|run| run.max).reduce(component_max);
        let bounds = Rect::new(least.unwrap_or_default(), most.unwrap_or_default());
        let cap = SphericalCap::bounding(bounds.min(), bounds.max());
        Self {
            rings,
            chunks,
            bounds,
            cap,
        }
    }

    /// Whether a point is inside or on the border.
    pub fn contains_point(&self, point: GeoPoint) -> bool {
        let at = point.position();
        let turns = [-360.0, 0.0, 360.0].into_iter();
        let mut images = turns.map(|turn| Position {
            x: at.x + turn,
            y: at.y,
        });
        images.any(|at| {
            let (least, most) = (self.bounds.min(), self.bounds.max());
            let within = least.x <= at.x && at.x <= most.x && least.y <= at.y && at.y <= most.y;
            within && self.covers_position(at)
        })
    }

    /// Whether a position is inside or on the border, by the number of edges that a ray to the east
    /// crosses.
    pub fn covers_position(&self, at: Position) -> bool {
        let mut inside = false;
        for run in &self.chunks {
            if at.y < run.min.y || run.max.y < at.y || run.max.x < at.x {
                continue;
            }
            for (a, b) in self.edges(run) {
                let upward = a.y <= b.y;
                let (low, high) = if upward { (a, b) } else { (b, a) };
                if at.y < low.y || high.y < at.y || a.x.max(b.x) < at.x {
                    continue;
                }
                let side = orientation(low, high, at);
                if side == 0.0 && a.x.min(b.x) <= at.x {
                    return true;
                }
                // The upper end is excluded, so that a vertex counts once.
                if side > 0.0 && at.y < high.y {
                    inside = !inside;
                }
            }
        }
        inside
    }

    /// The smaller of `best` and the angle from a point outside to the polygon.
    pub fn angle_to(&self, from: UnitVector, best: f64) -> f64 {
        self.min_angle(from, best, |_, _| true)
    }

    /// The smaller of `best` and the angle to the border, without edges along the antimeridian or
    /// at a pole.
    pub fn angle_to_border(&self, from: UnitVector, best: f64) -> f64 {
        self.min_angle(from, best, |a, b| !is_seam(a, b))
    }

    fn min_angle(
        &self,
        from: UnitVector,
        best: f64,
        counts: impl Fn(Position, Position) -> bool,
    ) -> f64 {
        let bounds = self.chunks.iter().map(|run| run.cap.min_angle(from));
        let bounds: Vec<f64> = bounds.collect();
        let look = |best: f64, run: &EdgeChunk| {
            let edges = self.edges(run).filter(|(a, b)| counts(*a, *b));
            edges.fold(best, |best, (a, b)| edge_angle(from, a, b, best))
        };
        // The nearest chunk first: its distance excludes most of the others.
        let first = (0..bounds.len()).min_by(|a, b| bounds[*a].total_cmp(&bounds[*b]));
        let best = first.map_or(best, |first| look(best, &self.chunks[first]));
        let others = self.chunks.iter().zip(&bounds);
        others.fold(
            best,
            |best, (run, least)| {
                if *least < best { look(best, run) } else { best }
            },
        )
    }

    fn edges(&self, run: &EdgeChunk) -> impl Iterator<Item = (Position, Position)> {
        let ends = self.rings[run.ring][run.from..=run.to].windows(2);
        ends.map(|ends| (ends[0], ends[1]))
    }

    /// The edges along the antimeridian as pairs of latitudes; `true` for edges at +180, to the
    /// west of the antimeridian.
    pub fn antimeridian_edges(&self) -> impl Iterator<Item = (bool, f64, f64)> {
        let pairs = self.rings.iter().flat_map(|ring| ring.windows(2));
        let seams = pairs.filter(|ends| is_on_antimeridian(ends[0], ends[1]));
        seams.map(|ends| {
            let (low, high) = (ends[0].y.min(ends[1].y), ends[0].y.max(ends[1].y));
            (ends[0].x > 0.0, low, high)
        })
    }
}

fn edge_chunks(rings: &PolygonRings, ring: usize) -> impl Iterator<Item = EdgeChunk> {
    let positions = &rings[ring];
    let edges = positions.len() - 1;
    (0..edges).step_by(EDGES_PER_CHUNK).map(move |from| {
        let to = edges.min(from + EDGES_PER_CHUNK);
        let corners = &positions[from..=to];
        let least = corners.iter().copied().fold(corners[0], component_min);
        let most = corners.iter().copied().fold(corners[0], component_max);
        EdgeChunk {
            ring,
            from,
            to,
            min: least,
            max: most,
            cap: SphericalCap::bounding(least, most),
        }
    })
}

/// Whether an edge exists only because the map ends there: at the antimeridian or at a pole.
fn is_seam(a: Position, b: Position) -> bool {
    is_on_antimeridian(a, b) || (a.y.abs() >= 90.0 && b.y.abs() >= 90.0)
}

#[expect(clippy::float_cmp, reason = "polygons are cut at exactly ±180")]
fn is_on_antimeridian(a: Position, b: Position) -> bool {
    a.x == b.x && a.x.abs() == 180.0
}

/// The segments of the antimeridian with the area on one side only.
pub(super) fn antimeridian_border(polygons: &[Polygon]) -> Vec<(Position, Position)> {
    let seams: Vec<_> = polygons
        .iter()
        .flat_map(Polygon::antimeridian_edges)
        .collect();
    let mut latitudes: Vec<f64> = seams.iter().flat_map(|seam| [seam.1, seam.2]).collect();
    latitudes.sort_by(f64::total_cmp);
    latitudes.dedup();
    let sides = |low: f64, high: f64, west: bool| {
        let spans = |seam: &&(bool, f64, f64)| seam.0 == west && seam.1 <= low && high <= seam.2;
        seams.iter().filter(spans).count() % 2
    };
    let pieces = latitudes.windows(2).map(|ends| (ends[0], ends[1]));
    pieces
        .filter(|(low, high)| sides(*low, *high, true) != sides(*low, *high, false))
        .map(|(low, high)| {
            (
                Position { x: 180.0, y: low },
                Position { x: 180.0, y: high },
            )
        })
        .collect()
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Circle {
    pub cap: SphericalCap,
    /// In longitude and latitude.
    pub bounds: Rect<f64>,
}

impl Circle {
    pub fn new(centre: GeoPoint, radius: f64) -> Self {
        let at = centre.position();
        let reach = radius.to_degrees();
        let (south, north) = (at.y - reach, at.y + reach);
        // A circle that contains a pole crosses every meridian.
        let width = if south <= -90.0 || north >= 90.0 {
            180.0
        } else {
            let sine = radius.sin() / at.y.to_radians().cos();
            sine.min(1.0).asin().to_degrees()
        };
        let low = Position {
            x: at.x - width,
            y: south.max(-90.0),
        };
        let high = Position {
            x: at.x + width,
            y: north.min(90.0),
        };
        Self {
            cap: SphericalCap {
                centre: centre.unit_vector(),
                radius,
            },
            bounds: Rect::new(low, high),
        }
    }
}
