//! The report on the last half hour.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{noon, problem, start, visit};

#[sqlx::test(migrations = false)]
async fn the_last_half_hour_is_told(pool: PgPool) {
    let system = start(pool).await;
    for (seconds, visitor, page, agent) in [
        (-1_860, "old", "/gone", None),
        (-1_700, "a", "/1", None),
        (-1_690, "a", "/2", None),
        (-240, "a", "/2", None),
        (-230, "b", "/2", None),
        (0, "b", "/1", None),
        (-10, "bot", "/1", Some("curl/8.5.0")),
    ] {
        let mut sent = json!({
            "timestamp": noon() + TimeDelta::seconds(seconds), "visitor_id": visitor,
            "url": format!("https://shop.example{page}"), "referrer": "https://news.example/",
        });
        if let Some(agent) = agent {
            sent["user_agent"] = json!(agent);
        }
        system.record(&visit(&sent)).await;
    }
    let body = system.read("/analytics/realtime").await;
    assert_eq!(body["visitors_now"], 2, "{body}");
    let minutes = body["minutes"].as_array().unwrap();
    assert_eq!(minutes.len(), 31);
    let of = |start: &str| {
        let minute = minutes
            .iter()
            .find(|minute| minute["start"] == start)
            .unwrap();
        [
            minute["visitors"].as_i64().unwrap(),
            minute["visits"].as_i64().unwrap(),
        ]
    };
    assert_eq!(of("2026-11-20T11:31:00Z"), [1, 2]);
    assert_eq!(of("2026-11-20T11:56:00Z"), [2, 2]);
    assert_eq!(of("2026-11-20T12:00:00Z"), [1, 1]);
    let lines = |name: &str| body[name].clone();
    let line = |value: Value, visitors, visits| json!({"value": value, "visitors": visitors, "visits": visits});
    let pages = [line(json!("/2"), 2, 3), line(json!("/1"), 2, 2)];
    assert_eq!(lines("pages"), json!(pages));
    assert_eq!(lines("countries"), json!([line(json!("GB"), 2, 5)]));
    assert_eq!(lines("sources"), json!([line(json!("news.example"), 2, 2)]));
    let bots = system.read("/analytics/realtime?include_bots=only").await;
    assert_eq!(bots["visitors_now"], 1);
    let everybody = system
        .read("/analytics/realtime?include_bots=true&site=shop.example")
        .await;
    assert_eq!(everybody["visitors_now"], 3);
    let second = system
        .read("/analytics/realtime?page=/2&country=GB&source=!google")
        .await;
    assert_eq!(second["pages"], json!([line(json!("/2"), 2, 3)]));
    assert_eq!(second["visitors_now"], 2);
}

#[sqlx::test(migrations = false)]
async fn bad_questions_are_named(pool: PgPool) {
    let system = start(pool).await;
    for (query, field) in [
        ("", "site"),
        ("?site=no.example", "site"),
        ("?a=1", "a"),
        ("?from=2026-11-20", "from"),
    ] {
        let (status, _, named) = problem(system.get(&format!("/analytics/realtime{query}"))).await;
        assert!(status == 400 || status == 404);
        assert_eq!(named, field, "{query}");
    }
}
