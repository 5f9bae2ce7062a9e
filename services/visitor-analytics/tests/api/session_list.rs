//! `GET /sessions` and journeys.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{noon, problem, start, visit};

#[sqlx::test(migrations = false)]
async fn sessions_are_listed_with_their_journeys(pool: PgPool) {
    let system = start(pool).await;
    let at = |minute: i64| noon() - TimeDelta::days(1) + TimeDelta::minutes(minute);
    for (visitor, minute, page, site) in [
        ("a", 0, "start", "shop.example"),
        ("a", 2, "middle", "shop.example"),
        ("a", 10, "end", "shop.example"),
        ("a", 60, "start", "shop.example"),
        ("b", 5, "other", "blog.example"),
    ] {
        let sent = json!({
            "timestamp": at(minute), "visitor_id": visitor, "site": site, "title": page,
            "url": format!("https://{site}/{page}?utm_source=news"),
        });
        system.record(&visit(&sent)).await;
    }
    let bot = json!({"user_agent": "curl/8.5.0", "timestamp": at(0)});
    system.record(&visit(&bot)).await;
    for minute in [1, 39, 41] {
        let event = json!({"event_type": "x", "site": "shop.example", "visitor_id": "a",
                           "timestamp": at(minute)});
        system
            .post_to("/analytics/events")
            .json(&event)
            .send()
            .await
            .unwrap();
    }

    let mut met: Vec<Value> = vec![];
    let mut path = "/sessions?limit=2".to_owned();
    loop {
        let page = system.read(&path).await;
        met.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/sessions?limit=2&cursor={cursor}");
    }
    let entries: Vec<&str> = met
        .iter()
        .map(|s| s["entry_path"].as_str().unwrap())
        .collect();
    assert_eq!(entries, ["/start", "/other", "/start"]);
    let first = &met[2];
    assert_eq!((&first["visits"], &first["events"]), (&json!(3), &json!(2)));
    assert_eq!(
        (&first["duration_seconds"], &first["is_bounce"]),
        (&json!(600), &json!(false))
    );
    assert_eq!(
        (&first["exit_path"], &first["utm_source"]),
        (&json!("/end"), &json!("news"))
    );
    assert_eq!(
        (&first["country_code"], &first["is_bot"]),
        (&json!("GB"), &json!(false))
    );
    assert_eq!(met[0]["is_bounce"], true);

    let one = system.read("/sessions?site=blog.example").await;
    assert_eq!(one["data"][0]["visitor_id"], "b");
    let bots = system.read("/sessions?include_bots=only").await;
    assert_eq!(bots["data"].as_array().unwrap().len(), 1);
    let from = at(5).format("%Y-%m-%dT%H:%M:%SZ");
    let later = system.read(&format!("/sessions?from={from}")).await;
    assert_eq!(later["data"].as_array().unwrap().len(), 2);

    let found = system
        .read(&format!("/sessions/{}", first["id"].as_str().unwrap()))
        .await;
    assert_eq!(found["entry_path"], "/start");
    let journey = found["journey"].as_array().unwrap();
    let told = journey
        .iter()
        .map(|step| (&step["path"], &step["seconds_on_page"]));
    let told: Vec<_> = told.map(|(path, seconds)| json!([path, seconds])).collect();
    assert_eq!(
        json!(told),
        json!([["/start", 120], ["/middle", 480], ["/end", null]])
    );
    let missing = system.get(&format!("/sessions/{}", Uuid::nil()));
    assert_eq!(problem(missing).await.0, 404);
    assert_eq!(problem(system.get("/sessions?limit=0")).await.2, "limit");
}
