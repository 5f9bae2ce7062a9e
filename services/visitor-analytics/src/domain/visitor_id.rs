//! Visitor ids: pseudonymous keyed hashes.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

/// The random key of a period. Without it, nobody can find the address behind a visitor id.
#[derive(Clone, Debug)]
pub struct Salt(Arc<hmac::Key>);

impl Salt {
    /// Creates the key from random bytes.
    #[must_use]
    pub fn new(random: &[u8; SALT_BYTES]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, random)))
    }
}

pub const SALT_BYTES: usize = 32;

/// How long a salt is kept after its creation or, if it is monthly, after the end of its month.
const SALT_GRACE: TimeDelta = TimeDelta::hours(48);

const UNIX_EPOCH_DATE: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("this day exists");

/// How long a visitor keeps the same id, if the site provides none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum VisitorIdLifetime {
    /// For one day (UTC).
    #[default]
    Daily,
    /// For one calendar month (UTC).
    Monthly,
    /// Forever.
    Persistent,
}

impl VisitorIdLifetime {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Monthly => "monthly",
            Self::Persistent => "persistent",
        }
    }

    /// Returns the period that contains `moment`.
    #[must_use]
    pub fn period(self, moment: DateTime<Utc>) -> SaltPeriod {
        let day = moment.date_naive();
        let first_day = match self {
            Self::Daily => day,
            Self::Monthly => day.with_day(1).unwrap_or(day),
            Self::Persistent => UNIX_EPOCH_DATE,
        };
        SaltPeriod {
            lifetime: self,
            first_day,
        }
    }
}

/// A period in which a visitor keeps the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaltPeriod {
    pub lifetime: VisitorIdLifetime,
    /// 1970-01-01 if the ids are persistent.
    pub first_day: NaiveDate,
}

impl SaltPeriod {
    /// Returns when a salt that was created at `made_at` is deleted, or `None` if it is kept. A
    /// late visit of a period whose salt is deleted gets a new salt.
    #[must_use]
    pub fn salt_expires_at(self, made_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.lifetime {
            VisitorIdLifetime::Daily => Some(made_at + SALT_GRACE),
            VisitorIdLifetime::Monthly => {
                let next = self.first_day.checked_add_months(Months::new(1));
                let next = next.unwrap_or(self.first_day).and_time(NaiveTime::MIN);
                Some(made_at.max(next.and_utc()) + SALT_GRACE)
            }
            VisitorIdLifetime::Persistent => None,
        }
    }

    /// Returns a visitor's id in this period, 32 hex digits: 4 of the first day (days since 1970,
    /// the low 16 bits), then 28 of a keyed hash (HMAC-SHA-256) of site, address and user agent.
    ///
    /// The day comes first so that the ids of a period are adjacent in the index of sessions. With
    /// ten million sessions, inserting at a random place of the index costs more than the rest of
    /// recording a visit.
    #[must_use]
    pub fn visitor_id(self, salt: &Salt, site: &str, ip: IpAddr, user_agent: &str) -> String {
        let mut hash = hmac::Context::with_key(&salt.0);
        // The input is unambiguous, because no site or address contains a line feed.
        hash.update(site.as_bytes());
        hash.update(b"\n");
        hash.update(ip.to_string().as_bytes());
        hash.update(b"\n");
        hash.update(user_agent.as_bytes());
        let tag = hash.sign();
        let number = period_number(self.first_day);
        let mut id = String::with_capacity(32);
        // Writing to a `String` cannot fail.
        let _ = write!(id, "{number:04x}");
        for byte in &tag.as_ref()[..14] {
            id.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
            id.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
        }
        id
    }
}

/// The number with which the ids of a period begin: days since 1970, the low 16 bits.
pub(super) fn period_number(first_day: NaiveDate) -> i64 {
    let days = first_day.signed_duration_since(UNIX_EPOCH_DATE);
    days.num_days() & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn site_address_agent_and_salt_each_make_another_visitor() {
        let ip: IpAddr = "81.2.69.142".parse().unwrap();
        let other: IpAddr = "81.2.69.143".parse().unwrap();
        let day = VisitorIdLifetime::Daily.period(at("2026-11-20T23:59:59Z"));
        let id = day.visitor_id(&Salt::new(&[1; 32]), "a.example", ip, "Firefox");
        assert_eq!(
            id,
            day.visitor_id(&Salt::new(&[1; 32]), "a.example", ip, "Firefox")
        );
        let others = [
            day.visitor_id(&Salt::new(&[2; 32]), "a.example", ip, "Firefox"),
            day.visitor_id(&Salt::new(&[1; 32]), "b.example", ip, "Firefox"),
            day.visitor_id(&Salt::new(&[1; 32]), "a.example", other, "Firefox"),
            day.visitor_id(&Salt::new(&[1; 32]), "a.example", ip, "Chrome"),
        ];
        assert!(others.iter().all(|other| *other != id));
    }

    #[test]
    fn an_id_begins_with_its_period() {
        let moment = at("2026-11-20T12:00:00Z");
        let id = |ids: VisitorIdLifetime| {
            let ip = "81.2.69.142".parse().unwrap();
            ids.period(moment)
                .visitor_id(&Salt::new(&[1; 32]), "a.example", ip, "")
        };
        let cases = [
            (VisitorIdLifetime::Daily, "5129"),
            (VisitorIdLifetime::Monthly, "5116"),
            (VisitorIdLifetime::Persistent, "0000"),
        ];
        for (ids, number) in cases {
            let id = id(ids);
            assert_eq!((id.len(), &id[..4]), (32, number));
            assert!(id.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn a_salt_is_forgotten_two_days_after_its_day_or_month_or_never() {
        let made = at("2026-11-20T12:00:00Z");
        let forgotten = |ids: VisitorIdLifetime, of: &str| ids.period(at(of)).salt_expires_at(made);
        let day = Some(at("2026-11-22T12:00:00Z"));
        let now = "2026-11-20T00:00:00Z";
        assert_eq!(forgotten(VisitorIdLifetime::Daily, now), day);
        assert_eq!(
            forgotten(VisitorIdLifetime::Daily, "2026-03-01T00:00:00Z"),
            day
        );
        let month = Some(at("2026-12-03T00:00:00Z"));
        assert_eq!(forgotten(VisitorIdLifetime::Monthly, now), month);
        assert_eq!(
            forgotten(VisitorIdLifetime::Monthly, "2026-03-01T00:00:00Z"),
            day
        );
        assert_eq!(forgotten(VisitorIdLifetime::Persistent, now), None);
    }
}
