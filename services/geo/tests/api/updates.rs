//! Databases that keep themselves fresh, against a server that plays those who publish them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use common::clock::Clock;
use serde_json::Value;

use crate::support::maxmind::{ACCOUNT, KEY};
use crate::support::publisher::{Download, Metadata, Publisher};
use crate::support::{Geo, answer, database, eventually, start_from};

pub const CITY: &str = "GeoLite2-City";

pub struct Updating {
    pub publisher: Publisher,
    pub folder: tempfile::TempDir,
    pub clock: Clock,
}

pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(database(name)).unwrap()
}

impl Updating {
    pub async fn new() -> Self {
        let publisher = Publisher::start().await;
        publisher.publish(CITY, bytes("GeoLite2-City-Test.mmdb"));
        Self {
            publisher,
            folder: tempfile::tempdir().unwrap(),
            clock: Clock::manual("2026-02-20T12:00:00Z".parse().unwrap()),
        }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join(format!("{CITY}.mmdb"))
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let mut arguments = vec![
            "--geoip-update=on".into(),
            "--geoip-watch-interval=20".into(),
            format!("--geoip-data-dir={}", self.folder.path().display()),
        ];
        arguments.extend(more.iter().map(|&argument| argument.into()));
        arguments
    }

    pub fn maxmind(&self, editions: &str) -> Vec<String> {
        let base = &self.publisher.base;
        self.arguments(&[
            &format!("--maxmind-account-id={ACCOUNT}"),
            &format!("--maxmind-api-key={KEY}"),
            &format!("--maxmind-host={base}"),
            &format!("--maxmind-update-host={base}"),
            &format!("--geoip-editions={editions}"),
        ])
    }

    pub fn dbip(&self) -> Vec<String> {
        self.arguments(&[&format!("--dbip-host={}", self.publisher.base)])
    }

    async fn start(&self, arguments: &[String]) -> Geo {
        start_from(&[], arguments, self.clock.clone()).await
    }

    /// A folder that has a database already, which is not the newest.
    pub fn with_an_old_database(&self) {
        fs::write(self.file(), bytes("GeoIP2-City-Test.mmdb")).unwrap();
    }

    /// The old database is as it was, nothing unfinished is left, and it answers.
    async fn the_old_one_goes_on(&self, geo: &Geo) {
        assert_eq!(
            fs::read(self.file()).unwrap(),
            bytes("GeoIP2-City-Test.mmdb")
        );
        assert_eq!(source(geo).await, "GeoIP2-City");
        eventually("no unfinished file", async || {
            let mut files = self.folder.path().read_dir().unwrap();
            files.all(|file| {
                let name = file.unwrap().file_name();
                !name.to_string_lossy().starts_with(".download-")
            })
        })
        .await;
    }
}

/// Which database says where London is.
pub async fn source(geo: &Geo) -> Value {
    let request = geo.get("/geolocate?ip=81.2.69.142");
    let (_, body) = answer(request.send().await.unwrap()).await;
    body["sources"][0]["database"].clone()
}

pub async fn told(geo: &Geo, status: &str, what: &str) {
    eventually(what, async || {
        let (found, detail) = geo.check("updates").await;
        found == status && detail.contains(what)
    })
    .await;
}

#[tokio::test]
async fn the_first_download_is_used_without_a_restart() {
    let updating = Updating::new().await;
    let asn = bytes("GeoLite2-ASN-Test.mmdb");
    updating.publisher.publish("GeoLite2-ASN", asn);
    let arguments = updating.maxmind("GeoLite2-City,GeoLite2-ASN");
    let geo = updating.start(&arguments).await;
    eventually("both answer", async || {
        let request = geo.get("/geolocate?ip=89.160.20.128");
        let (_, body) = answer(request.send().await.unwrap()).await;
        body["city"] == "Linköping" && body["asn"] == 29518
    })
    .await;
    let mut asked = updating.publisher.asked();
    asked.retain(|asked| asked.contains(CITY));
    assert_eq!(
        asked,
        [
            "/geoip/updates/metadata?edition_id=GeoLite2-City",
            "/geoip/databases/GeoLite2-City/download?date=20261117&suffix=tar.gz",
            "storage/GeoLite2-City.tar.gz?signature=secret",
        ]
    );
    assert_eq!(updating.publisher.times("LEAKED"), 0);
    told(
        &geo,
        "ok",
        "GeoLite2-City: next check at 2026-02-21 12:00 UTC",
    )
    .await;
    assert_eq!(
        fs::read(updating.file()).unwrap(),
        bytes("GeoLite2-City-Test.mmdb")
    );
}

