//! `POST /notify`.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{MASKED, PHONE, Service, clock, count_rows};
use crate::twilio::{ACCOUNT, FROM, Twilio};

fn arrived() -> Value {
    json!({"event": "visitor.arrived", "data": {
        "visit": {"site": "example.com", "path": "/pricing", "source": "google", "city": "London",
            "country": "United Kingdom", "browser": "Firefox", "os": "Windows"},
        "session": {"visits": 1},
        "visitor": {"id": "v", "returning": false, "previous_sessions": 0}}})
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_visitor_is_texted_by_twilio(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[]).await;
    let service = Service::with(&pool, &clock(), &twilio.args()).await;
    let (status, body) = service.notify(arrived()).await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["status"], "queued");
    assert_eq!(body["reason"], Value::Null);
    let receipt = &body["deliveries"][0];
    assert_eq!(receipt["channel"], "sms");
    assert_eq!(receipt["recipient"], MASKED);
    assert_eq!(receipt["status"], "pending");

    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!(delivery["id"], receipt["id"]);
    assert_eq!(delivery["provider"], "twilio");
    assert_eq!(delivery["provider_message_id"], twilio.messages()[0]["sid"]);
    assert_eq!(delivery["attempts"][0]["outcome"], "sent");
    assert_eq!(delivery["attempts"][0]["http_status"], 201);

    let [post] = &twilio.posts()[..] else {
        panic!("expected one message");
    };
    let text = "New visitor on example.com: London, United Kingdom\n\
                Page: /pricing\nFrom: google\nFirefox on Windows, first visit";
    let form = [("To", PHONE), ("From", FROM), ("Body", text)];
    let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(post.form, form.into());
    assert_eq!(post.account, ACCOUNT);
    assert_eq!(
        post.authorization,
        basic(&format!("{ACCOUNT}:the-auth-token"))
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_api_key_and_a_messaging_service_may_be_used(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[]).await;
    let key = format!("SK{}", "0".repeat(32));
    let sender = format!("MG{}", "a".repeat(32));
    let mut args = twilio.args();
    args.retain(|arg| !arg.starts_with("--sms-from"));
    args.push(format!("--twilio-api-key-sid={key}"));
    args.push(format!("--sms-from={sender}"));
    let service = Service::with(&pool, &clock(), &args).await;
    service
        .notify(json!({"event": "e", "message": "hello"}))
        .await;
    service.wait_for_delivery(|d| d["status"] == "sent").await;
    let post = &twilio.posts()[0];
    assert_eq!(post.authorization, basic(&format!("{key}:the-auth-token")));
    assert_eq!(post.form.get("MessagingServiceSid"), Some(&sender));
    assert_eq!(post.form.get("From"), None);
}

