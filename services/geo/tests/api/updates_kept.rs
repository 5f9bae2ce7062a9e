//! Downloads that are kept in PostgreSQL, for machines whose disk does not last.

use std::fs;

use chrono::TimeDelta;
use common::clock::Clock;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::publisher::{Metadata, hexadecimal_md5};
use crate::support::{Geo, answer, eventually, start_replica};
use crate::updates::{CITY, Updating, bytes, source, told};

/// Where downloads come from, and the database they are kept in.
struct Fleet {
    updating: Updating,
    pool: PgPool,
}

impl Fleet {
    async fn new(pool: PgPool) -> Self {
        let fleet = Self::without_schema(pool).await;
        fleet.migrate().await;
        fleet
    }

    async fn without_schema(pool: PgPool) -> Self {
        let updating = Updating::new().await;
        Self { updating, pool }
    }

    async fn migrate(&self) {
        let migrated = chassis::database::migrate(&self.pool, geo::SERVICE_NAME, geo::migrator());
        migrated.await.unwrap();
    }

    /// A new disk; the one before goes on for those who have it.
    fn new_disk(&mut self) -> TempDir {
        std::mem::replace(&mut self.updating.folder, tempfile::tempdir().unwrap())
    }

    async fn start(&self, arguments: &[String]) -> Geo {
        let clock: Clock = self.updating.clock.clone();
        start_replica(&self.pool, &[], arguments, clock).await
    }

    async fn replica(&self) -> Geo {
        self.start(&self.updating.maxmind(CITY)).await
    }

    fn downloads(&self) -> usize {
        self.updating.publisher.times("storage")
    }

    /// Downloads, and questions whether there is something newer.
    fn asked(&self) -> (usize, usize) {
        let questions = self.updating.publisher.times("metadata");
        (self.downloads(), questions)
    }

    /// The editions and checksums of what is kept, whole as it seems.
    async fn kept(&self) -> Vec<(String, String)> {
        let kept = "select edition, md5 from geo.download
                    where exists (select from geo.download_part part
                                  where part.edition = download.edition)";
        sqlx::query_as(kept).fetch_all(&self.pool).await.unwrap()
    }

    async fn keeps(&self, edition: &str, database: &[u8]) {
        let expected = [(edition.to_owned(), hexadecimal_md5(database))];
        eventually("it is kept", async || self.kept().await == expected).await;
    }

    fn publishes_the_next(&self) -> Vec<u8> {
        let next = bytes("GeoIP2-City-Test.mmdb");
        self.updating.publisher.publish(CITY, next.clone());
        next
    }
}

async fn answers(geo: &Geo, database: &str) {
    eventually(database, async || source(geo).await == database).await;
}

