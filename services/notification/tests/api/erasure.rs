//! Erasure of a person: no table contains the data afterwards.

use chrono::TimeDelta;
use common::jwt::Scope;
use notification::domain::attempt::{
    CompletedAttempt, NextState, SendOutcome, SendResult, UnknownOutcomePolicy,
};
use notification::domain::channel_address::DeliveryChannel;
use notification::store::queue::{AttemptOutcome, claim, record_outcomes};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, StatusAndBody, count_rows, initial_time, until};

const VISITOR: &str = "visitor-secret-1";
const USER: &str = "user-secret-2";
/// Texts that no table may contain after the erasure.
const SECRETS: [&str; 7] = [
    VISITOR,
    USER,
    "PathSecret",
    "TitleSecret",
    "PropertySecret",
    "DedupeSecret",
    "ProviderSecret",
];

fn arrived(visitor: &str, user: Option<&str>, path: &str) -> Value {
    json!({
        "visit": {"site": "shop.example", "path": path, "title": "TitleSecret",
            "visitor_id": visitor, "user_id": user, "properties": {"plan": "PropertySecret"},
            "received_at": initial_time()},
        "session": {"id": "019a0000-0000-7000-8000-00000000000a"},
        "visitor": {"id": visitor, "returning": false, "previous_sessions": 0},
    })
}

fn event(data: &Value) -> Value {
    json!({"event": "visitor.arrived", "data": data, "dedupe_key": "DedupeSecret"})
}

async fn erase(service: &Service, body: Value) -> StatusAndBody {
    let token = service.token(&[Scope::NotifySend]);
    service
        .call(Method::POST, "/erasures", &token, Some(body), &[])
        .await
}

async fn erase_visitor(service: &Service, id: &str) -> Value {
    let body = json!({"visitor_ids": [id], "erased_at": service.clock.now()});
    let (status, erased) = erase(service, body).await;
    assert_eq!(status, 200, "{erased}");
    erased
}

/// Every row of every table of the schema, as text.
async fn dump(pool: &PgPool) -> String {
    let tables = "select format('%I.%I', table_schema, table_name) from information_schema.tables
                  where table_schema = 'notification'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
    let mut all = String::new();
    for table in tables {
        let rows = format!("select coalesce(string_agg(t::text, E'\n'), '') from {table} t");
        let rows = sqlx::AssertSqlSafe(rows);
        let rows: String = sqlx::query_scalar(rows).fetch_one(pool).await.unwrap();
        all.push_str(&[table, rows, String::new()].join("\n"));
    }
    all
}

