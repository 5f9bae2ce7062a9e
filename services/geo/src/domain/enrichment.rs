//! Adds the distance to the business and the local time to locations.

use chrono::{DateTime, SubsecRound as _, Utc};
use chrono_tz::Tz;
use common::geo::Location;

use super::areas::GeoPoint;

/// Sets `distance_km` and `local_time` of a location.
pub fn enrich(location: &mut Location, business: Option<GeoPoint>, now: DateTime<Utc>) {
    let degrees = location.latitude.zip(location.longitude);
    let point = degrees.and_then(|(north, east)| GeoPoint::new(north, east).ok());
    let distance = business.zip(point).map(|(from, to)| from.distance_km(to));
    // Addresses are not located more precisely than 0.1 km.
    location.distance_km = distance.map(|km| (km * 10.0).round() / 10.0);
    let zone = location.time_zone.as_deref();
    let zone = zone.and_then(|name| name.parse::<Tz>().ok());
    location.local_time = zone.map(|zone| now.trunc_subsecs(0).with_timezone(&zone).fixed_offset());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enriched(time_zone: Option<&str>, business: Option<GeoPoint>, now: &str) -> Location {
        let mut location = Location {
            latitude: Some(51.5142),
            longitude: Some(-0.0931),
            time_zone: time_zone.map(Into::into),
            ..Location::default()
        };
        enrich(&mut location, business, now.parse().unwrap());
        location
    }

    #[test]
    fn the_distance_is_that_to_the_business() {
        let paris = GeoPoint::new(48.8566, 2.3522).ok();
        let found = enriched(None, paris, "2026-11-20T12:00:00Z");
        assert_eq!(found.distance_km, Some(342.9));
        assert_eq!(
            enriched(None, None, "2026-11-20T12:00:00Z").distance_km,
            None
        );
        let mut nowhere = Location::default();
        enrich(&mut nowhere, paris, DateTime::default());
        assert_eq!((nowhere.distance_km, nowhere.local_time), (None, None));
    }

    #[test]
    fn the_local_time_knows_summer_and_quarters() {
        let cases = [
            (
                "Europe/London",
                "2026-11-20T12:00:00.5Z",
                "2026-11-20T12:00:00+00:00",
            ),
            (
                "Europe/London",
                "2026-07-20T12:00:00Z",
                "2026-07-20T13:00:00+01:00",
            ),
            (
                "America/New_York",
                "2026-03-08T06:59:59Z",
                "2026-03-08T01:59:59-05:00",
            ),
            (
                "America/New_York",
                "2026-03-08T07:00:00Z",
                "2026-03-08T03:00:00-04:00",
            ),
            (
                "Asia/Kathmandu",
                "2026-11-20T20:00:00Z",
                "2026-11-21T01:45:00+05:45",
            ),
        ];
        for (zone, now, there) in cases {
            let found = enriched(Some(zone), None, now).local_time.unwrap();
            assert_eq!(found.to_rfc3339(), there, "{zone}");
        }
        let unknown = enriched(Some("Mars/Olympus"), None, "2026-11-20T12:00:00Z");
        assert_eq!(unknown.local_time, None);
    }
}