fn basic(credentials: &str) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
    format!("Basic {encoded}")
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn without_key_and_number_the_log_is_told(pool: PgPool) {
    let service = Service::with(&pool, &clock(), &[]).await;
    let (status, body) = service
        .notify(json!({"event": "e", "message": "hello"}))
        .await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["deliveries"][0]["channel"], "log");
    assert_eq!(body["deliveries"][0]["recipient"], "log");
    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!(delivery["provider"], "log");
    assert_eq!(delivery["text"], "hello");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn several_recipients_get_one_delivery_each(pool: PgPool) {
    let service = Service::start(&pool).await;
    let to = json!(["+15550100002", "log", "+15550100002", "+15550100003"]);
    let (_, body) = service
        .notify(json!({"event": "e", "message": "m", "to": to}))
        .await;
    let recipients: Vec<_> = body["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["recipient"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(recipients, ["+1555•••02", "log", "+1555•••03"]);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_event_that_no_rule_knows_is_suppressed_with_the_reason(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (status, body) = service.notify(json!({"event": "deploy.finished"})).await;
    assert_eq!(status, 202);
    assert_eq!(body["status"], "suppressed");
    assert_eq!(body["reason"], "no rule matches");
    assert_eq!(body["deliveries"], json!([]));
    assert_eq!(count_rows(&pool, "delivery").await, 0);
    assert_eq!(count_rows(&pool, "notification").await, 1);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_cannot_be_accepted_is_refused_by_name_and_not_stored(pool: PgPool) {
    let service = Service::with(&pool, &clock(), &[]).await;
    let many: Vec<_> = (0..101).map(|n| format!("+1555010{n:04}")).collect();
    let cases = [
        (json!({}), "event", "BODY_INVALID"),
        (json!({"event": "e", "text": "m"}), "text", "BODY_INVALID"),
        (
            json!({"event": "e", "priority": "asap"}),
            "priority",
            "BODY_INVALID",
        ),
        (json!({"event": ""}), "event", "EVENT_INVALID"),
        (
            json!({"event": "Visitor Arrived"}),
            "event",
            "EVENT_INVALID",
        ),
        (json!({"event": "e".repeat(101)}), "event", "EVENT_INVALID"),
        (
            json!({"event": "e", "title": "t".repeat(201)}),
            "title",
            "TITLE_TOO_LONG",
        ),
        (
            json!({"event": "e", "title": "a\u{0}b"}),
            "title",
            "NUL_CHARACTER",
        ),
        (
            json!({"event": "e", "message": " \n"}),
            "message",
            "MESSAGE_EMPTY",
        ),
        (
            json!({"event": "e", "message": "m".repeat(1_601)}),
            "message",
            "MESSAGE_TOO_LONG",
        ),
        (
            json!({"event": "e", "message": "a\u{0}"}),
            "message",
            "NUL_CHARACTER",
        ),
        (
            json!({"event": "e", "data": {"a": "x".repeat(65_536)}}),
            "data",
            "DATA_TOO_LARGE",
        ),
        (
            json!({"event": "e", "data": {"a": [{"b": "\u{0}"}]}}),
            "data",
            "NUL_CHARACTER",
        ),
        (
            json!({"event": "e", "dedupe_key": ""}),
            "dedupe_key",
            "DEDUPE_KEY_INVALID",
        ),
        (
            json!({"event": "e", "channels": []}),
            "channels",
            "LIST_EMPTY",
        ),
        (
            json!({"event": "e", "channels": ["log", "pigeon"]}),
            "channels[1]",
            "CHANNEL_UNKNOWN",
        ),
        (json!({"event": "e", "to": []}), "to", "LIST_EMPTY"),
        (
            json!({"event": "e", "to": many}),
            "to",
            "TOO_MANY_RECIPIENTS",
        ),
        (
            json!({"event": "e", "to": ["log", "555-0100"]}),
            "to[1]",
            "RECIPIENT_INVALID",
        ),
        (
            json!({"event": "e", "to": ["log", PHONE], "channels": ["log"]}),
            "to[1]",
            "RECIPIENT_UNREACHABLE",
        ),
        (
            json!({"event": "e", "message": "m", "channels": ["sms"]}),
            "to",
            "RECIPIENT_REQUIRED",
        ),
    ];
    for (body, field, code) in cases {
        let (status, problem) = service.notify(body).await;
        assert_eq!(status, 422, "{field} {code}: {problem}");
        assert_eq!(problem["field"], field, "{code}: {problem}");
        assert_eq!(problem["code"], code, "{field}: {problem}");
    }
    assert_eq!(count_rows(&pool, "notification").await, 0);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_is_no_json_is_refused(pool: PgPool) {
    use common::jwt::Scope;
    let service = Service::start(&pool).await;
    let token = service.token(&[Scope::NotifySend]);
    let post = || {
        let url = format!("{}/notify", service.base);
        service.http.post(url).bearer_auth(&token)
    };
    let json = || post().header("content-type", "application/json");
    let (status, problem) = crate::support::answer(json().body("{\"event\":")).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (400, Some("BODY_NOT_JSON"))
    );
    let (status, problem) = crate::support::answer(post().body("event=e")).await;
    assert_eq!(
        (status, problem["field"].as_str()),
        (415, Some("content-type"))
    );
    let (status, problem) = crate::support::answer(json().body("x".repeat(2_000_000))).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (413, Some("BODY_TOO_LARGE"))
    );
    assert_eq!(count_rows(&pool, "notification").await, 0);
}

#[tokio::test]
async fn without_the_database_it_says_so_and_asks_to_come_again() {
    let options = "postgres://nobody@127.0.0.1:1/none".parse().unwrap();
    let away = sqlx::postgres::PgPoolOptions::new()
        .acquire_timeout(std::time::Duration::from_millis(200))
        .connect_lazy_with(options);
    let service = Service::start(&away).await;
    let (status, problem) = service.notify(json!({"event": "e", "message": "m"})).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (503, Some("UNAVAILABLE"))
    );
}
