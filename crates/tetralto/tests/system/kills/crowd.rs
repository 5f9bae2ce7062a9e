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
const DAYS: [i64; 4] = [0, 1, 2, 45];
/// Number of regular visitors, shared by all clients, and the steps after which they are replaced.
/// Each has about thirty visits in half a day, so the gaps are around half an hour.
const REGULARS: u64 = 10;
const STEPS: u64 = 24;
/// Maximum number of visits in one list.
const LIST: u64 = 40;

/// A request.
pub struct Parcel {
    pub ids: Vec<Uuid>,
    pub body: Value,
    /// Whether it is sent twice concurrently, to different replicas if there are two.
    pub to_both: bool,
    /// Whether it is a new session of a person, which must be announced.
    pub is_arrival: bool,
}

/// The visits of one client.
pub struct Crowd {
    client: u64,
    step: u64,
    random: SeededRandom,
    start: DateTime<Utc>,
}

impl Crowd {
    pub fn new(client: u64) -> Self {
        let now = Clock::system().now();
        Self {
            client,
            step: 0,
            random: SeededRandom(0x7e7a + client),
            // Whole minutes, so that some gaps are exactly 30 minutes.
            start: DateTime::from_timestamp(now.timestamp() / 60 * 60, 0).unwrap(),
        }
    }

    pub fn next(&mut self) -> Parcel {
        let kind = self.step % 4;
        let visits = match kind {
            0 => vec![self.arrival()],
            1 => vec![self.regular()],
            _ => (0..=self.random.below(LIST))
                .map(|_| self.regular())
                .collect(),
        };
        self.step += 1;
        let (ids, mut visits): (Vec<_>, Vec<_>) = visits.into_iter().unzip();
        Parcel {
            ids,
            body: if kind < 2 {
                visits.remove(0)
            } else {
                visits.into()
            },
            to_both: kind == 3,
            is_arrival: kind == 0,
        }
    }

    fn arrival(&self) -> (Uuid, Value) {
        let (client, step, now) = (self.client, self.step, Clock::system().now());
        let id = Clock::id_at(now);
        let visit = json!({
            "id": id, "timestamp": now, "url": format!("https://shop.example/{client}/{step}"),
            "ip": format!("81.{client}.{}.{}", step / 250, step % 250), "user_agent": FIREFOX
        });
        (id, visit)
    }

    fn regular(&mut self) -> (Uuid, Value) {
        let who = self.step / STEPS * REGULARS + self.random.below(REGULARS);
        let site = SITES[usize::from(self.random.below(2) == 0)];
        let days = DAYS[usize::try_from(self.random.below(4)).unwrap()];
        // Too old to be announced.
        let minutes = 20 + self.random.below(720).cast_signed();
        let moment = self.start - TimeDelta::days(days) - TimeDelta::minutes(minutes);
        let id = Clock::id_at(moment);
        let visit = json!({
            "id": id, "timestamp": moment, "visitor_id": format!("regular-{who}"),
            "url": format!("https://{site}/{}", self.random.below(50)),
            "ip": format!("81.2.69.{}", who % 250),
            "user_agent": if who.is_multiple_of(5) { CURL } else { FIREFOX }
        });
        (id, visit)
    }
}
