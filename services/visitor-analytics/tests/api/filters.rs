//! Compares filtered lists with lists that the test filters itself.

use common::jwt::Scope;
use serde_json::Value;
use sqlx::PgPool;

use crate::support::{TestSystem, problem, token};
use crate::workload::{Random, send, with_zones};

type Passes = fn(&Value) -> bool;

const FILTERS: [(&str, Passes); 21] = [
    ("page=/1&page=/2", |v| has_any(v, "path", &["/1", "/2"])),
    ("path=!/1", |v| v["path"] != "/1"),
    ("page=*3", |v| v["path"].as_str().unwrap().ends_with('3')),
    ("page=/_", |_| false),
    ("title=", |v| v["title"].is_null()),
    ("title=!", |v| !v["title"].is_null()),
    ("title=!Home", |v| v["title"] != "Home"),
    ("referrer=https://news*", |v| {
        has_prefix(v, "referrer", "https://news")
    }),
    ("utm_source=news&medium=email", |v| {
        v["utm_source"] == "news" && v["medium"] == "email"
    }),
    ("country=GB&include_bots=true", |v| {
        v["country_code"] == "GB"
    }),
    ("country=", |v| v["country_code"].is_null()),
    ("region=GB-ENG", |v| {
        v["country_code"] == "GB" && v["region_code"] == "ENG"
    }),
    ("city=!GB-ENG/London", |v| v["city"] != "London"),
    ("device_type=bot&include_bots=only", |v| {
        v["device_type"] == "bot"
    }),
    ("device_type=!smartphone&include_bots=true", |v| {
        v["device_type"] != "smartphone"
    }),
    ("browser=Firefox&os=Windows", |v| {
        v["browser"] == "Firefox" && v["os"] == "Windows"
    }),
    ("os_version=iOS 17.1", |v| {
        v["os"] == "iOS" && v["os_version"] == "17.1"
    }),
    ("brand=Apple", |v| v["brand"] == "Apple"),
    ("language=en-*", |v| has_prefix(v, "language", "en-")),
    ("bot_name=Googlebot&include_bots=only", |v| {
        v["bot_name"] == "Googlebot"
    }),
    ("as_organization=!Nobody", |_| true),
];

/// Filters of visits; sessions have no such fields.
const OF_VISITS: [(&str, Passes); 6] = [
    ("status_code=404", |v| v["status_code"] == 404),
    ("status_code=!404&status_code=!200", |v| {
        v["status_code"].is_null()
    }),
    ("hour=23&include_bots=true", |v| {
        v["timestamp"].as_str().unwrap()[11..13] == *"23"
    }),
    ("hour=01&time_zone=Asia/Kolkata", |v| {
        // 19:30 to 20:30 UTC of the previous day.
        let time = &v["timestamp"].as_str().unwrap()[11..16];
        ("19:30".."20:30").contains(&time)
    }),
    ("weekday=7&weekday=6", |v| {
        let day = &v["timestamp"].as_str().unwrap()[..10];
        ["2026-10-24", "2026-10-25", "2026-10-31", "2026-11-01"].contains(&day)
    }),
    ("bot_reason=*&include_bots=true", |v| {
        !v["bot_reasons"].as_array().unwrap().is_empty()
    }),
];

const OF_SESSIONS: [(&str, Passes); 2] = [
    ("entry_page=/1", |s| s["entry_path"] == "/1"),
    ("exit_page=!/1&include_bots=true", |s| {
        s["exit_path"] != "/1"
    }),
];

fn has_any(visit: &Value, field: &str, any: &[&str]) -> bool {
    any.iter().any(|one| visit[field] == *one)
}

fn has_prefix(visit: &Value, field: &str, with: &str) -> bool {
    visit[field]
        .as_str()
        .is_some_and(|text| text.starts_with(with))
}

/// All pages of a list.
async fn all_pages(system: &TestSystem, path: &str, limit: usize) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let (mut found, mut cursor) = (vec![], String::new());
    loop {
        let page = system
            .read(&format!("{path}{separator}limit={limit}{cursor}"))
            .await;
        found.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn check(system: &TestSystem, list: &str, filters: &[(&str, Passes)]) {
    for (filter, passes) in filters {
        let class = match filter.split("include_bots=").nth(1) {
            Some(class) => format!("?include_bots={class}"),
            None => String::new(),
        };
        let mut right = all_pages(system, &format!("{list}{class}"), 1_000).await;
        if list == "/sessions" {
            // A session is matched by its first visit.
            for session in &mut right {
                session["path"] = session["entry_path"].clone();
            }
        }
        right.retain(passes);
        let found = all_pages(system, &format!("{list}?{filter}"), 37).await;
        let ids = |list: &[Value]| list.iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&right), "{list}?{filter}");
    }
}

#[sqlx::test(migrations = false)]
async fn lists_have_what_passes(pool: PgPool) {
    let system = with_zones(pool).await;
    send(&[&system], &Random(31).visits(300)).await;
    check(&system, "/visits", &FILTERS).await;
    check(&system, "/visits", &OF_VISITS).await;
    let of_title: Vec<(&str, Passes)> = FILTERS
        .into_iter()
        // Sessions do not contain the title and brand of their first visit.
        .filter(|(filter, _)| !filter.starts_with("title") && !filter.starts_with("brand"))
        .collect();
    check(&system, "/sessions", &of_title).await;
    check(&system, "/sessions", &OF_SESSIONS).await;
    // Visits are matched by the entry and exit page of their session.
    let entered = "entry_page=/1&include_bots=true";
    let sessions = all_pages(&system, &format!("/sessions?{entered}"), 1_000).await;
    let visits = all_pages(&system, &format!("/visits?{entered}"), 1_000).await;
    let count: i64 = sessions.iter().map(|s| s["visits"].as_i64().unwrap()).sum();
    assert_eq!(visits.len(), usize::try_from(count).unwrap());
    let one_site = all_pages(&system, "/visits?site=utc.example&page=/1", 1_000).await;
    assert!(one_site.iter().all(|visit| visit["site"] == "utc.example"));
    assert!(!one_site.is_empty());
}

#[sqlx::test(migrations = false)]
async fn hostile_lists_are_named(pool: PgPool) {
    let mut system = with_zones(pool).await;
    let many = format!("page=/{}", "1&page=/".repeat(200));
    let long = format!("page={}", "x".repeat(1_025));
    for (query, field) in [
        ("total=1", "total"),
        (&*many, "page"),
        (&*long, "page"),
        ("page=%00", "page"),
        ("page=/a&page=!/a", "page"),
        ("time_zone=Mars/Olympus", "time_zone"),
        ("time_zone=UTC'--", "time_zone"),
        ("segment=nothing", "segment"),
        ("limit=1&limit=2", "limit"),
    ] {
        for list in ["/visits", "/sessions"] {
            let (status, _, named) = problem(system.get(&format!("{list}?{query}"))).await;
            assert_eq!((status, named.as_str()), (400, field), "{list}?{query}");
        }
    }
    // Special characters are matched literally.
    for value in ["'; drop table x; --", "$1", "%25", "\\", "\\\\*"] {
        let found = system
            .read(&format!("/visits?page={value}&title=!{value}"))
            .await;
        assert_eq!(found["data"].as_array().unwrap().len(), 0, "{value}");
    }
    system.token = token(&system.clock, &[Scope::VisitsWrite], 86_400);
    assert_eq!(problem(system.get("/visits?page=/1")).await.0, 403);
}
