//! Starts visitor-analytics with fake services geo and notification and a manual clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::jwt::{Claims, Scope};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use visitor_analytics::config::Config;

use crate::fake_services::{FakeService, geo, notification};

pub const SECRET: &str = "a-secret-of-the-tests-with-32-characters";
pub const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

pub struct TestSystem {
    pub base: String,
    pub http: reqwest::Client,
    pub token: String,
    pub pool: PgPool,
    pub clock: Clock,
    pub geo: FakeService,
    pub notification: FakeService,
    stop: CancellationToken,
}

impl Drop for TestSystem {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Noon of 2026-11-20, UTC: the initial time of the clock.
pub fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

pub fn config(geo: &str, notification: &str) -> Config {
    config_with(geo, notification, &[])
}

fn config_with(geo: &str, notification: &str, settings: &[&str]) -> Config {
    let usual = [
        "visitor-analytics".to_owned(),
        format!("--jwt-secrets={SECRET}"),
        "--database-url=postgres://unused".to_owned(),
        format!("--geo-service-url={geo}"),
        format!("--notification-service-url={notification}"),
    ];
    let settings = settings.iter().map(|setting| (*setting).to_owned());
    chassis::settings::try_parse(usual.into_iter().chain(settings)).unwrap()
}

pub fn token(clock: &Clock, scopes: &[Scope], lifetime: i64) -> String {
    let keys = config("http://a", "http://b")
        .service
        .keys
        .keyring()
        .unwrap();
    let now = clock.now().timestamp();
    let claims = Claims::new("test", scopes.iter().copied().collect(), now, lifetime);
    keys.sign(&claims).unwrap()
}

/// A token for another subject than `test`.
pub fn token_for_subject(clock: &Clock, subject: &str, scopes: &[Scope]) -> String {
    let keys = config("http://a", "http://b")
        .service
        .keys
        .keyring()
        .unwrap();
    let now = clock.now().timestamp();
    let claims = Claims::new(subject, scopes.iter().copied().collect(), now, 86_400);
    keys.sign(&claims).unwrap()
}

/// A token that is limited to sites.
pub fn token_for_sites(clock: &Clock, scopes: &[Scope], sites: &[&str]) -> String {
    let keys = config("http://a", "http://b")
        .service
        .keys
        .keyring()
        .unwrap();
    let now = clock.now().timestamp();
    let claims = Claims::new("test", scopes.iter().copied().collect(), now, 86_400);
    let sites: Vec<String> = sites.iter().map(|site| (*site).to_owned()).collect();
    keys.sign(&claims.restricted_to_sites(&sites)).unwrap()
}

pub async fn start(pool: PgPool) -> TestSystem {
    let (geo, notification) = (geo().await, notification().await);
    start_replica(pool, geo, notification).await
}

/// Starts the service with additional settings, such as `--store-ip=full`.
pub async fn start_with(pool: PgPool, settings: &[&str]) -> TestSystem {
    let (geo, notification) = (geo().await, notification().await);
    start_system(pool, geo, notification, settings).await
}

/// Starts a further replica that uses the same fake services.
pub async fn start_replica(
    pool: PgPool,
    geo: FakeService,
    notification: FakeService,
) -> TestSystem {
    start_system(pool, geo, notification, &[]).await
}

async fn start_system(
    pool: PgPool,
    geo: FakeService,
    notification: FakeService,
    settings: &[&str],
) -> TestSystem {
    let history = visitor_analytics::migrator();
    let migrated = chassis::database::migrate(&pool, visitor_analytics::SCHEMA_NAME, history).await;
    migrated.unwrap();
    let clock = Clock::manual(noon());
    let config = config_with(&geo.url, &notification.url, settings);
    let app = visitor_analytics::build_with_pool(&config, &pool, clock.clone()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(app.serve(listener, stop.clone()));
    TestSystem {
        base,
        http: chassis::http_client::build("test").unwrap(),
        token: token(&clock, &[Scope::VisitsWrite, Scope::VisitsRead], 86_400),
        pool,
        clock,
        geo,
        notification,
        stop,
    }
}

/// A visit of a person, with the fields in `changes` replaced.
pub fn visit(changes: &Value) -> Value {
    let mut visit = json!({
        "url": "https://shop.example/pricing", "ip": "81.2.69.142", "user_agent": FIREFOX,
        "headers": {"Accept": "text/html", "Accept-Language": "en-GB,en;q=0.5"}
    });
    let fields = visit.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    visit
}

impl TestSystem {
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .get(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.http
            .delete(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    pub fn post(&self, body: &Value) -> RequestBuilder {
        self.post_to("/visits").json(body)
    }

    pub fn post_to(&self, path: &str) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    /// Records a visit and returns the response.
    pub async fn record(&self, visit: &Value) -> Value {
        let (status, body) = answer(self.post(visit).send().await.unwrap()).await;
        assert_eq!(status, 201, "{body}");
        body
    }

    /// The body of a successful `GET`.
    pub async fn read(&self, path: &str) -> Value {
        let (status, body) = answer(self.get(path).send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Waits until the outbox is empty. Advances the clock now and then, because a failed call
    /// (such as on a busy machine) is retried by this clock.
    pub async fn wait_for_empty_outbox(&self) {
        let mut looks = 0;
        until("an empty outbox", async || {
            looks += 1;
            if looks % 100 == 0 {
                self.clock.advance(TimeDelta::seconds(10));
            }
            (self.count("outbox").await == 0).then_some(())
        })
        .await;
    }

    pub async fn count(&self, table: &str) -> i64 {
        let statement = format!("select count(*) from visitor_analytics.{table}");
        let statement = sqlx::AssertSqlSafe(statement);
        sqlx::query_scalar(statement)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

/// Status and JSON body of a response.
pub async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("the body is not JSON: {text}")),
    )
}

/// Status, code and field of a problem.
pub async fn problem(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].clone();
    let (status, body) = answer(response).await;
    assert_eq!(kind, "application/problem+json", "{body}");
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("field"))
}

/// Polls until `ask` returns a value. Panics after a minute.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_200 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("timed out waiting for {what}");
}
