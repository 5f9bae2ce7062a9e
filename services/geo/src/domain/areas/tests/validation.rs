//! Invalid areas and their errors.

use super::*;

fn refused(draft: Value) -> (&'static str, String, String) {
    let error = spec_from_json(draft).compile().unwrap_err();
    (error.code(), error.field(), error.to_string())
}

fn ring(positions: &Value) -> Value {
    polygon(std::slice::from_ref(positions))
}

#[test]
fn each_fault_of_a_geometry_has_its_code_and_place() {
    let first = "geometry.coordinates[0]";
    let cases = [
        (
            ring(&json!([[0, 0], [1, 0], [1, 1]])),
            ("RING_TOO_SHORT", first),
        ),
        (
            ring(&json!([[0, 0], [1, 0], [1, 1], [0, 1]])),
            ("RING_NOT_CLOSED", first),
        ),
        (
            ring(&json!([[0, 0], [0, 0], [1, 1], [0, 0]])),
            ("RING_TOO_SHORT", first),
        ),
        (
            ring(&json!([[0, 0], [181, 0], [1, 1], [0, 0]])),
            ("POSITION_INVALID", "geometry.coordinates[0][1]"),
        ),
        (
            ring(&json!([[0, 0], [1, 0], [1, 90.1], [0, 0]])),
            ("POSITION_INVALID", "geometry.coordinates[0][2]"),
        ),
        (
            ring(&json!([[0, 80], [120, 80], [-120, 80], [0, 80]])),
            ("RING_ROUND_A_POLE", first),
        ),
        (
            polygon(&[rectangle(0.0, 0.0, 4.0, 4.0), rectangle(5.0, 5.0, 6.0, 6.0)]),
            ("HOLE_OUTSIDE", "geometry.coordinates[1]"),
        ),
        (
            json!({"geometry": {"type": "Point", "coordinates": [0, 0]}}),
            ("GEOMETRY_TYPE_UNSUPPORTED", "geometry.type"),
        ),
        (
            json!({"geometry": {"type": "Polygon", "coordinates": []}}),
            ("GEOMETRY_EMPTY", "geometry.coordinates"),
        ),
        (
            json!({"geometry": {"type": "MultiPolygon", "coordinates": []}}),
            ("GEOMETRY_EMPTY", "geometry.coordinates"),
        ),
        (
            ring(&Value::from(vec![json!([0, 0]); 10_001])),
            ("TOO_MANY_VERTICES", "geometry.coordinates"),
        ),
    ];
    for (draft, expected) in cases {
        let (code, field, _) = refused(draft);
        assert_eq!((code, field.as_str()), expected);
    }
}

#[test]
fn crossing_edges_are_refused_with_the_place() {
    let cases = [
        // A bow tie, a spike, a ring that touches itself, a hole that exceeds the outer ring, and
        // a bow tie across the antimeridian.
        (
            ring(&json!([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]])),
            "[1, 1]",
        ),
        (
            ring(&json!([
                [0, 0],
                [4, 0],
                [4, 4],
                [4, 6],
                [4, 4],
                [0, 4],
                [0, 0]
            ])),
            "[4, ",
        ),
        (
            ring(&json!([
                [0, 0],
                [4, 0],
                [2, 2],
                [4, 4],
                [0, 4],
                [2, 2],
                [0, 0]
            ])),
            "[2, 2]",
        ),
        (
            polygon(&[rectangle(0.0, 0.0, 4.0, 4.0), rectangle(3.0, 1.0, 5.0, 2.0)]),
            "[4, ",
        ),
        (
            ring(&json!([[179, 0], [-179, 2], [-179, 0], [179, 2], [179, 0]])),
            "[-180, 1]",
        ),
    ];
    for (draft, place) in cases {
        let (code, _, text) = refused(draft);
        assert_eq!(code, "EDGES_CROSS");
        assert!(text.contains(place), "{text}");
    }
    // Rings may touch at a point.
    area(polygon(&[
        rectangle(0.0, 0.0, 4.0, 4.0),
        json!([[0, 2], [1, 1], [2, 2], [1, 3], [0, 2]]),
    ]));
}

#[test]
fn everything_else_is_told_apart_too() {
    let center = json!({"latitude": 1, "longitude": 1});
    let cases = [
        (json!({}), ("CRITERION_REQUIRED", "body")),
        (
            json!({"name": " ", "countries": ["FR"]}),
            ("NAME_INVALID", "name"),
        ),
        (
            json!({"name": "a\nb", "countries": ["FR"]}),
            ("NAME_INVALID", "name"),
        ),
        (json!({"name": "x".repeat(201)}), ("NAME_INVALID", "name")),
        (json!({"center": center}), ("RADIUS_REQUIRED", "radius_km")),
        (json!({"radius_km": 1}), ("CENTER_REQUIRED", "center")),
        (
            json!({"center": center, "radius_km": 0}),
            ("RADIUS_INVALID", "radius_km"),
        ),
        (
            json!({"center": center, "radius_km": 1e9}),
            ("RADIUS_INVALID", "radius_km"),
        ),
        (
            json!({"center": {"latitude": 91, "longitude": 0}, "radius_km": 1}),
            ("LATITUDE_OUT_OF_RANGE", "center.latitude"),
        ),
        (
            json!({"center": {"latitude": 9, "longitude": -181}, "radius_km": 1}),
            ("LONGITUDE_OUT_OF_RANGE", "center.longitude"),
        ),
        (
            json!({"postal_codes": ["1", "?"]}),
            ("POSTAL_CODE_INVALID", "postal_codes[1]"),
        ),
        (
            json!({"regions": ["Texas"]}),
            ("REGION_INVALID", "regions[0]"),
        ),
        (
            json!({"countries": ["UK"]}),
            ("COUNTRY_UNKNOWN", "countries[0]"),
        ),
        (
            json!({"postal_codes": vec!["1"; 1_001]}),
            ("TOO_MANY_POSTAL_CODES", "postal_codes"),
        ),
        (
            json!({"regions": vec!["US-TX"; 301]}),
            ("TOO_MANY_REGIONS", "regions"),
        ),
        (
            json!({"countries": vec!["US"; 301]}),
            ("TOO_MANY_COUNTRIES", "countries"),
        ),
    ];
    for (draft, expected) in cases {
        let (code, field, _) = refused(draft);
        assert_eq!((code, field.as_str()), expected);
    }
}
