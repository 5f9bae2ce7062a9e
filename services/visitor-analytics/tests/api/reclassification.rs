//! Reclassification of stored visits, and the report on bots.

use bot_detection::RULESET_VERSION;
use chrono::TimeDelta;
use common::clock::Clock;
use serde_json::{Value, json};
use sqlx::PgPool;
use visitor_analytics::app::reclassify::{self, ReclassifyReport};
use visitor_analytics::config::ReclassifyArgs;
use visitor_analytics::store::Store;

use crate::support::{TestSystem, noon, problem, start, visit};

const HOW: ReclassifyArgs = ReclassifyArgs {
    dry_run: false,
    again: false,
    batch: 2,
};

async fn reclassify_all(system: &TestSystem, how: ReclassifyArgs) -> ReclassifyReport {
    let store = Store::new(system.pool.clone());
    let clock = Clock::manual(noon());
    reclassify::reclassify_visits(&store, &clock, how)
        .await
        .unwrap()
}

/// Stores verdicts as of older rules: a crawler classified as a person, and a person as a bot.
async fn store_old_verdicts(system: &TestSystem) {
    let statements = "
        update visitor_analytics.verdict set key = gen_random_uuid(), ruleset = 1,
               is_bot = not is_bot, score = 100 - score,
               reasons = case when is_bot then '{}' else array['forgotten_rule'] end,
               bot_name = null, category = null;
        update visitor_analytics.visit v set is_bot = j.is_bot
               from visitor_analytics.verdict j where j.id = v.verdict_id;
        update visitor_analytics.session s set is_bot = exists (
               select from visitor_analytics.visit v where v.session_id = s.id and v.is_bot);
        delete from visitor_analytics.unfolded_day";
    sqlx::raw_sql(statements)
        .execute(&system.pool)
        .await
        .unwrap();
}

async fn recorded(pool: PgPool) -> TestSystem {
    let system = start(pool).await;
    let google = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    for n in 0..3 {
        let url = format!("https://shop.example/{n}");
        let bot = json!({"url": url, "user_agent": google, "ip": "81.2.69.7"});
        system.record(&visit(&bot)).await;
        system.record(&visit(&json!({"url": url}))).await;
    }
    system
}

async fn bots(system: &TestSystem) -> (i64, i64) {
    let visits = system.count("visit where is_bot").await;
    (visits, system.count("session where is_bot").await)
}

#[sqlx::test(migrations = false)]
async fn verdicts_sessions_and_days_follow_the_rules(pool: PgPool) {
    let system = recorded(pool).await;
    let before = system.read("/visits?include_bots=true").await;
    store_old_verdicts(&system).await;
    assert_eq!(bots(&system).await, (3, 1));
    let dry = ReclassifyArgs {
        dry_run: true,
        ..HOW
    };
    let looked = reclassify_all(&system, dry).await;
    assert_eq!((looked.classified, looked.changed), (6, 6));
    assert_eq!((looked.became_bots, looked.became_people), (3, 3));
    assert_eq!(system.count("reclassification").await, 0);
    let done = reclassify_all(&system, HOW).await;
    assert_eq!(
        done,
        ReclassifyReport {
            dry_run: false,
            ..looked
        }
    );
    assert_eq!(done.rule_changes["forgotten_rule"], (0, 3));
    assert_eq!(done.rule_changes["known_crawler"], (3, 0));
    assert_eq!(bots(&system).await, (3, 1));
    assert_eq!(system.read("/visits?include_bots=true").await, before);
    assert_eq!(system.count("unfolded_day").await, 1);
    let text = done.to_string();
    assert!(text.contains("6 visits classified, 6 changed"), "{text}");
    // A second run has nothing to do, unless `again` is set.
    assert!(reclassify_all(&system, HOW).await.was_complete);
    let anew = reclassify_all(&system, ReclassifyArgs { again: true, ..HOW }).await;
    assert_eq!((anew.classified, anew.changed), (6, 0));
}

#[sqlx::test(migrations = false)]
async fn a_run_that_was_stopped_goes_on(pool: PgPool) {
    let system = recorded(pool).await;
    store_old_verdicts(&system).await;
    let store = Store::new(system.pool.clone());
    let third = store
        .verdicts
        .visits_to_reclassify(None, 3)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let stopped = "insert into visitor_analytics.reclassification
                   (ruleset, through_timestamp, through_id, visits, changed)
                   values ($1, $2, $3, 3, 3)";
    let stopped = sqlx::query(stopped)
        .bind(RULESET_VERSION.cast_signed())
        .bind(third.timestamp)
        .bind(third.id);
    stopped.execute(&system.pool).await.unwrap();
    let rest = reclassify_all(&system, HOW).await;
    assert_eq!(
        (rest.previously_classified, rest.classified, rest.changed),
        (3, 3, 3)
    );
    let progress = store.verdicts.reclassify_progress().await.unwrap().unwrap();
    assert_eq!(
        (progress.visits, progress.changed, progress.is_finished),
        (6, 6, true)
    );
}

#[sqlx::test(migrations = false)]
async fn what_was_filtered_can_be_counted(pool: PgPool) {
    let system = recorded(pool).await;
    let curl = json!({"user_agent": "curl/8.5.0", "timestamp": noon() - TimeDelta::days(1)});
    system.record(&visit(&curl)).await;
    let value = |value: &str, visits: i64| json!({"value": value, "visits": visits});
    let found = system
        .read("/analytics/bots?site=shop.example&from=2026-11-18")
        .await;
    assert_eq!(
        (&found["visits"], &found["bot_visits"]),
        (&json!(7), &json!(4))
    );
    assert_eq!(
        found["by_name"],
        json!([value("Googlebot", 3), value("curl", 1)])
    );
    let categories = [value("search_engine", 3), value("http_library", 1)];
    assert_eq!(found["by_category"], Value::from(categories.to_vec()));
    let reasons = found["by_reason"].as_array().unwrap();
    assert!(reasons.contains(&value("known_crawler", 3)));
    assert_eq!(
        found["over_time"],
        json!([
            {"time": "2026-11-18T00:00:00Z", "visits": 0},
            {"time": "2026-11-19T00:00:00Z", "visits": 1},
            {"time": "2026-11-20T00:00:00Z", "visits": 3}
        ])
    );
    let phones = "/analytics/bots?bot_category=http_library&interval=month";
    assert_eq!(system.read(phones).await["bot_visits"], 1);
    for (query, field) in [
        ("limit=0", "limit"),
        ("time_zone=Nowhere", "time_zone"),
        ("from=2026-11-20T00:00:00Z&to=2026-11-19T00:00:00Z", "from"),
        ("from=2025-01-01T00:00:00Z&interval=hour", "interval"),
        ("interval=year", "interval"),
    ] {
        let path = format!("/analytics/bots?{query}");
        let (status, code, named) = problem(system.get(&path)).await;
        assert_eq!(
            (status, code.as_str(), named.as_str()),
            (400, "QUERY_INVALID", field)
        );
    }
}
