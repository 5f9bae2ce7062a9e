//! Generated areas and places: compares the index with the verdict of every area, and areas with a
//! straightforward calculation.

use geo_types::Coord;

use super::*;

/// A deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.below(1 << 30) as f64 / f64::from(1 << 30)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A star-shaped ring around a random center.
fn star_ring(random: &mut Random, size: f64) -> Vec<Coord<f64>> {
    let corners = 3 + random.below(60);
    let (x, y) = (random.between(-180.0, 180.0), random.between(-75.0, 75.0));
    let size = size.min(14.0);
    let mut ring: Vec<_> = (0..corners)
        .map(|n| {
            let turn = std::f64::consts::TAU * n as f64 / corners as f64;
            let far = size * random.between(0.3, 1.0);
            Coord {
                x: x + far * turn.cos(),
                y: y + far * turn.sin(),
            }
        })
        .collect();
    ring.push(ring[0]);
    ring
}

fn geometry(ring: &[Coord<f64>]) -> Value {
    let turned = |x: f64| (x + 540.0).rem_euclid(360.0) - 180.0;
    let positions: Vec<_> = ring.iter().map(|at| json!([turned(at.x), at.y])).collect();
    polygon(&[Value::from(positions)])
}

const COUNTRIES: [&str; 5] = ["GB", "US", "FJ", "NZ", "FR"];
const CODES: [&str; 5] = ["1000", "1000 AB", "2000", "SE10", "SE10 1AA"];
const REGIONS: [&str; 4] = ["TX", "ENG", "A", "CA"];

fn random_area(random: &mut Random) -> CompiledArea {
    let size = random.pick(&[0.05, 0.5, 3.0, 14.0]);
    let mut draft = match random.below(6) {
        0..=2 => geometry(&star_ring(random, size)),
        3 | 4 => json!({"center": {"latitude": random.between(-90.0, 90.0),
            "longitude": random.between(-180.0, 180.0)}, "radius_km": size * 111.0}),
        _ => json!({"countries": [random.pick(&COUNTRIES)]}),
    };
    if random.below(3) == 0 {
        let country = random.pick(&COUNTRIES);
        draft["regions"] = json!([format!("{country}-{}", random.pick(&REGIONS))]);
    }
    if random.below(3) == 0 {
        let country = random.pick(&["", "GB:", "US:"]);
        draft["postal_codes"] = json!([format!("{country}{}", random.pick(&CODES))]);
    }
    area(draft)
}

fn random_place(random: &mut Random) -> Place {
    let country = CountryCode::parse(random.pick(&COUNTRIES)).filter(|_| random.below(2) == 0);
    let region = country.and_then(|country| RegionCode::from_parts(country, random.pick(&REGIONS)));
    let (north, east) = (random.between(-90.0, 90.0), random.between(-180.0, 180.0));
    let east = random.pick(&[east, east, 180.0, -180.0, 179.99]);
    let point = GeoPoint::new(north, east).ok();
    Place {
        point: point.filter(|_| random.below(4) > 0),
        accuracy_km: random.pick(&[0.0, 0.0, 5.0, 50.0, 300.0, 2_000.0]),
        country,
        region: region.filter(|_| random.below(2) == 0),
        postal_code: PostalCode::parse(random.pick(&CODES)).filter(|_| random.below(2) == 0),
    }
}

