//! Timestamps that PostgreSQL or chrono cannot represent: every endpoint that reads a time refuses
//! them and names the field.

use common::jwt::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, answer, start, token, visit};

const TIMES: [&str; 15] = [
    "+262142-12-31T23:59:59.999999999Z",
    "+262143-01-01T00:00:00Z",
    "-262143-01-01T00:00:00Z",
    "262142-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "-4714-11-24T00:00:00Z",
    "+294277-01-01T00:00:00Z",
    "+10000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "2026-11-20T12:00:00+99:99",
    "+262142-12-31",
    "-262143-01-01",
    "99999999999999999999-01-01",
];

/// The last and first supported timestamps: results are empty, and nothing fails.
const EDGES: [&str; 3] = [
    "9999-12-31T23:59:60Z",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00Z",
];

/// Cursors of lists and streams: a timestamp in microseconds and an id.
fn cursors() -> Vec<String> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let micros = [
        i64::MIN,
        i64::MAX,
        253_402_300_800_000_000,
        -62_135_596_800_000_001,
    ];
    let cursor = |micros: i64| base64.encode([&micros.to_be_bytes()[..], &[7; 16]].concat());
    micros.into_iter().map(cursor).collect()
}

fn url_encoded(time: &str) -> String {
    url::form_urlencoded::byte_serialize(time.as_bytes()).collect()
}

/// Whether a parameter is a time, by its name or format.
fn is_time(parameter: &Value) -> bool {
    let name = parameter["name"].as_str().unwrap();
    let schema = parameter["schema"].to_string();
    let is_named = [
        "from",
        "to",
        "start_date",
        "end_date",
        "at",
        "since",
        "until",
    ]
    .contains(&name);
    parameter["in"] == "query" && (is_named || schema.contains("\"date"))
}

async fn refused(request: reqwest::RequestBuilder, field: &str, what: &str) {
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert!((400..500).contains(&status), "{what}: {status} {body}");
    assert_eq!(body["field"], field, "{what}: {body}");
}

async fn seed(pool: PgPool) -> TestSystem {
    let mut system = start(pool).await;
    system.token = token(&system.clock, &[Scope::Admin], 86_400);
    system.record(&visit(&json!({"site": "a.example"}))).await;
    system
}

#[sqlx::test(migrations = false)]
async fn every_parameter_of_time_has_bounds(pool: PgPool) {
    let system = seed(pool).await;
    let api = system.read("/openapi.json").await;
    let mut met = 0;
    for (path, operations) in api["paths"].as_object().unwrap() {
        let Some(parameters) = operations["get"]["parameters"].as_array() else {
            continue;
        };
        let path = path.replace("{id}", "v").replace("{user_id}", "u");
        let ask = |name: &str, value: &str| {
            let others = parameters
                .iter()
                .filter(|p| p["required"] == true && p["in"] == "query");
            let others = others
                .map(|p| p["name"].as_str().unwrap())
                .filter(|n| *n != name);
            let others = others.map(|other| match other {
                "by" => "&by=page",
                "start_date" => "&start_date=2026-11-20",
                "end_date" => "&end_date=2026-11-20",
                _ => panic!("say here what {other} of {path} is, so that the route is tested"),
            });
            let others: String = others.collect();
            system.get(&format!("{path}?{name}={}{others}", url_encoded(value)))
        };
        for parameter in parameters.iter().filter(|parameter| is_time(parameter)) {
            let name = parameter["name"].as_str().unwrap();
            for time in TIMES {
                refused(ask(name, time), name, &format!("{path}?{name}={time}")).await;
            }
            for time in EDGES {
                let request = ask(name, time).timeout(std::time::Duration::from_secs(30));
                let status = request.send().await.unwrap().status().as_u16();
                assert!(status < 500, "{path}?{name}={time}: {status}");
            }
            met += 1;
        }
        for parameter in parameters
            .iter()
            .filter(|parameter| parameter["name"] == "cursor")
        {
            assert_eq!(parameter["in"], "query");
            for cursor in cursors() {
                refused(
                    ask("cursor", &cursor),
                    "cursor",
                    &format!("{path}?cursor={cursor}"),
                )
                .await;
            }
            met += 1;
        }
        for parameter in parameters.iter().filter(|p| p["name"] == "Last-Event-ID") {
            assert_eq!(parameter["in"], "header");
            for cursor in cursors() {
                let request = system.get(&path).header("last-event-id", &cursor);
                refused(request, "last-event-id", &cursor).await;
            }
            met += 1;
        }
    }
    assert!(met > 20, "the walk has found {met} parameters");
}

#[sqlx::test(migrations = false)]
async fn every_time_in_a_body_has_bounds(pool: PgPool) {
    let system = seed(pool).await;
    for time in TIMES {
        let sent = visit(&json!({"site": "a.example", "timestamp": time}));
        refused(system.post(&sent), "timestamp", time).await;
        let event = json!({"event_type": "a", "site": "a.example", "user_id": "u",
            "timestamp": time});
        let events = system.post_to("/analytics/events").json(&event);
        refused(events, "timestamp", time).await;
        for edge in ["from", "to"] {
            let funnel = json!({"site": "a.example", "steps": [{"page": "/"}], edge: time});
            refused(
                system.post_to("/analytics/funnel").json(&funnel),
                edge,
                time,
            )
            .await;
        }
        // An invalid line of a file is rejected alone.
        let exported = json!({"received_at": time});
        let lines = format!("{sent}\n{}\n", visit(&exported));
        let import = system
            .post_to("/import?format=ndjson&site=a.example")
            .body(lines);
        let (status, import) = answer(import.send().await.unwrap()).await;
        assert_eq!(
            (status, &import["recorded"]),
            (200, &json!(0)),
            "{time}: {import}"
        );
    }
    let logged = |year: &str| {
        format!(
            "81.2.69.142 - - [20/Nov/{year}:11:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"\n"
        )
    };
    let lines: String = ["262142", "-1", "0000", "99999"].map(logged).concat();
    let import = system
        .post_to("/import?format=combined&site=a.example")
        .body(lines);
    let (status, import) = answer(import.send().await.unwrap()).await;
    assert_eq!((status, &import["rejected"]), (200, &json!(4)), "{import}");
    // UUIDv7 with the last and the first millisecond of 48 bits.
    for id in [
        "ffffffff-ffff-7000-8000-000000000001",
        "00000000-0000-7000-8000-000000000001",
    ] {
        refused(system.post(&visit(&json!({"id": id}))), "timestamp", id).await;
        for path in ["", "/explain"] {
            let found = system
                .get(&format!("/visits/{id}{path}"))
                .send()
                .await
                .unwrap();
            assert_eq!(found.status(), 404, "{id}{path}");
        }
        let report = json!({"engagement_seconds": 1, "scroll_depth": 1});
        let engaged = system
            .post_to(&format!("/visits/{id}/engagement"))
            .json(&report);
        assert_eq!(engaged.send().await.unwrap().status(), 404, "{id}");
    }
}