async fn assert_nothing_left(pool: &PgPool) {
    let all = dump(pool).await;
    for secret in SECRETS {
        let line = all.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_erased_visitor_is_in_no_table(pool: PgPool) {
    let service = Service::start(&pool).await;
    let said = json!([{"text": "{% if digest %}{{ digest.texts|join(',') }}{% else %}\
        {{ data.visit.path }} {{ data.visit.title }} {{ data.visit.properties.plan }} \
        {{ data.visitor.id }}{% endif %}"}]);
    for (name, more) in [
        (
            "now",
            json!({"dedupe": {"seconds": 3_600, "by": "data.visitor.id"},
            "escalation": [{"after_seconds": 600, "recipients": ["log"]}]}),
        ),
        (
            "digested",
            json!({"digest": {"seconds": 60, "by": "data.visitor.id"}}),
        ),
        ("open", json!({"digest": {"seconds": 7_200}})),
        (
            "at night",
            json!({"quiet_hours": [{"from": "00:00", "to": "23:59"}],
            "recipients": ["+15550100099"]}),
        ),
    ] {
        let mut rule = json!({"name": name, "event": "visitor.arrived", "recipients": ["log"],
            "templates": said});
        let fields = rule.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        service.create("/rules", rule).await;
    }
    let data = arrived(VISITOR, Some(USER), "/reset/PathSecret");
    let (status, sent) = service
        .notify_with_key(&format!("visitor.arrived:{VISITOR}"), event(&data))
        .await;
    assert_eq!(status, 202, "{sent}");
    let direct = json!({"event": "order.paid", "title": "TitleSecret", "message": "PathSecret",
        "data": {"user_id": USER}, "to": ["log"]});
    assert_eq!(service.notify(direct).await.0, 202);
    let other = arrived("somebody-else", None, "/shared");
    let (_, other) = service
        .notify(json!({"event": "visitor.arrived", "data": other}))
        .await;
    // One digest was sent, the other one is open.
    service.clock.advance(TimeDelta::minutes(1));
    until(async || (count_rows(&pool, "digest").await == 1).then_some(())).await;
    until(async || {
        let sent = "select count(*) from notification.delivery where status = 'sent'";
        let sent: i64 = sqlx::query_scalar(sent).fetch_one(&pool).await.unwrap();
        (sent >= 6).then_some(())
    })
    .await;
    let receipt = "with said as (
            update notification.attempt set detail = 'it said ProviderSecret',
                provider = 'twilio', provider_message_id = delivery_id::text
            returning delivery_id),
        failed as (
            update notification.delivery set last_error = 'ProviderSecret', status = 'dead',
                sent_at = null
            where id in (select delivery_id from said))
        insert into notification.receipt (provider, message_id, status, rank, detail, received_at,
            open)
        select 'twilio', delivery_id::text, 'failed', 5, 'ProviderSecret', now(), false from said";
    sqlx::query(receipt).execute(&pool).await.unwrap();
    let before = dump(&pool).await;
    for secret in SECRETS {
        assert!(before.contains(secret), "{secret}");
    }

    let erased = erase_visitor(&service, VISITOR).await;
    // The notification about the visitor, and the digest that contains it.
    assert_eq!(erased["notifications"], 2, "{erased}");
    assert!(erased["canceled"].as_u64().unwrap() >= 2, "{erased}");
    // A notification about the user that names no visitor is not the visitor's.
    let user = json!({"visitor_ids": [VISITOR], "user_id": USER, "erased_at": service.clock.now()});
    assert_eq!(erase(&service, user.clone()).await.1["notifications"], 1);
    // For the other visitor, remove the provider's texts that this test inserted.
    let others = "delete from notification.receipt; update notification.attempt set detail = null;
                  update notification.delivery set last_error = null";
    sqlx::raw_sql(others).execute(&pool).await.unwrap();
    let titles = "update notification.notification set data = '{}' where erased_at is null";
    let story = service.read_notification(&other["id"]).await;
    assert_eq!(story["data"]["visit"]["path"], "/shared");
    sqlx::query(titles).execute(&pool).await.unwrap();
    sqlx::query(
        "update notification.delivery set body = '' where reason is distinct from 'erased'",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query("delete from notification.digest_item where text like '/shared%'")
        .execute(&pool)
        .await
        .unwrap();
    assert_nothing_left(&pool).await;

    // A second erasure finds nothing, and nothing can be sent any more, not even by a retry.
    assert_eq!(erase_visitor(&service, VISITOR).await["notifications"], 0);
    assert_eq!(erase(&service, user).await.1["notifications"], 0);
    assert_eq!(service.retry(sent["id"].as_str().unwrap()).await.0, 409);
    let story = service.read_notification(&sent["id"]).await;
    assert_eq!(story["reason"], "erased");
    for delivery in story["deliveries"].as_array().unwrap() {
        assert_eq!(
            (&delivery["text"], &delivery["reason"]),
            (&story["deliveries"][0]["text"], &json!("erased"))
        );
        assert!(["sent", "canceled"].contains(&delivery["status"].as_str().unwrap()));
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_announcement_that_was_on_its_way_says_nothing(pool: PgPool) {
    let service = Service::start(&pool).await;
    let (status, _) = erase(
        &service,
        json!({"visitor_ids": [VISITOR], "erased_at": service.clock.now()}),
    )
    .await;
    assert_eq!(status, 200);
    let late = event(&arrived(VISITOR, Some(USER), "/reset/PathSecret"));
    let (status, answer) = service.notify_with_key("late", late.clone()).await;
    assert_eq!(
        (status, &answer["status"], &answer["reason"]),
        (202, &json!("suppressed"), &json!("erased"))
    );
    let listed = service.notify(json!([late])).await.1;
    assert_eq!(listed["results"][0]["reason"], "erased", "{listed}");
    assert_eq!(count_rows(&pool, "delivery").await, 0);
    assert_nothing_left(&pool).await;
    // A visitor who returns is announced.
    let mut back = arrived(VISITOR, None, "/");
    back["visit"]["received_at"] = json!(service.clock.now() + TimeDelta::seconds(1));
    assert_eq!(service.notify(event(&back)).await.1["status"], "queued");
    // After a day the erasure is forgotten, because no announcement can be in transit any more.
    service.clock.advance(TimeDelta::hours(24));
    until(async || (count_rows(&pool, "erased_person").await == 0).then_some(())).await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn accepting_and_erasing_at_once_leave_nothing(pool: PgPool) {
    let service = Service::start(&pool).await;
    let announce = async |n: usize| {
        let data = arrived(VISITOR, None, &format!("/PathSecret/{n}"));
        let (status, answer) = service.notify(event(&data)).await;
        assert_eq!(status, 202, "{answer}");
    };
    for round in 0..5 {
        let announcing = futures::future::join_all((0..20).map(|n| announce(round * 20 + n)));
        let erasing = erase_visitor(&service, VISITOR);
        futures::join!(announcing, erasing);
    }
    erase_visitor(&service, VISITOR).await;
    assert_eq!(count_rows(&pool, "notification").await, 100);
    assert_nothing_left(&pool).await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_attempt_that_ends_after_the_erasure_leaves_no_text(pool: PgPool) {
    // The delivery is due in an hour, so that the service does not claim it before the test.
    let service = Service::start(&pool).await;
    let insert = "with n as (
            insert into notification.notification (id, event, data, priority, status, created_at,
                visitor_id)
            values (gen_random_uuid(), 'visitor.arrived', '{}', 'normal', 'queued', $1, $2)
            returning id)
        insert into notification.delivery (id, notification_id, channel, recipient, body, due_at,
            created_at)
        select gen_random_uuid(), id, 'ntfy', 'ntfy:topic', 'PathSecret', $1 + interval '1 hour', $1
        from n";
    let insert = sqlx::query(insert).bind(initial_time()).bind(VISITOR);
    insert.execute(&pool).await.unwrap();
    let later = initial_time() + TimeDelta::hours(1);
    let mut claimed = claim(&pool, DeliveryChannel::Ntfy, later, 1).await.unwrap();
    assert_eq!(erase_visitor(&service, VISITOR).await["canceled"], 1);
    let settled = AttemptOutcome {
        attempt: CompletedAttempt {
            delivery: claimed.remove(0),
            started_at: later,
            latency_ms: 7,
            provider: "ntfy",
            unknown_outcome_policy: UnknownOutcomePolicy::SendAgain,
            result: SendResult::new(SendOutcome::Transient(None), Some("it said ProviderSecret")),
        },
        next_state: NextState::Retry(later),
    };
    record_outcomes(&pool, &[settled], later).await.unwrap();
    assert_nothing_left(&pool).await;
    let left = "select d.status || ' ' || a.outcome from notification.delivery d
                join notification.attempt a on a.delivery_id = d.id";
    let left: String = sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
    assert_eq!(left, "canceled transient");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_erasure_by_user_leaves_other_users_of_the_same_visitor(pool: PgPool) {
    let service = Service::start(&pool).await;
    for (user, site) in [
        (Some(USER), "a"),
        (Some("bob"), "a"),
        (None, "a"),
        (None, "b"),
    ] {
        let mut data = arrived(VISITOR, user, "/");
        data["visit"]["site"] = json!(format!("{site}.example"));
        assert_eq!(service.notify(event(&data)).await.0, 202);
    }
    let body = json!({"visitor_ids": [VISITOR], "user_id": USER, "site": "a.example",
        "erased_at": service.clock.now()});
    assert_eq!(erase(&service, body).await.1["notifications"], 2);
    let left = "select string_agg(concat(user_id, '@', site), ' ' order by user_id)
                from notification.notification where erased_at is null";
    let left: String = sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
    assert_eq!(left, "bob@a.example @b.example");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn an_erasure_names_somebody_and_needs_the_right(pool: PgPool) {
    let service = Service::start(&pool).await;
    let now = service.clock.now();
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    for (body, field) in [
        (json!({"erased_at": now}), "visitor_ids"),
        (
            json!({"visitor_ids": [""], "erased_at": now}),
            "visitor_ids",
        ),
        (
            json!({"visitor_ids": many, "erased_at": now}),
            "visitor_ids",
        ),
        (json!({"user_id": "a\u{0}", "erased_at": now}), "user_id"),
        (
            json!({"user_id": "a", "erased_at": now + TimeDelta::hours(1)}),
            "erased_at",
        ),
    ] {
        let (status, problem) = erase(&service, body).await;
        assert_eq!(
            (status, &problem["field"]),
            (422, &json!(field)),
            "{problem}"
        );
    }
    let token = service.token(&[Scope::NotifyRead]);
    let body = json!({"visitor_ids": ["v"], "erased_at": now});
    let refused = service
        .call(Method::POST, "/erasures", &token, Some(body), &[])
        .await;
    assert_eq!(
        (refused.0, &refused.1["code"]),
        (403, &json!("SCOPE_MISSING"))
    );
}