#[test]
fn the_index_answers_what_every_area_answers() {
    let mut random = Random(0x5eed);
    let mut verdicts = [0; 3];
    for round in 0..40 {
        let count = random.pick(&[1, 5, 30, 120]);
        let areas: Vec<_> = (0..count).map(|_| random_area(&mut random)).collect();
        let index = index(areas.clone());
        for _ in 0..100 {
            let place = random_place(&mut random);
            let answers: Vec<_> = areas.iter().map(|area| area.verdict_for(&place)).collect();
            let verdict = answers.iter().copied().max().unwrap_or_default();
            verdicts[verdict as usize] += 1;
            let found = index.check(&place);
            assert_eq!(found.verdict, verdict, "round {round}: {place:?}");
            let most = if verdict == Verdict::Inside {
                MAX_INSIDE_AREAS
            } else {
                MAX_UNCERTAIN_AREAS
            };
            let hit: Vec<_> = found.areas.iter().map(|hit| hit.id.as_u128()).collect();
            let same =
                |(_, answer): &(usize, &Verdict)| **answer == verdict && verdict > Verdict::Outside;
            let all: Vec<_> = answers
                .iter()
                .enumerate()
                .filter(same)
                .map(|(n, _)| n as u128)
                .collect();
            assert!(hit.len() == all.len().min(most) && hit.iter().all(|id| all.contains(id)));
            let distances = areas
                .iter()
                .filter_map(|area| area.distance_km(place.point?));
            let least = distances.fold(f64::MAX, f64::min);
            match found.nearest {
                Some(nearest) => assert!((nearest.distance_km - least).abs() < 1e-9),
                None => assert!(least >= f64::MAX),
            }
        }
    }
    assert!(verdicts.iter().all(|count| *count > 200), "{verdicts:?}");
}

/// Whether a ring contains a point, and the distance to its border in kilometres, by sampling.
fn reference_result(ring: &[Coord<f64>], point: GeoPoint) -> (bool, f64) {
    let at = |turn: f64| Coord {
        x: point.longitude() + turn,
        y: point.latitude(),
    };
    let holds = |at: Coord<f64>| {
        let crossed = ring.windows(2).filter(|ends| {
            let (a, b) = (ends[0], ends[1]);
            let spans = (a.y > at.y) != (b.y > at.y);
            spans && at.x < a.x + (b.x - a.x) * (at.y - a.y) / (b.y - a.y)
        });
        crossed.count() % 2 == 1
    };
    let inside = [-360.0, 0.0, 360.0].iter().any(|turn| holds(at(*turn)));
    let edges = ring.windows(2).flat_map(|ends| {
        (0..=400).map(move |n| ends[0] + (ends[1] - ends[0]) * (f64::from(n) / 400.0))
    });
    let distances = edges.filter_map(|at| {
        let x = (at.x + 540.0).rem_euclid(360.0) - 180.0;
        Some(GeoPoint::new(at.y, x).ok()?.distance_km(point))
    });
    (inside, distances.fold(f64::MAX, f64::min))
}

#[test]
fn a_polygon_answers_what_a_plain_calculation_does() {
    let mut random = Random(0xface);
    let mut answers = [0; 3];
    for _ in 0..300 {
        let size = random.pick(&[0.2, 1.0, 5.0, 14.0]);
        let ring = star_ring(&mut random, size);
        let area = area(geometry(&ring));
        for _ in 0..10 {
            let (x, y) = (ring[0].x, ring[0].y);
            let spread = random.pick(&[size, size * 3.0, 60.0]);
            let x = (x + random.between(-spread, spread) + 540.0).rem_euclid(360.0) - 180.0;
            let y = (y + random.between(-spread, spread)).clamp(-90.0, 90.0);
            let point = GeoPoint::new(y, x).unwrap();
            let (inside, border) = reference_result(&ring, point);
            let ours = area.distance_km(point).unwrap();
            let real = if inside { 0.0 } else { border };
            // The samples are up to 4 km apart on the longest edges.
            let slack = 0.02 + size / 14.0 * 0.5;
            assert!((ours - real).abs() <= slack, "{ours} {real}");
            let accuracy = random.pick(&[0.0, 1.0, 20.0, 100.0, 1_000.0]);
            if (border - accuracy).abs() <= slack {
                continue;
            }
            let expected = match (inside, border > accuracy) {
                (true, true) => Verdict::Inside,
                (false, true) => Verdict::Outside,
                (_, false) => Verdict::Uncertain,
            };
            answers[expected as usize] += 1;
            let place = located(point.latitude(), point.longitude(), accuracy);
            assert_eq!(
                area.verdict_for(&place),
                expected,
                "{place:?} {inside} {border}"
            );
        }
    }
    assert!(answers.iter().all(|count| *count > 100), "{answers:?}");
}
