//! Rules that fail, cost too much or cannot be evaluated do not affect others.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::fake_provider::{FakeProvider, Reply};
use crate::support::{Service, clock, count_rows, first_attempt, until};

/// A template as stored by an older version, whose digest worker panicked on it.
#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_stored_template_that_panicked_is_harmless(pool: PgPool) {
    let spec = json!({"name": "Digest", "event": "e", "recipients": ["log"],
        "digest": {"seconds": 60},
        "templates": [{"text": "{{ digest.count is divisibleby 0 }} {{ digest.count }}"}]});
    let stored = "insert into notification.rule (id, spec, created_at, updated_at)
        values (gen_random_uuid(), $1, now(), now())";
    let stored = sqlx::query(stored).bind(sqlx::types::Json(spec));
    stored.execute(&pool).await.unwrap();
    let service = Service::with(&pool, &clock(), &[]).await;
    let (_, held) = service.notify(json!({"event": "e"})).await;
    assert_eq!(held["status"], "digested", "{held}");
    service.clock.advance(TimeDelta::seconds(60));
    until(async || (count_rows(&pool, "digest").await == 0).then_some(())).await;
    let reason = held["reason"].as_str().unwrap();
    let story = service
        .read_notification(&json!(reason.rsplit(' ').next().unwrap()))
        .await;
    assert_eq!(story["deliveries"][0]["text"], "False 1");
}

fn dividing() -> Value {
    json!({"name": "Shares", "event": "share", "recipients": ["log"],
        "templates": [{"text": "{{ 12 // data.n }} each"}]})
}

