//! Random visits to sites in several time zones.

use chrono::{DateTime, TimeDelta, Utc};
use common::jwt::Scope;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{FIREFOX, TestSystem, answer, start, token, until, visit};

pub const SITES: [(&str, &str); 3] = [
    ("utc.example", "UTC"),
    ("berlin.example", "Europe/Berlin"),
    ("kolkata.example", "Asia/Kolkata"),
];
const AGENTS: [&str; 4] = [
    FIREFOX,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.5.0",
];
/// A change of clocks, a change of months, and an ordinary day.
const PERIODS: [&str; 3] = [
    "2026-10-24T20:00:00Z",
    "2026-10-31T20:00:00Z",
    "2026-11-19T20:00:00Z",
];

/// A pseudorandom generator (xorshift), so that failures can be reproduced.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % limit.cast_unsigned()).unwrap()
    }

    pub fn of<T: Copy, const N: usize>(&mut self, choice: [T; N]) -> T {
        choice[usize::try_from(self.below(N.try_into().unwrap())).unwrap()]
    }

    fn visit(&mut self) -> Value {
        let start: DateTime<Utc> = self.of(PERIODS).parse().unwrap();
        let seconds = self.below(14 * 3_600) * 1_000 + self.below(1_000);
        let referrers = ["https://www.google.com/", "https://news.example/story", ""];
        let query = self.of([
            "",
            "",
            "?utm_source=news&utm_medium=email",
            "?utm_campaign=x",
        ]);
        visit(&json!({
            "timestamp": start + TimeDelta::milliseconds(seconds),
            "site": self.of(SITES).0,
            "url": format!("https://shop.example/{}{query}", self.below(6)),
            "title": self.of([None, Some("Prices"), Some("Home")]),
            "referrer": self.of(referrers),
            "ip": self.of(["81.2.69.142", "203.0.113.9"]),
            "user_agent": self.of(AGENTS),
            "status_code": self.of([None, Some(200), Some(404)]),
            "visitor_id": format!("v-{}", self.below(12)),
            "properties": self.of([None, Some(r#"{"plan": "pro"}"#), Some(r#"{"plan": "free", "seats": 3}"#),
                Some(r#"{"plan": ["pro"], "seats": 40, "more": "x"}"#)])
                .map(|text| serde_json::from_str::<Value>(text).unwrap()),
        }))
    }

    pub fn visits(&mut self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.visit()).collect()
    }
}

pub async fn with_zones(pool: PgPool) -> TestSystem {
    let system = start(pool).await;
    for (domain, zone) in SITES {
        set_zone(&system, domain, zone).await;
    }
    system
}

pub async fn set_zone(system: &TestSystem, domain: &str, zone: &str) {
    let insert = "insert into visitor_analytics.site (domain, created_at, time_zone, properties)
                  values ($1, now(), $2, '{plan,seats}')";
    let insert = sqlx::query(insert).bind(domain).bind(zone);
    insert.execute(&system.pool).await.unwrap();
}

pub async fn send(replicas: &[&TestSystem], visits: &[Value]) {
    let lists = visits.chunks(25).enumerate().map(async |(n, list)| {
        let replica = replicas[n % replicas.len()];
        let sent = replica.post(&json!(list)).send().await.unwrap();
        let (status, body) = answer(sent).await;
        assert_eq!(status, 200, "{body}");
        for result in body["results"].as_array().unwrap() {
            assert_eq!(result["status"], "recorded", "{result}");
        }
    });
    join_all(lists).await;
}

/// Advances the clocks until no dirty day is left.
pub async fn fold_all(replicas: &mut [&mut TestSystem], by: TimeDelta) {
    for replica in replicas.iter_mut() {
        replica.clock.advance(by);
        replica.token = token(
            &replica.clock,
            &[Scope::VisitsWrite, Scope::VisitsRead],
            86_400,
        );
    }
    // On a busy machine a fold may fail, or a late location may change the day. Then the day is due
    // in ten minutes by this clock.
    let mut looks = 0;
    until("every day folded", async || {
        looks += 1;
        if looks % 100 == 0 {
            for replica in replicas.iter() {
                replica.clock.advance(TimeDelta::minutes(11));
            }
        }
        (replicas[0].count("unfolded_day").await == 0).then_some(())
    })
    .await;
}