#[sqlx::test(migrations = false)]
async fn a_lost_disk_costs_no_download_and_no_question(pool: PgPool) {
    let mut fleet = Fleet::new(pool).await;
    let geo = fleet.replica().await;
    fleet.keeps(CITY, &bytes("GeoLite2-City-Test.mmdb")).await;
    drop(geo);
    for _ in 0..2 {
        fleet.new_disk();
        fleet.updating.clock.advance(TimeDelta::hours(1));
        let geo = fleet.replica().await;
        answers(&geo, "GeoLite2-City").await;
        told(&geo, "ok", "next check at 2026-02-21 12:00").await;
        let metrics = geo.metrics().await;
        assert!(metrics.contains(r#"outcome="restored""#), "{metrics}");
    }
    assert_eq!(fleet.asked(), (1, 1));
    // A day later the publisher is asked, and has nothing new.
    fleet.new_disk();
    fleet.updating.clock.advance(TimeDelta::hours(22));
    let geo = fleet.replica().await;
    told(&geo, "ok", "next check at 2026-02-22 12:00").await;
    answers(&geo, "GeoLite2-City").await;
    assert_eq!(fleet.asked(), (1, 2));
}

#[sqlx::test(migrations = false)]
async fn the_same_goes_for_db_ip(pool: PgPool) {
    let mut fleet = Fleet::new(pool).await;
    let database = bytes("nested-dbip-city-lite.mmdb");
    let publisher = &fleet.updating.publisher;
    publisher.publish("dbip-city-lite-2026-02", database.clone());
    let geo = fleet.start(&fleet.updating.dbip()).await;
    fleet.keeps("dbip-city-lite", &database).await;
    drop(geo);
    fleet.new_disk();
    fleet.updating.clock.advance(TimeDelta::days(2));
    let geo = fleet.start(&fleet.updating.dbip()).await;
    told(&geo, "ok", "dbip-city-lite: next check at 2026-02-23").await;
    assert_eq!(fleet.updating.publisher.asked().len(), 1);
    // Who has changed to MaxMind keeps nothing of DB-IP.
    drop(geo);
    let _geo = fleet.replica().await;
    fleet.keeps(CITY, &bytes("GeoLite2-City-Test.mmdb")).await;
}

#[sqlx::test(migrations = false)]
async fn replicas_download_once_for_all(pool: PgPool) {
    let mut fleet = Fleet::new(pool).await;
    let (first, _disk) = (fleet.replica().await, fleet.new_disk());
    let second = fleet.replica().await;
    for geo in [&first, &second] {
        answers(geo, "GeoLite2-City").await;
        told(geo, "ok", "next check at 2026-02-21 12:00").await;
    }
    assert_eq!(fleet.asked(), (1, 1));
}

#[sqlx::test(migrations = false)]
async fn an_older_one_on_the_disk_gives_way(pool: PgPool) {
    let mut fleet = Fleet::new(pool).await;
    let geo = fleet.replica().await;
    fleet.keeps(CITY, &bytes("GeoLite2-City-Test.mmdb")).await;
    drop(geo);
    let disk = fleet.new_disk();
    fleet.updating.clock.advance(TimeDelta::days(1));
    let next = fleet.publishes_the_next();
    let geo = fleet.replica().await;
    fleet.keeps(CITY, &next).await;
    drop(geo);
    fleet.updating.folder = disk;
    let geo = fleet.replica().await;
    answers(&geo, "GeoIP2-City").await;
    told(&geo, "ok", "next check at 2026-02-22 12:00").await;
    assert_eq!(fleet.asked(), (2, 2));
}

#[sqlx::test(migrations = false)]
async fn a_damaged_copy_is_ignored_and_replaced(pool: PgPool) {
    let mut fleet = Fleet::new(pool).await;
    let database = bytes("GeoLite2-City-Test.mmdb");
    let geo = fleet.replica().await;
    fleet.keeps(CITY, &database).await;
    drop(geo);
    for (times, damage) in [
        "update geo.download_part set content = set_byte(content, 300, 0)",
        "update geo.download_part set content = substr(content, 1, 2000)",
        "update geo.download_part set content = 'no gzip'",
        "update geo.download set md5 = repeat('0', 32)",
        "delete from geo.download_part",
    ]
    .into_iter()
    .enumerate()
    {
        sqlx::query(damage).execute(&fleet.pool).await.unwrap();
        fleet.new_disk();
        let geo = fleet.replica().await;
        answers(&geo, "GeoLite2-City").await;
        fleet.keeps(CITY, &database).await;
        assert_eq!(fleet.downloads(), times + 2, "{damage}");
        drop(geo);
    }
    fleet.new_disk();
    let geo = fleet.replica().await;
    answers(&geo, "GeoLite2-City").await;
    assert_eq!(fleet.downloads(), 6);
}

#[sqlx::test(migrations = false)]
async fn while_postgresql_is_away_all_goes_on_without(pool: PgPool) {
    let fleet = Fleet::without_schema(pool.clone()).await;
    fleet.pool.close().await;
    let geo = fleet.replica().await;
    answers(&geo, "GeoLite2-City").await;
    told(&geo, "ok", "next check at 2026-02-21 12:00").await;
    assert_eq!(fleet.downloads(), 1);
}

#[sqlx::test(migrations = false)]
async fn what_was_downloaded_without_postgresql_is_kept_later(pool: PgPool) {
    let mut fleet = Fleet::without_schema(pool).await;
    let geo = fleet.replica().await;
    answers(&geo, "GeoLite2-City").await;
    drop(geo);
    fleet.migrate().await;
    let geo = fleet.replica().await;
    fleet.keeps(CITY, &bytes("GeoLite2-City-Test.mmdb")).await;
    drop(geo);
    fleet.new_disk();
    let geo = fleet.replica().await;
    answers(&geo, "GeoLite2-City").await;
    assert_eq!(fleet.downloads(), 1);
}

#[sqlx::test(migrations = false)]
async fn a_limit_is_remembered_too(pool: PgPool) {
    let mut fleet = Fleet::new(pool).await;
    let geo = fleet.replica().await;
    fleet.keeps(CITY, &bytes("GeoLite2-City-Test.mmdb")).await;
    drop(geo);
    let limit = Metadata::Error(429, "LIMIT_EXCEEDED");
    fleet.updating.publisher.metadata(limit);
    fleet.updating.clock.advance(TimeDelta::days(1));
    for _ in 0..2 {
        fleet.new_disk();
        let geo = fleet.replica().await;
        told(&geo, "ok", "next check at 2026-02-22 00:05").await;
        answers(&geo, "GeoLite2-City").await;
        let noted = "select count(*) from geo.download where ask_again_at > '2026-02-22'";
        eventually("it is noted", async || {
            let noted: i64 = sqlx::query_scalar(noted)
                .fetch_one(&fleet.pool)
                .await
                .unwrap();
            noted == 1
        })
        .await;
    }
    assert_eq!(fleet.updating.publisher.times("metadata"), 2);
}

#[sqlx::test(migrations = false)]
async fn it_can_be_switched_off(pool: PgPool) {
    let fleet = Fleet::new(pool).await;
    let mut arguments = fleet.updating.maxmind(CITY);
    arguments.push("--geoip-keep-in-postgres=off".into());
    let geo = fleet.start(&arguments).await;
    told(&geo, "ok", "next check at 2026-02-21 12:00").await;
    assert_eq!(fleet.kept().await, []);
}

#[sqlx::test(migrations = false)]
async fn a_large_one_is_kept_in_parts(pool: PgPool) {
    let mut fleet = Fleet::new(pool).await;
    let database = large(5_000_000);
    fleet.updating.publisher.publish(CITY, database.clone());
    let country = async |geo: &Geo| {
        let request = geo.get("/geolocate?ip=1.2.3.4");
        answer(request.send().await.unwrap()).await.1["country_code"].clone()
    };
    for _ in 0..2 {
        let geo = fleet.replica().await;
        eventually("it answers", async || country(&geo).await == "XK").await;
        fleet.keeps(CITY, &database).await;
        let parts = "select count(*) from geo.download_part";
        let parts: i64 = sqlx::query_scalar(parts)
            .fetch_one(&fleet.pool)
            .await
            .unwrap();
        assert_eq!(parts, 5);
        drop(geo);
        assert_eq!(fs::read(fleet.updating.file()).unwrap(), database);
        fleet.new_disk();
    }
    assert_eq!(fleet.downloads(), 1);
}

/// A database (<https://maxmind.github.io/MaxMind-DB/>) in which every address is in Kosovo and
/// has so many bytes of noise, which no archive makes smaller.
fn large(noise: u32) -> Vec<u8> {
    // One node of two records of 24 bits; both mean the first byte of the data.
    let mut database = [[0, 0, 17]; 2].concat();
    database.extend([0; 16]);
    database.extend(b"\xe2\x47country\xe1\x48iso_code\x42XK\x45noise\x9f");
    database.extend(&(noise - 65_821).to_be_bytes()[1..]);
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    database.extend((0..noise).map(|_| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice.to_le_bytes()[0]
    }));
    database.extend(b"\xab\xcd\xefMaxMind.com\xe9\x4anode_count\xc1\x01\x4brecord_size\xa1\x18");
    database.extend(b"\x4aip_version\xa1\x04\x4ddatabase_type\x44City\x49languages\x01\x04\x42en");
    database.extend(b"\x5bbinary_format_major_version\xa1\x02\x5bbinary_format_minor_version\xa0");
    database.extend(b"\x4bbuild_epoch\x04\x02\x6a\x00\x00\x00\x4bdescription\xe1\x42en\x41-");
    database
}
