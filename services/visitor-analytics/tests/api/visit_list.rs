//! Lists of visits.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, noon, problem, start, visit};

async fn filled(pool: PgPool) -> TestSystem {
    let system = start(pool).await;
    for n in 0..10 {
        let site = if n % 2 == 0 {
            "even.example"
        } else {
            "odd.example"
        };
        let agent = if n == 4 {
            "curl/8.5.0"
        } else {
            crate::support::FIREFOX
        };
        let moment = noon() - TimeDelta::hours(n);
        let sent = json!({"site": site, "timestamp": moment, "user_agent": agent,
                          "url": format!("https://a.example/{n}")});
        system.record(&visit(&sent)).await;
    }
    system
}

fn paths(page: &Value) -> String {
    let visits = page["data"].as_array().unwrap().iter();
    let paths: Vec<_> = visits.map(|v| v["path"].as_str().unwrap()).collect();
    paths.join("")
}

#[sqlx::test(migrations = false)]
async fn lists_are_filtered_and_the_newest_comes_first(pool: PgPool) {
    let system = filled(pool).await;
    let cases = [
        ("", "/0/1/2/3/5/6/7/8/9"),
        ("?include_bots=true", "/0/1/2/3/4/5/6/7/8/9"),
        ("?include_bots=only", "/4"),
        ("?site=EVEN.example.", "/0/2/6/8"),
        ("?site=nobody.example", ""),
        ("?from=2026-11-20T09:00:00Z&to=2026-11-20T11:00:00Z", "/2/3"),
    ];
    for (query, expected) in cases {
        let page = system.read(&format!("/visits{query}")).await;
        assert_eq!(paths(&page), expected, "{query}");
        assert_eq!(page["next_cursor"], Value::Null, "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn pages_follow_each_other_without_gap_or_overlap(pool: PgPool) {
    let system = filled(pool).await;
    let mut found = String::new();
    let mut query = String::new();
    loop {
        let page = system.read(&format!("/visits?limit=4{query}")).await;
        found.push_str(&paths(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("&cursor={cursor}");
    }
    assert_eq!(found, "/0/1/2/3/5/6/7/8/9");
}

#[sqlx::test(migrations = false)]
async fn wrong_parameters_are_named(pool: PgPool) {
    let system = start(pool).await;
    let cases = [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("from=yesterday", "from"),
        ("from=2026-11-20T09:00:00Z&to=2026-11-19T09:00:00Z", "from"),
        ("include_bots=maybe", "include_bots"),
        ("cursor=x", "cursor"),
        ("colour=blue", "colour"),
        ("site=%00", "site"),
        ("site=a%20b", "site"),
        ("from=-4713-01-01T00:00:00Z", "from"),
        ("to=-262143-01-01T00:00:00Z", "to"),
        ("cursor=jFWMV0zXgAAAAAAAAAAAAAAAAAAAAAAA", "cursor"),
    ];
    for (query, field) in cases {
        let found = problem(system.get(&format!("/visits?{query}"))).await;
        assert_eq!(
            found,
            (400, "QUERY_INVALID".into(), field.into()),
            "{query}"
        );
    }
    let found = problem(system.get("/visits/1")).await;
    assert_eq!(found, (400, "PATH_INVALID".into(), "path".into()));
    let path = "/visits/01a1f600-0000-7000-8000-000000000009";
    assert_eq!(problem(system.get(path)).await.1, "NOT_FOUND");
}
