//! Why a geometry is invalid.

use super::sphere::Position;

/// Positions per geometry.
pub const MAX_VERTICES: usize = 10_000;

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
