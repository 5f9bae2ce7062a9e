//! How long the visitor ids of a day last, which decides whether the visitors of days add up.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use uuid::Uuid;

use super::visitor_id::{VisitorIdLifetime, period_number};

/// A kind with a smaller share of a day's visits is ignored: ids of a site may look like ours.
const MIN_SHARE: u64 = 1_000;

/// A kind of visitor id, with its bit in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VisitorIdKind {
    Daily = 1,
    Monthly = 2,
    Persistent = 4,
    /// Provided by the site.
    Own = 8,
    /// Daily or monthly: the two look alike on the first day of a month.
    DailyOrMonthly = 16,
    /// Of a day that an earlier version folded.
    Unknown = 32,
}

/// The kinds of visitor ids of one or more days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisitorIdKinds(u8);

impl VisitorIdKinds {
    /// The kinds of a stored day; `None` if an earlier version folded it.
    #[must_use]
    pub fn from_stored(bits: Option<i16>) -> Self {
        let bits = bits.and_then(|bits| u8::try_from(bits).ok());
        Self(bits.unwrap_or(VisitorIdKind::Unknown as u8))
    }

    /// The number in the database.
    #[must_use]
    pub fn to_stored(self) -> i16 {
        self.0.into()
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn contains(self, kind: VisitorIdKind) -> bool {
        self.0 & kind as u8 != 0
    }

    /// Decides what is ambiguous by the other days, or by what the service generates now.
    fn resolve(self, lifetime: VisitorIdLifetime) -> Self {
        use VisitorIdKind as Kind;
        let is_monthly = match (self.contains(Kind::Monthly), self.contains(Kind::Daily)) {
            (false, false) => lifetime == VisitorIdLifetime::Monthly,
            (is_monthly, _) => is_monthly,
        };
        let mut kinds = self.0 & !(Kind::DailyOrMonthly as u8 | Kind::Unknown as u8);
        if self.contains(Kind::DailyOrMonthly) {
            let kind = if is_monthly {
                Kind::Monthly
            } else {
                Kind::Daily
            };
            kinds |= kind as u8;
        }
        if kinds == 0 {
            kinds = match lifetime {
                VisitorIdLifetime::Daily => Kind::Daily,
                VisitorIdLifetime::Monthly => Kind::Monthly,
                VisitorIdLifetime::Persistent => Kind::Persistent,
            } as u8;
        }
        Self(kinds)
    }

    /// Whether nobody keeps an id from one day to the next, so that the visitors of days add up.
    #[must_use]
    pub fn are_daily(self, lifetime: VisitorIdLifetime) -> bool {
        let is_known = !self.contains(VisitorIdKind::Unknown);
        is_known && self.resolve(lifetime) == Self(VisitorIdKind::Daily as u8)
    }

    /// The name in the API: `daily`, `monthly`, `persistent`, `own` or `mixed`. `lifetime` is that
    /// of the ids that the service generates now.
    #[must_use]
    pub fn name(self, lifetime: VisitorIdLifetime) -> &'static str {
        match self.resolve(lifetime).0 {
            1 => "daily",
            2 => "monthly",
            4 => "persistent",
            8 => "own",
            _ => "mixed",
        }
    }
}

/// Counts the visits of a day by the kind of their visitor id.
#[derive(Clone, Debug, Default)]
pub struct VisitorIdCounter([u64; 6]);

impl VisitorIdCounter {
    /// Adds a visit. The id of a visitor who opted out is that of the visit; it has no kind.
    pub fn add(&mut self, visitor_id: &str, visit_id: Uuid, timestamp: DateTime<Utc>) {
        if let Some(kind) = kind_of(visitor_id, visit_id, timestamp) {
            self.0[(kind as u8).trailing_zeros() as usize] += 1;
        }
    }

    /// The kinds of the day.
    #[must_use]
    pub fn kinds(&self) -> VisitorIdKinds {
        let all: u64 = self.0.iter().sum();
        let counts = self.0.iter().enumerate();
        let frequent = counts.filter(|(_, count)| **count > 0 && **count * MIN_SHARE >= all);
        VisitorIdKinds(frequent.fold(0, |kinds, (bit, _)| kinds | 1 << bit))
    }
}

