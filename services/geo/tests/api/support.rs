//! Starts geo on a port of its own.

pub mod maxmind;
pub mod publisher;

use std::path::PathBuf;
use std::time::Duration;

use chassis::App;
use common::clock::Clock;
use common::jwt::{Claims, Scope};
use geo::config::Config;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub const SECRET: &str = "a-secret-of-the-tests-with-32-characters";

pub struct Geo {
    pub base: String,
    pub http: reqwest::Client,
    clock: Clock,
    stop: CancellationToken,
}

impl Drop for Geo {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn database(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data", name]
        .iter()
        .collect()
}

pub fn config(databases: &[PathBuf]) -> Config {
    try_config(databases, &[]).unwrap()
}

/// The settings with more arguments, or what is wrong with them.
pub fn try_config(databases: &[PathBuf], more: &[String]) -> Result<Config, String> {
    let list: Vec<_> = databases.iter().map(|p| p.display().to_string()).collect();
    let mut args = vec!["geo".into(), format!("--jwt-secrets={SECRET}")];
    if !list.is_empty() {
        args.push(format!("--geoip-databases={}", list.join(",")));
    }
    // Only tests of the updates have somebody to ask.
    if !more
        .iter()
        .any(|argument| argument.starts_with("--geoip-update="))
    {
        args.push("--geoip-update=off".into());
    }
    // Whoever runs the tests has one; those of service areas bring their own.
    if !more
        .iter()
        .any(|argument| argument.starts_with("--database-url="))
    {
        args.push("--database-url=".into());
    }
    args.extend_from_slice(more);
    chassis::settings::try_parse(args).map_err(|error| error.to_string())
}

/// A token for `scopes` that lives as long as said, in seconds.
pub fn token(scopes: &[Scope], lifetime: i64) -> String {
    token_at(&Clock::system(), scopes, lifetime)
}

fn token_at(clock: &Clock, scopes: &[Scope], lifetime: i64) -> String {
    let keys = config(&[]).service.keys.keyring().unwrap();
    let now = clock.now().timestamp();
    let claims = Claims::new("test", scopes.iter().copied().collect(), now, lifetime);
    keys.sign(&claims).unwrap()
}

pub async fn start(databases: &[&str]) -> Geo {
    start_with(databases, &[], Clock::system()).await
}

/// Starts with more arguments and a clock.
pub async fn start_with(databases: &[&str], more: &[String], clock: Clock) -> Geo {
    let files: Vec<_> = databases.iter().map(|name| database(name)).collect();
    start_from(&files, more, clock).await
}

/// Starts with databases that lie anywhere.
pub async fn start_from(files: &[PathBuf], more: &[String], clock: Clock) -> Geo {
    let config = try_config(files, more).unwrap();
    serve(geo::build(&config, clock.clone()).unwrap(), clock).await
}

/// Starts a replica on a migrated database.
pub async fn start_on(pool: &PgPool, files: &[PathBuf]) -> Geo {
    start_replica(pool, files, &[], Clock::system()).await
}

/// The same with more arguments and a clock.
pub async fn start_replica(pool: &PgPool, files: &[PathBuf], more: &[String], clock: Clock) -> Geo {
    let config = try_config(files, more).unwrap();
    let app = geo::build_with_pool(&config, Some(pool), clock.clone()).unwrap();
    serve(app, clock).await
}

async fn serve(app: App, clock: Clock) -> Geo {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(app.serve(listener, stop.clone()));
    let http = chassis::http_client::build("test").unwrap();
    Geo {
        base,
        http,
        clock,
        stop,
    }
}

impl Geo {
    fn token(&self) -> String {
        token_at(&self.clock, &[Scope::GeoRead], 60)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .get(format!("{}{path}", self.base))
            .bearer_auth(self.token())
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base))
            .bearer_auth(self.token())
    }
}

impl Geo {
    /// A check of `/health`: its status and its detail.
    pub async fn check(&self, name: &str) -> (String, String) {
        let request = self.http.get(format!("{}/health", self.base));
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        let check = &body["checks"][name];
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("detail"))
    }

    pub async fn metrics(&self) -> String {
        let request = self.http.get(format!("{}/metrics", self.base));
        request.send().await.unwrap().text().await.unwrap()
    }
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: did not happen within a minute");
}

/// Status and JSON of an answer.
pub async fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Status, code and field of a problem.
pub async fn problem(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let (status, body) = answer(response).await;
    assert_eq!(body["status"], status);
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("field"))
}
