//! Starts, measures and stops the processes of the benchmark.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bench::{CpuTime, MeasuredProcess, free_port, parent_pid};
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};
use sqlx::{Connection as _, PgConnection};

const SECRET: &str = "a-secret-of-the-benchmark-with-32-characters";

/// The release binaries of the three services.
pub struct ServiceGroup {
    geo: MeasuredProcess,
    notification: MeasuredProcess,
    pub visitor_analytics: MeasuredProcess,
    pub token: String,
}

impl ServiceGroup {
    pub async fn start(database: &str) -> Self {
        let own = Path::new(env!("CARGO_BIN_EXE_visitor-analytics"));
        let folder: PathBuf = own.parent().unwrap().into();
        let city = bench::city_database(&folder.with_file_name("bench"));
        let command = |name: &str, port: u16| {
            let mut command = Command::new(folder.join(name));
            command
                .env("GEOIP_DATABASES", &city)
                .env("GEOIP_UPDATE", "off")
                .env("JWT_SECRETS", SECRET)
                .env("DATABASE_URL", database)
                .env("PORT", port.to_string());
            command
        };
        let (geo, notification) = (free_port(), free_port());
        let peers = |command: &mut Command| {
            command
                .env("GEO_SERVICE_URL", format!("http://127.0.0.1:{geo}"))
                .env(
                    "NOTIFICATION_SERVICE_URL",
                    format!("http://127.0.0.1:{notification}"),
                );
        };
        for name in ["geo", "notification", "visitor-analytics"] {
            let mut migrate = command(name, 0);
            peers(&mut migrate);
            assert!(migrate.arg("migrate").status().unwrap().success());
        }
        let port = free_port();
        let mut visits = command("visitor-analytics", port);
        peers(&mut visits);
        Self {
            geo: MeasuredProcess::start(command("geo", geo), geo).await,
            notification: MeasuredProcess::start(
                command("notification", notification),
                notification,
            )
            .await,
            visitor_analytics: MeasuredProcess::start(visits, port).await,
            token: write_token(),
        }
    }

    /// Peak resident memory, in MB.
    pub fn peak_memory(&self) -> String {
        format!(
            "visitor-analytics {:.0} MB, geo {:.0} MB, notification {:.0} MB",
            self.visitor_analytics.peak_memory_mb(),
            self.geo.peak_memory_mb(),
            self.notification.peak_memory_mb()
        )
    }

    /// CPU time used so far.
    pub fn cpu(&self, postgres: &Postgres) -> CpuShares {
        let of = |service: &MeasuredProcess| service.cpu().total();
        CpuShares(vec![
            ("visitor-analytics", of(&self.visitor_analytics)),
            ("geo", of(&self.geo)),
            ("notification", of(&self.notification)),
            ("PostgreSQL", postgres.cpu()),
        ])
    }

    /// Checks that the sessions count all visits.
    pub async fn check_stored_visits(&self, database: &str) {
        let mut connection = PgConnection::connect(database).await.unwrap();
        let count = "select (select count(*) from visitor_analytics.visit),
                            (select sum(visits)::bigint from visitor_analytics.session)";
        let (visits, in_sessions): (i64, i64) = sqlx::query_as(count)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(visits, in_sessions);
        println!("{visits} visits are stored, and the sessions count the same number");
        let waiting = "select count(*) from visitor_analytics.outbox";
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        println!("{waiting} announcements are pending");
    }
}

pub struct Postgres(u32);

impl Postgres {
    pub async fn from_url(database: &str) -> Self {
        let mut connection = PgConnection::connect(database).await.unwrap();
        let pid = sqlx::query_scalar("select pg_backend_pid()");
        let pid: i32 = pid.fetch_one(&mut connection).await.unwrap();
        Self(parent_pid(pid.cast_unsigned()).unwrap())
    }

    /// CPU time of the server and its child processes, including those that have exited.
    pub fn cpu(&self) -> Duration {
        CpuTime::of_process_tree(self.0).total()
    }
}

/// CPU time by process.
pub struct CpuShares(Vec<(&'static str, Duration)>);

impl CpuShares {
    pub fn new(times: Vec<(&'static str, Duration)>) -> Self {
        Self(times)
    }

    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.0.iter().zip(&before.0);
        Self(
            pairs
                .map(|((name, now), (_, then))| (*name, now.saturating_sub(*then)))
                .collect(),
        )
    }

    /// Microseconds per visit.
    pub fn per_visit(&self, visits: usize) -> Vec<(&'static str, f64)> {
        let micros = |time: &Duration| time.as_secs_f64() * 1e6 / visits as f64;
        self.0
            .iter()
            .map(|(name, time)| (*name, micros(time)))
            .collect()
    }
}

fn write_token() -> String {
    let keys = Keyring::new(&[SECRET.into()], None, false).unwrap();
    let now = Clock::system().now().timestamp();
    let scopes = [Scope::VisitsWrite].into_iter().collect();
    keys.sign(&Claims::new("bench", scopes, now, 86_400))
        .unwrap()
}
