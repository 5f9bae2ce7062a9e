//! 10,000 service areas: circles, polygons of up to 90 corners, postal codes, regions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::SeededRandom;
use geo::domain::areas::{AreaIndex, CountryCode, GeoPoint, IndexedArea, Place, ServiceAreaSpec};
use serde_json::{Value, json};
use uuid::Uuid;

const CHECKS_PER_CASE: usize = 20_000;

pub fn measure() {
    let mut random = SeededRandom(0xa4ea);
    let areas: Vec<_> = (0..10_000)
        .map(|n| Arc::new(random_area(n, &mut random)))
        .collect();
    let vertices: usize = areas.iter().map(|named| named.area.vertices()).sum();
    let started = Instant::now();
    let index = AreaIndex::new(areas);
    let built = started.elapsed();
    println!("10,000 service areas with {vertices} positions, indexed in {built:.0?}");
    println!("check                                         mean µs           p99 µs");
    for (name, accuracy_km) in [
        ("exact coordinates", 0.0),
        ("address with a radius of 20 km", 20.0),
        ("address with a radius of 500 km", 500.0),
    ] {
        let places: Vec<_> = (0..CHECKS_PER_CASE)
            .map(|_| random_place(&mut random, accuracy_km))
            .collect();
        report(name, &index, &places);
    }
    let countries = ["GB", "US", "DE", "JP"].iter().map(|code| Place {
        country: CountryCode::parse(code),
        ..Place::default()
    });
    report("country only", &index, &countries.collect::<Vec<_>>());
}

fn report(name: &str, index: &AreaIndex, places: &[Place]) {
    let mut times = vec![];
    let mut verdicts = [0; 3];
    for n in 0..CHECKS_PER_CASE {
        let started = Instant::now();
        let found = index.check(&places[n % places.len()]);
        times.push(started.elapsed());
        verdicts[found.verdict as usize] += 1;
    }
    times.sort_unstable();
    let mean = times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len() as f64;
    let late = times[times.len() * 99 / 100].as_secs_f64() * 1e6;
    println!(
        "{name:<42} {mean:>10.1} {late:>16.1}   {} inside, {} uncertain, {} outside",
        verdicts[2], verdicts[1], verdicts[0]
    );
}

/// A point between the northern tropic and the polar circle, where most people live.
fn random_coordinates(random: &mut SeededRandom) -> (f64, f64) {
    (random.between(20.0, 65.0), random.between(-125.0, 145.0))
}

fn random_area(number: u128, random: &mut SeededRandom) -> IndexedArea {
    let (latitude, longitude) = random_coordinates(random);
    let mut draft = json!({"name": format!("area {number}")});
    match number % 10 {
        0..=3 => {
            draft["center"] = json!({"latitude": latitude, "longitude": longitude});
            draft["radius_km"] = json!(random.between(2.0, 60.0));
        }
        4..=7 => draft["geometry"] = random_polygon(latitude, longitude, random),
        8 => {
            draft["postal_codes"] = (0..20)
                .map(|_| json!(format!("US:{:05}", random.below(100_000))))
                .collect();
        }
        _ => draft["regions"] = json!([format!("US-{}", random.below(900))]),
    }
    let draft: ServiceAreaSpec = serde_json::from_value(draft).unwrap();
    IndexedArea {
        id: Uuid::from_u128(number),
        name: draft.name.clone(),
        area: draft.compile().unwrap(),
    }
}

fn random_polygon(latitude: f64, longitude: f64, random: &mut SeededRandom) -> Value {
    let corners = 10 + random.below(80);
    let size = random.between(0.02, 0.6);
    let mut ring: Vec<_> = (0..corners)
        .map(|n| {
            let turn = std::f64::consts::TAU * n as f64 / corners as f64;
            let far = size * random.between(0.5, 1.0);
            json!([longitude + far * turn.cos(), latitude + far * turn.sin()])
        })
        .collect();
    ring.push(ring[0].clone());
    json!({"type": "Polygon", "coordinates": [ring]})
}

fn random_place(random: &mut SeededRandom, accuracy_km: f64) -> Place {
    let (latitude, longitude) = random_coordinates(random);
    Place {
        point: GeoPoint::new(latitude, longitude).ok(),
        accuracy_km,
        country: CountryCode::parse("DE"),
        ..Place::default()
    }
}