#[tokio::test]
async fn what_is_there_already_is_not_downloaded_again() {
    let updating = Updating::new().await;
    fs::write(updating.file(), bytes("GeoLite2-City-Test.mmdb")).unwrap();
    let geo = updating.start(&updating.maxmind(CITY)).await;
    told(&geo, "ok", "next check at 2026-02-21").await;
    assert_eq!(updating.publisher.asked().len(), 1);
    drop(geo);
    // A restart the next hour does not even ask; one on the next day does.
    updating.clock.advance(TimeDelta::hours(1));
    let geo = updating.start(&updating.maxmind(CITY)).await;
    told(&geo, "ok", "next check at 2026-02-21 12:00").await;
    assert_eq!(updating.publisher.asked().len(), 1);
    drop(geo);
    updating.clock.advance(TimeDelta::hours(23));
    let geo = updating.start(&updating.maxmind(CITY)).await;
    told(&geo, "ok", "next check at 2026-02-22 12:00").await;
    assert_eq!(updating.publisher.asked().len(), 2);
}

#[tokio::test]
async fn a_newer_one_takes_the_place_of_the_old_one() {
    let updating = Updating::new().await;
    updating.with_an_old_database();
    let geo = updating.start(&updating.maxmind(CITY)).await;
    eventually("the new one", async || {
        source(&geo).await == "GeoLite2-City"
    })
    .await;
}

#[tokio::test]
async fn what_is_not_what_was_announced_is_not_used() {
    let updating = Updating::new().await;
    updating.with_an_old_database();
    updating.publisher.metadata(Metadata::WrongMd5);
    let geo = updating.start(&updating.maxmind(CITY)).await;
    told(&geo, "degraded", "does not match its checksum").await;
    updating.the_old_one_goes_on(&geo).await;
}

#[tokio::test]
async fn a_damaged_database_is_not_used_even_with_the_right_checksum() {
    for (name, reason) in [
        ("GeoIP2-City-Test-Broken-Double-Format.mmdb", "not a valid"),
        ("LICENSE-MIT", "not a valid"),
        ("MaxMind-DB-test-mixed-24.mmdb", "contains no locations"),
    ] {
        let updating = Updating::new().await;
        updating.with_an_old_database();
        updating.publisher.publish(CITY, bytes(name));
        let geo = updating.start(&updating.maxmind(CITY)).await;
        told(&geo, "degraded", reason).await;
        updating.the_old_one_goes_on(&geo).await;
    }
}

#[tokio::test]
async fn a_broken_download_is_tried_again() {
    let updating = Updating::new().await;
    updating.with_an_old_database();
    updating.publisher.download(Download::Cut);
    let geo = updating.start(&updating.maxmind(CITY)).await;
    told(&geo, "ok", "does not answer").await;
    updating.the_old_one_goes_on(&geo).await;
    updating.publisher.download(Download::Whole);
    eventually("the new one", async || {
        source(&geo).await == "GeoLite2-City"
    })
    .await;
    told(&geo, "ok", "GeoLite2-City: next check").await;
}

#[tokio::test]
async fn errors_that_pass_are_waited_out() {
    for status in [500, 503, 408, 429] {
        let updating = Updating::new().await;
        updating.publisher.metadata(Metadata::Failing(1, status));
        let geo = updating.start(&updating.maxmind(CITY)).await;
        eventually("the database", async || {
            source(&geo).await == "GeoLite2-City"
        })
        .await;
        assert_eq!(updating.publisher.times("metadata"), 2, "{status}");
    }
}

#[tokio::test]
async fn errors_that_do_not_pass_are_told_and_left_alone() {
    for (status, code, reason) in [
        (401, "AUTHORIZATION_INVALID", "MAXMIND_API_KEY"),
        (403, "PERMISSION_REQUIRED", "HTTP status 403"),
        (404, "DATABASE_NOT_FOUND", "HTTP status 404"),
    ] {
        let updating = Updating::new().await;
        updating.with_an_old_database();
        updating.publisher.metadata(Metadata::Error(status, code));
        let geo = updating.start(&updating.maxmind(CITY)).await;
        told(&geo, "degraded", reason).await;
        told(&geo, "degraded", "next check at 2026-02-20 13:00 UTC").await;
        assert_eq!(updating.publisher.asked().len(), 1);
        updating.the_old_one_goes_on(&geo).await;
    }
}

