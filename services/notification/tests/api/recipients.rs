//! `/recipients` and groups.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::Service;

fn ann() -> Value {
    json!({"name": "ann", "addresses": ["+15550100002", "log"], "groups": ["ops"],
        "time_zone": "Europe/London", "language": "de"})
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_recipient_is_kept_changed_listed_and_deleted(pool: PgPool) {
    let service = Service::start(&pool).await;
    let id = service.create("/recipients", ann()).await;
    let path = format!("/recipients/{id}");
    let (_, kept) = service.write(Method::GET, &path, None).await;
    for (name, value) in ann().as_object().unwrap() {
        assert_eq!(&kept[name], value);
    }
    let (status, problem) = service
        .write(Method::POST, "/recipients", Some(ann()))
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!("NAME_TAKEN")));

    let other = json!({"name": "bob", "addresses": ["log"]});
    let (status, changed) = service.write(Method::PUT, &path, Some(other)).await;
    assert_eq!((status, &changed["name"]), (200, &json!("bob")));
    let (_, list) = service.write(Method::GET, "/recipients", None).await;
    assert_eq!(list["data"], json!([changed]));
    assert_eq!(service.write(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(service.write(Method::DELETE, &path, None).await.0, 404);
    assert_eq!(service.write(Method::GET, &path, None).await.0, 404);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn requests_may_name_recipients_and_groups(pool: PgPool) {
    let service = Service::start(&pool).await;
    service.create("/recipients", ann()).await;
    let bob = json!({"name": "bob", "addresses": ["+15550100003"], "groups": ["ops"]});
    service.create("/recipients", bob).await;
    let told = async |channels: Value, to: Value| {
        let body = json!({"event": "e", "message": "m", "channels": channels, "to": to});
        let (status, answer) = service.notify(body).await;
        let deliveries = answer["deliveries"].as_array().cloned().unwrap_or_default();
        let mut told: Vec<_> = deliveries.iter().map(|d| d["recipient"].clone()).collect();
        told.sort_by_key(ToString::to_string);
        (status, json!(told), answer["code"].clone())
    };
    let everybody = json!(["+1555•••02", "+1555•••03", "log"]);
    assert_eq!(
        told(Value::Null, json!(["group:ops"])).await,
        (202, everybody, Value::Null)
    );
    let texted = told(json!(["sms"]), json!(["recipient:ann"])).await;
    assert_eq!(texted, (202, json!(["+1555•••02"]), Value::Null));
    let unknown = told(Value::Null, json!(["recipient:eve"])).await;
    assert_eq!(unknown, (422, json!([]), json!("RECIPIENT_UNKNOWN")));
    let unreachable = told(json!(["log"]), json!(["recipient:bob"])).await;
    assert_eq!(
        unreachable,
        (422, json!([]), json!("RECIPIENT_UNREACHABLE"))
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_is_no_recipient_is_refused_by_name(pool: PgPool) {
    let service = Service::start(&pool).await;
    let cases = [
        ("name", json!("a b"), "name", "NAME_INVALID"),
        ("addresses", json!([]), "addresses", "ADDRESSES_INVALID"),
        (
            "addresses",
            json!(["log", "x"]),
            "addresses[1]",
            "ADDRESS_INVALID",
        ),
        ("groups", json!(["a", ""]), "groups[1]", "NAME_INVALID"),
        ("groups", json!(vec!["g"; 21]), "groups", "LIST_TOO_LONG"),
        (
            "time_zone",
            json!("Europe/Nowhere"),
            "time_zone",
            "TIME_ZONE_UNKNOWN",
        ),
        ("language", json!("d"), "language", "LANGUAGE_INVALID"),
        ("phone", json!("x"), "phone", "BODY_INVALID"),
    ];
    for (name, value, field, code) in cases {
        let mut body = ann();
        body[name] = value;
        let (status, problem) = service.write(Method::POST, "/recipients", Some(body)).await;
        let found = (status, &problem["field"], &problem["code"]);
        assert_eq!(found, (422, &json!(field), &json!(code)), "{problem}");
    }
}
