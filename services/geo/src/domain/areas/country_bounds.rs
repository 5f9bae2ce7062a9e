//! Bounding boxes of countries (see `data/README.md`).

use std::collections::HashMap;
use std::sync::LazyLock;

use geo_types::Rect;

use super::codes::CountryCode;
use super::sphere::{EARTH_RADIUS_KM, GeoPoint, Position};

/// One line per country: the code, then boxes as west, south, east, north. No box crosses the
/// antimeridian.
const BOUNDS_TABLE: &str = include_str!("../../../data/country_extents.tsv");

static COUNTRY_BOUNDS: LazyLock<HashMap<CountryCode, CountryBounds>> = LazyLock::new(|| {
    let lines = BOUNDS_TABLE
        .lines()
        .filter_map(|line| line.split_once('\t'));
    lines
        .filter_map(|(code, rectangles)| {
            let rectangles = rectangles
                .split(' ')
                .map(parse_rectangle)
                .collect::<Option<_>>()?;
            Some((CountryCode::parse(code)?, CountryBounds(rectangles)))
        })
        .collect()
});

/// The bounding boxes of a country in longitude and latitude.
pub(super) struct CountryBounds(Vec<Rect<f64>>);

/// The bounds of a country; `None` for a few small countries.
pub(super) fn bounds_of(country: CountryCode) -> Option<&'static CountryBounds> {
    COUNTRY_BOUNDS.get(&country)
}

impl CountryBounds {
    /// Whether a point within `accuracy_km` of `point` may be in the country.
    pub fn may_contain(&self, point: GeoPoint, accuracy_km: f64) -> bool {
        let reach = (accuracy_km / EARTH_RADIUS_KM).to_degrees();
        let latitude = point.latitude();
        // The parallel closest to the pole has the most degrees of longitude per kilometre.
        let widest = (latitude.abs() + reach).min(89.9).to_radians().cos();
        let (x, y) = ((reach / widest).min(180.0), reach);
        let middle = point.position();
        self.overlaps(&Rect::new(
            Position {
                x: middle.x - x,
                y: middle.y - y,
            },
            Position {
                x: middle.x + x,
                y: middle.y + y,
            },
        ))
    }

    pub fn rectangles(&self) -> impl Iterator<Item = Rect<f64>> {
        self.0.iter().copied()
    }

    /// Whether `other` overlaps a box. The longitudes of `other` may exceed ±180.
    pub fn overlaps(&self, other: &Rect<f64>) -> bool {
        self.0.iter().any(|own| {
            let beside = own.min().y <= other.max().y && other.min().y <= own.max().y;
            beside
                && [-360.0, 0.0, 360.0].iter().any(|turn| {
                    own.min().x + turn <= other.max().x && other.min().x <= own.max().x + turn
                })
        })
    }
}

fn parse_rectangle(text: &str) -> Option<Rect<f64>> {
    let mut numbers = text.split(',').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    let low = Position {
        x: next()?,
        y: next()?,
    };
    let high = Position {
        x: next()?,
        y: next()?,
    };
    Some(Rect::new(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(code: &str, latitude: f64, longitude: f64, accuracy_km: f64) -> bool {
        let country = CountryCode::parse(code).unwrap();
        let point = GeoPoint::new(latitude, longitude).unwrap();
        bounds_of(country).unwrap().may_contain(point, accuracy_km)
    }

    #[test]
    fn every_line_can_be_read_and_holds_its_country() {
        assert_eq!(COUNTRY_BOUNDS.len(), BOUNDS_TABLE.lines().count());
        for (code, latitude, longitude) in [
            ("GB", 51.5, -0.1),
            ("US", 21.3, -157.9),
            ("US", 61.2, -149.9),
            ("US", 52.9, 172.9),
            ("RU", 66.0, -170.0),
            ("FJ", -16.8, 179.9),
            ("FJ", -17.0, -179.5),
            ("NZ", -36.8, 174.8),
            ("AQ", -80.0, 0.0),
            ("SG", 1.35, 103.8),
        ] {
            assert!(is_near(code, latitude, longitude, 0.0), "{code}");
        }
    }

    #[test]
    fn what_is_far_away_is_not_near() {
        assert!(!is_near("JP", 51.5, -0.1, 1_000.0));
        assert!(!is_near("FR", 51.5, -0.1, 0.0) || is_near("FR", 51.3, -0.1, 0.0));
        assert!(!is_near("FJ", -17.0, 0.0, 100.0));
        assert!(is_near("US", 53.0, -179.0, 500.0));
        assert!(is_near("AQ", -89.0, 0.0, 5_000.0));
    }
}
