//! The visits of a client: new visitors, and regular visitors whose visits arrive late and
//! unordered.

use bench::SeededRandom;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use serde_json::{Value, json};
use sqlx::types::Uuid;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
const CURL: &str = "curl/8.5.0";
const SITES: [&str; 2] = ["shop.example", "blog.example"];
/// Age of the visits of regular visitors, in days. The last one is in another month.
const AGES_IN_DAYS: [i64; 4] = [0, 1, 2, 45];
/// Number of regular visitors, shared by all clients, and the steps after which they are replaced.
/// Each has about thirty visits in half a day, so the gaps are around half an hour.
const REGULAR_VISITORS: u64 = 10;
const STEPS_PER_GENERATION: u64 = 24;
/// Maximum number of visits in one list.
const MAX_VISITS_PER_LIST: u64 = 40;

/// A request.
pub struct VisitRequest {
    pub ids: Vec<Uuid>,
    pub body: Value,
    /// Whether it is sent twice concurrently, to different replicas if there are two.
    pub is_sent_twice: bool,
    /// Whether it is a new session of a person, which must be announced.
    pub is_arrival: bool,
}

/// The visits of one client.
pub struct VisitGenerator {
    client: u64,
    step: u64,
    random: SeededRandom,
    started_at: DateTime<Utc>,
}

impl VisitGenerator {
    pub fn new(client: u64) -> Self {
        let now = Clock::system().now();
        Self {
            client,
            step: 0,
            random: SeededRandom(0x7e7a + client),
            // Whole minutes, so that some gaps are exactly 30 minutes.
            started_at: DateTime::from_timestamp(now.timestamp() / 60 * 60, 0).unwrap(),
        }
    }

    pub fn next_request(&mut self) -> VisitRequest {
        let kind = self.step % 4;
        let visits = match kind {
            0 => vec![self.new_visitor()],
            1 => vec![self.regular_visitor()],
            _ => (0..=self.random.below(MAX_VISITS_PER_LIST))
                .map(|_| self.regular_visitor())
                .collect(),
        };
        self.step += 1;
        let (ids, mut visits): (Vec<_>, Vec<_>) = visits.into_iter().unzip();
        VisitRequest {
            ids,
            body: if kind < 2 {
                visits.remove(0)
            } else {
                visits.into()
            },
            is_sent_twice: kind == 3,
            is_arrival: kind == 0,
        }
    }

    fn new_visitor(&self) -> (Uuid, Value) {
        let (client, step, now) = (self.client, self.step, Clock::system().now());
        let id = Clock::new_id_at(now);
        let visit = json!({
            "id": id, "timestamp": now, "url": format!("https://shop.example/{client}/{step}"),
            "ip": format!("81.{client}.{}.{}", step / 250, step % 250), "user_agent": FIREFOX
        });
        (id, visit)
    }

    fn regular_visitor(&mut self) -> (Uuid, Value) {
        let who = self.step / STEPS_PER_GENERATION * REGULAR_VISITORS
            + self.random.below(REGULAR_VISITORS);
        let site = SITES[usize::from(self.random.below(2) == 0)];
        let days = AGES_IN_DAYS[usize::try_from(self.random.below(4)).unwrap()];
        // Too old to be announced.
        let minutes = 20 + self.random.below(720).cast_signed();
        let moment = self.started_at - TimeDelta::days(days) - TimeDelta::minutes(minutes);
        let id = Clock::new_id_at(moment);
        let visit = json!({
            "id": id, "timestamp": moment, "visitor_id": format!("regular-{who}"),
            "url": format!("https://{site}/{}", self.random.below(50)),
            "ip": format!("81.2.69.{}", who % 250),
            "user_agent": if who.is_multiple_of(5) { CURL } else { FIREFOX }
        });
        (id, visit)
    }
}
