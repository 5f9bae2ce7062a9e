//! Sessionization, for any order of visits and any replica.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{noon, start, start_replica, visit};

fn at(minute: i64, url: &str) -> Value {
    let moment = noon() - TimeDelta::hours(6) + TimeDelta::minutes(minute);
    visit(&json!({"timestamp": moment, "url": format!("https://shop.example{url}")}))
}

#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Stored {
    minutes: i64,
    visits: i32,
    entry: String,
    exit: String,
}

async fn stored(pool: &PgPool) -> Vec<Stored> {
    let statement = "
        select (extract(epoch from s.last_seen_at - s.started_at) / 60)::bigint as minutes,
               s.visits, p.path as entry, q.path as exit
        from visitor_analytics.session s
        join visitor_analytics.visit a on (a.id, a.timestamp) = (s.entry_visit_id, s.started_at)
        join visitor_analytics.visit b on (b.id, b.timestamp) = (s.exit_visit_id, s.last_seen_at)
        join visitor_analytics.page p on p.id = a.page_id
        join visitor_analytics.page q on q.id = b.page_id
        order by s.started_at";
    sqlx::query_as(statement).fetch_all(pool).await.unwrap()
}

fn session(minutes: i64, visits: i32, entry: &str, exit: &str) -> Stored {
    let (entry, exit) = (entry.into(), exit.into());
    Stored {
        minutes,
        visits,
        entry,
        exit,
    }
}

#[sqlx::test(migrations = false)]
async fn late_visits_extend_and_bridge(pool: PgPool) {
    let system = start(pool).await;
    let early = system.record(&at(0, "/a")).await;
    let late = system.record(&at(50, "/c")).await;
    assert_ne!(early["session_id"], late["session_id"]);
    assert_eq!(
        stored(&system.pool).await,
        [session(0, 1, "/a", "/a"), session(0, 1, "/c", "/c")]
    );

    let bridge = system.record(&at(25, "/b")).await;
    assert_eq!(bridge["session_id"], early["session_id"]);
    assert_eq!(bridge["is_new_session"], false);
    assert_eq!(stored(&system.pool).await, [session(50, 3, "/a", "/c")]);
    let moved = system
        .read(&format!("/visits/{}", late["id"].as_str().unwrap()))
        .await;
    assert_eq!(moved["session_id"], early["session_id"]);

    system.record(&at(-20, "/z")).await;
    assert_eq!(stored(&system.pool).await, [session(70, 4, "/z", "/c")]);
}

#[sqlx::test(migrations = false)]
async fn sessions_of_other_sites_and_visitors_are_their_own(pool: PgPool) {
    let system = start(pool).await;
    let mut other_site = at(1, "/a");
    other_site["site"] = json!("other.example");
    let mut other_visitor = at(1, "/a");
    other_visitor["visitor_id"] = json!("v-1");
    let mut same_visitor = at(2, "/b");
    same_visitor["visitor_id"] = json!("v-1");
    for sent in [at(0, "/a"), other_site, other_visitor, same_visitor] {
        system.record(&sent).await;
    }
    let visits: Vec<_> = stored(&system.pool)
        .await
        .iter()
        .map(|s| s.visits)
        .collect();
    assert_eq!(visits.len(), 3);
    assert_eq!(visits.iter().sum::<i32>(), 4);
}

#[sqlx::test(migrations = false)]
async fn a_month_turns_within_a_session(pool: PgPool) {
    let system = start(pool).await;
    let moments = [
        "2026-10-31T23:55:00Z",
        "2026-11-01T00:05:00Z",
        "2026-10-31T23:40:00Z",
    ];
    for moment in moments {
        // The site's own visitor id, because a daily id changes at midnight.
        system
            .record(&visit(&json!({"timestamp": moment, "visitor_id": "v-1"})))
            .await;
    }
    assert_eq!(
        stored(&system.pool).await,
        [session(25, 3, "/pricing", "/pricing")]
    );
}

#[sqlx::test(migrations = false)]
async fn two_replicas_at_once_give_one_session(pool: PgPool) {
    let one = start(pool.clone()).await;
    let other = start_replica(pool, one.geo.clone(), one.notification.clone()).await;
    let order = |n: i64| (n * 37) % 60;
    let sent: Vec<_> = (0..60)
        .map(|n| at(order(n), &format!("/{:02}", order(n))))
        .collect();
    let replica = |n: usize| if n.is_multiple_of(2) { &one } else { &other };
    join_all(sent.iter().enumerate().map(|(n, v)| replica(n).record(v))).await;
    assert_eq!(stored(&one.pool).await, [session(59, 60, "/00", "/59")]);
}