/// Generated ids begin with the number of the day on which their period begins.
fn kind_of(visitor_id: &str, visit_id: Uuid, timestamp: DateTime<Utc>) -> Option<VisitorIdKind> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if visitor_id.len() != 32 || !visitor_id.bytes().all(is_hex) {
        return Some(VisitorIdKind::Own);
    }
    if visitor_id == visit_id.simple().encode_lower(&mut Uuid::encode_buffer()) {
        return None;
    }
    let day = timestamp.date_naive();
    let number = |date: NaiveDate| format!("{:04x}", period_number(date));
    let begins_with = |date| visitor_id.starts_with(&number(date));
    Some(if begins_with(day) {
        if day.day() == 1 {
            VisitorIdKind::DailyOrMonthly
        } else {
            VisitorIdKind::Daily
        }
    } else if day.with_day(1).is_some_and(begins_with) {
        VisitorIdKind::Monthly
    } else if visitor_id.starts_with("0000") {
        VisitorIdKind::Persistent
    } else {
        VisitorIdKind::Own
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::domain::visitor_id::Salt;

    fn kinds_of(visits: &[(&str, &str)]) -> VisitorIdKinds {
        let mut counter = VisitorIdCounter::default();
        for (visitor_id, at) in visits {
            counter.add(visitor_id, Uuid::from_u128(7), at.parse().unwrap());
        }
        counter.kinds()
    }

    fn generated(lifetime: VisitorIdLifetime, at: &str) -> String {
        let ip: IpAddr = "81.2.69.142".parse().unwrap();
        let period = lifetime.period(at.parse().unwrap());
        period.visitor_id(&Salt::new(&[1; 32]), "a.example", ip, "Firefox")
    }

    #[test]
    fn generated_ids_tell_how_long_they_last() {
        use VisitorIdLifetime::{Daily, Monthly, Persistent};
        for lifetime in [Daily, Monthly, Persistent] {
            let days = ["2026-11-20T23:59:59Z", "2026-11-01T00:00:00Z"];
            let [mid, first] = days.map(|at| kinds_of(&[(&generated(lifetime, at), at)]));
            for other in [Daily, Monthly, Persistent] {
                assert_eq!(mid.name(other), lifetime.as_str());
                assert_eq!(mid.union(first).name(other), lifetime.as_str());
                assert_eq!(mid.are_daily(other), lifetime == Daily);
            }
            assert_eq!(first.name(lifetime), lifetime.as_str());
        }
    }

    #[test]
    fn ids_of_a_site_are_its_own_whatever_they_look_like() {
        let at = "2026-11-20T12:00:00Z";
        let visits = [("customer 7", at), ("d41d8cd98f00b204e9800998ecf8427e", at)];
        let kinds = kinds_of(&visits);
        assert_eq!(kinds.name(VisitorIdLifetime::Daily), "own");
        assert!(!kinds.are_daily(VisitorIdLifetime::Daily));
        let mut visits = vec![("customer 7", at); 2_000];
        let daily = generated(VisitorIdLifetime::Daily, at);
        visits.push((&daily, at));
        assert_eq!(kinds_of(&visits).name(VisitorIdLifetime::Daily), "own");
        visits.extend([(&*daily, at); 2]);
        assert_eq!(kinds_of(&visits).name(VisitorIdLifetime::Daily), "mixed");
    }

    #[test]
    fn visits_of_nobody_have_no_kind() {
        let at = "2026-11-20T12:00:00Z";
        let kinds = kinds_of(&[(&Uuid::from_u128(7).simple().to_string(), at)]);
        assert_eq!(kinds, VisitorIdKinds::default());
        assert_eq!(kinds.name(VisitorIdLifetime::Monthly), "monthly");
        assert!(kinds.are_daily(VisitorIdLifetime::Daily));
    }

    #[test]
    fn days_of_earlier_versions_may_have_any_ids() {
        let unknown = VisitorIdKinds::from_stored(None);
        assert!(!unknown.are_daily(VisitorIdLifetime::Daily));
        assert_eq!(unknown.name(VisitorIdLifetime::Daily), "daily");
        let own = kinds_of(&[("customer 7", "2026-11-20T12:00:00Z")]);
        assert_eq!(unknown.union(own).name(VisitorIdLifetime::Daily), "own");
        assert_eq!(VisitorIdKinds::from_stored(Some(own.to_stored())), own);
    }
}