async fn health(service: &Service) -> Value {
    service.get("/health").await.1["checks"]["rules"].clone()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_rule_that_fails_again_and_again_is_switched_off_and_says_so(pool: PgPool) {
    let service = Service::with(&pool, &clock(), &[]).await;
    let id = service.create("/rules", dividing()).await;
    let path = format!("/rules/{id}");
    let share = |n: i32| json!({"event": "share", "data": {"n": n}});
    // A success in between resets the count.
    for _ in 0..19 {
        assert_eq!(service.notify(share(0)).await.1["status"], "suppressed");
    }
    assert_eq!(service.notify(share(3)).await.1["status"], "queued");
    let mut last = Value::Null;
    for _ in 0..20 {
        last = service.notify(share(0)).await.1;
    }
    assert_eq!(last["deliveries"][0]["status"], "dead", "{last}");
    let reason = last["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the rule \"Shares\" failed: line 1: "),
        "{reason}"
    );
    let rule = until(async || {
        let (_, rule) = service.write(Method::GET, &path, None).await;
        (rule["disabled_at"] != Value::Null).then_some(rule)
    })
    .await;
    let reason = rule["disabled_reason"].as_str().unwrap();
    assert!(
        reason.starts_with("it failed 20 times in a row: line 1: "),
        "{reason}"
    );
    assert_eq!(rule["active"], true);
    let (_, list) = service.write(Method::GET, "/rules", None).await;
    assert_eq!(list["data"][0]["disabled_reason"], reason);

    let (_, dead) = service.get("/dead-letters?limit=100").await;
    let dead = dead["data"].as_array().unwrap();
    assert_eq!(dead.len(), 39);
    assert_eq!(dead[0]["id"], last["deliveries"][0]["id"]);
    let error = dead[0]["last_error"].as_str().unwrap();
    assert!(error.ends_with("; the rule is disabled"), "{error}");
    assert_eq!(dead[0]["text"], "share");
    let found = until(async || {
        let found = health(&service).await;
        (found["status"] == "degraded").then_some(found)
    })
    .await;
    assert!(found["detail"].as_str().unwrap().contains(&id), "{found}");
    assert_eq!(
        service.notify(share(3)).await.1["reason"],
        "no rule matches"
    );
    // The default recipient is notified.
    let (_, notices) = service.get("/notifications?event=rule.disabled").await;
    let notice = service.read_notification(&notices["data"][0]["id"]).await;
    let text = notice["deliveries"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("The rule \"Shares\" is disabled: it failed"),
        "{text}"
    );

    // A response can be sent back; read-only fields such as `disabled_at` are ignored.
    let mut again = rule.clone();
    for read_only in ["id", "created_at", "updated_at"] {
        again.as_object_mut().unwrap().remove(read_only);
    }
    let (status, again) = service.write(Method::PUT, &path, Some(again)).await;
    assert_eq!(
        (status, &again["disabled_at"]),
        (200, &Value::Null),
        "{again}"
    );
    assert_eq!(service.notify(share(3)).await.1["status"], "queued");
    assert_eq!(health(&service).await["status"], "ok");

    // The dead letter can be sent with the default text.
    let sent = service.retry(last["id"].as_str().unwrap()).await;
    assert_eq!(sent.0, 202, "{}", sent.1);
    until(async || {
        let story = service.read_notification(&last["id"]).await;
        (story["deliveries"][0]["status"] == "sent").then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_rule_of_another_version_is_shown_with_the_reason(pool: PgPool) {
    let spec = json!({"name": "Loud", "event": "e", "recipients": ["log"],
        "templates": [{"text": "{{ data.a|pprint }}"}]});
    let stored = "insert into notification.rule (id, spec, created_at, updated_at)
        values (gen_random_uuid(), $1, now(), now())";
    let stored = sqlx::query(stored).bind(sqlx::types::Json(spec));
    stored.execute(&pool).await.unwrap();
    let service = Service::with(&pool, &clock(), &[]).await;
    until(async || (health(&service).await["status"] == "degraded").then_some(())).await;
    let (_, list) = service.write(Method::GET, "/rules", None).await;
    let all = list["data"].as_array().unwrap();
    let loud = all.iter().find(|rule| rule["name"] == "Loud").unwrap();
    let reason = "the rule is invalid: the template must not contain the filter `pprint`; \
        templates support output, `for`, `if` and filters";
    assert_eq!(loud["disabled_reason"], reason);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn what_would_take_long_or_deep_is_refused(pool: PgPool) {
    let service = Service::with(&pool, &clock(), &[]).await;
    let long = "Ab ".repeat(19_000);
    let attempt = async |text: &str, at: &str| {
        let rule = json!({"name": "Trial", "event": "e", "recipients": ["log"],
            "templates": [{"text": text}]});
        let body = json!({"notification": {"event": "e", "data": {"s": long}}, "rule": rule,
            "at": at});
        service.write(Method::POST, "/rules/test", Some(body)).await
    };
    let now = "2026-11-20T12:00:00Z";
    let minus = format!("{{{{ {}1 }}}}", "-".repeat(9_000));
    let chain = format!("{{{{ data.s{} }}}}", "|title".repeat(1_500));
    for source in [&minus, &chain] {
        let (status, problem) = attempt(source, now).await;
        let found = (status, &problem["code"], &problem["field"]);
        let expected = (422, &json!("TEMPLATE_INVALID"), &json!("templates[0].text"));
        assert_eq!(found, expected, "{problem}");
    }
    // An accepted template is stopped while it runs: by its fuel, or by the timeout on a slow
    // machine.
    let chain = format!("{{{{ data.s{} }}}}", "|title".repeat(36));
    let (status, verdict) = attempt(&chain, now).await;
    let is_stopped = verdict["rules"][0]["outcome"] == "template_failed"
        && verdict["deliveries"][0]["status"] == "dead";
    assert!(
        is_stopped || verdict["code"] == "RULE_TOO_SLOW",
        "{status} {verdict}"
    );
    for at in [
        "+262142-12-31T23:59:59Z",
        "-0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        let (status, problem) = attempt("hello", at).await;
        let found = (status, &problem["code"], &problem["field"]);
        assert_eq!(
            found,
            (422, &json!("BODY_INVALID"), &json!("at")),
            "{at}: {problem}"
        );
        let body = Some(json!({"from": at}));
        let (status, problem) = service
            .write(Method::POST, "/dead-letters/retry", body)
            .await;
        assert_eq!(
            (status, &problem["field"]),
            (422, &json!("from")),
            "{at}: {problem}"
        );
        let at = at.replace('+', "%2B");
        for field in ["from", "to"] {
            let (status, problem) = service.get(&format!("/notifications?{field}={at}")).await;
            assert_eq!(
                (status, &problem["field"]),
                (400, &json!(field)),
                "{at}: {problem}"
            );
        }
    }
}

/// If the response of a webhook cannot be stored, the outcomes of other deliveries still are.
#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_answer_that_cannot_be_kept_holds_up_nobody(pool: PgPool) {
    let played = FakeProvider::start(Reply::json(200, &json!({"id": "7"}))).await;
    let args = ["--webhook-private-networks=127.0.0.0/8".to_owned()];
    let service = Service::with(&pool, &clock(), &args).await;
    let to = format!("discord:{}/api/webhooks/1/token", played.base);
    played.push_reply(Reply::json(200, &json!({"id": "a\0b"})));
    let odd = first_attempt(&service, &to).await;
    assert_eq!(
        (&odd["outcome"], &odd["detail"]),
        (
            &json!("sent"),
            &json!("the provider's response cannot be stored")
        )
    );
    assert_eq!(
        first_attempt(&service, &to).await["provider_message_id"],
        "7"
    );
}
