//! Verdicts by example.

use super::*;
use common::geo::Location;

use Verdict::{Inside, Outside, Uncertain};

#[test]
fn a_circle_is_sure_of_what_lies_in_it_with_all_its_radius() {
    let london = area(json!({"center": {"latitude": 51.5, "longitude": -0.1}, "radius_km": 20}));
    let cases = [
        (51.5, 0.0, Inside),
        (10.0, 0.0, Outside),
        (51.5, 19.9, Inside),
        (51.5, 20.1, Uncertain),
        (51.7, 5.0, Uncertain),
        (51.7, 1.0, Outside),
        (51.7, 3_000.0, Uncertain),
    ];
    for (latitude, accuracy, answer) in cases {
        let place = located(latitude, -0.1, accuracy);
        assert_eq!(
            london.verdict_for(&place),
            answer,
            "{latitude} ± {accuracy}"
        );
    }
    let distance = london
        .distance_km(GeoPoint::new(51.7, -0.1).unwrap())
        .unwrap();
    assert!((distance - 2.239).abs() < 0.01, "{distance}");
}

#[test]
fn a_hole_is_outside_and_its_border_counts() {
    let ring = area(polygon(&[
        rectangle(0.0, 0.0, 10.0, 10.0),
        rectangle(4.0, 4.0, 6.0, 6.0),
    ]));
    assert_eq!(ring.verdict_for(&point(5.0, 5.0)), Outside);
    assert_eq!(ring.verdict_for(&located(5.0, 5.0, 120.0)), Uncertain);
    assert_eq!(ring.verdict_for(&point(2.0, 5.0)), Inside);
    assert_eq!(ring.verdict_for(&located(2.0, 5.0, 230.0)), Uncertain);
    // Borders and corners belong to the area.
    for (latitude, longitude) in [(0.0, 0.0), (10.0, 5.0), (5.0, 10.0), (5.0, 4.0), (6.0, 6.0)] {
        assert_eq!(
            ring.verdict_for(&point(latitude, longitude)),
            Inside,
            "{latitude} {longitude}"
        );
    }
}

#[test]
fn an_area_across_the_antimeridian_has_no_border_there() {
    let cut = json!({"geometry": {"type": "MultiPolygon", "coordinates": [
        [rectangle(170.0, -20.0, 180.0, -10.0)], [rectangle(-180.0, -20.0, -170.0, -10.0)]]}});
    let whole = polygon(&[rectangle(170.0, -20.0, -170.0, -10.0)]);
    let whole_eastward = polygon(&[json!([
        [-170.0, -10.0],
        [170.0, -10.0],
        [170.0, -20.0],
        [-170.0, -20.0],
        [-170.0, -10.0]
    ])]);
    for fiji in [cut, whole, whole_eastward] {
        let fiji = area(fiji);
        for longitude in [180.0, -180.0, 179.99, -179.99] {
            assert_eq!(
                fiji.verdict_for(&located(-15.0, longitude, 400.0)),
                Inside,
                "{longitude}"
            );
            assert_eq!(
                fiji.verdict_for(&located(-15.0, longitude, 600.0)),
                Uncertain,
                "{longitude}"
            );
        }
        assert_eq!(fiji.verdict_for(&point(-15.0, 0.0)), Outside);
        assert_eq!(fiji.verdict_for(&located(-15.0, 169.0, 100.0)), Outside);
        assert_eq!(fiji.verdict_for(&located(-15.0, -169.0, 110.0)), Uncertain);
    }
    // An area on one side only has a border at the antimeridian.
    let half = area(polygon(&[rectangle(170.0, -20.0, 180.0, -10.0)]));
    assert_eq!(half.verdict_for(&located(-15.0, 179.9, 100.0)), Uncertain);
    assert_eq!(half.verdict_for(&point(-15.0, -179.9)), Outside);
    let near = half
        .distance_km(GeoPoint::new(-15.0, -179.9).unwrap())
        .unwrap();
    assert!((near - 10.7).abs() < 0.1, "{near}");
}

#[test]
fn poles_are_places_like_others() {
    let arctic = area(polygon(&[rectangle(-180.0, 70.0, 180.0, 90.0)]));
    for longitude in [-180.0, -90.0, 0.0, 45.0, 180.0] {
        assert_eq!(
            arctic.verdict_for(&located(90.0, longitude, 2_000.0)),
            Inside
        );
        assert_eq!(
            arctic.verdict_for(&located(80.0, longitude, 1_000.0)),
            Inside
        );
        assert_eq!(
            arctic.verdict_for(&located(80.0, longitude, 1_200.0)),
            Uncertain
        );
        assert_eq!(
            arctic.verdict_for(&located(69.0, longitude, 100.0)),
            Outside
        );
    }
    let circle = area(json!({"center": {"latitude": -89.9, "longitude": 0}, "radius_km": 50}));
    assert_eq!(circle.verdict_for(&point(-89.7, 180.0)), Inside);
    assert_eq!(circle.verdict_for(&point(-89.6, 180.0)), Outside);
    let found = index(vec![circle]).check(&point(-89.7, 180.0));
    assert_eq!(found.verdict, Inside);
}

