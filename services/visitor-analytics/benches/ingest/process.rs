//! The processes that are measured: started, asked what they used, stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};
use sqlx::{Connection as _, PgConnection};

use crate::handler;

const SECRET: &str = "a-secret-of-the-benchmark-with-32-characters";

/// A process with a port.
pub struct Service {
    child: Child,
    pub port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    pub async fn bare_handler() -> Self {
        let program = std::env::current_exe().unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command.args([handler::FLAG, &port.to_string()]);
        Self::start(command, port).await
    }

    async fn start(mut command: Command, port: u16) -> Self {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { child, port }
    }

    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        peak.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    }
}

/// The three services, each a release binary.
pub struct System {
    geo: Service,
    notification: Service,
    pub visitor_analytics: Service,
    pub token: String,
}

impl System {
    pub async fn start(database: &str) -> Self {
        let own = Path::new(env!("CARGO_BIN_EXE_visitor-analytics"));
        let folder: PathBuf = own.parent().unwrap().into();
        let command = |name: &str, port: u16| {
            let mut command = Command::new(folder.join(name));
            command
                .env("RUST_LOG", "warn")
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
        for name in ["notification", "visitor-analytics"] {
            let mut migrate = command(name, 0);
            peers(&mut migrate);
            assert!(migrate.arg("migrate").status().unwrap().success());
        }
        let port = free_port();
        let mut visits = command("visitor-analytics", port);
        peers(&mut visits);
        Self {
            geo: Service::start(command("geo", geo), geo).await,
            notification: Service::start(command("notification", notification), notification).await,
            visitor_analytics: Service::start(visits, port).await,
            token: token(),
        }
    }

    /// Peak resident memory, in MB.
    pub fn memory(&self) -> String {
        format!(
            "visitor-analytics {} MB, geo {} MB, notification {} MB",
            self.visitor_analytics.memory(),
            self.geo.memory(),
            self.notification.memory()
        )
    }

    /// Processor time used so far.
    pub fn cpu(&self, postgres: &Postgres) -> Cpu {
        let of = |service: &Service| process_time(service.child.id());
        Cpu(vec![
            ("visitor-analytics", of(&self.visitor_analytics)),
            ("geo", of(&self.geo)),
            ("notification", of(&self.notification)),
            ("PostgreSQL", postgres.cpu()),
        ])
    }

    /// What the sessions count is what the visits are.
    pub async fn check(&self, database: &str) {
        let mut connection = PgConnection::connect(database).await.unwrap();
        let count = "select (select count(*) from visitor_analytics.visit),
                            (select sum(visits)::bigint from visitor_analytics.session)";
        let (visits, in_sessions): (i64, i64) = sqlx::query_as(count)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(visits, in_sessions);
        println!("{visits} visits are stored, and the sessions count as many");
    }
}

/// The database server's processes.
pub struct Postgres(u32);

impl Postgres {
    pub async fn of(database: &str) -> Self {
        let mut connection = PgConnection::connect(database).await.unwrap();
        let pid = sqlx::query_scalar("select pg_backend_pid()");
        let pid: i32 = pid.fetch_one(&mut connection).await.unwrap();
        Self(parent(pid.cast_unsigned()).unwrap())
    }

    /// Its own time, that of its children, and of those that have ended.
    fn cpu(&self) -> Duration {
        let processes = fs::read_dir("/proc").unwrap();
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let children = pids.filter(|pid| parent(*pid) == Some(self.0));
        children.map(process_time).sum::<Duration>() + process_time(self.0)
    }
}

/// Processor time by process.
pub struct Cpu(Vec<(&'static str, Duration)>);

impl Cpu {
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.0.iter().zip(&before.0);
        Self(
            pairs
                .map(|((name, now), (_, then))| (*name, now.saturating_sub(*then)))
                .collect(),
        )
    }

    /// Microseconds a visit.
    pub fn per_visit(&self, visits: usize) -> Vec<(&'static str, f64)> {
        let micros = |time: &Duration| time.as_secs_f64() * 1e6 / visits as f64;
        self.0
            .iter()
            .map(|(name, time)| (*name, micros(time)))
            .collect()
    }
}

/// proc(5): fields 14 to 17 of `stat` are ticks of 10 ms, children that have ended included.
fn process_time(pid: u32) -> Duration {
    let ticks = stat(pid).map_or(0, |fields| {
        fields[11..15]
            .iter()
            .map(|field| field.parse::<u64>().unwrap_or(0))
            .sum()
    });
    Duration::from_millis(ticks * 10)
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?[1].parse().ok()
}

/// The fields after the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn token() -> String {
    let keys = Keyring::new(&[SECRET.into()], None, false).unwrap();
    let now = Clock::system().now().timestamp();
    let scopes = [Scope::VisitsWrite].into_iter().collect();
    keys.sign(&Claims::new("bench", scopes, now, 86_400))
        .unwrap()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
