//! Tests of verdicts with examples, and with generated areas and places.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

mod examples;
mod generated;
mod validation;

fn area(draft: Value) -> CompiledArea {
    spec_from_json(draft).compile().unwrap()
}

fn spec_from_json(mut draft: Value) -> ServiceAreaSpec {
    let fields = draft.as_object_mut().unwrap();
    fields.entry("name").or_insert("test".into());
    serde_json::from_value(draft).unwrap()
}

fn point(latitude: f64, longitude: f64) -> Place {
    located(latitude, longitude, 0.0)
}

fn located(latitude: f64, longitude: f64, accuracy_km: f64) -> Place {
    Place {
        point: Some(GeoPoint::new(latitude, longitude).unwrap()),
        accuracy_km,
        ..Place::default()
    }
}

fn index(areas: Vec<CompiledArea>) -> AreaIndex {
    let named = areas.into_iter().enumerate().map(|(n, area)| IndexedArea {
        id: Uuid::from_u128(n as u128),
        name: format!("area {n}"),
        area,
    });
    AreaIndex::new(named.map(Arc::new).collect())
}

/// A rectangle as one ring.
fn rectangle(west: f64, south: f64, east: f64, north: f64) -> Value {
    json!([
        [west, south],
        [east, south],
        [east, north],
        [west, north],
        [west, south]
    ])
}

fn polygon(rings: &[Value]) -> Value {
    json!({"geometry": {"type": "Polygon", "coordinates": rings}})
}
