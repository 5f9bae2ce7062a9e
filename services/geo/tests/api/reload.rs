//! Databases that change while geo runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::clock::Clock;
use serde_json::Value;

use crate::support::{Geo, answer, database, eventually, start_from};

const OFTEN: &str = "--geoip-watch-interval=20";

async fn start(path: &Path) -> Geo {
    let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
    start_from(&[path.to_owned()], &[OFTEN.into()], clock).await
}

async fn locate(geo: &Geo, ip: &str) -> (u16, Value) {
    let request = geo.get(&format!("/geolocate?ip={ip}"));
    answer(request.send().await.unwrap()).await
}

/// Puts a test database in the place of a file, as one who is careful does.
fn replace(file: &Path, name: &str) {
    let fresh = file.with_extension("new");
    fs::copy(database(name), &fresh).unwrap();
    fs::rename(fresh, file).unwrap();
}

/// Two databases that answer London differently.
const CITY: &str = "GeoIP2-City-Test.mmdb";
const COUNTRY: &str = "GeoIP2-Country-Test.mmdb";

#[tokio::test(flavor = "multi_thread")]
async fn twenty_swaps_cost_no_request_and_no_answer_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.mmdb");
    replace(&file, CITY);
    let geo = Arc::new(start(&file).await);
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let askers: Vec<_> = (0..4)
        .map(|_| {
            let (geo, done, answered) = (geo.clone(), done.clone(), answered.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let (status, body) = locate(&geo, "81.2.69.142").await;
                    assert_eq!((status, &body["country_code"]), (200, &"GB".into()));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for swap in 0..20 {
        let (name, city) = if swap % 2 == 0 {
            (COUNTRY, Value::Null)
        } else {
            (CITY, "London".into())
        };
        let before = answered.load(Ordering::SeqCst);
        replace(&file, name);
        let is_new = async || locate(&geo, "81.2.69.142").await.1["city"] == city;
        eventually("the swap", is_new).await;
        // Once the new one answers, the old one never does again.
        for _ in 0..5 {
            assert!(is_new().await, "a stale answer");
        }
        let go_on = async || answered.load(Ordering::SeqCst) > before;
        eventually("requests beside the swap", go_on).await;
    }
    done.store(true, Ordering::SeqCst);
    for asker in askers {
        asker.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_damaged_is_told_and_the_old_database_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.mmdb");
    replace(&file, CITY);
    let geo = start(&file).await;
    assert_eq!(geo.check("databases").await.0, "ok");
    for (name, reason) in [
        (
            "GeoIP2-City-Test-Broken-Double-Format.mmdb",
            "x.mmdb: not a valid .mmdb database",
        ),
        ("MaxMind-DB-test-mixed-24.mmdb", "x.mmdb: a Test database"),
        ("LICENSE-MIT", "x.mmdb: not a valid .mmdb database"),
    ] {
        replace(&file, name);
        eventually("a finding", async || {
            let (status, detail) = geo.check("databases").await;
            status == "degraded" && detail.contains(reason)
        })
        .await;
        assert_eq!(locate(&geo, "81.2.69.142").await.1["city"], "London");
    }
    fs::remove_file(&file).unwrap();
    eventually("it is missed", async || {
        geo.check("databases")
            .await
            .1
            .contains("x.mmdb: cannot be read")
    })
    .await;
    assert_eq!(locate(&geo, "81.2.69.142").await.1["city"], "London");
    replace(&file, COUNTRY);
    eventually("the new one answers", async || {
        geo.check("databases").await.0 == "ok"
    })
    .await;
    assert_eq!(locate(&geo, "81.2.69.142").await.1["city"], Value::Null);
}

#[tokio::test]
async fn a_folder_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    replace(&file("1.mmdb"), COUNTRY);
    let geo = start(folder.path()).await;
    replace(&file("2.mmdb"), CITY);
    let city = async || locate(&geo, "81.2.69.142").await.1["city"].clone();
    eventually("a new file answers", async || city().await == "London").await;
    replace(&file("0.mmdb"), "GeoLite2-ASN-Test.mmdb");
    let names = async || geo.check("databases").await.1;
    eventually("in the order of names", async || {
        names().await.starts_with("GeoLite2-ASN (")
    })
    .await;
    fs::remove_file(file("2.mmdb")).unwrap();
    eventually("one that left is forgotten", async || {
        city().await == Value::Null
    })
    .await;
    for name in ["0.mmdb", "1.mmdb"] {
        fs::remove_file(file(name)).unwrap();
    }
    eventually("the last ones are missed", async || {
        names().await.contains("1.mmdb: cannot be read")
    })
    .await;
    assert_eq!(
        locate(&geo, "81.2.69.142").await.1["sources"][0]["provider"],
        "mmdb"
    );
}

#[tokio::test]
async fn an_old_database_is_told() {
    let built: chrono::DateTime<chrono::Utc> = "2026-02-04T22:49:29Z".parse().unwrap();
    let clock = Clock::manual(built + chrono::TimeDelta::days(45));
    let geo = start_from(&[database(CITY)], &[], clock.clone()).await;
    assert_eq!(geo.check("databases").await.0, "ok");
    clock.advance(chrono::TimeDelta::days(1));
    let (status, detail) = geo.check("databases").await;
    assert_eq!(status, "degraded");
    assert!(detail.ends_with("; GeoIP2-City is 46 days old"), "{detail}");
    let metrics = geo.metrics().await;
    assert!(
        metrics.contains("geo_database_age_seconds{database=\"GeoIP2-City\"} 3974400"),
        "{metrics}"
    );
    assert!(metrics.contains("geo_database_build_timestamp_seconds{database=\"GeoIP2-City\"}"));
}
