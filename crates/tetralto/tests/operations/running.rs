//! Starts services on the database of a test, each with its own pool as in production.

use chassis::App;
use chassis::settings::try_parse;
use common::clock::Clock;
use common::jwt::{Claims, Scope};
use reqwest::RequestBuilder;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const SECRET: &str = "a-secret-of-the-tests-with-32-characters";

/// Name, schema and migrations of each service.
pub fn services() -> [(&'static str, &'static str, Migrator); 3] {
    [
        (geo::SERVICE_NAME, geo::SERVICE_NAME, geo::migrator()),
        (
            visitor_analytics::SERVICE_NAME,
            visitor_analytics::SCHEMA_NAME,
            visitor_analytics::migrator(),
        ),
        (
            notification::SERVICE_NAME,
            notification::SERVICE_NAME,
            notification::migrator(),
        ),
    ]
}

/// A running service. Dropping it stops the service.
pub struct Service {
    pub base_url: String,
    http: reqwest::Client,
    token: String,
    _stop: DropGuard,
}

impl Service {
    async fn serve(app: App, clock: &Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(app.serve(listener, stop.clone()));
        Self {
            base_url: base,
            http: chassis::http_client::build("test").unwrap(),
            token: token(clock),
            _stop: stop.drop_guard(),
        }
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        let request = self.http.get(format!("{}{path}", self.base_url));
        request.bearer_auth(&self.token)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.base_url));
        request.bearer_auth(&self.token)
    }

    pub async fn text(&self, path: &str) -> String {
        self.get(path).send().await.unwrap().text().await.unwrap()
    }
}

fn token(clock: &Clock) -> String {
    let arguments = ["geo".to_owned(), format!("--jwt-secrets={SECRET}")];
    let config: geo::config::Config = try_parse(arguments).unwrap();
    let now = clock.now().timestamp();
    let claims = Claims::new("test", Scope::ALL.into_iter().collect(), now, 3_600);
    config
        .service
        .keys
        .keyring()
        .unwrap()
        .sign(&claims)
        .unwrap()
}

/// The URL of the database of a test.
#[expect(clippy::disallowed_methods, reason = "tests have no config.rs")]
pub fn database_url(pool: &PgPool) -> url::Url {
    let mut url: url::Url = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
    let options = pool.connect_options();
    url.set_path(options.get_database().unwrap());
    url
}

fn arguments(name: &str, more: &[String]) -> Vec<String> {
    let usual = [name.to_owned(), format!("--jwt-secrets={SECRET}")];
    usual.into_iter().chain(more.iter().cloned()).collect()
}

/// Starts geo with or without a database.
pub async fn start_geo(database: Option<&url::Url>, clock: &Clock) -> Service {
    let database = database.map_or_else(String::new, ToString::to_string);
    let more = [
        "--geoip-update=off".to_owned(),
        format!("--database-url={database}"),
    ];
    let config: geo::config::Config = try_parse(arguments("geo", &more)).unwrap();
    geo::migrate(&config).await.unwrap();
    Service::serve(geo::build(&config, clock.clone()).unwrap(), clock).await
}

/// Starts visitor-analytics with a geo and without a notification service.
pub async fn start_visitor_analytics(database: &url::Url, geo: &Service, clock: &Clock) -> Service {
    let more = [
        format!("--database-url={database}"),
        format!("--geo-service-url={}", geo.base_url),
        "--notification-service-url=http://127.0.0.1:1".to_owned(),
        "--notify-max-age=0s".to_owned(),
    ];
    let arguments = arguments("visitor-analytics", &more);
    let config: visitor_analytics::config::Config = try_parse(arguments).unwrap();
    visitor_analytics::migrate(&config).await.unwrap();
    Service::serve(
        visitor_analytics::build(&config, clock.clone()).unwrap(),
        clock,
    )
    .await
}

/// Starts notification with the log as its only channel.
pub async fn start_notification(database: &url::Url, clock: &Clock) -> Service {
    let more = [format!("--database-url={database}")];
    let arguments = arguments("notification", &more);
    let config: notification::config::Config = try_parse(arguments).unwrap();
    notification::migrate(&config).await.unwrap();
    Service::serve(notification::build(&config, clock.clone()).unwrap(), clock).await
}

/// Records a few visits: too few for the lease of the recorder, which would be renewed for a
/// minute.
pub async fn record_visits(service: &Service) {
    for n in 0..10 {
        let visit = serde_json::json!({"url": format!("https://shop.example/{n}"),
            "ip": format!("81.2.69.{n}"), "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"});
        let answer = service.post("/visits").json(&visit).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

/// Sends a few notifications.
pub async fn send_notifications(service: &Service) {
    for n in 0..30 {
        let body = serde_json::json!({"event": "order.paid", "message": format!("order {n}")});
        let answer = service.post("/notify").json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}
