//! Starts the service and sends requests.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope, ScopeSet};
use notification::config::Config;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const SECRET: &str = "a-secret-for-tests-of-32-characters-or-more";
/// The default recipient.
pub const PHONE: &str = "+15550100067";
pub const MASKED: &str = "+1555•••67";

pub fn initial_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).unwrap()
}

pub fn clock() -> Clock {
    Clock::manual(initial_time())
}

/// A running service on its own port, which stops when this is dropped.
pub struct Service {
    pub base: String,
    pub clock: Clock,
    pub http: reqwest::Client,
    _stop: DropGuard,
}

/// Status and body of a response.
pub type StatusAndBody = (u16, Value);

impl Service {
    /// Starts the service with the default recipient [`PHONE`]. Text messages go to the log.
    pub async fn start(pool: &PgPool) -> Self {
        Self::with(
            pool,
            &clock(),
            &[format!("--notification-phone-number={PHONE}")],
        )
        .await
    }

    pub async fn with(pool: &PgPool, clock: &Clock, args: &[String]) -> Self {
        Self::start_on(&Handle::current(), pool, clock, args).await
    }

    /// Starts the service on a runtime that the test can shut down.
    pub async fn start_on(at: &Handle, pool: &PgPool, clock: &Clock, args: &[String]) -> Self {
        let config = config(args);
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        let (pool, timer) = (pool.clone(), clock.clone());
        let (tell, address) = tokio::sync::oneshot::channel();
        at.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let app = notification::build_with(pool, &config, timer, || 0.0).unwrap();
            app.serve(listener, shutdown).await.unwrap();
        });
        Self {
            base: format!("http://{}", address.await.unwrap()),
            clock: clock.clone(),
            http: chassis::http_client::build("tests").unwrap(),
            _stop: stop.drop_guard(),
        }
    }

    pub fn token(&self, scopes: &[Scope]) -> String {
        self.token_of("tests", scopes)
    }

    pub fn token_of(&self, subject: &str, scopes: &[Scope]) -> String {
        let scopes: ScopeSet = scopes.iter().copied().collect();
        let now = self.clock.now().timestamp();
        keyring()
            .sign(&Claims::new(subject, scopes, now, 60))
            .unwrap()
    }

    pub async fn get(&self, path: &str) -> StatusAndBody {
        let token = self.token(&[Scope::NotifyRead]);
        self.call(Method::GET, path, &token, None, &[]).await
    }

    pub async fn notify(&self, body: Value) -> StatusAndBody {
        let token = self.token(&[Scope::NotifySend]);
        self.call(Method::POST, "/notify", &token, Some(body), &[])
            .await
    }

    pub async fn notify_with_key(&self, key: &str, body: Value) -> StatusAndBody {
        let token = self.token(&[Scope::NotifySend]);
        let headers = [("idempotency-key", key)];
        self.call(Method::POST, "/notify", &token, Some(body), &headers)
            .await
    }

    pub async fn retry(&self, id: &str) -> StatusAndBody {
        let token = self.token(&[Scope::NotifyWrite]);
        let path = format!("/notifications/{id}/retry");
        self.call(Method::POST, &path, &token, None, &[]).await
    }

    /// Sends a request with the scope `notify:write`.
    pub async fn write(&self, method: Method, path: &str, body: Option<Value>) -> StatusAndBody {
        let token = self.token(&[Scope::NotifyWrite]);
        self.call(method, path, &token, body, &[]).await
    }

    /// Creates a resource and returns its id.
    pub async fn create(&self, path: &str, body: Value) -> String {
        let (status, made) = self.write(Method::POST, path, Some(body)).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Reads a notification with its deliveries and attempts.
    pub async fn read_notification(&self, id: &Value) -> Value {
        let (status, story) = self
            .get(&format!("/notifications/{}", id.as_str().unwrap()))
            .await;
        assert_eq!(status, 200, "{story}");
        story
    }

    /// Waits until the newest notification's first delivery matches `wanted`.
    pub async fn wait_for_delivery(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        until(async || {
            let (_, list) = self.get("/notifications").await;
            let id = list["data"][0]["id"].as_str()?.to_owned();
            let (_, detail) = self.get(&format!("/notifications/{id}")).await;
            Some(detail["deliveries"][0].clone()).filter(|delivery| wanted(delivery))
        })
        .await
    }

    /// Waits until the delivery has this number of finished attempts.
    pub async fn wait_for_attempts(&self, attempts: usize) -> Value {
        let ended = |delivery: &Value| delivery["attempts"].as_array().unwrap().len() == attempts;
        self.wait_for_delivery(|delivery| delivery["status"] != "sending" && ended(delivery))
            .await
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
        headers: &[(&'static str, &str)],
    ) -> StatusAndBody {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }
}

/// Sends a message and returns the first attempt after it ended.
pub async fn first_attempt(service: &Service, to: &str) -> Value {
    let body = json!({"event": "e", "message": "hello", "data": {"n": 1}, "to": [to]});
    let (status, sent) = service.notify(body).await;
    assert_eq!(status, 202, "{sent}");
    until(async || {
        let story = service.read_notification(&sent["id"]).await;
        story["deliveries"][0]["attempts"].get(0).cloned()
    })
    .await
}

/// Waits until an address is suppressed, and deletes the suppression.
pub async fn delete_suppression(service: &Service) {
    let id = until(async || {
        let (_, list) = service.write(Method::GET, "/suppressions", None).await;
        Some(list["data"].get(0)?["id"].as_str()?.to_owned())
    });
    let path = format!("/suppressions/{}", id.await);
    assert_eq!(service.write(Method::DELETE, &path, None).await.0, 204);
}

pub async fn answer(request: reqwest::RequestBuilder) -> StatusAndBody {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::new(&[SECRET.into()], None, false).unwrap())
}

pub fn config(more: &[String]) -> Config {
    let fixed = [
        "notification",
        "--database-url=postgres://127.0.0.1:1/unused",
        "--jwt-secrets",
        SECRET,
    ];
    let args = fixed.into_iter().map(str::to_owned);
    chassis::settings::try_parse(args.chain(more.iter().cloned())).unwrap()
}

/// Polls until `look` returns a value. Panics after a minute.
pub async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("timed out waiting for a condition");
}

/// A runtime that can be shut down as abruptly as by `kill -9`, and a pool on it.
pub fn killable_runtime(pool: &PgPool) -> (Runtime, PgPool) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let guard = runtime.enter();
    let options = (*pool.connect_options()).clone();
    let own = PgPoolOptions::new()
        .max_connections(3)
        .connect_lazy_with(options);
    drop(guard);
    (runtime, own)
}

/// The number of rows of a table.
pub async fn count_rows(pool: &PgPool, table: &str) -> i64 {
    let count = format!("select count(*) from notification.{table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count))
        .fetch_one(pool)
        .await
        .unwrap()
}
