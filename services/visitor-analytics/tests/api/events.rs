//! Recording and listing of events, exactly once.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{FIREFOX, TestSystem, answer, noon, problem, start, start_with, visit};

const PATH: &str = "/analytics/events";

fn event(changes: &Value) -> Value {
    let mut event = json!({"event_type": "signup", "site": "shop.example", "visitor_id": "v"});
    let fields = event.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    event
}

async fn post(system: &TestSystem, body: &Value) -> (u16, Value) {
    answer(system.post_to(PATH).json(body).send().await.unwrap()).await
}

fn types(page: &Value) -> Vec<&str> {
    let events = page["data"].as_array().unwrap().iter();
    events
        .map(|event| event["event_type"].as_str().unwrap())
        .collect()
}

#[sqlx::test(migrations = false)]
async fn an_event_is_recorded_exactly_once(pool: PgPool) {
    let system = start(pool).await;
    let id = "019a0000-0000-7000-8000-000000000001";
    let sent = event(&json!({"id": id, "user_id": "42", "metadata": {"plan": "pro"}}));
    let (status, first) = post(&system, &sent).await;
    assert_eq!((status, &first["status"]), (201, &json!("recorded")));
    let (status, second) = post(&system, &sent).await;
    assert_eq!((status, &second["status"]), (201, &json!("duplicate")));
    let list = json!([sent, event(&json!({})), {"event_type": "x"}, event(&json!({"id": id}))]);
    let (status, body) = post(&system, &list).await;
    assert_eq!(status, 200);
    let results = body["results"].as_array().unwrap();
    let statuses: Vec<&str> = results
        .iter()
        .map(|r| r["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["duplicate", "recorded", "rejected", "duplicate"]);
    assert_eq!(results[2]["error"]["code"], "BODY_INVALID");
    assert_eq!(system.count("event").await, 2);

    let found = system.read(&format!("{PATH}?user_id=42")).await;
    let found = &found["data"][0];
    assert_eq!(
        (&found["id"], &found["metadata"]["plan"]),
        (&json!(id), &json!("pro"))
    );
    assert_eq!(found["site"], "shop.example");
}

/// Concurrent submissions of the same events record each event once.
#[sqlx::test(migrations = false)]
async fn senders_of_the_same_events_do_not_disturb_each_other(pool: PgPool) {
    let system = start(pool).await;
    let events: Vec<Value> = (0..50)
        .map(|number| {
            let id = Uuid::from_u128(number);
            event(&json!({"id": id, "timestamp": noon()}))
        })
        .collect();
    let mut reversed = events.clone();
    reversed.reverse();
    let sendings = (0..6).map(async |turn| {
        let list = if turn % 2 == 0 { &events } else { &reversed };
        let (status, body) = post(&system, &json!(list)).await;
        assert_eq!(status, 200, "{body}");
        let results = body["results"].as_array().unwrap().clone();
        results
            .iter()
            .filter(|result| result["status"] == "recorded")
            .count()
    });
    let recorded: usize = futures::future::join_all(sendings).await.iter().sum();
    assert_eq!(recorded, 50);
    assert_eq!(system.count("event").await, 50);
}

#[sqlx::test(migrations = false)]
async fn an_event_has_the_visitor_of_a_visit(pool: PgPool) {
    let system = start(pool).await;
    let recorded = system.record(&visit(&json!({}))).await;
    let sent = json!({"event_type": "signup", "site": "shop.example", "ip": "81.2.69.142",
                      "user_agent": FIREFOX});
    let (_, answer) = post(&system, &sent).await;
    assert_eq!(answer["visitor_id"], recorded["visitor_id"]);
    // Erasing the visitor removes the event.
    let path = format!("/visitors/{}", answer["visitor_id"].as_str().unwrap());
    let erased = crate::support::answer(system.delete(&path).send().await.unwrap())
        .await
        .1;
    assert_eq!(erased["events"], 1);
    assert_eq!(system.count("event").await, 0);
    // A visitor who has only events can be erased, too.
    post(&system, &event(&json!({"visitor_id": "quiet"}))).await;
    let (status, erased) =
        crate::support::answer(system.delete("/visitors/quiet").send().await.unwrap()).await;
    assert_eq!((status, &erased["events"]), (200, &json!(1)));
}

#[sqlx::test(migrations = false)]
async fn events_are_found(pool: PgPool) {
    let system = start(pool).await;
    let at = |days| noon() - TimeDelta::days(days);
    let list = json!([
        event(&json!({"event_type": "a", "timestamp": at(3), "metadata": {"n": 1, "s": "x"}})),
        event(&json!({"event_type": "b", "timestamp": at(2), "metadata": {"n": "1"}})),
        event(&json!({"event_type": "b", "timestamp": at(1), "visitor_id": "w"})),
        event(&json!({"event_type": "c", "timestamp": at(0), "user_id": "7", "site": "b.example"})),
    ]);
    post(&system, &list).await;
    let find = async |query: &str| {
        let page = system.read(&format!("{PATH}{query}")).await;
        types(&page).join(" ")
    };
    assert_eq!(find("").await, "c b b a");
    assert_eq!(find("?site=shop.example").await, "b b a");
    assert_eq!(find("?event_type=a&event_type=c").await, "c a");
    assert_eq!(find("?visitor_id=w").await, "b");
    assert_eq!(find("?metadata.n=1").await, "b a");
    assert_eq!(find("?metadata.n=1&metadata.s=x").await, "a");
    assert_eq!(find("?metadata.s=1").await, "");
    let from = at(1).to_rfc3339().replace('+', "%2B");
    assert_eq!(find(&format!("?from={from}")).await, "c b");
    assert_eq!(find(&format!("?to={from}")).await, "b a");
    assert_eq!(
        find("/date-range?start_date=2026-11-18&end_date=2026-11-19").await,
        "b b"
    );
    let of_user = system.read("/analytics/users/7/events").await;
    assert_eq!(types(&of_user), ["c"]);

    let body = system.read(&format!("{PATH}/by-type")).await;
    let first = &body["data"][0];
    assert_eq!(
        (&first["event_type"], &first["events"]),
        (&json!("b"), &json!(2))
    );
    assert_eq!(
        (&first["visitors"], &first["users"]),
        (&json!(2), &json!(0))
    );

    let mut met = vec![];
    let mut path = format!("{PATH}?limit=1");
    loop {
        let page = system.read(&path).await;
        met.extend(types(&page).iter().map(|&name| name.to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("{PATH}?limit=1&cursor={cursor}");
    }
    assert_eq!(met, ["c", "b", "b", "a"]);
}

#[sqlx::test(migrations = false)]
async fn bad_events_and_questions_are_named(pool: PgPool) {
    let system = start(pool).await;
    for (changes, field) in [
        (json!({"event_type": ""}), "event_type"),
        (json!({"site": "?"}), "site"),
        (json!({"visitor_id": null}), "visitor_id"),
        (
            json!({"visitor_id": null, "ip": "x", "user_agent": ""}),
            "ip",
        ),
        (json!({"timestamp": "2026-11-21T12:00:00Z"}), "timestamp"),
        (json!({"metadata": {"a": "\u{0}"}}), "metadata"),
        (json!({"metadata": []}), "metadata"),
        (json!({"event_type": null}), "event_type"),
    ] {
        let (status, _, named) = problem(system.post_to(PATH).json(&event(&changes))).await;
        assert_eq!((status, named.as_str()), (422, field), "{changes}");
    }
    for (query, field) in [
        ("?colour=red", "colour"),
        ("?metadata.=1", "metadata."),
        ("?limit=0", "limit"),
        ("?limit=x", "limit"),
        ("?cursor=x", "cursor"),
        ("?from=2026-11-20", "from"),
        ("?from=2026-11-20T00:00:00Z&to=2026-11-19T00:00:00Z", "from"),
        ("?site=a.example&site=b.example", "site"),
        ("?event_type=", "event_type"),
        ("?metadata.a=%00", "metadata.a"),
        ("/by-type?limit=1", "limit"),
        ("/date-range?start_date=2026-11-20", "end_date"),
        (
            "/date-range?start_date=2026-11-20&end_date=2026-11-19",
            "start_date",
        ),
        ("/date-range?start_date=x&end_date=2026-11-19", "start_date"),
    ] {
        let (status, _, named) = problem(system.get(&format!("{PATH}{query}"))).await;
        assert_eq!((status, named.as_str()), (400, field), "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn old_events_go(pool: PgPool) {
    let system = start_with(pool, &["--retention-days=30"]).await;
    let old = event(&json!({"timestamp": noon() - TimeDelta::days(29)}));
    assert_eq!(post(&system, &old).await.0, 201);
    let too_old = event(&json!({"timestamp": noon() - TimeDelta::days(31)}));
    let (status, _, field) = problem(system.post_to(PATH).json(&too_old)).await;
    assert_eq!((status, field.as_str()), (422, "timestamp"));
    // A visit of the same month, so that the month is removed.
    let timestamp = noon() - TimeDelta::days(29);
    system
        .record(&visit(&json!({"timestamp": timestamp})))
        .await;
    let store = visitor_analytics::store::Store::new(system.pool.clone());
    let border = "2026-11-01".parse().unwrap();
    store
        .retention
        .expire(border, noon() + TimeDelta::days(60))
        .await
        .unwrap();
    assert_eq!(system.count("event").await, 0);
}

#[sqlx::test(migrations = false)]
async fn engagement_only_grows(pool: PgPool) {
    let system = start(pool).await;
    let other = Uuid::from_u128(5);
    let visits = [
        system.record(&visit(&json!({}))).await["id"]
            .as_str()
            .unwrap()
            .to_owned(),
        system
            .record(&visit(
                &json!({"id": other, "timestamp": noon() - TimeDelta::days(90)}),
            ))
            .await["id"]
            .as_str()
            .unwrap()
            .to_owned(),
    ];
    for id in visits {
        let path = format!("/visits/{id}/engagement");
        for (sent, known) in [
            ((5, 40), (5, 40)),
            ((34, 20), (34, 40)),
            ((5, 40), (34, 40)),
        ] {
            let report = json!({"engagement_seconds": sent.0, "scroll_depth": sent.1});
            let (status, body) =
                answer(system.post_to(&path).json(&report).send().await.unwrap()).await;
            assert_eq!(status, 200, "{body}");
            let told = (&body["engagement_seconds"], &body["scroll_depth"]);
            assert_eq!(told, (&json!(known.0), &json!(known.1)));
        }
        let visit = system.read(&format!("/visits/{id}")).await;
        assert_eq!(visit["engagement_seconds"], 34);
        for (report, field) in [
            (
                json!({"engagement_seconds": 1, "scroll_depth": 101}),
                "scroll_depth",
            ),
            (
                json!({"engagement_seconds": -1, "scroll_depth": 1}),
                "engagement_seconds",
            ),
            (json!({"scroll_depth": 1}), "engagement_seconds"),
        ] {
            let (status, _, named) = problem(system.post_to(&path).json(&report)).await;
            assert_eq!(status, 422, "{report}");
            assert!(named == field || named.is_empty(), "{report} {named}");
        }
    }
    let path = format!("/visits/{}/engagement", Uuid::from_u128(9));
    let report = json!({"engagement_seconds": 1, "scroll_depth": 1});
    assert_eq!(problem(system.post_to(&path).json(&report)).await.0, 404);
}

#[sqlx::test(migrations = false)]
async fn what_bots_cause_is_told_where_it_is_asked_for(pool: PgPool) {
    let system = start(pool).await;
    let began = noon() - TimeDelta::hours(1);
    for (visitor, agent) in [("person", FIREFOX), ("bot", "curl/8.5.0")] {
        let sent = json!({"visitor_id": visitor, "user_agent": agent, "timestamp": began});
        system.record(&visit(&sent)).await;
    }
    // The last event comes after the end of the bot's session, the one before it has no session.
    for (visitor, kind, minutes) in [
        ("person", "a", 1),
        ("bot", "b", 29),
        ("nobody", "c", 1),
        ("bot", "d", 30),
    ] {
        let timestamp = began + TimeDelta::minutes(minutes);
        let sent = json!({"visitor_id": visitor, "event_type": kind, "timestamp": timestamp});
        assert_eq!(post(&system, &event(&sent)).await.0, 201);
    }
    for (wanted, told) in [("false", "acd"), ("true", "abcd"), ("only", "b")] {
        let list = system.read(&format!("{PATH}?include_bots={wanted}")).await;
        let counted = system
            .read(&format!("{PATH}/by-type?include_bots={wanted}"))
            .await;
        for body in [list, counted] {
            let mut kinds = types(&body);
            kinds.sort_unstable();
            assert_eq!(kinds.concat(), told, "{wanted}");
        }
    }
}
