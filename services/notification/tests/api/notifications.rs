//! `GET /notifications` and `GET /notifications/{id}`.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{MASKED, Service};

fn events(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter().map(|n| n["event"].as_str().unwrap()).collect()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn pages_lead_from_the_newest_to_the_oldest(pool: PgPool) {
    let service = Service::start(&pool).await;
    for event in ["a", "b", "c", "d", "e"] {
        service
            .notify(json!({"event": event, "message": "m"}))
            .await;
    }
    let (_, first) = service.get("/notifications?limit=2").await;
    assert_eq!(events(&first), ["e", "d"]);
    let next = |page: &Value| page["next_cursor"].as_str().unwrap().to_owned();
    let (_, second) = service
        .get(&format!("/notifications?limit=2&cursor={}", next(&first)))
        .await;
    assert_eq!(events(&second), ["c", "b"]);
    let (_, last) = service
        .get(&format!("/notifications?limit=2&cursor={}", next(&second)))
        .await;
    assert_eq!(events(&last), ["a"]);
    assert_eq!(last["next_cursor"], Value::Null);
    assert_eq!(last["data"][0]["deliveries"][0]["recipient"], MASKED);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn status_and_event_narrow_the_list(pool: PgPool) {
    let service = Service::start(&pool).await;
    service.notify(json!({"event": "a", "message": "m"})).await;
    service.notify(json!({"event": "a"})).await;
    service.notify(json!({"event": "b"})).await;
    let (_, suppressed) = service.get("/notifications?status=suppressed").await;
    assert_eq!(events(&suppressed), ["b", "a"]);
    let (_, both) = service
        .get("/notifications?status=suppressed&event=a")
        .await;
    assert_eq!(both["data"].as_array().unwrap().len(), 1);
    assert_eq!(both["data"][0]["reason"], "no rule matches");
    assert_eq!(both["data"][0]["deliveries"], json!([]));
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn one_notification_tells_its_whole_story(pool: PgPool) {
    let service = Service::start(&pool).await;
    let asked = json!({"event": "e", "title": "t", "message": "m", "data": {"n": 1},
        "dedupe_key": "k", "priority": "high"});
    let (_, accepted) = service.notify(asked).await;
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    let id = accepted["id"].as_str().unwrap();
    let (status, detail) = service.get(&format!("/notifications/{id}")).await;
    assert_eq!(status, 200);
    let now = json!(service.clock.now());
    let delivery = &detail["deliveries"][0];
    let attempt = &delivery["attempts"][0];
    let expected = json!({
        "id": id, "event": "e", "title": "t", "message": "m", "data": {"n": 1},
        "priority": "high", "dedupe_key": "k", "status": "queued", "reason": null,
        "rules": [], "acknowledged_at": null, "created_at": now});
    let expected_delivery = json!({
        "id": accepted["deliveries"][0]["id"], "channel": "sms", "recipient": MASKED,
        "status": "sent", "reason": null, "step": 0, "title": "t", "text": "m",
        "due_at": null, "unknown_since": null, "provider": "log", "provider_message_id": null,
        "provider_status": null, "provider_status_at": null, "last_error": null, "created_at": now, "sent_at": now, "attempts": [{
            "number": 1, "started_at": now, "provider": "log", "outcome": "sent",
            "detail": null, "http_status": null, "provider_code": null,
            "provider_message_id": null, "latency_ms": attempt["latency_ms"]}]});
    let names = |object: &Value| object.as_object().unwrap().len();
    assert_eq!(names(&detail), names(&expected) + 1);
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&detail[name], value, "{name}");
    }
    assert_eq!(delivery, &expected_delivery);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_cannot_be_asked_is_refused_by_name(pool: PgPool) {
    let service = Service::start(&pool).await;
    let cases = [
        ("/notifications?limit=0", "limit"),
        ("/notifications?limit=501", "limit"),
        ("/notifications?limit=ten", "limit"),
        ("/notifications?cursor=x", "cursor"),
        ("/notifications?status=lost", "status"),
        ("/notifications?state=queued", "state"),
        ("/notifications?channel=pigeon", "channel"),
        ("/dead-letters?limit=0", "limit"),
        ("/dead-letters?cursor=x", "cursor"),
        ("/notifications/1", "path"),
    ];
    for (path, field) in cases {
        let (status, problem) = service.get(path).await;
        assert_eq!(
            (status, problem["field"].as_str()),
            (400, Some(field)),
            "{path}: {problem}"
        );
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_notification_that_does_not_exist_is_not_found(pool: PgPool) {
    let service = Service::start(&pool).await;
    let id = service.clock.new_id().to_string();
    assert_eq!(service.get(&format!("/notifications/{id}")).await.0, 404);
    assert_eq!(service.retry(&id).await.0, 404);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn channel_recipient_and_time_narrow_the_list(pool: PgPool) {
    let service = Service::start(&pool).await;
    let send = async |to: &str| {
        let body = json!({"event": "e", "message": "m", "to": [to]});
        let (_, sent) = service.notify(body).await;
        service.clock.advance(chrono::TimeDelta::minutes(1));
        sent["id"].clone()
    };
    let text = send("+15550100011").await;
    let line = send("log").await;
    let other = send("+15550100012").await;
    let found = async |query: &str| {
        let (status, list) = service.get(&format!("/notifications?{query}")).await;
        assert_eq!(status, 200, "{list}");
        let data = list["data"].as_array().unwrap().iter();
        data.map(|n| n["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("channel=sms").await, [other.clone(), text.clone()]);
    assert_eq!(found("channel=log").await, std::slice::from_ref(&line));
    let own = found("recipient=%2B15550100011").await;
    assert_eq!(own, std::slice::from_ref(&text));
    assert!(
        found("recipient=%2B15550100011&channel=log")
            .await
            .is_empty()
    );
    assert_eq!(
        found("from=2026-11-20T12:01:00Z").await,
        [other.clone(), line.clone()]
    );
    assert_eq!(found("to=2026-11-20T12:01:00Z").await, [text]);
    let between = "from=2026-11-20T12:01:00Z&to=2026-11-20T12:02:00Z";
    assert_eq!(found(between).await, [line]);
    assert!(found("to=2026-11-20T12:00:00Z").await.is_empty());
}