#[test]
fn edges_are_straight_on_the_map_and_not_on_the_globe() {
    // The great circle between these corners reaches 52 degrees north.
    let plains = area(polygon(&[rectangle(-123.0, 40.0, -95.0, 49.0)]));
    assert_eq!(plains.verdict_for(&point(49.5, -109.0)), Outside);
    let distance = plains
        .distance_km(GeoPoint::new(49.5, -109.0).unwrap())
        .unwrap();
    assert!((distance - 55.6).abs() < 0.1, "{distance}");
}

fn at(country: &str) -> Place {
    Place {
        country: CountryCode::parse(country),
        ..Place::default()
    }
}

#[test]
fn of_a_country_alone_nothing_more_is_claimed() {
    let london = json!({"center": {"latitude": 51.5, "longitude": -0.1}, "radius_km": 20});
    let cases = [
        (london.clone(), "GB", Uncertain),
        (london.clone(), "JP", Outside),
        (json!({"countries": ["gb", "FR"]}), "GB", Inside),
        (json!({"countries": ["gb", "FR"]}), "JP", Outside),
        (json!({"regions": ["GB-ENG"]}), "GB", Uncertain),
        (json!({"regions": ["GB-ENG"]}), "FR", Outside),
        (json!({"postal_codes": ["GB:SE10"]}), "GB", Uncertain),
        (json!({"postal_codes": ["GB:SE10"]}), "FR", Outside),
        (json!({"postal_codes": ["75001"]}), "FR", Uncertain),
        (
            polygon(&[rectangle(170.0, -20.0, -170.0, -10.0)]),
            "FJ",
            Uncertain,
        ),
        (
            polygon(&[rectangle(-180.0, -90.0, 180.0, 90.0)]),
            "NL",
            Uncertain,
        ),
    ];
    for (draft, country, answer) in cases {
        let area = area(draft.clone());
        assert_eq!(area.verdict_for(&at(country)), answer, "{draft} {country}");
        let found = index(vec![area]).check(&at(country));
        assert_eq!(found.verdict, answer, "{draft} {country}");
        assert!(found.nearest.is_none());
    }
    assert_eq!(area(london).verdict_for(&Place::default()), Uncertain);
}

#[test]
fn of_coordinates_alone_names_are_guessed_by_where_countries_are() {
    let texas = area(json!({"regions": ["US-TX"]}));
    assert_eq!(texas.verdict_for(&point(30.0, -97.0)), Uncertain);
    assert_eq!(texas.verdict_for(&point(51.5, -0.1)), Outside);
    let anywhere = area(json!({"postal_codes": ["94107"]}));
    assert_eq!(anywhere.verdict_for(&point(51.5, -0.1)), Uncertain);
}

#[test]
fn a_located_address_is_believed_as_far_as_its_radius() {
    let location = |accuracy: Option<u16>| {
        Place::from(&Location {
            country_code: Some("US".into()),
            region_code: Some("CA".into()),
            postal_code: Some("94107".into()),
            latitude: Some(37.77),
            longitude: Some(-122.39),
            accuracy_radius_km: accuracy,
            ..Location::default()
        })
    };
    let cases = [
        (Some(5), Inside, Inside),
        (Some(20), Uncertain, Inside),
        (None, Uncertain, Inside),
        (Some(200), Uncertain, Uncertain),
    ];
    for (accuracy, by_code, by_region) in cases {
        let place = location(accuracy);
        for (draft, answer) in [
            (json!({"postal_codes": ["us:94107"]}), by_code),
            (json!({"regions": ["US-CA"]}), by_region),
            (json!({"countries": ["US"]}), Inside),
            (json!({"countries": ["CA"]}), Outside),
            (json!({"postal_codes": ["CA:94107"]}), Outside),
        ] {
            let area = area(draft.clone());
            assert_eq!(area.verdict_for(&place), answer, "{draft} {accuracy:?}");
            assert_eq!(index(vec![area]).check(&place).verdict, answer, "{draft}");
        }
    }
    let other = json!({"regions": ["US-NV"], "postal_codes": ["94108"]});
    assert_eq!(area(other.clone()).verdict_for(&location(Some(5))), Outside);
    assert_eq!(area(other).verdict_for(&location(Some(50))), Uncertain);
}

#[test]
fn an_area_is_the_union_of_its_criteria() {
    let draft = json!({"countries": ["FR"], "center": {"latitude": 51.5, "longitude": -0.1},
        "radius_km": 20});
    let both = area(draft);
    assert_eq!(both.verdict_for(&at("FR")), Inside);
    assert_eq!(both.verdict_for(&point(51.5, -0.1)), Inside);
    assert_eq!(both.verdict_for(&at("GB")), Uncertain);
}

#[test]
fn nothing_is_outside_of_nothing() {
    let found = index(vec![]).check(&point(0.0, 0.0));
    assert_eq!(found.verdict, Outside);
    assert!(found.areas.is_empty() && found.nearest.is_none());
}

#[test]
fn a_list_of_hits_has_an_end() {
    let areas = vec![area(json!({"countries": ["FR"]})); 300];
    assert_eq!(
        index(areas.clone()).check(&at("FR")).areas.len(),
        MAX_INSIDE_AREAS
    );
    assert_eq!(
        index(areas).check(&point(46.0, 3.0)).areas.len(),
        MAX_UNCERTAIN_AREAS
    );
}
