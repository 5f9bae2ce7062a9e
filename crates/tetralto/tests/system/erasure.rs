//! Erasure of a person. visitor-analytics and notification run on one PostgreSQL. After the
//! erasure, no column of any table contains data of the person, compressed or not.

use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use visitor_analytics::config::VerifyArgs;
use visitor_analytics::store::{Store, visitor_hash};

use crate::running::wait_for;

const SECRET: &str = "a-secret-of-the-tests-with-32-characters";
const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";
const VISITOR: &str = "VisitorSecret-1";
const USER: &str = "UserSecret-2";
/// Values that occur only in the data of the person.
const PERSONAL_VALUES: [&str; 10] = [
    VISITOR,
    USER,
    "81.2.69.77",
    "TitleSecret",
    "PathSecret",
    "ReferrerSecret",
    "CampaignSecret",
    "PropertySecret",
    "UnnamedSecret",
    "EventSecret",
];
/// Those of them that the rollups contain, too.
const FOLDED_VALUES: [&str; 5] = [
    "TitleSecret",
    "PathSecret",
    "ReferrerSecret",
    "CampaignSecret",
    "PropertySecret",
];

/// Both services on one database, with a manual clock.
struct BothServices {
    pool: PgPool,
    clock: Clock,
    http: reqwest::Client,
    analytics: String,
    notification: String,
    _stop: DropGuard,
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A stub of geo that knows no location.
async fn start_geo_stub() -> String {
    let (listener, url) = listen().await;
    let locate = |Json(body): Json<Value>| async move {
        let ips = body["ips"].as_array().unwrap().iter();
        let error = json!({"code": "IP_ADDRESS_NOT_FOUND", "detail": "not found"});
        let results = ips.map(|ip| json!({"ip": ip, "location": null, "error": error}));
        Json(json!({"results": results.collect::<Vec<_>>()}))
    };
    let router = Router::new().route("/geolocate", post(locate));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

impl BothServices {
    async fn start(pool: PgPool) -> Self {
        let migrate = chassis::database::migrate;
        let history = visitor_analytics::migrator();
        migrate(&pool, visitor_analytics::SCHEMA_NAME, history)
            .await
            .unwrap();
        let history = notification::migrator();
        migrate(&pool, "notification", history).await.unwrap();
        let noon: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        let clock = Clock::manual(noon);
        let (listener, notification) = listen().await;
        let stop = CancellationToken::new();
        let usual = |name: &str| {
            vec![
                name.to_owned(),
                format!("--jwt-secrets={SECRET}"),
                "--database-url=postgres://unused".to_owned(),
            ]
        };
        let config = chassis::settings::try_parse(usual("notification")).unwrap();
        let app = notification::build_with(pool.clone(), &config, clock.clone(), || 0.0).unwrap();
        tokio::spawn(app.serve(listener, stop.clone()));
        let mut args = usual("visitor-analytics");
        args.extend([
            format!("--geo-service-url={}", start_geo_stub().await),
            format!("--notification-service-url={notification}"),
            "--store-ip=full".to_owned(),
        ]);
        let config = chassis::settings::try_parse(args).unwrap();
        let app = visitor_analytics::build_with_pool(&config, &pool, clock.clone()).unwrap();
        let (listener, analytics) = listen().await;
        tokio::spawn(app.serve(listener, stop.clone()));
        Self {
            pool,
            clock,
            http: chassis::http_client::build("test").unwrap(),
            analytics,
            notification,
            _stop: stop.drop_guard(),
        }
    }

    async fn call(&self, method: Method, base: &str, path: &str, body: Option<Value>) -> Value {
        let scopes = [
            Scope::VisitsWrite,
            Scope::VisitsRead,
            Scope::Admin,
            Scope::NotifyRead,
            Scope::NotifyWrite,
        ];
        let now = self.clock.now().timestamp();
        let claims = Claims::new("test", scopes.into_iter().collect(), now, 60);
        let keys = Keyring::new(&[SECRET.into()], None, false).unwrap();
        let mut request = self
            .http
            .request(method, format!("{base}{path}"))
            .bearer_auth(keys.sign(&claims).unwrap());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, &self.analytics, path, Some(body))
            .await
    }

    async fn count(&self, table: &str) -> i64 {
        let count = format!("select count(*) from {table}");
        let count = sqlx::query_scalar(AssertSqlSafe(count));
        count.fetch_one(&self.pool).await.unwrap()
    }

    /// Advances the clock until all days are folded.
    async fn fold(&self, by: TimeDelta) {
        self.clock.advance(by);
        wait_for("folded days", async || {
            (self.count("visitor_analytics.unfolded_day").await == 0).then_some(())
        })
        .await;
    }

    /// All columns of all rows as text, by table. Bytes are decoded where possible.
    async fn dump(&self) -> Vec<(String, String)> {
        let tables = "select format('%I.%I', n.nspname, c.relname) from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')
              and n.nspname not like 'pg_%'";
        let tables: Vec<String> = sqlx::query_scalar(tables)
            .fetch_all(&self.pool)
            .await
            .unwrap();
        assert!(
            tables
                .iter()
                .any(|table| table.starts_with("visitor_analytics.visit_2026"))
        );
        let mut all = vec![];
        for table in tables {
            let rows =
                format!("select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text from {table} t");
            let rows = sqlx::query_scalar(AssertSqlSafe(rows));
            let mut text: String = rows.fetch_one(&self.pool).await.unwrap();
            let bytes = decode_bytea(&text);
            text.push_str(&bytes);
            all.push((table, text));
        }
        all
    }
}

/// Decodes bytes in hexadecimal (`\x…`) as UTF-8.
fn decode_bytea(text: &str) -> String {
    let mut all = String::new();
    for part in text.split("\\\\x").skip(1) {
        let hex: Vec<u8> = part.bytes().take_while(u8::is_ascii_hexdigit).collect();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
        let bytes = hex.as_chunks::<2>().0.iter();
        let bytes: Vec<u8> = bytes
            .map(|[high, low]| u8::try_from(digit(*high) * 16 + digit(*low)).unwrap())
            .collect();
        all.push_str(&String::from_utf8_lossy(&bytes));
        all.push('\n');
    }
    all
}

/// The hexadecimal form of a text.
fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

/// The places that contain a secret.
fn find_places(dump: &[(String, String)], secret: &str) -> Vec<String> {
    let hex = hex(secret.as_bytes());
    let has = |text: &str| text.contains(secret) || text.contains(&hex);
    let found = dump.iter().filter(|(_, text)| has(text));
    found.map(|(table, _)| table.clone()).collect()
}

fn page_view(path: &str, visitor: &str, more: &Value) -> Value {
    let mut visit = json!({
        "url": format!("https://shop.example{path}"), "visitor_id": visitor, "user_agent": FIREFOX,
        "ip": "81.2.69.142", "title": "Shared",
        "headers": {"Accept": "text/html", "Accept-Language": "en-GB,en;q=0.5"}
    });
    let fields = visit.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    visit
}

#[sqlx::test(migrations = false)]
async fn nothing_of_an_erased_person_is_in_any_column(pool: PgPool) {
    let both = BothServices::start(pool).await;
    both.post("/sites", json!({"domain": "shop.example"})).await;
    let named = Some(json!({"properties": ["plan"]}));
    both.call(Method::PATCH, &both.analytics, "/sites/shop.example", named)
        .await;
    for (name, more) in [
        (
            "by visitor",
            json!({"dedupe": {"seconds": 86_400, "by": "data.visitor.id"}}),
        ),
        ("digest", json!({"digest": {"seconds": 60}})),
    ] {
        let mut rule = json!({"name": name, "event": "visitor.arrived", "recipients": ["log"],
            "templates": [{"text": "{% if digest %}{{ digest.texts|join(',') }}{% else %}\
                {{ data.visit.url }} {{ data.visit.title }} {{ data.visit.referrer }} \
                {{ data.visit.utm_campaign }} {{ data.visit.user_id }} {{ data.visitor.id }} \
                {{ data.visit.properties.plan }}{% endif %}"}]});
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        both.call(Method::POST, &both.notification, "/rules", Some(rule))
            .await;
    }
    // Sent first, so that the session begins with this visit.
    let secret = json!({
        "timestamp": both.clock.now() - TimeDelta::seconds(10),
        "url": "https://shop.example/reset/PathSecret?utm_campaign=CampaignSecret",
        "user_id": USER, "ip": "81.2.69.77", "title": "TitleSecret",
        "referrer": "https://elsewhere.example/ReferrerSecret",
        "properties": {"plan": "PropertySecret", "note": "UnnamedSecret"},
    });
    both.post("/visits", page_view("/", VISITOR, &secret)).await;
    both.post(
        "/visits",
        page_view("/shared", VISITOR, &json!({"properties": {"plan": "pro"}})),
    )
    .await;
    both.post(
        "/visits",
        page_view(
            "/shared",
            "somebody",
            &json!({"properties": {"plan": "pro"}}),
        ),
    )
    .await;
    let event = json!({"event_type": "paid", "site": "shop.example", "visitor_id": VISITOR,
        "user_id": USER, "metadata": {"coupon": "EventSecret"}});
    both.post("/analytics/events", event).await;
    wait_for("the announcements", async || {
        let told = both.count("visitor_analytics.announcement").await == 2;
        (told && both.count("visitor_analytics.outbox").await == 0).then_some(())
    })
    .await;
    both.clock.advance(TimeDelta::minutes(2));
    wait_for("the digest", async || {
        let open = both.count("notification.digest").await;
        let pending = both
            .count("notification.delivery where status in ('pending', 'sending')")
            .await;
        (open == 0 && pending == 0).then_some(())
    })
    .await;
    both.fold(TimeDelta::hours(15)).await;
    let before = both.dump().await;
    for secret in PERSONAL_VALUES {
        assert!(!find_places(&before, secret).is_empty(), "{secret}");
    }
    for secret in FOLDED_VALUES {
        let found = find_places(&before, secret);
        assert!(
            found.contains(&"visitor_analytics.rollup_value".to_owned()),
            "{secret} {found:?}"
        );
    }
    let packed = hex(&visitor_hash(VISITOR).to_le_bytes());
    assert_eq!(
        find_hex_places(&before, &packed),
        ["visitor_analytics.column_block"]
    );
    for secret in ["PathSecret", "TitleSecret", "PropertySecret", VISITOR, USER] {
        let found = find_places(&before, secret);
        assert!(
            found.iter().any(|table| table.starts_with("notification.")),
            "{secret} {found:?}"
        );
    }

    let path = format!("/users/{USER}/data");
    let erased = both
        .call(Method::DELETE, &both.analytics, &path, None)
        .await;
    assert_eq!(
        (&erased["visits"], &erased["events"]),
        (&json!(2), &json!(1)),
        "{erased}"
    );
    wait_for("notification's part", async || {
        (both.count("visitor_analytics.erasure_call").await == 0).then_some(())
    })
    .await;
    both.fold(TimeDelta::minutes(15)).await;
    let store = Store::new(both.pool.clone());
    for _ in 0..3 {
        store.erasures.sweep_values(both.clock.now()).await.unwrap();
        both.clock.advance(TimeDelta::hours(1));
    }
    assert_eq!(both.count("visitor_analytics.erased_value").await, 0);
    // notification keeps hashes for a day, which reveal nothing.
    let after = both.dump().await;
    for secret in PERSONAL_VALUES {
        assert_eq!(
            find_places(&after, secret),
            Vec::<String>::new(),
            "{secret}"
        );
    }
    assert_eq!(find_hex_places(&after, &packed), Vec::<String>::new());

    // Values that other visitors share are still there, and the rollups are correct.
    let left = both
        .call(Method::GET, &both.analytics, "/visits", None)
        .await;
    assert_eq!(left["data"].as_array().unwrap().len(), 1);
    assert_eq!(left["data"][0]["path"], "/shared");
    let period = "site=shop.example&from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z";
    let pages = format!("/analytics/breakdown?by=page&{period}");
    let pages = both.call(Method::GET, &both.analytics, &pages, None).await;
    assert_eq!(pages["data"].as_array().unwrap().len(), 1, "{pages}");
    assert!(!find_places(&after, "pro").is_empty());
    let all = VerifyArgs::default();
    let verified = visitor_analytics::app::verify::verify_days(&store, &all)
        .await
        .unwrap();
    assert!(
        verified.compared_days > 0 && verified.mismatches == 0,
        "{verified:?}"
    );
}

fn find_hex_places(dump: &[(String, String)], hex: &str) -> Vec<String> {
    let found = dump.iter().filter(|(_, text)| text.contains(hex));
    found.map(|(table, _)| table.clone()).collect()
}