#[tokio::test]
async fn over_the_limit_nothing_is_asked_before_tomorrow() {
    let updating = Updating::new().await;
    updating.with_an_old_database();
    let limit = Metadata::Error(429, "LIMIT_EXCEEDED");
    updating.publisher.metadata(limit);
    for _ in 0..2 {
        // Also not by a new process.
        let geo = updating.start(&updating.maxmind(CITY)).await;
        told(&geo, "ok", "next check at 2026-02-21 00:05 UTC").await;
        updating.the_old_one_goes_on(&geo).await;
    }
    assert_eq!(updating.publisher.asked().len(), 1);
    updating.publisher.metadata(Metadata::True);
    updating.clock.advance(TimeDelta::hours(13));
    let geo = updating.start(&updating.maxmind(CITY)).await;
    eventually("the new one", async || {
        source(&geo).await == "GeoLite2-City"
    })
    .await;
}

#[tokio::test]
async fn without_an_account_db_ip_is_asked_once_a_month() {
    let updating = Updating::new().await;
    let month = |release: &str| format!("dbip-city-lite-{release}");
    let database = bytes("nested-dbip-city-lite.mmdb");
    // This month's is not there yet.
    updating
        .publisher
        .publish(&month("2026-01"), database.clone());
    let geo = updating.start(&updating.dbip()).await;
    let city = async |geo: &Geo| {
        let request = geo.get("/geolocate?ip=89.160.20.128");
        answer(request.send().await.unwrap()).await.1["city"].clone()
    };
    eventually("the city", async || city(&geo).await == "Stockholm").await;
    told(&geo, "ok", "https://db-ip.com, CC BY 4.0").await;
    told(&geo, "ok", "next check at 2026-02-21").await;
    let asked = [
        "/free/dbip-city-lite-2026-02.mmdb.gz",
        "/free/dbip-city-lite-2026-01.mmdb.gz",
    ];
    assert_eq!(updating.publisher.asked(), asked);
    drop(geo);
    updating.clock.advance(TimeDelta::days(1));
    updating.publisher.publish(&month("2026-02"), database);
    for _ in 0..2 {
        let geo = updating.start(&updating.dbip()).await;
        told(&geo, "ok", "dbip-city-lite: next check at 2026-02-22").await;
        assert_eq!(city(&geo).await, "Stockholm");
    }
    assert_eq!(updating.publisher.times("2026-02"), 2);
    assert_eq!(updating.publisher.times("2026-01"), 1);
}

#[tokio::test]
async fn one_who_has_changed_to_maxmind_keeps_nothing_of_db_ip() {
    // The first process is stopped at any moment: before, during and after its download.
    for milliseconds in [0, 2, 4, 6, 8, 10, 15, 20, 40, 1_000] {
        let updating = Updating::new().await;
        let database = bytes("nested-dbip-city-lite.mmdb");
        updating
            .publisher
            .publish("dbip-city-lite-2026-02", database);
        let geo = updating.start(&updating.dbip()).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        drop(geo);
        let geo = updating.start(&updating.maxmind(CITY)).await;
        told(&geo, "ok", "GeoLite2-City: next check at").await;
        eventually("only MaxMind's", async || {
            let (_, detail) = geo.check("databases").await;
            detail.starts_with("GeoLite2-City (") && !detail.contains("DBIP")
        })
        .await;
    }
}

#[tokio::test]
async fn a_damaged_download_of_an_earlier_day_does_not_stop_the_start() {
    let updating = Updating::new().await;
    fs::write(updating.file(), b"half a database").unwrap();
    let geo = updating
        .start(&updating.arguments(&["--geoip-update=off"])[1..])
        .await;
    let (status, detail) = geo.check("databases").await;
    assert_eq!(status, "degraded");
    assert!(
        detail.contains("GeoLite2-City.mmdb: not a valid"),
        "{detail}"
    );
    assert_eq!(source(&geo).await, "IPFire");
    drop(geo);
    let geo = updating.start(&updating.maxmind(CITY)).await;
    eventually("the new one", async || {
        source(&geo).await == "GeoLite2-City"
    })
    .await;
    assert_eq!(geo.check("databases").await.0, "ok");
}
