//! Addresses as people write them, wherever recipients enter, and bodies as programs cut them.

use common::jwt::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{MASKED, PHONE, Service, answer, clock, count_rows};

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn requests_accept_written_addresses_once(pool: PgPool) {
    let service = Service::start(&pool).await;
    let to = json!([
        "+1 555 010 0067",
        "+1 (555) 010-0067",
        "\u{202a}+15550100067\u{202c}",
        "＋１ ５５５ ０１０ ００６７",
        " Ann@Bücher.example",
        "Ann@xn--bcher-kva.example\u{feff}",
    ]);
    let (status, body) = service
        .notify(json!({"event": "t.t", "message": "hi", "to": to}))
        .await;
    assert_eq!(status, 202, "{body}");
    let deliveries = body["deliveries"].as_array().unwrap().iter();
    let recipients: Vec<_> = deliveries.map(|d| d["recipient"].clone()).collect();
    assert_eq!(
        json!(recipients),
        json!([MASKED, "A•••@xn--bcher-kva.example"])
    );
    let stored = "select recipient from notification.delivery order by recipient";
    let stored: Vec<String> = sqlx::query_scalar(stored).fetch_all(&pool).await.unwrap();
    assert_eq!(stored, [PHONE, "Ann@xn--bcher-kva.example"]);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn errors_say_what_is_wrong_with_an_address(pool: PgPool) {
    let service = Service::start(&pool).await;
    for (to, words) in [
        ("5550100067", "no country code"),
        ("0015550100067", "begins with 00"),
        ("+1 555 010 0067 ext 5", "extension (`e` at position 17)"),
        ("+1 555 FLOWERS", "letters (`F` at position 8)"),
        ("+1555\u{2063}010\u{fffc}0067", "U+FFFC at position 10"),
        ("+123", "3 digits"),
        ("ann @example.com", "U+0020 at position 4"),
        ("ann", "invalid recipient"),
    ] {
        let (status, problem) = service
            .notify(json!({"event": "e", "message": "m", "to": ["log", to]}))
            .await;
        let found = (status, &problem["field"], &problem["code"]);
        let expected = (422, &json!("to[1]"), &json!("RECIPIENT_INVALID"));
        assert_eq!(found, expected, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{to}: {detail}");
    }
    assert_eq!(count_rows(&pool, "notification").await, 0);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn suppressions_recipients_and_rules_keep_the_normal_form(pool: PgPool) {
    let args = ["--notification-phone-number=+1 (555) 010-0067".to_owned()];
    let service = Service::with(&pool, &clock(), &args).await;
    let body = json!({"address": "\u{202d}+1.555.010.0067\u{202c}"});
    let (status, made) = service
        .write(Method::POST, "/suppressions", Some(body))
        .await;
    assert_eq!((status, &made["address"]), (201, &json!(PHONE)));
    // The default recipient is the suppressed number.
    let (_, told) = service.notify(json!({"message": "hi"})).await;
    assert_eq!(told["reason"], "suppressed: by hand");
    assert_eq!(told["deliveries"][0]["recipient"], MASKED);

    let ann =
        json!({"name": "ann", "addresses": ["+1-555-010-0068", "+15550100068", "a@Ä.example"]});
    let (status, ann) = service.write(Method::POST, "/recipients", Some(ann)).await;
    assert_eq!(status, 201, "{ann}");
    assert_eq!(
        ann["addresses"],
        json!(["+15550100068", "a@xn--4ca.example"])
    );

    let rule = json!({"name": "R", "event": "e", "recipients": ["+1 555 010 0067", " log"],
        "escalation": [{"after_seconds": 9, "recipients": ["B@Example.com"]}]});
    let (status, rule) = service.write(Method::POST, "/rules", Some(rule)).await;
    assert_eq!(status, 201, "{rule}");
    assert_eq!(rule["recipients"], json!([PHONE, "log"]));
    assert_eq!(
        rule["escalation"][0]["recipients"],
        json!(["B@example.com"])
    );
    let (_, told) = service.notify(json!({"event": "e"})).await;
    assert_eq!(told["deliveries"][0]["status"], "suppressed");
}

/// The migration repairs what earlier versions stored.
#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn stored_domains_become_lower_case(pool: PgPool) {
    let service = Service::start(&pool).await;
    for address in ["ann@example.com", "bob@example.com", "ntfy:Topic"] {
        service
            .create("/suppressions", json!({"address": address}))
            .await;
    }
    let upper = "update notification.suppression set address = 'Bob@Example.COM'
        where address = 'bob@example.com'";
    sqlx::query(upper).execute(&pool).await.unwrap();
    service
        .create("/suppressions", json!({"address": "Bob@example.com"}))
        .await;
    let migration = include_str!("../../../../migrations/notification/0020_email_domains.sql");
    sqlx::raw_sql(migration).execute(&pool).await.unwrap();
    let stored = "select address from notification.suppression order by address";
    let stored: Vec<String> = sqlx::query_scalar(stored).fetch_all(&pool).await.unwrap();
    assert_eq!(stored.len(), 3, "{stored:?}");
    for address in ["Bob@example.com", "ann@example.com", "ntfy:Topic"] {
        assert!(stored.iter().any(|stored| stored == address), "{stored:?}");
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_message_needs_no_event(pool: PgPool) {
    let service = Service::start(&pool).await;
    for body in [
        json!({"message": "hello"}),
        json!({"message": "hello", "event": null}),
    ] {
        let (status, sent) = service.notify(body).await;
        assert_eq!(status, 202, "{sent}");
        let story = service.read_notification(&sent["id"]).await;
        assert_eq!(
            (&story["event"], &story["message"]),
            (&json!("message"), &json!("hello"))
        );
    }
    let keyed = service.notify_with_key("k", json!({"message": "m"})).await;
    let named = json!({"event": "message", "message": "m"});
    assert_eq!(service.notify_with_key("k", named).await, keyed);
    for (body, field, code) in [
        (json!({"title": "t"}), "event", "BODY_INVALID"),
        (json!({"message": null}), "event", "BODY_INVALID"),
        (json!({"message": ""}), "message", "MESSAGE_EMPTY"),
        (
            json!({"message": "m", "event": ""}),
            "event",
            "EVENT_INVALID",
        ),
        (json!({"message": 7}), "message", "BODY_INVALID"),
        (json!({"message": "m", "to": [7]}), "to[0]", "BODY_INVALID"),
        (json!({"message": "m", "to": "log"}), "to", "BODY_INVALID"),
        (
            json!({"message": "m", "recipient": "log"}),
            "recipient",
            "BODY_INVALID",
        ),
    ] {
        let (status, problem) = service.notify(body).await;
        let found = (status, &problem["field"], &problem["code"]);
        assert_eq!(found, (422, &json!(field), &json!(code)), "{problem}");
    }
    let list = json!([{"message": "m"}, {"title": "t"}]);
    let (_, answers) = service.notify(list).await;
    assert_eq!(answers["results"][0]["status"], "queued");
    let detail = answers["results"][1]["error"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("event: "), "{detail}");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn missing_fields_are_named_everywhere(pool: PgPool) {
    let service = Service::start(&pool).await;
    for (path, body, field) in [
        ("/rules", json!({}), "name"),
        ("/rules", json!({"name": "a"}), "event"),
        (
            "/rules",
            json!({"name": "a", "event": "e", "templates": [{}]}),
            "templates[0].text",
        ),
        (
            "/rules",
            json!({"name": "a", "event": "e", "throttle": {"limit": 1}}),
            "throttle.seconds",
        ),
        ("/rules/test", json!({"rule": {"name": "a"}}), "rule.event"),
        (
            "/rules/test",
            json!({"notification": {"text": "a"}}),
            "notification.text",
        ),
        ("/recipients", json!({"name": "a"}), "addresses"),
        ("/suppressions", json!({}), "address"),
        ("/webhooks", json!({}), "url"),
    ] {
        let (status, problem) = service.write(Method::POST, path, Some(body)).await;
        let found = (status, &problem["field"], &problem["code"]);
        assert_eq!(
            found,
            (422, &json!(field), &json!("BODY_INVALID")),
            "{problem}"
        );
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn lone_surrogates_are_replaced(pool: PgPool) {
    let service = Service::start(&pool).await;
    let token = service.token(&[Scope::NotifySend]);
    let post = async |body: &str| {
        let request = service.http.post(format!("{}/notify", service.base));
        let request = request.bearer_auth(&token);
        let request = request.header("content-type", "application/json");
        answer(request.body(body.to_owned())).await
    };
    let text = async |id: &Value| service.read_notification(id).await["message"].clone();
    for (body, message) in [
        (
            r#"{"event": "x.y", "message": "cut \ud83d"}"#,
            "cut \u{fffd}",
        ),
        (
            r#"{"event": "x.y", "message": "\uD83D\uDE00 \\ud83d \uDE00"}"#,
            "😀 \\ud83d \u{fffd}",
        ),
    ] {
        let (status, sent) = post(body).await;
        assert_eq!(status, 202, "{sent}");
        assert_eq!(text(&sent["id"]).await, message);
        let (status, list) = post(&format!("[{body}]")).await;
        assert_eq!(status, 200, "{list}");
        assert_eq!(text(&list["results"][0]["id"]).await, message);
    }
    assert_eq!(post(r#"{"message": "\ud83d"#).await.0, 400);
    assert_eq!(post(r#"{"message": "\ud8"}"#).await.0, 400);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn quiet_hours_have_a_length(pool: PgPool) {
    let service = Service::start(&pool).await;
    let test = async |hours: Value, at: &str| {
        let rule = json!({"name": "Q", "event": "q.*", "recipients": [PHONE],
            "templates": [{"text": "hi"}], "quiet_hours": [hours]});
        let body = json!({"notification": {"event": "q.x", "data": {}}, "rule": rule, "at": at});
        service.write(Method::POST, "/rules/test", Some(body)).await
    };
    let at = "2026-10-25T01:15:00Z";
    let night = json!({"from": "22:00", "to": "02:30", "time_zone": "Europe/Berlin"});
    let (_, held) = test(night, at).await;
    assert_eq!(
        held["deliveries"][0]["due_at"], "2026-10-25T01:30:00Z",
        "{held}"
    );
    let evening = json!({"from": "00:00", "to": "24:00", "days": ["sun"], "time_zone": "UTC"});
    let (_, held) = test(evening, at).await;
    assert_eq!(
        held["deliveries"][0]["due_at"], "2026-10-26T00:00:00Z",
        "{held}"
    );
    for (from, to, field, code) in [
        ("00:00", "00:00", "to", "QUIET_HOURS_EMPTY"),
        ("09:30", "9:30", "to", "QUIET_HOURS_EMPTY"),
        ("24:00", "08:00", "from", "TIME_INVALID"),
        ("08:00", "24:30", "to", "TIME_INVALID"),
    ] {
        let hours = json!({"from": from, "to": to});
        let field = json!(format!("quiet_hours[0].{field}"));
        let (status, problem) = test(hours.clone(), at).await;
        let found = (status, &problem["field"], &problem["code"]);
        assert_eq!(found, (422, &field, &json!(code)), "{problem}");
        let rule = json!({"name": "Q", "event": "q.*", "quiet_hours": [hours]});
        let (status, problem) = service.write(Method::POST, "/rules", Some(rule)).await;
        let found = (status, &problem["field"], &problem["code"]);
        assert_eq!(found, (422, &field, &json!(code)), "{problem}");
    }
}
