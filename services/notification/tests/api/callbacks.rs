//! Callbacks of providers, and suppressions.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{
    PHONE, Service, StatusAndBody, answer, clock, count_rows, first_attempt, until,
};
use crate::twilio::{self, Twilio};

const PUBLIC: &str = "https://notify.example.com";

async fn start(pool: &PgPool, twilio: &Twilio, more: &[String]) -> Service {
    let mut args = twilio.args();
    args.push(format!("--public-url={PUBLIC}"));
    args.extend_from_slice(more);
    Service::with(pool, &clock(), &args).await
}

fn signature(url: &str, form: &[(&str, &str)]) -> String {
    let mut sorted = form.to_vec();
    sorted.sort_unstable();
    let fields: String = sorted
        .iter()
        .flat_map(|(key, value)| [*key, *value])
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"the-auth-token");
    STANDARD.encode(hmac::sign(&key, format!("{url}{fields}").as_bytes()))
}

async fn call_back(service: &Service, form: &[(&str, &str)]) -> StatusAndBody {
    let url = format!("{PUBLIC}/callbacks/twilio");
    signed(service, form, &signature(&url, form)).await
}

async fn signed(service: &Service, form: &[(&str, &str)], signature: &str) -> StatusAndBody {
    let request = service
        .http
        .post(format!("{}/callbacks/twilio", service.base));
    answer(request.header("x-twilio-signature", signature).form(form)).await
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_status_only_moves_forward(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[]).await;
    let service = start(&pool, &twilio, &[]).await;
    service
        .notify(json!({"event": "e", "message": "hello"}))
        .await;
    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    let callback = twilio.posts()[0].form["StatusCallback"].clone();
    assert_eq!(callback, format!("{PUBLIC}/callbacks/twilio"));
    assert_eq!(delivery["provider_status"], Value::Null);
    let id = delivery["provider_message_id"].as_str().unwrap();
    let says = async |status: &str| {
        let form = [
            ("MessageSid", id),
            ("MessageStatus", status),
            ("NewField", "1"),
        ];
        assert_eq!(call_back(&service, &form).await.0, 200);
        service.wait_for_delivery(|_| true).await["provider_status"].clone()
    };
    assert_eq!(says("sent").await, "sent");
    assert_eq!(says("queued").await, "sent");
    assert_eq!(says("delivered").await, "delivered");
    assert_eq!(says("sent").await, "delivered");
    assert_eq!(says("undelivered").await, "delivered");
    assert_eq!(says("invented").await, "delivered");
    assert_eq!(says("read").await, "read");
    assert_eq!(service.wait_for_delivery(|_| true).await["status"], "sent");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_did_not_arrive_is_a_dead_letter_however_early_that_is_told(pool: PgPool) {
    let script = [twilio::Reply::AcceptWhenReleased];
    let twilio = Twilio::start(&clock(), &script).await;
    let service = start(&pool, &twilio, &[]).await;
    let early = format!("SM{:032x}", 1);
    let form = [
        ("MessageSid", early.as_str()),
        ("MessageStatus", "undelivered"),
        ("ErrorCode", "30005"),
    ];
    assert_eq!(call_back(&service, &form).await.0, 200);
    service
        .notify(json!({"event": "e", "message": "hello"}))
        .await;
    until(async || (twilio.posts().len() == 1).then_some(())).await;
    twilio.release();
    service
        .wait_for_delivery(|d| d["provider_message_id"] == early.as_str())
        .await;
    // Any further callback applies the stored receipt.
    call_back(
        &service,
        &[("MessageSid", "SM0"), ("MessageStatus", "failed")],
    )
    .await;
    let delivery = service.wait_for_delivery(|d| d["status"] == "dead").await;
    let words = "undelivered, code 30005: the recipient is unknown";
    assert_eq!(delivery["last_error"], words);
    let (_, dead) = service.get("/dead-letters").await;
    assert_eq!(dead["data"][0]["last_error"], words);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn only_twilio_may_call_back(pool: PgPool) {
    let twilio = Twilio::start(&clock(), &[]).await;
    let service = start(&pool, &twilio, &[]).await;
    let form = [("From", PHONE), ("Body", "STOP")];
    let elsewhere = signature("https://other.example.com/callbacks/twilio", &form);
    for wrong in ["", "x", &elsewhere] {
        let (status, problem) = signed(&service, &form, wrong).await;
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!("SIGNATURE_INVALID"))
        );
    }
    assert_eq!(count_rows(&pool, "suppression").await, 0);
    let with_port = signature(&format!("{PUBLIC}:443/callbacks/twilio"), &form);
    assert_eq!(signed(&service, &form, &with_port).await.0, 200);
    assert_eq!(count_rows(&pool, "suppression").await, 1);

    let nameless = Service::start(&pool).await;
    assert_eq!(call_back(&nameless, &form).await.0, 404);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn stop_holds_over_all_providers_at_accept_and_at_send(pool: PgPool) {
    let script = [twilio::Reply::Refuse(429, 20429)];
    let twilio = Twilio::start(&clock(), &script).await;
    let service = start(&pool, &twilio, &[]).await;
    let hello = || json!({"event": "e", "message": "hello", "to": [PHONE, "log"]});
    let (_, waiting) = service.notify(hello()).await;
    until(async || (twilio.posts().len() == 1).then_some(())).await;
    assert_eq!(
        call_back(&service, &[("From", PHONE), ("Body", "Opt-out!")])
            .await
            .0,
        200
    );
    let (_, told) = service.notify(hello()).await;
    assert_eq!(told["status"], "queued");
    assert_eq!(told["deliveries"][0]["status"], "suppressed");
    assert_eq!(told["deliveries"][1]["status"], "pending");
    let keyed = json!({"event": "e", "message": "m", "to": [PHONE]});
    let first = service.notify_with_key("k", keyed.clone()).await;
    assert_eq!(first.1["status"], "suppressed");
    assert_eq!(first.1["reason"], "suppressed: answered STOP");
    let again = service.notify_with_key("k", keyed).await;
    assert_eq!(again.1["deliveries"], first.1["deliveries"]);
    // A pending delivery is not sent any more.
    service.clock.advance(chrono::TimeDelta::seconds(5));
    let held = until(async || {
        let story = service.read_notification(&waiting["id"]).await;
        let all = story["deliveries"].as_array().unwrap().clone();
        all.into_iter().find(|d| d["status"] == "suppressed")
    })
    .await;
    assert_eq!(held["reason"], "suppressed: answered STOP");
    assert_eq!(twilio.posts().len(), 1);

    assert_eq!(
        call_back(&service, &[("From", PHONE), ("Body", "START")])
            .await
            .0,
        200
    );
    assert_eq!(
        service.notify(hello()).await.1["deliveries"][0]["status"],
        "pending"
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn suppressions_are_kept_by_hand_and_by_who_is_gone(pool: PgPool) {
    let script = [twilio::Reply::Refuse(400, 21610)];
    let twilio = Twilio::start(&clock(), &script).await;
    let service = start(&pool, &twilio, &[]).await;
    let body = json!({"address": "ann@example.com", "reason": "asked by phone"});
    let id = service.create("/suppressions", body).await;
    let (_, told) = service
        .notify(json!({"event": "e", "message": "m", "to": ["ann@example.com"]}))
        .await;
    assert_eq!(told["reason"], "suppressed: asked by phone");
    let path = format!("/suppressions/{id}");
    assert_eq!(service.write(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(service.write(Method::DELETE, &path, None).await.0, 404);
    assert_eq!(first_attempt(&service, PHONE).await["outcome"], "gone");
    let listed = until(async || {
        let (_, list) = service.write(Method::GET, "/suppressions", None).await;
        list["data"].get(0).cloned()
    })
    .await;
    assert_eq!(listed["address"], PHONE);
    assert_eq!(
        listed["reason"],
        "HTTP 400, code 21610: the recipient has opted out"
    );
    let body = Some(json!({"address": "nobody"}));
    let (status, problem) = service.write(Method::POST, "/suppressions", body).await;
    assert_eq!((status, &problem["code"]), (422, &json!("ADDRESS_INVALID")));
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn vonage_calls_back_with_its_signature(pool: PgPool) {
    let part = json!({"status": "0", "message-id": "0A1"});
    let played = FakeProvider::start(Reply::json(200, &json!({"messages": [part]}))).await;
    let args = [
        "--sms-provider=vonage".to_owned(),
        "--sms-from=Shop".to_owned(),
        "--vonage-api-key=key".to_owned(),
        "--vonage-api-secret=secret".to_owned(),
        "--vonage-signature-secret=sign".to_owned(),
        format!("--vonage-base-url={}", played.base),
    ];
    let service = Service::with(&pool, &clock(), &args).await;
    assert_eq!(first_attempt(&service, PHONE).await["outcome"], "sent");
    let says = async |mut form: Vec<(&str, String)>, secret: &str| {
        form.push(("timestamp", service.clock.now().timestamp().to_string()));
        form.sort();
        let text = form.iter().map(|(key, value)| format!("&{key}={value}"));
        let text: String = text.collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let sum = hmac::sign(&key, text.as_bytes());
        let hex = sum.as_ref().iter().map(|byte| format!("{byte:02X}"));
        let mut body: serde_json::Map<String, Value> = form
            .into_iter()
            .map(|(k, v)| (k.to_owned(), json!(v)))
            .collect();
        body.insert("sig".into(), json!(hex.collect::<String>()));
        let request = service
            .http
            .post(format!("{}/callbacks/vonage", service.base));
        answer(request.json(&body)).await.0
    };
    let receipt = || {
        vec![
            ("messageId", "0A1".to_owned()),
            ("status", "delivered".to_owned()),
            ("err-code", "0".to_owned()),
        ]
    };
    assert_eq!(says(receipt(), "other").await, 403);
    assert_eq!(says(receipt(), "sign").await, 200);
    let delivery = service
        .wait_for_delivery(|d| d["provider_status"] == "delivered")
        .await;
    assert_eq!(delivery["status"], "sent");
    let stop = vec![
        ("msisdn", PHONE[1..].to_owned()),
        ("text", "STOP".to_owned()),
    ];
    assert_eq!(says(stop, "sign").await, 200);
    assert_eq!(count_rows(&pool, "suppression").await, 1);
}
